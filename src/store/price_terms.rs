//! What one invoice is priced and taxed by, read at its generation, and the rates of its views.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use sqlx::{PgConnection, types::Json};

use super::Corrupt;
use crate::domain::{
    custom_charges::CustomCharge,
    directory::PricingPolicy,
    ids::{CustomerId, InvoiceId, ResellerId},
    money::Currency,
    price_rules::{PriceMethod, PriceRule},
    pricing::ExchangeRate,
    taxes::TaxRate,
};

/// Texts by BCP 47 tag.
type Texts = Json<BTreeMap<String, String>>;

/// Whose invoice is priced, and of which provider.
#[derive(Clone, Copy, Debug)]
pub struct PricedFor<'a> {
    /// Who receives it.
    pub customer_id: CustomerId,
    /// Provider id.
    pub provider: &'a str,
}

/// Returns the price rules of a reseller; with `priced_for` those that may apply there, at any time. Markups, the short form
/// of some, are among them if asked for.
///
/// # Errors
/// When the database fails.
pub async fn price_rules(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    priced_for: Option<PricedFor<'_>>,
    with_markups: bool,
) -> sqlx::Result<Vec<PriceRule>> {
    // Unlimited, as a missing rule would be a wrong price.
    let rows = sqlx::query!(
        r#"SELECT customer_id AS "customer_id: CustomerId", service_name, service_category, charge_category, provider, method,
                  rate, valid_from, valid_to
           FROM price_rules
           WHERE reseller_id = $1 AND ($2::uuid IS NULL OR customer_id IS NULL OR customer_id = $2)
             AND ($3::text IS NULL OR provider IS NULL OR provider = $3) AND ($4 OR NOT is_from_markups)
           ORDER BY customer_id, provider, service_name, service_category, charge_category, valid_from"#,
        reseller_id.0,
        priced_for.map(|of| of.customer_id.0),
        priced_for.map(|of| of.provider),
        with_markups,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let category = row.charge_category.map(|text| text.parse().corrupt("price_rules.charge_category"));
            let is_margin = row.method == PriceMethod::Margin.as_str();
            Ok(PriceRule {
                customer_id: row.customer_id,
                service_name: row.service_name,
                service_category: row.service_category,
                charge_category: category.transpose()?,
                provider: row.provider,
                method: if is_margin { PriceMethod::Margin } else { PriceMethod::Markup },
                rate: row.rate,
                valid_from: row.valid_from,
                valid_to: row.valid_to,
            })
        })
        .collect()
}

/// Returns the custom charges of an invoice of the billing period that starts on a day, in the reseller's order.
///
/// # Errors
/// When the database fails.
pub async fn custom_charges(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    priced_for: PricedFor<'_>,
    period_start: NaiveDate,
) -> sqlx::Result<Vec<CustomCharge>> {
    let definitions = sqlx::query_scalar!(
        r#"SELECT definition AS "definition: Json<CustomCharge>" FROM custom_charges
           WHERE reseller_id = $1 AND (customer_id IS NULL OR customer_id = $2) AND (provider IS NULL OR provider = $3)
             AND (valid_from IS NULL OR valid_from <= $4) AND (valid_to IS NULL OR valid_to > $4)
           ORDER BY position"#,
        reseller_id.0,
        priced_for.customer_id.0,
        priced_for.provider,
        period_start,
    )
    .fetch_all(connection)
    .await?;
    Ok(definitions.into_iter().map(|Json(charge)| charge).collect())
}

/// Returns a reseller's pricing policy; the default where none is set.
///
/// # Errors
/// When the database fails.
pub async fn policy(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<PricingPolicy> {
    let found = sqlx::query_as!(
        PricingPolicy,
        "SELECT mirror_markup, max_exchange_rate_age_days FROM pricing_policies WHERE reseller_id = $1",
        reseller_id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.unwrap_or_default())
}

/// Returns the taxes of a reseller's customers in printing order; with `taxed_on` those of one in force on a day.
///
/// # Errors
/// When the database fails.
pub async fn tax_rates(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    taxed_on: Option<(CustomerId, NaiveDate)>,
) -> sqlx::Result<Vec<(CustomerId, TaxRate)>> {
    let rows = sqlx::query!(
        r#"SELECT customer_id AS "customer_id: CustomerId", name, rate, category, exemption_code,
                  exemption_reasons AS "exemption_reasons: Texts", services, sections, valid_from, valid_to
           FROM tax_rates
           WHERE reseller_id = $1 AND ($2::uuid IS NULL OR customer_id = $2)
             AND ($3::date IS NULL OR ((valid_from IS NULL OR valid_from <= $3) AND (valid_to IS NULL OR valid_to > $3)))
           ORDER BY name, rate DESC, services, sections"#,
        reseller_id.0,
        taxed_on.map(|(customer_id, _)| customer_id.0),
        taxed_on.map(|(_, day)| day),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let tax_rate = TaxRate {
                name: row.name,
                rate: row.rate,
                category: row.category.map(|code| code.parse().corrupt("tax_rates.category")).transpose()?,
                exemption_code: row.exemption_code,
                exemption_reasons: row.exemption_reasons.0,
                services: row.services,
                sections: row.sections,
                valid_from: row.valid_from,
                valid_to: row.valid_to,
            };
            Ok((row.customer_id, tax_rate))
        })
        .collect()
}

/// A view of an invoice: its rate is taken from the table once, for the day that the invoice is of.
#[derive(Clone, Copy, Debug)]
pub struct ViewOf {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Of which invoice.
    pub invoice_id: InvoiceId,
    /// The view's currency.
    pub currency: Currency,
    /// The day of issue; of a draft, the day it was generated.
    pub viewed_on: NaiveDate,
}

/// Returns the rate that a view has been rendered at.
///
/// # Errors
/// When the database fails.
pub async fn view_rate(connection: &mut PgConnection, view: ViewOf) -> sqlx::Result<Option<ExchangeRate>> {
    sqlx::query_as!(
        ExchangeRate,
        "SELECT rate, source, rated_on FROM invoice_view_rates
         WHERE reseller_id = $1 AND invoice_id = $2 AND currency = $3 AND viewed_on = $4",
        view.reseller_id.0,
        view.invoice_id.0,
        view.currency.code(),
        view.viewed_on,
    )
    .fetch_optional(connection)
    .await
}

/// Freezes the rate of a view; the first one stays.
///
/// # Errors
/// When the database fails.
pub async fn freeze_view_rate(connection: &mut PgConnection, view: ViewOf, rate: &ExchangeRate) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO invoice_view_rates (reseller_id, invoice_id, currency, viewed_on, rate, source, rated_on)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (reseller_id, invoice_id, currency, viewed_on) DO NOTHING",
        view.reseller_id.0,
        view.invoice_id.0,
        view.currency.code(),
        view.viewed_on,
        rate.rate,
        rate.source,
        rate.rated_on,
    )
    .execute(connection)
    .await
    .map(drop)
}
