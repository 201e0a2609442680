//! Renders a message's subject, text and HTML from `email-templates/<message>/`, embedded at compile time.
//!
//! Templates hold layout only. Texts come from the customer's catalogue through `{{t "key" name=value}}`; a count that
//! chooses a plural is given as a number. A template that names a field or text that does not exist does not render:
//! Handlebars' strict mode lets `{{#if missing}}` pass as false, so `if` is replaced by one that does not. A reseller's own
//! words are no templates: they are filled in beforehand and placed like any other value.

use std::sync::LazyLock;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError, RenderErrorReason,
    Renderable, ScopedJson, StringOutput, TemplateError as SyntaxError, no_escape,
};
use include_dir::{Dir, DirEntry, File, include_dir};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    invoice_message::InvoiceMessage,
    look::Look,
    one_line::{to_one_line, to_subject},
    operator_report::OperatorReport,
};
use crate::{
    domain::{
        mail_settings::{MessageSettings, Wording},
        message::{CustomerMessage, OperatorMessage},
        message_text::TextProblem,
    },
    language::{Argument, Language},
};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/email-templates");
static TEXT: LazyLock<Result<Handlebars<'static>, SyntaxError>> = LazyLock::new(|| registry(".txt.hbs"));
static HTML: LazyLock<Result<Handlebars<'static>, SyntaxError>> = LazyLock::new(|| registry(".html.hbs"));
static SET_HASH: LazyLock<String> = LazyLock::new(|| hash_of(&FILES));

/// A message ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedMessage {
    /// One line.
    pub subject: String,
    /// For readers without HTML.
    pub text: String,
    /// A whole page without anything to load but the logo that comes with the mail.
    pub html: String,
}

/// Says why a message cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// Handlebars does not understand a template; the tests find it.
    #[error("an e-mail template cannot be read")]
    Syntax(#[source] &'static SyntaxError),
    /// A template names something that is not there; the tests find it.
    #[error("the message `{message}` cannot be rendered")]
    Render {
        /// Which message.
        message: &'static str,
        /// What is missing.
        source: Box<RenderError>,
    },
    /// A reseller's words that this release would not have taken.
    #[error("the reseller's own words for the message `{message}` cannot be used; apply its directory anew")]
    OwnWords {
        /// Which message.
        message: &'static str,
        /// What is wrong with them.
        source: TextProblem,
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
    look: &'a Look,
    /// Paragraphs in place of the message's first sentences.
    own_intro: &'a [String],
    #[serde(flatten)]
    message: &'a M,
}

/// Returns SHA-256, in hex, over all templates and catalogues: it changes when any message may.
pub fn set_hash() -> &'static str {
    &SET_HASH
}

/// Renders a message to a customer, in the reseller's look and in its own words where it has some.
///
/// # Errors
/// [`TemplateError`]: a mistake in a template, or words of the reseller that another release took.
pub fn render(
    message: CustomerMessage,
    language: &Language,
    facts: &InvoiceMessage,
    look: &Look,
    settings: Option<&MessageSettings>,
) -> Result<RenderedMessage, TemplateError> {
    let name = message.as_str();
    let own = |wording: Option<&Wording>| {
        let text = wording.and_then(|wording| wording.for_language(language.wanted()));
        let filled = text.map(|text| text.fill(|field| facts.field(field))).transpose();
        filled.map_err(|source| TemplateError::OwnWords { message: name, source })
    };
    let own_intro = paragraphs(own(settings.and_then(|settings| settings.intro.as_ref()))?.as_deref());
    let own_subject = own(settings.and_then(|settings| settings.subject.as_ref()))?;
    let rendered = render_fields(name, language, facts, look, &own_intro)?;
    let subject = own_subject.map_or(rendered.subject, |subject| to_subject(&subject));
    Ok(RenderedMessage { subject, ..rendered })
}

/// Renders a message to operators.
///
/// # Errors
/// [`TemplateError`]: a mistake in a template.
pub fn render_report(
    message: OperatorMessage,
    language: &Language,
    report: &OperatorReport,
) -> Result<RenderedMessage, TemplateError> {
    render_fields(message.as_str(), language, report, &Look::default(), &[])
}

/// Splits at empty lines; what was one paragraph becomes one line.
fn paragraphs(text: Option<&str>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split("\n\n").map(to_one_line).filter(|paragraph| !paragraph.is_empty()).collect()
}

fn render_fields<M: Serialize>(
    name: &'static str,
    language: &Language,
    message: &M,
    look: &Look,
    own_intro: &[String],
) -> Result<RenderedMessage, TemplateError> {
    let failed = |source: RenderError| TemplateError::Render { message: name, source: Box::new(source) };
    let text = TEXT.as_ref().map_err(TemplateError::Syntax)?;
    let html = HTML.as_ref().map_err(TemplateError::Syntax)?;
    let (direction, end) = (language.direction().as_str(), language.direction().end());
    let fields = Fields { language: language.tag(), direction, end, look, own_intro, message };
    let fields = Context::wraps(fields).map_err(failed)?;
    let (subject, body) = (format!("{name}/subject"), format!("{name}/body"));
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

/// Collects the templates of one kind under their path without the ending; those of `_layout` are what they share.
fn registry(ending: &str) -> Result<Handlebars<'static>, SyntaxError> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_helper("if", Box::new(StrictIf));
    if ending == ".txt.hbs" {
        registry.register_escape_fn(no_escape);
    }
    for file in files(&FILES) {
        let path = file.path().to_string_lossy().replace('\\', "/");
        if let (Some(name), Some(template)) = (path.strip_suffix(ending), file.contents_utf8()) {
            registry.register_template_string(name, template)?;
        }
    }
    Ok(registry)
}

/// Returns the fields of a message's sample.
pub(super) fn sample(message: &str) -> Option<Value> {
    serde_json::from_slice(FILES.get_file(format!("{message}/sample.json"))?.contents()).ok()
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
#[path = "templates_tests.rs"]
mod tests;
