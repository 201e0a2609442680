//! Renders a message's subject, text and HTML from `email-templates/<event>/`, embedded at compile time.
//!
//! Templates hold layout only. Texts come from the customer's catalogue through `{{t "key" name=value}}`; a count that
//! chooses a plural is given as a number. A template that names a field or text that does not exist does not render:
//! Handlebars' strict mode lets `{{#if missing}}` pass as false, so `if` is replaced by one that does not.

use std::sync::LazyLock;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError, RenderErrorReason,
    Renderable, ScopedJson, StringOutput, TemplateError as SyntaxError, no_escape,
};
use include_dir::{Dir, DirEntry, File, include_dir};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{invoice_message::InvoiceMessage, one_line::to_subject};
use crate::{
    domain::invoice_event::EventName,
    language::{Argument, Language},
};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/email-templates");
static TEXT: LazyLock<Result<Handlebars<'static>, SyntaxError>> =
    LazyLock::new(|| registry(".txt.hbs", "_layout/text.hbs"));
static HTML: LazyLock<Result<Handlebars<'static>, SyntaxError>> =
    LazyLock::new(|| registry(".html.hbs", "_layout/html.hbs"));
static SET_HASH: LazyLock<String> = LazyLock::new(|| hash_of(&FILES));

/// A message ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedMessage {
    /// One line.
    pub subject: String,
    /// For readers without HTML.
    pub text: String,
    /// A whole page without anything to load.
    pub html: String,
}

/// Says why a message cannot be rendered; always a mistake in a template, which the tests find.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// No folder for this event.
    #[error("there is no message for `{0}`; known: opened, closed, voided, reopened")]
    NoMessage(EventName),
    /// Handlebars does not understand a template.
    #[error("an e-mail template cannot be read")]
    Syntax(#[source] &'static SyntaxError),
    /// A template names something that is not there.
    #[error("the message for `{event}` cannot be rendered")]
    Render {
        /// Whose message.
        event: EventName,
        /// What is missing.
        source: Box<RenderError>,
    },
}

#[derive(Serialize)]
struct Fields<'a, M> {
    language: &'static str,
    /// `ltr` or `rtl`.
    direction: &'static str,
    /// The side that lines end on; mail clients do not know `text-align: end`.
    end: &'static str,
    #[serde(flatten)]
    message: &'a M,
}

/// Returns SHA-256, in hex, over all templates and catalogues: it changes when any message may.
pub fn set_hash() -> &'static str {
    &SET_HASH
}

/// Renders the message about an event.
///
/// # Errors
/// [`TemplateError::NoMessage`] for an event that customers are not told of; the others are mistakes in a template.
pub fn render(
    event: EventName,
    language: &Language,
    message: &InvoiceMessage,
) -> Result<RenderedMessage, TemplateError> {
    render_fields(event, language, message)
}

fn render_fields<M: Serialize>(
    event: EventName,
    language: &Language,
    message: &M,
) -> Result<RenderedMessage, TemplateError> {
    let failed = |source: RenderError| TemplateError::Render { event, source: Box::new(source) };
    let text = TEXT.as_ref().map_err(TemplateError::Syntax)?;
    let html = HTML.as_ref().map_err(TemplateError::Syntax)?;
    let (direction, end) = (language.direction().as_str(), language.direction().end());
    let fields = Context::wraps(Fields { language: language.tag(), direction, end, message }).map_err(failed)?;
    let subject = format!("{event}/subject");
    if !text.has_template(&subject) {
        return Err(TemplateError::NoMessage(event));
    }
    let body = format!("{event}/body");
    Ok(RenderedMessage {
        subject: to_subject(&render_template(text, &subject, language, &fields).map_err(failed)?),
        text: render_template(text, &body, language, &fields).map_err(failed)?,
        html: render_template(html, &body, language, &fields).map_err(failed)?,
    })
}

fn render_template(
    registry: &'static Handlebars<'static>,
    name: &str,
    language: &Language,
    fields: &Context,
) -> Result<String, RenderError> {
    let template = registry.get_template(name).ok_or_else(|| RenderErrorReason::TemplateNotFound(name.to_owned()))?;
    let mut render_context = RenderContext::new(None);
    render_context.register_local_helper("t", Box::new(TextHelper(language.clone())));
    let mut output = StringOutput::new();
    template.render(registry, fields, &mut render_context, &mut output)?;
    Ok(output.into_string()?)
}

