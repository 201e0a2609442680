//! Price rules: how a cost becomes a price, by markup or margin, for whom, for what and from when.
//!
//! Of the rules that match a charge the most specific one applies. The order is total: a rule that names a customer goes
//! before one that does not; among equals one that names a service, then a service category, then a charge category,
//! then a provider. Two rules that name the same things never hold on the same day, so there are no ties.

use std::fmt::{self, Write as _};

use bigdecimal::{BigDecimal, One, RoundingMode};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    charge::ChargeCategory,
    dated_terms::{DatedTerm, Validity, find_overlap},
    ids::CustomerId,
};

/// Decimals that a price by margin is kept to, as a quotient may have no end. Ten more than a line keeps, so that parts
/// which make half a cent together still do.
const MARGIN_DECIMALS: i64 = 60;

/// How a price comes from a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceMethod {
    /// `cost × (1 + rate)`: the share of the cost that is added.
    Markup,
    /// `cost ÷ (1 − rate)`: the share of the price that is earned.
    Margin,
}

impl PriceMethod {
    /// Returns the method's name, the same in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Markup => "markup",
            Self::Margin => "margin",
        }
    }
}

/// One rule; what it does not name, it is for all of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRule {
    /// Only for this customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Only for this FOCUS `ServiceName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// Only for this FOCUS `ServiceCategory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_category: Option<String>,
    /// Only for this FOCUS `ChargeCategory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_category: Option<ChargeCategory>,
    /// Only for this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Markup or margin.
    pub method: PriceMethod,
    /// `0.125` is 12.5 %.
    pub rate: BigDecimal,
    /// First day; applies to billing periods that start on it or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<NaiveDate>,
    /// Exclusive end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<NaiveDate>,
}

/// Says why rules are not saved.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidPriceRule {
    /// A rate that makes no price.
    #[error("{rule}: the {method} {rate} makes no price; write a share over -1, and a margin below 1: 0.125 is 12.5 %")]
    Rate {
        /// Which.
        rule: String,
        /// Markup or margin.
        method: &'static str,
        /// As written.
        rate: String,
    },
    /// No day at all.
    #[error("{0}: it is valid on no day; `valid_to` is exclusive and lies after `valid_from`")]
    NoDay(String),
    /// A category that is never resold.
    #[error("{0}: the provider's tax rows are not resold; name Usage, Purchase, Credit or Adjustment")]
    Tax(String),
    /// Two rules between which nothing decides.
    #[error("{name} is there twice, {first} and {second}; end the first where the second begins, or remove one")]
    Tie {
        /// Which.
        name: String,
        /// Days of one.
        first: String,
        /// Days of the other.
        second: String,
    },
}

impl PriceRule {
    /// Makes the rule that a row of the earlier `markups` stood for.
    pub fn markup(customer_id: Option<CustomerId>, provider: Option<String>, rate: BigDecimal) -> Self {
        Self {
            customer_id,
            service_name: None,
            service_category: None,
            charge_category: None,
            provider,
            method: PriceMethod::Markup,
            rate,
            valid_from: None,
            valid_to: None,
        }
    }

    /// Returns the days it holds on.
    pub fn validity(&self) -> Validity {
        Validity { from: self.valid_from, to: self.valid_to }
    }

    /// Prices a converted cost: exactly by markup; by margin to 60 decimals, half-up.
    pub fn price(&self, cost: &BigDecimal) -> BigDecimal {
        match self.method {
            PriceMethod::Markup => cost * (BigDecimal::one() + &self.rate),
            PriceMethod::Margin => {
                (cost / (BigDecimal::one() - &self.rate)).with_scale_round(MARGIN_DECIMALS, RoundingMode::HalfUp)
            }
        }
    }

    /// Returns the form in which changes are told.
    pub fn to_dated_term(&self) -> DatedTerm {
        DatedTerm {
            customer_id: self.customer_id,
            provider: self.provider.clone(),
            name: format!("the price rule for {}", self.scope()),
            value: format!("{} {}", self.method.as_str(), self.rate.normalized()),
            validity: self.validity(),
        }
    }

    /// Says what the rule names, in the order of its weight.
    fn scope(&self) -> String {
        let names = [
            ("customer", self.customer_id.map(|id| id.to_string())),
            ("service", self.service_name.clone()),
            ("service category", self.service_category.clone()),
            ("charge category", self.charge_category.map(|category| category.to_string())),
            ("provider", self.provider.clone()),
        ];
        let mut scope = String::new();
        for (what, name) in names.into_iter().filter_map(|(what, name)| Some((what, name?))) {
            let separator = if scope.is_empty() { "" } else { ", " };
            let _ = write!(scope, "{separator}{what} {name}");
        }
        if scope.is_empty() { "everything".to_owned() } else { scope }
    }

