//! Which job goes first: the more urgent, when due, and no lane waits for another.

use std::time::Duration;

use anyhow::Result;
use billrunner::{
    queue::{JobOptions, WorkerSettings},
    store::{
        database,
        jobs::{self, Room},
    },
};
use chrono::{DateTime, Utc};

use crate::support::{
    bench::{Bench, Does, task},
    worker::{settings, settled, wait_for},
};

fn one_at_a_time() -> WorkerSettings {
    WorkerSettings { concurrency: Box::new(|_| 1), ..settings() }
}

#[tokio::test]
async fn the_more_urgent_of_two_waiting_jobs_goes_first() -> Result<()> {
    let bench = Bench::new().await?;
    let mut expected = Vec::new();
    for (id, priority) in [("low", -1), ("normal", 0), ("high", 1), ("highest", 2)] {
        let options = JobOptions { priority, ..JobOptions::default() };
        expected.insert(0, bench.accept_with(id, &task(Does::Work, 0), options).await?.id());
    }
    let worker = bench.start_worker(one_at_a_time());
    settled(bench.pool()).await?;
    assert_eq!(bench.ran(), expected);
    worker.stop().await
}

#[tokio::test]
async fn a_job_does_not_run_before_it_is_due() -> Result<()> {
    let bench = Bench::new().await?;
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT now()").fetch_one(bench.pool()).await?;
    let due = now + Duration::from_millis(1500);
    let options = JobOptions { run_at: Some(due), ..JobOptions::default() };
    let later = bench.accept_with("later", &task(Does::Work, 0), options).await?.id();
    let worker = bench.start_worker(settings());
    let at_once = bench.hand_in("at once", Does::Work, 0).await?;
    let (first, _) = wait_for(bench.pool(), at_once).await?;
    let (_, attempts) = wait_for(bench.pool(), later).await?;
    assert!(attempts[0].started_at >= due, "{:?} is before {due}", attempts[0].started_at);
    assert!(first.finished_at < Some(attempts[0].started_at), "nobody waits for what is not due");
    worker.stop().await
}

#[tokio::test]
async fn one_providers_lane_does_not_hold_up_anothers() -> Result<()> {
    let bench = Bench::new().await?;
    for n in 0..5 {
        bench.hand_in_hold(&format!("aws {n}"), "aws").await?;
    }
    let worker = bench.start_worker(one_at_a_time());
    bench.started().await?;
    let google = bench.hand_in_hold("google", "google").await?;
    let other_queue = bench.hand_in("status", Does::Work, 0).await?;
    bench.started().await?;
    assert_eq!(wait_for(bench.pool(), other_queue).await?.0.state, "done");
    let running: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT queue FROM jobs WHERE state = 'running' AND kind = 'hold' ORDER BY queue")
            .fetch_all(bench.pool())
            .await?;
    assert_eq!(running, ["billing.aws", "billing.google"]);
    bench.release(6);
    assert_eq!(wait_for(bench.pool(), google).await?.0.state, "done");
    settled(bench.pool()).await?;
    worker.stop().await
}

/// Puts so many jobs into a lane, due after so many seconds.
async fn insert_jobs(bench: &Bench, queue: &str, count: i32, due_after_secs: i32) -> Result<()> {
    sqlx::query(
        "INSERT INTO jobs (id, kind, queue, payload, payload_hash, source, external_id, max_attempts, run_at, requested_by)
         SELECT gen_random_uuid(), 'task', $1, '{}', sha256('{}'), 'test', gen_random_uuid()::text, 1,
             now() + $3 * interval '1 second', 'tester' FROM generate_series(1, $2) AS n",
    )
    .bind(queue)
    .bind(count)
    .bind(due_after_secs)
    .execute(bench.pool())
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_round_reads_what_it_sends_however_much_waits_and_however_empty_the_queue_was_when_analyzed() -> Result<()> {
    let bench = Bench::new().await?;
    insert_jobs(&bench, "documents", 1, 0).await?;
    sqlx::query("UPDATE jobs SET state = 'done', finished_at = now()").execute(bench.pool()).await?;
    sqlx::raw_sql("VACUUM ANALYZE jobs").execute(&mut bench.database.connect_as_owner().await?).await?;
    insert_jobs(&bench, "documents", 3000, -60).await?;
    insert_jobs(&bench, "mail", 3000, 86_400).await?;
    let rooms = ["billing", "documents", "mail", "status"].map(|queue| Room {
        queue: queue.to_owned(),
        places: 10,
        bound: queue.to_owned(),
        bound_places: None,
    });
    let flow = database::flow_pool(bench.pool());
    // From the sixth round on the plan is no longer made for the round.
    for _ in 0..8 {
        let mut transaction = flow.begin().await?;
        assert_eq!(jobs::take_due(&mut transaction, &rooms, false).await?.len(), 10);
        let read: i64 =
            sqlx::query_scalar("SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'jobs'::regclass")
                .fetch_one(&mut *transaction)
                .await?;
        assert!((10..=100).contains(&read), "{read} rows are read for 10 jobs");
        transaction.rollback().await?;
    }
    Ok(())
}
