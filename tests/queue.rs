//! The engine: nothing is lost, nothing runs twice, failures are retried or not as they say, and the outcome is one with
//! its effects.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use billrunner::{
    domain::ids::JobId,
    queue::{Registry, WorkerSettings},
};

use chrono::{DateTime, Utc};

use crate::support::{
    bench::{Bench, Does, Hold},
    worker::{settings, settled, wait_for},
};

#[tokio::test]
async fn ten_thousand_jobs_due_at_the_same_moment_drain() -> Result<()> {
    let bench = Bench::new().await?;
    bench.hand_in_many(10_000, Does::Nothing).await?;
    let workers = (bench.start_worker(settings()), bench.start_worker(settings()));
    settled(bench.pool()).await?;
    assert_eq!(bench.count("SELECT count(*) FROM jobs WHERE state = 'done'").await?, 10_000);
    assert_eq!(bench.count("SELECT count(*) FROM job_attempts WHERE outcome = 'done'").await?, 10_000);
    let mut ran = bench.ran();
    assert_eq!(ran.len(), 10_000);
    ran.sort();
    ran.dedup();
    assert_eq!(ran.len(), 10_000, "a job ran twice");
    workers.0.stop().await?;
    workers.1.stop().await
}

#[tokio::test]
async fn failures_are_retried_or_not_as_they_say() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    // What the job does, how often it fails, its end, and how each of its attempts ended.
    let cases: [(Does, i32, &str, &[&str]); 9] = [
        (Does::FailTransiently, 2, "done", &["failed", "failed", "done"]),
        (Does::FailTransiently, 9, "dead", &["failed", "failed", "failed"]),
        (Does::FailPermanently, 9, "dead", &["failed"]),
        (Does::Panic, 1, "done", &["failed", "done"]),
        (Does::Panic, 9, "dead", &["failed", "failed", "failed"]),
        (Does::Hang, 1, "done", &["failed", "done"]),
        (Does::Snooze, 4, "done", &["snoozed", "snoozed", "snoozed", "snoozed", "done"]),
        (Does::WriteThenFail, 9, "dead", &["failed"]),
        (Does::FollowUpThenFail, 9, "dead", &["failed"]),
    ];
    for (n, (does, times, state, outcomes)) in cases.into_iter().enumerate() {
        let before = bench.effects().await?;
        let id = bench.hand_in(&n.to_string(), does, times).await?;
        let (job, attempts) = wait_for(bench.pool(), id).await?;
        let seen: Vec<&str> = attempts.iter().filter_map(|attempt| attempt.outcome.as_deref()).collect();
        assert_eq!((job.state.as_str(), seen.as_slice()), (state, outcomes), "case {n}: {:?}", job.last_error);
        assert_eq!(
            bench.effects().await? - before,
            i64::from(state == "done"),
            "case {n} leaves its effect once or not at all"
        );
    }
    assert_eq!(
        bench.count("SELECT count(*) FROM jobs WHERE parent_id IS NOT NULL").await?,
        0,
        "a failed job's follow-up"
    );
    worker.stop().await
}

#[tokio::test]
async fn a_follow_up_job_runs_after_its_parent_and_knows_it() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    let id = bench.hand_in("1", Does::FollowUp, 0).await?;
    assert_eq!(wait_for(bench.pool(), id).await?.0.state, "done");
    settled(bench.pool()).await?;
    let children: Vec<(String, JobId)> =
        sqlx::query_as("SELECT state, parent_id FROM jobs WHERE parent_id IS NOT NULL").fetch_all(bench.pool()).await?;
    assert_eq!(children, [("done".to_owned(), id)]);
    assert_eq!(bench.effects().await?, 2);
    worker.stop().await
}

#[tokio::test]
async fn the_command_line_shows_every_attempt_and_retries_only_what_is_dead() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    let id = bench.hand_in("1", Does::FailTransiently, 3).await?;
    assert_eq!(wait_for(bench.pool(), id).await?.0.state, "dead");
    let id_text = id.to_string();

    let shown = bench.billrunner(&["jobs", "show", &id_text, "--json"]).await?;
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout)?;
    let attempts = shown["attempts"].as_array().expect("a list");
    let outcomes: Vec<_> = attempts.iter().map(|attempt| (&attempt["outcome"], &attempt["message"])).collect();
    assert_eq!(outcomes, [(&"failed".into(), &"it may pass".into()); 3]);

    let retried = bench.billrunner(&["jobs", "retry", &id_text]).await?;
    assert_eq!(retried.status.code(), Some(0));
    assert_eq!(wait_for(bench.pool(), id).await?.0.state, "done");
    let again = bench.billrunner(&["jobs", "retry", &id_text]).await?;
    assert_eq!(again.status.code(), Some(4), "a job that is done is not dead");
    let unknown = bench.billrunner(&["jobs", "show", &JobId::new().to_string()]).await?;
    assert_eq!(unknown.status.code(), Some(3));
    worker.stop().await
}

#[tokio::test]
async fn an_attempt_that_was_superseded_cannot_commit() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    let id = bench.hand_in_hold("1", "aws").await?;
    bench.started().await?;
    // As a rescue does while the first worker sleeps: the next attempt is somebody else's.
    sqlx::query("UPDATE jobs SET attempt = attempt + 1, started_attempt = attempt + 1, worker_id = $2 WHERE id = $1")
        .bind(id)
        .bind(JobId::new())
        .execute(bench.pool())
        .await?;
    bench.release(1);
    worker.stop().await?;
    assert_eq!(bench.effects().await?, 0);
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 1, "its follow-up job is not there");
    let state: String =
        sqlx::query_scalar("SELECT state FROM jobs WHERE id = $1").bind(id).fetch_one(bench.pool()).await?;
    assert_eq!(state, "running");
    Ok(())
}

