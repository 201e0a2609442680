//! `billrunner queues`: what waits where, and what holds it back.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use clap::Subcommand;
use sqlx::{Acquire, PgConnection};

use super::{
    Failure, Output,
    operator::{PerhapsWithReason, WithReason},
    output::table,
    setup,
    watch::Watch,
};
use crate::{
    config::Config,
    domain::age::describe_age,
    jobs::registry,
    queue::Queue,
    store::{
        job_list::{self, Backlog},
        jobs, operator_actions,
        queue_controls::{self, QueueControl},
    },
};

/// Actions shown by `queues history`.
const SHOWN_ACTIONS: i64 = 100;

/// Commands on queues and lanes. A queue such as `billing` means all of its lanes, a lane such as `billing.aws` itself.
#[derive(Subcommand)]
pub enum Command {
    /// List lanes with their backlog, pauses and limits.
    List {
        #[command(flatten)]
        watch: Watch,
    },
    /// Let nothing more start. What runs finishes.
    Pause {
        /// A queue or a lane.
        queue: String,
        /// When it goes on by itself (RFC 3339).
        #[arg(long)]
        until: Option<DateTime<Utc>>,
        #[command(flatten)]
        asked: WithReason,
    },
    /// Let it go on.
    Resume {
        /// A queue or a lane.
        queue: String,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
    /// Limit how many jobs run at once over all workers, or how many start in a time.
    Limit {
        /// A queue or a lane.
        queue: String,
        /// Most jobs at once, or `none`.
        #[arg(long, value_name = "N|none", required_unless_present = "rate")]
        running: Option<Setting<i32>>,
        /// Most starts in a time, such as `100/1m`, or `none`.
        #[arg(long, value_name = "N/TIME|none")]
        rate: Option<Setting<Rate>>,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
    /// Show what operators did to a queue or lane, newest first.
    History {
        /// A queue or a lane.
        queue: String,
    },
}

/// A limit that is set, or lifted by `none`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting<T>(Option<T>);

impl<T: FromStr<Err: std::fmt::Display>> FromStr for Setting<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            text => text.parse().map(Some).map(Self).map_err(|error: T::Err| format!("{error}; or write `none`")),
        }
    }
}

/// So many starts in a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    starts: i32,
    period: Duration,
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = text.split_once('/').and_then(|(starts, period)| {
            let starts = starts.parse().ok().filter(|starts: &i32| *starts > 0)?;
            let period = humantime::parse_duration(period).ok().filter(|period| !period.is_zero())?;
            Some(Self { starts, period })
        });
        read.ok_or("write a count and a time, such as 100/1m")
    }
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut connection = pool.acquire().await?;
    match command {
        Command::List { watch } => {
            drop(connection);
            let look = async || {
                let lanes = lanes(&mut *pool.acquire().await?).await?;
                output.value(&lanes, |lanes| describe_lanes(lanes))
            };
            watch.show(output, look).await
        }
        Command::Pause { queue, until, asked } => {
            require_known(&queue)?;
            let mut transaction = connection.begin().await?;
            let taken_back = queue_controls::pause(&mut transaction, &queue, asked.operator(), until).await?;
            jobs::notify_dispatchers(&mut transaction).await?;
            transaction.commit().await?;
            output.line(&format!("{queue} is paused; {taken_back} jobs that had not started were taken back"))
        }
        Command::Resume { queue, asked } => {
            require_known(&queue)?;
            let mut transaction = connection.begin().await?;
            if !queue_controls::resume(&mut transaction, &queue, asked.operator()).await? {
                return Err(Failure::Refused(format!("{queue} is not paused")).into());
            }
            jobs::notify_dispatchers(&mut transaction).await?;
            transaction.commit().await?;
            output.line(&format!("{queue} goes on"))
        }
        Command::Limit { queue, running, rate, asked } => {
            require_known(&queue)?;
            let mut transaction = connection.begin().await?;
            if let Some(Setting(most)) = running {
                require_positive(most)?;
                queue_controls::limit_running(&mut transaction, &queue, most, asked.operator()).await?;
            }
            if let Some(Setting(rate)) = rate {
                let rate = rate.map(|rate| (rate.starts, rate.period.as_secs_f64()));
                queue_controls::limit_rate(&mut transaction, &queue, rate, asked.operator()).await?;
            }
            jobs::notify_dispatchers(&mut transaction).await?;
            transaction.commit().await?;
            output.line(&format!("the limits of {queue} are set"))
        }
        Command::History { queue } => {
            require_known(&queue)?;
            let done = operator_actions::of_queue(&mut connection, &queue, SHOWN_ACTIONS).await?;
            output.rows(&done, &["when", "who", "what", "why", "set"], |action| {
                vec![
                    action.done_at.format("%F %T").to_string(),
                    action.done_by.clone(),
                    action.action.clone(),
                    action.reason.clone(),
                    action.detail.clone().unwrap_or_default(),
                ]
            })
        }
    }
}

