//! What a run came to, for people and for machines.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::{
    Run,
    checker::{Invariant, Violation},
    nemesis::{Deeds, Injected},
    observed::{Completion, Observed},
    rest::Drained,
};

/// Violations that are named, of each invariant.
const NAMED: usize = 5;

#[derive(Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    pub minutes: f64,
    pub haste: u32,
    pub mutation: Option<&'static str>,
    pub jobs: Jobs,
    pub mails: BTreeMap<String, u64>,
    pub faults: u64,
    pub faults_by_kind: BTreeMap<String, u64>,
    pub not_injected: BTreeMap<String, u64>,
    pub workers_restarted: usize,
    pub lost: usize,
    pub doubled: usize,
    pub drained_within_secs: Option<f64>,
    pub recovery: Recovery,
    pub slowest: Vec<String>,
    /// Files that killed workers were at, and that were taken away.
    pub half_written_files: usize,
    pub violations: usize,
    pub violated: BTreeMap<Invariant, Vec<String>>,
}

#[derive(Debug, Serialize)]
pub struct Jobs {
    pub accepted: usize,
    pub by_door: BTreeMap<String, usize>,
    pub requests_repeated: u64,
    /// With all that followed from them.
    pub total: usize,
    pub made_to_fail: usize,
    pub revived_by_operator: usize,
    pub bill_runs: usize,
    pub invoices: usize,
}

/// From the end of a fault to the next job done, and until all was done that waited then. Seconds.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Recovery {
    pub next_job_p50: f64,
    pub next_job_p99: f64,
    pub drained_p50: f64,
    pub drained_p99: f64,
}

impl Report {
    pub fn of(run: &Run, observed: &Observed, deeds: &[Deeds], drained: &Drained, violations: &[Violation]) -> Self {
        let injected: Vec<Injected> = deeds.iter().flat_map(|deeds| deeds.injected.iter().cloned()).collect();
        let mut violated: BTreeMap<Invariant, Vec<String>> = BTreeMap::new();
        for violation in violations {
            let named = violated.entry(violation.invariant).or_default();
            if named.len() < NAMED {
                named.push(violation.what.clone());
            }
        }
        let of = |wanted: &[Invariant]| violations.iter().filter(|one| wanted.contains(&one.invariant)).count();
        Self {
            seed: run.seed,
            minutes: run.minutes,
            haste: run.haste,
            mutation: run.planted.map(|planted| planted.name),
            jobs: Jobs::of(observed, drained),
            mails: count(observed.notifications.iter().map(|told| told.state.clone())),
            faults: injected.len() as u64,
            faults_by_kind: count(injected.iter().map(|injected| injected.kind.clone())),
            not_injected: deeds.iter().flat_map(|deeds| deeds.skipped.clone()).collect(),
            workers_restarted: deeds.iter().map(|deeds| deeds.restarts).sum(),
            lost: of(&[Invariant::NothingLost]),
            doubled: of(&[Invariant::DoneOnce, Invariant::OneJobPerRequest, Invariant::OneInvoicePerKey]),
            drained_within_secs: drained.within.map(|within| within.as_secs_f64()),
            recovery: Recovery::of(&injected, &observed.completions),
            slowest: observed.slowest.clone(),
            half_written_files: observed.half_written_files,
            violations: violations.len(),
            violated,
        }
    }

    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        let jobs = &self.jobs;
        let or_none = |count: usize| if count == 0 { "none".to_owned() } else { format!("**{count}**") };
        let rows = [
            ("seed, minutes, haste", format!("{}, {}, {}", self.seed, self.minutes, self.haste)),
            (
                "jobs handed in",
                format!("{} {:?}, {} of them made to fail", jobs.accepted, jobs.by_door, jobs.made_to_fail),
            ),
            ("requests repeated", jobs.requests_repeated.to_string()),
            ("jobs in all", jobs.total.to_string()),
            ("bill runs, invoices", format!("{}, {}", jobs.bill_runs, jobs.invoices)),
            ("mails", format!("{:?}", self.mails)),
            ("faults", self.faults.to_string()),
            ("lost", or_none(self.lost)),
            ("done twice", or_none(self.doubled)),
            ("violations in all", or_none(self.violations)),
            ("retried by an operator after a third death", jobs.revived_by_operator.to_string()),
            (
                "from a fault's end to the next job done, p50, p99",
                format!("{:.2} s, {:.2} s", self.recovery.next_job_p50, self.recovery.next_job_p99),
            ),
            (
                "and until all that waited then was done, p50, p99",
                format!("{:.1} s, {:.1} s", self.recovery.drained_p50, self.recovery.drained_p99),
            ),
            ("files that killed workers left half written, taken away", self.half_written_files.to_string()),
            ("at the end, until nothing was left", seconds(self.drained_within_secs)),
        ];
        text.push_str("| | |\n|---|---|\n");
        for (name, value) in rows {
            let _infallible = writeln!(text, "| {name} | {value} |");
        }
        text.push_str("\n| fault | times |\n|---|---|\n");
        for (kind, times) in &self.faults_by_kind {
            let _infallible = writeln!(text, "| {kind} | {times} |");
        }
        for (kind, times) in &self.not_injected {
            let _infallible = writeln!(text, "| *not injected*: {kind} | {times} |");
        }
        for (invariant, named) in &self.violated {
            let _infallible = writeln!(text, "\n{invariant:?}\n- {}", named.join("\n- "));
        }
        text
    }
}