#[tokio::test]
async fn a_stopping_worker_finishes_what_runs_within_the_grace() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    let id = bench.hand_in_hold("1", "aws").await?;
    bench.started().await?;
    let stopping = tokio::spawn(worker.stop());
    bench.release(1);
    stopping.await??;
    assert_eq!(wait_for(bench.pool(), id).await?.0.state, "done");
    Ok(())
}

#[tokio::test]
async fn a_kind_that_this_release_does_not_know_waits_for_one_that_does() -> Result<()> {
    let bench = Bench::new().await?;
    let of_the_old_release = Registry::new(["aws", "google"].into_iter()).with::<Hold>();
    let old = bench.start_worker_of(Arc::new(of_the_old_release), settings());
    let id = bench.hand_in("1", Does::Work, 0).await?;
    let failed = "SELECT count(*) FROM job_attempts WHERE outcome = 'failed'";
    bench.until_count("the first failure", failed, 1).await?;
    old.stop().await?;
    let (said, ended): (String, Option<DateTime<Utc>>) =
        sqlx::query_as("SELECT last_error, finished_at FROM jobs WHERE id = $1")
            .bind(id)
            .fetch_one(bench.pool())
            .await?;
    assert_eq!((said.as_str(), ended), ("this release knows no job `task`", None));
    let new = bench.start_worker(settings());
    assert_eq!(wait_for(bench.pool(), id).await?.0.state, "done");
    new.stop().await
}

/// A lease of an hour: only what was handed back can run again in time.
fn long_lease() -> WorkerSettings {
    WorkerSettings { lease: Duration::from_hours(1), ..settings() }
}

#[tokio::test]
async fn a_stopping_worker_hands_back_what_does_not_finish() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(WorkerSettings { grace: Duration::ZERO, ..long_lease() });
    let id = bench.hand_in_hold("1", "aws").await?;
    bench.started().await?;
    worker.stop().await?;
    let waiting = bench.entries(&bench.streams.lane_key("billing.aws")).await?;
    assert_eq!(waiting.len(), 1, "a fresh copy waits for whoever is free");
    let other = bench.start_worker(long_lease());
    bench.started().await?;
    bench.release(1);
    let (job, attempts) = wait_for(bench.pool(), id).await?;
    assert_eq!((job.state.as_str(), job.failed_attempts, attempts.len()), ("done", 0, 1));
    settled(bench.pool()).await?;
    assert_eq!(bench.effects().await?, 2, "its own and its follow-up's");
    other.stop().await
}

/// Quick to find vanished workers.
fn short_lease() -> WorkerSettings {
    WorkerSettings { lease: Duration::from_secs(1), ..settings() }
}

#[tokio::test]
async fn a_stopping_worker_keeps_its_leases_while_it_drains() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(WorkerSettings { grace: Duration::from_mins(1), ..short_lease() });
    let id = bench.hand_in_hold("1", "aws").await?;
    bench.started().await?;
    let stopping = tokio::spawn(worker.stop());
    // Left after the job's own message was read: who rescues this would rescue that too.
    let key = bench.streams.lane_key("billing.aws");
    let abandoned = bench.leave_with_dead_worker(&key, JobId::new(), 1).await?;
    let other = bench.start_worker(short_lease());
    bench.rescued(&key, &abandoned).await?;
    bench.release(1);
    let (job, attempts) = wait_for(bench.pool(), id).await?;
    assert_eq!((job.state.as_str(), job.failed_attempts, attempts.len()), ("done", 0, 1));
    stopping.await??;
    other.stop().await
}

#[tokio::test]
async fn a_copy_left_by_a_dead_worker_is_no_death_of_the_one_who_runs_the_job() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(short_lease());
    let id = bench.hand_in_hold("1", "aws").await?;
    bench.started().await?;
    // Redis may carry a message twice; whoever read the second copy died before dropping it.
    let key = bench.streams.lane_key("billing.aws");
    let copy = bench.leave_with_dead_worker(&key, id, 1).await?;
    bench.rescued(&key, &copy).await?;
    bench.release(1);
    let (job, attempts) = wait_for(bench.pool(), id).await?;
    let outcomes: Vec<&str> = attempts.iter().filter_map(|attempt| attempt.outcome.as_deref()).collect();
    assert_eq!((job.state.as_str(), outcomes.as_slice(), job.failed_attempts), ("done", ["done"].as_slice(), 0));
    worker.stop().await
}

#[tokio::test]
async fn a_vanished_workers_job_is_rescued_and_its_third_death_is_the_last() -> Result<()> {
    let bench = Bench::new().await?;
    let id = bench.hand_in_hold("1", "aws").await?;
    for _ in 0..3 {
        let worker = bench.start_worker(short_lease());
        bench.started().await?;
        worker.vanish().await;
    }
    let last = bench.start_worker(short_lease());
    let (job, attempts) = wait_for(bench.pool(), id).await?;
    let outcomes: Vec<&str> = attempts.iter().filter_map(|attempt| attempt.outcome.as_deref()).collect();
    assert_eq!((job.state.as_str(), outcomes.as_slice()), ("dead", ["worker_died"; 3].as_slice()));
    assert_eq!(bench.effects().await?, 0);
    last.stop().await
}
