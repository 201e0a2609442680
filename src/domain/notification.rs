//! When a customer is told of a change, when never, what a notification is meant for, and where the telling stands.

use std::{fmt, str::FromStr};

use super::{
    ids::{DocumentId, JobId, NotificationId},
    invoice_status::Step,
};

/// What a notification is meant for, as its row keeps it: one of each for an event and a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// The first mail of an event, or one that a person had sent again.
    Event,
    /// A document that somebody had rendered, and asked to tell of by a job.
    Document(DocumentId, JobId),
    /// A copy of another notification's mail.
    Copy(NotificationId),
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event => f.write_str("event"),
            Self::Document(document, job) => write!(f, "document/{document}/{job}"),
            Self::Copy(original) => write!(f, "copy/{original}"),
        }
    }
}

impl FromStr for Intent {
    type Err = uuid::Error;

    /// Whatever is neither a document's nor a copy's is an event's: a resend has words of its own.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split('/').collect::<Vec<_>>().as_slice() {
            ["document", document, job] => Ok(Self::Document(document.parse()?, job.parse()?)),
            ["copy", original] => Ok(Self::Copy(original.parse()?)),
            _ => Ok(Self::Event),
        }
    }
}

/// Where a notification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationState {
    /// It is to be sent.
    Queued,
    /// The conversation with the mail server has begun, and nothing is known of its end.
    Sending,
    /// The mail server took it.
    Sent,
    /// It is not sent, for the reason that stands with it.
    Suppressed,
    /// It will not arrive: a mail server refused it, at once or later.
    Failed,
    /// It may have been delivered.
    Uncertain,
}

/// Says that a text is no state of a notification.
#[derive(Debug, thiserror::Error)]
#[error("unknown state `{0}`; known: queued, sending, sent, suppressed, failed, uncertain")]
pub struct UnknownNotificationState(String);

impl NotificationState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Sending, Self::Sent, Self::Suppressed, Self::Failed, Self::Uncertain];

    /// Returns its name in the database and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Suppressed => "suppressed",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
        }
    }

    /// Tells whether nothing more happens by itself, so that a person may have it sent again.
    pub fn has_ended(self) -> bool {
        match self {
            Self::Queued | Self::Sending => false,
            Self::Sent | Self::Suppressed | Self::Failed | Self::Uncertain => true,
        }
    }
}

impl FromStr for NotificationState {
    type Err = UnknownNotificationState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| UnknownNotificationState(text.chars().take(40).collect()))
    }
}

impl fmt::Display for NotificationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns the Message-ID (RFC 5322) of a notification: the same for every attempt to send it.
pub fn message_id(notification: NotificationId, domain: &str) -> String {
    format!("<{notification}@{domain}>")
}

/// Returns the notification that a Message-ID was derived from, as far as the text alone can tell.
pub fn notification_of(message_id: &str) -> Option<NotificationId> {
    message_id.strip_prefix('<')?.split_once('@')?.0.parse().ok()
}

/// How a status change came to be asked for; each path has its own default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusPath {
    /// The first change, requested together with the generation.
    WithGeneration,
    /// A change of an invoice that existed.
    ExistingInvoice,
}

/// Decides whether a step is told to the customer.
///
/// `notify` is the request's tri-state: `Some(true)`, `Some(false)`, or `None` for the path's default. An amount of
/// zero is told only on request; discarding never is, whatever was asked.
pub fn is_told(step: Step, notify: Option<bool>, path: StatusPath, total_is_zero: bool) -> bool {
    if step.to == super::invoice_status::InvoiceStatus::Discarded {
        return false;
    }
    let default = match path {
        StatusPath::WithGeneration => false,
        StatusPath::ExistingInvoice => !total_is_zero,
    };
    notify.unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::{
        super::invoice_status::{InvoiceStatus, Plan, plan},
        *,
    };

    #[test]
    fn an_intent_reads_back_as_it_was_written() {
        for intent in
            [Intent::Event, Intent::Document(DocumentId::new(), JobId::new()), Intent::Copy(NotificationId::new())]
        {
            assert_eq!(intent.to_string().parse(), Ok(intent));
        }
        assert_eq!("resend/anything".parse(), Ok(Intent::Event));
        assert!("copy/nothing".parse::<Intent>().is_err());
    }

    fn step(from: InvoiceStatus, to: InvoiceStatus) -> Step {
        let Ok(Plan::Steps(&[step])) = plan(from, to) else { panic!("{from} to {to} is one step") };
        step
    }

    #[test]
    fn each_path_has_its_default() {
        let opened = step(InvoiceStatus::Draft, InvoiceStatus::Open);
        assert!(!is_told(opened, None, StatusPath::WithGeneration, false));
        assert!(is_told(opened, None, StatusPath::ExistingInvoice, false));
        assert!(is_told(opened, Some(true), StatusPath::WithGeneration, false));
        assert!(!is_told(opened, Some(false), StatusPath::ExistingInvoice, false));
    }

    #[test]
    fn a_total_of_zero_is_told_only_on_request() {
        let closed = step(InvoiceStatus::Open, InvoiceStatus::Closed);
        assert!(!is_told(closed, None, StatusPath::ExistingInvoice, true));
        assert!(is_told(closed, Some(true), StatusPath::ExistingInvoice, true));
    }

    #[test]
    fn a_discarded_draft_is_never_told() {
        let discarded = step(InvoiceStatus::Draft, InvoiceStatus::Discarded);
        assert!(!is_told(discarded, Some(true), StatusPath::ExistingInvoice, false));
    }
}
