//! An invoice: how charges become lines, taxes and a total, and what is kept of it.
//!
//! Arithmetic follows EN 16931: the subtotal is the sum of the rounded lines (BR-CO-10), tax is computed per rate on
//! that sum (BR-CO-17), the total is both together (BR-CO-15). What rounding moved is kept as `rounding_delta`.

use std::{collections::BTreeMap, fmt};

use bigdecimal::{BigDecimal, One, Signed, Zero};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{
    billing_period::BillingPeriod,
    charge::ChargeCategory,
    country::Country,
    ids::{CustomerId, InvoiceId, ResellerId},
    invoice_status::InvoiceStatus,
    language_tag::LanguageTag,
    lines::{PricedLines, price_lines},
    money::Currency,
    price_rules::{PriceRules, PricedBy},
    pricing::{ExchangeRate, FrozenRules, MissingExchangeRate, PriceTerms},
    taxes::tax_lines,
    time_zone::TimeZone,
};

pub use super::{
    lines::{Line, LineDetails, PricePart},
    taxes::{TaxAmount, TaxRate},
};

/// Whether money is owed or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceKind {
    /// The customer owes; also when the total is zero.
    Invoice,
    /// The subtotal is negative; printed with positive amounts.
    CreditNote,
}

impl InvoiceKind {
    /// Returns the kind's name, the same in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditNote => "credit_note",
        }
    }
}

impl fmt::Display for InvoiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one printed line stands for; set by the provider's profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinesBy {
    /// One line per service (meter category, for Microsoft), all charge categories together.
    Service,
    /// One line per service and charge category.
    ServiceAndChargeCategory,
    /// One line per SKU and charge category.
    SkuAndChargeCategory,
}

/// The charges of one customer that share everything a line could be grouped by, summed exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct CostGroup {
    /// Provider account.
    pub sub_account_id: String,
    /// Its display name, or its id.
    pub sub_account_name: String,
    /// FOCUS `ServiceName`.
    pub service_name: String,
    /// FOCUS `ServiceCategory`, which price rules may name.
    pub service_category: Option<String>,
    /// FOCUS `SkuId`, where the profile prints it.
    pub sku_id: Option<String>,
    /// FOCUS `ChargeCategory`.
    pub charge_category: ChargeCategory,
    /// First day of the corrected month, for `ChargeClass = Correction`.
    pub correction_of: Option<NaiveDate>,
    /// Currency of the sum.
    pub billing_currency: Currency,
    /// Exact sum of `BilledCost`.
    pub billed_cost: BigDecimal,
    /// How many charges.
    pub charge_count: i64,
    /// How many of them cost anything.
    pub non_zero_count: i64,
}

impl CostGroup {
    /// Returns what decides which rule prices it.
    pub fn priced_by(&self) -> PricedBy<'_> {
        PricedBy {
            service_name: &self.service_name,
            service_category: self.service_category.as_deref(),
            charge_category: self.charge_category,
            correction_of: self.correction_of,
        }
    }
}

/// The computed content of an invoice.
#[derive(Clone, Debug, PartialEq)]
pub struct PricedInvoice {
    /// Invoice, or credit note where the subtotal is negative.
    pub kind: InvoiceKind,
    /// In printing order.
    pub lines: Vec<Line>,
    /// The price rules in use; lines name them by their place.
    pub rules: PriceRules,
    /// In the customer's order.
    pub taxes: Vec<TaxAmount>,
    /// Sum of the lines' exact prices.
    pub exact_subtotal: BigDecimal,
    /// Sum of the printed lines.
    pub subtotal: BigDecimal,
    /// Sum of the taxes.
    pub tax: BigDecimal,
    /// `subtotal + tax`.
    pub total: BigDecimal,
    /// `subtotal − exact_subtotal`.
    pub rounding_delta: BigDecimal,
    /// Tax rows of the provider, by currency: reported, not resold.
    pub excluded_tax: BTreeMap<Currency, BigDecimal>,
    /// Lines left out because every charge in them costs nothing.
    pub zero_line_count: i32,
    /// All charges read, with the zero and tax ones.
    pub charge_count: i64,
}

