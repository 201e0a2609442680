//! The reconciliation invariant: what was invoiced, what still will be and what nobody claims make up the files' totals,
//! exactly.
//!
//! Per active scope and currency: live invoices (exact cost + excluded tax) + assigned customers whom no live invoice
//! bills for this scope yet + unassigned accounts = total. An invoice issued from a superseded scope does not bill the
//! scope that took its place, so its customer counts as not invoiced yet there: one late file must not hold up the
//! invoices of all other customers. A stale draft is to be made anew, so it counts as not made: when an account changes
//! hands, the drafts of both customers are stale, and neither must stand against the other's new one.

use std::fmt;

use bigdecimal::BigDecimal;
use sqlx::PgConnection;

use super::charge_sums::{ProviderPeriod, decode};
use crate::domain::{
    ids::{ChargeScopeId, CustomerId},
    money::Currency,
};

/// A scope whose money does not add up, in one currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Part of a charge file.
    pub charge_scope_id: ChargeScopeId,
    /// The payer at the provider.
    pub billing_account_id: String,
    /// Currency of all amounts.
    pub currency: Currency,
    /// What the file says.
    pub file_total: BigDecimal,
    /// On live invoices, with excluded tax.
    pub invoiced: BigDecimal,
    /// Of customers whom no live invoice bills for this scope yet.
    pub not_invoiced: BigDecimal,
    /// Of accounts on days that no customer holds them.
    pub unassigned: BigDecimal,
}

impl Difference {
    /// Returns what is accounted for minus what the file says: positive when something is billed twice.
    pub fn amount(&self) -> BigDecimal {
        &self.invoiced + &self.not_invoiced + &self.unassigned - &self.file_total
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { billing_account_id, currency, file_total, invoiced, not_invoiced, unassigned, .. } = self;
        write!(
            f,
            "billing account `{billing_account_id}` is off by {} {currency}: invoiced {invoiced} + not invoiced yet \
             {not_invoiced} + unassigned {unassigned}, but the file says {file_total}",
            self.amount()
        )
    }
}

/// A customer whose live invoices bill something else than its charges, in one part of a file and one currency.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomerDifference {
    /// The customer.
    pub customer_id: CustomerId,
    /// The payer at the provider.
    pub billing_account_id: String,
    /// Currency of both amounts.
    pub currency: Currency,
    /// What its accounts were charged.
    pub charged: BigDecimal,
    /// On its live invoices, with excluded tax.
    pub invoiced: BigDecimal,
}

impl fmt::Display for CustomerDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { customer_id, billing_account_id, currency, charged, invoiced } = self;
        write!(
            f,
            "the invoices of customer {customer_id} do not add up to its charges: billing account `{billing_account_id}` \
             charged {charged} {currency}, invoiced are {invoiced}"
        )
    }
}

/// Why a period does not reconcile.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Money is missing or counted twice.
    #[error("the invoices do not add up to the charge files
  {}", lines(.0))]
    Differences(Vec<Difference>),
    /// Postgres failed.
    #[error("the reconciliation cannot be computed")]
    Database(#[from] sqlx::Error),
}

