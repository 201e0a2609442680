//! What a message says about an invoice, as finished text: the templates only place it.

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{one_line::to_one_line, outgoing::Attachment};
use crate::{
    domain::invoice::{Invoice, InvoiceKind},
    language::{Language, LanguageError},
};

const BYTES_PER_KILOBYTE: usize = 1_000;
const BYTES_PER_MEGABYTE: usize = 1_000_000;

/// The fields that the templates can name; each is one line, written in the customer's language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceMessage {
    /// Invoice or credit note, which the texts tell apart.
    pub kind: InvoiceKind,
    /// Fiscal number; the document id while there is none.
    pub number: String,
    /// Day of issue; empty while there is none.
    pub issued_on: String,
    /// Who issues the invoice and sends the message.
    pub reseller_name: String,
    /// Whom the invoice is for.
    pub customer_name: String,
    /// The person or department written to; empty where unknown.
    pub recipient_name: String,
    /// The cloud provider's display name.
    pub provider: String,
    /// Such as `August 2026`.
    pub billing_period: String,
    /// With its currency; positive for a credit note.
    pub total: String,
    /// Number of the invoice in whose place this one stands.
    pub replaced_number: Option<String>,
    /// Why the invoice was cancelled, opened again or corrected.
    pub reason: Option<String>,
    /// The address to ask.
    pub contact: String,
    /// The document itself, where links are made.
    pub download: Option<LinkedDocument>,
    /// What is attached; nothing else is promised.
    pub documents: Vec<AttachedDocument>,
    /// What is too large to attach and can be downloaded instead.
    pub links: Vec<LinkedDocument>,
}

/// A document that can be downloaded, as the message lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkedDocument {
    /// As downloaded.
    pub file_name: String,
    /// Such as `48 MB`.
    pub size: String,
    /// Good without an account.
    pub url: String,
    /// The last day on which it is good.
    pub until: String,
}

/// A document as the message lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachedDocument {
    /// As attached.
    pub file_name: String,
    /// Such as `48 kB`.
    pub size: String,
}

impl InvoiceMessage {
    /// Writes an invoice's facts in a language, for one recipient and the documents attached.
    ///
    /// # Errors
    /// [`LanguageError`] when the language lacks a text.
    pub fn new(
        invoice: &Invoice,
        language: &Language,
        recipient_name: &str,
        provider_name: &str,
        attachments: &[Attachment],
    ) -> Result<Self, LanguageError> {
        let total = &invoice.total * invoice.printed_sign();
        Ok(Self {
            kind: invoice.kind,
            number: to_one_line(invoice.number.as_ref().unwrap_or(&invoice.document_id)),
            issued_on: invoice.issued_on.map(|day| language.date(day)).unwrap_or_default(),
            reseller_name: to_one_line(&invoice.reseller.name),
            customer_name: to_one_line(&invoice.customer.name),
            recipient_name: to_one_line(recipient_name),
            provider: to_one_line(provider_name),
            billing_period: language.billing_period(invoice.billing_period)?,
            total: language.money(&total, invoice.currency),
            replaced_number: None,
            reason: None,
            contact: String::new(),
            download: None,
            documents: attachments
                .iter()
                .map(|attachment| AttachedDocument::new(attachment, language))
                .collect::<Result<_, _>>()?,
            links: vec![],
        })
    }

    /// Adds what can be downloaded.
    #[must_use]
    pub fn with_links(self, links: Vec<LinkedDocument>) -> Self {
        Self { links, ..self }
    }

    /// Adds the link of the button.
    #[must_use]
    pub fn with_download(self, download: Option<LinkedDocument>) -> Self {
        Self { download, ..self }
    }

    /// Adds whom to ask.
    #[must_use]
    pub fn with_contact(self, contact: &str) -> Self {
        Self { contact: to_one_line(contact), ..self }
    }

    /// Adds which invoice this one replaces.
    #[must_use]
    pub fn with_replaced_number(self, number: Option<&str>) -> Self {
        Self { replaced_number: number.map(to_one_line), ..self }
    }

    /// Returns what a reseller's own words can name; the message says which of these it has.
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "number" => Some(&self.number),
            "issued_on" => Some(&self.issued_on),
            "reseller_name" => Some(&self.reseller_name),
            "customer_name" => Some(&self.customer_name),
            "recipient_name" => Some(&self.recipient_name),
            "provider" => Some(&self.provider),
            "billing_period" => Some(&self.billing_period),
            "total" => Some(&self.total),
            "contact" => Some(&self.contact),
            "replaced_number" => Some(self.replaced_number.as_deref().unwrap_or_default()),
            "reason" => Some(self.reason.as_deref().unwrap_or_default()),
            _ => None,
        }
    }

    /// Adds why the invoice was cancelled, opened again or corrected.
    #[must_use]
    pub fn with_reason(self, reason: Option<&str>) -> Self {
        Self { reason: reason.map(to_one_line).filter(|reason| !reason.is_empty()), ..self }
    }
}

