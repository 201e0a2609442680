//! What a kind of job is: a payload, its constants, and what running it means.

use std::{error::Error, fmt, future::Future, time::Duration};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    attempt::{Attempt, Finished},
    payload_hash,
    registry::Lanes,
};
use crate::{domain::ids::JobId, store::jobs::NewJob};

/// Longest wait between two attempts at a job whose kind says nothing else, or is not known.
pub(super) const LONGEST_BACKOFF: Duration = Duration::from_mins(15);

/// A queue with its own concurrency, so that trouble in one holds up no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Imports, bill runs and generation; generation has a lane per provider.
    Billing,
    /// Status changes.
    Status,
    /// Rendering.
    Documents,
    /// Notifications.
    Mail,
    /// Retention and checks, which are long and in no hurry.
    Upkeep,
}

impl Queue {
    /// All queues.
    pub const ALL: [Self; 5] = [Self::Billing, Self::Status, Self::Documents, Self::Mail, Self::Upkeep];

    /// Returns the queue's name, which is also that of its common lane.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Billing => "billing",
            Self::Status => "status",
            Self::Documents => "documents",
            Self::Mail => "mail",
            Self::Upkeep => "upkeep",
        }
    }
}

/// A kind of job: its payload is the implementing type, which holds ids and enums only.
///
/// Running twice must equal running once; each kind's module says what makes it so.
pub trait Job: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What handlers work with: pools, stores, mailer.
    type Context: Clone + Send + Sync + 'static;
    /// Name in the ledger and on the command line, such as `generate_invoice`.
    const KIND: &'static str;
    /// `CloudEvents` type at the doors, such as `billrunner.invoice.generate.v1`.
    const EVENT_TYPE: &'static str;
    /// Where it waits.
    const QUEUE: Queue;
    /// How long one attempt may take.
    const TIMEOUT: Duration;
    /// Failed attempts after which it is dead: fifteen from a base of a second take 40 minutes on average, and so outlive
    /// most outages of what a job talks to. This is the only layer that tries again: no client under it does.
    const MAX_ATTEMPTS: i32 = 15;
    /// Longest wait between two attempts; the ceiling of the jitter doubles with each failure until here.
    const MAX_BACKOFF: Duration = LONGEST_BACKOFF;
    /// Whether other systems may hand it in. What is not stays with schedules, operators and other jobs.
    const IS_AT_THE_DOORS: bool = true;
    /// The field whose value names the lane inside the queue, such as the provider; `None` is the common lane.
    const LANE_FIELD: Option<&'static str> = None;

    /// Does the work and proves it by completing the attempt.
    fn run(self, context: Self::Context, attempt: Attempt) -> impl Future<Output = Result<Finished, JobError>> + Send;
}

/// Why an attempt did not finish its job. Said where the trouble arises; unsure means transient.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// No repetition helps: the job goes to the dead letters at once.
    #[error("{0}")]
    Permanent(#[source] Box<dyn Error + Send + Sync>),
    /// Tried again with backoff, until the attempts are spent; not before the time the other side named, if it did.
    #[error("{0}")]
    Transient(#[source] Box<dyn Error + Send + Sync>, Option<Duration>),
    /// Not its time yet: runs later, and no attempt is counted.
    #[error("not yet: {reason}")]
    Snooze {
        /// When to look again.
        after: Duration,
        /// What it waits for.
        reason: String,
    },
    /// Somebody asked for its end, and it had reached a point where nothing is half done.
    #[error("cancelled")]
    Cancelled,
    /// The attempt was taken away meanwhile; whoever holds the job now decides.
    #[error("the attempt was superseded")]
    Superseded,
}

impl JobError {
    /// Marks an error as one that no repetition mends.
    pub fn permanent(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Permanent(error.into())
    }

    /// Marks an error as one that may pass.
    pub fn transient(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Transient(error.into(), None)
    }

    /// Marks an error as one that may pass, though not before a while that the other side named, such as an HTTP
    /// `Retry-After`.
    pub fn transient_after(error: impl Into<Box<dyn Error + Send + Sync>>, retry_after: Duration) -> Self {
        Self::Transient(error.into(), Some(retry_after))
    }

    /// Returns the message with those of its causes, for the ledger.
    pub fn full_message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = self.source().and_then(Error::source);
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = error.source();
        }
        message
    }
}

impl From<sqlx::Error> for JobError {
    fn from(error: sqlx::Error) -> Self {
        Self::transient(error)
    }
}

/// The idempotency key of a request: who sends it, and the sender's own id for it.
#[derive(Clone, Debug)]
pub struct RequestId {
    /// Such as `cli`, or a `CloudEvents` source.
    pub source: String,
    /// Unique within the source.
    pub external_id: String,
}

impl RequestId {
    /// Joins a source and the sender's id.
    pub fn new(source: impl Into<String>, external_id: impl fmt::Display) -> Self {
        Self { source: source.into(), external_id: external_id.to_string() }
    }
}

/// What a sender may say about a job besides its payload.
#[derive(Clone, Debug, Default)]
pub struct JobOptions {
    /// Not before.
    pub run_at: Option<DateTime<Utc>>,
    /// Higher goes first: a step is a head start of 30 seconds. From -100 to 100; 0 is normal.
    pub priority: i16,
    /// While a job of the same kind and key is not final, this one is folded into it.
    pub dedupe_key: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The job that fans it out.
    pub parent_id: Option<JobId>,
    /// The completion job of the batch it belongs to.
    pub batch_id: Option<JobId>,
    /// Whether it is a batch's completion job itself.
    pub completes_batch: bool,
}

/// Turns a payload into the row that the ledger accepts.
///
/// # Errors
/// When the payload does not serialize.
pub(super) fn new_job<J: Job>(
    job: &J,
    lanes: &Lanes,
    request: RequestId,
    requested_by: String,
    options: JobOptions,
) -> serde_json::Result<NewJob> {
    let payload = serde_json::to_value(job)?;
    let lane = J::LANE_FIELD.and_then(|field| payload.get(field)).and_then(Value::as_str);
    Ok(NewJob {
        id: JobId::new(),
        kind: J::KIND,
        queue: lanes.find(J::QUEUE, lane),
        priority: options.priority,
        payload_hash: payload_hash::of(J::KIND, &payload),
        payload,
        source: request.source,
        external_id: request.external_id,
        dedupe_key: options.dedupe_key,
        parent_id: options.parent_id,
        batch_id: options.batch_id,
        completes_batch: options.completes_batch,
        max_attempts: J::MAX_ATTEMPTS,
        run_at: options.run_at,
        traceparent: options.traceparent,
        requested_by,
    })
}
