//! One mail, ready to be sent: who, what, when, and the bytes of it.
//!
//! The same mail built twice is the same bytes: date, Message-ID and boundaries are given, not made up here. Whatever a
//! name holds, it stays in its header.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use lettre::{
    Address, Message,
    address::AddressError,
    message::{
        Attachment as AttachmentPart, Body, Mailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, ContentTypeErr, HeaderName, HeaderValue},
    },
};
use sha2::{Digest, Sha256};

use super::{
    look::LOGO_ID,
    one_line::{to_lines, to_one_line, to_subject},
    templates::RenderedMessage,
};

/// Characters of a line of base64 (RFC 2045, section 6.8).
const BASE64_LINE: usize = 76;
/// Characters of a value in a header, cut behind them: one without a blank is a line that cannot be folded, and a server may
/// refuse a line of more than 998 bytes (RFC 5322, section 2.1.1). Names and subjects are shorter by far.
const MAX_VALUE_CHARS: usize = 400;

/// A name and an address that can be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correspondent {
    name: String,
    address: Address,
}

/// Says which address cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("`{address}` is not an e-mail address; write one such as billing@example.com")]
pub struct InvalidAddress {
    address: String,
    source: AddressError,
}

impl Correspondent {
    /// Checks an address; an international domain is written as mail servers know it (`xn--…`). A local part outside
    /// ASCII stays as it is: only some servers take it, see [`UnbuildableMail::NeedsSmtpUtf8`].
    ///
    /// # Errors
    /// [`InvalidAddress`] for anything but `local@domain`.
    pub fn new(name: &str, address: &str) -> Result<Self, InvalidAddress> {
        let refused = |source| InvalidAddress { address: to_one_line(address).chars().take(254).collect(), source };
        let (local, domain) = address.trim().rsplit_once('@').ok_or_else(|| refused(AddressError::MissingParts))?;
        // A mail server reads a line: nothing may break it, or look different from what it is.
        if local != to_one_line(local) || local.contains(char::is_whitespace) {
            return Err(refused(AddressError::InvalidUser));
        }
        let domain = match url::Host::parse(domain) {
            Ok(url::Host::Domain(domain)) => domain,
            Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) | Err(_) => domain.to_owned(),
        };
        if !domain.is_ascii() {
            return Err(refused(AddressError::InvalidDomain));
        }
        let address = Address::new(local, domain).map_err(refused)?;
        Ok(Self { name: to_value(name), address })
    }

    /// Returns the bare address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    fn to_mailbox(&self) -> Mailbox {
        let name = Some(self.name.clone()).filter(|name| !name.is_empty());
        Mailbox::new(name, self.address.clone())
    }
}

/// A file that goes with a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// As the recipient saves it.
    pub file_name: String,
    /// Media type, such as [`DocumentKind::content_type`](crate::domain::document::DocumentKind::content_type).
    pub content_type: String,
    /// The file.
    pub content: Bytes,
}

/// A mail with all it needs.
#[derive(Clone, Debug)]
pub struct OutgoingMail {
    /// From `domain::notification::message_id`; the same for every attempt.
    pub message_id: String,
    /// The `Date` header.
    pub sent_at: DateTime<Utc>,
    /// The reseller.
    pub from: Correspondent,
    /// The customer's contact.
    pub to: Correspondent,
    /// Whom it is delivered to, where that is not whom it is written to: a copy that no header tells of.
    pub deliver_to: Option<Correspondent>,
    /// Where answers go; `None` is the sender.
    pub reply_to: Option<Correspondent>,
    /// Tag of the language it is written in.
    pub language: String,
    /// Subject and bodies.
    pub message: RenderedMessage,
    /// A PNG that the HTML shows.
    pub logo: Option<Bytes>,
    /// The documents.
    pub attachments: Vec<Attachment>,
}

