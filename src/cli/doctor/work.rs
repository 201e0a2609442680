//! The work itself: who lives to do it, what waits too long, what nobody will do, what nobody started.

use std::time::Duration;

use sqlx::PgConnection;

use super::{Finding, describe, fail, ok, warn};
use crate::{
    cli::setup,
    config::Config,
    domain::{age::describe_age, verdict::LONG_WAIT_SECS, worker_name::WorkerName},
    store::{
        bill_runs,
        job_list::{self, Backlog},
        queue_controls::{self, QueueControl},
        schedules::{self, Schedule},
        workers,
    },
};

/// Workers take a tick within seconds.
const LATE_TICK: Duration = Duration::from_mins(2);
/// Bill runs looked at; one that nobody looks after is enough.
const SHOWN_BILL_RUNS: i64 = 20;

pub async fn look(config: &Config) -> Vec<Finding> {
    let looked = async {
        let pool = setup::connect(config).await?;
        let mut connection = pool.acquire().await?;
        anyhow::Ok(look_at(&mut connection).await?)
    };
    looked.await.unwrap_or_else(|error| {
        vec![fail(describe(&error), "run `billrunner doctor --only postgres`: it says what is wrong")]
    })
}

async fn look_at(connection: &mut PgConnection) -> sqlx::Result<Vec<Finding>> {
    Ok(vec![
        alive(&workers::list(&mut *connection).await?),
        waiting(&job_list::backlogs(&mut *connection).await?, &queue_controls::list(&mut *connection).await?),
        dead(&job_list::backlogs(&mut *connection).await?),
        ticks(&schedules::list(&mut *connection).await?, schedules::now(&mut *connection).await?),
        attention(bill_runs::needing_attention(connection, SHOWN_BILL_RUNS).await?.len()),
    ])
}

fn alive(rows: &[workers::WorkerRow]) -> Finding {
    let alive: Vec<_> = rows.iter().filter(|row| row.seen_seconds_ago < workers::GONE_AFTER_SECS).collect();
    if alive.is_empty() {
        return warn("no worker is alive: jobs wait", "start `billrunner worker`");
    }
    let mut versions: Vec<&str> = alive.iter().map(|row| WorkerName::read(&row.name).version).collect();
    versions.sort_unstable();
    versions.dedup();
    ok(format!("workers alive: {}, of version {}", alive.len(), versions.join(", ")))
}

fn waiting(backlogs: &[Backlog], controls: &[QueueControl]) -> Finding {
    let age = |backlog: &Backlog| backlog.oldest_waiting_seconds.unwrap_or_default();
    let oldest = backlogs.iter().filter(|backlog| backlog.waiting > 0).max_by(|a, b| age(a).total_cmp(&age(b)));
    let Some(oldest) = oldest else { return ok("no job waits") };
    let what = format!("the oldest job waits for {}, in {}", describe_age(age(oldest)), oldest.queue);
    if age(oldest) < LONG_WAIT_SECS {
        return ok(what);
    }
    match controls.iter().find(|control| control.holds(&oldest.queue)).map(|control| control.queue.as_str()) {
        Some(held) => warn(
            format!("{what}, which is paused or limited"),
            format!("`billrunner queues list` says by whom and why; `billrunner queues resume {held}` lets it go on"),
        ),
        None => warn(what, "see `billrunner workers` for what they do, their logs for why, and start more of them"),
    }
}

fn dead(backlogs: &[Backlog]) -> Finding {
    match backlogs.iter().map(|backlog| backlog.dead).sum::<i64>() {
        0 => ok("no job is dead"),
        count => warn(
            format!("dead jobs, which will not run again by themselves: {count}"),
            "`billrunner dead list --group` says of what; `dead retry` or `dead discard` them",
        ),
    }
}

fn ticks(all: &[Schedule], now: chrono::DateTime<chrono::Utc>) -> Finding {
    let is_late = |schedule: &&Schedule| {
        schedule.paused_at.is_none()
            && (schedule.last_error.is_some() || schedule.next_run_at.is_some_and(|tick| tick + LATE_TICK < now))
    };
    let late: Vec<&str> = all.iter().filter(is_late).map(|schedule| schedule.name.as_str()).collect();
    if late.is_empty() {
        return ok(format!("schedules in time: {}", all.len()));
    }
    warn(
        format!("schedules missed a tick or were refused: {}", late.join(", ")),
        "start a worker, which takes what is due; `billrunner schedules show NAME` says why one was refused",
    )
}

fn attention(bill_runs: usize) -> Finding {
    match bill_runs {
        0 => ok("no bill run needs attention"),
        count => warn(
            format!("bill runs that need attention: {count}"),
            "`billrunner status` lists them; `billrunner bill-runs show` says what is missing and what to do",
        ),
    }
}