/// Collects the templates of one kind under their path without the ending, and the layout they share.
fn registry(ending: &str, layout: &str) -> Result<Handlebars<'static>, SyntaxError> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_helper("if", Box::new(StrictIf));
    if ending == ".txt.hbs" {
        registry.register_escape_fn(no_escape);
    }
    for file in files(&FILES) {
        let path = file.path().to_string_lossy().replace('\\', "/");
        let is_layout = path == layout || path == "_layout/fact.hbs";
        let name = if is_layout { path.strip_suffix(".hbs") } else { path.strip_suffix(ending) };
        if let (Some(name), Some(template)) = (name, file.contents_utf8()) {
            registry.register_template_string(name, template)?;
        }
    }
    Ok(registry)
}

fn files(folder: &'static Dir<'static>) -> Vec<&'static File<'static>> {
    folder
        .entries()
        .iter()
        .flat_map(|entry| match entry {
            DirEntry::Dir(folder) => files(folder),
            DirEntry::File(file) => vec![file],
        })
        .collect()
}

fn hash_of(folder: &'static Dir<'static>) -> String {
    let mut files = files(folder);
    files.sort_by_key(|file| file.path());
    let mut hasher = Sha256::new();
    for file in files {
        for part in [file.path().to_string_lossy().as_bytes(), file.contents()] {
            hasher.update(part.len().to_be_bytes());
            hasher.update(part);
        }
    }
    hex::encode(hasher.finalize())
}

/// `{{t "key" name=value}}`: a text of the catalogue. Its result is escaped like any other value.
struct TextHelper(Language);

impl HelperDef for TextHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let key = helper
            .param(0)
            .and_then(|key| key.value().as_str())
            .ok_or(RenderErrorReason::ParamNotFoundForIndex("t", 0))?;
        let mut arguments = Vec::with_capacity(helper.hash().len());
        for (name, value) in helper.hash() {
            let argument = match value.value() {
                Value::String(text) => Argument::Text(text),
                Value::Number(number) => Argument::Count(number.as_i64().unwrap_or(i64::MAX)),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    return Err(RenderErrorReason::MissingVariable(Some(format!("{key} {name}"))).into());
                }
            };
            arguments.push((*name, argument));
        }
        let text =
            self.0.text_with(key, &arguments).map_err(|error| RenderErrorReason::NestedError(Box::new(error)))?;
        Ok(ScopedJson::Derived(Value::String(text)))
    }
}

/// `{{#if field}}` that fails where the field does not exist.
struct StrictIf;

