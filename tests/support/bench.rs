//! The engine alone: small jobs that do as they are told, in-process workers, keys on Redis of the test's own.

use std::{
    process::{Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result};
use billrunner::{
    domain::ids::JobId,
    queue::{
        Attempt, Finished, Job, JobError, JobOptions, Queue, Registry, RequestId, Streams, Worker, WorkerSettings,
    },
    store::jobs::{self, AcceptError, Accepted},
};
use chrono::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    TestDatabase,
    business::database_url,
    import::insert_reseller,
    worker::{DEADLINE, Running, streams, until},
};

/// The consumer group of every stream.
pub const GROUP: &str = "billrunner";
/// What `XRANGE` returns: ids, each with its fields and values.
pub type Entries = Vec<(String, Vec<String>)>;

/// What the handlers work with: who waits for release says that it started.
#[derive(Clone)]
pub struct Hands {
    started: Arc<Semaphore>,
    release: Arc<Semaphore>,
    ran: Arc<Mutex<Vec<JobId>>>,
    at_once: Arc<Mutex<AtOnce>>,
}

/// How many handlers wait for release, now and at most so far.
#[derive(Default)]
struct AtOnce {
    now: usize,
    most: usize,
}

impl Hands {
    fn new() -> Self {
        Self {
            started: Arc::new(Semaphore::new(0)),
            release: Arc::new(Semaphore::new(0)),
            ran: Arc::default(),
            at_once: Arc::default(),
        }
    }

    /// Notes that a job runs.
    pub fn note(&self, id: JobId) {
        self.ran.lock().expect("not poisoned").push(id);
    }

    pub async fn wait_for_release(&self) {
        {
            let mut at_once = self.at_once.lock().expect("not poisoned");
            at_once.now += 1;
            at_once.most = at_once.most.max(at_once.now);
        }
        let _here = Here(&self.at_once);
        self.started.add_permits(1);
        self.release.acquire().await.expect("never closed").forget();
    }
}

/// Counts a handler out, also one that is dropped.
struct Here<'a>(&'a Mutex<AtOnce>);

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.lock().expect("not poisoned").now -= 1;
    }
}

/// A job that does as it is told and leaves a row for each effect.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub does: Does,
    #[serde(default)]
    pub times: i32,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    Work,
    Nothing,
    ForgetRefused,
    FailTransiently,
    FailPermanently,
    Panic,
    Snooze,
    Hang,
    WriteThenFail,
    FollowUp,
    FollowUpThenFail,
}

pub fn task(does: Does, times: i32) -> Task {
    Task { does, times, note: String::new() }
}

impl Job for Task {
    type Context = Hands;
    const KIND: &'static str = "task";
    const EVENT_TYPE: &'static str = "test.task.run.v1";
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_millis(500);
    const MAX_ATTEMPTS: i32 = 3;

    async fn run(self, hands: Hands, attempt: Attempt) -> Result<Finished, JobError> {
        hands.note(attempt.job_id());
        let mut effects = attempt.begin().await?;
        let runs: i64 = sqlx::query_scalar("SELECT count(*) FROM job_attempts WHERE job_id = $1")
            .bind(attempt.job_id())
            .fetch_one(effects.connection())
            .await?;
        let is_done_failing = runs >= i64::from(self.times);
        match self.does {
            Does::ForgetRefused => {
                let count = attempt.forget_refused_requests(DateTime::UNIX_EPOCH).await?;
                return Ok(attempt.complete_without_effects(format!("{count} forgotten")));
            }
            Does::Nothing => return Ok(attempt.complete_without_effects("nothing to do")),
            Does::FailTransiently if !is_done_failing => return Err(JobError::transient("it may pass")),
            Does::FailPermanently => return Err(JobError::permanent("it never will")),
            Does::Panic if !is_done_failing => panic!("as told"),
            Does::Hang if !is_done_failing => std::future::pending().await,
            Does::Snooze if !is_done_failing => {
                return Err(JobError::Snooze { after: Duration::from_millis(1), reason: "as told".into() });
            }
            Does::FollowUp | Does::FollowUpThenFail => {
                effects.enqueue(&task(Does::Work, 0), attempt.job_id()).await?;
            }
            _ => {}
        }
        insert_effect(effects.connection(), attempt.job_id()).await?;
        if matches!(self.does, Does::WriteThenFail | Does::FollowUpThenFail) {
            return Err(JobError::permanent("after writing"));
        }
        effects.complete("done as told").await
    }
}