/// Checks the invariant over all active scopes of a period.
///
/// # Errors
/// [`ReconcileError::Differences`] names every scope and currency that does not add up.
pub async fn reconcile(conn: &mut PgConnection, period: ProviderPeriod<'_>) -> Result<(), ReconcileError> {
    let rows = sqlx::query!(
        r#"WITH file AS (
             SELECT scope.id AS scope_id, total.billing_currency AS currency, SUM(total.billed_cost) AS amount
             FROM charge_scopes scope
             JOIN charge_totals total ON total.reseller_id = scope.reseller_id AND total.charge_scope_id = scope.id
             WHERE scope.reseller_id = $1 AND scope.provider = $2 AND scope.billing_period_start = $3
                 AND scope.superseded_by IS NULL
             GROUP BY 1, 2
         ), held AS (
             SELECT charge_scope_id AS scope_id, billing_currency AS currency, customer_id, SUM(billed_cost) AS amount
             FROM held_charge_totals
             WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 GROUP BY 1, 2, 3
         ), invoiced AS (
             SELECT scope.id AS scope_id, source.cost_currency AS currency, invoice.customer_id,
                 SUM(source.cost_exact + source.excluded_tax) AS amount
             FROM charge_scopes scope
             JOIN invoice_sources source ON source.reseller_id = scope.reseller_id AND source.charge_scope_id = scope.id
             JOIN invoices invoice ON invoice.reseller_id = source.reseller_id AND invoice.id = source.invoice_id
             WHERE scope.reseller_id = $1 AND scope.provider = $2 AND scope.billing_period_start = $3
                 AND scope.superseded_by IS NULL AND invoice.status NOT IN ('void', 'discarded')
                 AND NOT (invoice.status = 'draft' AND invoice.stale)
             GROUP BY 1, 2, 3
         ), side AS (
             SELECT scope_id, currency,
                 coalesce(SUM(invoiced.amount), 0) AS invoiced,
                 coalesce(SUM(held.amount) FILTER (
                     WHERE held.customer_id IS NOT NULL AND invoiced.customer_id IS NULL), 0) AS not_invoiced,
                 coalesce(SUM(held.amount) FILTER (WHERE held.customer_id IS NULL), 0) AS unassigned
             FROM held FULL JOIN invoiced USING (scope_id, currency, customer_id) GROUP BY scope_id, currency
         )
         SELECT scope.id AS "charge_scope_id: ChargeScopeId", scope.billing_account_id, currency AS "currency!",
             coalesce(file.amount, 0) AS "file_total!", coalesce(side.invoiced, 0) AS "invoiced!",
             coalesce(side.not_invoiced, 0) AS "not_invoiced!", coalesce(side.unassigned, 0) AS "unassigned!"
         FROM file FULL JOIN side USING (scope_id, currency)
         JOIN charge_scopes scope ON scope.reseller_id = $1 AND scope.id = scope_id
         WHERE coalesce(side.invoiced + side.not_invoiced + side.unassigned, 0) <> coalesce(file.amount, 0)
         ORDER BY scope.billing_account_id, currency"#,
        period.reseller_id.0,
        period.provider,
        period.billing_period_start
    )
    .fetch_all(conn)
    .await?;
    let differences = rows
        .into_iter()
        .map(|row| {
            Ok(Difference {
                charge_scope_id: row.charge_scope_id,
                billing_account_id: row.billing_account_id,
                currency: row.currency.parse().map_err(decode)?,
                file_total: row.file_total,
                invoiced: row.invoiced,
                not_invoiced: row.not_invoiced,
                unassigned: row.unassigned,
            })
        })
        .collect::<sqlx::Result<Vec<_>>>()?;
    if differences.is_empty() { Ok(()) } else { Err(ReconcileError::Differences(differences)) }
}

/// Checks the invariant for some customers alone, in each active scope that a live invoice of theirs bills: whoever bills
/// one customer reads that customer's rows only, however many others the month has. A stale draft counts as not made, unless
/// it is to be opened.
///
/// # Errors
/// When Postgres fails.
pub async fn customer_differences(
    conn: &mut PgConnection,
    period: ProviderPeriod<'_>,
    customer_ids: &[CustomerId],
    counts_stale: bool,
) -> sqlx::Result<Vec<CustomerDifference>> {
    let rows = sqlx::query!(
        r#"WITH invoiced AS (
             SELECT source.charge_scope_id, source.cost_currency AS currency, invoice.customer_id, scope.billing_account_id,
                 SUM(source.cost_exact + source.excluded_tax) AS amount
             FROM invoices invoice
             JOIN invoice_sources source ON source.reseller_id = invoice.reseller_id AND source.invoice_id = invoice.id
             JOIN charge_scopes scope ON scope.reseller_id = source.reseller_id AND scope.id = source.charge_scope_id
             WHERE invoice.reseller_id = $1 AND invoice.provider = $2 AND invoice.billing_period_start = $3
                 AND invoice.customer_id = ANY ($4) AND invoice.status NOT IN ('void', 'discarded')
                 AND ($5 OR NOT (invoice.status = 'draft' AND invoice.stale))
                 AND scope.superseded_by IS NULL
             GROUP BY 1, 2, 3, 4
         ), charged AS (
             SELECT charge_scope_id, billing_currency AS currency, customer_id, SUM(billed_cost) AS amount
             FROM held_charge_totals
             WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 AND customer_id = ANY ($4)
             GROUP BY 1, 2, 3
         )
         SELECT invoiced.customer_id AS "customer_id: CustomerId", invoiced.billing_account_id, invoiced.currency,
             coalesce(charged.amount, 0) AS "charged!", invoiced.amount AS "invoiced!"
         FROM invoiced LEFT JOIN charged USING (charge_scope_id, currency, customer_id)
         WHERE invoiced.amount <> coalesce(charged.amount, 0)
         ORDER BY invoiced.customer_id, invoiced.billing_account_id, invoiced.currency"#,
        period.reseller_id.0,
        period.provider,
        period.billing_period_start,
        &customer_ids.iter().map(|id| id.0).collect::<Vec<_>>(),
        counts_stale,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(CustomerDifference {
                customer_id: row.customer_id,
                billing_account_id: row.billing_account_id,
                currency: row.currency.parse().map_err(decode)?,
                charged: row.charged,
                invoiced: row.invoiced,
            })
        })
        .collect()
}

fn lines(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}
