//! What programs that book an invoice read of it, beside what people read: days, countries, tax categories and rates.
//!
//! Part of the [`DocumentModel`](super::DocumentModel), made by its printer. Texts are clean, amounts are signed as printed.

use bigdecimal::BigDecimal;
use chrono::NaiveDate;

use super::model::clean;
use crate::domain::{
    billing_period::BillingPeriod,
    country::Country,
    invoice::{Invoice, PartyDetails},
    taxes::TaxCategory,
};

/// What stands in fields of its own in a file for programs.
#[derive(Clone, Debug, PartialEq)]
pub struct Accounting {
    /// Day of issue; `None` for a draft.
    pub issued_on: Option<NaiveDate>,
    /// The days that are billed.
    pub billing_period: BillingPeriod,
    /// The customer's reference.
    pub purchase_order: Option<String>,
    /// Number of the void invoice that this one stands for.
    pub replaced_number: Option<String>,
    /// Whether the amounts are shown in another currency than the invoice's.
    pub is_view: bool,
    /// Of the issuer.
    pub issuer: Registration,
    /// Of the customer.
    pub customer: Registration,
    /// In the order that lines refer to.
    pub taxes: Vec<TaxFact>,
    /// In the document's language.
    pub payment_terms: String,
}

/// Where a company is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Tax number without a label.
    pub tax_id: Option<String>,
    /// Of its seat.
    pub country: Option<Country>,
}

/// A tax on some of the lines.
#[derive(Clone, Debug, PartialEq)]
pub struct TaxFact {
    /// By EN 16931.
    pub category: TaxCategory,
    /// `0.21` is 21 %.
    pub rate: BigDecimal,
    /// Code of the CEF VATEX list, as the reseller wrote it.
    pub exemption_code: Option<String>,
    /// Why nothing is taxed, in the document's language.
    pub exemption_reason: Option<String>,
}

/// Texts that the printer finds for an invoice.
pub(super) struct AccountingTexts {
    pub replaced_number: Option<String>,
    pub payment_terms: String,
    /// By tax.
    pub exemption_reasons: Vec<Option<String>>,
}

impl Accounting {
    pub(super) fn new(invoice: &Invoice, is_view: bool, texts: AccountingTexts) -> Self {
        let taxes = invoice.taxes.iter().zip(texts.exemption_reasons).map(|(tax, exemption_reason)| TaxFact {
            category: tax.category,
            rate: tax.rate.clone(),
            exemption_code: tax.exemption_code.as_deref().map(clean),
            exemption_reason,
        });
        Self {
            issued_on: invoice.issued_on,
            billing_period: invoice.billing_period,
            purchase_order: invoice.customer.purchase_order.as_deref().map(clean),
            replaced_number: texts.replaced_number,
            is_view,
            issuer: Registration::of(&invoice.reseller),
            customer: Registration::of(&invoice.customer),
            taxes: taxes.collect(),
            payment_terms: texts.payment_terms,
        }
    }
}

impl Registration {
    fn of(details: &PartyDetails) -> Self {
        let tax_id = details.tax_id.as_deref().map(|tax_id| clean(tax_id).trim().to_owned());
        Self { tax_id: tax_id.filter(|tax_id| !tax_id.is_empty()), country: details.country }
    }
}
