//! How a reseller's mails are sent and worded: part of its directory, checked when that is applied.
//!
//! Mails follow these settings at the time of sending. Logo and colour are those of its documents
//! ([`Branding`](super::branding::Branding)); the address mails come from is the reseller's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    language_tag::LanguageTag,
    message::CustomerMessage,
    message_text::{MAX_SUBJECT_CHARS, MAX_TEXT_CHARS, MessageText, TextProblem},
};

/// Each is one more mail for every mail.
const MAX_BCC: usize = 5;
/// RFC 5321, section 4.5.3.1.3, less the angle brackets.
const MAX_ADDRESS_CHARS: usize = 254;
/// What fits in a line of a list of mails.
const MAX_SENDER_NAME_CHARS: usize = 100;

/// How a reseller's mails are sent and worded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// The name mails come from; `None` is the reseller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_name: Option<String>,
    /// Where answers go and questions are asked; `None` is the address mails come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Who gets a copy of every mail, which nobody sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bcc: Vec<String>,
    /// What differs from our messages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub messages: BTreeMap<CustomerMessage, MessageSettings>,
}

/// What differs of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSettings {
    /// Whether it is sent at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// In place of our subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Wording>,
    /// In place of our first sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intro: Option<Wording>,
}

fn yes() -> bool {
    true
}

/// A text for all customers, or one for each language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Wording {
    /// Whatever language a customer has.
    One(MessageText),
    /// By language tag; other languages keep our text.
    ByLanguage(BTreeMap<LanguageTag, MessageText>),
}

impl Wording {
    /// Returns the text for a language: that of its tag, else that of the tag without its last parts.
    pub fn for_language(&self, tag: &LanguageTag) -> Option<&MessageText> {
        let texts = match self {
            Self::One(text) => return Some(text),
            Self::ByLanguage(texts) => texts,
        };
        let mut range = tag.to_string();
        while !range.is_empty() {
            if let Some((_, text)) = texts.iter().find(|(tag, _)| tag.to_string() == range) {
                return Some(text);
            }
            range.truncate(range.rfind('-').unwrap_or_default());
        }
        None
    }

    fn texts(&self) -> Vec<&MessageText> {
        match self {
            Self::One(text) => vec![text],
            Self::ByLanguage(texts) => texts.values().collect(),
        }
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum MailSettingsProblem {
    /// Not an address.
    #[error(
        "`{field}` of `mail` is `{address}`, which is not an e-mail address; write one such as billing@example.com"
    )]
    Address {
        /// Where.
        field: &'static str,
        /// The value.
        address: String,
    },
    /// A name that is none.
    #[error(
        "`sender_name` of `mail` is empty, too long or of several lines; write 1 to {MAX_SENDER_NAME_CHARS} characters"
    )]
    SenderName,
    /// Too many copies.
    #[error("`bcc` of `mail` has {0} addresses; name at most {MAX_BCC}, such as a list")]
    TooManyCopies(usize),
    /// A text.
    #[error("the {part} of the message `{message}` {problem}")]
    Text {
        /// Of which message.
        message: CustomerMessage,
        /// Subject or introduction.
        part: &'static str,
        /// What is wrong with it.
        problem: TextProblem,
    },
}

impl MailSettings {
    /// Returns what differs of a message.
    pub fn of(&self, message: CustomerMessage) -> Option<&MessageSettings> {
        self.messages.get(&message)
    }

    /// Tells whether a message is sent at all.
    pub fn is_enabled(&self, message: CustomerMessage) -> bool {
        self.of(message).is_none_or(|settings| settings.enabled)
    }

