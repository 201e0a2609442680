//! Jobs as those see them who handed them in: where each stands, how far it is, what went wrong.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::ids::JobId;

/// Where a job stands.
#[derive(Clone, Debug)]
pub struct JobStatus {
    /// The job.
    pub id: JobId,
    /// Which handler runs it.
    pub kind: String,
    /// The lane.
    pub queue: String,
    /// Where it stands.
    pub state: String,
    /// Who sent it.
    pub source: String,
    /// The sender's id for it.
    pub external_id: String,
    /// Attempts that were started.
    pub attempts: i32,
    /// How many failed.
    pub failed_attempts: i32,
    /// How many may.
    pub max_attempts: i32,
    /// What is done, in the job's own unit.
    pub progress_done: Option<i64>,
    /// Out of how many.
    pub progress_total: Option<i64>,
    /// What it is at.
    pub progress_note: Option<String>,
    /// When it is due, or was.
    pub run_at: DateTime<Utc>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its latest attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// Returns the jobs with these ids, in any order.
///
/// # Errors
/// When the database fails.
pub async fn find(connection: &mut PgConnection, ids: &[JobId]) -> sqlx::Result<Vec<JobStatus>> {
    sqlx::query_as!(
        JobStatus,
        r#"SELECT id AS "id: JobId", kind, queue, state, source, external_id, started_attempt AS attempts,
                  failed_attempts, max_attempts, progress_done, progress_total, progress_note, run_at, created_at,
                  started_at, finished_at, last_error
           FROM jobs WHERE id = ANY ($1)"#,
        &ids.iter().map(|id| id.0).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await
}