/// Says why a mail cannot be put together; trying again changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum UnbuildableMail {
    /// Not `type/subtype`.
    #[error("`{content_type}` of `{file_name}` is not a media type; write one such as application/pdf")]
    ContentType {
        /// Which attachment.
        file_name: String,
        /// What it says it is.
        content_type: String,
        /// What is wrong with it.
        source: ContentTypeErr,
    },
    /// The server cannot be told of the recipient (RFC 6531).
    #[error("the recipient's address is not all ASCII, and the mail server takes no such address (SMTPUTF8)")]
    NeedsSmtpUtf8,
    /// Neither ASCII nor, with SMTPUTF8, UTF-8.
    #[error("the mail is not text throughout")]
    NotText(#[source] std::str::Utf8Error),
    /// lettre refuses it.
    #[error("the mail cannot be put together")]
    Message(#[from] lettre::error::Error),
}

impl OutgoingMail {
    /// Puts the mail together as it goes over the wire, before dot-stuffing.
    ///
    /// # Errors
    /// [`UnbuildableMail`], most likely for a content type that is none.
    pub fn to_bytes(&self) -> Result<Vec<u8>, UnbuildableMail> {
        let mut parts = MultiPart::mixed().boundary(self.boundary("mixed")).multipart(self.bodies()?);
        for attachment in &self.attachments {
            parts = parts.singlepart(attachment.to_part()?);
        }
        let mut builder = Message::builder();
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.to_mailbox());
        }
        let message = builder
            .from(self.from.to_mailbox())
            .to(self.to.to_mailbox())
            .subject(cut(&to_subject(&self.message.subject)))
            .date(self.sent_at.into())
            .message_id(Some(to_value(&self.message_id)))
            // RFC 3834: keeps absence notices from answering.
            .raw_header(header(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated"))
            .raw_header(header(HeaderName::new_from_ascii_str("Content-Language"), &self.language))
            .multipart(parts)?;
        Ok(message.formatted())
    }

    /// The text, and the page with the picture it shows beside it: nothing is loaded from elsewhere.
    fn bodies(&self) -> Result<MultiPart, UnbuildableMail> {
        let html = SinglePart::html(to_lines(&self.message.html));
        let text = MultiPart::alternative()
            .boundary(self.boundary("alternative"))
            .singlepart(SinglePart::plain(to_lines(&self.message.text)));
        let Some(logo) = &self.logo else { return Ok(text.singlepart(html)) };
        let png = AttachmentPart::new_inline(LOGO_ID.to_owned());
        let png = png.body(logo.to_vec(), content_type("logo.png", "image/png")?);
        let related = MultiPart::related().boundary(self.boundary("related")).singlepart(html).singlepart(png);
        Ok(text.multipart(related))
    }

    /// Returns whom the envelope names.
    pub fn recipient(&self) -> &Correspondent {
        self.deliver_to.as_ref().unwrap_or(&self.to)
    }

    /// Derived from the Message-ID, as lettre's own are random.
    fn boundary(&self, part: &str) -> String {
        let digest = Sha256::digest(format!("{part} {}", self.message_id));
        format!("{part}-{}", hex::encode(digest).split_at(32).0)
    }
}

impl Attachment {
    fn to_part(&self) -> Result<SinglePart, UnbuildableMail> {
        let content_type = content_type(&self.file_name, &self.content_type)?;
        let part = AttachmentPart::new(to_value(&self.file_name));
        if self.content_type.starts_with("text/") {
            return Ok(part.body(self.content.to_vec(), content_type));
        }
        let encoded = Body::dangerous_pre_encoded(to_base64(&self.content), ContentTransferEncoding::Base64);
        Ok(part.body(encoded, content_type))
    }
}

/// Encodes what is no text (RFC 2045, section 6.8); at once, as lettre's line by line is a fifth of making a mail.
fn to_base64(content: &[u8]) -> Vec<u8> {
    let encoded = BASE64_STANDARD.encode(content);
    encoded.as_bytes().chunks(BASE64_LINE).collect::<Vec<_>>().join(&b"\r\n"[..])
}

fn content_type(file_name: &str, content_type: &str) -> Result<ContentType, UnbuildableMail> {
    ContentType::parse(content_type).map_err(|source| UnbuildableMail::ContentType {
        file_name: file_name.to_owned(),
        content_type: content_type.to_owned(),
        source,
    })
}

fn header(name: HeaderName, value: &str) -> HeaderValue {
    HeaderValue::new(name, to_value(value))
}

/// Makes a text from outside fit for a header.
fn to_value(text: &str) -> String {
    cut(&to_one_line(text))
}

fn cut(line: &str) -> String {
    line.chars().take(MAX_VALUE_CHARS).collect()
}

#[cfg(test)]
pub mod tests {
    use mail_parser::{MessageParser, MimeHeaders};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{ids::NotificationId, notification::message_id};

    /// A mail for the tests of the mailers too.
    pub fn mail() -> OutgoingMail {
        OutgoingMail {
            message_id: message_id(NotificationId(uuid::Uuid::from_u128(1)), "billing.example.com"),
            sent_at: DateTime::from_timestamp(1_788_300_000, 0).expect("a time"),
            from: Correspondent::new("Nimbus Resale", "billing@nimbus.example").expect("an address"),
            to: Correspondent::new("Ana García", "ana@acme.example").expect("an address"),
            deliver_to: None,
            reply_to: None,
            language: "es".to_owned(),
            message: RenderedMessage {
                subject: "Factura 2026-00042: Año".to_owned(),
                text: "Hola, Ana:\n\n.\n.. dos puntos\n-- \n".to_owned(),
                html: "<p>Hola</p>\n".to_owned(),
            },
            logo: None,
            attachments: vec![Attachment {
                file_name: "facturación agosto.pdf".to_owned(),
                content_type: "application/pdf".to_owned(),
                content: Bytes::from_static(b"%PDF-1.7\n\0\xff"),
            }],
        }
    }

    #[test]
    fn the_same_mail_is_the_same_bytes() {
        assert_eq!(mail().to_bytes().expect("a mail"), mail().to_bytes().expect("a mail"));
        let other = OutgoingMail { message_id: "<other@example.com>".to_owned(), ..mail() };
        assert_ne!(other.boundary("mixed"), mail().boundary("mixed"));
    }

    #[test]
    fn a_mail_reads_back_as_it_was_meant() {
        let bytes = mail().to_bytes().expect("a mail");
        assert!(bytes.is_ascii(), "every server takes it, with or without 8BITMIME");
        let read = MessageParser::default().parse(&bytes).expect("a message");
        assert_eq!(read.subject(), Some("Factura 2026-00042: Año"));
        assert_eq!(read.message_id(), Some("00000000-0000-0000-0000-000000000001@billing.example.com"));
        assert_eq!(read.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
        assert_eq!(read.header_raw("Content-Language").map(str::trim), Some("es"));
        assert_eq!(read.date().map(mail_parser::DateTime::to_timestamp), Some(1_788_300_000));
        assert_eq!(read.to().and_then(|to| to.first()).and_then(|to| to.name()), Some("Ana García"));
        assert_eq!(read.body_text(0).map(|text| text.replace("\r\n", "\n")), Some(mail().message.text));
        assert_eq!(read.body_html(0).map(|html| html.replace("\r\n", "\n")), Some(mail().message.html));
        let pdf = read.attachment(0).expect("an attachment");
        assert_eq!(pdf.attachment_name(), Some("facturación agosto.pdf"));
        assert_eq!(pdf.contents(), b"%PDF-1.7\n\0\xff");
    }

    #[test]
    fn an_attachment_of_any_length_reads_back_and_has_no_long_line() {
        for length in [0, 1, 56, 57, 58, 114, 10_000] {
            let content: Bytes = (0..length).map(|n: usize| n.to_le_bytes()[0].wrapping_mul(167)).collect();
            let attachment = Attachment { content: content.clone(), ..mail().attachments[0].clone() };
            let bytes = OutgoingMail { attachments: vec![attachment], ..mail() }.to_bytes().expect("a mail");
            let read = MessageParser::default().parse(&bytes).expect("a message");
            assert_eq!(read.attachment(0).expect("an attachment").contents(), content, "{length} bytes");
            assert!(bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 78), "{length} bytes");
        }
    }

    #[test]
    fn nothing_in_a_name_becomes_a_header() {
        let attack = "Acme\r\nBcc: thief@example.com\r\n\r\nbody\0";
        let mail = OutgoingMail {
            message_id: "<a@b>\r\nBcc: thief@example.com".to_owned(),
            from: Correspondent::new(attack, "billing@nimbus.example").expect("an address"),
            to: Correspondent::new(attack, "ana@acme.example").expect("an address"),
            language: "es\r\nBcc: thief@example.com".to_owned(),
            message: RenderedMessage { subject: attack.to_owned(), ..mail().message },
            attachments: vec![Attachment { file_name: attack.to_owned(), ..mail().attachments[0].clone() }],
            ..mail()
        };
        let bytes = mail.to_bytes().expect("a mail");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{text}");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "a bare line break");
        let read = MessageParser::default().parse(&bytes).expect("a message");
        assert_eq!(read.subject(), Some("Acme Bcc: thief@example.com body"));
        assert_eq!(read.attachment_count(), 1);
    }

    #[test]
    fn no_value_makes_a_line_that_a_server_may_refuse() {
        for long in ["x".repeat(5000), "é".repeat(5000), "x é".repeat(5000), "=?utf-8?q?x?=".repeat(500)] {
            let of = |address| Correspondent::new(&long, address).expect("an address");
            let mail = OutgoingMail {
                message_id: format!("<{long}@x>"),
                from: of("billing@nimbus.example"),
                to: of("ana@acme.example"),
                reply_to: Some(of("answers@nimbus.example")),
                language: long.clone(),
                message: RenderedMessage { subject: long.clone(), ..mail().message },
                attachments: vec![Attachment { file_name: long.clone(), ..mail().attachments[0].clone() }],
                ..mail()
            };
            let bytes = mail.to_bytes().expect("a mail");
            let longest = bytes.split(|byte| *byte == b'\n').map(<[u8]>::len).max();
            assert!(longest.is_some_and(|length| length <= 998), "{longest:?} of {}", long.split_at(4).0);
        }
    }

    #[test]
    fn an_address_is_checked_and_named() {
        for address in [
            "",
            "acme.example",
            "@acme.example",
            "ana@",
            "ana@acme example",
            "a@b\r\nRCPT TO:<c@d>",
            "ana\u{202e}@acme.example",
            "ana\u{a0}b@acme.example",
            "a\r\nb@acme.example",
        ] {
            let refused = Correspondent::new("Ana", address).expect_err("not an address").to_string();
            assert!(refused.starts_with(&format!("`{}` is not", to_one_line(address))), "{refused}");
        }
        let ana = Correspondent::new("Ana", " ana@acmé.example ").expect("an address");
        assert_eq!(ana.address().to_string(), "ana@xn--acm-dma.example");
        let international = Correspondent::new("Ana", "añá@bücher.example").expect("an address");
        assert_eq!(international.address().to_string(), "añá@xn--bcher-kva.example");
    }

    #[test]
    fn an_attachment_without_a_media_type_is_refused() {
        let attachment = Attachment { content_type: "pdf".to_owned(), ..mail().attachments[0].clone() };
        let refused = OutgoingMail { attachments: vec![attachment], ..mail() }.to_bytes().expect_err("no media type");
        assert!(refused.to_string().starts_with("`pdf` of `facturación agosto.pdf`"), "{refused}");
    }

    /// Text as an attacker would have it: control characters, what looks like a header, and some harmless letters.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>().prop_map(String::from),
            (0_u8..32).prop_map(|code| char::from(code).to_string()),
            (0x7f_u8..0xa0).prop_map(|code| char::from(code).to_string()),
            prop::sample::select(vec![
                "\r\n",
                "\n",
                "\r",
                "\0",
                "\u{85}",
                "\u{2028}",
                "\u{2029}",
                "\r\n\r\n",
                "\r\nBcc: thief@example.com",
                "\nBcc: thief@example.com",
                "\r\n.\r\nMAIL FROM:<a@b>",
                "=?utf-8?Q?=0D=0ABcc:_thief@example.com?=",
                "\"",
                "\\",
                "<",
                ">",
                "@",
                ",",
                ";",
                ":",
                "=",
                "?",
                "(",
                ")",
                " ",
                "\t",
                "é",
                "名",
                "😀",
            ])
            .prop_map(str::to_owned),
            "[a-z]{1,80}",
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn whatever_a_field_holds_a_reader_finds_the_headers_that_were_meant(
            (from, to, subject, file_name) in (hostile(), hostile(), hostile(), hostile()),
            (language, message_id, text, html) in (hostile(), hostile(), hostile(), hostile()),
        ) {
            let mail = OutgoingMail {
                message_id,
                from: Correspondent::new(&from, "billing@nimbus.example").expect("an address"),
                to: Correspondent::new(&to, "ana@acme.example").expect("an address"),
                language,
                message: RenderedMessage { subject, text, html },
                attachments: vec![Attachment { file_name, ..mail().attachments[0].clone() }],
                ..mail()
            };
            let bytes = mail.to_bytes().expect("a mail");
            prop_assert!(bytes.is_ascii());
            let written = String::from_utf8(bytes.clone()).expect("ASCII");
            prop_assert!(!written.replace("\r\n", "").contains(|c: char| c.is_ascii_control() && c != '\t'));
            prop_assert!(written.split("\r\n").all(|line| line.len() <= 998), "RFC 5322, section 2.1.1");
            let read = MessageParser::default().parse(&bytes).expect("a message");
            let mut names: Vec<&str> = read.headers().iter().map(mail_parser::Header::name).collect();
            names.sort_unstable();
            prop_assert_eq!(names, [
                "Auto-Submitted", "Content-Language", "Content-Type", "Date", "From", "MIME-Version", "Message-ID",
                "Subject", "To",
            ]);
            let addresses = |list: Option<&mail_parser::Address>| -> Vec<String> {
                let all = list.into_iter().flat_map(mail_parser::Address::iter);
                all.filter_map(|one| one.address().map(str::to_owned)).collect()
            };
            prop_assert_eq!(addresses(read.from()), ["billing@nimbus.example"]);
            prop_assert_eq!(addresses(read.to()), ["ana@acme.example"]);
            prop_assert_eq!(read.attachment_count(), 1);
            prop_assert_eq!(read.attachment(0).map(MimeHeaders::content_type).is_some(), true);
            prop_assert_eq!(read.attachment(0).map(mail_parser::MessagePart::contents), Some(&b"%PDF-1.7\n\0\xff"[..]));
        }

        #[test]
        fn whatever_an_address_holds_it_stays_one_word_of_one_command(local in hostile(), domain in hostile()) {
            for address in [format!("{local}@{domain}"), format!("{local}@acme.example"), format!("ana@{domain}")] {
                if let Ok(correspondent) = Correspondent::new("Ana", &address) {
                    let written = correspondent.address().to_string();
                    prop_assert!(!written.contains(|c: char| c.is_control() || c.is_whitespace()), "{written:?}");
                    prop_assert!(correspondent.address().domain().is_ascii());
                    prop_assert!(!written.contains(['<', '>']) || written.starts_with('"'), "{written:?}");
                }
            }
        }
    }
}
