//! The doors' common envelope: `CloudEvents` 1.0 in JSON (structured mode).
//!
//! `type` names the kind, `source` and `id` are the idempotency key. Every door reads it here, so that they accept the
//! same requests and refuse the others in the same words.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    job::{JobOptions, RequestId},
    registry::{InvalidPayload, Registry},
};
use crate::store::jobs::{AcceptError, NewJob};

/// Largest envelope, the same at every door.
pub(super) const MAX_BYTES: usize = 65_536;
/// Longest `id` and `source`.
const MAX_KEY_LENGTH: usize = 200;

/// A request for a job: a `CloudEvents` 1.0 event in JSON. Attributes that are not listed are ignored.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Envelope {
    /// The version of `CloudEvents`.
    #[schemars(extend("const" = "1.0"))]
    specversion: String,
    /// The sender's own id for the request: the same id and source again is the same job.
    #[schemars(length(min = 1, max = 200))]
    id: String,
    /// Who sends; what begins with `billrunner/` is reserved.
    #[schemars(length(min = 1, max = 200))]
    source: String,
    /// Which job, such as `billrunner.invoice.generate.v1`.
    r#type: String,
    /// The payload, as the schema of the type has it.
    #[serde(default)]
    data: Value,
    /// Not before this instant (RFC 3339).
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    runat: Option<DateTime<Utc>>,
    /// Higher goes first: a step is a head start of 30 seconds.
    #[schemars(range(min = -100, max = 100))]
    priority: Option<i16>,
    /// W3C trace context.
    traceparent: Option<String>,
}

/// Says why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// It has no field `ce`, or one that is no JSON envelope.
    #[error("not a CloudEvents JSON envelope: {0}; send XADD <intake> * ce '<json>'")]
    Unreadable(String),
    /// It is larger than any request needs to be.
    #[error("the envelope has {0} bytes; at most 65536 are read")]
    TooLarge(usize),
    /// An attribute has a value that is not taken.
    #[error("attribute `{0}` {1}")]
    Attribute(&'static str, String),
    /// No handler has this name.
    #[error("unknown job `{0}`; known: {1}")]
    UnknownKind(String, String),
    /// The payload does not fit the kind.
    #[error(transparent)]
    Payload(#[from] InvalidPayload),
    /// The idempotency key was used for other work.
    #[error(transparent)]
    Conflict(AcceptError),
    /// It holds a value that the ledger cannot keep, such as the character NUL.
    #[error("the ledger does not take a value of it: {0}")]
    Unrecordable(String),
}

impl Envelope {
    /// Reads an envelope and checks its attributes.
    ///
    /// # Errors
    /// [`EnvelopeError`], in words for the sender.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_BYTES {
            return Err(EnvelopeError::TooLarge(bytes.len()));
        }
        let envelope: Self =
            serde_json::from_slice(bytes).map_err(|error| EnvelopeError::Unreadable(error.to_string()))?;
        if envelope.specversion != "1.0" {
            return Err(EnvelopeError::Attribute("specversion", format!("is `{}`, not `1.0`", envelope.specversion)));
        }
        for (name, value) in [("id", &envelope.id), ("source", &envelope.source)] {
            if value.is_empty() || value.len() > MAX_KEY_LENGTH || value.chars().any(char::is_control) {
                return Err(EnvelopeError::Attribute(
                    name,
                    "must have 1 to 200 characters, none of them control".into(),
                ));
            }
        }
        if envelope.source.starts_with("billrunner/") {
            return Err(EnvelopeError::Attribute("source", "`billrunner/…` is reserved for follow-up jobs".into()));
        }
        Ok(envelope)
    }
}

impl<C: Clone + Send + Sync + 'static> Registry<C> {
    /// Makes a ledger row from an envelope.
    ///
    /// # Errors
    /// [`EnvelopeError`] when no kind has this type or the payload does not fit it.
    pub fn prepare_envelope(&self, envelope: Envelope) -> Result<NewJob, EnvelopeError> {
        let handler = self
            .find_by_event_type(&envelope.r#type)
            .ok_or_else(|| EnvelopeError::UnknownKind(envelope.r#type.clone(), self.event_types()))?;
        let request = RequestId::new(envelope.source.clone(), envelope.id);
        let options = JobOptions {
            run_at: envelope.runat,
            priority: envelope.priority.unwrap_or(0),
            traceparent: envelope.traceparent,
            ..JobOptions::default()
        };
        Ok(self.prepare_untyped(handler, envelope.data, request, envelope.source, options)?)
    }

    /// Makes a ledger row from a kind's name and payload, for the command line.
    ///
    /// # Errors
    /// [`EnvelopeError`] when the kind is unknown or the payload does not fit it.
    pub fn prepare_kind(
        &self,
        kind: &str,
        payload: Value,
        request: RequestId,
        requested_by: String,
        options: JobOptions,
    ) -> Result<NewJob, EnvelopeError> {
        let handler = self
            .find(kind)
            .ok_or_else(|| EnvelopeError::UnknownKind(kind.to_owned(), self.kinds().collect::<Vec<_>>().join(", ")))?;
        Ok(self.prepare_untyped(handler, payload, request, requested_by, options)?)
    }
}
