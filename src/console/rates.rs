//! What the overview's charts show: how many jobs ended in each step of a window, and how long those done had waited.
//!
//! Made of the counted minutes (`store::job_rates`), so it ends a minute or two ago, and says when.

use chrono::{DateTime, TimeDelta, Utc};

use crate::store::job_rates::{JobRate, JobRates};

/// Length of the list of waits: one for each power of two.
const WAITS: usize = 24;

/// A stretch of time that is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// The last hour.
    Hour,
    /// The last day.
    #[default]
    Day,
    /// The last week.
    Week,
}

impl Window {
    /// All windows, the shortest first.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// Reads what stands in an address; anything else is a day.
    pub fn of(text: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|window| Some(window.as_str()) == text).unwrap_or_default()
    }

    /// Returns what stands in an address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// Returns its name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "24 hours",
            Self::Week => "7 days",
        }
    }

    /// Returns its length.
    pub fn hours(self) -> i32 {
        match self {
            Self::Hour => 1,
            Self::Day => 24,
            Self::Week => 168,
        }
    }

    /// Returns how long a step is and how many there are.
    pub fn steps(self) -> (i16, i32) {
        match self {
            Self::Hour => (1, 60),
            Self::Day => (30, 48),
            Self::Week => (240, 42),
        }
    }
}

/// What happened in a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// When it begins.
    pub begins_at: DateTime<Utc>,
    /// Jobs done.
    pub done: i64,
    /// Jobs that died.
    pub dead: i64,
    /// Within which time half of those done started once they were due, in milliseconds.
    pub median_wait: Option<f64>,
    /// Within which time 95 of 100 did.
    pub slowest_waits: Option<f64>,
}

/// All steps of a window, the oldest first; also those in which nothing ended.
pub fn points(window: Window, counted: &JobRates) -> Vec<Point> {
    let (minutes, steps) = window.steps();
    let begins =
        (0..steps).rev().map(|back| counted.last_step - TimeDelta::minutes(i64::from(minutes) * i64::from(back)));
    let mut rates = counted.rates.as_slice();
    begins.map(|begins_at| point(begins_at, take_step(&mut rates, begins_at))).collect()
}

/// Takes what belongs to a step off the front.
fn take_step<'a>(rates: &mut &'a [JobRate], begins_at: DateTime<Utc>) -> &'a [JobRate] {
    let earlier = rates.iter().take_while(|rate| rate.begins_at < begins_at).count();
    let (_, rest) = rates.split_at(earlier);
    let (taken, rest) = rest.split_at(rest.iter().take_while(|rate| rate.begins_at == begins_at).count());
    *rates = rest;
    taken
}

fn point(begins_at: DateTime<Utc>, rates: &[JobRate]) -> Point {
    let ended = |state: &str| rates.iter().filter(|rate| rate.state == state).map(|rate| rate.jobs).sum();
    let mut waits = [0; WAITS];
    for rate in rates.iter().filter(|rate| rate.state == "done") {
        let place = usize::try_from(rate.wait_log2).unwrap_or_default();
        if let Some(count) = waits.get_mut(place) {
            *count += rate.jobs;
        }
    }
    Point {
        begins_at,
        done: ended("done"),
        dead: ended("dead"),
        median_wait: quantile(&waits, 0.5),
        slowest_waits: quantile(&waits, 0.95),
    }
}

/// Returns the wait in milliseconds that a share of the jobs did not exceed, taking those between two powers of two as
/// spread evenly over the logarithm.
#[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below 2^52")]
pub fn quantile(waits: &[i64; WAITS], share: f64) -> Option<f64> {
    let total: i64 = waits.iter().sum();
    let wanted = total as f64 * share;
    let mut before = 0.0;
    for (power, count) in (0_i32..).zip(waits) {
        let count = *count as f64;
        if count > 0.0 && before + count >= wanted {
            let within = (wanted - before) / count;
            return Some(if power == 0 { within } else { 2_f64.powf(f64::from(power - 1) + within) });
        }
        before += count;
    }
    None
}

/// Writes a wait with its unit.
pub fn describe_wait(milliseconds: f64) -> String {
    match milliseconds {
        short if short < 1.0 => "under 1 ms".to_owned(),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms if ms < 60_000.0 => format!("{:.1} s", ms / 1000.0),
        ms if ms < 3_600_000.0 => format!("{:.0} min", ms / 60_000.0),
        ms => format!("{:.1} h", ms / 3_600_000.0),
    }
}

#[cfg(test)]
mod tests;
