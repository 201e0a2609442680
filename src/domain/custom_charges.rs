//! Custom charges and discounts: what a reseller adds to an invoice, or takes off, after the charges have their prices.
//!
//! Four stages follow each other: fixed amounts, percentages, tiers, minimum commitments. Charges of one stage see the
//! same sums, so their order among each other changes nothing. Minimum and maximum bound each amount before a discount
//! turns it negative. Amounts stay exact; rounding is the printed line's business.

use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, One, Signed, Zero};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    dated_terms::{DatedTerm, Validity, find_overlap},
    ids::CustomerId,
    money::Currency,
};

/// What a percentage or tier is taken of. Only the reseller sees the sum of costs: no document prints a rate or a basis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeBasis {
    /// What the provider billed, converted.
    Cost,
    /// What the charges come to, after markup or margin.
    Price,
    /// The price with the custom charges of earlier stages.
    Subtotal,
}

/// How tiers apply, in the words of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TierMode {
    /// Each part of the basis at the rate of the tier that it lies in.
    Graduated,
    /// The whole basis at the rate of the tier that it ends in.
    Volume,
}

/// A tier, from where the one before ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Where it ends, inclusive; `None` is the last.
    #[serde(default)]
    pub up_to: Option<BigDecimal>,
    /// Share of the basis; `0.05` is 5 %.
    pub rate: BigDecimal,
}

/// How an amount comes about, once a billing period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ChargeFormula {
    /// The same every month.
    Fixed {
        /// How much.
        amount: BigDecimal,
    },
    /// A share.
    Percent {
        /// Of what.
        basis: ChargeBasis,
        /// `0.05` is 5 %.
        rate: BigDecimal,
    },
    /// Shares that depend on the amount; nothing of a basis below zero.
    Tiered {
        /// Of what.
        basis: ChargeBasis,
        /// Graduated or volume.
        mode: TierMode,
        /// From the lowest.
        tiers: Vec<Tier>,
    },
    /// What is lacking to an agreed amount.
    MinimumCommitment {
        /// The agreed amount.
        amount: BigDecimal,
    },
}

/// One charge or discount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomCharge {
    /// As printed where no description fits the language.
    pub name: String,
    /// As printed, by BCP 47 tag.
    #[serde(default)]
    pub descriptions: BTreeMap<String, String>,
    /// Only for this customer; else for all of the reseller's.
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// Only on this provider's invoices.
    #[serde(default)]
    pub provider: Option<String>,
    /// How much.
    pub formula: ChargeFormula,
    /// Whether it is taken off.
    #[serde(default)]
    pub is_discount: bool,
    /// Currency of its amounts.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// At least so much.
    #[serde(default)]
    pub minimum: Option<BigDecimal>,
    /// At most so much.
    #[serde(default)]
    pub maximum: Option<BigDecimal>,
    /// First day; applies to billing periods that start on it or later.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    /// Exclusive end.
    #[serde(default)]
    pub valid_to: Option<NaiveDate>,
}

/// Says why a charge is not saved.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidCustomCharge {
    /// It would be on the invoices of every provider.
    #[error("custom charge `{0}` is an amount per month and names no provider; name the one whose invoice carries it")]
    NoProvider(String),
    /// Amounts of what.
    #[error("custom charge `{0}` has amounts and no currency; add `currency`")]
    NoCurrency(String),
    /// A sign that says what `is_discount` says.
    #[error(
        "custom charge `{0}` has an amount or rate below zero; write it positive, and `is_discount` for a discount"
    )]
    Negative(String),
    /// Tiers that leave a gap.
    #[error("custom charge `{0}` has tiers out of order; each `up_to` is above the one before, and the last has none")]
    Tiers(String),
    /// Nothing lies between.
    #[error("custom charge `{0}` has a minimum above its maximum; swap them")]
    Bounds(String),
    /// It would print what only the reseller may see.
    #[error("custom charge `{0}` would print the cost itself; take another rate than 1, or another basis than cost")]
    PrintsCost(String),
    /// No day at all.
    #[error("custom charge `{0}` is valid on no day; `valid_to` is exclusive and lies after `valid_from`")]
    NoDay(String),
    /// A line needs a text.
    #[error("a custom charge has an empty name or description; write what its line is to say")]
    NoName,
    /// Two at once.
    #[error("{0} is there twice on the same days; end the first where the second begins, or give it another name")]
    Twice(String),
}

