use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::{
    super::preview::{self, Sender},
    *,
};
use crate::domain::{branding::Branding, invoice::InvoiceKind, mail_settings::MailSettings, operator_mail::Facts};

fn language(tag: &str) -> Language {
    Language::for_tag(&tag.parse().expect("a tag")).expect("a language")
}

fn facts(message: CustomerMessage, language: &Language) -> InvoiceMessage {
    preview::sample(message, language).expect("a sample")
}

fn plain(message: CustomerMessage, language: &Language, facts: &InvoiceMessage) -> RenderedMessage {
    render(message, language, facts, &Look::default(), None).expect("a message")
}

fn report(message: OperatorMessage, language: &Language) -> OperatorReport {
    let facts: Facts = serde_json::from_value(sample(message.as_str()).expect("a sample")).expect("facts");
    assert_eq!(facts.message(), message);
    OperatorReport::new(&facts, language).expect("a report")
}

fn settings(json: Value) -> MailSettings {
    let settings: MailSettings = serde_json::from_value(json).expect("settings");
    settings.check().expect("good settings");
    settings
}

#[test]
fn each_message_renders_in_each_language() {
    for tag in Language::supported() {
        let language = language(tag);
        for message in CustomerMessage::ALL {
            let facts = facts(message, &language);
            let rendered = plain(message, &language, &facts);
            for part in [&rendered.subject, &rendered.text, &rendered.html] {
                assert!(part.contains(&facts.number), "{message} {tag}: {part}");
                assert_eq!(part.contains('\u{2068}'), tag == "ar", "{message} {tag}: {part}");
            }
            assert!(rendered.text.contains(&facts.total) && rendered.text.contains(&facts.contact));
            is_whole(&rendered, &language);
        }
        for message in OperatorMessage::ALL {
            is_whole(&render_report(message, &language, &report(message, &language)).expect("a message"), &language);
        }
    }
}

fn is_whole(rendered: &RenderedMessage, language: &Language) {
    let direction = language.direction().as_str();
    assert!(rendered.html.contains(&format!("<html lang=\"{}\" dir=\"{direction}\">", language.tag())));
    for part in [&rendered.subject, &rendered.text, &rendered.html] {
        assert!(!part.contains("{{") && !part.trim().is_empty(), "{part}");
    }
    assert!(!rendered.text.contains("\n\n\n"), "{}", rendered.text);
}

#[test]
fn each_message_looks_as_agreed() {
    let tags = ["en", "es", "de", "fr", "ja", "pl", "ar"];
    for (message, tag) in CustomerMessage::ALL.into_iter().zip(tags) {
        // The address of Acme & Sons <Trading> is in English texts alone, so that escaping is seen in the others' HTML.
        let language = language(tag);
        let RenderedMessage { subject, text, .. } = plain(message, &language, &facts(message, &language));
        insta::assert_snapshot!(format!("{message}_{tag}"), format!("Subject: {subject}\n\n{text}"));
    }
    for (message, tag) in OperatorMessage::ALL.into_iter().zip(["it", "en", "nl"]) {
        let language = language(tag);
        let rendered = render_report(message, &language, &report(message, &language)).expect("a message");
        let RenderedMessage { subject, text, .. } = rendered;
        insta::assert_snapshot!(format!("{}_{tag}", message.as_str()), format!("Subject: {subject}\n\n{text}"));
    }
    let english = language("en");
    insta::assert_snapshot!(
        "opened_en_html",
        plain(CustomerMessage::Opened, &english, &facts(CustomerMessage::Opened, &english)).html
    );
}

/// Returns which of a message's fields it renders without.
fn not_needed(name: &'static str, fields: &Value) -> Vec<String> {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    let renders_without = |field: &String| {
        let mut fewer = fields.clone();
        fewer.remove(field);
        let rendered = render_fields(name, &language("en"), &fewer, &Look::default(), &[]);
        rendered.is_ok()
    };
    fields.keys().filter(|field| renders_without(field)).cloned().collect()
}

#[test]
fn a_message_without_a_field_does_not_render() {
    let english = language("en");
    for message in CustomerMessage::ALL {
        // Without a button nothing asks for the kind, in the messages that are about one kind alone.
        let facts = serde_json::to_value(facts(message, &english)).expect("fields");
        assert_eq!(not_needed(message.as_str(), &facts), Vec::<String>::new(), "{message}");
    }
    for message in OperatorMessage::ALL {
        let fields = serde_json::to_value(report(message, &english)).expect("fields");
        assert_eq!(not_needed(message.as_str(), &fields), Vec::<String>::new(), "{}", message.as_str());
    }
}

