//! One attempt at a job, as its handler sees it: where effects, outcome and follow-up jobs become one transaction.

use std::sync::Arc;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::Notify;

use super::job::{Job, JobError, JobOptions, RequestId, new_job};
use super::registry::Lanes;
use crate::{
    domain::{
        ids::{JobId, WorkerId},
        invoice_event::Cause,
    },
    store::jobs::{self, Accepted, ClaimedJob},
};

/// The attempt a handler holds.
#[derive(Clone)]
pub struct Attempt {
    pub(super) job_id: JobId,
    pub(super) number: i32,
    pub(super) worker_id: WorkerId,
    pub(super) traceparent: Option<String>,
    pub(super) requested_by: String,
    pub(super) pool: PgPool,
    pub(super) lanes: Lanes,
    pub(super) dispatch: Arc<Notify>,
}

/// Proof that a job is done: only completing an attempt makes one.
#[derive(Debug)]
pub struct Finished(pub(super) Completion);

#[derive(Debug)]
pub(super) enum Completion {
    /// Recorded together with its effects.
    Committed,
    /// Without effects: recorded in a batch with others, with this word on what happened.
    Pending(String),
}

impl Attempt {
    pub(super) fn new(
        claimed: &ClaimedJob,
        worker_id: WorkerId,
        pool: PgPool,
        lanes: Lanes,
        dispatch: Arc<Notify>,
    ) -> Self {
        Self {
            job_id: claimed.id,
            number: claimed.attempt,
            worker_id,
            traceparent: claimed.traceparent.clone(),
            requested_by: claimed.requested_by.clone(),
            pool,
            lanes,
            dispatch,
        }
    }

    /// Returns the job's id.
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Returns the person or system that asked for the job.
    pub fn requested_by(&self) -> &str {
        &self.requested_by
    }

    /// Says who caused a change, why and through what, for the history.
    pub fn cause(&self, reason: Option<String>) -> Cause {
        let trace_id = self.traceparent.as_deref().and_then(|text| text.split('-').nth(1));
        Cause {
            actor: self.requested_by.clone(),
            reason,
            job_id: Some(self.job_id),
            correlation: trace_id.map_or_else(|| self.job_id.to_string(), str::to_owned),
        }
    }

    /// Starts the one transaction that holds effects, follow-up jobs and the outcome.
    ///
    /// # Errors
    /// Transient, when the database fails.
    pub async fn begin(&self) -> Result<Effects, JobError> {
        Ok(Effects { transaction: self.pool.begin().await?, attempt: self.clone() })
    }

    /// Completes without effects. The message says why there was nothing to do.
    pub fn complete_without_effects(&self, message: impl Into<String>) -> Finished {
        Finished(Completion::Pending(message.into()))
    }
}

/// The open transaction of an attempt. Dropped, it leaves nothing behind.
pub struct Effects {
    transaction: Transaction<'static, Postgres>,
    attempt: Attempt,
}

impl Effects {
    /// Lends the connection to the store's functions.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// Accepts a follow-up job; it exists once the attempt completes. `key` names it among this kind's follow-ups, so
    /// that the same work asked for twice is one job.
    ///
    /// # Errors
    /// Transient, when the database fails; permanent, when the key was used for other work.
    pub async fn enqueue<J: Job>(&mut self, job: &J, key: impl std::fmt::Display) -> Result<JobId, JobError> {
        let request = RequestId::new(format!("billrunner/{}", J::KIND), key);
        let options = JobOptions {
            traceparent: self.attempt.traceparent.clone(),
            parent_id: Some(self.attempt.job_id),
            ..JobOptions::default()
        };
        let requested_by = self.attempt.requested_by.clone();
        let new =
            new_job(job, self.attempt.lanes.of(job), request, requested_by, options).map_err(JobError::permanent)?;
        let accepted: Accepted = jobs::accept(&mut self.transaction, &new).await.map_err(|error| match error {
            jobs::AcceptError::Database(error) => JobError::transient(error),
            conflict @ jobs::AcceptError::Conflict { .. } => JobError::permanent(conflict),
        })?;
        Ok(accepted.id())
    }

    /// Records the outcome, commits all of it, and sends the follow-up jobs on their way.
    ///
    /// # Errors
    /// [`JobError::Superseded`] when the attempt was taken away meanwhile: nothing is kept.
    pub async fn complete(mut self, message: impl Into<String>) -> Result<Finished, JobError> {
        let outcome = (self.attempt.job_id, self.attempt.number, message.into());
        if jobs::finish(&mut self.transaction, self.attempt.worker_id, std::slice::from_ref(&outcome)).await? != 1 {
            return Err(JobError::Superseded);
        }
        self.transaction.commit().await?;
        self.attempt.dispatch.notify_one();
        Ok(Finished(Completion::Committed))
    }
}
