//! Taxes as EN 16931 computes them: one amount per name, category and rate, on the sum of the lines it applies to.
//!
//! Rates of different names add up (`IVA` and `Recargo de equivalencia` on the same base); of one name a line has one
//! rate, the most specific that fits, so that per name each line has one VAT category (BR-CO-18). The rate in force on
//! the last day of the billing period applies: there the supply of a month is completed (Directive 2006/112, article 64).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use bigdecimal::{BigDecimal, Signed, Zero};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    dated_terms::{DatedTerm, Validity},
    ids::CustomerId,
    invoice::Line,
    language_tag::LanguageTag,
    money::Currency,
};

/// VAT category of EN 16931, by its code of UNCL5305.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaxCategory {
    /// Taxed at a rate.
    #[default]
    #[serde(rename = "S")]
    Standard,
    /// Taxed at zero.
    #[serde(rename = "Z")]
    ZeroRated,
    /// Exempt, for a reason.
    #[serde(rename = "E")]
    Exempt,
    /// The customer owes the tax.
    #[serde(rename = "AE")]
    ReverseCharge,
    /// Supplied to another member state.
    #[serde(rename = "K")]
    IntraCommunity,
    /// Supplied outside the Union.
    #[serde(rename = "G")]
    Export,
    /// Not subject to VAT.
    #[serde(rename = "O")]
    OutsideScope,
}

impl TaxCategory {
    const ALL: [Self; 7] = [
        Self::Standard,
        Self::ZeroRated,
        Self::Exempt,
        Self::ReverseCharge,
        Self::IntraCommunity,
        Self::Export,
        Self::OutsideScope,
    ];

    /// Returns the code of UNCL5305.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "S",
            Self::ZeroRated => "Z",
            Self::Exempt => "E",
            Self::ReverseCharge => "AE",
            Self::IntraCommunity => "K",
            Self::Export => "G",
            Self::OutsideScope => "O",
        }
    }

    /// Tells whether an invoice says why nothing is taxed (BR-E-10, BR-AE-10, BR-IC-10, BR-G-10, BR-O-10).
    pub fn needs_reason(self) -> bool {
        !matches!(self, Self::Standard | Self::ZeroRated)
    }

    /// Tells whether the customer's tax id must be on the invoice (BR-AE-03, BR-IC-03).
    fn needs_tax_id(self) -> bool {
        matches!(self, Self::ReverseCharge | Self::IntraCommunity)
    }
}

impl fmt::Display for TaxCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Says that a text is no category.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a tax category; EN 16931 knows S, Z, E, AE, K, G, O")]
pub struct UnknownTaxCategory(String);

impl FromStr for TaxCategory {
    type Err = UnknownTaxCategory;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|category| category.as_str() == text);
        found.ok_or_else(|| UnknownTaxCategory(text.chars().take(10).collect()))
    }
}

/// A named tax of a customer; `0.21` is 21 %.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaxRate {
    /// As printed, such as `IVA`.
    pub name: String,
    /// Share of the base.
    pub rate: BigDecimal,
    /// `None` is S, or Z where the rate is zero.
    #[serde(default)]
    pub category: Option<TaxCategory>,
    /// Code of the CEF VATEX list, such as `VATEX-EU-AE`.
    #[serde(default)]
    pub exemption_code: Option<String>,
    /// Why nothing is taxed, by BCP 47 tag.
    #[serde(default)]
    pub exemption_reasons: BTreeMap<String, String>,
    /// Only lines with these descriptions (services or SKUs); empty is all.
    #[serde(default)]
    pub services: Vec<String>,
    /// Only lines of these sections (provider accounts, or `custom_charges`); empty is all.
    #[serde(default)]
    pub sections: Vec<String>,
    /// First day.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    /// Exclusive end.
    #[serde(default)]
    pub valid_to: Option<NaiveDate>,
}

