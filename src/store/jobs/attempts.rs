//! From dispatched to an outcome: who holds an attempt, how it ended, and what happens to the job then.
//!
//! An attempt is written once, when it ends. Until then its job tells who runs it and since when.
//!
//! A job is found by its id and its state judged then (`IS NOT DISTINCT FROM`, which no partial index can prove): left to
//! choose, the planner takes the jobs under way for fewer than they are and looks through all of them for each.

use serde_json::Value;
use sqlx::PgConnection;

use super::unzip;
use crate::domain::ids::{JobId, WorkerId};
#[cfg(feature = "faults")]
use crate::{
    faults::{self, Mutation},
    store::mutations,
};

/// Worker deaths after which a job is poison and runs no more.
const MAX_WORKER_DEATHS: i32 = 3;

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
    /// The completion job of its batch.
    pub batch_id: Option<JobId>,
    /// How many attempts failed before.
    pub failed_attempts: i32,
    /// How many may.
    pub max_attempts: i32,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// The person or system that asked.
    pub requested_by: String,
}

/// Claims the attempts that messages stand for, in the order of ids, as a pause takes them back. A message without a row in
/// the answer is a stale copy.
///
/// # Errors
/// When the database fails; nothing is claimed then.
pub async fn claim(
    connection: &mut PgConnection,
    worker: WorkerId,
    messages: &[(JobId, i32)],
) -> sqlx::Result<Vec<ClaimedJob>> {
    #[cfg(feature = "faults")]
    if faults::is_planted(Mutation::ClaimGuardSkipped) {
        return mutations::claim_unguarded(connection, worker, messages).await;
    }
    let mut messages = messages.to_vec();
    messages.sort_unstable();
    let (ids, attempts) = unzip(messages.into_iter());
    sqlx::query_as!(
        ClaimedJob,
        r#"UPDATE jobs SET state = 'running', started_attempt = jobs.attempt, worker_id = $3, checked_at = now(),
                           started_at = clock_timestamp()
           FROM unnest($1::uuid[], $2::integer[]) AS message (id, attempt)
           WHERE jobs.id = message.id AND jobs.attempt = message.attempt AND jobs.started_attempt < jobs.attempt
             AND jobs.state IS NOT DISTINCT FROM 'dispatched'
           RETURNING jobs.id AS "id: JobId", jobs.attempt, kind, queue, payload, batch_id AS "batch_id: JobId",
                     failed_attempts, max_attempts, traceparent, requested_by"#,
        &ids,
        &attempts,
        worker.0,
    )
    .fetch_all(connection)
    .await
}

/// Records an attempt as done, in the transaction that holds its effects. Returns whether it was still held.
///
/// # Errors
/// When the database fails.
pub async fn finish(
    connection: &mut PgConnection,
    worker: WorkerId,
    (id, attempt): (JobId, i32),
    message: &str,
) -> sqlx::Result<bool> {
    let finished = sqlx::query!(
        "WITH finished AS (
             UPDATE jobs SET state = 'done', finished_at = clock_timestamp(), last_error = NULL
             WHERE id = $1 AND attempt = $2 AND state IS NOT DISTINCT FROM 'running' AND worker_id = $3
             RETURNING id, attempt, worker_id, started_at, finished_at
         )
         INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome, message)
         SELECT id, attempt, worker_id, started_at, finished_at, 'done', $4 FROM finished
         ON CONFLICT (job_id, attempt) DO UPDATE
         SET worker_id = excluded.worker_id, started_at = excluded.started_at, finished_at = excluded.finished_at,
             outcome = excluded.outcome, message = excluded.message",
        id.0,
        attempt,
        worker.0,
        without_nul(message),
    )
    .execute(connection)
    .await?;
    Ok(finished.rows_affected() == 1)
}

/// Records attempts without effects as done, each with a word on what it did. Returns how many were still held.
///
/// # Errors
/// When the database fails.
pub async fn finish_all(
    connection: &mut PgConnection,
    worker: WorkerId,
    attempts: &[(JobId, i32, String)],
) -> sqlx::Result<u64> {
    let (ids, numbers) = unzip(attempts.iter().map(|(id, attempt, _)| (*id, *attempt)));
    let messages: Vec<String> = attempts.iter().map(|(_, _, message)| without_nul(message)).collect();
    let finished = sqlx::query!(
        "WITH finished AS (
             UPDATE jobs SET state = 'done', finished_at = clock_timestamp(), last_error = NULL
             FROM unnest($1::uuid[], $2::integer[], $3::text[]) AS outcome (id, attempt, message)
             WHERE jobs.id = outcome.id AND jobs.attempt = outcome.attempt
               AND jobs.state IS NOT DISTINCT FROM 'running' AND jobs.worker_id = $4
             RETURNING jobs.id, jobs.attempt, jobs.worker_id, started_at, finished_at, outcome.message
         )
         INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome, message)
         SELECT id, attempt, worker_id, started_at, finished_at, 'done', message FROM finished
         ON CONFLICT (job_id, attempt) DO UPDATE
         SET worker_id = excluded.worker_id, started_at = excluded.started_at, finished_at = excluded.finished_at,
             outcome = excluded.outcome, message = excluded.message",
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
    /// It ended because somebody asked for that.
    Cancel,
}

