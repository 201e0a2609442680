//! The ledger of jobs: accepted, dispatched, claimed, finished, failed, rescued.
//!
//! Called by `queue` and the command line. Every write of an outcome demands the attempt's number (the fencing token)
//! and counts its rows: a worker that slept past its lease finds its attempt gone and changes nothing.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::domain::ids::{JobId, WorkerId};

/// Worker deaths after which a job is poison and runs no more.
const MAX_WORKER_DEATHS: i32 = 3;

/// A job to be accepted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Which handler runs it.
    pub kind: &'static str,
    /// The lane it waits in, such as `billing.aws`.
    pub queue: String,
    /// Higher goes first.
    pub priority: i16,
    /// Ids and enums; the handler loads the rest.
    pub payload: Value,
    /// SHA-256 over kind and payload: tells a repeat from a conflict.
    pub payload_hash: [u8; 32],
    /// Who sends it; with `external_id` the idempotency key.
    pub source: String,
    /// The sender's own id for it.
    pub external_id: String,
    /// The job that fanned it out.
    pub parent_id: Option<JobId>,
    /// Failed attempts after which it is dead.
    pub max_attempts: i32,
    /// Not before; `None` is at once.
    pub run_at: Option<DateTime<Utc>>,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// The person or system that asked.
    pub requested_by: String,
}

/// What became of a job handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is recorded and will run.
    New(JobId),
    /// The same job was handed in before: this is its id.
    Repeated(JobId),
}

impl Accepted {
    /// Returns the job's id, new or not.
    pub fn id(self) -> JobId {
        match self {
            Self::New(id) | Self::Repeated(id) => id,
        }
    }
}

/// Says why a job was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The idempotency key is taken by other work.
    #[error("id `{external_id}` of source `{source_name}` was used for another {kind}; send a new id for new work")]
    Conflict {
        /// Who sends.
        source_name: String,
        /// The id that was used before.
        external_id: String,
        /// Kind of the new job.
        kind: &'static str,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Records a job in the caller's transaction. The same key with the same payload is the first job again.
///
/// # Errors
/// [`AcceptError::Conflict`] when the key was used with another payload.
pub async fn accept(connection: &mut PgConnection, job: &NewJob) -> Result<Accepted, AcceptError> {
    let inserted = sqlx::query!(
        "INSERT INTO jobs (id, kind, queue, priority, payload, payload_hash, source, external_id, parent_id, max_attempts,
                           run_at, traceparent, requested_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11, now()), $12, $13)
         ON CONFLICT (source, external_id) DO NOTHING",
        job.id.0,
        job.kind,
        job.queue,
        job.priority,
        job.payload,
        &job.payload_hash[..],
        job.source,
        job.external_id,
        job.parent_id.map(|id| id.0),
        job.max_attempts,
        job.run_at,
        job.traceparent,
        job.requested_by,
    )
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(Accepted::New(job.id));
    }
    let first = sqlx::query!(
        r#"SELECT id AS "id: JobId", payload_hash FROM jobs WHERE source = $1 AND external_id = $2"#,
        job.source,
        job.external_id,
    )
    .fetch_one(connection)
    .await?;
    if first.payload_hash == job.payload_hash {
        return Ok(Accepted::Repeated(first.id));
    }
    Err(AcceptError::Conflict { source_name: job.source.clone(), external_id: job.external_id.clone(), kind: job.kind })
}

/// The channel on which writers outside the worker say that a job waits.
pub const NOTIFY_CHANNEL: &str = "billrunner_jobs";

/// Wakes every dispatch loop once the caller's transaction commits.
///
/// # Errors
/// When the database fails.
pub async fn notify_dispatchers(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_notify($1, '')", NOTIFY_CHANNEL).execute(connection).await.map(drop)
}

/// A job on its way to Redis: what the message carries, and where it goes.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The job.
    pub id: JobId,
    /// The attempt this message is for.
    pub attempt: i32,
    /// The lane.
    pub queue: String,
}

