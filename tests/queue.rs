//! The engine: nothing is lost, nothing runs twice, poison stops nobody, failures are retried or not as they say.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use billrunner::{
    domain::ids::JobId,
    queue::{
        Attempt, Finished, Job, JobError, JobOptions, Queue, Registry, RequestId, Streams, Worker, WorkerSettings,
    },
    store::{
        job_list,
        jobs::{self, AcceptError, Accepted},
    },
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::Notify;

use crate::support::{
    TestDatabase,
    worker::{DEADLINE, Running, settings, settled, streams, until, wait_for},
};

/// What the test's handlers work with.
#[derive(Clone)]
struct Bench {
    started: Arc<Notify>,
    release: Arc<Notify>,
}

/// A job that does as it is told and leaves a row for each effect.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    does: Does,
    #[serde(default)]
    times: i32,
}

#[derive(Clone, Copy, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Does {
    Work,
    Nothing,
    FailTransiently,
    FailPermanently,
    Panic,
    Snooze,
    Hang,
    WriteThenFail,
    WaitForRelease,
}

impl Job for Task {
    type Context = Bench;
    const KIND: &'static str = "task";
    const EVENT_TYPE: &'static str = "test.task.run.v1";
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_millis(500);
    const MAX_ATTEMPTS: i32 = 3;

    async fn run(self, bench: Bench, attempt: Attempt) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        let runs: i64 = sqlx::query_scalar("SELECT count(*) FROM job_attempts WHERE job_id = $1")
            .bind(attempt.job_id())
            .fetch_one(effects.connection())
            .await?;
        let is_done_failing = runs > i64::from(self.times);
        match self.does {
            Does::Nothing => return Ok(attempt.complete_without_effects("nothing to do")),
            Does::FailTransiently if !is_done_failing => return Err(JobError::transient("it may pass")),
            Does::FailPermanently => return Err(JobError::permanent("it never will")),
            Does::Panic if !is_done_failing => panic!("as told"),
            Does::Hang if !is_done_failing => std::future::pending().await,
            Does::Snooze if !is_done_failing => {
                return Err(JobError::Snooze { after: Duration::from_millis(1), reason: "as told".into() });
            }
            Does::WaitForRelease => {
                bench.started.notify_one();
                bench.release.notified().await;
            }
            _ => {}
        }
        sqlx::query(
            "INSERT INTO suppressed_addresses (reseller_id, email, reason) SELECT id, $1, 'effect' FROM resellers",
        )
        .bind(attempt.job_id().to_string())
        .execute(effects.connection())
        .await?;
        if self.does == Does::WriteThenFail {
            return Err(JobError::permanent("after writing"));
        }
        effects.complete("done as told").await
    }
}

/// A database with a reseller (each effect is a row of it), a registry of one kind, and keys on Redis.
struct Setup {
    database: TestDatabase,
    streams: Streams,
    registry: Arc<Registry<Bench>>,
    bench: Bench,
}

impl Setup {
    async fn new() -> Result<Self> {
        let database = TestDatabase::new().await?;
        crate::support::import::insert_reseller(&database.pool).await?;
        let bench = Bench { started: Arc::default(), release: Arc::default() };
        Ok(Self {
            database,
            streams: streams()?,
            registry: Arc::new(Registry::new(["aws"].into_iter()).with::<Task>()),
            bench,
        })
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    fn start_worker(&self, settings: WorkerSettings) -> Running {
        Running::start(Worker {
            pool: self.pool().clone(),
            streams: self.streams.clone(),
            registry: self.registry.clone(),
            context: self.bench.clone(),
            settings,
        })
    }

    async fn accept(&self, id: &str, task: &Task) -> Result<Accepted, AcceptError> {
        let new = self.registry.prepare(task, RequestId::new("test", id), "tester", JobOptions::default());
        let new = new.expect("a payload that serializes");
        let mut transaction = self.pool().begin().await?;
        let accepted = jobs::accept(&mut transaction, &new).await?;
        jobs::notify_dispatchers(&mut transaction).await?;
        transaction.commit().await?;
        Ok(accepted)
    }

    async fn hand_in(&self, id: &str, does: Does, times: i32) -> Result<JobId> {
        Ok(self.accept(id, &Task { does, times }).await?.id())
    }

    async fn effects(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM suppressed_addresses").fetch_one(self.pool()).await?)
    }

    /// Adds a request at the Redis door.
    async fn add_request(&self, field: &str, text: &str) -> Result<()> {
        let mut redis = self.streams.connect().await?;
        let mut command = redis::cmd("XADD");
        command.arg(self.streams.intake_key()).arg("*").arg(field).arg(text);
        let _: String = command.query_async(&mut redis).await?;
        Ok(())
    }
}

fn request(id: &str, kind: &str, data: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"shop","type":"{kind}","data":{data}}}"#)
}