fn seconds(within: Option<f64>) -> String {
    within.map_or_else(|| "**jobs were left**".to_owned(), |within| format!("{within:.1} s"))
}

impl Jobs {
    fn of(observed: &Observed, drained: &Drained) -> Self {
        let handed_in = &observed.handed_in;
        let made_to_fail = handed_in.accepted.iter().filter(|one| one.ends == crate::producer::Ends::Dead);
        let by_door = handed_in.by_door().into_iter().map(|(door, count)| (format!("{door:?}"), count));
        Self {
            accepted: handed_in.accepted.len(),
            by_door: by_door.collect(),
            requests_repeated: handed_in.repeated,
            total: observed.jobs.len(),
            made_to_fail: made_to_fail.count(),
            revived_by_operator: drained.revived,
            bill_runs: handed_in.books.iter().filter(|book| book.is_billed).count(),
            invoices: observed.invoices.len(),
        }
    }
}

fn count(names: impl Iterator<Item = String>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

impl Recovery {
    /// Measures each fault; completions come in the order in which they were done.
    fn of(injected: &[Injected], completions: &[Completion]) -> Self {
        let (mut next, mut drained) = (Vec::new(), Vec::new());
        for Injected { healed_at, .. } in injected {
            let after = &completions[completions.partition_point(|one| one.done_at <= *healed_at)..];
            next.extend(after.first().map(|one| since(*healed_at, one.done_at)));
            let waited = after.iter().rfind(|one| one.created_at <= *healed_at);
            drained.extend(waited.map(|one| since(*healed_at, one.done_at)));
        }
        next.sort_unstable();
        drained.sort_unstable();
        Self {
            next_job_p50: percentile(&next, 50),
            next_job_p99: percentile(&next, 99),
            drained_p50: percentile(&drained, 50),
            drained_p99: percentile(&drained, 99),
        }
    }
}

fn since(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).max(TimeDelta::zero()).to_std().unwrap_or_default()
}

/// Returns the value that so many of a hundred do not exceed, in seconds.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).map_or(0.0, Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn recovery_is_from_a_faults_end_to_the_next_job_and_to_the_last_that_waited() {
        let injected = [Injected { kind: "a fault".to_owned(), healed_at: at(10) }];
        let completions = [(1, 2), (3, 12), (4, 15), (11, 20)]
            .map(|(created, done)| Completion { created_at: at(created), done_at: at(done) });
        let recovery = Recovery::of(&injected, &completions);
        assert_eq!((recovery.next_job_p50, recovery.drained_p99), (2.0, 5.0));
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_secs).collect();
        assert_eq!((percentile(&sorted, 50), percentile(&sorted, 99), percentile(&[], 99)), (100.0, 198.0, 0.0));
    }
}
