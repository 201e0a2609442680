//! The outermost layer of a worker: it sees the verdict of handler, timeout and panic, and settles the attempt.
//!
//! This is the only place where a failure becomes retry, snooze or death, and Postgres the only place where it is kept.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{error::BoxDynError, task::Task};
use futures::{FutureExt, future::BoxFuture};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tower::{Layer, Service};
use tracing::{Instrument, Span, field::Empty};

use super::{
    attempt::{Completion, Finished},
    backend::Claimed,
    backoff::{Reconnect, retry_after},
    dispatch::Wake,
    in_hand::Held,
    job::{JobError, LONGEST_BACKOFF},
};
use crate::{
    domain::ids::{JobId, WorkerId},
    metrics::{AttemptMetrics, AttemptOutcome, RunningAttempt},
    store::jobs::{self, ClaimedJob, NextStep},
    traces::{self, Message, Run},
};

/// Longest wait that another side may impose on us.
const LONGEST_NAMED: Duration = Duration::from_hours(24);

/// An attempt that is over: its entry can go, once what its verdict asks for is done.
pub(super) struct Settled {
    pub entry_id: String,
    pub verdict: Verdict,
    pub is_in_batch: bool,
    /// In hand until the outcome is written.
    pub _held: Option<Arc<Held>>,
}

/// What the ledger knows of an attempt that is over.
pub(super) enum Verdict {
    /// All there is to know.
    Recorded,
    /// Not yet that it is done, and what it did.
    Done(JobId, i32, String),
    /// That it is not this worker's. Where a crash of the database took the claim back, it is nobody's.
    Superseded(JobId, i32),
}

impl Settled {
    /// An entry that can go and says nothing about a job.
    pub fn without_outcome(entry_id: String) -> Self {
        Self { entry_id, verdict: Verdict::Recorded, is_in_batch: false, _held: None }
    }
}

/// Wraps a lane's handler.
#[derive(Clone)]
pub(super) struct SettleLayer {
    pub pool: PgPool,
    pub worker_id: WorkerId,
    pub settled: mpsc::UnboundedSender<Settled>,
    pub wake: Wake,
    pub retry_base: Duration,
    pub max_backoffs: Arc<BTreeMap<&'static str, Duration>>,
    pub attempts: AttemptMetrics,
}

impl<S> Layer<S> for SettleLayer {
    type Service = Settle<S>;

    fn layer(&self, inner: S) -> Settle<S> {
        Settle { inner, layer: self.clone() }
    }
}

/// See [`SettleLayer`].
#[derive(Clone)]
pub(super) struct Settle<S> {
    inner: S,
    layer: SettleLayer,
}

impl<S> Service<Task<Claimed>> for Settle<S>
where
    S: Service<Task<Claimed>, Response = Finished>,
    S::Future: Send + 'static,
    S::Error: Into<BoxDynError>,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Claimed>) -> Self::Future {
        let claimed = task.args.clone();
        let watched = self.layer.watch(&claimed.job);
        let (span, traced) = (watched.log_span(&claimed.job), watched.traced.clone());
        let outcome = self.inner.call(task);
        let layer = self.layer.clone();
        async move {
            let outcome = outcome.await.map_err(|error| to_job_error(error.into()));
            let verdict = match outcome {
                Ok(Finished(Completion::Committed)) => {
                    watched.end(AttemptOutcome::Done, None);
                    tracing::info!("done");
                    Verdict::Recorded
                }
                Ok(Finished(Completion::Pending(message))) => {
                    watched.end(AttemptOutcome::Done, None);
                    tracing::info!(message, "done without effects");
                    Verdict::Done(claimed.job.id, claimed.job.attempt, message)
                }
                Err(error) => layer.record_failure(&claimed, &error, watched).await,
            };
            // The receiver outlives every handler, so this fails only while the process is being torn down.
            let is_in_batch = claimed.job.batch_id.is_some();
            let Claimed { entry_id, held, .. } = claimed;
            let _ = layer.settled.send(Settled { entry_id, verdict, is_in_batch, _held: Some(held) });
            Ok(())
        }
        .instrument(span)
        .instrument(traced)
        .boxed()
    }
}

/// An attempt that is under way, as it is counted and traced.
struct Watched {
    counted: RunningAttempt,
    /// The span of its trace, where anybody wants one.
    traced: Span,
}

impl Watched {
    /// Starts the span around its log lines. They name the trace also where nobody exports it: the caller may.
    fn log_span(&self, job: &ClaimedJob) -> Span {
        let span = tracing::info_span!(
            "attempt",
            job_id = %job.id,
            kind = job.kind,
            attempt = job.attempt,
            queue = job.queue,
            trace_id = Empty,
        );
        let traceparent = traces::traceparent_of(&self.traced).or_else(|| job.traceparent.clone());
        if let Some(trace_id) = traceparent.as_deref().and_then(traces::trace_id_of) {
            span.record("trace_id", trace_id);
        }
        span
    }

