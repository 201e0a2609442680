//! Mails: whatever names, subjects and ids hold, the mail has the headers of one with plain values, and lines that every server
//! takes.

use std::sync::LazyLock;

use billrunner::{
    domain::{ids::NotificationId, notification::message_id},
    mail::{Attachment, Correspondent, OutgoingMail, templates::RenderedMessage},
};
use bytes::Bytes;
use chrono::DateTime;
use mail_parser::{Message, MessageParser};
use uuid::Uuid;

/// What stands between two values of an input.
const BETWEEN: &str = "\n%%\n";
const ADDRESS: &str = "ana@acme.example";
/// RFC 5322, section 2.1.1, without the line's end.
const MAX_LINE: usize = 998;
const WORDS: &[&str] = &[
    BETWEEN,
    "\r\nBcc: x@y\r\n",
    "\nX: y\n\n",
    "=?utf-8?q?=0D=0ABcc:?=",
    "=?utf-8?b?DQo=?=",
    "\\",
    "\\\"",
    ";",
    ":",
    "<",
    ">",
    "@",
    "()",
    "\u{0b}",
    "\u{85}",
    "\u{2029}",
    "\u{7f}",
    "\u{1b}[31m",
    "ü",
    "中文",
    ".",
    "..",
    "%0d%0a",
    "filename*=utf-8''x",
    "boundary=",
    "--mixed",
    "xn--",
];

/// The values of the mail that come from outside.
struct Values<'a>([&'a str; 8]);

impl<'a> Values<'a> {
    fn of(input: &'a str) -> Self {
        let mut values = input.split(BETWEEN);
        Self(std::array::from_fn(|_| values.next().unwrap_or_default()))
    }

    fn mail(&self) -> OutgoingMail {
        let [subject, from, to, message_id, language, file_name, reply_to, address] = self.0;
        // One that is refused is never written to.
        let recipient =
            Correspondent::new(to, address).or_else(|_| Correspondent::new(to, ADDRESS)).expect("an address");
        OutgoingMail {
            message_id: message_id.to_owned(),
            sent_at: DateTime::from_timestamp(1_788_300_000, 0).expect("a time"),
            from: Correspondent::new(from, "billing@nimbus.example").expect("an address"),
            to: recipient,
            deliver_to: None,
            reply_to: Some(Correspondent::new(reply_to, "answers@nimbus.example").expect("an address")),
            language: language.to_owned(),
            message: RenderedMessage { subject: subject.to_owned(), text: to.to_owned(), html: from.to_owned() },
            logo: None,
            attachments: vec![Attachment {
                file_name: file_name.to_owned(),
                content_type: "application/pdf".to_owned(),
                content: Bytes::from_static(b"%PDF-1.7\n"),
            }],
        }
    }
}

static PLAIN: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let id = message_id(NotificationId(Uuid::from_u128(1)), "billing.example.com");
    let values = Values(["Invoice 1", "Nimbus", "Ana", &id, "en", "invoice.pdf", "Answers", ADDRESS]);
    headers(&parse(&values.mail().to_bytes().expect("a mail")))
});

fn parse(bytes: &[u8]) -> Message<'_> {
    MessageParser::default().parse(bytes).expect("a message")
}

/// Returns the names of the headers of each part.
fn headers(message: &Message<'_>) -> Vec<Vec<String>> {
    let names =
        |part: &mail_parser::MessagePart<'_>| part.headers.iter().map(|header| header.name().to_owned()).collect();
    message.parts.iter().map(names).collect()
}

fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mail = Values::of(&text).mail();
    let address = mail.recipient().address().to_string();
    assert!(!address.contains(|c: char| c.is_control() || c.is_whitespace() || "<>".contains(c)), "{address:?}");
    let bytes = mail.to_bytes().expect("a mail");
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\r\n").expect("a line that ends in CRLF");
        assert!(content.len() <= MAX_LINE, "a line of {} bytes", content.len());
        assert!(!content.iter().any(|byte| matches!(byte, b'\r' | b'\0')), "{:?}", String::from_utf8_lossy(content));
    }
    assert_eq!(headers(&parse(&bytes)), *PLAIN, "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn no_value_makes_a_header_or_a_line_that_is_none() {
    fuzz!("headers", WORDS, check);
}
