//! Which handler runs which kind, and how a request becomes a row of the ledger.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use serde::de::Error as _;
use serde_json::Value;

use super::{
    attempt::{Attempt, Finished},
    envelope::{in_few_words, pointer_to},
    job::{Job, JobError, JobOptions, Queue, RequestId, new_job},
    schema,
};
use crate::store::{job_kinds::JobKind, jobs::NewJob};

type Run<C> = fn(C, Attempt, Value) -> BoxFuture<'static, Result<Finished, JobError>>;
type Prepare = fn(&Lanes, Value, RequestId, String, JobOptions) -> Result<NewJob, InvalidPayload>;

/// What the runtime knows of a kind.
pub(super) struct Handler<C> {
    pub kind: &'static str,
    pub event_type: &'static str,
    is_at_the_doors: bool,
    pub timeout: Duration,
    pub max_backoff: Duration,
    pub run: Run<C>,
    prepare: Prepare,
    describe: fn(&Lanes) -> JobKind,
}

/// The lanes that workers read; a job for any other goes to its queue's common lane.
#[derive(Clone, Debug)]
pub(super) struct Lanes(Arc<[(Queue, String)]>);

impl Lanes {
    pub fn iter(&self) -> impl Iterator<Item = &(Queue, String)> {
        self.0.iter()
    }

    /// Returns the lane a job waits in: the one it names inside its queue, if workers read it.
    pub fn find(&self, queue: Queue, lane: Option<&str>) -> String {
        let named = lane.map(|lane| format!("{}.{lane}", queue.as_str()));
        named.filter(|lane| self.0.iter().any(|(_, known)| known == lane)).unwrap_or_else(|| queue.as_str().to_owned())
    }
}

/// Says why a request's payload is refused.
#[derive(Debug, thiserror::Error)]
#[error("the payload of {kind} is not valid{}: {source}", if pointer.is_empty() { String::new() } else { format!(" at {pointer}") })]
pub struct InvalidPayload {
    kind: &'static str,
    pointer: String,
    source: serde_json::Error,
}

impl InvalidPayload {
    /// Returns the JSON Pointer of what is wrong within the payload, or of the object that lacks something.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }
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
                is_at_the_doors: J::IS_AT_THE_DOORS,
                timeout: J::TIMEOUT,
                max_backoff: J::MAX_BACKOFF,
                run: run::<J>,
                prepare: prepare::<J>,
                describe: schema::describe::<J>,
            },
        );
        self
    }

    /// Returns the names of all kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.handlers.keys().copied()
    }

    /// Returns what other systems may know of each kind that they may hand in.
    pub fn describe(&self) -> Vec<JobKind> {
        self.at_the_doors().map(|handler| (handler.describe)(&self.lanes)).collect()
    }

    pub(super) fn find(&self, kind: &str) -> Option<&Handler<C>> {
        self.handlers.get(kind)
    }

    pub(super) fn find_by_event_type(&self, event_type: &str) -> Option<&Handler<C>> {
        self.at_the_doors().find(|handler| handler.event_type == event_type)
    }

    pub(super) fn event_types(&self) -> String {
        self.at_the_doors().map(|handler| handler.event_type).collect::<Vec<_>>().join(", ")
    }

    fn at_the_doors(&self) -> impl Iterator<Item = &Handler<C>> {
        self.handlers.values().filter(|handler| handler.is_at_the_doors)
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
        new_job(job, &self.lanes, request, requested_by.to_owned(), options)
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
    let invalid = |pointer, source| InvalidPayload { kind: J::KIND, pointer, source };
    let not_an_object = || invalid(String::new(), serde_json::Error::custom("it is no JSON object"));
    // Serde reads more than the schemas say: a list of values as an object, and `{"draft": null}` as "draft".
    let fields = payload.as_object().ok_or_else(not_an_object)?;
    let objects: Vec<String> =
        fields.iter().filter(|(_, value)| value.is_object()).map(|(name, _)| name.clone()).collect();
    let job: J = serde_path_to_error::deserialize(payload)
        .map_err(|error| invalid(pointer_to(error.path()), in_few_words(error.into_inner())))?;
    let new = new_job(&job, lanes, request, requested_by, options).map_err(|source| invalid(String::new(), source))?;
    match objects.into_iter().find(|name| !new.payload.get(name).is_some_and(Value::is_object)) {
        Some(name) => Err(invalid(format!("/{name}"), serde_json::Error::custom("an object is not expected"))),
        None => Ok(new),
    }
}