/// A job that runs until it is released, in a lane of its own where one is named.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub lane: String,
    /// It leaves nothing behind.
    #[serde(default)]
    pub is_idle: bool,
}

impl Job for Hold {
    type Context = Hands;
    const KIND: &'static str = "hold";
    const EVENT_TYPE: &'static str = "test.hold.run.v1";
    const QUEUE: Queue = Queue::Billing;
    const TIMEOUT: Duration = Duration::from_mins(2);
    const MAX_ATTEMPTS: i32 = 10;
    const LANE_FIELD: Option<&'static str> = Some("lane");

    async fn run(self, hands: Hands, attempt: Attempt) -> Result<Finished, JobError> {
        if self.is_idle {
            hands.wait_for_release().await;
            return Ok(attempt.complete_without_effects("released"));
        }
        let mut effects = attempt.begin().await?;
        insert_effect(effects.connection(), attempt.job_id()).await?;
        effects.enqueue(&task(Does::Work, 0), attempt.job_id()).await?;
        hands.wait_for_release().await;
        effects.complete("released").await
    }
}

async fn insert_effect(connection: &mut sqlx::PgConnection, id: JobId) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO suppressed_addresses (reseller_id, email, reason) SELECT id, $1, 'effect' FROM resellers")
        .bind(id.to_string())
        .execute(connection)
        .await
        .map(drop)
}

/// A database with a reseller (each effect is a row of it), a registry of two kinds, and keys on Redis.
pub struct Bench {
    pub database: TestDatabase,
    pub streams: Streams,
    pub registry: Arc<Registry<Hands>>,
    hands: Hands,
}

impl Bench {
    /// On the Redis server of the run.
    pub async fn new() -> Result<Self> {
        Self::on(streams()?).await
    }

    pub async fn on(streams: Streams) -> Result<Self> {
        Self::with(streams, |registry| registry).await
    }

    pub async fn in_database(database: TestDatabase, streams: Streams) -> Result<Self> {
        Self::build(database, streams, |registry| registry).await
    }

    /// With more kinds of job than those of this module.
    pub async fn with(streams: Streams, more_kinds: impl FnOnce(Registry<Hands>) -> Registry<Hands>) -> Result<Self> {
        Self::build(TestDatabase::new().await?, streams, more_kinds).await
    }

    async fn build(
        database: TestDatabase,
        streams: Streams,
        more_kinds: impl FnOnce(Registry<Hands>) -> Registry<Hands>,
    ) -> Result<Self> {
        insert_reseller(&database.pool).await?;
        let registry = more_kinds(Registry::new(["aws", "google"].into_iter()).with::<Task>().with::<Hold>());
        Ok(Self { database, streams, registry: Arc::new(registry), hands: Hands::new() })
    }

    pub fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    pub fn start_worker(&self, settings: WorkerSettings) -> Running {
        self.start_worker_of(self.registry.clone(), settings)
    }

    /// Starts a worker of a release that knows other kinds.
    pub fn start_worker_of(&self, registry: Arc<Registry<Hands>>, settings: WorkerSettings) -> Running {
        Running::start(Worker {
            pool: self.pool().clone(),
            streams: self.streams.clone(),
            registry,
            context: self.hands.clone(),
            settings,
        })
    }

    /// Waits until one more holding job has started.
    pub async fn started(&self) -> Result<()> {
        let started = tokio::time::timeout(DEADLINE, self.hands.started.acquire()).await;
        started.context("waited in vain for a job to start")??.forget();
        Ok(())
    }

    /// Lets so many holding jobs go on.
    pub fn release(&self, count: usize) {
        self.hands.release.add_permits(count);
    }

