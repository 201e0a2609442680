//! An invoice viewed in another currency: for information, beside what it is issued in.
//!
//! Each printed line and each tax is converted at one rate and rounded half-up to the view's minor unit. The view's
//! subtotal and total are the sums of what it prints, so that it adds up; they may differ by some minor units from the
//! converted total. Nothing of it is stored but the rate; the invoice's own total is stated beside it, exactly.

use bigdecimal::BigDecimal;

use super::{
    invoice::{Invoice, TaxAmount},
    money::Currency,
    pricing::ExchangeRate,
};

/// What a view says of the invoice that it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct CurrencyView {
    /// Currency the invoice is issued in.
    pub invoice_currency: Currency,
    /// Its total, as stored.
    pub invoice_total: BigDecimal,
    /// Currency of the view.
    pub currency: Currency,
    /// From the invoice's currency into the view's.
    pub exchange_rate: ExchangeRate,
}

impl CurrencyView {
    /// Makes the view of an invoice at a rate from its currency.
    pub fn of(invoice: &Invoice, currency: Currency, exchange_rate: ExchangeRate) -> Self {
        Self { invoice_currency: invoice.currency, invoice_total: invoice.total.clone(), currency, exchange_rate }
    }

    /// Returns an exact amount of the invoice in the view's currency, not rounded.
    pub fn convert(&self, amount: &BigDecimal) -> BigDecimal {
        (amount * &self.exchange_rate.rate).normalized()
    }

    /// Returns the invoice with every printed amount in the view's currency.
    pub fn convert_invoice(&self, invoice: &Invoice) -> Invoice {
        let printed = |amount: &BigDecimal| self.currency.round(&self.convert(amount));
        let mut view = Invoice { currency: self.currency, ..invoice.clone() };
        for line in &mut view.lines {
            line.net = printed(&line.net);
            line.price_exact = self.convert(&line.price_exact);
        }
        view.subtotal = self.currency.round(&view.lines.iter().map(|line| &line.net).sum());
        view.exact_subtotal = self.convert(&invoice.exact_subtotal);
        view.rounding_delta = &view.subtotal - &view.exact_subtotal;
        let taxes = invoice.taxes.iter().enumerate().map(|(place, tax)| {
            let of_tax = || view.lines.iter().filter(|line| line.details.taxes.contains(&place));
            let is_of_lines = of_tax().next().is_some();
            let base = if is_of_lines { of_tax().map(|line| &line.net).sum() } else { view.subtotal.clone() };
            TaxAmount { base: self.currency.round(&base), amount: printed(&tax.amount), ..tax.clone() }
        });
        view.taxes = taxes.collect();
        view.tax = self.currency.round(&view.taxes.iter().map(|tax| &tax.amount).sum());
        view.total = &view.subtotal + &view.tax;
        view
    }
}
