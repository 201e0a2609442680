//! Exact sums over the charges that count: those in scopes that no later file superseded. A charge belongs to whoever holds
//! its account on the UTC day of its `ChargePeriodStart`; the view `held_charge_totals` says the same of the sums kept.
//!
//! Called by the generation of invoices and by bill runs. None of the lists is cut short: a missing row would be money
//! lost, and each is bounded by the accounts and services of one month.

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use sqlx::PgConnection;

use crate::domain::{
    ids::{ChargeScopeId, CustomerId, ResellerId},
    invoice::CostGroup,
    money::Currency,
};

/// One provider's month of one reseller.
#[derive(Clone, Copy, Debug)]
pub struct ProviderPeriod<'a> {
    /// Whose charges.
    pub reseller_id: ResellerId,
    /// Provider id, such as `aws`.
    pub provider: &'a str,
    /// First day of the billing period.
    pub billing_period_start: NaiveDate,
}

/// What a customer owes from one scope in one currency: the invoice's side of the reconciliation.
#[derive(Clone, Debug, PartialEq)]
pub struct ChargeSource {
    /// Part of a charge file.
    pub charge_scope_id: ChargeScopeId,
    /// Currency of both amounts.
    pub cost_currency: Currency,
    /// Exact sum of `BilledCost`, without the provider's tax rows.
    pub cost_exact: BigDecimal,
    /// Exact sum of the provider's tax rows, which are not resold.
    pub excluded_tax: BigDecimal,
    /// All charges, with the tax ones.
    pub charge_count: i64,
}

/// Keeps an import from changing what counts in a month until the caller's transaction ends; several may hold it at once.
///
/// Without it a draft could be made of charges that a file, committed meanwhile, supersedes, and nobody would call it
/// stale: neither transaction sees the other.
///
/// # Errors
/// When Postgres fails.
pub async fn hold_charges(conn: &mut PgConnection, period: ProviderPeriod<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "SELECT state FROM billing_periods
         WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 FOR SHARE",
        period.reseller_id.0,
        period.provider,
        period.billing_period_start
    )
    .fetch_optional(conn)
    .await
    .map(drop)
}

/// Sums a customer's charges by all that a line could be grouped by, in every currency they are in.
///
/// `by_sku` keeps SKUs apart, for profiles that print them. A sub account has one name throughout: the last of those
/// its charges carry in alphabetical order, or its id. Days are compared as instants here, for `days @> day` takes more than
/// twice as long over 100,000 charges.
///
/// Each account's charges are looked up by themselves, which `OFFSET 0` sees to. Of many resellers Postgres takes the average
/// for each, a charge or none to a scope, and would read all of a scope of millions for each of its customers.
///
/// # Errors
/// When Postgres fails.
pub async fn cost_groups(
    conn: &mut PgConnection,
    period: ProviderPeriod<'_>,
    customer_id: CustomerId,
    by_sku: bool,
) -> sqlx::Result<Vec<CostGroup>> {
    let rows = sqlx::query!(
        r#"SELECT charges.sub_account_id,
               coalesce(max(max(charges.sub_account_name)) OVER (PARTITION BY charges.sub_account_id),
                   charges.sub_account_id) AS "sub_account_name!",
               charges.service_name, charges.service_category,
               CASE WHEN $5 THEN charges.sku_id END AS sku_id,
               charges.charge_category,
               CASE WHEN charges.charge_class = 'Correction'
                   THEN date_trunc('month', charges.charge_period_start AT TIME ZONE 'UTC')::date END AS correction_of,
               charges.billing_currency,
               SUM(charges.billed_cost) AS "billed_cost!",
               count(*) AS "charge_count!",
               count(*) FILTER (WHERE charges.billed_cost <> 0) AS "non_zero_count!"
         FROM charge_scopes scope
         CROSS JOIN LATERAL (
             SELECT account_id, valid_from, valid_to FROM provider_accounts
             WHERE reseller_id = scope.reseller_id AND provider = scope.provider AND customer_id = $4 OFFSET 0) AS account
         CROSS JOIN LATERAL (
             SELECT * FROM charges
             WHERE reseller_id = scope.reseller_id AND charge_scope_id = scope.id AND billing_period_start = $3
               AND sub_account_id = account.account_id
               AND (account.valid_from IS NULL
                   OR charge_period_start >= account.valid_from::timestamp AT TIME ZONE 'UTC')
               AND (account.valid_to IS NULL
                   OR charge_period_start < account.valid_to::timestamp AT TIME ZONE 'UTC')
             OFFSET 0) AS charges
         WHERE scope.reseller_id = $1 AND scope.provider = $2 AND scope.billing_period_start = $3
             AND scope.superseded_by IS NULL
         GROUP BY charges.sub_account_id, charges.service_name, charges.service_category, 5, charges.charge_category, 7,
             charges.billing_currency
         ORDER BY charges.sub_account_id, charges.service_name, charges.service_category, 5, charges.charge_category, 7,
             charges.billing_currency"#,
        period.reseller_id.0,
        period.provider,
        period.billing_period_start,
        customer_id.0,
        by_sku
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(CostGroup {
                charge_category: row.charge_category.parse().map_err(decode)?,
                billing_currency: row.billing_currency.parse().map_err(decode)?,
                sub_account_id: row.sub_account_id,
                sub_account_name: row.sub_account_name,
                service_name: row.service_name,
                service_category: row.service_category,
                sku_id: row.sku_id,
                correction_of: row.correction_of,
                billed_cost: row.billed_cost,
                charge_count: row.charge_count,
                non_zero_count: row.non_zero_count,
            })
        })
        .collect()
}

