//! Redis emptied, killed, frozen; Postgres hanging up on everybody: all jobs are done, each effect is there once.

use anyhow::Result;
use billrunner::{
    domain::ids::{JobId, WorkerId},
    queue::JobOptions,
    store::{
        jobs,
        workers::{self, GONE_AFTER_SECS},
    },
};
use chrono::DateTime;

use crate::support::{
    TestDatabase,
    bench::{Bench, Does, Entries, GROUP, Hold, request, task},
    postgres::TestPostgres,
    redis::TestRedis,
    worker::{Running, settings, settled, until, wait_for},
};

const JOBS: usize = 400;
/// Where each of them waits for the disk.
const SYNCED_JOBS: usize = 150;
const DONE: &str = "SELECT count(*) FROM jobs WHERE state = 'done'";
const EFFECTS: &str = "SELECT count(*) FROM suppressed_addresses";

/// Hundreds of jobs and two workers that are at them.
struct Work {
    bench: Bench,
    redis: TestRedis,
    workers: (Running, Running),
}

impl Work {
    /// Returns once some jobs are done and most are not.
    async fn in_the_middle() -> Result<Self> {
        let redis = TestRedis::start().await?;
        Self::of(Bench::on(redis.streams()?).await?, redis, JOBS).await
    }

    async fn of(bench: Bench, redis: TestRedis, jobs: usize) -> Result<Self> {
        bench.hand_in_many(jobs, Does::Work).await?;
        let workers = (bench.start_worker(settings()), bench.start_worker(settings()));
        bench.until_count("the middle", DONE, 20).await?;
        assert!(bench.count(DONE).await? < i64::try_from(jobs)?, "the middle was missed");
        Ok(Self { bench, redis, workers })
    }

    async fn check(self, expected: usize) -> Result<()> {
        settled(self.bench.pool()).await?;
        let expected = i64::try_from(expected)?;
        assert_eq!((self.bench.count(DONE).await?, self.bench.count(EFFECTS).await?), (expected, expected));
        self.workers.0.stop().await?;
        self.workers.1.stop().await
    }
}

#[tokio::test]
async fn a_redis_emptied_in_the_middle_loses_and_repeats_nothing() -> Result<()> {
    let work = Work::in_the_middle().await?;
    work.redis.flush_all().await?;
    work.check(JOBS).await
}

#[tokio::test]
async fn a_redis_killed_in_the_middle_and_started_empty_loses_and_repeats_nothing() -> Result<()> {
    let mut work = Work::in_the_middle().await?;
    work.redis.kill()?;
    work.bench.hand_in_many(50, Does::Work).await?;
    work.redis.restart().await?;
    work.check(JOBS + 50).await
}

#[tokio::test]
async fn a_redis_frozen_in_the_middle_loses_and_repeats_nothing() -> Result<()> {
    let work = Work::in_the_middle().await?;
    work.redis.freeze()?;
    // Accepted all the same: a job exists when its row is committed.
    work.bench.hand_in("one more", Does::Work, 0).await?;
    work.redis.thaw()?;
    work.check(JOBS + 1).await
}

#[tokio::test]
async fn a_postgres_that_hangs_up_in_the_middle_loses_and_repeats_nothing() -> Result<()> {
    let work = Work::in_the_middle().await?;
    // Twice: a job that is cut off both times has one of its three attempts left.
    for _ in 0..2 {
        work.bench.database.end_connections().await?;
    }
    work.check(JOBS).await
}

#[tokio::test]
async fn a_redis_that_turns_read_only_for_a_while_ends_no_worker() -> Result<()> {
    let work = Work::in_the_middle().await?;
    // The replica of nobody: it takes no writes, and then not even reads.
    for (serve_stale, refusal) in [("yes", "READONLY"), ("no", "MASTERDOWN")] {
        work.redis.ask::<()>("CONFIG SET replica-serve-stale-data", serve_stale).await?;
        work.redis.ask::<()>("REPLICAOF 127.0.0.1", "1").await?;
        work.bench.hand_in(refusal, Does::Work, 0).await?;
        until("refusals", || async {
            let refused: String = work.redis.ask("INFO", "errorstats").await?;
            Ok(refused.contains(&format!("errorstat_{refusal}:count=")).then_some(()))
        })
        .await?;
        work.redis.ask::<()>("REPLICAOF NO", "ONE").await?;
    }
    work.check(JOBS + 2).await
}

