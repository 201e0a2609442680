//! Jobs as operators see them: listed, shown with every attempt, counted, and dead ones made due again.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};

use crate::domain::ids::{JobId, WorkerId};

/// A job as operators see it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JobRow {
    /// The job.
    pub id: JobId,
    /// Which handler runs it.
    pub kind: String,
    /// The lane.
    pub queue: String,
    /// Where it stands.
    pub state: String,
    /// The latest attempt.
    pub attempt: i32,
    /// How many failed.
    pub failed_attempts: i32,
    /// How many may.
    pub max_attempts: i32,
    /// Who sent it.
    pub source: String,
    /// The sender's id for it.
    pub external_id: String,
    /// The person or system that asked.
    pub requested_by: String,
    /// When it is due.
    pub run_at: DateTime<Utc>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// As accepted.
    pub payload: Json<Value>,
}

/// One attempt as operators see it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AttemptRow {
    /// Its number.
    pub attempt: i32,
    /// Who ran it.
    pub worker_id: WorkerId,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<String>,
    /// What it did, or what went wrong.
    pub message: Option<String>,
}

/// Returns the newest jobs, of one state and kind where given.
///
/// # Errors
/// When the database fails.
pub async fn list(
    connection: &mut PgConnection,
    state: Option<&str>,
    kind: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<JobRow>> {
    sqlx::query_as!(
        JobRow,
        r#"SELECT id AS "id: JobId", kind, queue, state, attempt, failed_attempts, max_attempts, source, external_id,
                  requested_by, run_at, created_at, finished_at, last_error, payload AS "payload: Json<Value>"
         FROM jobs WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR kind = $2)
         ORDER BY id DESC LIMIT $3"#,
        state,
        kind,
        limit,
    )
    .fetch_all(connection)
    .await
}

/// Returns one job with its attempts, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn find(connection: &mut PgConnection, id: JobId) -> sqlx::Result<Option<(JobRow, Vec<AttemptRow>)>> {
    let job = sqlx::query_as!(
        JobRow,
        r#"SELECT id AS "id: JobId", kind, queue, state, attempt, failed_attempts, max_attempts, source, external_id,
                  requested_by, run_at, created_at, finished_at, last_error, payload AS "payload: Json<Value>"
         FROM jobs WHERE id = $1"#,
        id.0,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(job) = job else { return Ok(None) };
    let attempts = sqlx::query_as!(
        AttemptRow,
        r#"SELECT attempt, worker_id AS "worker_id: WorkerId", started_at, finished_at, outcome, message
         FROM job_attempts WHERE job_id = $1 ORDER BY attempt LIMIT 1000"#,
        id.0,
    )
    .fetch_all(connection)
    .await?;
    Ok(Some((job, attempts)))
}

/// How many jobs of a lane are in a state.
#[derive(Clone, Debug, serde::Serialize)]
pub struct QueueCount {
    /// The lane.
    pub queue: String,
    /// The state.
    pub state: String,
    /// How many.
    pub count: i64,
}

/// Returns the counts per lane and state.
///
/// # Errors
/// When the database fails.
pub async fn count_by_queue(connection: &mut PgConnection) -> sqlx::Result<Vec<QueueCount>> {
    sqlx::query_as!(
        QueueCount,
        r#"SELECT queue, state, count(*) AS "count!" FROM jobs GROUP BY queue, state ORDER BY queue, state LIMIT 1000"#
    )
    .fetch_all(connection)
    .await
}
