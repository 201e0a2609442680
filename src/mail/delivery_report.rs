//! Reads delivery reports (RFC 3464): what mail servers say later of a mail that one of them took.
//!
//! Called by `record_bounce` and `billrunner mail bounces`. Whoever knows the address that bounces go to writes these, so
//! everything is hostile: no more than [`MAX_REPORT_BYTES`] are looked at, only the outermost parts, and of those only the
//! headers are parsed. A whole parse would nest as deep as the sender likes. What a report says is as trustworthy as the
//! Message-ID that it must know.

use std::str::FromStr;

use mail_parser::{Message, MessageParser, MimeHeaders};

use super::one_line::to_one_line;
use crate::domain::enhanced_status::EnhancedStatus;

/// What is looked at of a report: its own parts come first, then what it returns of the mail, which may be all of it.
pub const MAX_REPORT_BYTES: usize = 262_144;
/// A report has three parts; some servers add one.
const MAX_PARTS: usize = 8;
/// A mail of ours has one recipient; where it was forwarded there may be more.
const MAX_RECIPIENTS: usize = 50;
/// Servers send pages.
const MAX_DIAGNOSTIC_CHARS: usize = 300;
/// RFC 5321, section 4.5.3.1: 64 + 1 + 255, and room for those that bend it.
const MAX_ADDRESS_CHARS: usize = 400;
/// RFC 5322, section 2.1.1: longest line.
const MAX_MESSAGE_ID_CHARS: usize = 998;

/// What a report says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReport {
    /// Message-ID of the mail, with its brackets.
    pub message_id: String,
    /// What became of it, by recipient.
    pub recipients: Vec<RecipientReport>,
}

/// What became of a mail to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientReport {
    /// What the server did.
    pub action: DeliveryAction,
    /// How it says so in numbers; `None` where that is no code.
    pub status: Option<EnhancedStatus>,
    /// Address at which it ended.
    pub final_recipient: String,
    /// Address to which it was sent, where the server names it.
    pub original_recipient: Option<String>,
    /// The server's own words, shortened to one line; may hold an address.
    pub diagnostic: String,
}

/// RFC 3464, section 2.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryAction {
    /// It will not be delivered.
    Failed,
    /// It was not delivered yet; the server goes on trying.
    Delayed,
    /// It was delivered.
    Delivered,
    /// It was handed on to a server that reports nothing.
    Relayed,
    /// It was delivered to a list.
    Expanded,
}

/// Says why a message is no delivery report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADeliveryReport {
    /// It is some other message, or none.
    #[error("it is no multipart/report of type delivery-status (RFC 3464)")]
    OtherType,
    /// The part for machines is missing, or says nothing of any recipient.
    #[error("its part message/delivery-status is missing or says nothing of a recipient")]
    NoStatus,
    /// It does not say which mail it is about.
    #[error("it returns neither the mail nor its headers, so that it names no Message-ID")]
    NoMessageId,
}

impl DeliveryReport {
    /// Reads a report.
    ///
    /// # Errors
    /// [`NotADeliveryReport`] for every other message.
    pub fn parse(content: &[u8]) -> Result<Self, NotADeliveryReport> {
        let content = content.get(..MAX_REPORT_BYTES).unwrap_or(content);
        let (head, body) = split_head(content);
        let head = head_of(head);
        let boundary = head.as_ref().and_then(report_boundary).ok_or(NotADeliveryReport::OtherType)?;
        let (mut recipients, mut message_id) = (None, None);
        for part in split_parts(body, boundary.as_bytes()) {
            let (part_head, part_body) = split_head(part);
            match content_type(head_of(part_head).as_ref()).as_str() {
                "message/delivery-status" | "message/global-delivery-status" if recipients.is_none() => {
                    recipients = Some(recipients_of(part_body));
                }
                "message/rfc822" | "text/rfc822-headers" | "message/global" | "message/global-headers"
                    if message_id.is_none() =>
                {
                    message_id = head_of(split_head(part_body).0).as_ref().and_then(message_id_of);
                }
                _ => {}
            }
        }
        let recipients = recipients.filter(|found| !found.is_empty()).ok_or(NotADeliveryReport::NoStatus)?;
        Ok(Self { message_id: message_id.ok_or(NotADeliveryReport::NoMessageId)?, recipients })
    }
}