/// Sums a customer's charges by scope and currency.
///
/// # Errors
/// When Postgres fails.
pub async fn charge_sources(
    conn: &mut PgConnection,
    period: ProviderPeriod<'_>,
    customer_id: CustomerId,
) -> sqlx::Result<Vec<ChargeSource>> {
    let rows = sqlx::query!(
        r#"SELECT charge_scope_id AS "charge_scope_id!: ChargeScopeId", billing_currency AS "billing_currency!",
               coalesce(SUM(billed_cost) FILTER (WHERE charge_category <> 'Tax'), 0) AS "cost_exact!",
               coalesce(SUM(billed_cost) FILTER (WHERE charge_category = 'Tax'), 0) AS "excluded_tax!",
               SUM(charge_count)::bigint AS "charge_count!"
         FROM held_charge_totals
         WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 AND customer_id = $4
         GROUP BY charge_scope_id, billing_currency
         ORDER BY charge_scope_id, billing_currency"#,
        period.reseller_id.0,
        period.provider,
        period.billing_period_start,
        customer_id.0
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ChargeSource {
                charge_scope_id: row.charge_scope_id,
                cost_currency: row.billing_currency.parse().map_err(decode)?,
                cost_exact: row.cost_exact,
                excluded_tax: row.excluded_tax,
                charge_count: row.charge_count,
            })
        })
        .collect()
}

/// Lists the invoices a bill run has to generate: each customer with charges, and the currency of its invoice, which is
/// the customer's own or else that of the charges.
///
/// # Errors
/// When Postgres fails.
pub async fn customers_with_charges(
    conn: &mut PgConnection,
    period: ProviderPeriod<'_>,
) -> sqlx::Result<Vec<(CustomerId, Currency)>> {
    let rows = sqlx::query!(
        r#"SELECT DISTINCT customer.id AS "customer_id: CustomerId",
               coalesce(customer.currency, total.billing_currency) AS "currency!"
         FROM held_charge_totals total
         JOIN customers customer ON customer.reseller_id = total.reseller_id AND customer.id = total.customer_id
         WHERE total.reseller_id = $1 AND total.provider = $2 AND total.billing_period_start = $3
         ORDER BY 1, 2"#,
        period.reseller_id.0,
        period.provider,
        period.billing_period_start
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Ok((row.customer_id, row.currency.parse().map_err(decode)?))).collect()
}

/// A stored text that the domain does not know: written by another release, or by hand.
pub(super) fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
