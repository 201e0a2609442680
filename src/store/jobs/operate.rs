//! What people do to jobs: cancel, discard, make due again; and what time does: prune.
//!
//! Every change says in `operator_actions`, in the same statement or transaction, who made it and why.

use sqlx::PgConnection;

use crate::{domain::ids::JobId, store::operator_actions::Operator};

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

/// Cancels a job that is not final. `None` where it is, does not exist, was cancelled before, or is a batch's completion
/// job, which tells how its batch ended even where that was cancelled.
///
/// # Errors
/// When the database fails.
pub async fn cancel(
    connection: &mut PgConnection,
    id: JobId,
    operator: Operator<'_>,
) -> sqlx::Result<Option<CancelledAs>> {
    let cancelled = sqlx::query_scalar!(
        r#"WITH wanted AS (
             SELECT id FROM jobs
             WHERE id = $1 AND state IN ('scheduled', 'dispatched', 'running') AND NOT completes_batch
               AND cancel_requested_at IS NULL
             FOR UPDATE
         ), cancelled AS (
             UPDATE jobs SET cancel_requested_at = now(), cancel_requested_by = $2, cancel_reason = $3,
                 state = CASE WHEN state = 'running' THEN state ELSE 'discarded' END,
                 finished_at = CASE WHEN state <> 'running' THEN now() END,
                 last_error = CASE WHEN state = 'running' THEN last_error ELSE 'cancelled by ' || $2 || ': ' || $3 END
             FROM wanted WHERE jobs.id = wanted.id
             RETURNING jobs.id, state = 'running' AS is_running
         ), recorded AS (
             INSERT INTO operator_actions (done_by, action, job_id, reason) SELECT $2, 'cancel', id, $3 FROM cancelled
         )
         SELECT is_running AS "is_running!"
         FROM cancelled, LATERAL (SELECT CASE WHEN is_running THEN pg_notify($4, id::text) END) AS said"#,
        id.0,
        operator.name,
        operator.reason,
        CANCEL_CHANNEL,
    )
    .fetch_optional(connection)
    .await?;
    Ok(cancelled.map(|is_running| if is_running { CancelledAs::Requested } else { CancelledAs::Discarded }))
}

/// Returns up to `limit` jobs of a batch that can be cancelled and are not yet.
///
/// # Errors
/// When the database fails.
pub async fn cancellable_of_batch(
    connection: &mut PgConnection,
    batch_id: JobId,
    limit: i64,
) -> sqlx::Result<Vec<JobId>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: JobId" FROM jobs
           WHERE batch_id = $1 AND state IN ('scheduled', 'dispatched', 'running') AND cancel_requested_at IS NULL
           LIMIT $2"#,
        batch_id.0,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// Says why a job was not made due again or not discarded.
