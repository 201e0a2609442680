//! Jobs for what flows: they are cancelled, snooze, wait as long as somebody says, and come in batches.

use std::time::Duration;

use anyhow::{Context as _, Result};
use billrunner::{
    domain::ids::JobId,
    queue::{Attempt, Finished, Job, JobError, JobOptions, Queue},
    store::{
        jobs::{Progress, outcomes_of_batch},
        operator_actions::Operator,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{
    bench::{Bench, Does, Hands, Task, task},
    worker::{streams, until, wait_for},
};

pub const OPERATOR: Operator<'_> = Operator { name: "ana", reason: "as a test" };

/// A job of many attempts that does as it is told, on the queue of documents.
#[derive(Serialize, Deserialize, JsonSchema)]
pub enum Act {
    /// Reports progress each time it is released.
    Step,
    /// Works for ever and says how far it has come.
    Endless,
    /// Begins and leaves off each time it is released.
    Begin,
    /// Waits for release and fails.
    FailLater,
    /// Waits for release and has nothing to do.
    NothingLater,
    /// Fails, and names the seconds after which it may pass.
    RetryAfter(u64),
    /// Says that it is too early by so many seconds.
    SnoozeFor(u64),
    /// Always fails.
    Fail,
}

impl Job for Act {
    type Context = Hands;
    const KIND: &'static str = "act";
    const EVENT_TYPE: &'static str = "test.act.run.v1";
    const QUEUE: Queue = Queue::Documents;
    const TIMEOUT: Duration = Duration::from_mins(2);
    const MAX_ATTEMPTS: i32 = 5;
    const MAX_BACKOFF: Duration = Duration::from_millis(50);

    async fn run(self, hands: Hands, attempt: Attempt) -> Result<Finished, JobError> {
        hands.note(attempt.job_id());
        match self {
            Self::Step => {
                for done in 1.. {
                    hands.wait_for_release().await;
                    attempt.report_progress(Progress { done, total: Some(100), note: "steps".into() }).await?;
                }
                Ok(attempt.complete_without_effects("never"))
            }
            Self::Endless => {
                let progress = || Progress { done: 7, total: None, note: "on and on".into() };
                attempt.with_progress(progress, std::future::pending()).await
            }
            Self::Begin => loop {
                hands.wait_for_release().await;
                drop(attempt.begin().await?);
            },
            Self::FailLater => {
                hands.wait_for_release().await;
                Err(JobError::transient("it may pass"))
            }
            Self::NothingLater => {
                hands.wait_for_release().await;
                Ok(attempt.complete_without_effects("nothing to do"))
            }
            Self::RetryAfter(seconds) => Err(JobError::transient_after("busy", Duration::from_secs(seconds))),
            Self::SnoozeFor(seconds) => {
                Err(JobError::Snooze { after: Duration::from_secs(seconds), reason: "too early".into() })
            }
            Self::Fail => Err(JobError::transient("it may pass")),
        }
    }
}

/// Fans tasks out into a batch.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Fan {
    pub name: String,
    pub members: Vec<(Does, i32)>,
}

impl Job for Fan {
    type Context = Hands;
    const KIND: &'static str = "fan";
    const EVENT_TYPE: &'static str = "test.fan.run.v1";
    const QUEUE: Queue = Queue::Billing;
    const TIMEOUT: Duration = Duration::from_mins(1);

    async fn run(self, _: Hands, attempt: Attempt) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        let key = |n| format!("{}/{n}", self.name);
        let members = self.members.iter().enumerate().map(|(n, (does, times))| (task(*does, *times), key(n)));
        let members: Vec<(Task, String)> = members.collect();
        effects.enqueue_batch(members, &Sum { name: self.name.clone() }, &self.name).await?;
        effects.complete("fanned out").await
    }
}

/// Completes a batch and says how it ended.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Sum {
    name: String,
}

impl Job for Sum {
    type Context = Hands;
    const KIND: &'static str = "sum";
    const EVENT_TYPE: &'static str = "test.sum.run.v1";
    const QUEUE: Queue = Queue::Mail;
    const TIMEOUT: Duration = Duration::from_mins(1);

    async fn run(self, hands: Hands, attempt: Attempt) -> Result<Finished, JobError> {
        hands.note(attempt.job_id());
        let mut effects = attempt.begin().await?;
        let outcomes = outcomes_of_batch(effects.connection(), attempt.job_id()).await?;
        let counts: Vec<String> = outcomes.iter().map(|(state, count)| format!("{count} {state}")).collect();
        effects.complete(counts.join(", ")).await
    }
}

/// A bench whose registry also has the kinds of this module.
pub async fn bench() -> Result<Bench> {
    Bench::with(streams()?, |registry| registry.with::<Act>().with::<Fan>().with::<Sum>()).await
}

/// Hands an act in.
pub async fn act(bench: &Bench, id: &str, act: Act) -> Result<JobId> {
    Ok(bench.accept_with(id, &act, JobOptions::default()).await?.id())
}

/// Hands a batch in, waits until it is fanned out, and returns its id: that of its completion job.
pub async fn fan_out(bench: &Bench, name: &str, members: Vec<(Does, i32)>) -> Result<JobId> {
    let fan = Fan { name: name.to_owned(), members };
    let id = bench.accept_with(name, &fan, JobOptions::default()).await?.id();
    wait_for(bench.pool(), id).await?;
    let completion = sqlx::query_scalar("SELECT id FROM jobs WHERE parent_id = $1 AND completes_batch");
    Ok(completion.bind(id).fetch_one(bench.pool()).await?)
}

/// Returns what a batch's completion job said, once it ran.
pub async fn completion(bench: &Bench, batch: JobId) -> Result<String> {
    let (job, attempts) = wait_for(bench.pool(), batch).await?;
    anyhow::ensure!(job.state == "done", "the completion job is {}", job.state);
    attempts.into_iter().next_back().and_then(|attempt| attempt.message).context("it says how the batch ended")
}

/// Returns a job's state.
pub async fn state(bench: &Bench, id: JobId) -> Result<String> {
    Ok(sqlx::query_scalar("SELECT state FROM jobs WHERE id = $1").bind(id).fetch_one(bench.pool()).await?)
}

/// Waits until a job is in a state.
pub async fn until_state(bench: &Bench, id: JobId, wanted: &str) -> Result<()> {
    until(&format!("job {id} to be {wanted}"), || async { Ok((state(bench, id).await? == wanted).then_some(())) }).await
}

/// Waits until somebody waits for a lock in the test's database. Only its owner sees that.
pub async fn until_somebody_waits_for_a_lock(bench: &Bench) -> Result<()> {
    let owner = Mutex::new(bench.database.connect_as_owner().await?);
    until("somebody to wait for a lock", || async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *owner.lock().await).await?;
        Ok((waiting > 0).then_some(()))
    })
    .await
}
