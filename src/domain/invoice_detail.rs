//! An invoice's lines and taxes in the shape of the FOCUS 1.4 dataset Invoice Detail: the price side only.
//!
//! A row is what one line or one tax of the invoice says. The names of the values are FOCUS's; how they are written is
//! the business of `documents`.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, Utc};

use super::{
    billing_period::BillingPeriod, charge::ChargeCategory, ids::CustomerId, invoice_status::InvoiceStatus,
    money::Currency,
};

/// One record: a printed line or tax.
#[derive(Clone, Debug, PartialEq)]
pub struct InvoiceDetail {
    /// The invoice's number, or its document id while it has none.
    pub invoice_id: String,
    /// Where the invoice stands.
    pub status: InvoiceStatus,
    /// The company that issues it, as printed.
    pub invoice_issuer_name: String,
    /// The customer: the account that is billed.
    pub billing_account_id: CustomerId,
    /// Provider id.
    pub provider: String,
    /// The provider's month.
    pub billing_period: BillingPeriod,
    /// Currency of every amount.
    pub billing_currency: Currency,
    /// Day of issue, from the moment it opened.
    pub issued_on: Option<NaiveDate>,
    /// When it was generated.
    pub created_at: DateTime<Utc>,
    /// When its status changed last, or it was generated.
    pub updated_at: DateTime<Utc>,
    /// The void invoice that it stands for, by number.
    pub replaced_invoice_id: Option<String>,
    /// Place among the lines, or among the taxes; from 1.
    pub position: i32,
    /// With its sign: negative on a credit note.
    pub billed_cost: BigDecimal,
    /// What the row says.
    pub item: DetailItem,
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq)]
pub enum DetailItem {
    /// A printed line.
    Line {
        /// Service or SKU.
        description: String,
        /// `None` where the line stands for several.
        charge_category: Option<ChargeCategory>,
        /// Provider account.
        sub_account_id: String,
        /// First day of the earlier month that the line corrects.
        correction_of: Option<NaiveDate>,
        /// How many charges it stands for.
        charge_count: i64,
    },
    /// A tax on the subtotal.
    Tax {
        /// As printed.
        name: String,
        /// `0.21` is 21 %.
        rate: BigDecimal,
        /// What it is computed on.
        base: BigDecimal,
    },
}

/// Returns what FOCUS calls an invoice's status, `InvoiceIssueStatus`; `None` for a discarded draft, which is no invoice.
pub fn invoice_issue_status(status: InvoiceStatus) -> Option<&'static str> {
    match status {
        InvoiceStatus::Draft => Some("Open"),
        InvoiceStatus::Open | InvoiceStatus::Closed => Some("Issued"),
        InvoiceStatus::Void => Some("Voided"),
        InvoiceStatus::Discarded => None,
    }
}
