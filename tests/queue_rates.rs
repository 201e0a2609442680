//! How many jobs start in a time: never more than the bucket allows, by the database's clock.

use std::collections::BTreeMap;

use anyhow::Result;
use billrunner::store::{
    jobs::{self, Room},
    queue_controls,
};
use chrono::{DateTime, Utc};

use crate::support::{
    bench::{Bench, Does},
    flow::OPERATOR,
    worker::{settings, settled, wait_for},
};

async fn limit_rate(bench: &Bench, queue: &str, starts: i32, seconds: f64) -> Result<()> {
    let mut transaction = bench.pool().begin().await?;
    queue_controls::limit_rate(&mut transaction, queue, Some((starts, seconds)), OPERATOR).await?;
    Ok(transaction.commit().await?)
}

#[tokio::test]
async fn no_more_jobs_start_in_any_time_than_the_bucket_allows() -> Result<()> {
    let bench = Bench::new().await?;
    limit_rate(&bench, "status", 10, 1.0).await?;
    bench.hand_in_many(35, Does::Work).await?;
    let workers = (bench.start_worker(settings()), bench.start_worker(settings()));
    settled(bench.pool()).await?;
    let started: Vec<DateTime<Utc>> =
        sqlx::query_scalar("SELECT started_at FROM jobs ORDER BY started_at").fetch_all(bench.pool()).await?;
    for (i, from) in started.iter().enumerate() {
        for (j, to) in started.iter().enumerate().skip(i) {
            let seconds = (*to - *from).as_seconds_f64();
            // A bucket is filled when a dispatcher looks: what starts just before a look frees its place a token early.
            let (count, allowed) = (f64::from(u32::try_from(j - i + 1)?), 10.0 + 10.0 * seconds + 2.0);
            assert!(count <= allowed, "{count} starts in {seconds} seconds");
        }
    }
    assert_eq!(bench.effects().await?, 35);
    workers.0.stop().await?;
    workers.1.stop().await
}

#[tokio::test]
async fn what_was_sent_and_has_not_started_keeps_its_place_in_the_bucket() -> Result<()> {
    let bench = Bench::new().await?;
    limit_rate(&bench, "status", 5, 1.0).await?;
    bench.hand_in_many(20, Does::Work).await?;
    let mut connection = bench.pool().acquire().await?;
    for expected in [5, 0] {
        let allowance = queue_controls::hold_allowances(&mut connection).await?.remove(0);
        assert_eq!(allowance.jobs, expected);
        let room = Room { queue: "status".into(), places: allowance.jobs, bound: "status".into(), bound_places: None };
        let taken = jobs::take_due(&mut connection, &[room], true).await?;
        let lanes: Vec<String> = taken.into_iter().map(|dispatch| dispatch.queue).collect();
        let next = queue_controls::spend_tokens(&mut connection, &lanes).await?;
        assert!(next.is_some_and(|seconds| seconds <= 0.2), "{next:?}");
        // As if the workers had stood still for an hour: the bucket would be full again.
        let idle = "UPDATE queue_controls SET tokens_at = tokens_at - interval '1 hour'";
        sqlx::query(idle).execute(&mut *connection).await?;
    }
    // Two have started: two may follow.
    let started = "UPDATE jobs SET state = 'running', started_attempt = attempt WHERE id IN
                   (SELECT id FROM jobs WHERE state = 'dispatched' LIMIT 2)";
    sqlx::query(started).execute(&mut *connection).await?;
    assert_eq!(queue_controls::hold_allowances(&mut connection).await?.remove(0).jobs, 2);
    Ok(())
}

#[tokio::test]
async fn each_lane_takes_from_the_bucket_of_its_queue_and_from_its_own() -> Result<()> {
    let bench = Bench::new().await?;
    limit_rate(&bench, "billing", 4, 3600.0).await?;
    limit_rate(&bench, "billing.aws", 4, 3600.0).await?;
    let mut connection = bench.pool().acquire().await?;
    let lanes = ["billing.aws", "billing.google", "billing.google", "mail"].map(str::to_owned);
    queue_controls::spend_tokens(&mut connection, &lanes).await?;
    let left = queue_controls::hold_allowances(&mut connection).await?;
    let left: BTreeMap<_, _> = left.into_iter().map(|allowance| (allowance.queue, allowance.jobs)).collect();
    assert_eq!(left, [("billing".to_owned(), 1), ("billing.aws".to_owned(), 3)].into());
    Ok(())
}

#[tokio::test]
async fn a_queues_rate_is_shared_by_its_lanes() -> Result<()> {
    let bench = Bench::new().await?;
    limit_rate(&bench, "billing", 4, 3600.0).await?;
    for n in 0..4 {
        bench.hand_in_hold(&format!("aws {n}"), "aws").await?;
        bench.hand_in_hold(&format!("google {n}"), "google").await?;
    }
    let worker = bench.start_worker(settings());
    for _ in 0..4 {
        bench.started().await?;
    }
    bench.release(4);
    bench.until_count("the four to end", "SELECT count(*) FROM jobs WHERE kind = 'hold' AND state = 'done'", 4).await?;
    // What comes after them is done, so the dispatcher has looked again.
    let after = bench.hand_in("after", Does::Nothing, 0).await?;
    wait_for(bench.pool(), after).await?;
    assert_eq!(bench.count("SELECT count(*) FROM jobs WHERE kind = 'hold' AND state <> 'scheduled'").await?, 4);
    worker.stop().await
}
