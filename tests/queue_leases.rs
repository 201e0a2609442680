//! Leases: a job that takes long stays with its worker, and a worker that was frozen past its lease commits nothing.

use std::{collections::HashMap, process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use billrunner::{
    domain::ids::JobId,
    queue::{
        Attempt, Finished, Job, JobError, JobOptions, Queue, Registry, RequestId, Streams, Worker, WorkerSettings,
    },
    store::{database, jobs},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{
    bench::Bench,
    business::database_url,
    redis::TestRedis,
    site::send_signal,
    worker::{Running, settings, until, wait_for},
};

const LEASE: Duration = Duration::from_secs(1);
/// How often a lease is renewed in five times its length.
const RENEWALS: u64 = 30;
const DATABASE_URL: &str = "BILLRUNNER_TEST_DATABASE_URL";
const REDIS_URL: &str = "BILLRUNNER_TEST_REDIS_URL";

fn with_short_lease() -> WorkerSettings {
    WorkerSettings { lease: LEASE, ..settings() }
}

#[tokio::test]
async fn a_job_of_five_lease_times_is_never_run_twice() -> Result<()> {
    let redis = TestRedis::start().await?;
    let bench = Bench::on(redis.streams()?).await?;
    let workers = [bench.start_worker(with_short_lease()), bench.start_worker(with_short_lease())];
    let id = bench.hand_in_hold("1", "aws").await?;
    bench.started().await?;
    until("the lease to be renewed for so long", || async { Ok((renewals(&redis).await? >= RENEWALS).then_some(())) })
        .await?;
    bench.release(1);
    let (job, attempts) = wait_for(bench.pool(), id).await?;
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.as_deref()).collect();
    assert_eq!((job.state.as_str(), outcomes), ("done", vec![Some("done")]));
    for worker in workers {
        worker.stop().await?;
    }
    Ok(())
}

async fn renewals(redis: &TestRedis) -> Result<u64> {
    let mut connection = redis.streams()?.connect().await?;
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await?;
    let calls = stats.split_once("cmdstat_xclaim:calls=").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
    Ok(calls.unwrap_or(0))
}

/// A job that writes its effect when the test lets it.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Late {}

impl Job for Late {
    type Context = ();
    const KIND: &'static str = "late";
    const EVENT_TYPE: &'static str = "test.late.run.v1";
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_mins(5);

    async fn run(self, (): (), attempt: Attempt) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock_shared(1)").execute(effects.connection()).await?;
        // Each attempt's effect would be a row of its own: nothing but the attempt's number keeps the second one out.
        sqlx::query(
            "INSERT INTO suppressed_addresses (reseller_id, email, reason) SELECT id, $1, 'effect' FROM resellers",
        )
        .bind(Uuid::now_v7().to_string())
        .execute(effects.connection())
        .await?;
        effects.complete("late").await
    }
}

fn registry() -> Arc<Registry<()>> {
    Arc::new(Registry::new(["aws"].into_iter()).with::<Late>())
}

/// Works until it is killed, where the test below started this program once more for that.
async fn work_as_told_by_the_environment() -> Result<bool> {
    let Ok(url) = std::env::var(DATABASE_URL) else { return Ok(false) };
    let pool = database::connect(&url.into(), 10).await?;
    let streams = Streams::new(&std::env::var(REDIS_URL).context(REDIS_URL)?, "billrunner")?;
    let worker = Worker { pool, streams, registry: registry(), context: (), settings: with_short_lease() };
    worker.run(CancellationToken::new()).await?;
    Ok(true)
}

#[tokio::test]
async fn a_worker_frozen_past_its_lease_commits_nothing() -> Result<()> {
    if work_as_told_by_the_environment().await? {
        return Ok(());
    }
    let redis = TestRedis::start().await?;
    let bench = Bench::on(redis.streams()?).await?;
    let mut gate = PgConnection::connect(&database_url(bench.pool()).await?).await?;
    sqlx::query("SELECT pg_advisory_lock(1)").execute(&mut gate).await?;
    let frozen = Command::new(std::env::current_exe()?)
        .args(["--exact", "queue_leases::a_worker_frozen_past_its_lease_commits_nothing"])
        .env(DATABASE_URL, database_url(bench.pool()).await?)
        .env(REDIS_URL, redis.url())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let process_id = frozen.id().context("a process")?.to_string();
    let id = hand_in_late(&bench).await?;
    // It waits at the gate, in the middle of its transaction.
    until_backends(&bench, "active", "a job at the gate").await?;
    send_signal("STOP", &process_id)?;
    // On busy processors its threads may run on for a moment.
    until("the worker to stand still", || async {
        let shown = Command::new("ps").args(["-o", "state=", "-p", &process_id]).output().await?;
        Ok(shown.stdout.starts_with(b"T").then_some(()))
    })
    .await?;
    sqlx::query("SELECT pg_advisory_unlock(1)").execute(&mut gate).await?;
    until_backends(&bench, "idle in transaction", "the frozen job behind the gate").await?;
    let other = Running::start(Worker {
        pool: bench.pool().clone(),
        streams: bench.streams.clone(),
        registry: registry(),
        context: (),
        settings: with_short_lease(),
    });
    let (job, attempts) = wait_for(bench.pool(), id).await?;
    assert_eq!(job.state, "done");
    send_signal("CONT", &process_id)?;
    until("the end of the frozen transaction", || async {
        Ok((backends(&bench, "idle in transaction").await? == 0).then_some(()))
    })
    .await?;
    assert_eq!(bench.effects().await?, 1, "the other worker's");
    let (_, afterwards) = wait_for(bench.pool(), id).await?;
    let outcomes = |of: &[billrunner::store::job_list::AttemptRow]| -> HashMap<i32, Option<String>> {
        of.iter().map(|attempt| (attempt.attempt, attempt.outcome.clone())).collect()
    };
    assert_eq!(outcomes(&attempts), outcomes(&afterwards));
    assert_eq!(outcomes(&attempts), HashMap::from([(1, Some("worker_died".into())), (2, Some("done".into()))]));
    other.stop().await
}

async fn hand_in_late(bench: &Bench) -> Result<JobId> {
    let new = registry().prepare(&Late {}, RequestId::new("test", "late"), "tester", JobOptions::default())?;
    let mut transaction = bench.pool().begin().await?;
    let accepted = jobs::accept(&mut transaction, &new).await?;
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(accepted.id())
}

/// Counts the sessions in a state whose last words were to wait at the gate.
async fn backends(bench: &Bench, state: &str) -> Result<i64> {
    let mut owner = bench.database.connect_as_owner().await?;
    let count = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND state = $1 AND (state <> 'active' OR wait_event = 'advisory')
           AND query LIKE '%lock_shared%' AND pid <> pg_backend_pid()",
    )
    .bind(state)
    .fetch_one(&mut owner)
    .await?;
    owner.close().await?;
    Ok(count)
}

async fn until_backends(bench: &Bench, state: &str, what: &str) -> Result<()> {
    until(what, || async { Ok((backends(bench, state).await? == 1).then_some(())) }).await
}
