//! One attempt at a job, as its handler sees it: where effects, outcome and follow-up jobs become one transaction.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    admission::{say_what_was_sent, start_sending},
    dispatch::Wake,
    job::{Job, JobError, JobOptions, RequestId, new_job},
    registry::Lanes,
    streams::{self, Streams},
};
use crate::{
    domain::{
        ids::{JobId, WorkerId},
        invoice_event::Cause,
    },
    faults::{self, Mutation, Point},
    store::jobs::{self, AcceptError, ClaimedJob, NewJob, Progress, Standing},
    traces,
};

/// Shortest time between two records of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Follow-up jobs recorded in one statement.
const FOLLOW_UPS: usize = 500;

/// The attempt a handler holds.
#[derive(Clone)]
pub struct Attempt {
    pub(super) job_id: JobId,
    pub(super) number: i32,
    pub(super) traceparent: Option<String>,
    pub(super) requested_by: String,
    pub(super) batch_id: Option<JobId>,
    pub(super) surroundings: Surroundings,
    pub(super) cancelled: CancellationToken,
    pub(super) progress_at: Arc<Mutex<Option<Instant>>>,
}

/// What all attempts of a worker share.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub worker_id: WorkerId,
    pub pool: PgPool,
    pub streams: Streams,
    pub lanes: Lanes,
    pub wake: Wake,
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
    pub(super) fn new(claimed: &ClaimedJob, surroundings: Surroundings, cancelled: CancellationToken) -> Self {
        Self {
            job_id: claimed.id,
            number: claimed.attempt,
            traceparent: claimed.traceparent.clone(),
            requested_by: claimed.requested_by.clone(),
            batch_id: claimed.batch_id,
            surroundings,
            cancelled,
            progress_at: Arc::default(),
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
        let trace_id = self.traceparent.as_deref().and_then(traces::trace_id_of);
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
    /// Transient, when the database fails; [`JobError::Cancelled`], when somebody asked for the job's end.
    pub async fn begin(&self) -> Result<Effects, JobError> {
        if self.cancelled.is_cancelled() {
            return Err(JobError::Cancelled);
        }
        let transaction = self.surroundings.pool.begin().await?;
        Ok(Effects { transaction, attempt: self.clone(), has_follow_ups: false })
    }

    /// Says how far a long job has come; at most once a second is recorded, so it may be called for every row.
    ///
    /// # Errors
    /// [`JobError::Cancelled`], when somebody asked for the job's end; [`JobError::Superseded`], when the attempt was
    /// taken away; transient, when the database fails.
    pub async fn report_progress(&self, progress: Progress) -> Result<(), JobError> {
        if self.cancelled.is_cancelled() {
            return Err(JobError::Cancelled);
        }
        if !self.is_time_for_progress() {
            return Ok(());
        }
        let Surroundings { pool, worker_id, .. } = &self.surroundings;
        let attempt = (self.job_id, self.number);
        match jobs::record_progress(&mut *pool.acquire().await?, *worker_id, attempt, &progress).await? {
            Standing::GoesOn => Ok(()),
            Standing::IsCancelled => Err(JobError::Cancelled),
            Standing::Superseded => Err(JobError::Superseded),
        }
    }

    /// Does long work, and says once a second how far it has come. When somebody asks for the job's end, or the attempt was
    /// taken away, the work is dropped where it stands: nothing may be half done then, as with a transaction that is
    /// rolled back.
    ///
    /// # Errors
    /// Those of the work; [`JobError::Cancelled`] and [`JobError::Superseded`] as [`Attempt::report_progress`].
    pub async fn with_progress<T>(
        &self,
        look: impl Fn() -> Progress + Send,
        work: impl Future<Output = Result<T, JobError>> + Send,
    ) -> Result<T, JobError> {
        tokio::select! {
            done = work => done,
            why = self.report_until_told_to_end(look) => Err(why),
        }
    }

    async fn report_until_told_to_end(&self, look: impl Fn() -> Progress + Send) -> JobError {
        loop {
            tokio::select! {
                () = tokio::time::sleep(PROGRESS_EVERY) => {}
                () = self.cancelled.cancelled() => return JobError::Cancelled,
            }
            // Where only the word about the work is lost, the work goes on.
            if let Err(error @ (JobError::Cancelled | JobError::Superseded)) = self.report_progress(look()).await {
                return error;
            }
        }
    }

    fn is_time_for_progress(&self) -> bool {
        let mut last = self.progress_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = last.is_none_or(|last| last.elapsed() >= PROGRESS_EVERY);
        if is_time {
            *last = Some(Instant::now());
        }
        is_time
    }

    /// Forgets the requests that the Redis door refused before an instant. Returns how many.
    ///
    /// # Errors
    /// Transient, when Redis does not answer.
    pub async fn forget_refused_requests(&self, before: DateTime<Utc>) -> Result<u64, JobError> {
        let streams = &self.surroundings.streams;
        let key = streams.rejected_key();
        let forgotten = async { streams::trim(&mut streams.connect_to(&key).await?, &key, before).await };
        forgotten.await.map_err(JobError::transient)
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
    has_follow_ups: bool,
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
        let new = self.follow_up(job, key, JobOptions::default())?;
        self.accept(vec![new]).await?.pop().ok_or(JobError::Superseded)
    }

    /// Accepts a batch: any number of jobs, and one that is due when none of them is left, however they ended. Returns the
    /// completion job's id, which is the batch's.
    ///
    /// # Errors
    /// As [`Effects::enqueue`].
    pub async fn enqueue_batch<J: Job, D: Job>(
        &mut self,
        members: impl IntoIterator<Item = (J, String)>,
        completion: &D,
        key: impl std::fmt::Display,
    ) -> Result<JobId, JobError> {
        let options = JobOptions { completes_batch: true, ..JobOptions::default() };
        let completion = self.follow_up(completion, key, options)?;
        let batch_id = self.accept(vec![completion]).await?.pop().ok_or(JobError::Superseded)?;
        let mut members = members.into_iter().peekable();
        while members.peek().is_some() {
            let some = members.by_ref().take(FOLLOW_UPS).map(|(job, key)| {
                self.follow_up(&job, key, JobOptions { batch_id: Some(batch_id), ..JobOptions::default() })
            });
            let some = some.collect::<Result<Vec<_>, _>>()?;
            self.accept(some).await?;
        }
        Ok(batch_id)
    }

    /// Accepts any number of follow-up jobs of one kind, each under its key as [`Effects::enqueue`] does.
    ///
    /// # Errors
    /// As [`Effects::enqueue`].
    pub async fn enqueue_all<J: Job>(&mut self, jobs: impl IntoIterator<Item = (J, String)>) -> Result<(), JobError> {
        let mut jobs = jobs.into_iter().peekable();
        while jobs.peek().is_some() {
            let some = jobs.by_ref().take(FOLLOW_UPS);
            let some = some.map(|(job, key)| self.follow_up(&job, key, JobOptions::default()));
            let some = some.collect::<Result<Vec<_>, _>>()?;
            self.accept(some).await?;
        }
        Ok(())
    }

    fn follow_up<J: Job>(&self, job: &J, key: impl std::fmt::Display, options: JobOptions) -> Result<NewJob, JobError> {
        let request = RequestId::new(format!("billrunner/{}", J::KIND), key);
        let options = JobOptions { parent_id: Some(self.attempt.job_id), ..options };
        let lanes = &self.attempt.surroundings.lanes;
        new_job(job, lanes, request, self.attempt.requested_by.clone(), options).map_err(JobError::permanent)
    }

    /// Records follow-up jobs. They carry the span that does so; without one, what this job came with.
    async fn accept(&mut self, mut new: Vec<NewJob>) -> Result<Vec<JobId>, JobError> {
        self.has_follow_ups = true;
        let span = start_sending(&mut new);
        for job in new.iter_mut().filter(|job| job.traceparent.is_none()) {
            job.traceparent.clone_from(&self.attempt.traceparent);
        }
        let accepted = jobs::accept_all(&mut self.transaction, &new).instrument(span.clone()).await;
        say_what_was_sent(&span, accepted.as_deref());
        let accepted = accepted?;
        let id = |accepted: Result<jobs::Accepted, AcceptError>| accepted.map(jobs::Accepted::id);
        accepted.into_iter().map(id).collect::<Result<_, _>>().map_err(|error| match error {
            AcceptError::Database(error) => JobError::transient(error),
            conflict @ AcceptError::Conflict { .. } => JobError::permanent(conflict),
        })
    }

    /// Commits what was done so far, with how far that is, and sends its follow-up jobs on their way; the job goes on. For
    /// work in blocks, each of which is whole by itself: whoever runs the job again must find what is done.
    ///
    /// # Errors
    /// [`JobError::Cancelled`] when somebody asked for the job's end, [`JobError::Superseded`] when the attempt was taken
    /// away meanwhile: nothing of the block is kept then.
    pub async fn keep(mut self, progress: &Progress) -> Result<(), JobError> {
        let attempt = (self.attempt.job_id, self.attempt.number);
        let Surroundings { worker_id, wake, .. } = &self.attempt.surroundings;
        match jobs::record_progress(&mut self.transaction, *worker_id, attempt, progress).await? {
            Standing::GoesOn => {}
            Standing::IsCancelled => return Err(JobError::Cancelled),
            Standing::Superseded => return Err(JobError::Superseded),
        }
        self.transaction.commit().await?;
        if self.has_follow_ups {
            wake.now();
        }
        Ok(())
    }

    /// Records the outcome, commits all of it, and sends the follow-up jobs on their way.
    ///
    /// # Errors
    /// [`JobError::Superseded`] when the attempt was taken away meanwhile: nothing is kept.
    pub async fn complete(mut self, message: impl Into<String>) -> Result<Finished, JobError> {
        let attempt = (self.attempt.job_id, self.attempt.number);
        let Surroundings { worker_id, wake, pool, .. } = &self.attempt.surroundings;
        let is_held = if faults::is_planted(Mutation::AckBeforeCommit) {
            jobs::finish(&mut *pool.acquire().await?, *worker_id, attempt, &message.into()).await?
        } else {
            jobs::finish(&mut self.transaction, *worker_id, attempt, &message.into()).await?
        };
        if !is_held && !faults::is_planted(Mutation::FencingSkipped) {
            return Err(JobError::Superseded);
        }
        faults::reached(Point::BeforeCommit);
        self.transaction.commit().await?;
        faults::reached(Point::AfterCommit);
        if self.has_follow_ups || self.attempt.batch_id.is_some() {
            wake.now();
        } else {
            wake.job_ended();
        }
        Ok(Finished(Completion::Committed))
    }
}