/// Prices, rounds and sums the charges of one customer.
///
/// # Errors
/// [`MissingExchangeRate`] when a charge is in a currency without a rate.
pub fn price_invoice(
    groups: Vec<CostGroup>,
    terms: &PriceTerms,
    taxes: &[TaxRate],
    lines_by: LinesBy,
) -> Result<PricedInvoice, MissingExchangeRate> {
    let charge_count = groups.iter().map(|group| group.charge_count).sum();
    let (tax_groups, groups): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|group| group.charge_category == ChargeCategory::Tax);
    let mut excluded_tax = BTreeMap::new();
    for group in tax_groups {
        *excluded_tax.entry(group.billing_currency).or_insert_with(BigDecimal::zero) += group.billed_cost;
    }

    let PricedLines { mut lines, rules, zero_line_count } = price_lines(groups, terms, lines_by)?;
    let exact_subtotal: BigDecimal = lines.iter().map(|line| &line.price_exact).sum();
    let subtotal = terms.currency.round(&lines.iter().map(|line| &line.net).sum());
    let taxes = tax_lines(&mut lines, taxes, terms.currency, terms.language.as_ref());
    let tax = terms.currency.round(&taxes.iter().map(|tax| &tax.amount).sum());
    Ok(PricedInvoice {
        kind: if subtotal.is_negative() { InvoiceKind::CreditNote } else { InvoiceKind::Invoice },
        total: &subtotal + &tax,
        rounding_delta: &subtotal - &exact_subtotal,
        lines,
        rules,
        taxes,
        exact_subtotal,
        subtotal,
        tax,
        excluded_tax,
        zero_line_count,
        charge_count,
    })
}

/// Name, tax id, address and what else is printed of a party, frozen on the invoice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyDetails {
    /// Legal name.
    pub name: String,
    /// VAT or other tax number.
    pub tax_id: Option<String>,
    /// Lines of the postal address, separated by line feeds.
    pub address: String,
    /// Where it has its seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// A customer's time zone: instants are printed as days there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<TimeZone>,
    /// A customer's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_order: Option<String>,
    /// A customer's custom fields in printing order, labels in the invoice's language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<PrintedField>,
    /// Fingerprint of a reseller's branding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branding: Option<String>,
}

/// A custom field with a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintedField {
    /// As printed before it.
    pub label: String,
    /// The customer's.
    pub value: String,
}

/// A stored invoice with all it prints.
#[derive(Clone, Debug)]
pub struct Invoice {
    /// Who issues it.
    pub reseller_id: ResellerId,
    /// Its id.
    pub id: InvoiceId,
    /// Who receives it.
    pub customer_id: CustomerId,
    /// Provider id, such as `aws`.
    pub provider: String,
    /// The provider's month.
    pub billing_period: BillingPeriod,
    /// Currency of every amount but `Line::cost_exact`.
    pub currency: Currency,
    /// Invoice or credit note.
    pub kind: InvoiceKind,
    /// Where it stands.
    pub status: InvoiceStatus,
    /// Raised by each status change.
    pub version: i32,
    /// Given at generation; unique, with gaps.
    pub document_id: String,
    /// Fiscal number, from the moment it opens.
    pub number: Option<String>,
    /// Day of issue, from the moment it opens.
    pub issued_on: Option<NaiveDate>,
    /// The customer's language, frozen when it opens.
    pub language: LanguageTag,
    /// The issuer as printed.
    pub reseller: PartyDetails,
    /// The receiver as printed.
    pub customer: PartyDetails,
    /// The price rules it was priced by. The reseller's side.
    pub frozen_rules: FrozenRules,
    /// Sum of the lines' exact prices.
    pub exact_subtotal: BigDecimal,
    /// Sum of the printed lines.
    pub subtotal: BigDecimal,
    /// Sum of the taxes.
    pub tax: BigDecimal,
    /// `subtotal + tax`.
    pub total: BigDecimal,
    /// `subtotal − exact_subtotal`.
    pub rounding_delta: BigDecimal,
    /// Tax rows of the provider, by currency.
    pub excluded_tax: BTreeMap<Currency, BigDecimal>,
    /// Lines left out because they cost nothing.
    pub zero_line_count: i32,
    /// All charges read.
    pub charge_count: i64,
    /// Whether the draft's inputs changed since it was generated.
    pub stale: bool,
    /// The void invoice this one stands for.
    pub replaces: Option<InvoiceId>,
    /// When it was generated.
    pub created_at: DateTime<Utc>,
    /// When it was issued.
    pub opened_at: Option<DateTime<Utc>>,
    /// In printing order.
    pub lines: Vec<Line>,
    /// In printing order.
    pub taxes: Vec<TaxAmount>,
    /// Frozen rates, by the charges' currency.
    pub exchange_rates: BTreeMap<Currency, ExchangeRate>,
}

