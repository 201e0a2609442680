//! When a job runs again and when no more: what the other side named, its kind's caps, its attempts.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};

use crate::support::{
    bench::Bench,
    flow::{self, Act, act, until_state},
    worker::{settings, until, wait_for},
};

/// A job's state with its failures and how long after its last attempt it runs again.
async fn after_one_attempt(bench: &Bench, what: Act) -> Result<(String, i32, TimeDelta)> {
    let worker = bench.start_worker(settings());
    let id = act(bench, "1", what).await?;
    let looked = until("its first attempt", || async {
        let row = "SELECT state, failed_attempts, run_at, finished.finished_at FROM jobs
                   JOIN job_attempts AS finished ON job_id = id AND finished.attempt = 1 WHERE id = $1";
        let row: Option<(String, i32, DateTime<Utc>, DateTime<Utc>)> =
            sqlx::query_as(row).bind(id).fetch_optional(bench.pool()).await?;
        Ok(row)
    })
    .await?;
    worker.stop().await?;
    let (state, failed_attempts, run_at, finished_at) = looked;
    Ok((state, failed_attempts, run_at - finished_at))
}

#[tokio::test]
async fn a_job_does_not_run_again_before_the_time_the_other_side_named() -> Result<()> {
    let bench = flow::bench().await?;
    let (state, failed_attempts, wait) = after_one_attempt(&bench, Act::RetryAfter(600)).await?;
    assert_eq!((state.as_str(), failed_attempts), ("scheduled", 1));
    // The kind's longest backoff comes on top, so that those that were told the same do not come back together.
    let (least, most) = (TimeDelta::seconds(600) - TimeDelta::milliseconds(5), TimeDelta::milliseconds(600_055));
    assert!(least <= wait && wait <= most, "{wait}");
    Ok(())
}

#[tokio::test]
async fn nobody_imposes_a_wait_of_more_than_a_day() -> Result<()> {
    let bench = flow::bench().await?;
    let (_, _, wait) = after_one_attempt(&bench, Act::RetryAfter(u64::MAX)).await?;
    assert!(wait <= TimeDelta::days(1) + TimeDelta::seconds(1), "{wait}");
    assert!(wait >= TimeDelta::days(1) - TimeDelta::seconds(1), "{wait}");
    Ok(())
}

#[tokio::test]
async fn a_snoozed_job_has_failed_nothing() -> Result<()> {
    let bench = flow::bench().await?;
    let (state, failed_attempts, wait) = after_one_attempt(&bench, Act::SnoozeFor(60)).await?;
    assert_eq!((state.as_str(), failed_attempts), ("scheduled", 0));
    assert!((wait - TimeDelta::seconds(60)).abs() < TimeDelta::milliseconds(5), "{wait}");
    Ok(())
}

#[tokio::test]
async fn a_job_may_snooze_more_often_than_it_may_fail() -> Result<()> {
    let bench = flow::bench().await?;
    let worker = bench.start_worker(settings());
    let id = act(&bench, "1", Act::SnoozeFor(0)).await?;
    bench.until_count("a dozen snoozes", "SELECT count(*) FROM job_attempts WHERE outcome = 'snoozed'", 12).await?;
    let failed: i32 =
        sqlx::query_scalar("SELECT failed_attempts FROM jobs WHERE id = $1").bind(id).fetch_one(bench.pool()).await?;
    assert_eq!(failed, 0);
    worker.stop().await
}

#[tokio::test]
async fn each_kind_has_its_own_number_of_attempts_and_its_own_longest_backoff() -> Result<()> {
    let bench = flow::bench().await?;
    let worker = bench.start_worker(billrunner::queue::WorkerSettings {
        retry_base: std::time::Duration::from_hours(1),
        ..settings()
    });
    // At a base of an hour only its kind's longest backoff, 50 milliseconds, lets it come to its end here.
    let id = act(&bench, "1", Act::Fail).await?;
    let (job, attempts) = wait_for(bench.pool(), id).await?;
    assert_eq!((job.state.as_str(), job.failed_attempts, attempts.len()), ("dead", 5, 5));
    until_state(&bench, id, "dead").await?;
    worker.stop().await
}
