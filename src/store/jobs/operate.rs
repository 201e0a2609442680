//! What people do to jobs: cancel, discard, make due again; and what time does: prune.

use sqlx::PgConnection;

use crate::domain::ids::JobId;

/// The channel on which workers hear that somebody asked for a job's cancellation; the message is the job's id.
pub const CANCEL_CHANNEL: &str = "billrunner_cancel";

/// What asking for a cancellation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelledAs {
    /// It had not started and never will.
    Discarded,
    /// It runs, and ends at the next point where it looks.
    Requested,
}

/// Cancels a job that is not final. `None` where it is, does not exist, or is a batch's completion job, which tells how
/// its batch ended even where that was cancelled.
///
/// # Errors
/// When the database fails.
pub async fn cancel(
    connection: &mut PgConnection,
    id: JobId,
    requested_by: &str,
    reason: &str,
) -> sqlx::Result<Option<CancelledAs>> {
    let states = cancel_where(connection, Some(id), None, requested_by, reason, 1).await?;
    Ok(states.first().map(|is_running| if *is_running { CancelledAs::Requested } else { CancelledAs::Discarded }))
}

/// Cancels up to `limit` jobs of a batch. Returns how many; zero says that none is left to cancel.
///
/// # Errors
/// When the database fails.
pub async fn cancel_batch(
    connection: &mut PgConnection,
    batch_id: JobId,
    requested_by: &str,
    reason: &str,
    limit: i64,
) -> sqlx::Result<usize> {
    Ok(cancel_where(connection, None, Some(batch_id), requested_by, reason, limit).await?.len())
}

async fn cancel_where(
    connection: &mut PgConnection,
    id: Option<JobId>,
    batch_id: Option<JobId>,
    requested_by: &str,
    reason: &str,
    limit: i64,
) -> sqlx::Result<Vec<bool>> {
    sqlx::query_scalar!(
        r#"WITH wanted AS (
             SELECT id FROM jobs
             WHERE (id = $1 OR batch_id = $2) AND state IN ('scheduled', 'dispatched', 'running')
               AND cancel_requested_at IS NULL
             ORDER BY id LIMIT $5 FOR UPDATE
         ), cancelled AS (
             UPDATE jobs SET cancel_requested_at = now(), cancel_requested_by = $3, cancel_reason = $4,
                 state = CASE WHEN state = 'running' THEN state ELSE 'discarded' END,
                 finished_at = CASE WHEN state <> 'running' THEN now() END,
                 last_error = CASE WHEN state = 'running' THEN last_error ELSE 'cancelled by ' || $3 || ': ' || $4 END
             FROM wanted WHERE jobs.id = wanted.id
             RETURNING jobs.id, state = 'running' AS is_running
         )
         SELECT is_running AS "is_running!"
         FROM cancelled, LATERAL (SELECT CASE WHEN is_running THEN pg_notify($6, id::text) END) AS said"#,
        id.map(|id| id.0),
        batch_id.map(|id| id.0),
        requested_by,
        reason,
        limit,
        CANCEL_CHANNEL,
    )
    .fetch_all(connection)
    .await
}

/// Makes a dead or discarded job due again with all its attempts ahead; the batch it belongs to completes anew when it
/// is final. Returns false when it is neither, or another job holds its dedupe key.
///
/// # Errors
/// When the database fails.
pub async fn revive(connection: &mut PgConnection, id: JobId) -> sqlx::Result<bool> {
    Ok(revive_where(connection, Some(id), None, 1).await? == 1)
}

/// Makes up to `limit` dead and discarded jobs of a batch due again. Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn revive_batch(connection: &mut PgConnection, batch_id: JobId, limit: i64) -> sqlx::Result<i64> {
    revive_where(connection, None, Some(batch_id), limit).await
}

async fn revive_where(
    connection: &mut PgConnection,
    id: Option<JobId>,
    batch_id: Option<JobId>,
    limit: i64,
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"WITH wanted AS (
             SELECT id FROM jobs
             WHERE (id = $1 OR batch_id = $2) AND state IN ('dead', 'discarded')
               AND NOT EXISTS (SELECT FROM jobs AS holder WHERE holder.kind = jobs.kind
                               AND holder.dedupe_key = jobs.dedupe_key AND holder.finished_at IS NULL)
             ORDER BY id LIMIT $3 FOR UPDATE
         ), revived AS (
             UPDATE jobs SET state = 'scheduled', run_at = now(), finished_at = NULL, failed_attempts = 0,
                 worker_deaths = 0, cancel_requested_at = NULL, cancel_requested_by = NULL, cancel_reason = NULL
             FROM wanted WHERE jobs.id = wanted.id
             RETURNING jobs.batch_id
         ), reopened AS (
             UPDATE jobs SET state = 'awaiting', finished_at = NULL
             WHERE id IN (SELECT batch_id FROM revived) AND finished_at IS NOT NULL
         )
         SELECT count(*) AS "count!" FROM revived"#,
        id.map(|id| id.0),
        batch_id.map(|id| id.0),
        limit,
    )
    .fetch_one(connection)
    .await
}

/// Returns how many jobs of a batch are in each state.
///
/// # Errors
/// When the database fails.
pub async fn outcomes_of_batch(connection: &mut PgConnection, batch_id: JobId) -> sqlx::Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"SELECT state, count(*) AS "count!" FROM jobs WHERE batch_id = $1 GROUP BY state ORDER BY state LIMIT 10"#,
        batch_id.0,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.state, row.count)).collect())
}

/// Deletes a small batch of jobs that finished long ago, with their attempts; dead ones stay until somebody decides.
/// Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn prune(connection: &mut PgConnection, age_days: i32, limit: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"WITH pruned AS (
             DELETE FROM jobs WHERE id = ANY (ARRAY(
                 SELECT id FROM jobs
                 WHERE state IN ('done', 'discarded') AND finished_at < now() - make_interval(days => $1)
                 ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED))
             RETURNING id
         ), with_attempts AS (
             DELETE FROM job_attempts WHERE job_id IN (SELECT id FROM pruned)
         )
         SELECT count(*) AS "count!" FROM pruned"#,
        age_days,
        limit,
    )
    .fetch_one(connection)
    .await
}