impl HelperDef for StrictIf {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render_context: &mut RenderContext<'reg, 'rc>,
        output: &mut dyn Output,
    ) -> HelperResult {
        use handlebars::JsonTruthy;
        let field = helper.param(0).ok_or(RenderErrorReason::ParamNotFoundForIndex("if", 0))?;
        if field.is_value_missing() {
            return Err(RenderErrorReason::MissingVariable(field.relative_path().cloned()).into());
        }
        let branch = if field.value().is_truthy(false) { helper.template() } else { helper.inverse() };
        branch.map_or(Ok(()), |template| template.render(registry, context, render_context, output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::invoice::InvoiceKind;

    const EVENTS: [EventName; 4] = [EventName::Opened, EventName::Closed, EventName::Voided, EventName::Reopened];

    fn sample(event: EventName) -> Value {
        let file = FILES.get_file(format!("{event}/sample.json")).expect("a sample");
        serde_json::from_slice(file.contents()).expect("JSON")
    }

    fn message(event: EventName) -> InvoiceMessage {
        serde_json::from_value(sample(event)).expect("the fields of InvoiceMessage")
    }

    fn language(tag: &str) -> Language {
        Language::for_tag(&tag.parse().expect("a tag")).expect("a language")
    }

    #[test]
    fn each_message_renders_in_each_language() {
        for event in EVENTS {
            for tag in Language::supported() {
                let message = message(event);
                let rendered = render(event, &language(tag), &message).expect("a message");
                for part in [&rendered.subject, &rendered.text, &rendered.html] {
                    assert!(part.contains(&message.number), "{event} {tag}: {part}");
                    let is_isolated = part.contains('\u{2068}');
                    assert!(!part.contains("{{") && is_isolated == (tag == "ar"), "{event} {tag}: {part}");
                }
                let direction = language(tag).direction().as_str();
                assert!(rendered.html.contains(&format!("<html lang=\"{tag}\" dir=\"{direction}\">")));
            }
        }
    }

    #[test]
    fn each_message_looks_as_agreed() {
        let chosen = [(EventName::Opened, "en"), (EventName::Voided, "es"), (EventName::Reopened, "fr")];
        let pages = chosen.map(|(event, tag)| {
            let rendered = render(event, &language(tag), &message(event)).expect("a message");
            format!("=== {event} {tag}\nSubject: {}\n\n{}", rendered.subject, rendered.text)
        });
        insta::assert_snapshot!(pages.join("\n"));
    }

    #[test]
    fn a_message_without_a_field_it_names_does_not_render() {
        for event in EVENTS {
            let Value::Object(fields) = sample(event) else { panic!("a sample is an object") };
            for name in fields.keys() {
                let mut fewer = fields.clone();
                fewer.remove(name);
                let rendered = render_fields(event, &language("en"), &fewer);
                assert!(matches!(rendered, Err(TemplateError::Render { .. })), "{event} rendered without {name}");
            }
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
        ] {
            let mut registry = registry(".txt.hbs", "_layout/text.hbs").expect("templates");
            registry.register_template_string("wrong", template).expect("a template");
            let registry: &'static Handlebars<'static> = Box::leak(Box::new(registry));
            let fields = Context::wraps(message(EventName::Opened)).expect("fields");
            assert!(render_template(registry, "wrong", &language("en"), &fields).is_err(), "{template} rendered");
        }
    }

    #[test]
    fn subject_and_body_call_the_document_what_its_heading_does() {
        for event in EVENTS {
            for tag in Language::supported() {
                let language = language(tag);
                for (kind, key) in
                    [(InvoiceKind::Invoice, "document-invoice"), (InvoiceKind::CreditNote, "document-credit-note")]
                {
                    let heading = language.text(key).expect("a heading").to_lowercase();
                    let rendered =
                        render(event, &language, &InvoiceMessage { kind, ..message(event) }).expect("a message");
                    assert!(rendered.subject.to_lowercase().contains(&heading), "{tag}: {}", rendered.subject);
                    // Endings change with the sentence, in Arabic beginnings too.
                    let stem: String = heading.split(' ').next_back().unwrap_or_default().chars().take(4).collect();
                    for part in [&rendered.text, &rendered.html] {
                        assert!(part.to_lowercase().contains(&stem), "{event} {tag}: {stem} is not in {part}");
                    }
                }
            }
        }
    }

    #[test]
    fn figures_stand_at_the_end_of_the_line_in_both_directions() {
        for (tag, end, start) in [("en", "right", "left"), ("ar", "left", "right")] {
            let html = render(EventName::Opened, &language(tag), &message(EventName::Opened)).expect("a message").html;
            assert!(html.contains(&format!("align=\"{end}\"")) && html.contains(&format!("padding-{end}:12px")));
            assert!(!html.contains(&format!("align=\"{start}\"")) && !html.contains(&format!("padding-{start}:12px")));
        }
    }

    #[test]
    fn html_is_escaped_and_text_is_not() {
        let rendered = render(EventName::Opened, &language("en"), &message(EventName::Opened)).expect("a message");
        assert!(rendered.html.contains("Acme &amp; Sons &lt;Trading&gt;"));
        assert!(!rendered.html.contains("<Trading>"));
        assert!(rendered.text.contains("Acme & Sons <Trading>"));
    }

    #[test]
    fn the_subject_is_one_line_whatever_the_names_hold() {
        let message =
            InvoiceMessage { reseller_name: "Nimbus\r\nBcc: x@example.com\0".to_owned(), ..message(EventName::Opened) };
        let rendered = render(EventName::Opened, &language("en"), &message).expect("a message");
        assert!(!rendered.subject.contains(char::is_control), "{:?}", rendered.subject);
    }

    #[test]
    fn html_loads_nothing_from_elsewhere() {
        for event in EVENTS {
            let rendered = render(event, &language("en"), &message(event)).expect("a message");
            // A link is followed by its reader, never loaded.
            let loaded = rendered.html.replace("<a class=\"strong\" href=\"https:", "");
            assert!(
                !["http:", "https:", "src=", "url(", "<link", "<script"].iter().any(|what| loaded.contains(what)),
                "{loaded}"
            );
        }
    }

    #[test]
    fn what_customers_are_not_told_has_no_message() {
        for event in [EventName::Generated, EventName::Discarded] {
            let rendered = render(event, &language("en"), &message(EventName::Opened));
            assert!(matches!(rendered, Err(TemplateError::NoMessage(named)) if named == event));
        }
    }

    #[test]
    fn the_set_hash_covers_every_file() {
        assert_eq!(set_hash().len(), 64);
        assert!(files(&FILES).iter().any(|file| file.path().ends_with("locales/es.ftl")));
    }
}
