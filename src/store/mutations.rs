//! Statements that break a promise, for the fault harness alone: see [`crate::faults`].

use sqlx::PgConnection;

use super::jobs::ClaimedJob;
use crate::domain::ids::{JobId, ResellerId, WorkerId};

/// Claims whatever messages stand for, also jobs that run elsewhere or are done.
pub(super) async fn claim_unguarded(
    connection: &mut PgConnection,
    worker: WorkerId,
    messages: &[(JobId, i32)],
) -> sqlx::Result<Vec<ClaimedJob>> {
    let (ids, attempts): (Vec<uuid::Uuid>, Vec<i32>) = messages.iter().map(|(id, attempt)| (id.0, *attempt)).unzip();
    sqlx::query_as!(
        ClaimedJob,
        r#"UPDATE jobs SET state = 'running', started_attempt = jobs.attempt, worker_id = $3, checked_at = now(),
                           started_at = clock_timestamp()
           FROM unnest($1::uuid[], $2::integer[]) AS message (id, attempt)
           WHERE jobs.id = message.id AND jobs.attempt = message.attempt
           RETURNING jobs.id AS "id: JobId", jobs.attempt, kind, queue, payload, batch_id AS "batch_id: JobId",
                     failed_attempts, max_attempts, traceparent, requested_by"#,
        &ids,
        &attempts,
        worker.0,
    )
    .fetch_all(connection)
    .await
}

/// Returns the highest number of a series, 0 where there is none.
pub(super) async fn highest_number(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    series: &str,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(max(substring(number FROM '[0-9]+$')::bigint), 0) AS "highest!" FROM invoices
           WHERE reseller_id = $1 AND starts_with(number, $2 || '-')"#,
        reseller_id.0,
        series,
    )
    .fetch_one(connection)
    .await
}