impl Invoice {
    /// Returns the terms the invoice was priced under, to price its charges again one by one.
    pub fn price_terms(&self) -> PriceTerms {
        PriceTerms {
            currency: self.currency,
            priced_on: self.billing_period.start(),
            rules: self.frozen_rules.rules.clone(),
            mirror_markup: self.frozen_rules.mirror_markup,
            exchange_rates: self.exchange_rates.clone(),
            custom_charges: Vec::new(),
            language: Some(self.language.clone()),
        }
    }

    /// Returns the invoice as it was at an earlier version: its content is the same, as it is frozen, and a draft had no
    /// number yet.
    #[must_use]
    pub fn as_it_was(self, version: i32, status: InvoiceStatus) -> Self {
        let earlier = Self { status, version, ..self };
        if status != InvoiceStatus::Draft {
            return earlier;
        }
        Self { number: None, issued_on: None, opened_at: None, ..earlier }
    }

    /// Returns 1, or −1 for a credit note: printed amounts are stored amounts times this.
    pub fn printed_sign(&self) -> BigDecimal {
        match self.kind {
            InvoiceKind::Invoice => BigDecimal::one(),
            InvoiceKind::CreditNote => -BigDecimal::one(),
        }
    }
}

/// One charge as the customer sees it in the detailed CSV: the price side only.
#[derive(Clone, Debug, PartialEq)]
pub struct DetailedCharge {
    /// Provider account.
    pub sub_account_id: String,
    /// Its display name.
    pub sub_account_name: Option<String>,
    /// FOCUS `ServiceName`.
    pub service_name: String,
    /// FOCUS `ServiceCategory`.
    pub service_category: Option<String>,
    /// FOCUS `ChargeCategory`.
    pub charge_category: ChargeCategory,
    /// Whether the row corrects an earlier month.
    pub is_correction: bool,
    /// Free text of the provider.
    pub charge_description: Option<String>,
    /// Start, inclusive.
    pub charge_period_start: DateTime<Utc>,
    /// End, exclusive.
    pub charge_period_end: DateTime<Utc>,
    /// How much was used.
    pub consumed_quantity: Option<BigDecimal>,
    /// Unit of the quantity.
    pub consumed_unit: Option<String>,
    /// The provider's region id.
    pub region_id: Option<String>,
    /// The provider's resource id.
    pub resource_id: Option<String>,
    /// The resource's display name.
    pub resource_name: Option<String>,
    /// The provider's SKU.
    pub sku_id: Option<String>,
    /// JSON text.
    pub tags: Option<String>,
    /// Columns outside FOCUS, by name.
    pub x_columns: BTreeMap<String, String>,
    /// Exact price in the invoice's currency.
    pub price_exact: BigDecimal,
}
