//! A real master with its replica and three sentinels: failovers, one of them to a replica that had lost the last writes.

use std::time::Duration;

use anyhow::{Context, Result};
use billrunner::queue::WorkerSettings;

use crate::support::{
    bench::{Bench, Does},
    nodes::{Watched, until_role},
    worker::{Running, settings, settled, until},
};

const JOBS: usize = 300;
/// One job for each worker, and what none of them has a hand free for; each leaves a follow-up job.
const RUNNING: usize = 2;
const LOST: usize = 12;
/// Of these so many are in the stream at least: a lane is not filled beyond its window.
const SENT: usize = 5;
const DONE: &str = "SELECT count(*) FROM jobs WHERE state = 'done'";
const DISPATCHED: &str = "SELECT count(*) FROM jobs WHERE state = 'dispatched'";
/// Before anybody looks for a job that Redis has had for long, which would find what is lost too, only later.
const BEFORE_THE_ORDINARY_LOOK: Duration = Duration::from_secs(29);

async fn start(watched: &Watched) -> Result<(Bench, [Running; 2])> {
    let bench = Bench::on(watched.streams()?).await?;
    let workers = [bench.start_worker(settings()), bench.start_worker(settings())];
    Ok((bench, workers))
}

async fn check(bench: &Bench, expected: usize) -> Result<()> {
    settled(bench.pool()).await?;
    let expected = i64::try_from(expected)?;
    assert_eq!((bench.count(DONE).await?, bench.effects().await?), (expected, expected));
    Ok(())
}

async fn stop(workers: [Running; 2]) -> Result<()> {
    for worker in workers {
        worker.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_failover_in_the_middle_loses_and_repeats_nothing() -> Result<()> {
    let mut watched = Watched::start().await?;
    let (bench, workers) = start(&watched).await?;
    bench.hand_in_many(JOBS, Does::Work).await?;
    bench.until_count("the middle", DONE, 20).await?;
    assert!(bench.count(DONE).await? < i64::try_from(JOBS)?, "the middle was missed");
    watched.master.kill()?;
    check(&bench, JOBS).await?;
    until_role(&watched.replica, "master").await?;
    // Who comes back is made a replica of the new master, and nobody's queue.
    watched.master.restart().await?;
    until_role(&watched.master, "slave").await?;
    bench.hand_in_many(JOBS, Does::Work).await?;
    check(&bench, 2 * JOBS).await?;
    stop(workers).await
}

#[tokio::test]
async fn a_master_that_became_a_replica_is_left() -> Result<()> {
    let watched = Watched::start().await?;
    let (bench, workers) = start(&watched).await?;
    bench.hand_in_many(JOBS, Does::Work).await?;
    bench.until_count("the middle", DONE, 20).await?;
    watched.fail_over().await?;
    until_role(&watched.replica, "master").await?;
    until_role(&watched.master, "slave").await?;
    bench.hand_in_many(50, Does::Work).await?;
    check(&bench, JOBS + 50).await?;
    stop(workers).await
}

#[tokio::test]
async fn jobs_that_a_failover_lost_are_sent_again_at_once() -> Result<()> {
    let mut watched = Watched::start().await?;
    let bench = Bench::on(watched.streams()?).await?;
    let one_at_a_time = || WorkerSettings { concurrency: Box::new(|_| 1), ..settings() };
    let workers = [bench.start_worker(one_at_a_time()), bench.start_worker(one_at_a_time())];
    let key = bench.streams.lane_key("billing.aws");
    // Each worker has its hands full, so that what comes next lies in the stream.
    for n in 0..RUNNING {
        bench.hand_in_hold(&format!("running {n}"), "aws").await?;
        bench.started().await?;
    }
    watched.cut_replica_off().await?;
    for n in 0..LOST {
        bench.hand_in_hold(&format!("lost {n}"), "aws").await?;
    }
    bench.until_count("the jobs to be with redis", DISPATCHED, 5).await?;
    let lengths = |of: &'static str| format!("{of} {key}");
    until("the jobs in the stream", || async {
        Ok((watched.master.ask::<usize>(&lengths("XLEN")).await? >= RUNNING + SENT).then_some(()))
    })
    .await?;
    assert!(watched.replica.ask::<usize>(&lengths("XLEN")).await? <= RUNNING, "the replica lacks the last writes");
    watched.master.kill()?;
    bench.release(RUNNING + LOST);
    let all = tokio::time::timeout(BEFORE_THE_ORDINARY_LOOK, check(&bench, 2 * (RUNNING + LOST))).await;
    all.context("what was lost waits for somebody to look")??;
    stop(workers).await
}
