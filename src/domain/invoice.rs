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
    ids::{CustomerId, InvoiceId, ResellerId},
    invoice_status::InvoiceStatus,
    language_tag::LanguageTag,
    money::Currency,
    pricing::{ExchangeRate, MissingExchangeRate, PriceTerms},
    time_zone::TimeZone,
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

/// A named tax of a customer; `0.21` is 21 %.
#[derive(Clone, Debug, PartialEq)]
pub struct TaxRate {
    /// As printed, such as `IVA`.
    pub name: String,
    /// Share of the base.
    pub rate: BigDecimal,
}

/// One printed row.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Provider account the line's section is of.
    pub section_id: String,
    /// The section's heading.
    pub section_name: String,
    /// Service or SKU.
    pub description: String,
    /// `None` where the profile prints one line for all categories.
    pub charge_category: Option<ChargeCategory>,
    /// First day of the earlier month this line corrects.
    pub correction_of: Option<NaiveDate>,
    /// Currency of `cost_exact`.
    pub cost_currency: Currency,
    /// What the provider billed, exactly. The reseller's side: never shown to the customer.
    pub cost_exact: BigDecimal,
    /// From `cost_currency` into the invoice's currency.
    pub exchange_rate: BigDecimal,
    /// The price before rounding.
    pub price_exact: BigDecimal,
    /// The price as printed, in the invoice's currency.
    pub net: BigDecimal,
    /// How many charges it stands for.
    pub charge_count: i64,
}

/// One tax on the subtotal.
#[derive(Clone, Debug, PartialEq)]
pub struct TaxAmount {
    /// As printed.
    pub name: String,
    /// `0.21` is 21 %.
    pub rate: BigDecimal,
    /// The subtotal.
    pub base: BigDecimal,
    /// Half-up(base × rate).
    pub amount: BigDecimal,
}

/// The computed content of an invoice.
#[derive(Clone, Debug, PartialEq)]
pub struct PricedInvoice {
    /// Invoice, or credit note where the subtotal is negative.
    pub kind: InvoiceKind,
    /// In printing order.
    pub lines: Vec<Line>,
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

type LineKey = (Option<NaiveDate>, String, String, String, Option<ChargeCategory>, Currency);

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

    let (lines, zero_line_count) = to_lines(groups, terms, lines_by)?;
    let exact_subtotal: BigDecimal = lines.iter().map(|line| &line.price_exact).sum();
    let subtotal = terms.currency.round(&lines.iter().map(|line| &line.net).sum());
    let taxes: Vec<TaxAmount> = taxes.iter().map(|rate| tax_on(&subtotal, rate, terms.currency)).collect();
    let tax = terms.currency.round(&taxes.iter().map(|tax| &tax.amount).sum());
    Ok(PricedInvoice {
        kind: if subtotal.is_negative() { InvoiceKind::CreditNote } else { InvoiceKind::Invoice },
        total: &subtotal + &tax,
        rounding_delta: &subtotal - &exact_subtotal,
        lines,
        taxes,
        exact_subtotal,
        subtotal,
        tax,
        excluded_tax,
        zero_line_count,
        charge_count,
    })
}

fn to_lines(
    groups: Vec<CostGroup>,
    terms: &PriceTerms,
    lines_by: LinesBy,
) -> Result<(Vec<Line>, i32), MissingExchangeRate> {
    let mut lines: BTreeMap<LineKey, (Line, i64)> = BTreeMap::new();
    for group in groups {
        let price = terms.price(group.charge_category, group.billing_currency, &group.billed_cost)?;
        let (line, non_zero_count) = match lines.entry(line_key(&group, lines_by)) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let rate = terms.exchange_rate(group.billing_currency)?;
                let (_, name, id, description, category, _) = entry.key().clone();
                entry.insert((empty_line(&group, (name, id, description, category), rate), 0))
            }
        };
        line.cost_exact += group.billed_cost;
        line.price_exact += price;
        line.charge_count += group.charge_count;
        *non_zero_count += group.non_zero_count;
    }
    let found = lines.len();
    let kept: Vec<Line> = lines
        .into_values()
        .filter(|(_, non_zero_count)| *non_zero_count > 0)
        .map(|(line, _)| Line { net: terms.currency.round(&line.price_exact), ..line })
        .collect();
    let zero_line_count = i32::try_from(found - kept.len()).unwrap_or(i32::MAX);
    Ok((kept, zero_line_count))
}

/// The key orders the lines: own month before corrections, then section, description, category.
fn line_key(group: &CostGroup, lines_by: LinesBy) -> LineKey {
    let (description, category) = match lines_by {
        LinesBy::Service => (group.service_name.clone(), None),
        LinesBy::ServiceAndChargeCategory => (group.service_name.clone(), Some(group.charge_category)),
        LinesBy::SkuAndChargeCategory => {
            (group.sku_id.clone().unwrap_or_else(|| group.service_name.clone()), Some(group.charge_category))
        }
    };
    let section = (group.sub_account_name.clone(), group.sub_account_id.clone());
    (group.correction_of, section.0, section.1, description, category, group.billing_currency)
}

fn empty_line(
    group: &CostGroup,
    key: (String, String, String, Option<ChargeCategory>),
    exchange_rate: BigDecimal,
) -> Line {
    let (section_name, section_id, description, charge_category) = key;
    Line {
        section_id,
        section_name,
        description,
        charge_category,
        correction_of: group.correction_of,
        cost_currency: group.billing_currency,
        cost_exact: BigDecimal::zero(),
        exchange_rate,
        price_exact: BigDecimal::zero(),
        net: BigDecimal::zero(),
        charge_count: 0,
    }
}

fn tax_on(base: &BigDecimal, rate: &TaxRate, currency: Currency) -> TaxAmount {
    TaxAmount {
        name: rate.name.clone(),
        rate: rate.rate.clone(),
        base: base.clone(),
        amount: currency.round(&(base * &rate.rate)),
    }
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
    /// A customer's time zone: instants are printed as days there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<TimeZone>,
    /// A customer's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_order: Option<String>,
    /// A customer's custom fields in printing order, labels in the invoice's language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<PrintedField>,
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
    /// `0.125` is 12.5 %. The reseller's side.
    pub markup_rate: BigDecimal,
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
            markup_rate: self.markup_rate.clone(),
            exchange_rates: self.exchange_rates.clone(),
        }
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
