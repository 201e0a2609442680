//! The doors' common envelope: `CloudEvents` 1.0 in JSON (structured mode).
//!
//! `type` names the kind, `source` and `id` are the idempotency key. Every door reads it here, so that they accept the
//! same requests and refuse the others in the same words. A refusal knows what sort it is and where in the envelope the
//! trouble lies, so that a door can say both in its own way.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use chrono::{DateTime, FixedOffset, Utc};
use serde::{Deserialize, de::Error as _};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::{
    job::{JobOptions, RequestId},
    registry::{InvalidPayload, Registry},
};
use crate::{
    store::jobs::{AcceptError, NewJob},
    traces,
};

/// Largest envelope, the same at every door.
pub const MAX_ENVELOPE_BYTES: usize = 65_536;
/// Longest `id`, `source` and `dedupekey`.
const MAX_KEY_LENGTH: usize = 200;
/// How much of a wrong value an error repeats.
const SHOWN: usize = 100;
/// How much is said of what is wrong in words that are not ours, which may repeat any value.
const SAID: usize = 1000;

/// A request as other systems send it: a `CloudEvents` 1.0 event in JSON.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Envelope {
    /// Version of `CloudEvents`.
    #[serde(default)]
    #[schema(required = true, pattern = r"^1\.0$", example = "1.0")]
    specversion: String,
    /// The sender's own id for this request. With `source` it is the idempotency key: the same two with the same payload
    /// again are the same job, with another payload a conflict.
    #[serde(default)]
    #[schema(required = true, min_length = 1, max_length = 200, example = "august-aws")]
    id: String,
    /// Who sends. Over HTTP it is the client's name, or begins with it and a slash. `billrunner/…` is reserved.
    #[serde(default)]
    #[schema(required = true, min_length = 1, max_length = 200, example = "shop")]
    source: String,
    /// Which kind of job.
    #[serde(default)]
    #[schema(required = true, example = "billrunner.bill_run.start.v1")]
    r#type: String,
    /// The payload; its JSON Schema, one per type, lies under `/schemas/`.
    #[serde(default)]
    #[schema(required = true, value_type = Object)]
    data: Value,
    /// Not before this instant (RFC 3339).
    #[schema(value_type = Option<String>, format = DateTime)]
    runat: Option<DateTime<Utc>>,
    /// Higher goes first: a step is a head start of 30 seconds. 0 is normal.
    #[schema(minimum = -100, maximum = 100)]
    priority: Option<i16>,
    /// While a job of this type and key is not final, this one is folded into it.
    #[schema(min_length = 1, max_length = 200)]
    dedupekey: Option<String>,
    /// The queue or lane to wait in, such as `billing.aws`. Default: the kind's own.
    queue: Option<String>,
    /// W3C trace context.
    #[schema(example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
    traceparent: Option<String>,
    /// A media type for JSON.
    datacontenttype: Option<String>,
    /// Accepted, not used.
    #[serde(rename = "dataschema")]
    _dataschema: Option<String>,
    /// Accepted, not used.
    #[serde(rename = "subject")]
    _subject: Option<String>,
    /// When it happened (RFC 3339). Accepted, not used.
    #[serde(rename = "time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    _time: Option<DateTime<FixedOffset>>,
    /// Extensions that are not ours: accepted, not used.
    #[serde(flatten)]
    #[schema(ignore)]
    extensions: BTreeMap<String, Value>,
}

/// Says why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// It is no JSON, or JSON that is no envelope.
    #[error("not a CloudEvents JSON envelope: {0}")]
    Unreadable(String),
    /// It is larger than any request needs to be.
    #[error("the envelope has {0} bytes; at most 65536 are read")]
    TooLarge(usize),
    /// An attribute has a value that is not taken.
    #[error("attribute `{0}` {1}")]
    Attribute(Cow<'static, str>, String),
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

/// What sort of refusal an [`EnvelopeError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be read as an envelope at all.
    Unreadable,
    /// It has too many bytes.
    TooLarge,
    /// It reads, and a value in it is wrong.
    Invalid,
    /// It is fine by itself and contradicts what is recorded.
    Conflict,
}

