//! How each line of an invoice came to its price, for the reseller's eyes: cost, exchange rate, rule, basis, taxes.
//!
//! Read from what the invoice keeps, so that it holds after the rules have changed.

use bigdecimal::{BigDecimal, Zero};

use crate::domain::{
    custom_charges::{AppliedCharge, ChargeBasis, ChargeFormula},
    invoice::{Invoice, Line, PricePart},
};

/// Returns sentences on a line: one per price rule, or one on its custom charge, and one on its taxes.
pub fn explain(invoice: &Invoice, line: &Line) -> Vec<String> {
    let mut sentences: Vec<String> = match &line.details.custom_charge {
        Some(applied) => vec![explain_custom(invoice, line, applied)],
        None if line.details.prices.is_empty() => {
            vec![format!("cost {} {}", plain(&line.cost_exact), line.cost_currency)]
        }
        None => line.details.prices.iter().map(|part| explain_part(invoice, line, part)).collect(),
    };
    let taxes = line.details.taxes.iter().filter_map(|place| invoice.taxes.get(*place));
    let taxes: Vec<String> = taxes.map(|tax| format!("{} {} ({})", tax.name, plain(&tax.rate), tax.category)).collect();
    if !taxes.is_empty() {
        sentences.push(format!("taxed by {}", taxes.join(", ")));
    }
    sentences
}

fn explain_part(invoice: &Invoice, line: &Line, part: &PricePart) -> String {
    let rule = part.rule.and_then(|place| invoice.frozen_rules.rules.get(place));
    let rule = rule.map_or_else(|| "at cost".to_owned(), ToString::to_string);
    format!(
        "cost {} {}{}, {rule}: {} {}",
        plain(&part.cost_exact),
        line.cost_currency,
        conversion(invoice, line),
        plain(&part.price_exact),
        invoice.currency
    )
}

fn explain_custom(invoice: &Invoice, line: &Line, applied: &AppliedCharge) -> String {
    let charge = &applied.charge;
    let formula = match &charge.formula {
        ChargeFormula::Fixed { amount } => format!("fixed {}", plain(amount)),
        ChargeFormula::Percent { basis, rate } => format!("percent {} of {}", plain(rate), name(*basis)),
        ChargeFormula::Tiered { basis, mode, tiers } => {
            let of = tiers.iter().map(|tier| match &tier.up_to {
                Some(end) => format!("{} up to {}", plain(&tier.rate), plain(end)),
                None => format!("{} above", plain(&tier.rate)),
            });
            format!("tiered ({mode:?}) {} of {}", of.collect::<Vec<_>>().join(", "), name(*basis)).to_lowercase()
        }
        ChargeFormula::MinimumCommitment { amount } => format!("minimum commitment {}", plain(amount)),
    };
    let basis = applied.basis.as_ref().map(|basis| format!(" of {} {}", plain(basis), invoice.currency));
    let bound = |what: &str, bound: &Option<BigDecimal>| {
        bound.as_ref().map(|bound| format!(", {what} {}", plain(bound))).unwrap_or_default()
    };
    format!(
        "custom charge `{}`{}, {formula}{}{}{}{}, {}: {} {}",
        charge.name,
        if charge.is_discount { " (discount)" } else { "" },
        basis.unwrap_or_default(),
        bound("minimum", &charge.minimum),
        bound("maximum", &charge.maximum),
        conversion(invoice, line),
        charge.validity(),
        plain(&line.price_exact),
        invoice.currency
    )
}

fn name(basis: ChargeBasis) -> &'static str {
    match basis {
        ChargeBasis::Cost => "cost",
        ChargeBasis::Price => "price",
        ChargeBasis::Subtotal => "subtotal",
    }
}

/// Says at which rate a line was converted; nothing where it was in the invoice's currency.
fn conversion(invoice: &Invoice, line: &Line) -> String {
    let Some(exchange) = invoice.exchange_rates.get(&line.cost_currency) else { return String::new() };
    format!(" × {} ({}, {})", plain(&line.exchange_rate), exchange.source, exchange.rated_on)
}

fn plain(number: &BigDecimal) -> String {
    if number.is_zero() { "0".to_owned() } else { number.normalized().to_plain_string() }
}
