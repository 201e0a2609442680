//! VAT as EN 16931 has it: one category and rate a line, and per category and rate a base and an amount.
//!
//! Our taxes are by name, and several may apply to a line (`IVA` and `Recargo de equivalencia`): their rates are added up,
//! and the amounts come to what the invoice says.

use std::collections::{BTreeMap, BTreeSet};

use bigdecimal::{BigDecimal, Signed, Zero};

use super::refusal::UblRefusal;
use crate::{
    documents::{
        accounting::TaxFact,
        model::{DocumentModel, PrintedLine, shortened},
    },
    domain::taxes::TaxCategory,
};

/// How codes of the CEF VATEX list begin; others are none (BR-CL-22).
const EXEMPTION_CODE_PREFIX: &str = "VATEX-";

/// The category and rate of a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Vat {
    pub category: TaxCategory,
    /// `0.21` is 21 %.
    pub rate: BigDecimal,
}

impl Vat {
    /// Finds the one category and rate of a line.
    pub fn of(line: &PrintedLine, model: &DocumentModel) -> Result<Self, UblRefusal> {
        let number = || model.printed_number().clone();
        let name = || shortened(&line.description).into_owned();
        let mut taxes = taxes_of(line, model);
        let Some(first) = taxes.next() else { return Err(UblRefusal::Untaxed { number: number(), line: name() }) };
        let rate: BigDecimal = taxes_of(line, model).map(|tax| &tax.rate).sum();
        if rate.is_positive() {
            return Ok(Self { category: TaxCategory::Standard, rate: rate.normalized() });
        }
        match taxes.find(|tax| tax.category != first.category) {
            None => Ok(Self { category: first.category, rate: BigDecimal::zero() }),
            Some(other) => Err(UblRefusal::TwoCategories {
                number: number(),
                line: name(),
                one: first.category,
                other: other.category,
            }),
        }
    }

    /// Returns the rate as UBL writes it, `21` for 21 %; what is outside the scope of VAT has none (BR-O-05).
    pub fn percent(&self) -> Option<String> {
        let percent = (&self.rate * BigDecimal::from(100)).normalized().to_plain_string();
        (self.category != TaxCategory::OutsideScope).then_some(percent)
    }
}

fn taxes_of<'m>(line: &PrintedLine, model: &'m DocumentModel) -> impl Iterator<Item = &'m TaxFact> {
    line.tax_places.iter().filter_map(|place| model.accounting.taxes.get(*place))
}

/// What is taxed at one category and rate.
#[derive(Debug, Default)]
pub(super) struct TaxShare {
    pub base: BigDecimal,
    pub amount: BigDecimal,
    pub exemption_code: Option<String>,
    pub exemption_reason: Option<String>,
}

/// Sums up lines by category and rate.
pub(super) fn shares<'m>(
    lines: impl Iterator<Item = (&'m Vat, &'m PrintedLine)>,
    model: &DocumentModel,
) -> BTreeMap<Vat, TaxShare> {
    let mut shares: BTreeMap<Vat, TaxShare> = BTreeMap::new();
    let mut reasons: BTreeMap<Vat, BTreeSet<String>> = BTreeMap::new();
    for (vat, line) in lines {
        let share = shares.entry(vat.clone()).or_default();
        share.base += &line.net.value;
        for tax in taxes_of(line, model).filter(|_| vat.category.needs_reason()) {
            let code = tax.exemption_code.as_ref().filter(|code| code.starts_with(EXEMPTION_CODE_PREFIX));
            share.exemption_code = share.exemption_code.take().or_else(|| code.cloned());
            reasons.entry(vat.clone()).or_default().extend(tax.exemption_reason.clone());
        }
    }
    for (vat, share) in &mut shares {
        share.base = model.currency.round(&share.base);
        share.amount = model.currency.round(&(&share.base * &vat.rate));
        share.exemption_reason = reasons.remove(vat).map(|reasons| reasons.into_iter().collect::<Vec<_>>().join("; "));
    }
    settle(&mut shares, &(&model.total.amount.value - &model.subtotal.amount.value));
    shares
}

/// Gives what rounding tax by tax moved to the largest share, so that the amounts come to what the invoice says.
fn settle(shares: &mut BTreeMap<Vat, TaxShare>, tax: &BigDecimal) {
    let difference = tax - shares.values().map(|share| &share.amount).sum::<BigDecimal>();
    let taxed = shares.iter_mut().filter(|(vat, _)| vat.category == TaxCategory::Standard);
    if let Some((_, largest)) = taxed.max_by_key(|(_, share)| share.base.abs()) {
        largest.amount += difference;
    }
}
