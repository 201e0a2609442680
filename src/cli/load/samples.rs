//! Looks at all processes and servers again and again while something goes on, and says whether what they hold grew.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use serde::Serialize;
use sqlx::PgConnection;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{processes, site::Site};
use crate::{
    jobs::registry,
    store::{bench_load, scrape},
};

/// Jobs of a lane that are looked at for the oldest.
const LOOKED_AT: i64 = 1000;
/// What may come and go without being growth: a buffer, a connection.
const SLACK_KB: f64 = 4096.0;
const SLACK_COUNT: f64 = 4.0;
/// What counts as flat, beside the slack.
const FLAT_WITHIN: f64 = 0.05;

/// A process at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessSample {
    /// Resident memory.
    pub memory_kb: f64,
    /// Open descriptors.
    pub descriptors: f64,
}

/// All at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Since the first one.
    pub seconds: f64,
    /// By name.
    pub processes: BTreeMap<String, ProcessSample>,
    /// Connections to the database, the benchmark's own ones with them.
    pub postgres_connections: i64,
    /// What Redis holds.
    pub redis_memory_kb: f64,
    /// Of the largest tables, with their indexes.
    pub tables_mb: BTreeMap<String, i64>,
    /// By lane, since when its oldest job waits; lanes where none does are left out.
    pub oldest_age_seconds: BTreeMap<String, f64>,
}

/// How much of something there was in the first and in the last quarter of the time: medians.
#[derive(Clone, Debug, Serialize)]
pub struct Trend {
    /// What, such as `worker 1: memory, kB`.
    pub what: String,
    /// In the first quarter.
    pub first: f64,
    /// In the last.
    pub last: f64,
    /// Whether that is no more than 5 % and a small constant more.
    pub is_flat: bool,
}

/// Works, and looks meanwhile.
///
/// # Errors
/// When the work fails, or a server cannot be looked at.
pub async fn sampled<T>(
    site: &Site,
    every: Duration,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, Vec<Sample>)> {
    let mut samples = Vec::new();
    let looker = Looker { site, connection: site.owner().await?, lanes: lanes(), began: Instant::now() };
    let done = tokio::select! {
        done = work => done?,
        failed = looker.look_on(every, &mut samples) => match failed? {},
    };
    Ok((done, samples))
}

fn lanes() -> Vec<String> {
    registry().lane_names().map(str::to_owned).collect()
}

struct Looker<'a> {
    site: &'a Site,
    connection: PgConnection,
    lanes: Vec<String>,
    began: Instant,
}

impl Looker<'_> {
    async fn look_on(mut self, every: Duration, samples: &mut Vec<Sample>) -> anyhow::Result<Infallible> {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            samples.push(self.look().await?);
        }
    }

    async fn look(&mut self) -> anyhow::Result<Sample> {
        let lanes = scrape::lanes(&mut self.connection, &self.lanes, LOOKED_AT).await?;
        let waiting = lanes.into_iter().filter(|lane| lane.oldest_waiting_age_seconds > 0.0);
        let (postgres_connections, tables) = bench_load::sizes(&mut self.connection).await?;
        Ok(Sample {
            seconds: self.began.elapsed().as_secs_f64(),
            processes: self.processes(),
            postgres_connections,
            redis_memory_kb: self.redis_memory_kb().await?,
            tables_mb: tables.into_iter().map(|(name, bytes)| (name, bytes / 1_048_576)).collect(),
            oldest_age_seconds: waiting.map(|lane| (lane.queue, lane.oldest_waiting_age_seconds)).collect(),
        })
    }

    fn processes(&self) -> BTreeMap<String, ProcessSample> {
        let seen = self.site.processes.iter().filter_map(|process| {
            let memory_kb = processes::memory_kb(process.id)?;
            Some((process.name.clone(), ProcessSample { memory_kb, descriptors: processes::descriptors(process.id)? }))
        });
        seen.collect()
    }

    async fn redis_memory_kb(&self) -> anyhow::Result<f64> {
        let facts = self.site.streams.facts().await?;
        let told = facts.iter().filter_map(|facts| facts.info.as_ref()?.get("used_memory")?.parse::<f64>().ok());
        Ok(told.sum::<f64>() / 1024.0)
    }
}

/// Returns the longest that a job of each lane had waited when somebody looked.
pub fn greatest_ages(samples: &[Sample]) -> BTreeMap<String, f64> {
    let mut greatest: BTreeMap<String, f64> = BTreeMap::new();
    for (lane, age) in samples.iter().flat_map(|sample| &sample.oldest_age_seconds) {
        let known = greatest.entry(lane.clone()).or_default();
        *known = known.max(*age);
    }
    greatest
}

/// Compares the last quarter of the time with the first: memory and descriptors of each process, connections, Redis.
pub fn trends(samples: &[Sample]) -> Vec<Trend> {
    let names: Vec<String> =
        samples.first().map(|sample| sample.processes.keys().cloned().collect()).unwrap_or_default();
    let mut found = Vec::new();
    for name in names {
        let of = |value: fn(&ProcessSample) -> f64| {
            samples.iter().filter_map(|sample| sample.processes.get(&name).map(value)).collect::<Vec<_>>()
        };
        found.push(trend(format!("{name}: memory, kB"), &of(|seen| seen.memory_kb), SLACK_KB));
        found.push(trend(format!("{name}: descriptors"), &of(|seen| seen.descriptors), SLACK_COUNT));
    }
    let connections = samples.iter().map(|sample| f64::from(i32::try_from(sample.postgres_connections).unwrap_or(0)));
    found.push(trend("connections to Postgres".to_owned(), &connections.collect::<Vec<_>>(), SLACK_COUNT));
    let redis: Vec<f64> = samples.iter().map(|sample| sample.redis_memory_kb).collect();
    found.push(trend("Redis: memory, kB".to_owned(), &redis, SLACK_KB));
    found
}

fn trend(what: String, values: &[f64], slack: f64) -> Trend {
    let quarter = values.len().div_ceil(4);
    let first = median(values.get(..quarter).unwrap_or_default());
    let last = median(values.get(values.len() - quarter..).unwrap_or_default());
    Trend { what, first, last, is_flat: last <= first * (1.0 + FLAT_WITHIN) + slack }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = u32>) -> Trend {
        trend("memory".to_owned(), &values.map(f64::from).collect::<Vec<_>>(), 10.0)
    }

    #[test]
    fn what_grows_is_not_flat_and_what_comes_and_goes_is() {
        assert!(of((0..40).map(|n| 1000 + n % 7)).is_flat);
        assert!(!of((0..40).map(|n| 1000 + 5 * n)).is_flat);
        assert!(of((0..40).map(|n| 1000 - n)).is_flat, "less is no growth");
        // A single peak, at whichever end, is no trend.
        assert!(of((0..40).map(|n| if n == 39 { 9000 } else { 1000 })).is_flat);
    }

    #[test]
    fn nothing_seen_is_not_called_flat() {
        assert!(!of(std::iter::empty()).is_flat);
    }
}