#[test]
fn an_unknown_field_or_text_does_not_render() {
    for template in [
        "{{nothing}}",
        "{{#if nothing}}x{{/if}}",
        "{{t \"no-text\"}}",
        "{{t \"mail-greeting\"}}",
        "{{t \"mail-greeting\" recipient_name=nothing}}",
        "{{#each nothing}}x{{/each}}",
        "{{> nothing}}",
    ] {
        let mut registry = registry(".txt.hbs").expect("templates");
        registry.register_template_string("wrong", template).expect("a template");
        let registry: &'static Handlebars<'static> = Box::leak(Box::new(registry));
        let english = language("en");
        let fields = Context::wraps(facts(CustomerMessage::Opened, &english)).expect("fields");
        assert!(render_template(registry, "wrong", &english, &fields).is_err(), "{template} rendered");
    }
}

#[test]
fn subject_and_body_call_the_document_what_its_heading_does() {
    for (message, tag) in
        CustomerMessage::ALL.into_iter().flat_map(|one| Language::supported().map(move |tag| (one, tag)))
    {
        let language = language(tag);
        let kinds = match message {
            CustomerMessage::Opened => vec![(InvoiceKind::Invoice, "document-invoice")],
            CustomerMessage::CreditNote => vec![(InvoiceKind::CreditNote, "document-credit-note")],
            _ => vec![(InvoiceKind::Invoice, "document-invoice"), (InvoiceKind::CreditNote, "document-credit-note")],
        };
        for (kind, key) in kinds {
            let heading = language.text(key).expect("a heading").to_lowercase();
            let rendered = plain(message, &language, &InvoiceMessage { kind, ..facts(message, &language) });
            assert!(rendered.subject.to_lowercase().contains(&heading), "{message} {tag}: {}", rendered.subject);
            // Endings change with the sentence, in Arabic beginnings too.
            let stem: String = heading.split(' ').next_back().unwrap_or_default().chars().take(4).collect();
            for part in [&rendered.text, &rendered.html] {
                assert!(part.to_lowercase().contains(&stem), "{message} {tag}: {stem} is not in {part}");
            }
        }
    }
}

#[test]
fn figures_stand_at_the_end_of_the_line_in_both_directions() {
    for (tag, end, start) in [("en", "right", "left"), ("ar", "left", "right")] {
        let language = language(tag);
        let html = plain(CustomerMessage::Opened, &language, &facts(CustomerMessage::Opened, &language)).html;
        let report =
            render_report(OperatorMessage::DeadLetters, &language, &report(OperatorMessage::DeadLetters, &language));
        for html in [html, report.expect("a message").html] {
            assert!(html.contains(&format!("align=\"{end}\"")) && html.contains(&format!("padding-{end}:12px")));
            assert!(!html.contains(&format!("align=\"{start}\"")) && !html.contains(&format!("padding-{start}:12px")));
        }
    }
}

#[test]
fn html_loads_nothing_but_the_logo_that_comes_with_the_mail() {
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let branding: Branding = serde_json::from_value(json!({ "logo": png, "colour": "#ffd500" })).expect("a branding");
    let look = Look::new(Some(&branding)).expect("a look");
    assert!(look.logo().is_some());
    let english = language("en");
    for message in CustomerMessage::ALL {
        let html = render(message, &english, &facts(message, &english), &look, None).expect("a message").html;
        assert!(html.contains("src=\"cid:logo@billrunner\"") && html.contains("alt=\"Nimbus Resale S.L.\""));
        assert!(html.contains("background-color:#ffd500") && !html.contains("background-color:#174585"));
        // A link is followed by its reader, never loaded.
        let loaded = html.replace("href=\"https:", "").replace("src=\"cid:logo@billrunner\"", "");
        let loading = ["http:", "https:", "src=", "url(", "<link", "<script", "@import"];
        assert!(!loading.iter().any(|what| loaded.contains(what)), "{loaded}");
    }
}

#[test]
fn the_set_hash_covers_every_file() {
    assert_eq!(set_hash().len(), 64);
    assert!(files(&FILES).iter().any(|file| file.path().ends_with("locales/es.ftl")));
}

#[test]
fn each_folder_is_a_message_and_each_message_a_folder() {
    let folders: Vec<_> = FILES.dirs().map(|folder| folder.path().to_string_lossy().into_owned()).collect();
    let mut expected: Vec<_> = CustomerMessage::ALL.map(CustomerMessage::as_str).into();
    expected.extend(OperatorMessage::ALL.map(OperatorMessage::as_str));
    expected.extend(["_layout", "locales"]);
    expected.sort_unstable();
    assert_eq!(folders, expected);
}