/// Takes due jobs, most urgent first, and raises their attempt. Several callers never take the same one.
///
/// # Errors
/// When the database fails.
pub async fn take_due(connection: &mut PgConnection, limit: i64) -> sqlx::Result<Vec<Dispatch>> {
    let mut rows = sqlx::query!(
        r#"WITH due AS (
             SELECT id FROM jobs WHERE state = 'scheduled' AND run_at <= now()
             ORDER BY priority DESC, run_at, id LIMIT $1 FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs SET state = 'dispatched', attempt = attempt + 1, checked_at = now(), stream_id = NULL
         FROM due WHERE jobs.id = due.id
         RETURNING jobs.id AS "id: JobId", jobs.attempt, jobs.queue, jobs.priority, jobs.run_at"#,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.sort_by_key(|row| (std::cmp::Reverse(row.priority), row.run_at, row.id));
    Ok(rows.into_iter().map(|row| Dispatch { id: row.id, attempt: row.attempt, queue: row.queue }).collect())
}

/// Remembers under which stream ids Redis took the messages.
///
/// # Errors
/// When the database fails.
pub async fn record_stream_ids(
    connection: &mut PgConnection,
    dispatched: &[Dispatch],
    stream_ids: &[String],
) -> sqlx::Result<()> {
    let (ids, attempts) = unzip(dispatched.iter().map(|dispatch| (dispatch.id, dispatch.attempt)));
    sqlx::query!(
        "UPDATE jobs SET stream_id = sent.stream_id
         FROM unnest($1::uuid[], $2::integer[], $3::text[]) AS sent (id, attempt, stream_id)
         WHERE jobs.id = sent.id AND jobs.attempt = sent.attempt AND jobs.state IN ('dispatched', 'running')",
        &ids,
        &attempts,
        stream_ids,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Takes a dispatch back that Redis did not take: due again, as if never tried.
///
/// # Errors
/// When the database fails; `reconcile` then finds the rows.
pub async fn undo_dispatch(connection: &mut PgConnection, dispatched: &[Dispatch]) -> sqlx::Result<()> {
    let (ids, attempts) = unzip(dispatched.iter().map(|dispatch| (dispatch.id, dispatch.attempt)));
    sqlx::query!(
        "UPDATE jobs SET state = 'scheduled', attempt = jobs.attempt - 1
         FROM unnest($1::uuid[], $2::integer[]) AS unsent (id, attempt)
         WHERE jobs.id = unsent.id AND jobs.attempt = unsent.attempt AND jobs.state = 'dispatched'",
        &ids,
        &attempts,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Returns how long until the next job is due, in seconds; zero when one is overdue, `None` when none waits.
///
/// # Errors
/// When the database fails.
pub async fn seconds_until_due(connection: &mut PgConnection) -> sqlx::Result<Option<f64>> {
    sqlx::query_scalar!(
        "SELECT greatest(extract(epoch FROM min(run_at) - clock_timestamp()), 0)::float8
         FROM jobs WHERE state = 'scheduled' AND isfinite(run_at)"
    )
    .fetch_one(connection)
    .await
}

/// A job whose attempt a worker holds.
#[derive(Clone, Debug)]
pub struct ClaimedJob {
    /// The job.
    pub id: JobId,
    /// The attempt, to be shown with every outcome.
    pub attempt: i32,
    /// Which handler runs it.
    pub kind: String,
    /// The lane it came from.
    pub queue: String,
    /// As accepted.
    pub payload: Value,
    /// How many attempts failed before.
    pub failed_attempts: i32,
    /// How many may.
    pub max_attempts: i32,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// The person or system that asked.
    pub requested_by: String,
}

/// Claims the attempts that messages stand for. A message without a row in the answer is a stale copy.
///
/// # Errors
/// When the database fails; nothing is claimed then.
pub async fn claim(
    connection: &mut PgConnection,
    worker: WorkerId,
    messages: &[(JobId, i32)],
) -> sqlx::Result<Vec<ClaimedJob>> {
    let (ids, attempts) = unzip(messages.iter().copied());
    sqlx::query_as!(
        ClaimedJob,
        r#"WITH claimed AS (
             UPDATE jobs SET state = 'running', started_attempt = jobs.attempt, worker_id = $3, checked_at = now()
             FROM unnest($1::uuid[], $2::integer[]) AS message (id, attempt)
             WHERE jobs.id = message.id AND jobs.attempt = message.attempt
               AND jobs.started_attempt < jobs.attempt AND jobs.state = 'dispatched'
             RETURNING jobs.*
         ), logged AS (
             INSERT INTO job_attempts (job_id, attempt, worker_id) SELECT id, attempt, $3 FROM claimed
             ON CONFLICT (job_id, attempt) DO UPDATE
             SET worker_id = excluded.worker_id, started_at = now(), finished_at = NULL, outcome = NULL, message = NULL
         )
         SELECT id AS "id!: JobId", attempt AS "attempt!", kind AS "kind!", queue AS "queue!", payload AS "payload!",
                failed_attempts AS "failed_attempts!", max_attempts AS "max_attempts!", traceparent,
                requested_by AS "requested_by!"
         FROM claimed"#,
        &ids,
        &attempts,
        worker.0,
    )
    .fetch_all(connection)
    .await
}

/// Records attempts as done, each with a word on what it did. Returns how many were still held.
///
/// # Errors
/// When the database fails.
pub async fn finish(
    connection: &mut PgConnection,
    worker: WorkerId,
    attempts: &[(JobId, i32, String)],
) -> sqlx::Result<u64> {
    let (ids, numbers) = unzip(attempts.iter().map(|(id, attempt, _)| (*id, *attempt)));
    let messages: Vec<String> = attempts.iter().map(|(_, _, message)| without_nul(message)).collect();
    let finished = sqlx::query!(
        "WITH finished AS (
             UPDATE jobs SET state = 'done', finished_at = now(), last_error = NULL
             FROM unnest($1::uuid[], $2::integer[], $3::text[]) AS outcome (id, attempt, message)
             WHERE jobs.id = outcome.id AND jobs.attempt = outcome.attempt
               AND jobs.state = 'running' AND jobs.worker_id = $4
             RETURNING jobs.id, jobs.attempt, outcome.message
         )
         UPDATE job_attempts SET finished_at = now(), outcome = 'done', message = finished.message
         FROM finished WHERE job_attempts.job_id = finished.id AND job_attempts.attempt = finished.attempt",
        &ids,
        &numbers,
        &messages,
        worker.0,
    )
    .execute(connection)
    .await?;
    Ok(finished.rows_affected())
}

/// What happens to a job after an attempt that did not finish it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NextStep {
    /// It failed and runs again after this many seconds.
    Retry(f64),
    /// It asked to run later; nothing failed.
    Snooze(f64),
    /// It will not run again by itself.
    Die,
}

/// Records an attempt that did not finish its job. Returns whether the attempt was still held.
///
/// # Errors
/// When the database fails.
pub async fn fail(
    connection: &mut PgConnection,
    worker: WorkerId,
    (id, attempt): (JobId, i32),
    next: NextStep,
    message: &str,
) -> sqlx::Result<bool> {
    let message = without_nul(message);
    let (state, delay_seconds, outcome, failures) = match next {
        NextStep::Retry(seconds) => ("scheduled", seconds, "failed", 1),
        NextStep::Snooze(seconds) => ("scheduled", seconds, "snoozed", 0),
        NextStep::Die => ("dead", 0.0, "failed", 1),
    };
    let recorded = sqlx::query!(
        "WITH failed AS (
             UPDATE jobs SET state = $3, run_at = now() + make_interval(secs => $4), last_error = $5,
                             failed_attempts = failed_attempts + $7,
                             finished_at = CASE WHEN $3 = 'dead' THEN now() END
             WHERE id = $1 AND attempt = $2 AND state = 'running' AND worker_id = $8
             RETURNING id
         )
         UPDATE job_attempts SET finished_at = now(), outcome = $6, message = $5
         FROM failed WHERE job_attempts.job_id = failed.id AND job_attempts.attempt = $2",
        id.0,
        attempt,
        state,
        delay_seconds,
        message,
        outcome,
        failures,
        worker.0,
    )
    .execute(connection)
    .await?;
    Ok(recorded.rows_affected() == 1)
}

/// Records that the workers of these attempts vanished: each runs again at once, unless it is poison or spent. An
/// attempt that another worker holds is left alone. Returns how many died.
///
/// # Errors
/// When the database fails.
pub async fn record_worker_deaths(
    connection: &mut PgConnection,
    attempts: &[(JobId, i32, WorkerId)],
) -> sqlx::Result<u64> {
    let (ids, numbers) = unzip(attempts.iter().map(|(id, attempt, _)| (*id, *attempt)));
    let workers: Vec<uuid::Uuid> = attempts.iter().map(|(.., worker)| worker.0).collect();
    let recorded = sqlx::query!(
        "WITH lost AS (
             UPDATE jobs SET worker_deaths = worker_deaths + 1, failed_attempts = failed_attempts + 1, run_at = now(),
                 last_error = 'its worker died',
                 state = CASE WHEN worker_deaths + 1 >= $3 OR failed_attempts + 1 >= max_attempts
                              THEN 'dead' ELSE 'scheduled' END,
                 finished_at = CASE WHEN worker_deaths + 1 >= $3 OR failed_attempts + 1 >= max_attempts THEN now() END
             FROM unnest($1::uuid[], $2::integer[], $4::uuid[]) AS death (id, attempt, worker_id)
             WHERE jobs.id = death.id AND jobs.attempt = death.attempt AND jobs.state = 'running'
               AND jobs.worker_id = death.worker_id
             RETURNING jobs.id, jobs.attempt
         )
         UPDATE job_attempts SET finished_at = now(), outcome = 'worker_died', message = 'its worker died'
         FROM lost WHERE job_attempts.job_id = lost.id AND job_attempts.attempt = lost.attempt",
        &ids,
        &numbers,
        MAX_WORKER_DEATHS,
        &workers,
    )
    .execute(connection)
    .await?;
    Ok(recorded.rows_affected())
}

