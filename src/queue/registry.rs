//! Which handler runs which kind, and how a request becomes a row of the ledger.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;

use super::{
    attempt::{Attempt, Finished},
    job::{Job, JobError, JobOptions, Queue, RequestId, new_job},
};
use crate::store::jobs::NewJob;

type Run<C> = fn(C, Attempt, Value) -> BoxFuture<'static, Result<Finished, JobError>>;
type Prepare = fn(&Lanes, Value, RequestId, String, JobOptions) -> Result<NewJob, InvalidPayload>;

/// What the runtime knows of a kind.
pub(super) struct Handler<C> {
    pub kind: &'static str,
    pub event_type: &'static str,
    pub timeout: Duration,
    pub max_backoff: Duration,
    pub run: Run<C>,
    prepare: Prepare,
}

/// The lanes that workers read; a job for any other goes to its queue's common lane.
#[derive(Clone, Debug)]
pub(super) struct Lanes(Arc<[(Queue, String)]>);

impl Lanes {
    pub fn iter(&self) -> impl Iterator<Item = &(Queue, String)> {
        self.0.iter()
    }

    /// Returns the lane a job waits in.
    pub fn of<J: Job>(&self, job: &J) -> String {
        let named = job.lane().map(|lane| format!("{}.{lane}", J::QUEUE.as_str()));
        named
            .filter(|lane| self.0.iter().any(|(_, known)| known == lane))
            .unwrap_or_else(|| J::QUEUE.as_str().to_owned())
    }
}

/// Says why a request's payload is refused.
#[derive(Debug, thiserror::Error)]
#[error("the payload of {kind} is not valid: {source}")]
pub struct InvalidPayload {
    kind: &'static str,
    source: serde_json::Error,
}

/// All kinds of job, by name.
pub struct Registry<C> {
    handlers: BTreeMap<&'static str, Handler<C>>,
    lanes: Lanes,
}

impl<C: Clone + Send + Sync + 'static> Registry<C> {
    /// Makes an empty registry; `billing_lanes` are the providers, each with a lane of its own.
    pub fn new<'a>(billing_lanes: impl Iterator<Item = &'a str>) -> Self {
        let common = Queue::ALL.into_iter().map(|queue| (queue, queue.as_str().to_owned()));
        let billing = billing_lanes.map(|lane| (Queue::Billing, format!("{}.{lane}", Queue::Billing.as_str())));
        Self { handlers: BTreeMap::new(), lanes: Lanes(common.chain(billing).collect()) }
    }

    /// Adds a kind.
    #[must_use]
    pub fn with<J: Job<Context = C>>(mut self) -> Self {
        self.handlers.insert(
            J::KIND,
            Handler {
                kind: J::KIND,
                event_type: J::EVENT_TYPE,
                timeout: J::TIMEOUT,
                max_backoff: J::MAX_BACKOFF,
                run: run::<J>,
                prepare: prepare::<J>,
            },
        );
        self
    }

    /// Returns the names of all kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.handlers.keys().copied()
    }

    pub(super) fn find(&self, kind: &str) -> Option<&Handler<C>> {
        self.handlers.get(kind)
    }

    pub(super) fn find_by_event_type(&self, event_type: &str) -> Option<&Handler<C>> {
        self.handlers.values().find(|handler| handler.event_type == event_type)
    }

    pub(super) fn event_types(&self) -> String {
        self.handlers.values().map(|handler| handler.event_type).collect::<Vec<_>>().join(", ")
    }

    /// Returns the longest wait between two attempts, by kind.
    pub(super) fn max_backoffs(&self) -> BTreeMap<&'static str, Duration> {
        self.handlers.values().map(|handler| (handler.kind, handler.max_backoff)).collect()
    }

    /// Returns the names of all lanes; a queue's common lane has the queue's name.
    pub fn lane_names(&self) -> impl Iterator<Item = &str> {
        self.lanes.iter().map(|(_, name)| name.as_str())
    }

    pub(super) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Makes a ledger row from a typed payload.
    ///
    /// # Errors
    /// When the payload does not serialize.
    pub fn prepare<J: Job<Context = C>>(
        &self,
        job: &J,
        request: RequestId,
        requested_by: &str,
        options: JobOptions,
    ) -> serde_json::Result<NewJob> {
        new_job(job, self.lanes.of(job), request, requested_by.to_owned(), options)
    }

    /// Makes a ledger row from a kind's name and untyped payload.
    ///
    /// # Errors
    /// When the payload lacks a field, has an unknown one, or a value that the kind does not take.
    pub(super) fn prepare_untyped(
        &self,
        handler: &Handler<C>,
        payload: Value,
        request: RequestId,
        requested_by: String,
        options: JobOptions,
    ) -> Result<NewJob, InvalidPayload> {
        (handler.prepare)(&self.lanes, payload, request, requested_by, options)
    }
}

fn run<J: Job>(
    context: J::Context,
    attempt: Attempt,
    payload: Value,
) -> BoxFuture<'static, Result<Finished, JobError>> {
    async move {
        let job: J = serde_json::from_value(payload).map_err(JobError::permanent)?;
        job.run(context, attempt).await
    }
    .boxed()
}

fn prepare<J: Job>(
    lanes: &Lanes,
    payload: Value,
    request: RequestId,
    requested_by: String,
    options: JobOptions,
) -> Result<NewJob, InvalidPayload> {
    let invalid = |source| InvalidPayload { kind: J::KIND, source };
    let job: J = serde_json::from_value(payload).map_err(invalid)?;
    new_job(&job, lanes.of(&job), request, requested_by, options).map_err(invalid)
}