#[derive(Debug, thiserror::Error)]
pub enum NotDead {
    /// No such job.
    #[error("job {0} does not exist; `billrunner jobs list` shows those there are")]
    Missing(JobId),
    /// It is in another state.
    #[error(
        "job {id} is {state}; only a dead job, or one that was discarded, is retried, and only a dead one discarded"
    )]
    OtherState {
        /// Which.
        id: JobId,
        /// Its state.
        state: String,
    },
    /// Two jobs with one dedupe key would be open.
    #[error("job {id} has the dedupe key `{dedupe_key}`, which job {holder} holds now; wait for its end or cancel it")]
    KeyHeld {
        /// Which.
        id: JobId,
        /// Its key.
        dedupe_key: String,
        /// Who holds it.
        holder: JobId,
    },
    /// Its batch is being summed up at this moment.
    #[error("job {id} belongs to batch {batch_id}, whose completion job runs now; try again in a moment")]
    BatchCompletes {
        /// Which.
        id: JobId,
        /// Its batch.
        batch_id: JobId,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes a dead job due again with all its attempts ahead, and also one that was discarded: whoever names it by its id
/// has changed their mind. The batch it belongs to completes anew once it is final.
///
/// # Errors
/// [`NotDead`], in words for the operator.
pub async fn revive(connection: &mut PgConnection, id: JobId, operator: Operator<'_>) -> Result<(), NotDead> {
    // The batch's completion job first, as `release_batches` does: neither misses what the other did.
    let batch = sqlx::query!(
        r#"SELECT completion.id AS "id: JobId", completion.state FROM jobs
           JOIN jobs AS completion ON completion.id = jobs.batch_id WHERE jobs.id = $1 FOR UPDATE OF completion"#,
        id.0,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(batch) = &batch
        && batch.state == "running"
    {
        return Err(NotDead::BatchCompletes { id, batch_id: batch.id });
    }
    check_revivable(connection, id).await?;
    sqlx::query!(
        "WITH revived AS (
             UPDATE jobs SET state = CASE WHEN completes_batch THEN 'awaiting' ELSE 'scheduled' END, run_at = now(),
                 finished_at = NULL, failed_attempts = 0, worker_deaths = 0, cancel_requested_at = NULL,
                 cancel_requested_by = NULL, cancel_reason = NULL
             WHERE id = $1 RETURNING id
         )
         INSERT INTO operator_actions (done_by, action, job_id, reason) SELECT $2, 'retry', id, $3 FROM revived",
        id.0,
        operator.name,
        operator.reason,
    )
    .execute(&mut *connection)
    .await?;
    if let Some(batch) = batch {
        reopen(connection, batch.id).await?;
    }
    Ok(())
}

async fn check_revivable(connection: &mut PgConnection, id: JobId) -> Result<(), NotDead> {
    let job = sqlx::query!(
        r#"SELECT state, dedupe_key,
                  (SELECT holder.id FROM jobs AS holder WHERE holder.kind = jobs.kind
                     AND holder.dedupe_key = jobs.dedupe_key AND holder.finished_at IS NULL) AS "holder: JobId"
           FROM jobs WHERE id = $1 FOR UPDATE OF jobs"#,
        id.0,
    )
    .fetch_optional(connection)
    .await?
    .ok_or(NotDead::Missing(id))?;
    match (job.state.as_str(), job.dedupe_key, job.holder) {
        ("dead" | "discarded", Some(dedupe_key), Some(holder)) => Err(NotDead::KeyHeld { id, dedupe_key, holder }),
        ("dead" | "discarded", ..) => Ok(()),
        _ => Err(NotDead::OtherState { id, state: job.state }),
    }
}

/// Has a batch's completion job wait again, unless it does so anyway.
async fn reopen(connection: &mut PgConnection, batch_id: JobId) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE jobs SET state = 'awaiting', finished_at = NULL, failed_attempts = 0, worker_deaths = 0,
             attempt = attempt - CASE WHEN state = 'dispatched' THEN 1 ELSE 0 END
         WHERE id = $1 AND state NOT IN ('awaiting', 'running')",
        batch_id.0,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Discards a dead job for good: its attempts stay, and it says by whom and why.
///
/// # Errors
/// [`NotDead`], in words for the operator.
pub async fn discard(connection: &mut PgConnection, id: JobId, operator: Operator<'_>) -> Result<(), NotDead> {
    let discarded = sqlx::query!(
        "WITH discarded AS (
             UPDATE jobs SET state = 'discarded', finished_at = now(), cancel_requested_at = now(),
                 cancel_requested_by = $2, cancel_reason = $3, last_error = 'discarded by ' || $2 || ': ' || $3
             WHERE id = $1 AND state = 'dead' RETURNING id
         )
         INSERT INTO operator_actions (done_by, action, job_id, reason) SELECT $2, 'discard', id, $3 FROM discarded",
        id.0,
        operator.name,
        operator.reason,
    )
    .execute(&mut *connection)
    .await?;
    if discarded.rows_affected() == 1 {
        return Ok(());
    }
    let state = sqlx::query_scalar!("SELECT state FROM jobs WHERE id = $1", id.0).fetch_optional(connection).await?;
    Err(state.map_or(NotDead::Missing(id), |state| NotDead::OtherState { id, state }))
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
                 LIMIT $2 FOR UPDATE SKIP LOCKED))
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

/// Tells whether a job is known, whatever became of it, that names a delivery report in the object store.
///
/// # Errors
/// When the database fails.
pub async fn names_delivery_report(connection: &mut PgConnection, sha256: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM jobs WHERE kind = 'record_bounce' AND payload ->> 'sha256' = $1)
             AS "is_named!""#,
        sha256,
    )
    .fetch_one(connection)
    .await
}