/// The sums that custom charges are computed from, in the invoice's currency.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChargedSums {
    /// What the provider billed, converted.
    pub cost: BigDecimal,
    /// What the charges come to.
    pub price: BigDecimal,
}

/// A custom charge with its amount.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppliedCharge {
    /// What was agreed.
    pub charge: CustomCharge,
    /// What the formula was applied to. The reseller's side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<BigDecimal>,
}

impl CustomCharge {
    /// Returns the days it holds on.
    pub fn validity(&self) -> Validity {
        Validity { from: self.valid_from, to: self.valid_to }
    }

    /// Returns the form in which changes are told.
    pub fn to_dated_term(&self) -> DatedTerm {
        let whom = self.customer_id.map(|id| format!(" of customer {id}")).unwrap_or_default();
        let of = self.provider.as_ref().map(|provider| format!(" at {provider}")).unwrap_or_default();
        let undated = Self { valid_from: None, valid_to: None, ..self.clone() };
        DatedTerm {
            customer_id: self.customer_id,
            provider: self.provider.clone(),
            name: format!("custom charge `{}`{whom}{of}", self.name),
            value: format!("{undated:?}"),
            validity: self.validity(),
        }
    }

    /// Returns when it is computed: the later sees the sums of the earlier.
    fn stage(&self) -> u8 {
        match self.formula {
            ChargeFormula::Fixed { .. } => 0,
            ChargeFormula::Percent { .. } => 1,
            ChargeFormula::Tiered { .. } => 2,
            ChargeFormula::MinimumCommitment { .. } => 3,
        }
    }

    /// Tells whether its amounts are money, not shares.
    fn has_amounts(&self) -> bool {
        !matches!(self.formula, ChargeFormula::Percent { .. }) || self.minimum.is_some() || self.maximum.is_some()
    }

    /// Returns the amount and what it was computed of; `rate` is from the charge's currency into that of the sums.
    fn compute(
        &self,
        sums: &ChargedSums,
        subtotal: &BigDecimal,
        rate: &BigDecimal,
    ) -> (BigDecimal, Option<BigDecimal>) {
        let basis = |basis: ChargeBasis| match basis {
            ChargeBasis::Cost => sums.cost.clone(),
            ChargeBasis::Price => sums.price.clone(),
            ChargeBasis::Subtotal => subtotal.clone(),
        };
        let (mut amount, basis) = match &self.formula {
            ChargeFormula::Fixed { amount } => (amount * rate, None),
            ChargeFormula::Percent { basis: of, rate: share } => (basis(*of) * share, Some(basis(*of))),
            ChargeFormula::Tiered { basis: of, mode, tiers } => {
                let of = basis(*of);
                (tiered(*mode, tiers, &of, rate), Some(of))
            }
            ChargeFormula::MinimumCommitment { amount } => {
                ((amount * rate - subtotal).max(BigDecimal::zero()), Some(subtotal.clone()))
            }
        };
        if let Some(minimum) = &self.minimum {
            amount = amount.max(minimum * rate);
        }
        if let Some(maximum) = &self.maximum {
            amount = amount.min(maximum * rate);
        }
        (if self.is_discount { -amount } else { amount }, basis)
    }

    fn check(&self) -> Result<(), InvalidCustomCharge> {
        let name = || self.name.clone();
        if self.name.trim().is_empty() || self.descriptions.values().any(|text| text.trim().is_empty()) {
            return Err(InvalidCustomCharge::NoName);
        }
        if self.validity().is_empty() {
            return Err(InvalidCustomCharge::NoDay(name()));
        }
        if self.has_amounts() && self.currency.is_none() {
            return Err(InvalidCustomCharge::NoCurrency(name()));
        }
        let (numbers, is_monthly_amount) = match &self.formula {
            ChargeFormula::Fixed { amount } | ChargeFormula::MinimumCommitment { amount } => (vec![amount], true),
            ChargeFormula::Percent { rate, .. } => (vec![rate], false),
            ChargeFormula::Tiered { tiers, .. } => {
                let bounds = tiers.iter().filter_map(|tier| tier.up_to.as_ref());
                (tiers.iter().map(|tier| &tier.rate).chain(bounds).collect(), false)
            }
        };
        if numbers.into_iter().chain(&self.minimum).chain(&self.maximum).any(BigDecimal::is_negative) {
            return Err(InvalidCustomCharge::Negative(name()));
        }
        if is_monthly_amount && self.provider.is_none() {
            return Err(InvalidCustomCharge::NoProvider(name()));
        }
        if matches!((&self.minimum, &self.maximum), (Some(minimum), Some(maximum)) if minimum > maximum) {
            return Err(InvalidCustomCharge::Bounds(name()));
        }
        self.check_shares()
    }