    /// Returns what decides between rules that match: the greater goes first.
    fn specificity(&self) -> [bool; 5] {
        [
            self.customer_id.is_some(),
            self.service_name.is_some(),
            self.service_category.is_some(),
            self.charge_category.is_some(),
            self.provider.is_some(),
        ]
    }

    fn matches(&self, charge: &PricedBy<'_>, day: NaiveDate) -> bool {
        let fits =
            |named: &Option<String>, actual: Option<&str>| named.as_deref().is_none_or(|name| Some(name) == actual);
        fits(&self.service_name, Some(charge.service_name))
            && fits(&self.service_category, charge.service_category)
            && self.charge_category.is_none_or(|category| category == charge.charge_category)
            && self.validity().contains(day)
    }

    fn check(&self) -> Result<(), InvalidPriceRule> {
        let name = || format!("the price rule for {}", self.scope());
        let is_price =
            self.rate > -BigDecimal::one() && (self.method == PriceMethod::Markup || self.rate < BigDecimal::one());
        if !is_price {
            let (method, rate) = (self.method.as_str(), self.rate.to_plain_string());
            return Err(InvalidPriceRule::Rate { rule: name(), method, rate });
        }
        if self.validity().is_empty() {
            return Err(InvalidPriceRule::NoDay(name()));
        }
        if self.charge_category == Some(ChargeCategory::Tax) {
            return Err(InvalidPriceRule::Tax(name()));
        }
        Ok(())
    }
}

impl fmt::Display for PriceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.rate.normalized().to_plain_string();
        write!(f, "{} {rate} for {}, {}", self.method.as_str(), self.scope(), self.validity())
    }
}

/// Checks the rules of a reseller before they are saved.
///
/// # Errors
/// [`InvalidPriceRule`] names the first that cannot be.
pub fn check_price_rules(rules: &[PriceRule]) -> Result<(), InvalidPriceRule> {
    rules.iter().try_for_each(PriceRule::check)?;
    let terms: Vec<DatedTerm> = rules.iter().map(PriceRule::to_dated_term).collect();
    match find_overlap(&terms) {
        None => Ok(()),
        Some((first, second)) => Err(InvalidPriceRule::Tie {
            name: first.name.clone(),
            first: first.validity.to_string(),
            second: second.validity.to_string(),
        }),
    }
}

/// What decides which rule prices a charge.
#[derive(Clone, Copy, Debug)]
pub struct PricedBy<'a> {
    /// FOCUS `ServiceName`.
    pub service_name: &'a str,
    /// FOCUS `ServiceCategory`.
    pub service_category: Option<&'a str>,
    /// FOCUS `ChargeCategory`.
    pub charge_category: ChargeCategory,
    /// First day of the month that a correction corrects.
    pub correction_of: Option<NaiveDate>,
}

/// The rules that may apply to one customer's invoice of one provider, most specific first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PriceRules(Vec<PriceRule>);

