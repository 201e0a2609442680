//! What a reseller asks for: price rules, custom charges, taxes and policy, stored whole from a [`Directory`].
//!
//! Called when a directory is applied, under the reseller's lock. A change that touches an issued invoice is refused, one
//! that touches drafts makes them stale; both look at the days on which something says another thing than before.

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use sqlx::{PgConnection, types::Json};

use super::price_terms;
use crate::domain::{
    custom_charges::{CustomCharge, InvalidCustomCharge, check_custom_charges},
    dated_terms::{ChangedSpan, DatedTerm, changed_spans},
    directory::{Customer, Directory, PricingPolicy},
    ids::{CustomerId, ResellerId},
    price_rules::{InvalidPriceRule, PriceMethod, PriceRule, check_price_rules},
    taxes::{InvalidTaxRate, TaxCategory, check_tax_rates},
};

/// Says why a directory is not applied.
#[derive(Debug, thiserror::Error)]
pub enum PriceBookError {
    /// Rules that contradict each other, or make no price.
    #[error(transparent)]
    PriceRule(#[from] InvalidPriceRule),
    /// A charge that cannot be computed.
    #[error(transparent)]
    CustomCharge(#[from] InvalidCustomCharge),
    /// Taxes that EN 16931 does not know.
    #[error("customer {0}: {1}")]
    TaxRate(CustomerId, #[source] InvalidTaxRate),
    /// The price of something that is billed already.
    #[error(
        "{name} would change {period}, which invoice {invoice} of {customer} has billed; leave it as it is until \
        {next_period} and let a new one begin then (`valid_to`, `valid_from`), or void the invoice first"
    )]
    Billed {
        /// What changed.
        name: String,
        /// First day of the billing period.
        period: String,
        /// Its number.
        invoice: String,
        /// Whose.
        customer: String,
        /// First day of the billing period after the last one that is billed.
        next_period: NaiveDate,
    },
    /// Postgres.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// All terms of a reseller, to compare.
#[derive(Clone, Debug)]
pub struct PriceBook {
    prices: Vec<DatedTerm>,
    taxes: Vec<DatedTerm>,
    policy: PricingPolicy,
}

/// Checks what a directory says of prices and taxes.
///
/// # Errors
/// [`PriceBookError`] names the first rule, charge or tax that cannot be.
pub fn check(directory: &Directory) -> Result<(), PriceBookError> {
    let of_markups =
        directory.markups.iter().map(|m| PriceRule::markup(m.customer_id, m.provider.clone(), m.rate.clone()));
    let rules: Vec<PriceRule> = of_markups.chain(directory.price_rules.iter().cloned()).collect();
    check_price_rules(&rules)?;
    check_custom_charges(&directory.custom_charges)?;
    for customer in &directory.customers {
        check_tax_rates(&customer.tax_rates, customer.tax_id.is_some())
            .map_err(|error| PriceBookError::TaxRate(customer.id, error))?;
    }
    Ok(())
}

/// Loads all terms of a reseller.
///
/// # Errors
/// When the database fails.
pub async fn load(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<PriceBook> {
    let rules = price_terms::price_rules(connection, reseller_id, None, true).await?;
    let charges = custom_charges(connection, reseller_id).await?;
    let taxes = price_terms::tax_rates(connection, reseller_id, None).await?;
    let of_rules = rules.iter().map(PriceRule::to_dated_term);
    Ok(PriceBook {
        prices: of_rules.chain(charges.iter().map(CustomCharge::to_dated_term)).collect(),
        taxes: taxes.iter().map(|(customer_id, tax)| tax.to_dated_term(*customer_id)).collect(),
        policy: price_terms::policy(connection, reseller_id).await?,
    })
}

/// Returns a reseller's custom charges, in its order.
///
/// # Errors
/// When the database fails.
pub async fn custom_charges(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Vec<CustomCharge>> {
    // Unlimited, as a missing one would look like a change.
    let definitions = sqlx::query_scalar!(
        r#"SELECT definition AS "definition: Json<CustomCharge>" FROM custom_charges WHERE reseller_id = $1 ORDER BY position"#,
        reseller_id.0,
    )
    .fetch_all(connection)
    .await?;
    Ok(definitions.into_iter().map(|Json(charge)| charge).collect())
}

/// Removes the price rules that come from no markup; [`store`] writes those that hold now.
///
/// # Errors
/// When the database fails.
pub async fn remove_rules(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM price_rules WHERE reseller_id = $1 AND NOT is_from_markups", reseller_id.0)
        .execute(connection)
        .await
        .map(drop)
}

/// Stores price rules, custom charges and policy; rules of markups are the database's own.
///
/// # Errors
/// When the database fails, or knows no such customer.
pub async fn store(connection: &mut PgConnection, directory: &Directory) -> sqlx::Result<()> {
    let reseller_id = directory.reseller.id;
    insert_rules(connection, reseller_id, &directory.price_rules).await?;
    sqlx::query!("DELETE FROM custom_charges WHERE reseller_id = $1", reseller_id.0).execute(&mut *connection).await?;
    for (position, charge) in (1..).zip(&directory.custom_charges) {
        sqlx::query!(
            "INSERT INTO custom_charges (reseller_id, position, customer_id, provider, valid_from, valid_to, definition)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            reseller_id.0,
            position,
            charge.customer_id.map(|id| id.0),
            charge.provider,
            charge.valid_from,
            charge.valid_to,
            Json(charge) as _,
        )
        .execute(&mut *connection)
        .await?;
    }
    let Some(policy) = directory.pricing_policy else { return Ok(()) };
    sqlx::query!(
        "INSERT INTO pricing_policies (reseller_id, mirror_markup, max_exchange_rate_age_days) VALUES ($1, $2, $3)
         ON CONFLICT (reseller_id) DO UPDATE SET mirror_markup = excluded.mirror_markup,
             max_exchange_rate_age_days = excluded.max_exchange_rate_age_days",
        reseller_id.0,
        policy.mirror_markup,
        policy.max_exchange_rate_age_days,
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn insert_rules(connection: &mut PgConnection, reseller_id: ResellerId, rules: &[PriceRule]) -> sqlx::Result<()> {
    let text = |column: fn(&PriceRule) -> Option<String>| rules.iter().map(column).collect::<Vec<_>>();
    let day = |column: fn(&PriceRule) -> Option<NaiveDate>| rules.iter().map(column).collect::<Vec<_>>();
    let rates: Vec<BigDecimal> = rules.iter().map(|rule| rule.rate.clone()).collect();
    let customers: Vec<Option<uuid::Uuid>> = rules.iter().map(|rule| rule.customer_id.map(|id| id.0)).collect();
    sqlx::query!(
        "INSERT INTO price_rules (reseller_id, customer_id, service_name, service_category, charge_category, provider, method,
             rate, valid_from, valid_to)
         SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::numeric[],
             $9::date[], $10::date[])",
        reseller_id.0,
        &customers as &[Option<uuid::Uuid>],
        &text(|rule| rule.service_name.clone()) as &[Option<String>],
        &text(|rule| rule.service_category.clone()) as &[Option<String>],
        &text(|rule| rule.charge_category.map(|category| category.to_string())) as &[Option<String>],
        &text(|rule| rule.provider.clone()) as &[Option<String>],
        &text(|rule| Some(PriceMethod::as_str(rule.method).to_owned())) as &[Option<String>],
        &rates,
        &day(|rule| rule.valid_from) as &[Option<NaiveDate>],
        &day(|rule| rule.valid_to) as &[Option<NaiveDate>],
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Replaces a customer's taxes.
///
/// # Errors
/// When the database fails.
pub async fn replace_tax_rates(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    customer: &Customer,
) -> sqlx::Result<()> {
    let (reseller, id) = (reseller_id.0, customer.id.0);
    sqlx::query!("DELETE FROM tax_rates WHERE reseller_id = $1 AND customer_id = $2", reseller, id)
        .execute(&mut *connection)
        .await?;
    for tax in &customer.tax_rates {
        sqlx::query!(
            "INSERT INTO tax_rates (reseller_id, customer_id, name, rate, category, exemption_code, exemption_reasons,
                 services, sections, valid_from, valid_to)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            reseller,
            id,
            tax.name,
            tax.rate,
            tax.category.map(TaxCategory::as_str),
            tax.exemption_code,
            Json(&tax.exemption_reasons) as _,
            &tax.services,
            &tax.sections,
            tax.valid_from,
            tax.valid_to,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Refuses what changes the price of an issued invoice, and marks the drafts that the changes since `before` touch.
///
/// Taxes and exchange rates of billed months may change: a wrong one is put right by correcting the invoice.
///
/// # Errors
/// [`PriceBookError::Billed`] names the first such change; else when the database fails.
pub async fn settle_changes(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    before: &PriceBook,
) -> Result<(), PriceBookError> {
    let now = load(connection, reseller_id).await?;
    let prices = changed_spans(&before.prices, &now.prices);
    for span in &prices {
        refuse_billed(connection, reseller_id, span).await?;
    }
    mark_stale(connection, reseller_id, &prices, false).await?;
    mark_stale(connection, reseller_id, &changed_spans(&before.taxes, &now.taxes), true).await?;
    mark_stale_by_exchange_rate(connection, reseller_id).await?;
    if before.policy.mirror_markup != now.policy.mirror_markup {
        sqlx::query!("UPDATE invoices SET stale = true WHERE reseller_id = $1 AND status = 'draft'", reseller_id.0)
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn refuse_billed(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    span: &ChangedSpan,
) -> Result<(), PriceBookError> {
    let billed = sqlx::query!(
        r#"SELECT number AS "number!", customer_details->>'name' AS "customer!", billing_period_start, billing_period_end
           FROM invoices
           WHERE reseller_id = $1 AND status IN ('open', 'closed') AND ($2::uuid IS NULL OR customer_id = $2)
             AND ($3::text IS NULL OR provider = $3) AND ($4::date IS NULL OR billing_period_start >= $4)
             AND ($5::date IS NULL OR billing_period_start < $5)
           ORDER BY billing_period_start DESC, number LIMIT 1"#,
        reseller_id.0,
        span.customer_id.map(|id| id.0),
        span.provider,
        span.validity.from,
        span.validity.to,
    )
    .fetch_optional(connection)
    .await?;
    let Some(billed) = billed else { return Ok(()) };
    Err(PriceBookError::Billed {
        name: span.name.clone(),
        period: billed.billing_period_start.format("%Y-%m").to_string(),
        invoice: billed.number,
        customer: billed.customer,
        next_period: billed.billing_period_end,
    })
}

/// Marks drafts of billing periods whose first day lies within the spans, or that correct a month whose does.
///
/// `by_last_day` looks at the last day, as taxes do.
async fn mark_stale(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    spans: &[ChangedSpan],
    by_last_day: bool,
) -> sqlx::Result<()> {
    for span in spans {
        sqlx::query!(
            "UPDATE invoices SET stale = true
             WHERE reseller_id = $1 AND status = 'draft' AND NOT stale AND ($2::uuid IS NULL OR customer_id = $2)
               AND ($3::text IS NULL OR provider = $3)
               AND (CASE WHEN $6 THEN billing_period_end - 1 ELSE billing_period_start END >= coalesce($4, '-infinity'::date)
                   AND CASE WHEN $6 THEN billing_period_end - 1 ELSE billing_period_start END < coalesce($5, 'infinity'::date)
                 OR EXISTS (SELECT FROM invoice_lines line
                            WHERE line.reseller_id = invoices.reseller_id AND line.invoice_id = invoices.id
                              AND line.correction_of >= coalesce($4, '-infinity'::date)
                              AND line.correction_of < coalesce($5, 'infinity'::date)))",
            reseller_id.0,
            span.customer_id.map(|id| id.0),
            span.provider,
            span.validity.from,
            span.validity.to,
            by_last_day,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Marks drafts for which the table of exchange rates says something else than when they were generated.
async fn mark_stale_by_exchange_rate(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE invoices SET stale = true FROM invoice_exchange_rates used
         WHERE invoices.reseller_id = $1 AND invoices.status = 'draft' AND NOT invoices.stale
           AND used.reseller_id = invoices.reseller_id AND used.invoice_id = invoices.id
           AND NOT EXISTS (
               SELECT FROM (SELECT rate, source, rated_on FROM exchange_rates
                            WHERE reseller_id = $1 AND from_currency = used.from_currency
                              AND to_currency = used.to_currency AND rated_on < invoices.billing_period_end
                            ORDER BY rated_on DESC LIMIT 1) AS now
               WHERE (now.rate, now.source, now.rated_on) = (used.rate, used.source, used.rated_on))",
        reseller_id.0,
    )
    .execute(connection)
    .await
    .map(drop)
}
