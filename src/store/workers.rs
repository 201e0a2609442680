//! Which worker processes live: one row each, whose `seen_at` moves every few seconds.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::ids::{JobId, WorkerId};

/// After how many seconds without a heartbeat a worker counts as gone; it loses its jobs then. Three heartbeats, and as long
/// as a lease by default.
pub const GONE_AFTER_SECS: f64 = 15.0;

/// A worker process as operators see it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct WorkerRow {
    /// Its id, another at each start.
    pub id: WorkerId,
    /// As it calls itself.
    pub name: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long ago it last said that it lives.
    pub seen_seconds_ago: f64,
}

/// A job that a worker runs.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RunningJob {
    /// Who runs it.
    pub worker_id: WorkerId,
    /// The job.
    pub job_id: JobId,
    /// Which handler runs it.
    pub kind: String,
    /// The lane.
    pub queue: String,
    /// For how long.
    pub running_seconds: f64,
    /// How far it has come, in its own unit.
    pub progress_done: Option<i64>,
    /// Out of how many.
    pub progress_total: Option<i64>,
    /// What it is at.
    pub progress_note: Option<String>,
}

/// Says that a worker lives.
///
/// # Errors
/// When the database fails.
pub async fn record_heartbeat(connection: &mut PgConnection, worker: WorkerId, name: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO workers (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET seen_at = now()",
        worker.0,
        name,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Forgets a worker that stopped in good order, and those not seen for a day.
///
/// # Errors
/// When the database fails.
pub async fn remove_worker(connection: &mut PgConnection, worker: WorkerId) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM workers WHERE id = $1 OR seen_at < now() - interval '1 day'", worker.0)
        .execute(connection)
        .await
        .map(drop)
}

/// Returns the workers of the last day, those seen last first.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection) -> sqlx::Result<Vec<WorkerRow>> {
    sqlx::query_as!(
        WorkerRow,
        r#"SELECT id AS "id: WorkerId", name, started_at,
                  extract(epoch FROM now() - seen_at)::float8 AS "seen_seconds_ago!"
           FROM workers ORDER BY seen_at DESC LIMIT 1000"#
    )
    .fetch_all(connection)
    .await
}

/// Returns what runs, what began first in front.
///
/// # Errors
/// When the database fails.
pub async fn running_jobs(connection: &mut PgConnection) -> sqlx::Result<Vec<RunningJob>> {
    sqlx::query_as!(
        RunningJob,
        r#"SELECT worker_id AS "worker_id!: WorkerId", id AS "job_id: JobId", kind, queue,
                  extract(epoch FROM now() - started_at)::float8 AS "running_seconds!", progress_done, progress_total,
                  progress_note
           FROM jobs WHERE state = 'running' AND worker_id IS NOT NULL AND started_at IS NOT NULL
           ORDER BY started_at LIMIT 1000"#
    )
    .fetch_all(connection)
    .await
}
