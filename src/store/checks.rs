//! What the nightly checks ask: which months hold charges, whether fiscal numbers are whole, whether statuses and history
//! agree. Nothing here writes.

use chrono::NaiveDate;
use sqlx::PgConnection;

use crate::domain::ids::{InvoiceId, ResellerId};

/// Returns up to 1,000 resellers after one, by id.
///
/// # Errors
/// When the database fails.
pub async fn resellers_after(
    connection: &mut PgConnection,
    after: Option<ResellerId>,
) -> sqlx::Result<Vec<ResellerId>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: ResellerId" FROM resellers WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT 1000"#,
        after.map(|id| id.0),
    )
    .fetch_all(connection)
    .await
}

/// Tells whether a reseller exists.
///
/// # Errors
/// When the database fails.
pub async fn is_reseller(connection: &mut PgConnection, id: ResellerId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM resellers WHERE id = $1) AS "is!""#, id.0)
        .fetch_one(connection)
        .await
}

/// Returns the providers for which a reseller's customers have accounts.
///
/// # Errors
/// When the database fails.
pub async fn providers_with_accounts(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "SELECT DISTINCT provider FROM provider_accounts WHERE reseller_id = $1 ORDER BY 1 LIMIT 100",
        reseller_id.0,
    )
    .fetch_all(connection)
    .await
}

/// A provider's billing period with charges.
#[derive(Clone, Debug)]
pub struct ChargedPeriod {
    /// Provider id.
    pub provider: String,
    /// First day.
    pub billing_period_start: NaiveDate,
}

/// Returns a reseller's billing periods with charges that start on a day or later.
///
/// # Errors
/// When the database fails.
pub async fn charged_periods(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    since: NaiveDate,
) -> sqlx::Result<Vec<ChargedPeriod>> {
    sqlx::query_as!(
        ChargedPeriod,
        "SELECT DISTINCT provider, billing_period_start FROM charge_scopes
         WHERE reseller_id = $1 AND billing_period_start >= $2 AND superseded_by IS NULL
         ORDER BY provider, billing_period_start LIMIT 10000",
        reseller_id.0,
        since,
    )
    .fetch_all(connection)
    .await
}

/// A place in a series of fiscal numbers where it is not whole.
#[derive(Clone, Debug)]
pub struct SeriesBreak {
    /// The series, such as `2026`.
    pub series: String,
    /// The number at this place; `None` where the series has a counter and no numbers.
    pub consecutive: Option<i64>,
    /// The number before it, 0 at the start.
    pub previous: i64,
    /// The number that the series' counter gives next; 1 where it has none.
    pub next: i64,
    /// Day of issue.
    pub issued_on: Option<NaiveDate>,
    /// Day of issue of the number before.
    pub previous_issued_on: Option<NaiveDate>,
}

/// Returns up to 20 places where a reseller's numbers are not 1 to N without a hole, N being where the series' counter
/// stands, or days of issue go back.
///
/// # Errors
/// When the database fails.
pub async fn find_series_breaks(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
) -> sqlx::Result<Vec<SeriesBreak>> {
    sqlx::query_as!(
        SeriesBreak,
        r#"WITH used AS (
             SELECT regexp_replace(number, '-[0-9]+$', '') AS series, substring(number FROM '[0-9]+$')::bigint AS consecutive,
                    issued_on
             FROM invoices WHERE reseller_id = $1 AND number IS NOT NULL
         ), ordered AS (
             SELECT series, consecutive, issued_on, lag(consecutive) OVER in_series AS previous,
                    lag(issued_on) OVER in_series AS previous_issued_on,
                    lead(consecutive) OVER in_series IS NULL AS is_last
             FROM used WINDOW in_series AS (PARTITION BY series ORDER BY consecutive, issued_on)
         ), counter AS (
             SELECT series, next FROM number_series WHERE reseller_id = $1
         ), place AS (
             SELECT series, consecutive, coalesce(previous, 0) AS previous, coalesce(next, 1) AS next, issued_on,
                    previous_issued_on, coalesce(is_last, true) AS is_last
             FROM ordered FULL JOIN counter USING (series)
         )
         SELECT series AS "series!", consecutive, previous AS "previous!", next AS "next!", issued_on, previous_issued_on
         FROM place
         WHERE consecutive <> previous + 1 OR consecutive >= next OR issued_on < previous_issued_on
            OR is_last AND coalesce(consecutive, 0) + 1 <> next
         ORDER BY series, consecutive LIMIT 20"#,
        reseller_id.0,
    )
    .fetch_all(connection)
    .await
}

/// An invoice that is not what its history says.
#[derive(Clone, Debug)]
pub struct Contradiction {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// Its status.
    pub status: String,
    /// Its version.
    pub version: i32,
    /// Status after its last event; `None` where it has none.
    pub last_status: Option<String>,
    /// Version after its last event.
    pub last_version: Option<i32>,
}

/// Returns up to 20 of a reseller's invoices whose status or version is not that of their last event.
///
/// # Errors
/// When the database fails.
pub async fn find_contradictions(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
) -> sqlx::Result<Vec<Contradiction>> {
    sqlx::query_as!(
        Contradiction,
        r#"SELECT invoice.id AS "invoice_id: InvoiceId", invoice.status, invoice.version,
                  last.to_status AS "last_status?", last.invoice_version AS "last_version?"
           FROM invoices AS invoice
           LEFT JOIN LATERAL (SELECT to_status, invoice_version FROM invoice_events AS event
                              WHERE event.reseller_id = invoice.reseller_id AND event.invoice_id = invoice.id
                              ORDER BY sequence DESC LIMIT 1) AS last ON true
           WHERE invoice.reseller_id = $1
             AND (invoice.status, invoice.version) IS DISTINCT FROM (last.to_status, last.invoice_version)
           ORDER BY invoice.id LIMIT 20"#,
        reseller_id.0,
    )
    .fetch_all(connection)
    .await
}