/// Says why a customer's taxes are not saved.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidTaxRate {
    /// Nothing is owed by a negative rate.
    #[error("tax `{0}` is {1}; write 0 or more, such as 0.21")]
    Negative(String, BigDecimal),
    /// EN 16931: BR-S-05, BR-Z-05, BR-E-05, BR-AE-05, BR-IC-05, BR-G-05, BR-O-05.
    #[error(
        "tax `{name}` has category {category} and rate {rate}; S needs a rate above zero, all others a rate of zero"
    )]
    RateOfCategory {
        /// Which.
        name: String,
        /// Its category.
        category: TaxCategory,
        /// Its rate.
        rate: String,
    },
    /// Exempt without saying why.
    #[error("tax `{0}` is exempt (E) and says not why; add `exemption_reasons` or `exemption_code`")]
    NoReason(String),
    /// Taxed, and saying why not.
    #[error("tax `{0}` of category {1} has an exemption reason; remove it, or choose E, AE, K, G or O")]
    NeedlessReason(String, TaxCategory),
    /// The other party cannot be named to the tax office.
    #[error("tax `{0}` of category {1} needs the customer's tax id on the invoice; add `tax_id` to the customer")]
    NoTaxId(String, TaxCategory),
    /// BR-O-11 to BR-O-14.
    #[error("tax `{0}` is outside the scope of VAT (O) and stands beside another tax; it must be the only one")]
    OutsideScopeAndTaxed(String),
    /// Nothing decides which applies.
    #[error(
        "tax `{0}` is there twice for the same lines and days; end the first where the second begins, or remove one"
    )]
    Tie(String),
    /// No day at all.
    #[error("tax `{0}` is valid on no day; `valid_to` is exclusive and lies after `valid_from`")]
    NoDay(String),
}

impl TaxRate {
    /// Makes a tax on all lines: S, or Z where the rate is zero.
    pub fn new(name: impl Into<String>, rate: BigDecimal) -> Self {
        Self { name: name.into(), rate, ..Self::default() }
    }

    /// Returns the category, S or Z where none is set.
    pub fn category(&self) -> TaxCategory {
        let by_rate = if self.rate.is_zero() { TaxCategory::ZeroRated } else { TaxCategory::Standard };
        self.category.unwrap_or(by_rate)
    }

    /// Returns the days it holds on.
    pub fn validity(&self) -> Validity {
        Validity { from: self.valid_from, to: self.valid_to }
    }

    /// Returns the form in which changes are told.
    pub fn to_dated_term(&self, customer_id: CustomerId) -> DatedTerm {
        let undated = Self { valid_from: None, valid_to: None, rate: self.rate.normalized(), ..self.clone() };
        DatedTerm {
            customer_id: Some(customer_id),
            provider: None,
            name: format!("tax `{}` of {customer_id} on {:?} {:?}", self.name, self.services, self.sections),
            value: format!("{undated:?}"),
            validity: self.validity(),
        }
    }

    fn applies_to(&self, line: &Line) -> bool {
        let fits = |names: &[String], name: &str| names.is_empty() || names.iter().any(|named| named == name);
        fits(&self.services, &line.description) && fits(&self.sections, &line.section_id)
    }

    /// Returns what decides between rates of one name: services before sections before neither.
    fn specificity(&self) -> [bool; 2] {
        [!self.services.is_empty(), !self.sections.is_empty()]
    }

    fn check(&self, has_tax_id: bool) -> Result<(), InvalidTaxRate> {
        let (name, category) = (|| self.name.clone(), self.category());
        if self.rate.is_negative() {
            return Err(InvalidTaxRate::Negative(name(), self.rate.clone()));
        }
        if self.validity().is_empty() {
            return Err(InvalidTaxRate::NoDay(name()));
        }
        if (category == TaxCategory::Standard) == self.rate.is_zero() {
            let rate = self.rate.to_plain_string();
            return Err(InvalidTaxRate::RateOfCategory { name: name(), category, rate });
        }
        let has_reason = self.exemption_code.is_some() || !self.exemption_reasons.is_empty();
        if category == TaxCategory::Exempt && !has_reason {
            return Err(InvalidTaxRate::NoReason(name()));
        }
        if !category.needs_reason() && has_reason {
            return Err(InvalidTaxRate::NeedlessReason(name(), category));
        }
        if category.needs_tax_id() && !has_tax_id {
            return Err(InvalidTaxRate::NoTaxId(name(), category));
        }
        Ok(())
    }