impl EnvelopeError {
    fn attribute(name: impl Into<Cow<'static, str>>, problem: impl Into<String>) -> Self {
        Self::Attribute(name.into(), problem.into())
    }

    /// Returns what sort of refusal it is.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Unreadable(_) => Refusal::Unreadable,
            Self::TooLarge(_) => Refusal::TooLarge,
            Self::Attribute(..) | Self::UnknownKind(..) | Self::Payload(_) | Self::Unrecordable(_) => Refusal::Invalid,
            Self::Conflict(_) => Refusal::Conflict,
        }
    }

    /// Returns the JSON Pointer (RFC 6901) of the wrong value within the envelope; `None` where it is no single one. A
    /// member that is missing from the payload is named by the object that lacks it.
    pub fn pointer(&self) -> Option<String> {
        match self {
            Self::Unreadable(_) | Self::TooLarge(_) => None,
            Self::Attribute(name, _) => Some(format!("/{}", escape(name))),
            Self::UnknownKind(..) => Some("/type".to_owned()),
            Self::Payload(invalid) => Some(format!("/data{}", invalid.pointer())),
            Self::Conflict(_) => Some("/id".to_owned()),
            // Attributes were checked: what is left is a NUL somewhere in the payload.
            Self::Unrecordable(_) => Some("/data".to_owned()),
        }
    }
}

impl Envelope {
    /// Reads an envelope and checks its attributes.
    ///
    /// # Errors
    /// [`EnvelopeError`], in words for the sender.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(EnvelopeError::TooLarge(bytes.len()));
        }
        let unreadable = |error: serde_json::Error| EnvelopeError::Unreadable(first(&error.to_string(), SAID));
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let envelope: Self = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let attribute = error.path().iter().next().map(|name| shown(&name.to_string()));
            let error = error.into_inner();
            match attribute {
                Some(name) if error.is_data() => {
                    EnvelopeError::attribute(name, format!("does not read: {}", first(&error.to_string(), SAID)))
                }
                _ => unreadable(error),
            }
        })?;
        deserializer.end().map_err(unreadable)?;
        envelope.check()?;
        Ok(envelope)
    }

    fn check(&self) -> Result<(), EnvelopeError> {
        if self.specversion != "1.0" {
            let problem = format!("is `{}`, not `1.0`", shown(&self.specversion));
            return Err(EnvelopeError::attribute("specversion", problem));
        }
        check_keys(&self.id, &self.source, self.dedupekey.as_deref())?;
        if let Some(priority) = self.priority.filter(|priority| !(-100..=100).contains(priority)) {
            return Err(EnvelopeError::attribute("priority", format!("is {priority}; it goes from -100 to 100")));
        }
        if let Some(text) = self.traceparent.as_deref().filter(|text| !traces::is_valid(text)) {
            let problem = format!("is `{}`, no W3C trace context; write {}", shown(text), traces::FORM);
            return Err(EnvelopeError::attribute("traceparent", problem));
        }
        if let Some(media_type) = self.datacontenttype.as_deref().filter(|media_type| !is_json(media_type)) {
            let problem = format!("is `{}`; only application/json is read", shown(media_type));
            return Err(EnvelopeError::attribute("datacontenttype", problem));
        }
        let is_name = |name: &&String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        match self.extensions.keys().find(|name| !is_name(name)) {
            Some(name) => {
                let problem = "is none of CloudEvents: names are lower-case letters and digits";
                Err(EnvelopeError::attribute(shown(name), problem))
            }
            None => Ok(()),
        }
    }
}

