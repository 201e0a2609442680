//! Decides on all dead jobs that match: makes them due again, or discards them.
//!
//! Idempotent by its very work: a job that was decided on is no longer dead, or died after `filter.until` and is left
//! alone. It works in short transactions of its own, so that any number of dead jobs holds up nobody and a cancellation
//! leaves what is done, done. What cannot be revived, as another job holds its dedupe key, stays dead and is counted.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    context::Context,
    domain::ids::JobId,
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{
        dead_letters::{self, DeadFilter},
        jobs::{self, NotDead, Progress},
        operator_actions::Operator,
    },
};

/// Jobs decided on in one transaction.
const AT_ONCE: i64 = 200;

/// Names the dead jobs and what becomes of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearDeadLetters {
    /// What becomes of them.
    pub decision: Decision,
    /// Which; without `until`, also those that die while it runs.
    #[serde(default)]
    pub filter: DeadFilter,
    /// Why.
    pub reason: String,
}

/// What becomes of a dead job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is due again.
    Retry,
    /// It never runs again.
    Discard,
}

/// How far the clearing has come.
#[derive(Default)]
struct Cleared {
    decided: i64,
    left: i64,
}

impl Job for ClearDeadLetters {
    type Context = Context;
    const KIND: &'static str = "clear_dead_letters";
    const EVENT_TYPE: &'static str = "billrunner.dead_letters.clear.v1";
    const IS_AT_THE_DOORS: bool = false;
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let total = dead_letters::count(&mut *context.pool.acquire().await?, &self.filter).await?;
        let (mut cleared, mut last) = (Cleared::default(), None);
        loop {
            let done = cleared.decided + cleared.left;
            let note = "dead jobs".to_owned();
            attempt.report_progress(Progress { done, total: Some(total), note }).await?;
            let mut transaction = context.pool.begin().await?;
            let some = dead_letters::matching(&mut transaction, &self.filter, last, AT_ONCE).await?;
            let Some(id) = some.last() else { break };
            last = Some(*id);
            for id in some {
                if self.decide(&mut transaction, id, attempt.requested_by()).await? {
                    cleared.decided += 1;
                } else {
                    cleared.left += 1;
                }
            }
            jobs::notify_dispatchers(&mut transaction).await?;
            transaction.commit().await?;
        }
        let verb = match self.decision {
            Decision::Retry => "due again",
            Decision::Discard => "discarded",
        };
        attempt
            .begin()
            .await?
            .complete(format!("{} jobs are {verb}, {} were left", cleared.decided, cleared.left))
            .await
    }
}

impl ClearDeadLetters {
    /// Decides on one job. Returns whether that was possible: somebody may have been faster.
    async fn decide(&self, connection: &mut sqlx::PgConnection, id: JobId, name: &str) -> Result<bool, JobError> {
        let operator = Operator { name, reason: &self.reason };
        let decided = match self.decision {
            Decision::Retry => jobs::revive(connection, id, operator).await,
            Decision::Discard => jobs::discard(connection, id, operator).await,
        };
        match decided {
            Ok(()) => Ok(true),
            Err(NotDead::Database(error)) => Err(error.into()),
            Err(why) => {
                tracing::info!(job_id = %id, %why, "a dead job is left as it is");
                Ok(false)
            }
        }
    }
}