    fn ties_with(&self, other: &Self) -> bool {
        let meet = |a: &[String], b: &[String]| a.is_empty() || a.iter().any(|name| b.contains(name));
        self.name == other.name
            && self.specificity() == other.specificity()
            && self.validity().overlaps(other.validity())
            && meet(&self.services, &other.services)
            && meet(&self.sections, &other.sections)
    }
}

/// Checks a customer's taxes before they are saved.
///
/// # Errors
/// [`InvalidTaxRate`] names the first that cannot be.
pub fn check_tax_rates(rates: &[TaxRate], has_tax_id: bool) -> Result<(), InvalidTaxRate> {
    rates.iter().try_for_each(|rate| rate.check(has_tax_id))?;
    for (place, rate) in rates.iter().enumerate() {
        for other in rates.iter().skip(place + 1) {
            if rate.ties_with(other) {
                return Err(InvalidTaxRate::Tie(rate.name.clone()));
            }
            let outside = [rate, other].into_iter().find(|rate| rate.category() == TaxCategory::OutsideScope);
            if let Some(outside) = outside.filter(|_| rate.validity().overlaps(other.validity())) {
                return Err(InvalidTaxRate::OutsideScopeAndTaxed(outside.name.clone()));
            }
        }
    }
    Ok(())
}

/// One tax on the lines it applies to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaxAmount {
    /// As printed.
    pub name: String,
    /// VAT category.
    pub category: TaxCategory,
    /// `0.21` is 21 %.
    pub rate: BigDecimal,
    /// Sum of the lines it applies to.
    pub base: BigDecimal,
    /// Half-up(base × rate).
    pub amount: BigDecimal,
    /// Code of the CEF VATEX list.
    pub exemption_code: Option<String>,
    /// Why nothing is taxed, in the invoice's language where there is a text of the reseller's own.
    pub exemption_reason: Option<String>,
}

/// Computes the taxes of an invoice and notes on each line which of them apply to it.
///
/// A tax that applies to no line is left out, but for one on all lines of an invoice without lines.
pub fn tax_lines(
    lines: &mut [Line],
    rates: &[TaxRate],
    currency: Currency,
    language: Option<&LanguageTag>,
) -> Vec<TaxAmount> {
    let names: BTreeSet<&str> = rates.iter().map(|rate| rate.name.as_str()).collect();
    let chosen: Vec<Vec<usize>> =
        lines.iter().map(|line| names.iter().filter_map(|name| choose(rates, name, line)).collect()).collect();
    let is_in_use = |place: usize, rate: &TaxRate| {
        chosen.iter().any(|places| places.contains(&place))
            || (lines.is_empty() && rate.specificity() == [false, false])
    };
    let in_use: Vec<usize> =
        rates.iter().enumerate().filter(|(place, rate)| is_in_use(*place, rate)).map(|(place, _)| place).collect();
    for (line, places) in lines.iter_mut().zip(&chosen) {
        line.details.taxes = places.iter().filter_map(|place| in_use.iter().position(|used| used == place)).collect();
    }
    let taxed = |place: &usize| {
        let rate = rates.get(*place)?;
        let of_lines = lines.iter().zip(&chosen).filter(|(_, places)| places.contains(place));
        let base = currency.round(&of_lines.map(|(line, _)| &line.net).sum());
        Some(TaxAmount {
            name: rate.name.clone(),
            category: rate.category(),
            rate: rate.rate.clone(),
            amount: currency.round(&(&base * &rate.rate)),
            base,
            exemption_code: rate.exemption_code.clone(),
            exemption_reason: LanguageTag::choose(language, &rate.exemption_reasons).map(str::to_owned),
        })
    };
    in_use.iter().filter_map(taxed).collect()
}

/// Returns the place of the most specific rate of a name that applies to a line.
fn choose(rates: &[TaxRate], name: &str, line: &Line) -> Option<usize> {
    let fitting = rates.iter().enumerate().filter(|(_, rate)| rate.name == name && rate.applies_to(line));
    fitting.max_by_key(|(_, rate)| rate.specificity()).map(|(place, _)| place)
}

#[cfg(test)]
#[path = "taxes_tests.rs"]
mod tests;