/// Checks what a sender calls itself, its request and its dedupe key.
///
/// # Errors
/// [`EnvelopeError::Attribute`], in words for the sender.
pub fn check_keys(id: &str, source: &str, dedupe_key: Option<&str>) -> Result<(), EnvelopeError> {
    let is_key =
        |value: &str| (1..=MAX_KEY_LENGTH).contains(&value.chars().count()) && !value.chars().any(char::is_control);
    for (name, value) in [("id", Some(id)), ("source", Some(source)), ("dedupekey", dedupe_key)] {
        if !value.is_none_or(is_key) {
            return Err(EnvelopeError::attribute(name, "must have 1 to 200 characters, none of them control"));
        }
    }
    if source.starts_with("billrunner/") {
        return Err(EnvelopeError::attribute("source", "`billrunner/…` is reserved for follow-up jobs"));
    }
    Ok(())
}

/// Reads an envelope into the row that the ledger accepts, whatever the handlers of its kinds work with.
pub type ReadEnvelope = Arc<dyn Fn(&[u8]) -> Result<NewJob, EnvelopeError> + Send + Sync>;

/// Makes a ledger row from a kind's name and payload, for who knows no context: request, then who asks.
pub type PrepareJob = Arc<dyn Fn(&str, Value, RequestId, &str) -> Result<NewJob, EnvelopeError> + Send + Sync>;