/// Returns the attempts that run on workers not seen for a while.
///
/// # Errors
/// When the database fails.
pub async fn attempts_of_lost_workers(
    connection: &mut PgConnection,
    unseen_seconds: f64,
    limit: i64,
) -> sqlx::Result<Vec<(JobId, i32, WorkerId)>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: JobId", attempt, worker_id AS "worker_id!: WorkerId" FROM jobs
         WHERE state = 'running' AND worker_id IS NOT NULL AND checked_at < now() - make_interval(secs => $1)
           AND NOT EXISTS (SELECT 1 FROM workers
                           WHERE workers.id = jobs.worker_id AND seen_at > now() - make_interval(secs => $1))
         LIMIT $2"#,
        unseen_seconds,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.attempt, row.worker_id)).collect())
}

/// Gives the unfinished attempts of a stopping worker back: claimable again under the same number.
///
/// # Errors
/// When the database fails.
pub async fn hand_back(connection: &mut PgConnection, worker: WorkerId) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH returned AS (
             UPDATE jobs SET state = 'dispatched', started_attempt = attempt - 1, worker_id = NULL
             WHERE worker_id = $1 AND state = 'running' RETURNING id, attempt
         )
         UPDATE job_attempts SET finished_at = now(), outcome = 'handed_back', message = 'its worker stopped'
         FROM returned WHERE job_attempts.job_id = returned.id AND job_attempts.attempt = returned.attempt",
        worker.0,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Takes jobs that have been with Redis for a while, to look whether Redis still has them.
