//! A reseller's own words: what is accepted renders for every customer, within its limits, as text: no mark-up comes into the page.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use billrunner::{
    domain::{
        mail_settings::{MailSettings, MessageSettings, Wording},
        message::CustomerMessage,
        message_text::{MAX_SUBJECT_CHARS, MAX_TEXT_CHARS, MessageText},
    },
    language::Language,
    mail::{InvoiceMessage, Look, preview, templates},
};
use regex::Regex;

/// What stands between two values of an input.
const BETWEEN: &str = "\n%%\n";
/// Twenty placeholders of three hundred characters.
const MAX_FILLED_CHARS: usize = 20 * 300;
const MAX_REFUSAL_CHARS: usize = 500;
const WORDS: &[&str] = &[
    BETWEEN,
    "{{number}}",
    "{{ total }}",
    "{{customer_name}}",
    "{{recipient_name}}",
    "{{reason}}",
    "{{cost}}",
    "{{{number}}}",
    "{{",
    "}}",
    "{{{{",
    "{{#if x}}",
    "{{> _layout/page}}",
    "{{t \"mail-greeting\"}}",
    "{{lookup this \"x\"}}",
    "<b>",
    "</p>",
    "<!--",
    "-->",
    "&#60;",
    "&lt;",
    "javascript:",
    "\" onload=\"",
    "\u{2066}",
    "\u{2069}",
    "< b",
    "<\u{200b}b>",
    "＜b＞",
    "\n\n",
];

static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new("<[^<>]*>").expect("a pattern"));
static QUOTED: LazyLock<Regex> = LazyLock::new(|| Regex::new("\"[^\"<>]*\"").expect("a pattern"));
/// The tags of our pages, each without the values of its attributes.
static OURS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut ours = BTreeSet::new();
    for message in CustomerMessage::ALL {
        for tag in Language::supported() {
            let language = language(tag);
            let facts = preview::sample(message, &language).expect("a sample");
            let words = words("Invoice", "One.\n\nTwo.");
            let rendered =
                templates::render(message, &language, &facts, &Look::default(), Some(&words)).expect("a message");
            ours.extend(tags(&rendered.html));
        }
    }
    ours
});

fn language(tag: &str) -> Language {
    Language::for_tag(&tag.parse().expect("a tag")).expect("a language")
}

fn words(subject: &str, intro: &str) -> MessageSettings {
    let wording = |text: &str| Some(Wording::One(MessageText(text.to_owned())));
    MessageSettings { enabled: true, subject: wording(subject), intro: wording(intro) }
}

/// Returns the tags of a page with the values of their attributes taken out.
fn tags(html: &str) -> Vec<String> {
    TAG.find_iter(html).map(|tag| QUOTED.replace_all(tag.as_str(), "\"\"").into_owned()).collect()
}

fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut values = text.split(BETWEEN);
    let [subject, intro, recipient, reseller, customer, reason, contact] =
        std::array::from_fn(|_| values.next().unwrap_or_default());
    let message = CustomerMessage::ALL[input.len() % CustomerMessage::ALL.len()];
    let languages: Vec<&str> = Language::supported().collect();
    let language = language(languages[input.iter().fold(0, |sum, byte| sum + usize::from(*byte)) % languages.len()]);
    let words = words(subject, intro);
    let settings = MailSettings { messages: BTreeMap::from([(message, words.clone())]), ..MailSettings::default() };
    if let Err(refused) = settings.check() {
        let said = refused.to_string();
        assert!(said.chars().count() <= MAX_REFUSAL_CHARS && !said.contains(char::is_control), "{said:?}");
        return;
    }
    let facts = InvoiceMessage {
        recipient_name: recipient.to_owned(),
        reseller_name: reseller.to_owned(),
        customer_name: customer.to_owned(),
        ..preview::sample(message, &language).expect("a sample")
    };
    let facts = facts.with_reason(Some(reason)).with_contact(contact);
    for (text, max) in [(subject, MAX_SUBJECT_CHARS), (intro, MAX_TEXT_CHARS)] {
        let filled = MessageText(text.to_owned()).fill(|name| facts.field(name)).expect("its fields are there");
        assert!(filled.chars().count() <= max + MAX_FILLED_CHARS);
    }
    let rendered = templates::render(message, &language, &facts, &Look::default(), Some(&words)).expect("a message");
    assert!(!rendered.subject.contains(|c: char| c.is_control()), "{:?}", rendered.subject);
    assert!(rendered.subject.chars().count() <= MAX_SUBJECT_CHARS + MAX_FILLED_CHARS);
    let found = tags(&rendered.html);
    let foreign: Vec<&String> = found.iter().filter(|tag| !OURS.contains(*tag)).collect();
    assert!(foreign.is_empty(), "{foreign:?} in {}", rendered.html);
    // A sign that opens no tag of ours would open one of theirs in some reader.
    assert_eq!(rendered.html.matches('<').count(), found.len(), "{}", rendered.html);
}

#[test]
fn words_that_are_accepted_render_as_text_within_their_limits() {
    fuzz!("own_words", WORDS, check);
}