    /// Checks what reading did not.
    ///
    /// # Errors
    /// The first [`MailSettingsProblem`].
    pub fn check(&self) -> Result<(), MailSettingsProblem> {
        let is_name = |name: &String| {
            !name.trim().is_empty() && name.chars().count() <= MAX_SENDER_NAME_CHARS && !name.contains(char::is_control)
        };
        if self.sender_name.as_ref().is_some_and(|name| !is_name(name)) {
            return Err(MailSettingsProblem::SenderName);
        }
        if self.bcc.len() > MAX_BCC {
            return Err(MailSettingsProblem::TooManyCopies(self.bcc.len()));
        }
        let reply_to = self.reply_to.iter().map(|address| ("reply_to", address));
        for (field, address) in reply_to.chain(self.bcc.iter().map(|address| ("bcc", address))) {
            if !is_address(address) {
                let address = address.chars().filter(|c| !c.is_control()).take(MAX_ADDRESS_CHARS).collect();
                return Err(MailSettingsProblem::Address { field, address });
            }
        }
        for (message, settings) in &self.messages {
            let known: Vec<&str> = message.fields().collect();
            for (part, wording, max) in
                [("subject", &settings.subject, MAX_SUBJECT_CHARS), ("intro", &settings.intro, MAX_TEXT_CHARS)]
            {
                for text in wording.iter().flat_map(Wording::texts) {
                    let wrong = |problem| MailSettingsProblem::Text { message: *message, part, problem };
                    text.check(&known, max).map_err(wrong)?;
                }
            }
        }
        Ok(())
    }
}

/// Tells an address from a slip of the pen; what mail servers take in full is checked where mails are made.
pub fn is_address(text: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\\\"".contains(c);
    let halves = text.rsplit_once('@');
    text.len() <= MAX_ADDRESS_CHARS
        && !text.contains(is_odd)
        && halves.is_some_and(|(local, domain)| {
            local.is_ascii() && !local.is_empty() && !local.contains('@') && domain.contains('.')
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problem(settings: Value) -> String {
        let settings: MailSettings = serde_json::from_value(settings).expect("settings");
        settings.check().expect_err("refused").to_string()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_message() {
        let unknown = json!({ "messages": { "opened": { "subject": { "es": "Factura {{numero}}" } } } });
        let said = problem(unknown);
        assert!(said.starts_with("the subject of the message `opened` names `{{numero}}`"), "{said}");
        let script = json!({ "messages": { "closed": { "intro": "<script src=\"//example.com\">" } } });
        assert!(problem(script).contains("the intro of the message `closed` holds HTML at `<script"));
        let reason = json!({ "messages": { "opened": { "intro": "{{reason}}" } } });
        assert!(problem(reason).contains("`{{reason}}`"), "an opened invoice has none");
        assert!(problem(json!({ "bcc": ["a@example.com\r\nRCPT TO:<b@example.com>"] })).contains("`bcc` of `mail`"));
        assert!(problem(json!({ "reply_to": "billing" })).contains("`reply_to` of `mail` is `billing`"));
        assert!(problem(json!({ "sender_name": "Nimbus\nBcc: x" })).contains("`sender_name`"));
        let many = vec!["a@example.com"; MAX_BCC + 1];
        assert!(problem(json!({ "bcc": many })).contains("6 addresses"));
    }

    #[test]
    fn an_unknown_message_or_setting_does_not_read() {
        for wrong in [json!({ "messages": { "opend": {} } }), json!({ "form": "x" })] {
            assert!(serde_json::from_value::<MailSettings>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wording_is_for_one_language_and_its_regions_or_for_all() {
        let wording: Wording = serde_json::from_value(json!({ "es": "Hola", "en-GB": "Hello" })).expect("a wording");
        let of = |tag: &str| wording.for_language(&tag.parse().expect("a tag")).map(|text| text.0.as_str());
        assert_eq!(
            [of("es-MX"), of("es"), of("en-GB"), of("en"), of("de")],
            [Some("Hola"), Some("Hola"), Some("Hello"), None, None]
        );
        let one: Wording = serde_json::from_value(json!("Hi")).expect("a wording");
        assert!(one.for_language(&"ja".parse().expect("a tag")).is_some());
    }

    #[test]
    fn a_message_is_sent_unless_it_is_switched_off() {
        let settings = json!({ "messages": { "closed": { "enabled": false }, "opened": { "subject": "x" } } });
        let settings: MailSettings = serde_json::from_value(settings).expect("settings");
        assert!(settings.is_enabled(CustomerMessage::Opened) && settings.is_enabled(CustomerMessage::Voided));
        assert!(!settings.is_enabled(CustomerMessage::Closed));
    }
}
