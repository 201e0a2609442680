//! Changes all jobs that a search finds: makes dead ones due again, discards them, or cancels those that have not ended.
//!
//! Idempotent by its very work: a job that was changed is in another state, and what came in or ended after `until` is left
//! alone. It works in short transactions of its own, newest jobs first, so that any number of jobs holds up nobody and a
//! cancellation leaves what is done, done. What cannot be changed, as somebody was faster or another job holds its dedupe key,
//! is counted.

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::{
    context::Context,
    domain::{ids::JobId, job_action::JobAction},
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{
        job_search::{self, JobSearch, Part},
        jobs::{self, NotDead, Progress},
        operator_actions::Operator,
    },
};

/// Jobs changed in one transaction.
const AT_ONCE: i64 = 200;
/// Jobs counted beforehand at most; of more, only those that are done are told.
const COUNTED_AT_MOST: i64 = 100_000;

/// Names the jobs and what becomes of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeJobs {
    /// What becomes of them.
    pub action: JobAction,
    /// Which.
    pub search: JobSearch,
    /// As they stood at this instant.
    #[schemars(with = "String")]
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

/// How far the work has come.
#[derive(Default)]
struct Changed {
    changed: i64,
    left: i64,
}

impl Job for ChangeJobs {
    type Context = Context;
    const KIND: &'static str = "change_jobs";
    const EVENT_TYPE: &'static str = "billrunner.jobs.change.v1";
    const IS_AT_THE_DOORS: bool = false;
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let states = self.action.states(self.search.state.as_deref());
        let mut transaction = context.pool.begin().await?;
        let total = self.find(&mut transaction, &states, None, COUNTED_AT_MOST).await?.len();
        transaction.rollback().await?;
        let total = i64::try_from(total).ok().filter(|total| *total < COUNTED_AT_MOST);
        let (mut changed, mut last) = (Changed::default(), None);
        loop {
            let done = changed.changed + changed.left;
            attempt.report_progress(Progress { done, total, note: "jobs".to_owned() }).await?;
            let mut transaction = context.pool.begin().await?;
            let some = self.find(&mut transaction, &states, last, AT_ONCE).await?;
            let Some(id) = some.last() else { break };
            last = Some(*id);
            // It is one of those that have not ended itself.
            for id in some.into_iter().filter(|id| *id != attempt.job_id()) {
                if self.change(&mut transaction, id, attempt.requested_by()).await? {
                    changed.changed += 1;
                } else {
                    changed.left += 1;
                }
            }
            jobs::notify_dispatchers(&mut transaction).await?;
            transaction.commit().await?;
        }
        let verb = match self.action {
            JobAction::Retry => "due again",
            JobAction::Discard => "discarded",
            JobAction::Cancel => "cancelled",
        };
        let message = format!("{} jobs are {verb}, {} were left", changed.changed, changed.left);
        attempt.begin().await?.complete(message).await
    }
}

impl ChangeJobs {
    async fn find(
        &self,
        transaction: &mut PgConnection,
        states: &[&str],
        before: Option<JobId>,
        limit: i64,
    ) -> sqlx::Result<Vec<JobId>> {
        job_search::plan_anew(&mut *transaction).await?;
        let part = Part { before, until: Some(self.until), limit };
        job_search::matching_in(transaction, &self.search, states, part).await
    }

    /// Changes one job. Returns whether that was possible: somebody may have been faster.
    async fn change(&self, connection: &mut PgConnection, id: JobId, name: &str) -> Result<bool, JobError> {
        let operator = Operator { name, reason: &self.reason };
        let changed = match self.action {
            JobAction::Retry => jobs::revive(connection, id, operator).await,
            JobAction::Discard => jobs::discard(connection, id, operator).await,
            JobAction::Cancel => return Ok(jobs::cancel(connection, id, operator).await?.is_some()),
        };
        match changed {
            Ok(()) => Ok(true),
            Err(NotDead::Database(error)) => Err(error.into()),
            Err(why) => {
                tracing::info!(job_id = %id, %why, "a job is left as it is");
                Ok(false)
            }
        }
    }
}