/// Records an attempt that did not finish its job: a job whose cancellation was asked for meanwhile is discarded, not
/// tried again. Returns whether the attempt was still held.
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
        NextStep::Cancel => ("discarded", 0.0, "cancelled", 0),
    };
    let recorded = sqlx::query!(
        "WITH held AS (
             SELECT id, CASE WHEN $3 = 'scheduled' AND cancel_requested_at IS NOT NULL THEN 'discarded'
                             ELSE $3 END AS next
             FROM jobs WHERE id = $1 AND attempt = $2 AND state IS NOT DISTINCT FROM 'running' AND worker_id = $8
             FOR UPDATE
         ), failed AS (
             UPDATE jobs SET state = next, run_at = clock_timestamp() + make_interval(secs => $4),
                             last_error = CASE WHEN next = 'discarded' THEN
                                 'cancelled by ' || cancel_requested_by || ': ' || cancel_reason ELSE $5 END,
                             failed_attempts = failed_attempts + $7,
                             finished_at = CASE WHEN next <> 'scheduled' THEN clock_timestamp() END
             FROM held WHERE jobs.id = held.id
             RETURNING jobs.id, worker_id, started_at
         )
         INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome, message)
         SELECT id, $2, worker_id, started_at, clock_timestamp(), $6, $5 FROM failed
         ON CONFLICT (job_id, attempt) DO UPDATE
         SET worker_id = excluded.worker_id, started_at = excluded.started_at, finished_at = excluded.finished_at,
             outcome = excluded.outcome, message = excluded.message",
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

/// Records that the workers of these attempts vanished: each runs again, unless it is poison, spent or cancelled. An
/// attempt that another worker holds is left alone. Returns how many died.
///
/// The first death costs no wait. A later one costs a random one of up to ten seconds, so that the jobs which only ran
/// beside the one that kills its workers part from it.
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
        "WITH death AS (
             SELECT jobs.id, (CASE WHEN worker_deaths + 1 >= $3 OR failed_attempts + 1 >= max_attempts THEN 'dead'
                                   WHEN cancel_requested_at IS NOT NULL THEN 'discarded'
                                   ELSE 'scheduled' END) AS next
             FROM jobs JOIN unnest($1::uuid[], $2::integer[], $4::uuid[]) AS lost (id, attempt, worker_id)
                         ON jobs.id = lost.id AND jobs.attempt = lost.attempt AND jobs.worker_id = lost.worker_id
             WHERE state IS NOT DISTINCT FROM 'running' FOR UPDATE OF jobs
         ), lost AS (
             UPDATE jobs SET worker_deaths = worker_deaths + 1, failed_attempts = failed_attempts + 1,
                 run_at = now() + random() * least(worker_deaths, 1) * interval '10 seconds',
                 last_error = 'its worker died', state = next,
                 finished_at = CASE WHEN next <> 'scheduled' THEN now() END
             FROM death WHERE jobs.id = death.id
             RETURNING jobs.id, jobs.attempt, worker_id, started_at
         )
         INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome, message)
         SELECT id, attempt, worker_id, started_at, now(), 'worker_died', 'its worker died' FROM lost
         ON CONFLICT (job_id, attempt) DO UPDATE
         SET worker_id = excluded.worker_id, started_at = excluded.started_at, finished_at = excluded.finished_at,
             outcome = excluded.outcome, message = excluded.message",
        &ids,
        &numbers,
        MAX_WORKER_DEATHS,
        &workers,
    )
    .execute(connection)
    .await?;
    Ok(recorded.rows_affected())
}

/// Returns the attempts that run on workers not seen for a while. Only a worker that was seen just now may ask: when
/// Postgres was away, all have been silent.
///
/// # Errors
/// When the database fails.
pub async fn attempts_of_lost_workers(
    connection: &mut PgConnection,
    asks: WorkerId,
    unseen_seconds: f64,
    limit: i64,
) -> sqlx::Result<Vec<(JobId, i32, WorkerId)>> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: JobId", attempt, worker_id AS "worker_id!: WorkerId" FROM jobs
         WHERE state = 'running' AND worker_id IS NOT NULL AND started_at < now() - make_interval(secs => $1)
           AND NOT EXISTS (SELECT 1 FROM workers
                           WHERE workers.id = jobs.worker_id AND seen_at > now() - make_interval(secs => $1))
           AND EXISTS (SELECT 1 FROM workers WHERE workers.id = $3 AND seen_at > now() - make_interval(secs => $1 / 2))
         LIMIT $2"#,
        unseen_seconds,
        limit,
        asks.0,
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
             UPDATE jobs SET state = (CASE WHEN cancel_requested_at IS NULL THEN 'dispatched' ELSE 'discarded' END),
                 finished_at = CASE WHEN cancel_requested_at IS NOT NULL THEN clock_timestamp() END,
                 started_attempt = attempt - 1, worker_id = NULL
             WHERE worker_id = $1 AND state = 'running' RETURNING id, attempt, started_at
         )
         INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome, message)
         SELECT id, attempt, $1, started_at, clock_timestamp(), 'handed_back', 'its worker stopped' FROM returned
         ON CONFLICT (job_id, attempt) DO NOTHING",
        worker.0,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Returns the jobs that the ledger says this worker runs and that it has not in hand: Postgres hung up before it could say
