//! One row of a charge file, in FOCUS column names (FOCUS 1.0–1.3, snake case).

use std::{fmt, str::FromStr};

use bigdecimal::BigDecimal;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{billing_period::BillingPeriod, money::Currency};

/// FOCUS `ChargeCategory`: what kind of charge a row is, which decides how it is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChargeCategory {
    /// Based on consumption.
    Usage,
    /// Bought outright or as a commitment.
    Purchase,
    /// Levied by a government; never resold.
    Tax,
    /// A voucher or incentive granted by the provider.
    Credit,
    /// Anything else applied to the bill afterwards.
    Adjustment,
}

impl ChargeCategory {
    const ALL: [Self; 5] = [Self::Usage, Self::Purchase, Self::Tax, Self::Credit, Self::Adjustment];

    /// Returns the name FOCUS gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "Usage",
            Self::Purchase => "Purchase",
            Self::Tax => "Tax",
            Self::Credit => "Credit",
            Self::Adjustment => "Adjustment",
        }
    }
}

impl fmt::Display for ChargeCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Says that a text is no FOCUS charge category.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a charge category; FOCUS knows Usage, Purchase, Tax, Credit, Adjustment")]
pub struct UnknownChargeCategory(String);

impl FromStr for ChargeCategory {
    type Err = UnknownChargeCategory;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|category| category.as_str() == text)
            .ok_or_else(|| UnknownChargeCategory(text.chars().take(40).collect()))
    }
}

/// One charge as billrunner keeps it. `None` is FOCUS null.
#[derive(Clone, Debug, PartialEq)]
pub struct Charge {
    /// The payer at the provider; with the billing period it forms the unit that a later file supersedes.
    pub billing_account_id: String,
    /// The provider's month the row belongs to.
    pub billing_period: BillingPeriod,
    /// What the invoice is built from; null counts as zero.
    pub billed_cost: BigDecimal,
    /// Currency of `billed_cost`.
    pub billing_currency: Currency,
    /// Decides how the row is priced.
    pub charge_category: ChargeCategory,
    /// Whether `ChargeClass` is `Correction`: the row changes an earlier billing period.
    pub is_correction: bool,
    /// Free text of the provider.
    pub charge_description: Option<String>,
    /// `One-Time`, `Recurring` or `Usage-Based`.
    pub charge_frequency: Option<String>,
    /// Start of the charge, inclusive.
    pub charge_period_start: DateTime<Utc>,
    /// End of the charge, exclusive.
    pub charge_period_end: DateTime<Utc>,
    /// How much was used, in `consumed_unit`.
    pub consumed_quantity: Option<BigDecimal>,
    /// Unit of `consumed_quantity`.
    pub consumed_unit: Option<String>,
    /// The provider's region id.
    pub region_id: Option<String>,
    /// The provider's resource id.
    pub resource_id: Option<String>,
    /// The resource's display name.
    pub resource_name: Option<String>,
    /// FOCUS service category.
    pub service_category: Option<String>,
    /// The service; printed on the invoice.
    pub service_name: String,
    /// The provider's SKU.
    pub sku_id: Option<String>,
    /// The provider account; the billing account where the row names no sub account.
    pub sub_account_id: String,
    /// Display name of the provider account.
    pub sub_account_name: Option<String>,
    /// Tags as the provider wrote them: JSON text.
    pub tags: Option<String>,
    /// Columns outside FOCUS, in file order.
    pub x_columns: Vec<(String, String)>,
}