    fn end(self, outcome: AttemptOutcome, error: Option<&JobError>) {
        traces::run_ended(&self.traced, outcome.as_str());
        if let AttemptOutcome::Retried | AttemptOutcome::Dead = outcome {
            let is_permanent = matches!(error, Some(JobError::Permanent(_)));
            traces::fail(&self.traced, if is_permanent { "permanent" } else { "transient" });
        }
        self.counted.end(outcome);
    }
}

impl SettleLayer {
    fn watch(&self, job: &ClaimedJob) -> Watched {
        let traced = traces::process(&Run {
            id: &job.id,
            message: Message::new(&job.queue, job.traceparent.as_deref()),
            kind: &job.kind,
            attempt: job.attempt,
            is_in_batch: job.batch_id.is_some(),
            worker: &self.worker_id,
        });
        Watched { counted: self.attempts.start(&job.kind), traced }
    }

    async fn record_failure(&self, claimed: &Claimed, error: &JobError, watched: Watched) -> Verdict {
        let attempt = (claimed.job.id, claimed.job.attempt);
        let superseded = Verdict::Superseded(attempt.0, attempt.1);
        let message = error.full_message();
        let next = self.next_step(claimed, error);
        watched.end(outcome_of(next), Some(error));
        let Some(next) = next else {
            tracing::warn!("superseded: this worker does not hold the job any more");
            return superseded;
        };
        // A permanent error quotes what was wrong, which may be an amount or an address: the ledger keeps it, the log does not.
        let logged =
            if matches!(error, JobError::Permanent(_)) { "see `billrunner jobs show`" } else { message.as_str() };
        match next {
            NextStep::Retry(seconds) => tracing::warn!(error = logged, seconds, "failed, runs again"),
            NextStep::Snooze(seconds) => tracing::info!(reason = message, seconds, "snoozed"),
            NextStep::Die => tracing::error!(error = logged, "failed for good"),
            NextStep::Cancel => tracing::info!("cancelled"),
        }
        let mut reconnect = Reconnect::new();
        let is_recorded = loop {
            let written = async {
                let mut connection = self.pool.acquire().await?;
                jobs::fail(&mut connection, self.worker_id, attempt, next, &message).await
            };
            match written.await {
                Ok(is_recorded) => break is_recorded,
                Err(error) if reconnect.is_first() => tracing::warn!(%error, "the failure waits to be recorded"),
                Err(_) => {}
            }
            reconnect.pause().await;
        };
        self.wake.now();
        if !is_recorded {
            tracing::warn!("superseded: the failure is not counted");
            return superseded;
        }
        Verdict::Recorded
    }

    fn next_step(&self, claimed: &Claimed, error: &JobError) -> Option<NextStep> {
        match error {
            JobError::Permanent(_) => Some(NextStep::Die),
            JobError::Transient(..) if claimed.job.failed_attempts + 1 >= claimed.job.max_attempts => {
                Some(NextStep::Die)
            }
            JobError::Transient(_, named) => {
                let longest = self.max_backoffs.get(claimed.job.kind.as_str()).copied().unwrap_or(LONGEST_BACKOFF);
                let backoff = retry_after(self.retry_base, longest, claimed.job.failed_attempts);
                let wait = named.map_or(backoff, |named| named.min(LONGEST_NAMED) + backoff);
                Some(NextStep::Retry(wait.as_secs_f64()))
            }
            JobError::Snooze { after, .. } => Some(NextStep::Snooze(after.as_secs_f64())),
            JobError::Cancelled => Some(NextStep::Cancel),
            JobError::Superseded => None,
        }
    }
}

/// Names what becomes of an attempt that did not finish its job, for the metrics.
fn outcome_of(next: Option<NextStep>) -> AttemptOutcome {
    match next {
        Some(NextStep::Retry(_)) => AttemptOutcome::Retried,
        Some(NextStep::Snooze(_)) => AttemptOutcome::Snoozed,
        Some(NextStep::Die) => AttemptOutcome::Dead,
        Some(NextStep::Cancel) => AttemptOutcome::Cancelled,
        None => AttemptOutcome::Superseded,
    }
}

/// Everything that is not a handler's own word, such as a caught panic, may pass.
fn to_job_error(error: BoxDynError) -> JobError {
    match error.downcast::<JobError>() {
        Ok(error) => *error,
        Err(other) => JobError::transient(other),
    }
}