/// that the claim was committed, or took the outcome back with it when it crashed.
///
/// # Errors
/// When the database fails.
pub async fn forgotten_on(
    connection: &mut PgConnection,
    worker: WorkerId,
    in_hand: &[JobId],
    age_seconds: f64,
) -> sqlx::Result<Vec<JobId>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: JobId" FROM jobs
           WHERE worker_id = $1 AND state = 'running' AND checked_at < now() - make_interval(secs => $3)
             AND id <> ALL ($2) LIMIT 1000"#,
        worker.0,
        &in_hand.iter().map(|id| id.0).collect::<Vec<_>>(),
        age_seconds,
    )
    .fetch_all(connection)
    .await
}

/// Gives such jobs back, those that were not claimed anew meanwhile: they are due again, and nothing has failed. Returns
/// how many.
///
/// # Errors
/// When the database fails.
pub async fn hand_back_forgotten(
    connection: &mut PgConnection,
    worker: WorkerId,
    forgotten: &[JobId],
    age_seconds: f64,
) -> sqlx::Result<u64> {
    let returned = sqlx::query!(
        "WITH returned AS (
             UPDATE jobs SET state = CASE WHEN cancel_requested_at IS NULL THEN 'scheduled' ELSE 'discarded' END,
                 finished_at = CASE WHEN cancel_requested_at IS NOT NULL THEN clock_timestamp() END, worker_id = NULL
             WHERE worker_id = $1 AND state = 'running' AND id = ANY ($2)
               AND checked_at < now() - make_interval(secs => $3)
             RETURNING id, attempt, started_at
         )
         INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome, message)
         SELECT id, attempt, $1, started_at, clock_timestamp(), 'handed_back', 'its worker had forgotten it' FROM returned
         ON CONFLICT (job_id, attempt) DO NOTHING",
        worker.0,
        &forgotten.iter().map(|id| id.0).collect::<Vec<_>>(),
        age_seconds,
    )
    .execute(connection)
    .await?;
    Ok(returned.rows_affected())
}

/// How far a long job has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is done, in the job's own unit: rows, invoices, jobs.
    pub done: i64,
    /// Out of how many, where that is known.
    pub total: Option<i64>,
    /// What it is at, in a few words.
    pub note: String,
}

/// How an attempt stands that says how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is held.
    GoesOn,
    /// It is held, and somebody asked for its end.
    IsCancelled,
    /// It was taken away.
    Superseded,
}

/// Records how far an attempt has come, and returns how it stands.
///
/// # Errors
/// When the database fails.
pub async fn record_progress(
    connection: &mut PgConnection,
    worker: WorkerId,
    (id, attempt): (JobId, i32),
    progress: &Progress,
) -> sqlx::Result<Standing> {
    let is_cancelled = sqlx::query_scalar!(
        r#"UPDATE jobs SET progress_done = $4, progress_total = $5, progress_note = $6, progress_at = now()
           WHERE id = $1 AND attempt = $2 AND state IS NOT DISTINCT FROM 'running' AND worker_id = $3
           RETURNING cancel_requested_at IS NOT NULL AS "is_cancelled!""#,
        id.0,
        attempt,
        worker.0,
        progress.done,
        progress.total,
        without_nul(&progress.note),
    )
    .fetch_optional(connection)
    .await?;
    Ok(match is_cancelled {
        Some(false) => Standing::GoesOn,
        Some(true) => Standing::IsCancelled,
        None => Standing::Superseded,
    })
}

/// Returns the jobs a worker runs whose cancellation was asked for.
///
/// # Errors
/// When the database fails.
pub async fn cancelled_on(connection: &mut PgConnection, worker: WorkerId) -> sqlx::Result<Vec<JobId>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: JobId" FROM jobs
           WHERE worker_id = $1 AND state = 'running' AND cancel_requested_at IS NOT NULL LIMIT 1000"#,
        worker.0,
    )
    .fetch_all(connection)
    .await
}

/// Replaces the one character that Postgres does not take: an outcome must never wait for ever for its words.
fn without_nul(message: &str) -> String {
    message.replace('\0', "\u{fffd}")
}