#[tokio::test]
async fn a_postgres_stopped_at_once_in_the_middle_loses_and_repeats_nothing() -> Result<()> {
    let mut postgres = TestPostgres::start().await?;
    let redis = TestRedis::start().await?;
    let bench = Bench::in_database(postgres.database().await?, redis.streams()?).await?;
    let work = Work::of(bench, redis, SYNCED_JOBS).await?;
    postgres.stop_at_once()?;
    let meanwhile = request("meanwhile", "test.task.run.v1", r#"{"does":"work"}"#);
    work.bench.add_request("ce", meanwhile.as_bytes()).await?;
    // Read by a worker, which finds nobody to record it.
    until("the request in somebody's hands", || async {
        let pending: (usize, Option<String>, Option<String>, Option<Entries>) =
            work.redis.ask(&format!("XPENDING {}", work.bench.streams.intake_key()), GROUP).await?;
        Ok((pending.0 == 1).then_some(()))
    })
    .await?;
    postgres.start_again().await?;
    work.check(SYNCED_JOBS + 1).await
}

#[tokio::test]
async fn a_job_that_its_worker_claimed_without_hearing_so_runs_again() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    bench.until_count("the worker", "SELECT count(*) FROM workers", 1).await?;
    let id = bench.hand_in_hold("1", "aws").await?;
    bench.started().await?;
    // Postgres hung up between the commit of a claim and its answer: the ledger says that the worker runs a second job.
    let in_2100 = JobOptions { run_at: DateTime::from_timestamp(4_102_444_800, 0), ..JobOptions::default() };
    let forgotten = bench.accept_with("2", &task(Does::Work, 0), in_2100).await?.id();
    let claimed =
        "UPDATE jobs SET state = 'running', attempt = 1, started_attempt = 1, started_at = now(), run_at = now(),
                       checked_at = now() - interval '1 hour', worker_id = (SELECT id FROM workers) WHERE id = $1";
    sqlx::query(claimed).bind(forgotten).execute(bench.pool()).await?;
    // The first is an hour old too, but in hand.
    let aged = "UPDATE jobs SET checked_at = now() - interval '1 hour' WHERE id = $1";
    sqlx::query(aged).bind(id).execute(bench.pool()).await?;
    let (job, attempts) = wait_for(bench.pool(), forgotten).await?;
    let outcomes: Vec<&str> = attempts.iter().filter_map(|attempt| attempt.outcome.as_deref()).collect();
    assert_eq!((job.state.as_str(), outcomes.as_slice()), ("done", ["handed_back", "done"].as_slice()));
    assert_eq!(job.failed_attempts, 0);
    bench.release(1);
    let (_, attempts) = wait_for(bench.pool(), id).await?;
    assert_eq!(attempts.len(), 1, "what is in hand is not forgotten");
    worker.stop().await
}

#[tokio::test]
async fn a_claim_that_a_crash_of_postgres_took_back_is_made_again_once_its_handler_has_ended() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    let idle = Hold { lane: "google".to_owned(), is_idle: true };
    let ids = [bench.hand_in_hold("1", "aws").await?, bench.accept_with("2", &idle, JobOptions::default()).await?.id()];
    for _ in ids {
        bench.started().await?;
    }
    // As before the claim, and nothing that reconciliation would look for.
    let taken_back = "UPDATE jobs SET state = 'dispatched', started_attempt = 0, started_at = NULL, worker_id = NULL,
                                      checked_at = 'infinity' WHERE id = ANY ($1)";
    sqlx::query(taken_back).bind(ids.as_slice()).execute(bench.pool()).await?;
    bench.release(4);
    for id in ids {
        let (job, attempts) = wait_for(bench.pool(), id).await?;
        let outcomes: Vec<&str> = attempts.iter().filter_map(|attempt| attempt.outcome.as_deref()).collect();
        assert_eq!((job.state.as_str(), job.attempt, outcomes.as_slice()), ("done", 1, ["done"].as_slice()));
    }
    settled(bench.pool()).await?;
    assert_eq!(bench.count(EFFECTS).await?, 2, "one of the job with effects, one of the job it enqueued");
    worker.stop().await
}

#[tokio::test]
async fn a_worker_that_was_not_seen_itself_judges_no_other_that_was_not() -> Result<()> {
    let database = TestDatabase::new().await?;
    let mut connection = database.pool.acquire().await?;
    let [silent, asks] = [WorkerId::new(), WorkerId::new()];
    let insert =
        "INSERT INTO workers (id, name, seen_at) SELECT unnest($1::uuid[]), 'test', now() - interval '1 minute'";
    sqlx::query(insert).bind([silent.0, asks.0]).execute(&mut *connection).await?;
    let id = JobId::new();
    sqlx::query(
        "INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, attempt, started_attempt,
                           max_attempts, run_at, started_at, worker_id, requested_by)
         VALUES ($1, 'noop', 'status', '{}', 'test', '1', '', 'running', 1, 1, 3, now(), now() - interval '1 minute', $2, 'test')",
    )
    .bind(id.0)
    .bind(silent.0)
    .execute(&mut *connection)
    .await?;
    let lost = jobs::attempts_of_lost_workers(&mut connection, asks, GONE_AFTER_SECS, 10).await?;
    assert_eq!(lost, [], "Postgres was away from both");
    workers::record_heartbeat(&mut connection, asks, "test").await?;
    let lost = jobs::attempts_of_lost_workers(&mut connection, asks, GONE_AFTER_SECS, 10).await?;
    assert_eq!(lost, [(id, 1, silent)]);
    workers::record_heartbeat(&mut connection, silent, "test").await?;
    assert_eq!(jobs::attempts_of_lost_workers(&mut connection, asks, GONE_AFTER_SECS, 10).await?, []);
    Ok(())
}