    fn check_shares(&self) -> Result<(), InvalidCustomCharge> {
        let (basis, rates) = match &self.formula {
            ChargeFormula::Fixed { .. } | ChargeFormula::MinimumCommitment { .. } => return Ok(()),
            ChargeFormula::Percent { basis, rate } => (basis, vec![rate]),
            ChargeFormula::Tiered { basis, tiers, .. } => {
                let ends: Vec<Option<&BigDecimal>> = tiers.iter().map(|tier| tier.up_to.as_ref()).collect();
                let is_rising = ends.windows(2).all(|pair| match pair {
                    [Some(before), Some(after)] => before < after,
                    [before, _] => before.is_some(),
                    _ => true,
                });
                if ends.last() != Some(&None) || !is_rising {
                    return Err(InvalidCustomCharge::Tiers(self.name.clone()));
                }
                (basis, tiers.iter().map(|tier| &tier.rate).collect())
            }
        };
        if *basis == ChargeBasis::Cost && rates.into_iter().any(One::is_one) {
            return Err(InvalidCustomCharge::PrintsCost(self.name.clone()));
        }
        Ok(())
    }
}

fn tiered(mode: TierMode, tiers: &[Tier], basis: &BigDecimal, rate: &BigDecimal) -> BigDecimal {
    if !basis.is_positive() {
        return BigDecimal::zero();
    }
    let ends = tiers.iter().map(|tier| (tier, tier.up_to.as_ref().map(|end| end * rate)));
    match mode {
        TierMode::Volume => {
            let mut reached = ends.filter(|(_, end)| end.as_ref().is_none_or(|end| basis <= end));
            reached.next().map(|(tier, _)| basis * &tier.rate).unwrap_or_default()
        }
        TierMode::Graduated => {
            let mut start = BigDecimal::zero();
            let mut amount = BigDecimal::zero();
            for (tier, end) in ends {
                let end = end.map_or_else(|| basis.clone(), |end| end.min(basis.clone()));
                if end > start {
                    amount += (&end - &start) * &tier.rate;
                    start = end;
                }
            }
            amount
        }
    }
}

/// Checks the custom charges of a reseller before they are saved.
///
/// # Errors
/// [`InvalidCustomCharge`] names the first that cannot be.
pub fn check_custom_charges(charges: &[CustomCharge]) -> Result<(), InvalidCustomCharge> {
    charges.iter().try_for_each(CustomCharge::check)?;
    let terms: Vec<DatedTerm> = charges.iter().map(CustomCharge::to_dated_term).collect();
    find_overlap(&terms).map_or(Ok(()), |(first, _)| Err(InvalidCustomCharge::Twice(first.name.clone())))
}

/// Computes charges stage by stage; `rate_of` gives the rate from a charge's currency into that of the sums.
///
/// # Errors
/// What `rate_of` fails with.
pub fn apply_custom_charges<E>(
    charges: &[CustomCharge],
    sums: &ChargedSums,
    rate_of: impl Fn(Currency) -> Result<BigDecimal, E>,
) -> Result<Vec<(AppliedCharge, BigDecimal)>, E> {
    let mut ordered: Vec<&CustomCharge> = charges.iter().collect();
    ordered.sort_by_key(|charge| charge.stage());
    let mut applied = Vec::new();
    let mut subtotal = sums.price.clone();
    for stage in ordered.chunk_by(|a, b| a.stage() == b.stage()) {
        let before = subtotal.clone();
        for charge in stage {
            let rate = charge.currency.map_or_else(|| Ok(BigDecimal::one()), &rate_of)?;
            let (amount, basis) = charge.compute(sums, &before, &rate);
            subtotal += &amount;
            applied.push((AppliedCharge { charge: (*charge).clone(), basis }, amount));
        }
    }
    Ok(applied)
}

#[cfg(test)]
#[path = "custom_charges_tests.rs"]
mod tests;
