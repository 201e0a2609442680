//! The FOCUS 1.4 dataset Invoice Detail: invoices as records that a customer's cost tools read.
//!
//! CSV as RFC 4180 has it: UTF-8, commas, CRLF, titles first; null is an empty field. Columns and values follow the
//! working draft of the specification (`FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec`, `specification/datasets/invoice_detail`).
//! Texts stand as they are, without the guard against formulas of the other CSV files: programs read this one, and FOCUS
//! wants them unchanged. docs/FOCUS-EXPORT.md tells what each column holds.

use std::io::Write;

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use csv::{Terminator, Writer, WriterBuilder};
use serde_json::json;

use super::DocumentError;
use crate::domain::{
    charge::ChargeCategory,
    invoice_detail::{DetailItem, InvoiceDetail, invoice_issue_status},
};

/// The columns, FOCUS's first; those of our own begin with `x_`.
pub const FOCUS_COLUMNS: [&str; 23] = [
    "BilledCost",
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "InvoiceDetailCreated",
    "InvoiceDetailDescription",
    "InvoiceDetailGrain",
    "InvoiceDetailId",
    "InvoiceDetailLastUpdated",
    "InvoiceId",
    "InvoiceIssueDate",
    "InvoiceIssueStatus",
    "InvoiceIssuerName",
    "PaymentCurrency",
    "PaymentDueDate",
    "PaymentTerms",
    "ReferenceInvoiceId",
    "x_ChargeCount",
    "x_ServiceProviderName",
    "x_TaxBase",
    "x_TaxRate",
];

/// What a provider's invoices say in the dataset besides their own content.
#[derive(Clone, Copy, Debug)]
pub struct Grain<'a> {
    /// The provider's name.
    pub provider_name: &'a str,
    /// Whether lines stand for SKUs, else for services.
    pub is_by_sku: bool,
}

/// Writes records of the dataset.
pub struct FocusInvoiceDetail<'t, W: Write> {
    writer: Writer<W>,
    payment_terms: &'t str,
}

impl<'t, W: Write> FocusInvoiceDetail<'t, W> {
    /// Writes the titles. Payment terms are the reseller's with its customers, such as `Net 30`; FOCUS has no null there.
    ///
    /// # Errors
    /// When the output cannot be written to.
    pub fn new(output: W, payment_terms: &'t str) -> Result<Self, DocumentError> {
        let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(output);
        writer.write_record(FOCUS_COLUMNS)?;
        Ok(Self { writer, payment_terms })
    }

    /// Writes a record; of a discarded draft there is none.
    ///
    /// # Errors
    /// When the output cannot be written to.
    pub fn write(&mut self, detail: &InvoiceDetail, grain: Grain<'_>) -> Result<(), DocumentError> {
        let Some(status) = invoice_issue_status(detail.status) else { return Ok(()) };
        let currency = detail.billing_currency;
        let item = Item::of(detail, grain);
        Ok(self.writer.write_record([
            &amount(&currency.round(&detail.billed_cost)),
            &detail.billing_account_id.to_string(),
            currency.code(),
            &day(detail.billing_period.end()),
            &day(detail.billing_period.start()),
            item.charge_category.as_str(),
            &instant(detail.created_at),
            &item.description,
            &item.grain,
            &item.id,
            &instant(detail.updated_at),
            &detail.invoice_id,
            &detail.issued_on.map(day).unwrap_or_default(),
            status,
            &detail.invoice_issuer_name,
            currency.code(),
            "",
            self.payment_terms,
            detail.replaced_invoice_id.as_deref().unwrap_or(&detail.invoice_id),
            &item.charge_count,
            grain.provider_name,
            &item.tax_base,
            &item.tax_rate,
        ])?)
    }

    /// Hands the output back once all is written.
    ///
    /// # Errors
    /// When the last records cannot be written.
    pub fn finish(self) -> Result<W, DocumentError> {
        self.writer.into_inner().map_err(|error| DocumentError::Write(error.into_error()))
    }
}

/// The columns in which lines and taxes differ.
struct Item {
    id: String,
    charge_category: ChargeCategory,
    description: String,
    grain: String,
    charge_count: String,
    tax_base: String,
    tax_rate: String,
}

impl Item {
    fn of(detail: &InvoiceDetail, profile: Grain<'_>) -> Self {
        let position = detail.position;
        match &detail.item {
            DetailItem::Line { description, charge_category, sub_account_id, correction_of, charge_count } => {
                let subject = if profile.is_by_sku { "SkuId" } else { "ServiceName" };
                let mut grain = json!({ "SubAccountId": sub_account_id, subject: description });
                if let (Some(month), Some(properties)) = (correction_of, grain.as_object_mut()) {
                    properties.insert("x_CorrectedBillingPeriod".to_owned(), json!(month.format("%Y-%m").to_string()));
                }
                Self {
                    id: format!("line-{position}"),
                    // Where a line stands for several categories, FOCUS has `Usage` stand for all but taxes.
                    charge_category: charge_category.unwrap_or(ChargeCategory::Usage),
                    description: description.clone(),
                    grain: grain.to_string(),
                    charge_count: charge_count.to_string(),
                    tax_base: String::new(),
                    tax_rate: String::new(),
                }
            }
            DetailItem::Tax { name, rate, base } => Self {
                id: format!("tax-{position}"),
                charge_category: ChargeCategory::Tax,
                description: name.clone(),
                grain: json!({ "x_TaxName": name }).to_string(),
                charge_count: String::new(),
                tax_base: amount(&detail.billing_currency.round(base)),
                tax_rate: amount(&rate.normalized()),
            },
        }
    }
}

fn amount(number: &BigDecimal) -> String {
    number.to_plain_string()
}

/// FOCUS, "Date/Time Format": ISO 8601 in UTC.
fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn day(day: NaiveDate) -> String {
    format!("{day}T00:00:00Z")
}
