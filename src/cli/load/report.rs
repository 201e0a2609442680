//! What both benchmarks report: percentiles, what each process took, rates of stages.

use std::collections::HashMap;

use serde::Serialize;

use super::{processes, site::Site};
use crate::store::{bench_invoices, bench_load::Latency};

/// The 50th, 95th and 99th percentile, and the most.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Percentiles {
    /// Reads them off measured values.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
            values.get(place).copied().unwrap_or_default()
        };
        Self { p50: at(50), p95: at(95), p99: at(99), max: at(100) }
    }

    /// Takes them as the ledger says them.
    fn told(values: &[f64]) -> Self {
        let [p50, p95, p99, max] = values else { return Self::default() };
        Self { p50: *p50, p95: *p95, p99: *p99, max: *max }
    }

    /// Shows them in milliseconds.
    pub fn shown(&self) -> String {
        let Self { p50, p95, p99, max } = self;
        format!("p50 {:.0}, p95 {:.0}, p99 {:.0}, at most {:.0} ms", p50 * 1e3, p95 * 1e3, p99 * 1e3, max * 1e3)
    }
}

/// How long jobs took, in seconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Latencies {
    pub jobs: i64,
    /// From acceptance to the first start.
    pub to_start: Percentiles,
    /// From acceptance to the end.
    pub to_end: Percentiles,
}

impl From<&Latency> for Latencies {
    fn from(told: &Latency) -> Self {
        Self { jobs: told.jobs, to_start: Percentiles::told(&told.to_start), to_end: Percentiles::told(&told.to_end) }
    }
}

/// What became of the mails that were promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mails {
    pub promised: usize,
    /// Of these, nobody was to be told, for a reason.
    pub suppressed: usize,
    /// Arrived once, as promised.
    pub once: usize,
    pub missing: usize,
    pub more_than_once: usize,
    /// Arrived, and nobody had promised them.
    pub unexpected: usize,
}

impl Mails {
    /// Compares the promises, each with its Message-ID and state, with how often each Message-ID arrived.
    pub fn compare(promised: &[(String, String)], arrived: &HashMap<String, u32>) -> Self {
        let mut found = Self { promised: promised.len(), ..Self::default() };
        let mut known = 0;
        for (id, state) in promised {
            let times = arrived.get(id).copied().unwrap_or_default();
            known += usize::from(times > 0);
            match times {
                0 if state == "suppressed" => found.suppressed += 1,
                0 => found.missing += 1,
                1 => found.once += 1,
                _ => found.more_than_once += 1,
            }
        }
        found.unexpected = arrived.len() - known;
        found
    }

    /// Tells whether every mail arrived once, and no other.
    pub fn are_right(&self) -> bool {
        self.missing + self.more_than_once + self.unexpected == 0
    }

    pub fn shown(&self) -> String {
        let Self { promised, suppressed, once, missing, more_than_once, unexpected } = self;
        format!(
            "mails promised {promised}, arrived once {once}, suppressed {suppressed}, missing {missing}, more than once \
             {more_than_once}, not promised {unexpected}"
        )
    }
}

/// What a process took of the machine.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessReport {
    pub name: String,
    /// Seconds of processor time; `None` where it is not to be seen.
    pub processor_seconds: Option<f64>,
    /// The most memory that it ever held.
    pub peak_memory_mb: Option<f64>,
}

/// Looks at what all processes have taken so far: of the site, the servers', and this one, in which the mail server is.
///
/// # Errors
/// When a server does not answer.
pub async fn look_at_processes(site: &Site) -> anyhow::Result<Vec<ProcessReport>> {
    let mut found = Vec::new();
    let own = |name: &str, id: u32| ProcessReport {
        name: name.to_owned(),
        processor_seconds: processes::Usage::read(id).map(|usage| usage.own + usage.of_ended_children),
        peak_memory_mb: processes::peak_memory_kb(id).map(|kb| kb / 1024.0),
    };
    let backend = bench_invoices::backend_process(&mut *site.pool.acquire().await?).await?;
    found.push(ProcessReport {
        name: "Postgres".to_owned(),
        processor_seconds: processes::seconds_of_postgres(backend)?,
        peak_memory_mb: None,
    });
    found.extend(site.processes.iter().map(|process| own(&process.name, process.id)));
    for redis in site.streams.facts().await? {
        let id = redis.info.as_ref().and_then(|info| info.get("process_id")?.parse().ok());
        found.extend(id.map(|id| own("Redis", id)));
    }
    found.push(own("this one, with the mail server", std::process::id()));
    Ok(found)
}

/// Takes off what processes had taken before.
pub fn since(before: &[ProcessReport], mut after: Vec<ProcessReport>) -> Vec<ProcessReport> {
    for report in &mut after {
        let earlier = before.iter().find(|earlier| earlier.name == report.name);
        let seconds = |report: &ProcessReport| report.processor_seconds;
        report.processor_seconds = seconds(report).zip(earlier.and_then(seconds)).map(|(after, before)| after - before);
    }
    after
}

/// Shows them, a line each.
pub fn describe_processes(processes: &[ProcessReport]) -> String {
    let shown =
        |value: Option<f64>, unit: &str| value.map_or("unknown".to_owned(), |value| format!("{value:.0} {unit}"));
    let line = |process: &ProcessReport| {
        format!(
            "  {:<32} processor {:>8}, peak memory {:>8}",
            process.name,
            shown(process.processor_seconds, "s"),
            shown(process.peak_memory_mb, "MB")
        )
    };
    processes.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_that_is_missing_or_comes_twice_or_unasked_is_told_of() {
        let promised =
            ["a", "b", "c", "d"].map(|id| (id.to_owned(), if id == "d" { "suppressed" } else { "sent" }.to_owned()));
        let arrived = |times: &[(&str, u32)]| times.iter().map(|(id, times)| ((*id).to_owned(), *times)).collect();
        let right = Mails::compare(&promised, &arrived(&[("a", 1), ("b", 1), ("c", 1)]));
        assert!(right.are_right() && right.suppressed == 1, "{right:?}");
        for wrong in
            [&[("a", 1), ("b", 1)][..], &[("a", 1), ("b", 1), ("c", 2)], &[("a", 1), ("b", 1), ("c", 1), ("e", 1)]]
        {
            assert!(!Mails::compare(&promised, &arrived(wrong)).are_right(), "{wrong:?}");
        }
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let read = Percentiles::of((1..=200).rev().map(f64::from).collect());
        assert_eq!(
            [read.p50, read.p95, read.p99, read.max].map(f64::to_bits),
            [100.0, 190.0, 198.0, 200.0].map(f64::to_bits)
        );
        assert_eq!(Percentiles::of(Vec::new()).max.to_bits(), 0.0_f64.to_bits());
    }
}
