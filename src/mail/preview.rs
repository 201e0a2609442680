//! Every message as it would be sent, made of its sample: for people who look at messages, and for the tests.
//!
//! The samples are in English; what is written by language (dates, months, amounts, sizes) is written anew for each.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, Utc};

use super::{
    invoice_message::{InvoiceMessage, LinkedDocument},
    look::Look,
    operator_report::{OPERATORS_SENDER, OperatorReport},
    outgoing::{Correspondent, InvalidAddress, OutgoingMail},
    templates::{self, RenderedMessage, TemplateError},
};
use crate::{
    domain::{
        branding::{Branding, BrandingProblem},
        mail_settings::MailSettings,
        message::{CustomerMessage, OperatorMessage},
        operator_mail::Facts,
    },
    language::{Language, LanguageError},
};

/// Whose messages are shown.
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    /// Its name.
    pub name: &'a str,
    /// The address its mails come from.
    pub email: &'a str,
    /// How they are sent and worded.
    pub settings: &'a MailSettings,
    /// Its logo and colour.
    pub branding: Option<&'a Branding>,
}

/// Says why a sample cannot be shown; a mistake of this program, unless it is the reseller's address.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// No sample, or one that does not fit.
    #[error("the message `{0}` has no sample that fits it")]
    NoSample(&'static str),
    /// A sample's day, amount or time.
    #[error("the samples name no day")]
    NoDay,
    /// A text.
    #[error(transparent)]
    Language(#[from] LanguageError),
    /// A template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The logo.
    #[error(transparent)]
    Branding(#[from] BrandingProblem),
    /// The reseller's address.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
}

/// Returns the sample of a message to customers, written in a language.
///
/// # Errors
/// [`PreviewError`], which the tests find.
pub fn sample(message: CustomerMessage, language: &Language) -> Result<InvoiceMessage, PreviewError> {
    let no_sample = || PreviewError::NoSample(message.as_str());
    let english = templates::sample(message.as_str()).ok_or_else(no_sample)?;
    let english: InvoiceMessage = serde_json::from_value(english).map_err(|_| no_sample())?;
    let (issued_on, until) = (day(2026, 9, 2)?, day(2027, 1, 15)?);
    let total = if message == CustomerMessage::CreditNote { "123.45" } else { "12345.60" };
    let total: BigDecimal = total.parse().map_err(|_| PreviewError::NoDay)?;
    let currency = "EUR".parse().map_err(|_| PreviewError::NoDay)?;
    let period = "2026-08".parse().map_err(|_| PreviewError::NoDay)?;
    let link = |link: LinkedDocument| -> Result<LinkedDocument, LanguageError> {
        let size = if link.size.ends_with("MB") { 48_200_000 } else { 48_200 };
        LinkedDocument::new((&link.file_name, size), link.url, until, language)
    };
    Ok(InvoiceMessage {
        issued_on: language.date(issued_on),
        billing_period: language.billing_period(period)?,
        total: language.money(&total, currency),
        links: english.links.into_iter().map(link).collect::<Result<_, _>>()?,
        download: english.download.map(link).transpose()?,
        ..english
    })
}

/// Makes the mail that tells a customer of the sample, as the sender would have it sent.
///
/// # Errors
/// [`PreviewError`], most likely for a sender without an address.
pub fn customer_mail(
    message: CustomerMessage,
    language: &Language,
    sender: &Sender<'_>,
) -> Result<OutgoingMail, PreviewError> {
    let contact = sender.settings.reply_to.as_deref().unwrap_or(sender.email);
    let facts = InvoiceMessage { reseller_name: sender.name.to_owned(), ..sample(message, language)? };
    let facts = facts.with_contact(contact);
    let look = Look::new(sender.branding)?;
    let rendered = templates::render(message, language, &facts, &look, sender.settings.of(message))?;
    let from = Correspondent::new(sender.settings.sender_name.as_deref().unwrap_or(sender.name), sender.email)?;
    let to = Correspondent::new(&facts.recipient_name, "ana@customer.example")?;
    let reply_to = sender.settings.reply_to.as_deref().map(|address| Correspondent::new("", address)).transpose()?;
    let mail = mail((message.as_str(), language), from, to, rendered)?;
    Ok(OutgoingMail { reply_to, logo: look.logo().cloned(), ..mail })
}

/// Makes the mail that tells operators of the sample.
///
/// # Errors
/// [`PreviewError`], which the tests find.
pub fn operator_mail(message: OperatorMessage, language: &Language) -> Result<OutgoingMail, PreviewError> {
    let no_sample = || PreviewError::NoSample(message.as_str());
    let facts: Facts = templates::sample(message.as_str())
        .and_then(|sample| serde_json::from_value(sample).ok())
        .filter(|facts: &Facts| facts.message() == message)
        .ok_or_else(no_sample)?;
    let report = OperatorReport::new(&facts, language)?;
    let rendered = templates::render_report(message, language, &report)?;
    let from = Correspondent::new(OPERATORS_SENDER, "billrunner@example.com")?;
    mail((message.as_str(), language), from, Correspondent::new("", "operators@example.com")?, rendered)
}

fn mail(
    (name, language): (&str, &Language),
    from: Correspondent,
    to: Correspondent,
    message: RenderedMessage,
) -> Result<OutgoingMail, PreviewError> {
    let sent_at: DateTime<Utc> = day(2026, 9, 2)?.and_hms_opt(9, 0, 0).ok_or(PreviewError::NoDay)?.and_utc();
    Ok(OutgoingMail {
        message_id: format!("<{name}.{}@preview.example>", language.tag()),
        sent_at,
        from,
        to,
        deliver_to: None,
        reply_to: None,
        language: language.tag().to_owned(),
        message,
        logo: None,
        attachments: Vec::new(),
    })
}

fn day(year: i32, month: u32, day: u32) -> Result<NaiveDate, PreviewError> {
    NaiveDate::from_ymd_opt(year, month, day).ok_or(PreviewError::NoDay)
}
