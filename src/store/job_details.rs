//! What pages show of jobs beside their rows: whom they are about, who ran them, which belong together.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::ids::{CustomerId, InvoiceId, JobId, ResellerId};

/// A job in a list.
#[derive(Clone, Debug)]
pub struct JobSummary {
    /// The job.
    pub id: JobId,
    /// Which handler runs it.
    pub kind: String,
    /// The lane.
    pub queue: String,
    /// Where it stands.
    pub state: String,
    /// How many attempts failed.
    pub failed_attempts: i32,
    /// How many may.
    pub max_attempts: i32,
    /// The beginning of what went wrong last.
    pub error: Option<String>,
    /// When it is due, or was.
    pub run_at: DateTime<Utc>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What is done, in the job's own unit.
    pub progress_done: Option<i64>,
    /// Out of how many.
    pub progress_total: Option<i64>,
    /// Of which provider, where its payload says so.
    pub provider: Option<String>,
    /// Of which month, where its payload says so.
    pub billing_period: Option<String>,
    /// Whose.
    pub reseller_id: Option<ResellerId>,
    /// About which invoice.
    pub invoice_id: Option<InvoiceId>,
    /// Its number, or its document id while it has none.
    pub invoice: Option<String>,
    /// About which customer.
    pub customer_id: Option<CustomerId>,
    /// Its name.
    pub customer: Option<String>,
}

/// Returns jobs with what their payloads name, newest first.
///
/// # Errors
/// When the database fails.
pub async fn summaries(connection: &mut PgConnection, ids: &[JobId]) -> sqlx::Result<Vec<JobSummary>> {
    sqlx::query_as!(
        JobSummary,
        r#"SELECT jobs.id AS "id: JobId", jobs.kind, queue, jobs.state, failed_attempts, max_attempts,
                  left(last_error, 120) AS error, run_at, jobs.created_at, jobs.finished_at, progress_done, progress_total,
                  payload ->> 'provider' AS provider, payload ->> 'billing_period' AS billing_period,
                  payload_id(payload, 'reseller_id') AS "reseller_id: ResellerId",
                  invoices.id AS "invoice_id?: InvoiceId",
                  coalesce(invoices.number, invoices.document_id) AS "invoice?",
                  customers.id AS "customer_id?: CustomerId", customers.name AS "customer?"
           FROM jobs
           LEFT JOIN notifications
             ON notifications.reseller_id = payload_id(payload, 'reseller_id')
            AND notifications.id = payload_id(payload, 'notification_id')
           LEFT JOIN invoices
             ON invoices.reseller_id = payload_id(payload, 'reseller_id')
            AND invoices.id = coalesce(notifications.invoice_id, payload_id(payload, 'invoice_id'))
           LEFT JOIN customers
             ON customers.reseller_id = payload_id(payload, 'reseller_id')
            AND customers.id = coalesce(invoices.customer_id, payload_id(payload, 'customer_id'))
           WHERE jobs.id = ANY ($1) ORDER BY jobs.id DESC LIMIT 1000"#,
        &ids.iter().map(|id| id.0).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await
}

/// An attempt, with the name of who ran it.
#[derive(Clone, Debug)]
pub struct AttemptDetail {
    /// Its number.
    pub attempt: i32,
    /// Who ran it; `None` once the worker is forgotten.
    pub worker: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// How long it took.
    pub seconds: f64,
    /// How it ended.
    pub outcome: String,
    /// The beginning of what it did, or what went wrong.
    pub message: Option<String>,
}

/// Returns the latest attempts at a job, oldest first. One that is under way is not among them.
///
/// # Errors
/// When the database fails.
pub async fn attempts(connection: &mut PgConnection, id: JobId, limit: i64) -> sqlx::Result<Vec<AttemptDetail>> {
    let mut latest = sqlx::query_as!(
        AttemptDetail,
        r#"SELECT attempt, workers.name AS "worker?", job_attempts.started_at, finished_at,
                  extract(epoch FROM finished_at - job_attempts.started_at)::float8 AS "seconds!", outcome,
                  left(message, 240) AS message
           FROM job_attempts LEFT JOIN workers ON workers.id = worker_id
           WHERE job_id = $1 ORDER BY attempt DESC LIMIT $2"#,
        id.0,
        limit,
    )
    .fetch_all(connection)
    .await?;
    latest.reverse();
    Ok(latest)
}

/// How a job came to be, and who has it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The job that fanned it out.
    pub parent_id: Option<JobId>,
    /// The trace of the request.
    pub trace_id: Option<String>,
    /// The worker that has it, while it runs.
    pub worker: Option<String>,
    /// What its payload says it is about, as text.
    pub subject: Option<String>,
}

/// Returns how a job came to be, and who has it.
///
/// # Errors
/// When the database fails.
pub async fn origin(connection: &mut PgConnection, id: JobId) -> sqlx::Result<Option<Origin>> {
    sqlx::query_as!(
        Origin,
        r#"SELECT parent_id AS "parent_id: JobId", substr(traceparent, 4, 32) AS trace_id,
                  CASE WHEN jobs.state = 'running' THEN workers.name END AS worker,
                  coalesce(payload ->> 'invoice_id', payload ->> 'notification_id', payload ->> 'customer_id') AS subject
           FROM jobs LEFT JOIN workers ON workers.id = jobs.worker_id WHERE jobs.id = $1"#,
        id.0,
    )
    .fetch_optional(connection)
    .await
}

/// Returns the jobs that a job fanned out, and those about the same invoice, notification or customer: the newest of both,
/// without itself.
///
/// # Errors
/// When the database fails.
pub async fn related(
    connection: &mut PgConnection,
    id: JobId,
    subject: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<JobId>> {
    sqlx::query_scalar!(
        r#"(SELECT id AS "id!: JobId" FROM jobs WHERE parent_id = $1 ORDER BY id DESC LIMIT $3)
           UNION
           (SELECT id FROM jobs
            WHERE coalesce(payload ->> 'invoice_id', payload ->> 'notification_id', payload ->> 'customer_id') = $2
              AND id <> $1
            ORDER BY id DESC LIMIT $3)
           ORDER BY 1 DESC LIMIT $3"#,
        id.0,
        subject,
        limit,
    )
    .fetch_all(connection)
    .await
}
