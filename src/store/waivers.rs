//! Unassigned charges, those of accounts on days that nobody holds them, and who answered for them.
//!
//! Called by the commands on accounts. A waiver covers one account in one month, whatever its charges come to; giving one
//! and taking it back are recorded in the transaction of the change, and the record is never edited.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::{Corrupt, charge_sums::ProviderPeriod, operator_actions::Operator};
use crate::domain::{
    bill_run::serialize_plain, billing_period::BillingPeriod, directory::UnassignedWaiver, ids::ResellerId,
    money::Currency,
};

/// An account in a month.
#[derive(Clone, Copy, Debug)]
pub struct AccountMonth<'a> {
    /// Whose charges.
    pub reseller_id: ResellerId,
    /// Provider id.
    pub provider: &'a str,
    /// First day of the billing period.
    pub billing_period_start: NaiveDate,
    /// The provider's own id for the account.
    pub account_id: &'a str,
}

/// What nobody is billed for, of one account in one month and currency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnassignedAccount {
    /// Provider id.
    pub provider: String,
    /// The month.
    pub billing_period: BillingPeriod,
    /// The account.
    pub account_id: String,
    /// The first day without a holder, where it has one on other days.
    pub first_day: Option<NaiveDate>,
    /// The last such day.
    pub last_day: Option<NaiveDate>,
    /// Exact sum of `BilledCost`, without the provider's tax rows.
    #[serde(serialize_with = "serialize_plain")]
    pub cost_exact: BigDecimal,
    /// Exact sum of the provider's tax rows.
    #[serde(serialize_with = "serialize_plain")]
    pub excluded_tax: BigDecimal,
    /// Currency of both.
    pub currency: Currency,
    /// All charges, with the tax ones.
    pub charge_count: i64,
    /// Who answers for it.
    pub waived_by: Option<String>,
    /// Why it is not billed.
    pub reason: Option<String>,
    /// Whether it stands against the opening of its month's invoices: it costs something, and nobody answers for it.
    pub blocks: bool,
}

/// Which unassigned charges are listed.
#[derive(Clone, Copy, Debug)]
pub struct UnassignedFilter<'a> {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Of this provider only.
    pub provider: Option<&'a str>,
    /// First day of the only billing period.
    pub billing_period_start: Option<NaiveDate>,
    /// Only those that stand against opening.
    pub only_blocking: bool,
    /// At most so many.
    pub limit: i64,
}

impl<'a> UnassignedFilter<'a> {
    /// Asks for all of a provider's month.
    pub fn of_month(period: ProviderPeriod<'a>) -> Self {
        Self {
            reseller_id: period.reseller_id,
            provider: Some(period.provider),
            billing_period_start: Some(period.billing_period_start),
            only_blocking: false,
            limit: i64::MAX,
        }
    }
}

/// Lists unassigned charges by month, account and currency, the latest month first; those that block opening and those
/// that are waived.
///
/// # Errors
/// When the database fails.
pub async fn unassigned_accounts(
    connection: &mut PgConnection,
    filter: UnassignedFilter<'_>,
) -> sqlx::Result<Vec<UnassignedAccount>> {
    let rows = sqlx::query!(
        r#"SELECT held.provider AS "provider!", held.billing_period_start AS "start!", max(scope.billing_period_end) AS "end!",
               held.sub_account_id AS "account_id!", held.billing_currency AS "currency!",
               min(held.day) AS first_day, max(held.day) AS last_day,
               coalesce(SUM(held.billed_cost) FILTER (WHERE held.charge_category <> 'Tax'), 0) AS "cost_exact!",
               coalesce(SUM(held.billed_cost) FILTER (WHERE held.charge_category = 'Tax'), 0) AS "excluded_tax!",
               SUM(held.charge_count)::bigint AS "charge_count!", waiver.waived_by AS "waived_by?", waiver.reason AS "reason?",
               waiver.waived_by IS NULL AND bool_or(held.charge_category <> 'Tax' AND held.billed_cost <> 0) AS "blocks!"
           FROM held_charge_totals held
           JOIN charge_scopes scope ON scope.reseller_id = held.reseller_id AND scope.id = held.charge_scope_id
           LEFT JOIN unassigned_waivers waiver ON waiver.reseller_id = held.reseller_id AND waiver.provider = held.provider
               AND waiver.billing_period_start = held.billing_period_start AND waiver.account_id = held.sub_account_id
           WHERE held.reseller_id = $1 AND held.customer_id IS NULL AND ($2::text IS NULL OR held.provider = $2)
               AND ($3::date IS NULL OR held.billing_period_start = $3)
           GROUP BY 1, 2, 4, 5, waiver.waived_by, waiver.reason
           HAVING NOT $5 OR waiver.waived_by IS NULL AND bool_or(held.charge_category <> 'Tax' AND held.billed_cost <> 0)
           ORDER BY 2 DESC, 1, 4, 5 LIMIT $4"#,
        filter.reseller_id.0,
        filter.provider,
        filter.billing_period_start,
        filter.limit,
        filter.only_blocking,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(UnassignedAccount {
                provider: row.provider,
                billing_period: BillingPeriod::new(row.start, row.end).corrupt("charge_scopes.billing_period_start")?,
                account_id: row.account_id,
                first_day: row.first_day,
                last_day: row.last_day,
                cost_exact: row.cost_exact,
                excluded_tax: row.excluded_tax,
                currency: row.currency.parse().corrupt("charge_totals.billing_currency")?,
                charge_count: row.charge_count,
                waived_by: row.waived_by,
                reason: row.reason,
                blocks: row.blocks,
            })
        })
        .collect()
}

