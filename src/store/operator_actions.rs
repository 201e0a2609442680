//! What people did to queues, jobs and the console's users: who, when, why. Appended only; the application's role has no right to more.
//!
//! Actions on jobs are appended by the statements of `store::jobs` that change them, those on queues by
//! `store::queue_controls`: always in the transaction of the change.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::{console_access::AccessName, ids::JobId};

/// Who changes something, and why.
#[derive(Clone, Copy, Debug)]
pub struct Operator<'a> {
    /// A person or a system.
    pub name: &'a str,
    /// In words for whoever wonders later.
    pub reason: &'a str,
}

/// Something an operator did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct OperatorAction {
    /// When.
    pub done_at: DateTime<Utc>,
    /// Who.
    pub done_by: String,
    /// What: pause, resume, limit, cancel, retry or discard; to many jobs: `change_jobs`.
    pub action: String,
    /// To which queue or lane.
    pub queue: Option<String>,
    /// To which job.
    pub job_id: Option<JobId>,
    /// Why.
    pub reason: String,
    /// What was set.
    pub detail: Option<String>,
}

/// Appends an action on a queue or lane.
///
/// # Errors
/// When the database fails.
pub(super) async fn record_on_queue(
    connection: &mut PgConnection,
    operator: Operator<'_>,
    action: &str,
    queue: &str,
    detail: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO operator_actions (done_by, action, queue, reason, detail) VALUES ($1, $2, $3, $4, $5)",
        operator.name,
        action,
        queue,
        operator.reason,
        detail,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Appends an action on a user or a token of the console.
///
/// # Errors
/// When the database fails.
pub(super) async fn record_on_access(
    connection: &mut PgConnection,
    operator: Operator<'_>,
    action: &str,
    name: &AccessName,
    detail: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO operator_actions (done_by, action, access_name, reason, detail) VALUES ($1, $2, $3, $4, $5)",
        operator.name,
        action,
        name.as_str(),
        operator.reason,
        detail,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Appends that somebody had a job change many others; each of them gets an action of its own.
///
/// # Errors
/// When the database fails.
pub async fn record_bulk_change(
    connection: &mut PgConnection,
    operator: Operator<'_>,
    job_id: JobId,
    detail: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO operator_actions (done_by, action, job_id, reason, detail) VALUES ($1, 'change_jobs', $2, $3, $4)",
        operator.name,
        job_id.0,
        operator.reason,
        detail,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Returns what was done to a job, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn of_job(connection: &mut PgConnection, id: JobId) -> sqlx::Result<Vec<OperatorAction>> {
    sqlx::query_as!(
        OperatorAction,
        r#"SELECT done_at, done_by, action, queue, job_id AS "job_id: JobId", reason, detail
           FROM operator_actions WHERE job_id = $1 ORDER BY id LIMIT 1000"#,
        id.0,
    )
    .fetch_all(connection)
    .await
}

/// Returns what was done to a queue or lane lately, newest first.
///
/// # Errors
/// When the database fails.
pub async fn of_queue(connection: &mut PgConnection, queue: &str, limit: i64) -> sqlx::Result<Vec<OperatorAction>> {
    sqlx::query_as!(
        OperatorAction,
        r#"SELECT done_at, done_by, action, queue, job_id AS "job_id: JobId", reason, detail
           FROM operator_actions WHERE queue = $1 ORDER BY id DESC LIMIT $2"#,
        queue,
        limit,
    )
    .fetch_all(connection)
    .await
}