impl LinkedDocument {
    /// Writes a link to a document of this name and size, good until the end of a day.
    ///
    /// # Errors
    /// [`LanguageError`] when the language lacks a text.
    pub fn new(
        (file_name, size_bytes): (&str, usize),
        url: String,
        until: NaiveDate,
        language: &Language,
    ) -> Result<Self, LanguageError> {
        let (file_name, size) = (to_one_line(file_name), written_size(size_bytes, language)?);
        Ok(Self { file_name, size, url, until: language.date(until) })
    }
}

impl AttachedDocument {
    fn new(attachment: &Attachment, language: &Language) -> Result<Self, LanguageError> {
        Ok(Self {
            file_name: to_one_line(&attachment.file_name),
            size: written_size(attachment.content.len(), language)?,
        })
    }
}

fn written_size(bytes: usize, language: &Language) -> Result<String, LanguageError> {
    let in_units_of = |unit: usize, decimals: i64| {
        language.decimal(&(BigDecimal::from(bytes as u64) / BigDecimal::from(unit as u64)), decimals)
    };
    if bytes < BYTES_PER_MEGABYTE {
        let size = in_units_of(BYTES_PER_KILOBYTE, i64::from(bytes < BYTES_PER_KILOBYTE));
        language.text_with("format-kilobytes", &[("size", (&size).into())])
    } else {
        let size = in_units_of(BYTES_PER_MEGABYTE, 1);
        language.text_with("format-megabytes", &[("size", (&size).into())])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::{
        ids::{CustomerId, InvoiceId, ResellerId},
        invoice::PartyDetails,
        invoice_status::InvoiceStatus,
        pricing::FrozenRules,
    };

    fn party(name: &str) -> PartyDetails {
        PartyDetails { name: name.to_owned(), ..PartyDetails::default() }
    }

    fn amount(text: &str) -> BigDecimal {
        text.parse().expect("an amount")
    }

    fn invoice(kind: InvoiceKind, total: &str) -> Invoice {
        Invoice {
            reseller_id: ResellerId::new(),
            id: InvoiceId::new(),
            customer_id: CustomerId::new(),
            provider: "aws".to_owned(),
            billing_period: "2026-08".parse().expect("a period"),
            currency: "EUR".parse().expect("a currency"),
            kind,
            status: InvoiceStatus::Open,
            version: 2,
            document_id: "D-1".to_owned(),
            number: Some("2026-00042".to_owned()),
            issued_on: "2026-09-02".parse().ok(),
            language: "es".parse().expect("a tag"),
            reseller: party("Nimbus\r\nBcc: x@example.com"),
            customer: party("Acme"),
            frozen_rules: FrozenRules::default(),
            exact_subtotal: amount(total),
            subtotal: amount(total),
            tax: amount("0"),
            total: amount(total),
            rounding_delta: amount("0"),
            excluded_tax: BTreeMap::new(),
            zero_line_count: 0,
            charge_count: 0,
            stale: false,
            replaces: None,
            created_at: chrono::DateTime::UNIX_EPOCH,
            opened_at: None,
            lines: vec![],
            taxes: vec![],
            exchange_rates: BTreeMap::new(),
        }
    }

    #[test]
    fn an_invoice_is_written_in_the_language_of_its_customer() {
        let invoice = invoice(InvoiceKind::Invoice, "12345.6");
        let spanish = Language::for_tag(&invoice.language).expect("a language");
        let pdf = Attachment {
            file_name: "factura.pdf".to_owned(),
            content_type: "application/pdf".to_owned(),
            content: vec![0; 48_200].into(),
        };
        let message = InvoiceMessage::new(&invoice, &spanish, "Ana", "Amazon Web Services", &[pdf]).expect("a message");
        assert_eq!(message.billing_period, "agosto de 2026");
        assert_eq!(message.issued_on, "2 de septiembre de 2026");
        assert_eq!(message.total, "12.345,60\u{a0}EUR");
        assert_eq!(message.documents[0].size, "48\u{a0}kB");
        assert_eq!(message.reseller_name, "Nimbus Bcc: x@example.com");
    }

    #[test]
    fn a_credit_note_shows_a_positive_amount() {
        let invoice = invoice(InvoiceKind::CreditNote, "-10");
        let english = Language::for_tag(&"en".parse().expect("a tag")).expect("a language");
        let message = InvoiceMessage::new(&invoice, &english, "", "Oracle", &[]).expect("a message");
        assert_eq!((message.kind, message.total.as_str()), (InvoiceKind::CreditNote, "EUR\u{a0}10.00"));
        assert_eq!(message.with_reason(Some(" wrong\nrate ")).reason.as_deref(), Some("wrong rate"));
    }

    #[test]
    fn sizes_are_written_in_the_unit_that_suits() {
        let french = Language::for_tag(&"fr".parse().expect("a tag")).expect("a language");
        for (bytes, expected) in [(120, "0,1\u{a0}ko"), (999_400, "999\u{a0}ko"), (2_450_000, "2,5\u{a0}Mo")] {
            assert_eq!(written_size(bytes, &french).expect("a size"), expected);
        }
    }
}
