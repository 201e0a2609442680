//! How the latest months stand: invoices by status, whether charges were billed at all, and what the last bill runs found
//! missing.
//!
//! Who has charges and no invoice is not asked of all charges here, as a bill run asks it once and keeps the answer.

use chrono::NaiveDate;
use sqlx::PgConnection;

/// A provider's month, over all resellers.
#[derive(Clone, Debug)]
pub struct BilledMonth {
    /// The month's first day.
    pub billing_period_start: NaiveDate,
    /// The provider.
    pub provider: String,
    /// Drafts.
    pub draft: i64,
    /// Open invoices.
    pub open: i64,
    /// Closed ones.
    pub closed: i64,
    /// Void ones.
    pub void: i64,
    /// Resellers with charges and no bill run.
    pub unbilled_resellers: i64,
    /// Bill runs that run.
    pub running: i64,
    /// Last bill runs that need attention.
    pub needing_attention: i64,
    /// Customers with charges and no invoice, as the last bill runs found.
    pub missing_invoices: i64,
}

/// Returns how months from this day on stand, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn since(connection: &mut PgConnection, first: NaiveDate) -> sqlx::Result<Vec<BilledMonth>> {
    sqlx::query_as!(
        BilledMonth,
        r#"WITH invoiced AS (
             SELECT billing_period_start, provider, count(*) FILTER (WHERE status = 'draft') AS draft,
                 count(*) FILTER (WHERE status = 'open') AS open, count(*) FILTER (WHERE status = 'closed') AS closed,
                 count(*) FILTER (WHERE status = 'void') AS void
             FROM invoices WHERE billing_period_start >= $1 AND status <> 'discarded' GROUP BY 1, 2
         ), run AS (
             SELECT DISTINCT ON (reseller_id, provider, billing_period_start) *
             FROM bill_runs WHERE billing_period_start >= $1
             ORDER BY reseller_id, provider, billing_period_start, started_at DESC
         ), ran AS (
             SELECT billing_period_start, provider, count(*) FILTER (WHERE state = 'running') AS running,
                 count(*) FILTER (WHERE state = 'needs_attention') AS needing_attention,
                 sum((SELECT count(*) FROM bill_run_findings finding
                      WHERE finding.reseller_id = run.reseller_id AND finding.bill_run_id = run.id
                        AND kind = 'missing_invoice'))::bigint AS missing_invoices
             FROM run GROUP BY 1, 2
         ), charged AS (
             SELECT billing_period_start, provider, count(DISTINCT reseller_id) FILTER (
                        WHERE NOT EXISTS (SELECT FROM run
                            WHERE run.reseller_id = scope.reseller_id AND run.provider = scope.provider
                              AND run.billing_period_start = scope.billing_period_start)) AS unbilled
             FROM charge_scopes scope WHERE billing_period_start >= $1 AND superseded_by IS NULL GROUP BY 1, 2
         )
         SELECT billing_period_start AS "billing_period_start!", provider AS "provider!", coalesce(draft, 0) AS "draft!",
             coalesce(open, 0) AS "open!", coalesce(closed, 0) AS "closed!", coalesce(void, 0) AS "void!",
             coalesce(unbilled, 0) AS "unbilled_resellers!", coalesce(running, 0) AS "running!",
             coalesce(needing_attention, 0) AS "needing_attention!", coalesce(missing_invoices, 0) AS "missing_invoices!"
         FROM invoiced FULL JOIN ran USING (billing_period_start, provider)
             FULL JOIN charged USING (billing_period_start, provider)
         ORDER BY 1 DESC, 2 LIMIT 60"#,
        first,
    )
    .fetch_all(connection)
    .await
}