/// The answer carries the stream id; `None` was never sent.
///
/// # Errors
/// When the database fails.
pub async fn take_unchecked(
    connection: &mut PgConnection,
    age_seconds: f64,
    limit: i64,
) -> sqlx::Result<Vec<(Dispatch, Option<String>)>> {
    let rows = sqlx::query!(
        r#"WITH unchecked AS (
             SELECT id FROM jobs WHERE state = 'dispatched' AND checked_at <= now() - make_interval(secs => $1)
             ORDER BY checked_at LIMIT $2 FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs SET checked_at = clock_timestamp() FROM unchecked WHERE jobs.id = unchecked.id
         RETURNING jobs.id AS "id: JobId", jobs.attempt, jobs.queue, jobs.stream_id"#,
        age_seconds,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (Dispatch { id: row.id, attempt: row.attempt, queue: row.queue }, row.stream_id))
        .collect())
}

/// Deletes a small batch of jobs that finished long ago; dead ones stay until somebody decides. Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn prune(connection: &mut PgConnection, age_days: i32, limit: i64) -> sqlx::Result<u64> {
    let pruned = sqlx::query!(
        "DELETE FROM jobs WHERE id IN (
             SELECT id FROM jobs WHERE state IN ('done', 'discarded') AND finished_at < now() - make_interval(days => $1)
             LIMIT $2)",
        age_days,
        limit,
    )
    .execute(connection)
    .await?;
    Ok(pruned.rows_affected())
}

/// Replaces the one character that Postgres does not take: an outcome must never wait for ever for its words.
fn without_nul(message: &str) -> String {
    message.replace('\0', "\u{fffd}")
}

fn unzip(attempts: impl Iterator<Item = (JobId, i32)>) -> (Vec<uuid::Uuid>, Vec<i32>) {
    attempts.map(|(id, attempt)| (id.0, attempt)).unzip()
}
