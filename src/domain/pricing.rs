//! From cost to price: exchange rate, then markup or margin. Rounding is the invoice's business, not ours.

use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, One};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    charge::ChargeCategory,
    custom_charges::CustomCharge,
    language_tag::LanguageTag,
    money::Currency,
    price_rules::{PriceRule, PriceRules, PricedBy},
};

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
    /// First day of the billing period: the rules in force on it apply.
    pub priced_on: NaiveDate,
    /// The rules of the customer and provider.
    pub rules: PriceRules,
    /// Whether the rules apply to Credit and Adjustment too, which pass at cost otherwise.
    pub mirror_markup: bool,
    /// Rates into `currency`, by the charges' currency.
    pub exchange_rates: BTreeMap<Currency, ExchangeRate>,
    /// What is added or taken off afterwards.
    pub custom_charges: Vec<CustomCharge>,
    /// Language that custom charges and exemptions are described in.
    pub language: Option<LanguageTag>,
}

/// What is kept on an invoice of the rules it was priced by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FrozenRules {
    /// Those in use; lines name them by their place.
    pub rules: PriceRules,
    /// Whether they were applied to Credit and Adjustment too.
    pub mirror_markup: bool,
}

/// Says that a cost cannot be converted. A missing rate is an error, never 1.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "no exchange rate from {from} to {to}; add one in this direction, dated within the billing period or before it"
)]
pub struct MissingExchangeRate {
    /// The charges' currency.
    pub from: Currency,
    /// The invoice's currency.
    pub to: Currency,
}

impl PriceTerms {
    /// Makes terms of one markup on everything, since ever.
    pub fn of_markup(currency: Currency, markup_rate: BigDecimal) -> Self {
        Self {
            currency,
            priced_on: NaiveDate::default(),
            rules: PriceRules::new(vec![PriceRule::markup(None, None, markup_rate)]),
            mirror_markup: false,
            exchange_rates: BTreeMap::new(),
            custom_charges: Vec::new(),
            language: None,
        }
    }

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

    /// Returns the place of the rule that prices a charge; `None` where it passes at cost.
    pub fn rule_of(&self, charge: &PricedBy<'_>) -> Option<usize> {
        let is_marked_up = match charge.charge_category {
            ChargeCategory::Usage | ChargeCategory::Purchase => true,
            ChargeCategory::Credit | ChargeCategory::Adjustment => self.mirror_markup,
            ChargeCategory::Tax => false,
        };
        if is_marked_up { self.rules.find(charge, self.priced_on) } else { None }
    }

    /// Returns the price of a cost by the rule at a place: exact, but for a margin's quotient, kept to 60 decimals.
    ///
    /// # Errors
    /// [`MissingExchangeRate`] when the cost is in a currency without a rate.
    pub fn price_by(
        &self,
        rule: Option<usize>,
        currency: Currency,
        cost: &BigDecimal,
    ) -> Result<BigDecimal, MissingExchangeRate> {
        let converted = cost * self.exchange_rate(currency)?;
        Ok(match rule.and_then(|place| self.rules.get(place)) {
            Some(rule) => rule.price(&converted),
            None => converted,
        })
    }

    /// Returns the price of one charge.
    ///
    /// # Errors
    /// [`MissingExchangeRate`] when the cost is in a currency without a rate.
    pub fn price(
        &self,
        charge: &PricedBy<'_>,
        currency: Currency,
        cost: &BigDecimal,
    ) -> Result<BigDecimal, MissingExchangeRate> {
        self.price_by(self.rule_of(charge), currency, cost)
    }
}
