//! The directory of a reseller: its customers, their accounts, contacts and terms, as one JSON document.
//!
//! `billrunner directory FILE` applies it whole; amounts and rates are decimal text, so that they stay exact.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    billing_period::BillingPeriod,
    branding::Branding,
    country::Country,
    csv_options::CsvOptions,
    custom_charges::CustomCharge,
    custom_field::CustomField,
    ids::{CustomerId, ResellerId},
    language_tag::LanguageTag,
    mail_policy::MailPolicy,
    mail_settings::MailSettings,
    money::Currency,
    price_rules::PriceRule,
    taxes::TaxRate,
    time_zone::TimeZone,
};

/// Everything about one reseller that is not made by billrunner itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// The issuer of the invoices.
    pub reseller: Reseller,
    /// The receivers.
    #[serde(default)]
    pub customers: Vec<Customer>,
    /// What customers have besides what every customer has.
    #[serde(default)]
    pub custom_fields: Vec<CustomField>,
    /// Price rules since ever, in short: a markup by customer and provider.
    #[serde(default)]
    pub markups: Vec<Markup>,
    /// From cost to price; the rule that names most applies.
    #[serde(default)]
    pub price_rules: Vec<PriceRule>,
    /// What is added or taken off afterwards.
    #[serde(default)]
    pub custom_charges: Vec<CustomCharge>,
    /// How all prices are made; what is left out stays as it is.
    #[serde(default)]
    pub pricing_policy: Option<PricingPolicy>,
    /// How CSV files are written, as a whole; left out it stays as it is.
    #[serde(default)]
    pub csv_options: Option<CsvOptions>,
    /// What happens to mails that were lost or refused, as a whole; left out it stays as it is.
    #[serde(default)]
    pub mail_policy: Option<MailPolicy>,
    /// Rates by day; the latest up to the billing period's last day applies.
    #[serde(default)]
    pub exchange_rates: Vec<DatedExchangeRate>,
    /// Addresses that are never written to.
    #[serde(default)]
    pub suppressed_addresses: Vec<SuppressedAddress>,
    /// Accounts of no customer that somebody answers for.
    #[serde(default)]
    pub unassigned_waivers: Vec<UnassignedWaiver>,
}

/// The company that issues invoices.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reseller {
    /// Its id.
    pub id: ResellerId,
    /// Legal name, as printed.
    pub name: String,
    /// VAT or other tax number.
    pub tax_id: Option<String>,
    /// Postal address; lines separated by line feeds.
    #[serde(default)]
    pub address: String,
    /// Where it has its seat; e-invoices need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// The address mails come from.
    pub email: String,
    /// How its documents look; `None` is A4, our colours and no logo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branding: Option<Branding>,
    /// How its mails are sent and worded; `None` is our messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<MailSettings>,
}

/// A company that receives invoices.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// Legal name, as printed.
    pub name: String,
    /// Language of documents and mails.
    pub language: LanguageTag,
    /// Currency of its invoices; `None` is that of the charges.
    pub currency: Option<Currency>,
    /// VAT or other tax number.
    pub tax_id: Option<String>,
    /// Postal address; lines separated by line feeds.
    #[serde(default)]
    pub address: String,
    /// Where it has its seat; e-invoices need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// Documents print instants as days there; `None` is UTC.
    #[serde(default)]
    pub time_zone: Option<TimeZone>,
    /// Printed on every invoice.
    #[serde(default)]
    pub purchase_order: Option<String>,
    /// Values of the reseller's custom fields, by key.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Who is told.
    #[serde(default)]
    pub contacts: Vec<Contact>,
    /// What it is billed for.
    #[serde(default)]
    pub accounts: Vec<ProviderAccount>,
    /// In printing order.
    #[serde(default)]
    pub tax_rates: Vec<TaxRate>,
}

/// A person who is told of invoices.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Where.
    pub email: String,
    /// Who.
    #[serde(default)]
    pub name: String,
    /// Whether it is written to.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

fn enabled() -> bool {
    true
}

/// An account at a provider, assigned to a customer for some days or for good. Days are UTC.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderAccount {
    /// Provider id, such as `aws`.
    pub provider: String,
    /// The provider's own id for it.
    pub account_id: String,
    /// First day; `None`: always before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<NaiveDate>,
    /// The day after the last one; `None`: until further notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<NaiveDate>,
}

/// How all prices of a reseller are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricingPolicy {
    /// Whether price rules apply to Credit and Adjustment too, which pass at cost otherwise.
    #[serde(default)]
    pub mirror_markup: bool,
    /// An exchange rate older than this on the day it is for is refused.
    #[serde(default = "max_exchange_rate_age_days")]
    pub max_exchange_rate_age_days: i32,
}

/// A month: banks publish no rate on holidays, and some resellers fix one a month.
fn max_exchange_rate_age_days() -> i32 {
    31
}

impl Default for PricingPolicy {
    fn default() -> Self {
        Self { mirror_markup: false, max_exchange_rate_age_days: max_exchange_rate_age_days() }
    }
}

/// A markup on Usage and Purchase; `"0.125"` is 12.5 %.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Markup {
    /// Only for this customer.
    pub customer_id: Option<CustomerId>,
    /// Only for this provider.
    pub provider: Option<String>,
    /// Share of the cost.
    pub rate: BigDecimal,
}

/// An exchange rate of a day.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatedExchangeRate {
    /// The charges' currency.
    pub from: Currency,
    /// The invoice's currency.
    pub to: Currency,
    /// The day.
    pub rated_on: NaiveDate,
    /// Multiplied onto the cost.
    pub rate: BigDecimal,
    /// Where it comes from, such as `ECB`.
    pub source: String,
}

/// An address that is never written to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuppressedAddress {
    /// Which.
    pub email: String,
    /// Why.
    pub reason: String,
}

/// Charges that belong to no customer and need not: they no longer block opening.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnassignedWaiver {
    /// Provider id.
    pub provider: String,
    /// The month.
    pub billing_period: BillingPeriod,
    /// The account without a customer.
    pub account_id: String,
    /// Why it is not billed.
    pub reason: String,
    /// Who says so.
    pub waived_by: String,
}
