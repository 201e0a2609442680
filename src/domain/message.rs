//! The messages there are: those to customers, about an invoice, and those to operators.
//!
//! A message is a folder of `email-templates/`. Which one tells of an event is decided here, so that a job that sends and a
//! reseller who words it mean the same.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{invoice::InvoiceKind, invoice_event::EventName};

/// A message to the contacts of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerMessage {
    /// An invoice was issued.
    Opened,
    /// A credit note was issued.
    CreditNote,
    /// An invoice or credit note was issued in the place of another.
    Corrected,
    /// It is settled.
    Closed,
    /// It is open again.
    Reopened,
    /// It is cancelled.
    Voided,
    /// Documents that somebody asked for.
    DocumentsReady,
}

/// Fields of every message that a reseller's wording may name.
const FIELDS: [&str; 9] = [
    "number",
    "issued_on",
    "reseller_name",
    "customer_name",
    "recipient_name",
    "provider",
    "billing_period",
    "total",
    "contact",
];

impl CustomerMessage {
    /// All messages, in the order of an invoice's life.
    pub const ALL: [Self; 7] = [
        Self::Opened,
        Self::CreditNote,
        Self::Corrected,
        Self::Closed,
        Self::Reopened,
        Self::Voided,
        Self::DocumentsReady,
    ];

    /// Returns the message's name, the same in JSON and as its folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::CreditNote => "credit_note",
            Self::Corrected => "corrected",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
            Self::Voided => "voided",
            Self::DocumentsReady => "documents_ready",
        }
    }

    /// Returns the message that tells of an event; `None` for those that customers are not told of.
    pub fn about(event: EventName, kind: InvoiceKind, replaces_another: bool) -> Option<Self> {
        match event {
            EventName::Opened if replaces_another => Some(Self::Corrected),
            EventName::Opened => Some(match kind {
                InvoiceKind::Invoice => Self::Opened,
                InvoiceKind::CreditNote => Self::CreditNote,
            }),
            EventName::Reopened => Some(Self::Reopened),
            EventName::Closed => Some(Self::Closed),
            EventName::Voided => Some(Self::Voided),
            EventName::Generated | EventName::Discarded => None,
        }
    }

    /// Returns the fields that its wording may name: those that always have a value.
    pub fn fields(self) -> impl Iterator<Item = &'static str> {
        let more: &[&str] = match self {
            Self::Corrected => &["replaced_number"],
            Self::Reopened | Self::Voided => &["reason"],
            Self::Opened | Self::CreditNote | Self::Closed | Self::DocumentsReady => &[],
        };
        FIELDS.iter().chain(more).copied()
    }
}

impl fmt::Display for CustomerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A message to those who run billrunner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorMessage {
    /// A month is proved complete.
    BillRunFinished,
    /// A month is not.
    BillRunNeedsAttention,
    /// Jobs have failed for good.
    DeadLetters,
}

impl OperatorMessage {
    /// All messages.
    pub const ALL: [Self; 3] = [Self::BillRunFinished, Self::BillRunNeedsAttention, Self::DeadLetters];

    /// Returns the message's name, the same as its folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BillRunFinished => "bill_run_finished",
            Self::BillRunNeedsAttention => "bill_run_needs_attention",
            Self::DeadLetters => "dead_letters",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opening_of_a_replacement_tells_of_the_correction_whatever_it_is() {
        for kind in [InvoiceKind::Invoice, InvoiceKind::CreditNote] {
            assert_eq!(CustomerMessage::about(EventName::Opened, kind, true), Some(CustomerMessage::Corrected));
        }
        let plain = |kind| CustomerMessage::about(EventName::Opened, kind, false);
        assert_eq!(plain(InvoiceKind::Invoice), Some(CustomerMessage::Opened));
        assert_eq!(plain(InvoiceKind::CreditNote), Some(CustomerMessage::CreditNote));
    }

    #[test]
    fn nothing_is_told_of_drafts() {
        for event in [EventName::Generated, EventName::Discarded] {
            assert_eq!(CustomerMessage::about(event, InvoiceKind::Invoice, false), None);
        }
    }
}
