//! Jobs as operators see them: listed, shown with every attempt, counted by lane, batches summed up.

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
    /// Higher goes first.
    pub priority: i16,
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
    /// While it is not final, others of its kind with this key are folded into it.
    pub dedupe_key: Option<String>,
    /// The person or system that asked.
    pub requested_by: String,
    /// The completion job of its batch.
    pub batch_id: Option<JobId>,
    /// Whether it is a batch's completion job itself.
    pub completes_batch: bool,
    /// When it is due.
    pub run_at: DateTime<Utc>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its latest attempt started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When somebody asked for its end.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// Who did.
    pub cancel_requested_by: Option<String>,
    /// Why.
    pub cancel_reason: Option<String>,
    /// How far it has come, in its own unit.
    pub progress_done: Option<i64>,
    /// Out of how many.
    pub progress_total: Option<i64>,
    /// What it is at.
    pub progress_note: Option<String>,
    /// When it said so.
    pub progress_at: Option<DateTime<Utc>>,
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

/// Which jobs are meant; what is absent narrows nothing down.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// In this state.
    pub state: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this queue or lane.
    pub queue: Option<String>,
    /// Of this batch.
    pub batch_id: Option<JobId>,
}

/// Returns the newest jobs that match.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection, filter: &JobFilter, limit: i64) -> sqlx::Result<Vec<JobRow>> {
    sqlx::query_as!(
        JobRow,
        r#"SELECT id AS "id: JobId", kind, queue, priority, state, attempt, failed_attempts, max_attempts, source,
                  external_id, dedupe_key, requested_by, batch_id AS "batch_id: JobId", completes_batch, run_at,
                  created_at, started_at, finished_at, last_error, cancel_requested_at, cancel_requested_by,
                  cancel_reason, progress_done, progress_total, progress_note, progress_at,
                  payload AS "payload: Json<Value>"
           FROM jobs WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR kind = $2)
             AND ($3::text IS NULL OR $3 IN (queue, split_part(queue, '.', 1))) AND ($4::uuid IS NULL OR batch_id = $4)
           ORDER BY id DESC LIMIT $5"#,
        filter.state,
        filter.kind,
        filter.queue,
        filter.batch_id.map(|id| id.0),
        limit,
    )
    .fetch_all(connection)
    .await
}

/// Returns these jobs, in the order of their ids.
///
/// # Errors
/// When the database fails.
pub async fn list_these(connection: &mut PgConnection, ids: &[JobId]) -> sqlx::Result<Vec<JobRow>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(find_row(&mut *connection, *id).await?);
    }
    Ok(found)
}

/// Returns one job with its attempts, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn find(connection: &mut PgConnection, id: JobId) -> sqlx::Result<Option<(JobRow, Vec<AttemptRow>)>> {
    let Some(job) = find_row(&mut *connection, id).await? else { return Ok(None) };
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

async fn find_row(connection: &mut PgConnection, id: JobId) -> sqlx::Result<Option<JobRow>> {
    sqlx::query_as!(
        JobRow,
        r#"SELECT id AS "id: JobId", kind, queue, priority, state, attempt, failed_attempts, max_attempts, source,
                  external_id, dedupe_key, requested_by, batch_id AS "batch_id: JobId", completes_batch, run_at,
                  created_at, started_at, finished_at, last_error, cancel_requested_at, cancel_requested_by,
                  cancel_reason, progress_done, progress_total, progress_note, progress_at,
                  payload AS "payload: Json<Value>"
           FROM jobs WHERE id = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await
}

/// Returns the newest completion jobs of batches.
///
/// # Errors
/// When the database fails.
pub async fn batches(connection: &mut PgConnection, limit: i64) -> sqlx::Result<Vec<JobId>> {
    sqlx::query_scalar!(r#"SELECT id AS "id: JobId" FROM jobs WHERE completes_batch ORDER BY id DESC LIMIT $1"#, limit,)
        .fetch_all(connection)
        .await
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

/// What a lane has to do.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Backlog {
    /// The lane.
    pub queue: String,
    /// Due and not sent to a worker.
    pub waiting: i64,
    /// Due later, or once a batch has ended.
    pub scheduled: i64,
    /// Sent to a worker and not started.
    pub sent: i64,
    /// With a worker.
    pub running: i64,
    /// Waiting for somebody to decide.
    pub dead: i64,
    /// Since when the oldest waiting job is due, in seconds.
    pub oldest_waiting_seconds: Option<f64>,
}

impl Backlog {
    /// Describes a lane with nothing to do.
    pub fn none(queue: String) -> Self {
        Self { queue, waiting: 0, scheduled: 0, sent: 0, running: 0, dead: 0, oldest_waiting_seconds: None }
    }
}

/// Returns the backlog of every lane that has one. Finished jobs, of which there are many, are not read.
///
/// # Errors
/// When the database fails.
pub async fn backlogs(connection: &mut PgConnection) -> sqlx::Result<Vec<Backlog>> {
    sqlx::query_as!(
        Backlog,
        r#"WITH open AS (
             SELECT queue, CASE WHEN run_at <= now() THEN 'waiting' ELSE 'scheduled' END AS stands, run_at
             FROM jobs WHERE state = 'scheduled'
             UNION ALL SELECT queue, 'scheduled', run_at FROM jobs WHERE state = 'awaiting'
             UNION ALL SELECT queue, state, run_at FROM jobs WHERE state IN ('dispatched', 'running')
             UNION ALL SELECT queue, state, run_at FROM jobs WHERE state = 'dead'
         )
         SELECT queue AS "queue!", count(*) FILTER (WHERE stands = 'waiting') AS "waiting!",
                count(*) FILTER (WHERE stands = 'scheduled') AS "scheduled!",
                count(*) FILTER (WHERE stands = 'dispatched') AS "sent!",
                count(*) FILTER (WHERE stands = 'running') AS "running!",
                count(*) FILTER (WHERE stands = 'dead') AS "dead!",
                extract(epoch FROM now() - min(run_at) FILTER (WHERE stands = 'waiting'))::float8
                  AS oldest_waiting_seconds
         FROM open GROUP BY queue ORDER BY queue LIMIT 1000"#
    )
    .fetch_all(connection)
    .await
}