impl RecipientReport {
    fn parse(fields: &Message<'_>) -> Option<Self> {
        let text = |name: &'static str, max: usize| -> Option<String> {
            let line: String = to_one_line(fields.header_raw(name)?.trim()).chars().take(max).collect();
            Some(line).filter(|line| !line.is_empty())
        };
        let address = |name| text(name, MAX_ADDRESS_CHARS).map(|typed| without_type(&typed).to_owned());
        Some(Self {
            action: text("Action", MAX_DIAGNOSTIC_CHARS)?.parse().ok()?,
            status: text("Status", MAX_DIAGNOSTIC_CHARS).and_then(|status| EnhancedStatus::at_start_of(&status)),
            final_recipient: address("Final-Recipient")?,
            original_recipient: address("Original-Recipient"),
            diagnostic: text("Diagnostic-Code", MAX_DIAGNOSTIC_CHARS).unwrap_or_default(),
        })
    }

    /// Tells whether it is about this address, or one that this was forwarded to by a server that says so.
    pub fn is_about(&self, address: &str) -> bool {
        let is_it = |known: &str| known.eq_ignore_ascii_case(address);
        is_it(&self.final_recipient) || self.original_recipient.as_deref().is_some_and(is_it)
    }
}

impl DeliveryAction {
    /// Returns its name in reports and in a notification's history.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

impl FromStr for DeliveryAction {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let word = text.split_whitespace().next().unwrap_or_default();
        let all = [Self::Failed, Self::Delayed, Self::Delivered, Self::Relayed, Self::Expanded];
        all.into_iter().find(|action| action.as_str().eq_ignore_ascii_case(word)).ok_or(())
    }
}

/// Splits at the first empty line; without one all is head.
fn split_head(content: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        if is_blank(line) {
            return content.split_at(end);
        }
    }
    (content, &[])
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

/// Parses headers and nothing below them.
fn head_of(head: &[u8]) -> Option<Message<'static>> {
    // The parser takes a last line only with an empty one behind it.
    let ended = [head.trim_ascii_start(), b"\r\n\r\n"].concat();
    MessageParser::new().parse_headers(&ended).map(Message::into_owned)
}

fn content_type(head: Option<&Message<'_>>) -> String {
    let found = head.and_then(MimeHeaders::content_type);
    let name = found.map(|found| format!("{}/{}", found.ctype(), found.subtype().unwrap_or_default()));
    name.unwrap_or_default().to_ascii_lowercase()
}

fn report_boundary(head: &Message<'_>) -> Option<String> {
    let found = head.content_type()?;
    let is_report = content_type(Some(head)) == "multipart/report"
        && found.attribute("report-type").is_some_and(|kind| kind.eq_ignore_ascii_case("delivery-status"));
    let boundary = found.attribute("boundary").filter(|boundary| !boundary.is_empty())?;
    is_report.then(|| boundary.to_owned())
}

/// Splits a multipart's body at its boundaries (RFC 2046, section 5.1.1); what stands before the first is nobody's.
fn split_parts<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<&'a [u8]> {
    let (mut parts, mut start, mut end) = (Vec::new(), None, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let after = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary)).map(<[u8]>::trim_ascii);
        if let Some(after @ (b"" | b"--")) = after {
            parts.extend(start.and_then(|start| body.get(start..end)));
            start = after.is_empty().then_some(end + line.len());
            if start.is_none() || parts.len() == MAX_PARTS {
                return parts;
            }
        }
        end += line.len();
    }
    // Cut off, as where the returned mail is large.
    parts.extend(start.and_then(|start| body.get(start..)));
    parts
}

/// Reads the groups of fields between empty lines; the first is about the whole mail.
fn recipients_of(status: &[u8]) -> Vec<RecipientReport> {
    let (mut rest, mut found) = (status.trim_ascii_start(), Vec::new());
    for _ in 0..=MAX_RECIPIENTS {
        let (group, after) = split_head(rest);
        if is_blank(group) {
            break;
        }
        found.extend(head_of(group).as_ref().and_then(RecipientReport::parse));
        rest = after.trim_ascii_start();
    }
    found
}

fn message_id_of(head: &Message<'_>) -> Option<String> {
    // The parser leaves control characters in, which are no part of an id, and of no row.
    let id = head.message_id().filter(|id| id.len() <= MAX_MESSAGE_ID_CHARS && !id.contains(char::is_control))?;
    Some(format!("<{id}>"))
}

/// Takes the type off an address, as in `rfc822; ana@acme.example`.
fn without_type(typed: &str) -> &str {
    let address = typed.split_once(';').map_or(typed, |(_, address)| address);
    address.trim().trim_start_matches('<').trim_end_matches('>')
}

#[cfg(test)]
#[path = "delivery_report_tests.rs"]
mod tests;
