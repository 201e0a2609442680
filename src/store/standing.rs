//! How everything stands, for `billrunner status` and the console's first page: what `domain::verdict` judges.
//!
//! Each part is asked through an index over what is not finished, however many jobs there were.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::{
    mail_outcomes,
    schedules::{self, Schedule},
    scrape::{self, LaneStanding},
    workers::GONE_AFTER_SECS,
};
use crate::domain::verdict::{Facts, LaneFacts};

/// Workers take a tick within seconds.
const LATE_TICK: TimeDelta = TimeDelta::minutes(2);
/// Mails of so many hours tell how mail fares.
const MAIL_HOURS: i32 = 24;
/// Bill runs counted at most, of a provider.
const MOST_BILL_RUNS: i64 = 100;
/// What the names of lanes that have a provider of their own begin with.
const OF_PROVIDERS: &str = "billing.";

/// How everything stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Every lane.
    pub lanes: Vec<LaneStanding>,
    /// What is judged.
    pub facts: Facts,
}

/// Returns how everything stands. Of a lane's jobs so many are counted at most.
///
/// # Errors
/// When the database fails.
pub async fn look(connection: &mut PgConnection, lane_names: &[String], at_most: i64) -> sqlx::Result<Standing> {
    let lanes = scrape::lanes(&mut *connection, lane_names, at_most).await?;
    let providers: Vec<String> =
        lane_names.iter().filter_map(|lane| lane.strip_prefix(OF_PROVIDERS)).map(str::to_owned).collect();
    let bill_runs = scrape::bill_runs(&mut *connection, &providers, MOST_BILL_RUNS).await?;
    let now = schedules::now(&mut *connection).await?;
    let schedules = schedules::list(&mut *connection).await?;
    let mails = mail_outcomes::of_last_hours(&mut *connection, MAIL_HOURS).await?;
    let mails_that = |state: &str| mails.iter().filter(|mail| mail.state == state).map(|mail| mail.count).sum();
    let facts = Facts {
        live_workers: count(scrape::live_workers(connection, GONE_AFTER_SECS).await?),
        lanes: lanes.iter().map(facts_of).collect(),
        failing_schedules: schedules.into_iter().filter(|one| is_failing(one, now)).map(|one| one.name).collect(),
        unsettled_bill_runs: bill_runs.iter().map(|runs| count(runs.unsettled)).sum(),
        failed_mails: mails_that("failed"),
        uncertain_mails: mails_that("uncertain"),
    };
    Ok(Standing { lanes, facts })
}

/// Tells whether a schedule that is not paused missed a tick, was refused, or started a job that failed.
pub fn is_failing(schedule: &Schedule, now: DateTime<Utc>) -> bool {
    let is_late = schedule.next_run_at.is_some_and(|tick| tick + LATE_TICK < now);
    let has_failed = matches!(schedule.last_job_state.as_deref(), Some("dead" | "discarded"));
    schedule.paused_at.is_none() && (is_late || has_failed || schedule.last_error.is_some())
}

fn facts_of(lane: &LaneStanding) -> LaneFacts {
    LaneFacts {
        queue: lane.queue.clone(),
        waiting: count(lane.waiting),
        oldest_waiting_seconds: lane.oldest_waiting_age_seconds,
        dead: count(lane.dead),
        is_paused: lane.is_paused,
    }
}

/// Reads a count that was made for `/metrics`.
#[expect(clippy::cast_possible_truncation, reason = "it is a whole number far below 2^53")]
fn count(number: f64) -> i64 {
    number as i64
}
