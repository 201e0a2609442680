//! Lines: what is printed, row by row, and how each price came about.
//!
//! A line sums the charges that share its section, description and category, per price rule, and prices each such part
//! once. Custom charges are lines too, in a section of their own behind all others. Each line is rounded once.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use bigdecimal::{BigDecimal, One, RoundingMode, Zero};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    charge::ChargeCategory,
    custom_charges::{AppliedCharge, ChargedSums, apply_custom_charges},
    invoice::{CostGroup, LinesBy},
    language_tag::LanguageTag,
    money::Currency,
    price_rules::{PriceMethod, PriceRules},
    pricing::{MissingExchangeRate, PriceTerms},
};

/// Section of custom charges and discounts; documents print a heading of their language.
pub const CUSTOM_CHARGES_SECTION: &str = "custom_charges";
/// Decimals that a line's exact price is kept to where a margin's quotient may have no end.
pub const LINE_DECIMALS: i64 = 50;

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
    /// How the price came about. The reseller's side.
    pub details: LineDetails,
}

/// How a line's price came about, and which taxes apply to it. The reseller's side: never shown to the customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LineDetails {
    /// The charges' cost and price, by rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<PricePart>,
    /// The custom charge that the line is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_charge: Option<AppliedCharge>,
    /// Places of the invoice's taxes that apply.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<usize>,
}

/// The part of a line that one rule prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PricePart {
    /// Place of the rule among the invoice's; `None` passes at cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// In the line's cost currency.
    pub cost_exact: BigDecimal,
    /// In the invoice's currency.
    pub price_exact: BigDecimal,
}

impl Line {
    /// Tells whether it is a custom charge or discount.
    pub fn is_custom_charge(&self) -> bool {
        self.details.custom_charge.is_some()
    }
}

/// Lines with what they refer to.
#[derive(Debug)]
pub(super) struct PricedLines {
    pub(super) lines: Vec<Line>,
    pub(super) rules: PriceRules,
    pub(super) zero_line_count: i32,
}

/// Orders the lines: own month before corrections, then section, description, category.
type LineKey = (Option<NaiveDate>, String, String, String, Option<ChargeCategory>, Currency);

/// What a line sums up while charges are read.
#[derive(Default)]
struct Sums {
    costs: BTreeMap<Option<usize>, BigDecimal>,
    charge_count: i64,
    non_zero_count: i64,
}

/// Makes priced and rounded lines of charges, and of custom charges behind them.
pub(super) fn price_lines(
    groups: Vec<CostGroup>,
    terms: &PriceTerms,
    lines_by: LinesBy,
) -> Result<PricedLines, MissingExchangeRate> {
    let mut sums: BTreeMap<LineKey, Sums> = BTreeMap::new();
    for group in groups {
        let rule = terms.rule_of(&group.priced_by());
        let entry = match sums.entry(line_key(&group, lines_by)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Sums::default()),
        };
        *entry.costs.entry(rule).or_default() += group.billed_cost;
        entry.charge_count += group.charge_count;
        entry.non_zero_count += group.non_zero_count;
    }
    let found = sums.len();
    sums.retain(|_, sums| sums.non_zero_count > 0);
    let zero_line_count = i32::try_from(found - sums.len()).unwrap_or(i32::MAX);
    let in_use: BTreeSet<usize> = sums.values().flat_map(|sums| sums.costs.keys().copied().flatten()).collect();
    let in_use: Vec<usize> = in_use.into_iter().collect();
    let mut lines =
        sums.into_iter().map(|(key, sums)| line(key, sums, terms, &in_use)).collect::<Result<Vec<_>, _>>()?;
    let custom = custom_lines(&lines, terms)?;
    lines.extend(custom);
    Ok(PricedLines { lines, rules: terms.rules.keep(in_use), zero_line_count })
}

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

fn line(key: LineKey, sums: Sums, terms: &PriceTerms, in_use: &[usize]) -> Result<Line, MissingExchangeRate> {
    let (correction_of, section_name, section_id, description, charge_category, cost_currency) = key;
    let mut prices = Vec::new();
    for (place, cost_exact) in sums.costs {
        let price_exact = terms.price_by(place, cost_currency, &cost_exact)?;
        let rule = place.and_then(|place| in_use.iter().position(|used| *used == place));
        prices.push((place, PricePart { rule, cost_exact, price_exact }));
    }
    let is_quotient = |place: &Option<usize>| {
        place.and_then(|place| terms.rules.get(place)).is_some_and(|rule| rule.method == PriceMethod::Margin)
    };
    let mut price_exact: BigDecimal = prices.iter().map(|(_, part)| &part.price_exact).sum();
    if prices.iter().any(|(place, _)| is_quotient(place)) {
        price_exact = price_exact.with_scale_round(LINE_DECIMALS, RoundingMode::HalfUp);
    }
    let prices: Vec<PricePart> = prices.into_iter().map(|(_, part)| part).collect();
    Ok(Line {
        section_id,
        section_name,
        description,
        charge_category,
        correction_of,
        cost_currency,
        cost_exact: prices.iter().map(|part| &part.cost_exact).sum(),
        exchange_rate: terms.exchange_rate(cost_currency)?,
        net: terms.currency.round(&price_exact),
        price_exact,
        charge_count: sums.charge_count,
        details: LineDetails { prices, ..LineDetails::default() },
    })
}

/// Makes a line of each custom charge that comes to anything.
fn custom_lines(lines: &[Line], terms: &PriceTerms) -> Result<Vec<Line>, MissingExchangeRate> {
    let sums = ChargedSums {
        cost: lines.iter().map(|line| &line.cost_exact * &line.exchange_rate).sum(),
        price: lines.iter().map(|line| &line.price_exact).sum(),
    };
    let applied = apply_custom_charges(&terms.custom_charges, &sums, |currency| terms.exchange_rate(currency))?;
    let printed = applied.into_iter().filter(|(_, price_exact)| !price_exact.is_zero());
    printed.map(|(applied, price_exact)| custom_line(applied, price_exact, terms)).collect()
}

fn custom_line(
    applied: AppliedCharge,
    price_exact: BigDecimal,
    terms: &PriceTerms,
) -> Result<Line, MissingExchangeRate> {
    let charge = &applied.charge;
    let description = LanguageTag::choose(terms.language.as_ref(), &charge.descriptions).unwrap_or(&charge.name);
    Ok(Line {
        section_id: CUSTOM_CHARGES_SECTION.to_owned(),
        section_name: String::new(),
        description: description.to_owned(),
        charge_category: None,
        correction_of: None,
        cost_currency: charge.currency.unwrap_or(terms.currency),
        cost_exact: BigDecimal::zero(),
        exchange_rate: charge.currency.map_or_else(|| Ok(BigDecimal::one()), |from| terms.exchange_rate(from))?,
        net: terms.currency.round(&price_exact),
        price_exact,
        charge_count: 0,
        details: LineDetails { custom_charge: Some(applied), ..LineDetails::default() },
    })
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