impl<C: Clone + Send + Sync + 'static> Registry<C> {
    /// Returns what makes jobs of any kind for the console.
    pub fn preparer(self: &Arc<Self>) -> PrepareJob {
        let registry = self.clone();
        Arc::new(move |kind, payload, request, requested_by| {
            registry.prepare_kind(kind, payload, request, requested_by.to_owned(), JobOptions::default())
        })
    }

    /// Returns the reader of envelopes for doors that know no context.
    pub fn envelope_reader(self: &Arc<Self>) -> ReadEnvelope {
        let registry = self.clone();
        Arc::new(move |bytes| registry.prepare_envelope(Envelope::parse(bytes)?))
    }

    /// Makes a ledger row from an envelope.
    ///
    /// # Errors
    /// [`EnvelopeError`] when no kind has this type, the payload does not fit it, or there is no such queue.
    pub fn prepare_envelope(&self, envelope: Envelope) -> Result<NewJob, EnvelopeError> {
        let handler = self
            .find_by_event_type(&envelope.r#type)
            .ok_or_else(|| EnvelopeError::UnknownKind(shown(&envelope.r#type), self.event_types()))?;
        let request = RequestId::new(envelope.source.clone(), envelope.id);
        let options = JobOptions {
            run_at: envelope.runat,
            priority: envelope.priority.unwrap_or(0),
            dedupe_key: envelope.dedupekey,
            traceparent: envelope.traceparent,
            ..JobOptions::default()
        };
        let mut job = self.prepare_untyped(handler, envelope.data, request, envelope.source, options)?;
        if let Some(queue) = envelope.queue {
            let known: Vec<&str> = self.lanes().iter().map(|(_, lane)| lane.as_str()).collect();
            if !known.contains(&queue.as_str()) {
                let problem = format!("is `{}`, which is no queue; known: {}", shown(&queue), known.join(", "));
                return Err(EnvelopeError::attribute("queue", problem));
            }
            job.queue = queue;
        }
        Ok(job)
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

/// Writes a path as a JSON Pointer (RFC 6901).
pub(super) fn pointer_to(path: &Path) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", escape(&shown(key))),
        // A variant's name is no step in JSON, and what is not known cannot be pointed at.
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Returns as much of a wrong value as an error repeats.
fn shown(text: &str) -> String {
    first(text, SHOWN)
}

/// Says the same in as many words as an error has, where it repeats a long value.
pub(super) fn in_few_words(error: serde_json::Error) -> serde_json::Error {
    let said = error.to_string();
    if said.chars().count() > SAID { serde_json::Error::custom(first(&said, SAID)) } else { error }
}

fn first(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || (essence.contains('/') && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(changes: Value) -> Result<Envelope, EnvelopeError> {
        let mut envelope = json!({"specversion": "1.0", "id": "1", "source": "shop", "type": "a.b.v1", "data": {}});
        let Value::Object(changes) = changes else { panic!("an object") };
        envelope.as_object_mut().expect("an object").extend(changes);
        Envelope::parse(envelope.to_string().as_bytes())
    }

    #[test]
    fn every_standard_attribute_and_foreign_extensions_are_accepted() {
        let envelope = parse(json!({
            "subject": "an invoice", "time": "2026-08-31T23:59:60Z", "dataschema": "https://example.com/schema",
            "datacontenttype": "application/cloudevents+json; charset=utf-8", "comexampleother2": 7, "other": null,
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "priority": -100,
            "dedupekey": "é".repeat(200), "runat": "2026-09-01T00:00:00+02:00",
        }));
        assert!(envelope.is_ok(), "{envelope:?}");
    }

    #[test]
    fn what_is_wrong_is_pointed_at_with_the_way_out() {
        let cases = [
            (json!({"specversion": "0.3"}), "/specversion", "is `0.3`, not `1.0`"),
            (json!({"id": 1}), "/id", "expected a string"),
            (json!({"id": ""}), "/id", "1 to 200 characters"),
            (json!({"id": "a\r\nX: y"}), "/id", "1 to 200 characters"),
            (json!({"source": "billrunner/x"}), "/source", "is reserved"),
            (json!({"priority": 101}), "/priority", "is 101; it goes from -100 to 100"),
            (json!({"priority": "high"}), "/priority", "string \"high\""),
            (json!({"priority": 40_000}), "/priority", "40000"),
            (json!({"dedupekey": ""}), "/dedupekey", "1 to 200 characters"),
            (json!({"dedupekey": "x".repeat(201)}), "/dedupekey", "1 to 200 characters"),
            (json!({"runat": "tomorrow"}), "/runat", "does not read"),
            (json!({"time": "yesterday"}), "/time", "does not read"),
            (json!({"traceparent": "00-0-0-0"}), "/traceparent", "no W3C trace context"),
            (json!({"datacontenttype": "text/xml"}), "/datacontenttype", "only application/json is read"),
            (json!({"dedupe_key": "x"}), "/dedupe_key", "lower-case letters and digits"),
            (json!({"a/b~c": "x"}), "/a~1b~0c", "lower-case letters and digits"),
            (json!({"data_base64": "eA=="}), "/data_base64", "lower-case letters and digits"),
        ];
        for (changes, pointer, words) in cases {
            let error = parse(changes.clone()).expect_err("refused");
            assert_eq!((error.refusal(), error.pointer().as_deref()), (Refusal::Invalid, Some(pointer)), "{changes}");
            assert!(error.to_string().contains(words), "{error} does not say {words}");
        }
    }

    #[test]
    fn an_error_is_short_however_long_the_value_is() {
        let long = "x".repeat(50_000);
        for changes in [
            json!({"specversion": long}),
            json!({"id": {&long: 1}}),
            json!({"runat": long}),
            json!({"priority": long}),
            json!({"traceparent": long}),
            json!({&format!("{long}_"): 1}),
        ] {
            let error = parse(changes).expect_err("refused");
            let pointer = error.pointer().unwrap_or_default();
            assert!(error.to_string().len() < 1_200 && pointer.len() < 200, "{} {}", error, pointer.len());
        }
    }

    #[test]
    fn what_is_no_envelope_is_unreadable() {
        for text in ["", "{", "[]", "7", "null", "{} {}", "{\"id\":1e999}", "\"x\"", "{\"id\":\"\\ud800\"}"] {
            let error = Envelope::parse(text.as_bytes()).expect_err("refused");
            assert_eq!(error.refusal(), Refusal::Unreadable, "{text}: {error}");
        }
        assert_eq!(Envelope::parse(" ".repeat(65_537).as_bytes()).expect_err("refused").refusal(), Refusal::TooLarge);
    }
}