/// Returns the names of all lanes.
pub fn lane_names() -> Vec<String> {
    registry().lane_names().map(str::to_owned).collect()
}

/// A name that is neither a queue nor a lane would pause nothing and say that it did.
fn require_known(name: &str) -> Result<(), Failure> {
    let lanes = lane_names();
    if lanes.iter().any(|lane| lane == name) || Queue::ALL.iter().any(|queue| queue.as_str() == name) {
        return Ok(());
    }
    Err(Failure::Usage(format!("`{name}` is neither a queue nor a lane; known: {}", lanes.join(", "))))
}

fn require_positive(most: Option<i32>) -> Result<(), Failure> {
    if most.is_some_and(|most| most < 1) {
        return Err(Failure::Usage(
            "a limit of less than one job lets nothing through; `queues pause` does that".into(),
        ));
    }
    Ok(())
}

/// A lane with what holds it back, its own or its queue's.
#[derive(serde::Serialize)]
pub struct Lane {
    #[serde(flatten)]
    pub backlog: Backlog,
    controls: Vec<QueueControl>,
}

/// Returns every lane, by name.
pub async fn lanes(connection: &mut PgConnection) -> sqlx::Result<Vec<Lane>> {
    let mut backlogs = job_list::backlogs(&mut *connection).await?;
    for name in lane_names() {
        if !backlogs.iter().any(|backlog| backlog.queue == name) {
            backlogs.push(Backlog::none(name));
        }
    }
    backlogs.sort_by(|a, b| a.queue.cmp(&b.queue));
    let controls = queue_controls::list(connection).await?;
    let with_controls = |backlog: Backlog| {
        let held = controls.iter().filter(|control| control.holds(&backlog.queue)).cloned().collect();
        Lane { backlog, controls: held }
    };
    Ok(backlogs.into_iter().map(with_controls).collect())
}

/// Writes lanes as a table.
pub fn describe_lanes(lanes: &[Lane]) -> String {
    let titles = ["queue", "waiting", "oldest", "scheduled", "sent", "running", "dead", "held back by"];
    table(lanes, &titles, |Lane { backlog, controls }| {
        vec![
            backlog.queue.clone(),
            backlog.waiting.to_string(),
            backlog.oldest_waiting_seconds.map(describe_age).unwrap_or_default(),
            backlog.scheduled.to_string(),
            backlog.sent.to_string(),
            backlog.running.to_string(),
            backlog.dead.to_string(),
            controls.iter().flat_map(|control| describe(control, &backlog.queue)).collect::<Vec<_>>().join("\n"),
        ]
    })
}

fn describe(control: &QueueControl, lane: &str) -> Vec<String> {
    let whose = if control.queue == lane { String::new() } else { format!(" (all of {})", control.queue) };
    let mut said = Vec::new();
    if let (Some(since), Some(by), Some(reason)) = (control.paused_at, &control.paused_by, &control.pause_reason) {
        let until = control.paused_until.map(|until| format!(" until {}", until.format("%F %T"))).unwrap_or_default();
        said.push(format!("paused{until} by {by} since {}: {reason}{whose}", since.format("%F %T")));
    }
    if let Some(most) = control.max_running {
        said.push(format!("at most {most} at once{whose}"));
    }
    if let (Some(starts), Some(seconds)) = (control.rate_limit, control.rate_period_seconds) {
        let period = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        said.push(format!("at most {starts} starts in {}{whose}", humantime::format_duration(period)));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_as_they_are_written() {
        assert_eq!("none".parse(), Ok(Setting::<i32>(None)));
        assert_eq!("7".parse(), Ok(Setting(Some(7))));
        let rate = Rate { starts: 100, period: Duration::from_mins(1) };
        assert_eq!("100/1m".parse(), Ok(Setting(Some(rate))));
        for wrong in ["", "100", "0/1m", "-1/1m", "100/0s", "100/soon", "x/1m"] {
            assert!(wrong.parse::<Setting<Rate>>().is_err(), "{wrong}");
        }
    }
}