impl PriceRules {
    /// Puts rules of one customer and provider in order.
    pub fn new(mut rules: Vec<PriceRule>) -> Self {
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.specificity()));
        Self(rules)
    }

    /// Keeps those of all rules that may apply to a customer at a provider.
    pub fn of(rules: Vec<PriceRule>, customer_id: CustomerId, provider: &str) -> Self {
        let applies = |rule: &PriceRule| {
            rule.customer_id.is_none_or(|id| id == customer_id)
                && rule.provider.as_deref().is_none_or(|name| name == provider)
        };
        Self::new(rules.into_iter().filter(applies).collect())
    }

    /// Returns the place of the rule that prices a charge in the billing period that starts on a day.
    ///
    /// A correction is priced as the month it corrects was: what was charged at a price is given back at that price.
    pub fn find(&self, charge: &PricedBy<'_>, period_start: NaiveDate) -> Option<usize> {
        let day = charge.correction_of.unwrap_or(period_start);
        self.0.iter().position(|rule| rule.matches(charge, day))
    }

    /// Returns the rule at a place.
    pub fn get(&self, place: usize) -> Option<&PriceRule> {
        self.0.get(place)
    }

    /// Keeps the rules at some places, in order.
    #[must_use]
    pub fn keep(&self, places: impl IntoIterator<Item = usize>) -> Self {
        Self(places.into_iter().filter_map(|place| self.get(place).cloned()).collect())
    }

    /// Returns the markup of usage that no rule names by service, for the previous release; zero where there is none.
    pub fn general_markup(&self, period_start: NaiveDate) -> BigDecimal {
        let usage = PricedBy {
            service_name: "",
            service_category: None,
            charge_category: ChargeCategory::Usage,
            correction_of: None,
        };
        let rule = self.find(&usage, period_start).and_then(|place| self.get(place));
        rule.filter(|rule| rule.method == PriceMethod::Markup).map(|rule| rule.rate.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ResellerId;

    fn decimal(text: &str) -> BigDecimal {
        text.parse().expect("a decimal")
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn rule(rate: &str) -> PriceRule {
        PriceRule::markup(None, None, decimal(rate))
    }

    fn charge() -> PricedBy<'static> {
        PricedBy {
            service_name: "EC2",
            service_category: Some("Compute"),
            charge_category: ChargeCategory::Usage,
            correction_of: None,
        }
    }

    /// Returns the rate that applies to the charge in August 2026.
    fn rate_of(rules: &PriceRules, charge: &PricedBy<'_>) -> Option<String> {
        let place = rules.find(charge, day("2026-08-01"))?;
        rules.get(place).map(|rule| rule.rate.to_plain_string())
    }

    #[test]
    fn every_pair_of_rules_has_an_order_and_customer_goes_before_service_category_and_provider() {
        let customer = CustomerId::new();
        let named = |bits: usize| PriceRule {
            customer_id: (bits & 16 != 0).then_some(customer),
            service_name: (bits & 8 != 0).then(|| "EC2".to_owned()),
            service_category: (bits & 4 != 0).then(|| "Compute".to_owned()),
            charge_category: (bits & 2 != 0).then_some(ChargeCategory::Usage),
            provider: (bits & 1 != 0).then(|| "aws".to_owned()),
            ..rule(&bits.to_string())
        };
        for (a, b) in (0..32).flat_map(|a| (0..32).map(move |b| (a, b))).filter(|(a, b)| a != b) {
            let rules = PriceRules::of(vec![named(a), named(b)], customer, "aws");
            assert_eq!(rate_of(&rules, &charge()), Some(a.max(b).to_string()), "{a} against {b}");
        }
    }

    #[test]
    fn a_rule_for_something_else_does_not_apply() {
        let other = ResellerId::new().0;
        for rule in [
            PriceRule { customer_id: Some(CustomerId(other)), ..rule("9") },
            PriceRule { service_name: Some("S3".into()), ..rule("9") },
            PriceRule { service_category: Some("Storage".into()), ..rule("9") },
            PriceRule { charge_category: Some(ChargeCategory::Purchase), ..rule("9") },
            PriceRule { provider: Some("google".into()), ..rule("9") },
            PriceRule { valid_to: Some(day("2026-08-01")), ..rule("9") },
            PriceRule { valid_from: Some(day("2026-08-02")), ..rule("9") },
        ] {
            let rules = PriceRules::of(vec![rule], CustomerId::new(), "aws");
            assert_eq!(rate_of(&rules, &charge()), None);
        }
    }

    #[test]
    fn a_correction_is_priced_by_the_rules_of_the_month_it_corrects() {
        let rules = PriceRules::new(vec![
            PriceRule { valid_to: Some(day("2026-08-01")), ..rule("0.1") },
            PriceRule { valid_from: Some(day("2026-08-01")), ..rule("0.2") },
        ]);
        assert_eq!(rate_of(&rules, &charge()).as_deref(), Some("0.2"));
        let correction = PricedBy { correction_of: Some(day("2026-07-01")), ..charge() };
        assert_eq!(rate_of(&rules, &correction).as_deref(), Some("0.1"));
    }

    #[test]
    fn a_margin_is_a_share_of_the_price() {
        let margin = |rate: &str| PriceRule { method: PriceMethod::Margin, ..rule(rate) };
        assert_eq!(margin("0.25").price(&decimal("75")), decimal("100"));
        assert_eq!(margin("0.25").price(&decimal("0.00375")), decimal("0.005"), "half a cent stays half a cent");
        let third = margin("0.7").price(&decimal("1")).to_plain_string();
        assert_eq!(third, format!("3.{}", "3".repeat(60)));
        assert_eq!(rule("0.25").price(&decimal("80")), decimal("100"));
    }

    #[test]
    fn what_makes_no_price_or_a_tie_is_refused_when_it_is_saved() {
        let refused = |rules: &[PriceRule]| check_price_rules(rules).expect_err("refused").to_string();
        let margin = PriceRule { method: PriceMethod::Margin, ..rule("1") };
        assert!(refused(&[margin]).contains("the margin 1 makes no price"));
        assert!(refused(&[rule("-1")]).contains("the markup -1 makes no price"));
        assert!(
            refused(&[PriceRule { charge_category: Some(ChargeCategory::Tax), ..rule("0") }]).contains("not resold")
        );
        let no_day = PriceRule { valid_from: Some(day("2026-08-01")), valid_to: Some(day("2026-08-01")), ..rule("0") };
        assert!(refused(&[no_day]).contains("valid on no day"));
        let from_august = PriceRule { valid_from: Some(day("2026-08-01")), ..rule("0.2") };
        let tie = refused(&[rule("0.1"), from_august.clone()]);
        assert!(tie.starts_with("the price rule for everything is there twice, always and from 2026-08-01"), "{tie}");
        let until_august = PriceRule { valid_to: Some(day("2026-08-01")), ..rule("0.1") };
        assert_eq!(check_price_rules(&[until_august, from_august]), Ok(()));
    }
}
