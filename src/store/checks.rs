//! What the nightly checks and `billrunner verify` ask: which months hold charges, whether fiscal numbers are whole, whether statuses and history
//! agree. Nothing here writes.

use chrono::NaiveDate;
use sqlx::PgConnection;

use crate::domain::{
    ids::{InvoiceId, ResellerId},
    invoice_status as lifecycle,
};

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

/// Returns up to 20 of a reseller's invoices, of one month or all, whose status or version is not that of their last event.
///
/// # Errors
/// When the database fails.
pub async fn find_contradictions(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    billing_period_start: Option<NaiveDate>,
) -> sqlx::Result<Vec<Contradiction>> {
    sqlx::query_as!(
        Contradiction,
        r#"SELECT invoice.id AS "invoice_id: InvoiceId", invoice.status, invoice.version,
                  last.to_status AS "last_status?", last.invoice_version AS "last_version?"
           FROM invoices AS invoice
           LEFT JOIN LATERAL (SELECT to_status, invoice_version FROM invoice_events AS event
                              WHERE event.reseller_id = invoice.reseller_id AND event.invoice_id = invoice.id
                              ORDER BY sequence DESC LIMIT 1) AS last ON true
           WHERE invoice.reseller_id = $1 AND ($2::date IS NULL OR invoice.billing_period_start = $2)
             AND (invoice.status, invoice.version) IS DISTINCT FROM (last.to_status, last.invoice_version)
           ORDER BY invoice.id LIMIT 20"#,
        reseller_id.0,
        billing_period_start,
    )
    .fetch_all(connection)
    .await
}

/// An invoice whose number is not as it must be.
#[derive(Clone, Debug)]
pub struct NumberFault {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// Its number.
    pub number: Option<String>,
    /// Its status.
    pub status: String,
    /// Day of issue.
    pub issued_on: Option<NaiveDate>,
    /// Whether the history tells of its opening.
    pub was_opened: bool,
}

/// Returns up to 20 of a reseller's invoices that have a number and were never issued, were issued and have none, or whose
/// number is not of the series and year they were issued in.
///
/// # Errors
/// When the database fails.
pub async fn find_number_faults(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
) -> sqlx::Result<Vec<NumberFault>> {
    sqlx::query_as!(
        NumberFault,
        r#"WITH numbered AS (
             SELECT invoice.id, number, status, issued_on,
                    EXISTS (SELECT FROM invoice_events AS event WHERE event.reseller_id = invoice.reseller_id
                            AND event.invoice_id = invoice.id AND event.name = 'opened') AS was_opened,
                    CASE kind WHEN 'credit_note' THEN '^CN-' ELSE '^' END || to_char(issued_on, 'FMYYYY')
                        || '(-[a-z][a-z0-9-]*)?-[0-9]{5,}$' AS form
             FROM invoices AS invoice WHERE reseller_id = $1
         )
         SELECT id AS "invoice_id: InvoiceId", number, status, issued_on, was_opened AS "was_opened!" FROM numbered
         WHERE (number IS NULL) <> (status IN ('draft', 'discarded')) OR (number IS NOT NULL) <> was_opened
            OR number !~ form OR (number IS NULL) <> (issued_on IS NULL)
         ORDER BY id LIMIT 20"#,
        reseller_id.0,
    )
    .fetch_all(connection)
    .await
}

/// An event that does not follow from the one before it in its invoice's history.
#[derive(Clone, Debug)]
pub struct WrongStep {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// Place in the chain.
    pub sequence: i64,
    /// What the event is called.
    pub name: String,
    /// Status before, as the event says.
    pub from_status: Option<String>,
    /// Status after.
    pub to_status: String,
    /// Version after.
    pub version: i32,
    /// Status that the event before led to; `None` at the first.
    pub previous_status: Option<String>,
    /// Version that the event before led to.
    pub previous_version: Option<i32>,
}

/// Replays a reseller's histories, of one month or all, and returns up to 20 events that no invoice can have gone through:
/// other than the lifecycle's steps, from another status than the event before led to, or with a version left out.
///
/// # Errors
/// When the database fails.
pub async fn find_wrong_steps(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    billing_period_start: Option<NaiveDate>,
) -> sqlx::Result<Vec<WrongStep>> {
    let steps: Vec<String> =
        lifecycle::steps().into_iter().map(|step| format!("{} {} {}", step.from, step.to, step.event)).collect();
    sqlx::query_as!(
        WrongStep,
        r#"WITH step AS (
             SELECT event.invoice_id, sequence, name, from_status, to_status, invoice_version AS version,
                    lag(to_status) OVER history AS previous_status, lag(invoice_version) OVER history AS previous_version
             FROM invoice_events AS event
             JOIN invoices AS invoice ON invoice.reseller_id = event.reseller_id AND invoice.id = event.invoice_id
             WHERE event.reseller_id = $1 AND ($2::date IS NULL OR invoice.billing_period_start = $2)
             WINDOW history AS (PARTITION BY event.invoice_id ORDER BY sequence)
         )
         SELECT invoice_id AS "invoice_id: InvoiceId", sequence, name, from_status, to_status, version, previous_status,
                previous_version
         FROM step
         WHERE CASE WHEN previous_version IS NULL
               THEN (name, coalesce(from_status, ''), to_status, version) <> ('generated', '', 'draft', 1)
               ELSE from_status IS DISTINCT FROM previous_status OR version <> previous_version + 1
                    OR concat_ws(' ', from_status, to_status, name) <> ALL ($3) END
         ORDER BY sequence LIMIT 20"#,
        reseller_id.0,
        billing_period_start,
        &steps,
    )
    .fetch_all(connection)
    .await
}