/// Tells whether an account has charges in a month that nobody is billed for.
///
/// # Errors
/// When the database fails.
pub async fn is_unassigned(connection: &mut PgConnection, which: AccountMonth<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM held_charge_totals
           WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 AND sub_account_id = $4
             AND customer_id IS NULL) AS "is!""#,
        which.reseller_id.0,
        which.provider,
        which.billing_period_start,
        which.account_id,
    )
    .fetch_one(connection)
    .await
}

/// Records that somebody answers for an account's unassigned charges of a month. The same words again change nothing.
///
/// # Errors
/// When the database fails.
pub async fn waive(
    connection: &mut PgConnection,
    which: AccountMonth<'_>,
    operator: Operator<'_>,
) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "INSERT INTO unassigned_waivers (reseller_id, provider, billing_period_start, account_id, reason, waived_by)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (reseller_id, provider, billing_period_start, account_id)
         DO UPDATE SET reason = excluded.reason, waived_by = excluded.waived_by, waived_at = now()
         WHERE (unassigned_waivers.reason, unassigned_waivers.waived_by) <> (excluded.reason, excluded.waived_by)",
        which.reseller_id.0,
        which.provider,
        which.billing_period_start,
        which.account_id,
        operator.reason,
        operator.name,
    )
    .execute(&mut *connection)
    .await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    record(connection, which, "waive", operator).await.map(|()| true)
}

/// Takes a waiver back: the charges block opening again. `false` when there is none.
///
/// # Errors
/// When the database fails.
pub async fn take_back(
    connection: &mut PgConnection,
    which: AccountMonth<'_>,
    operator: Operator<'_>,
) -> sqlx::Result<bool> {
    let gone = sqlx::query!(
        "DELETE FROM unassigned_waivers
         WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 AND account_id = $4",
        which.reseller_id.0,
        which.provider,
        which.billing_period_start,
        which.account_id,
    )
    .execute(&mut *connection)
    .await?;
    if gone.rows_affected() == 0 {
        return Ok(false);
    }
    record(connection, which, "take_back", operator).await.map(|()| true)
}

async fn record(
    connection: &mut PgConnection,
    which: AccountMonth<'_>,
    action: &str,
    operator: Operator<'_>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO unassigned_waiver_actions
             (reseller_id, provider, billing_period_start, account_id, action, done_by, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        which.reseller_id.0,
        which.provider,
        which.billing_period_start,
        which.account_id,
        action,
        operator.name,
        operator.reason,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Something that was done about an account's unassigned charges.
#[derive(Clone, Debug, Serialize)]
pub struct WaiverAction {
    /// When.
    pub done_at: DateTime<Utc>,
    /// Who.
    pub done_by: String,
    /// `waive` or `take_back`.
    pub action: String,
    /// Provider id.
    pub provider: String,
    /// First day of the month.
    pub billing_period_start: NaiveDate,
    /// The account.
    pub account_id: String,
    /// Why.
    pub reason: String,
}

/// Returns what was done about a reseller's unassigned charges, newest first.
///
/// # Errors
/// When the database fails.
pub async fn actions(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    limit: i64,
) -> sqlx::Result<Vec<WaiverAction>> {
    sqlx::query_as!(
        WaiverAction,
        "SELECT done_at, done_by, action, provider, billing_period_start, account_id, reason
         FROM unassigned_waiver_actions WHERE reseller_id = $1 ORDER BY id DESC LIMIT $2",
        reseller_id.0,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// Returns a reseller's waivers as a directory holds them.
///
/// # Errors
/// When the database fails.
pub(super) async fn waivers(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
) -> sqlx::Result<Vec<UnassignedWaiver>> {
    let rows = sqlx::query!(
        r#"SELECT waiver.provider, waiver.billing_period_start AS start, waiver.account_id, waiver.reason, waiver.waived_by,
               coalesce(period.billing_period_end, (waiver.billing_period_start + interval '1 month')::date) AS "end!"
           FROM unassigned_waivers waiver
           LEFT JOIN billing_periods period ON period.reseller_id = waiver.reseller_id AND period.provider = waiver.provider
               AND period.billing_period_start = waiver.billing_period_start
           WHERE waiver.reseller_id = $1 ORDER BY waiver.billing_period_start, waiver.provider, waiver.account_id"#,
        reseller_id.0,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(UnassignedWaiver {
                provider: row.provider,
                billing_period: BillingPeriod::new(row.start, row.end)
                    .corrupt("unassigned_waivers.billing_period_start")?,
                account_id: row.account_id,
                reason: row.reason,
                waived_by: row.waived_by,
            })
        })
        .collect()
}
