//! Whether all is well, and if not what is wrong, in the order in which somebody should look.
//!
//! Decided here once, from what the ledger says, for `billrunner status` and for the console's first page. Pure.

use std::fmt;

use super::age::describe_age;

/// Work starts within milliseconds, unless something holds it back.
pub const LONG_WAIT_SECS: f64 = 300.0;

/// How everything stands.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Workers that were seen lately.
    pub live_workers: i64,
    /// Every lane.
    pub lanes: Vec<LaneFacts>,
    /// Schedules that missed a tick, were refused, or whose last job failed.
    pub failing_schedules: Vec<String>,
    /// Bill runs that ended with something for people to do, with no later run of their month.
    pub unsettled_bill_runs: i64,
    /// Mails of the last day that a server refused.
    pub failed_mails: i64,
    /// Mails of the last day that may not have arrived.
    pub uncertain_mails: i64,
}

/// How a lane stands.
#[derive(Clone, Debug, Default)]
pub struct LaneFacts {
    /// The lane.
    pub queue: String,
    /// Due and not started.
    pub waiting: i64,
    /// For how long the oldest of them has been due.
    pub oldest_waiting_seconds: f64,
    /// Waiting for somebody to decide.
    pub dead: i64,
    /// Whether it is paused, by itself or with its queue.
    pub is_paused: bool,
}

/// Something that is not well.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// Nobody is there to do the work.
    NoWorker,
    /// A lane's jobs have been due for long, and nobody said that they should wait.
    LongWait {
        /// The lane.
        queue: String,
        /// For how long.
        seconds: f64,
    },
    /// Jobs will not run again by themselves.
    Dead {
        /// How many.
        jobs: i64,
    },
    /// Bill runs ended with something for people to do.
    BillRuns {
        /// How many.
        runs: i64,
    },
    /// Schedules missed a tick, were refused, or what they started failed.
    Schedules {
        /// Their names.
        names: Vec<String>,
    },
    /// Customers were not told, or may not have been.
    Mails {
        /// Refused by a server.
        failed: i64,
        /// Lost on the way, perhaps.
        uncertain: i64,
    },
    /// Somebody paused a lane in which jobs wait.
    Paused {
        /// The lane.
        queue: String,
        /// How many jobs wait.
        waiting: i64,
    },
}

impl Trouble {
    /// Returns the command that shows more or mends it.
    pub fn way_out(&self) -> &'static str {
        match self {
            Self::NoWorker => "start `billrunner worker`",
            Self::LongWait { .. } => "`billrunner workers` shows what they do; start more of them",
            Self::Dead { .. } => "`billrunner dead list --group` says of what; `dead retry` or `dead discard` them",
            Self::BillRuns { .. } => "`billrunner bill-runs show` says what is missing and what to do",
            Self::Schedules { .. } => "`billrunner schedules show` says why",
            Self::Mails { .. } => "`billrunner notifications list --state failed,uncertain` says why",
            Self::Paused { .. } => "`billrunner queues list` says by whom and why; `queues resume` lets it go on",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorker => f.write_str("no worker is alive: jobs wait"),
            Self::LongWait { queue, seconds } => {
                write!(f, "the oldest job of {queue} has waited for {}", describe_age(*seconds))
            }
            Self::Dead { jobs: 1 } => f.write_str("1 job is dead: it will not run again by itself"),
            Self::Dead { jobs } => write!(f, "{jobs} jobs are dead: they will not run again by themselves"),
            Self::BillRuns { runs: 1 } => f.write_str("1 bill run needs attention"),
            Self::BillRuns { runs } => write!(f, "{runs} bill runs need attention"),
            Self::Schedules { names } => write!(f, "schedules fail: {}", names.join(", ")),
            Self::Mails { failed, uncertain } => {
                write!(f, "mails of the last day: {failed} failed, {uncertain} may not have arrived")
            }
            Self::Paused { queue, waiting } => write!(f, "{queue} is paused while jobs wait in it: {waiting}"),
        }
    }
}

/// Returns what is wrong, worst first; nothing where all is well.
pub fn troubles(facts: &Facts) -> Vec<Trouble> {
    let mut found = Vec::new();
    if facts.live_workers == 0 {
        found.push(Trouble::NoWorker);
    }
    found.extend(long_waits(&facts.lanes));
    let dead = facts.lanes.iter().map(|lane| lane.dead).sum();
    if dead > 0 {
        found.push(Trouble::Dead { jobs: dead });
    }
    if facts.unsettled_bill_runs > 0 {
        found.push(Trouble::BillRuns { runs: facts.unsettled_bill_runs });
    }
    if !facts.failing_schedules.is_empty() {
        found.push(Trouble::Schedules { names: facts.failing_schedules.clone() });
    }
    if facts.failed_mails + facts.uncertain_mails > 0 {
        found.push(Trouble::Mails { failed: facts.failed_mails, uncertain: facts.uncertain_mails });
    }
    let paused = facts.lanes.iter().filter(|lane| lane.is_paused && lane.waiting > 0);
    found.extend(paused.map(|lane| Trouble::Paused { queue: lane.queue.clone(), waiting: lane.waiting }));
    found
}

fn long_waits(lanes: &[LaneFacts]) -> Vec<Trouble> {
    let is_late = |lane: &&LaneFacts| !lane.is_paused && lane.oldest_waiting_seconds >= LONG_WAIT_SECS;
    let mut late: Vec<&LaneFacts> = lanes.iter().filter(is_late).collect();
    late.sort_by(|a, b| b.oldest_waiting_seconds.total_cmp(&a.oldest_waiting_seconds));
    let trouble =
        |lane: &LaneFacts| Trouble::LongWait { queue: lane.queue.clone(), seconds: lane.oldest_waiting_seconds };
    late.into_iter().map(trouble).collect()
}

#[cfg(test)]
mod tests;