#[test]
fn whatever_words_are_taken_render_in_each_language_with_every_field_filled() {
    for message in CustomerMessage::ALL {
        let every = message.fields().map(|field| format!("{{{{{field}}}}}")).collect::<Vec<_>>().join(";");
        let own = settings(
            json!({ "messages": { message.as_str(): { "subject": every, "intro": format!("First.\n\n{every}") } } }),
        );
        for tag in Language::supported() {
            let language = language(tag);
            let facts = facts(message, &language);
            let rendered = render(message, &language, &facts, &Look::default(), own.of(message)).expect("a message");
            for part in [&rendered.subject, &rendered.text] {
                assert!(part.contains(&format!("{};{}", facts.number, facts.issued_on)), "{part}");
            }
            assert!(rendered.text.contains(&format!("First.\n\n{};", facts.number)), "{}", rendered.text);
            assert!(rendered.html.contains(">First.</p>"), "{}", rendered.html);
            let ours = plain(message, &language, &facts);
            assert_ne!(rendered.subject, ours.subject);
        }
    }
}

#[test]
fn words_for_one_language_leave_the_others_as_they_are() {
    let own = settings(json!({ "messages": { "opened": { "subject": { "es": "Su factura {{number}}" } } } }));
    for (tag, is_own) in [("es-MX", true), ("es", true), ("en", false)] {
        let language = language(tag);
        let facts = facts(CustomerMessage::Opened, &language);
        let rendered =
            render(CustomerMessage::Opened, &language, &facts, &Look::default(), own.of(CustomerMessage::Opened));
        let subject = rendered.expect("a message").subject;
        assert_eq!(subject == format!("Su factura {}", facts.number), is_own, "{tag}: {subject}");
    }
}

#[test]
fn a_preview_can_be_made_of_every_message() {
    let settings = MailSettings::default();
    let sender = Sender { name: "Nimbus", email: "billing@nimbus.example", settings: &settings, branding: None };
    let sizes: BTreeMap<_, _> = CustomerMessage::ALL
        .into_iter()
        .map(|message| {
            let mail = preview::customer_mail(message, &language("pt-BR"), &sender).expect("a mail");
            (message, mail.to_bytes().expect("bytes").len())
        })
        .collect();
    // Gmail cuts a message off after 102 kB.
    assert!(sizes.values().all(|size| (2_000..60_000).contains(size)), "{sizes:?}");
}

const ATTACKS: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{number}}{{> _layout/page}}",
    "a\r\nBcc: thief@example.com\r\n\r\nbody",
    "\u{202e}txt.exe\u{0}\u{7}",
    "</td></tr></table><a href=https://example.com>pay here</a>",
];

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![prop::sample::select(ATTACKS.to_vec()).prop_map(str::to_owned), any::<String>()]
}

/// Fills every text of a message that comes from outside, as a job does.
fn attacked(message: CustomerMessage, language: &Language, text: &str) -> InvoiceMessage {
    let line = to_one_line(text);
    let facts = facts(message, language);
    InvoiceMessage {
        number: line.clone(),
        reseller_name: line.clone(),
        customer_name: line.clone(),
        recipient_name: line.clone(),
        provider: line.clone(),
        replaced_number: facts.replaced_number.map(|_| line.clone()),
        ..facts
    }
    .with_contact(text)
    .with_reason(Some(text))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn names_and_reasons_from_outside_show_as_text_everywhere(
        text in hostile(),
        message in prop::sample::select(CustomerMessage::ALL.to_vec()),
        tag in prop::sample::select(vec!["en", "ar", "ja"]),
    ) {
        let language = language(tag);
        let own = settings(json!({ "messages": { message.as_str(): {
            "subject": "{{reseller_name}} {{number}}", "intro": "To {{recipient_name}}\n\nof {{customer_name}}",
        } } }));
        let facts = attacked(message, &language, &text);
        let tags = |html: &str| html.matches('<').count();
        for settings in [None, own.of(message)] {
            let harmless = render(message, &language, &attacked(message, &language, "x"), &Look::default(), settings);
            let rendered = render(message, &language, &facts, &Look::default(), settings).expect("a message");
            // A text makes no element, however it is written; an empty one leaves some of ours out.
            prop_assert!(tags(&rendered.html) <= tags(&harmless.expect("a message").html), "{}", rendered.html);
            prop_assert!(!rendered.subject.contains(char::is_control), "{:?}", rendered.subject);
            prop_assert!(!rendered.text.contains(|c: char| c.is_control() && c != '\n'), "{:?}", rendered.text);
            let is_turned = rendered.text.contains('\u{202e}') || rendered.html.contains('\u{202e}');
            prop_assert!(!is_turned, "a text turns what follows it");
        }
    }
}
