//! What an invoice is priced by, put together for the jobs that price: rules, custom charges, and exchange rates.
//!
//! An exchange rate is that of the billing period's last day, or the latest before it; of a view, that of the day of
//! issue. A missing rate is an error, never 1; one in the other direction is none; one that is too old is refused.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use sqlx::PgConnection;

use crate::{
    domain::{
        charge::ChargeCategory,
        currency_view::CurrencyView,
        directory::PricingPolicy,
        ids::ResellerId,
        invoice::{CostGroup, Invoice},
        money::Currency,
        price_rules::PriceRules,
        pricing::{ExchangeRate, MissingExchangeRate, PriceTerms},
        taxes::TaxRate,
    },
    queue::JobError,
    store::{
        directory::{self, Parties},
        invoices::InvoiceKey,
        price_terms::{self, PricedFor, ViewOf},
    },
};

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Missing(#[from] MissingExchangeRate),
    #[error(
        "the latest exchange rate from {from} to {to} is of {rated_on}, more than {max_age} days before {day}; add a newer one, \
         or raise `max_exchange_rate_age_days`"
    )]
    TooOld { from: Currency, to: Currency, rated_on: NaiveDate, day: NaiveDate, max_age: i32 },
}

/// Loads all that prices of an invoice depend on.
pub(super) async fn load(
    connection: &mut PgConnection,
    key: &InvoiceKey,
    groups: &[CostGroup],
    parties: &Parties,
) -> Result<PriceTerms, JobError> {
    let priced_for = PricedFor { customer_id: key.customer_id, provider: &key.provider };
    let period_start = key.billing_period.start();
    let rules = price_terms::price_rules(connection, key.reseller_id, Some(priced_for), true).await?;
    let policy = price_terms::policy(connection, key.reseller_id).await?;
    let mut custom_charges = price_terms::custom_charges(connection, key.reseller_id, priced_for, period_start).await?;
    if parties.currency.is_none() {
        // Such a customer may have an invoice in each currency; an amount belongs on the one in its own.
        custom_charges.retain(|charge| charge.currency.is_none_or(|currency| currency == key.currency));
    }
    let resold = groups.iter().filter(|group| group.charge_category != ChargeCategory::Tax);
    let currencies: BTreeSet<Currency> = resold
        .map(|group| group.billing_currency)
        .chain(custom_charges.iter().filter_map(|charge| charge.currency))
        .filter(|from| *from != key.currency)
        .collect();
    let mut exchange_rates = BTreeMap::new();
    for from in currencies {
        let wanted =
            Wanted { reseller_id: key.reseller_id, from, to: key.currency, day: key.billing_period.last_day() };
        let rate = rate_on(connection, wanted, policy).await?;
        exchange_rates.insert(from, rate);
    }
    Ok(PriceTerms {
        currency: key.currency,
        priced_on: period_start,
        rules: PriceRules::of(rules, key.customer_id, &key.provider),
        mirror_markup: policy.mirror_markup,
        exchange_rates,
        custom_charges,
        language: Some(parties.language.parse().map_err(JobError::permanent)?),
    })
}

/// Loads the taxes in force on the last day of the billing period.
pub(super) async fn load_taxes(connection: &mut PgConnection, key: &InvoiceKey) -> Result<Vec<TaxRate>, JobError> {
    let taxed_on = Some((key.customer_id, key.billing_period.last_day()));
    let rates = price_terms::tax_rates(connection, key.reseller_id, taxed_on).await?;
    Ok(rates.into_iter().map(|(_, rate)| rate).collect())
}

/// Returns the view of an invoice in another currency, at the rate of its day of issue; `None` for its own currency.
///
/// The rate is frozen with the first document: all documents of the view show the same amounts.
pub(super) async fn view(
    connection: &mut PgConnection,
    invoice: &Invoice,
    currency: Option<Currency>,
) -> Result<Option<CurrencyView>, JobError> {
    let Some(currency) = currency.filter(|currency| *currency != invoice.currency) else { return Ok(None) };
    let view = ViewOf {
        reseller_id: invoice.reseller_id,
        invoice_id: invoice.id,
        currency,
        viewed_on: invoice.issued_on.unwrap_or_else(|| invoice.created_at.date_naive()),
    };
    let frozen = price_terms::view_rate(connection, view).await?;
    let rate = if let Some(rate) = frozen {
        rate
    } else {
        let policy = price_terms::policy(connection, view.reseller_id).await?;
        let (from, to) = (invoice.currency, currency);
        let wanted = Wanted { reseller_id: view.reseller_id, from, to, day: view.viewed_on };
        let found = rate_on(connection, wanted, policy).await?;
        price_terms::freeze_view_rate(connection, view, &found).await?;
        // Of two first renderings at once, one rate stays for both.
        price_terms::view_rate(connection, view).await?.unwrap_or(found)
    };
    Ok(Some(CurrencyView::of(invoice, currency, rate)))
}

/// An exchange rate that an invoice needs.
struct Wanted {
    reseller_id: ResellerId,
    from: Currency,
    to: Currency,
    day: NaiveDate,
}

async fn rate_on(
    connection: &mut PgConnection,
    wanted: Wanted,
    policy: PricingPolicy,
) -> Result<ExchangeRate, JobError> {
    let Wanted { reseller_id, from, to, day } = wanted;
    let found = directory::exchange_rate(connection, reseller_id, from, to, day).await?;
    let rate = found.ok_or_else(|| JobError::permanent(Refused::from(MissingExchangeRate { from, to })))?;
    let max_age = policy.max_exchange_rate_age_days;
    if (day - rate.rated_on).num_days() > i64::from(max_age) {
        let rated_on = rate.rated_on;
        return Err(JobError::permanent(Refused::TooOld { from, to, rated_on, day, max_age }));
    }
    Ok(rate)
}
