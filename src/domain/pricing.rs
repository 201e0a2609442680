//! From cost to price: exchange rate, then markup. Rounding is the invoice's business, not ours.

use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, One};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{charge::ChargeCategory, money::Currency};

/// A rate from another currency into the invoice's, frozen on the invoice with its source and date.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExchangeRate {
    /// Multiplied onto the cost.
    pub rate: BigDecimal,
    /// Where the rate comes from, such as `ECB`.
    pub source: String,
    /// The day the rate is of.
    pub rated_on: NaiveDate,
}

/// How one invoice turns costs into prices.
#[derive(Clone, Debug)]
pub struct PriceTerms {
    /// The invoice's currency.
    pub currency: Currency,
    /// `0.125` is 12.5 %: price = cost × (1 + markup).
    pub markup_rate: BigDecimal,
    /// Rates into `currency`, by the charges' currency.
    pub exchange_rates: BTreeMap<Currency, ExchangeRate>,
}

/// Says that a cost cannot be converted. A missing rate is an error, never 1.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no exchange rate from {from} to {to}; add one dated within the billing period or before it")]
pub struct MissingExchangeRate {
    /// The charges' currency.
    pub from: Currency,
    /// The invoice's currency.
    pub to: Currency,
}

impl PriceTerms {
    /// Returns the rate from a charge's currency into the invoice's.
    ///
    /// # Errors
    /// [`MissingExchangeRate`] when none was found for the period.
    pub fn exchange_rate(&self, from: Currency) -> Result<BigDecimal, MissingExchangeRate> {
        if from == self.currency {
            return Ok(BigDecimal::one());
        }
        let missing = MissingExchangeRate { from, to: self.currency };
        self.exchange_rates.get(&from).map(|found| found.rate.clone()).ok_or(missing)
    }

    /// Returns the exact price of a cost: `cost × rate × (1 + markup)`; Credit and Adjustment pass at cost.
    ///
    /// # Errors
    /// [`MissingExchangeRate`] when the cost is in a currency without a rate.
    pub fn price(
        &self,
        category: ChargeCategory,
        currency: Currency,
        cost: &BigDecimal,
    ) -> Result<BigDecimal, MissingExchangeRate> {
        let converted = cost * self.exchange_rate(currency)?;
        Ok(match category {
            ChargeCategory::Usage | ChargeCategory::Purchase => converted * (BigDecimal::one() + &self.markup_rate),
            ChargeCategory::Tax | ChargeCategory::Credit | ChargeCategory::Adjustment => converted,
        })
    }
}