#[tokio::test]
async fn the_same_job_handed_in_twice_is_one_job() -> Result<()> {
    let setup = Setup::new().await?;
    let first = setup.accept("1", &Task { does: Does::Work, times: 0 }).await?;
    let second = setup.accept("1", &Task { does: Does::Work, times: 0 }).await?;
    assert_eq!(second, Accepted::Repeated(first.id()));
    let other = setup.accept("1", &Task { does: Does::Nothing, times: 0 }).await;
    assert!(matches!(other, Err(AcceptError::Conflict { .. })), "another payload under the same id");
    let worker = setup.start_worker(settings());
    settled(setup.pool()).await?;
    assert_eq!(setup.effects().await?, 1);
    worker.stop().await
}

#[tokio::test]
async fn a_malformed_request_is_rejected_with_its_reason_and_holds_up_nobody() -> Result<()> {
    let setup = Setup::new().await?;
    let good = |id| request(id, "test.task.run.v1", r#"{"does":"work"}"#);
    setup.add_request("ce", &good("a")).await?;
    let bad = [
        ("ce", "{not json".to_owned(), "not a CloudEvents JSON envelope"),
        ("other", good("x"), "no field `ce`"),
        (
            "ce",
            request("b", "test.task.unknown.v1", "{}"),
            "unknown job `test.task.unknown.v1`; known: test.task.run.v1",
        ),
        ("ce", request("c", "test.task.run.v1", r#"{"does":"work","colour":"red"}"#), "unknown field `colour`"),
        ("ce", request("d", "test.task.run.v1", r#"{"does":"dance"}"#), "unknown variant `dance`"),
        ("ce", request("", "test.task.run.v1", r#"{"does":"work"}"#), "attribute `id`"),
        ("ce", request("e", "test.task.run.v1", &"x".repeat(70_000)), "at most 65536 are read"),
    ];
    for (field, text, _) in &bad {
        setup.add_request(field, text).await?;
    }
    setup.add_request("ce", &good("z")).await?;
    let worker = setup.start_worker(settings());
    until("both good requests", || async { Ok((setup.effects().await? == 2).then_some(())) }).await?;
    let mut redis = setup.streams.connect().await?;
    let rejected: Vec<(String, Vec<String>)> =
        redis::cmd("XRANGE").arg(setup.streams.rejected_key()).arg("-").arg("+").query_async(&mut redis).await?;
    assert_eq!(rejected.len(), bad.len());
    for ((_, fields), (_, _, reason)) in rejected.iter().zip(&bad) {
        assert!(fields[1].contains(reason), "{} does not say {reason}", fields[1]);
    }
    let left: i64 = redis::cmd("XLEN").arg(setup.streams.intake_key()).query_async(&mut redis).await?;
    assert_eq!(left, 0);
    worker.stop().await
}

#[tokio::test]
async fn an_entry_that_is_no_job_stops_nobody() -> Result<()> {
    let setup = Setup::new().await?;
    let mut redis = setup.streams.connect().await?;
    let key = setup.streams.lane_key("status");
    for (field, value) in [("job", "no uuid"), ("x", "y")] {
        let _: String = redis::cmd("XADD").arg(&key).arg("*").arg(field).arg(value).query_async(&mut redis).await?;
    }
    let id = setup.hand_in("1", Does::Work, 0).await?;
    let worker = setup.start_worker(settings());
    assert_eq!(wait_for(setup.pool(), id).await?.0.state, "done");
    until("an empty stream", || async {
        let left: i64 = redis::cmd("XLEN").arg(&key).query_async(&mut setup.streams.connect().await?).await?;
        Ok((left == 0).then_some(()))
    })
    .await?;
    worker.stop().await
}

#[tokio::test]
async fn ten_thousand_jobs_due_at_the_same_moment_drain() -> Result<()> {
    let setup = Setup::new().await?;
    let mut transaction = setup.pool().begin().await?;
    for n in 0..10_000 {
        let task = Task { does: Does::Nothing, times: 0 };
        let new = setup.registry.prepare(&task, RequestId::new("test", n), "tester", JobOptions::default())?;
        jobs::accept(&mut transaction, &new).await?;
    }
    transaction.commit().await?;
    let workers = (setup.start_worker(settings()), setup.start_worker(settings()));
    settled(setup.pool()).await?;
    let (done, attempts): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM jobs WHERE state = 'done'), (SELECT count(*) FROM job_attempts WHERE outcome = 'done')",
    )
    .fetch_one(setup.pool())
    .await?;
    assert_eq!((done, attempts), (10_000, 10_000));
    workers.0.stop().await?;
    workers.1.stop().await
}

#[tokio::test]
async fn failures_are_retried_or_not_as_they_say() -> Result<()> {
    let setup = Setup::new().await?;
    let worker = setup.start_worker(settings());
    // What the job does, how often it fails, its end, and how each of its attempts ended.
    let cases: [(Does, i32, &str, &[&str]); 8] = [
        (Does::FailTransiently, 2, "done", &["failed", "failed", "done"]),
        (Does::FailTransiently, 9, "dead", &["failed", "failed", "failed"]),
        (Does::FailPermanently, 9, "dead", &["failed"]),
        (Does::Panic, 1, "done", &["failed", "done"]),
        (Does::Panic, 9, "dead", &["failed", "failed", "failed"]),
        (Does::Hang, 1, "done", &["failed", "done"]),
        (Does::Snooze, 4, "done", &["snoozed", "snoozed", "snoozed", "snoozed", "done"]),
        (Does::WriteThenFail, 9, "dead", &["failed"]),
    ];
    for (n, (does, times, state, outcomes)) in cases.into_iter().enumerate() {
        let before = setup.effects().await?;
        let id = setup.hand_in(&n.to_string(), does, times).await?;
        let (job, attempts) = wait_for(setup.pool(), id).await?;
        let seen: Vec<&str> = attempts.iter().filter_map(|attempt| attempt.outcome.as_deref()).collect();
        assert_eq!((job.state.as_str(), seen.as_slice()), (state, outcomes), "case {n}: {:?}", job.last_error);
        assert_eq!(
            setup.effects().await? - before,
            i64::from(state == "done"),
            "case {n} leaves its effect once or not at all"
        );
    }
    worker.stop().await
}

#[tokio::test]
async fn a_dead_job_made_due_again_runs_again() -> Result<()> {
    let setup = Setup::new().await?;
    let worker = setup.start_worker(settings());
    let id = setup.hand_in("1", Does::FailTransiently, 3).await?;
    assert_eq!(wait_for(setup.pool(), id).await?.0.state, "dead");
    let mut connection = setup.pool().acquire().await?;
    assert!(job_list::revive(&mut connection, id).await?);
    jobs::notify_dispatchers(&mut connection).await?;
    assert_eq!(wait_for(setup.pool(), id).await?.0.state, "done");
    assert!(!job_list::revive(&mut connection, id).await?, "a job that is done is not dead");
    worker.stop().await
}

#[tokio::test]
async fn an_attempt_that_was_superseded_cannot_commit() -> Result<()> {
    let setup = Setup::new().await?;
    let worker = setup.start_worker(settings());
    let id = setup.hand_in("1", Does::WaitForRelease, 0).await?;
    tokio::time::timeout(DEADLINE, setup.bench.started.notified()).await?;
    // As a rescue does while the first worker sleeps: the next attempt is somebody else's.
    sqlx::query("UPDATE jobs SET attempt = attempt + 1, started_attempt = attempt + 1, worker_id = $2 WHERE id = $1")
        .bind(id)
        .bind(JobId::new())
        .execute(setup.pool())
        .await?;
    setup.bench.release.notify_one();
    worker.stop().await?;
    assert_eq!(setup.effects().await?, 0);
    let state: String =
        sqlx::query_scalar("SELECT state FROM jobs WHERE id = $1").bind(id).fetch_one(setup.pool()).await?;
    assert_eq!(state, "running");
    Ok(())
}

#[tokio::test]
async fn a_stopping_worker_finishes_what_runs_within_the_grace() -> Result<()> {
    let setup = Setup::new().await?;
    let worker = setup.start_worker(settings());
    let id = setup.hand_in("1", Does::WaitForRelease, 0).await?;
    tokio::time::timeout(DEADLINE, setup.bench.started.notified()).await?;
    let stopping = tokio::spawn(worker.stop());
    setup.bench.release.notify_one();
    stopping.await??;
    assert_eq!(wait_for(setup.pool(), id).await?.0.state, "done");
    Ok(())
}

#[tokio::test]
async fn a_stopping_worker_hands_back_what_does_not_finish() -> Result<()> {
    let setup = Setup::new().await?;
    let impatient = WorkerSettings { grace: Duration::ZERO, ..settings() };
    let worker = setup.start_worker(impatient);
    let id = setup.hand_in("1", Does::WaitForRelease, 0).await?;
    tokio::time::timeout(DEADLINE, setup.bench.started.notified()).await?;
    worker.stop().await?;
    // A lease of an hour: only a job that was handed back can run again in time.
    let other = setup.start_worker(WorkerSettings { lease: Duration::from_hours(1), ..settings() });
    tokio::time::timeout(DEADLINE, setup.bench.started.notified()).await?;
    setup.bench.release.notify_one();
    let (job, attempts) = wait_for(setup.pool(), id).await?;
    assert_eq!((job.state.as_str(), job.failed_attempts, attempts.len()), ("done", 0, 1));
    other.stop().await
}

#[tokio::test]
async fn a_vanished_workers_job_is_rescued_and_its_third_death_is_the_last() -> Result<()> {
    let setup = Setup::new().await?;
    let id = setup.hand_in("1", Does::WaitForRelease, 0).await?;
    let short_lease = || WorkerSettings { lease: Duration::from_secs(1), ..settings() };
    for _ in 0..3 {
        let worker = setup.start_worker(short_lease());
        tokio::time::timeout(DEADLINE, setup.bench.started.notified()).await?;
        worker.vanish().await;
    }
    let last = setup.start_worker(short_lease());
    let (job, attempts) = wait_for(setup.pool(), id).await?;
    let outcomes: Vec<&str> = attempts.iter().filter_map(|attempt| attempt.outcome.as_deref()).collect();
    assert_eq!((job.state.as_str(), outcomes.as_slice()), ("dead", ["worker_died"; 3].as_slice()));
    assert_eq!(setup.effects().await?, 0);
    last.stop().await
}
