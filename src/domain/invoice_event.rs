//! The history of invoices: an appended hash chain per reseller.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    ids::{InvoiceId, JobId, ResellerId},
    invoice_status::InvoiceStatus,
};

/// What happened to an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventName {
    /// A draft came to be.
    Generated,
    /// A draft was issued.
    Opened,
    /// A closed invoice was opened again, its content unchanged.
    Reopened,
    /// It was settled.
    Closed,
    /// It was cancelled.
    Voided,
    /// A draft was thrown away.
    Discarded,
}

impl EventName {
    /// All events, in the order of the lifecycle.
    pub const ALL: [Self; 6] =
        [Self::Generated, Self::Opened, Self::Reopened, Self::Closed, Self::Voided, Self::Discarded];

    /// Returns the event's name, the same in SQL, JSON and as the name of its message's folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Closed => "closed",
            Self::Voided => "voided",
            Self::Discarded => "discarded",
        }
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who asked for a change, why, and through which work.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The person or system that asked.
    pub actor: String,
    /// Why, in its words.
    pub reason: Option<String>,
    /// The job that did it.
    pub job_id: Option<JobId>,
    /// What ties all work of one request together: the trace id, else the first job's id.
    pub correlation: String,
}

/// One link of the chain, before it is stored.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Whose chain.
    pub reseller_id: ResellerId,
    /// Place in the chain, from 1, without a hole.
    pub sequence: i64,
    /// The invoice it is about.
    pub invoice_id: InvoiceId,
    /// The invoice's version after the event.
    pub invoice_version: i32,
    /// What happened.
    pub name: EventName,
    /// Status before; `None` at generation.
    pub from_status: Option<InvoiceStatus>,
    /// Status after.
    pub to_status: InvoiceStatus,
    /// Who, why and through what.
    pub cause: &'a Cause,
    /// When, to the microsecond that Postgres keeps.
    pub occurred_at: DateTime<Utc>,
}

/// The hash a reseller's chain starts from.
pub const CHAIN_START: [u8; 32] = [0; 32];

impl Event<'_> {
    /// Returns SHA-256 over the previous hash and each field, length-prefixed so that no two events share a text.
    pub fn hash(&self, previous_hash: &[u8]) -> [u8; 32] {
        let text = |value: Option<&str>| value.unwrap_or("\0").to_owned();
        let fields = [
            self.reseller_id.to_string(),
            self.sequence.to_string(),
            self.invoice_id.to_string(),
            self.invoice_version.to_string(),
            self.name.to_string(),
            text(self.from_status.map(InvoiceStatus::as_str)),
            self.to_status.to_string(),
            self.cause.actor.clone(),
            text(self.cause.reason.as_deref()),
            text(self.cause.job_id.map(|id| id.to_string()).as_deref()),
            self.cause.correlation.clone(),
            self.occurred_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        ];
        let mut hasher = Sha256::new();
        hasher.update(previous_hash);
        for field in fields {
            hasher.update(field.len().to_be_bytes());
            hasher.update(field.as_bytes());
        }
        hasher.finalize().into()
    }
}