    /// Returns how many holding jobs have run at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.hands.at_once.lock().expect("not poisoned").most
    }

    /// Returns the tasks in the order in which they ran.
    pub fn ran(&self) -> Vec<JobId> {
        self.hands.ran.lock().expect("not poisoned").clone()
    }

    pub async fn accept(&self, id: &str, task: &Task) -> Result<Accepted, AcceptError> {
        self.accept_with(id, task, JobOptions::default()).await
    }

    pub async fn accept_with<J: Job<Context = Hands>>(
        &self,
        id: &str,
        job: &J,
        options: JobOptions,
    ) -> Result<Accepted, AcceptError> {
        let new = self.registry.prepare(job, RequestId::new("test", id), "tester", options);
        let new = new.expect("a payload that serializes");
        let mut transaction = self.pool().begin().await?;
        let accepted = jobs::accept(&mut transaction, &new).await?;
        jobs::notify_dispatchers(&mut transaction).await?;
        transaction.commit().await?;
        Ok(accepted)
    }

    pub async fn hand_in(&self, id: &str, does: Does, times: i32) -> Result<JobId> {
        Ok(self.accept(id, &task(does, times)).await?.id())
    }

    /// Hands so many jobs in, all due at this moment.
    pub async fn hand_in_many(&self, count: usize, does: Does) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        for n in 0..count {
            let request = RequestId::new("test", Uuid::now_v7());
            let new = self.registry.prepare(&task(does, 0), request, "tester", JobOptions::default());
            jobs::accept(&mut transaction, &new.with_context(|| format!("task {n}"))?).await?;
        }
        jobs::notify_dispatchers(&mut transaction).await?;
        Ok(transaction.commit().await?)
    }

    pub async fn hand_in_hold(&self, id: &str, lane: &str) -> Result<JobId> {
        Ok(self.accept_with(id, &Hold { lane: lane.to_owned(), is_idle: false }, JobOptions::default()).await?.id())
    }

    pub async fn effects(&self) -> Result<i64> {
        self.count("SELECT count(*) FROM suppressed_addresses").await
    }

    pub async fn count(&self, query: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(query).fetch_one(self.pool()).await?)
    }

    pub async fn until_count(&self, what: &str, query: &'static str, least: i64) -> Result<()> {
        until(what, || async { Ok((self.count(query).await? >= least).then_some(())) }).await
    }

    /// Adds a request at the Redis door.
    pub async fn add_request(&self, field: &str, envelope: &[u8]) -> Result<()> {
        let mut redis = self.streams.connect().await?;
        let mut command = redis::cmd("XADD");
        command.arg(self.streams.intake_key()).arg("*").arg(field).arg(envelope);
        let _: String = command.query_async(&mut redis).await?;
        Ok(())
    }

    pub async fn entries(&self, key: &str) -> Result<Entries> {
        self.entries_from(key, "-", "+").await
    }

    pub async fn holds_entry(&self, key: &str, id: &str) -> Result<bool> {
        Ok(!self.entries_from(key, id, id).await?.is_empty())
    }

    async fn entries_from(&self, key: &str, first: &str, last: &str) -> Result<Entries> {
        let mut redis = self.streams.connect_to(key).await?;
        Ok(redis::cmd("XRANGE").arg(key).arg(first).arg(last).query_async(&mut redis).await?)
    }

    /// Adds a message as if a worker had read it and died: it is in the hands of a name that nobody answers to.
    pub async fn leave_with_dead_worker(&self, key: &str, job: JobId, attempt: i32) -> Result<String> {
        let mut redis = self.streams.connect_to(key).await?;
        let mut pipe = redis::pipe();
        pipe.atomic();
        pipe.cmd("XADD").arg(key).arg("*").arg("job").arg(job.to_string()).arg("attempt").arg(attempt);
        pipe.cmd("XREADGROUP").arg("GROUP").arg(GROUP).arg(Uuid::now_v7().to_string());
        pipe.arg("COUNT").arg(1).arg("STREAMS").arg(key).arg(">").ignore();
        let (entry_id,): (String,) = pipe.query_async(&mut redis).await?;
        Ok(entry_id)
    }

    /// Waits until a keeper has rescued what a dead worker held.
    pub async fn rescued(&self, key: &str, entry_id: &str) -> Result<()> {
        until("the keeper's rescue", || async { Ok((!self.holds_entry(key, entry_id).await?).then_some(())) }).await
    }

    /// Runs a command of billrunner on this database and waits for its end.
    pub async fn billrunner(&self, arguments: &[&str]) -> Result<Output> {
        let running = tokio::process::Command::new(env!("CARGO_BIN_EXE_billrunner"))
            .args(arguments)
            .env("DATABASE_URL", database_url(self.pool()).await?)
            .env("BILLRUNNER_LOG", "error")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        tokio::time::timeout(DEADLINE, running).await.context("the command does not end")?.map_err(Into::into)
    }
}

pub fn request(id: &str, kind: &str, data: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"{id}","source":"shop","type":"{kind}","data":{data}}}"#)
}
