//! What operators set about queues and lanes: paused or not, how many jobs at once over all workers, how many starts in
//! a time.
//!
//! A control named after a queue (`billing`) holds for all of its lanes together, one named after a lane for that alone.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::operator_actions::{Operator, record_on_queue};

/// Shortest wait for the next token: a fast bucket is served in small handfuls.
const MIN_TOKEN_WAIT_SECONDS: f64 = 0.02;

/// A control as it stands.
#[derive(Clone, Debug, serde::Serialize)]
pub struct QueueControl {
    /// A queue or a lane.
    pub queue: String,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// By whom.
    pub paused_by: Option<String>,
    /// Why.
    pub pause_reason: Option<String>,
    /// When it goes on by itself.
    pub paused_until: Option<DateTime<Utc>>,
    /// Most jobs sent to workers and not finished, over all workers.
    pub max_running: Option<i32>,
    /// Most starts per period.
    pub rate_limit: Option<i32>,
    /// The period.
    pub rate_period_seconds: Option<f64>,
}

impl QueueControl {
    /// Tells whether it holds back a lane: it is the lane's own, or that of its queue.
    pub fn holds(&self, lane: &str) -> bool {
        self.queue == lane || lane.split('.').next().is_some_and(|queue| queue == self.queue)
    }
}

/// What a control lets through now.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// A queue or a lane.
    pub queue: String,
    /// So many jobs.
    pub jobs: i64,
}

/// Returns all controls; a pause that is over is none.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection) -> sqlx::Result<Vec<QueueControl>> {
    sqlx::query_as!(
        QueueControl,
        "SELECT queue, CASE WHEN paused_until <= now() THEN NULL ELSE paused_at END AS paused_at, paused_by, pause_reason,
                paused_until, max_running, rate_limit, rate_period_seconds
         FROM queue_controls ORDER BY queue LIMIT 1000"
    )
    .fetch_all(connection)
    .await
}

/// Pauses a queue or a lane. What was sent to workers and not started is taken back; what runs finishes. Returns how
/// many jobs were taken back.
///
/// # Errors
/// When the database fails.
pub async fn pause(
    connection: &mut PgConnection,
    queue: &str,
    operator: Operator<'_>,
    until: Option<DateTime<Utc>>,
) -> sqlx::Result<u64> {
    hold_back_dispatches(connection).await?;
    sqlx::query!(
        "INSERT INTO queue_controls (queue, paused_at, paused_by, pause_reason, paused_until)
         VALUES ($1, now(), $2, $3, $4)
         ON CONFLICT (queue) DO UPDATE SET paused_at = now(), paused_by = $2, pause_reason = $3, paused_until = $4",
        queue,
        operator.name,
        operator.reason,
        until,
    )
    .execute(&mut *connection)
    .await?;
    let detail = until.map(|until| format!("until {}", until.to_rfc3339()));
    record_on_queue(connection, operator, "pause", queue, detail.as_deref()).await?;
    take_back(connection, queue).await
}

/// Pauses a queue or a lane for so many seconds, unless somebody else has paused it. Returns whether it did.
///
/// # Errors
/// When the database fails.
pub async fn pause_unless_paused(
    connection: &mut PgConnection,
    queue: &str,
    operator: Operator<'_>,
    seconds: f64,
) -> sqlx::Result<bool> {
    hold_back_dispatches(connection).await?;
    let until = sqlx::query_scalar!(
        r#"INSERT INTO queue_controls (queue, paused_at, paused_by, pause_reason, paused_until)
         VALUES ($1, now(), $2, $3, now() + make_interval(secs => $4))
         ON CONFLICT (queue) DO UPDATE
         SET paused_at = now(), paused_by = $2, pause_reason = $3, paused_until = now() + make_interval(secs => $4)
         WHERE queue_controls.paused_at IS NULL OR queue_controls.paused_by = $2 OR queue_controls.paused_until <= now()
         RETURNING paused_until AS "until!""#,
        queue,
        operator.name,
        operator.reason,
        seconds,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(until) = until else { return Ok(false) };
    record_on_queue(connection, operator, "pause", queue, Some(&format!("until {}", until.to_rfc3339()))).await?;
    take_back(connection, queue).await?;
    Ok(true)
}

/// Lets a queue or lane go on that the same operator has paused. Returns false when nobody or somebody else has.
///
/// # Errors
/// When the database fails.
pub async fn resume_own(connection: &mut PgConnection, queue: &str, operator: Operator<'_>) -> sqlx::Result<bool> {
    let is_own = sqlx::query!(
        "SELECT queue FROM queue_controls WHERE queue = $1 AND paused_by = $2 FOR UPDATE",
        queue,
        operator.name,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if is_own.is_none() { Ok(false) } else { resume(connection, queue, operator).await }
}

/// Lets a paused queue or lane go on. Returns false when it is not paused.
///
/// # Errors
/// When the database fails.
pub async fn resume(connection: &mut PgConnection, queue: &str, operator: Operator<'_>) -> sqlx::Result<bool> {
    let resumed = sqlx::query!(
        "UPDATE queue_controls SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, paused_until = NULL
         WHERE queue = $1 AND paused_at IS NOT NULL",
        queue,
    )
    .execute(&mut *connection)
    .await?;
    if resumed.rows_affected() == 0 {
        return Ok(false);
    }
    record_on_queue(connection, operator, "resume", queue, None).await?;
    Ok(true)
}

/// Sets how many jobs may be with workers at once; `None` lifts the limit. It holds for all that has not started.
///
/// # Errors
/// When the database fails.
pub async fn limit_running(
    connection: &mut PgConnection,
    queue: &str,
    most: Option<i32>,
    operator: Operator<'_>,
) -> sqlx::Result<()> {
    hold_back_dispatches(connection).await?;
    sqlx::query!(
        "INSERT INTO queue_controls (queue, max_running) VALUES ($1, $2)
         ON CONFLICT (queue) DO UPDATE SET max_running = $2",
        queue,
        most,
    )
    .execute(&mut *connection)
    .await?;
    let detail = most.map_or_else(|| "running none".to_owned(), |most| format!("running {most}"));
    record_on_queue(connection, operator, "limit", queue, Some(&detail)).await?;
    take_back(connection, queue).await.map(drop)
}

/// Sets how many jobs may start in a period of seconds; `None` lifts the limit. The bucket starts full. It holds for all
/// that has not started.
///
/// # Errors
/// When the database fails.
pub async fn limit_rate(
    connection: &mut PgConnection,
    queue: &str,
    rate: Option<(i32, f64)>,
    operator: Operator<'_>,
) -> sqlx::Result<()> {
    hold_back_dispatches(connection).await?;
    sqlx::query!(
        "INSERT INTO queue_controls (queue, rate_limit, rate_period_seconds, tokens) VALUES ($1, $2, $3, coalesce($2, 0))
         ON CONFLICT (queue) DO UPDATE
         SET rate_limit = $2, rate_period_seconds = $3, tokens = coalesce($2, 0), tokens_at = clock_timestamp()",
        queue,
        rate.map(|(limit, _)| limit),
        rate.map(|(_, period_seconds)| period_seconds),
    )
    .execute(&mut *connection)
    .await?;
    let detail = rate.map_or_else(|| "rate none".to_owned(), |(limit, seconds)| format!("rate {limit} in {seconds} s"));
    record_on_queue(connection, operator, "limit", queue, Some(&detail)).await?;
    take_back(connection, queue).await.map(drop)
}

/// Waits for dispatches under way and holds back those to come, until the caller's transaction ends: none slips past
/// what it sets.
async fn hold_back_dispatches(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("LOCK TABLE queue_controls IN ACCESS EXCLUSIVE MODE").execute(connection).await.map(drop)
}

/// Takes back what was sent to workers and not started: due again, as if never sent. In the order of ids, as workers claim
/// it: two that wait for each other would cost one of them its transaction.
async fn take_back(connection: &mut PgConnection, queue: &str) -> sqlx::Result<u64> {
    let taken_back = sqlx::query!(
        "WITH sent AS MATERIALIZED (
             SELECT id FROM jobs WHERE state = 'dispatched' AND $1 IN (queue, split_part(queue, '.', 1))
             ORDER BY id FOR UPDATE
         )
         UPDATE jobs SET state = 'scheduled', attempt = attempt - 1 FROM sent WHERE jobs.id = sent.id",
        queue,
    )
    .execute(connection)
    .await?;
    Ok(taken_back.rows_affected())
}

/// Tells whether any limit is set.
///
/// # Errors
/// When the database fails.
pub async fn has_limits(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM queue_controls WHERE max_running IS NOT NULL OR rate_limit IS NOT NULL) AS "any!""#
    )
    .fetch_one(connection)
    .await
}

/// Locks the limits until the caller's transaction ends, fills their buckets, and returns what each lets through now.
///
/// # Errors
/// When the database fails.
pub async fn hold_allowances(connection: &mut PgConnection) -> sqlx::Result<Vec<Allowance>> {
    // By a statement of its own: one that waits for a lock does not see what was sent during the wait.
    sqlx::query!(
        "SELECT queue FROM queue_controls WHERE max_running IS NOT NULL OR rate_limit IS NOT NULL
         ORDER BY queue FOR UPDATE"
    )
    .fetch_all(&mut *connection)
    .await?;
    // What was sent and has not started keeps its place in the bucket, or a lane that stood still would start more at once
    // than the bucket holds.
    sqlx::query!(
        "UPDATE queue_controls
         SET tokens = greatest(least(rate_limit - (SELECT count(*) FROM jobs
                                                   WHERE queue_controls.queue IN (jobs.queue, split_part(jobs.queue, '.', 1))
                                                     AND state = 'dispatched'),
                                     tokens + rate_limit * extract(epoch FROM clock_timestamp() - tokens_at)
                                                         / rate_period_seconds), 0),
             tokens_at = clock_timestamp()
         WHERE rate_limit IS NOT NULL",
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query_as!(
        Allowance,
        r#"SELECT queue, greatest(least(
                    floor(tokens)::bigint + CASE WHEN rate_limit IS NULL THEN 1000000 ELSE 0 END,
                    max_running - (SELECT count(*) FROM jobs
                                   WHERE queue_controls.queue IN (jobs.queue, split_part(jobs.queue, '.', 1))
                                     AND state IN ('dispatched', 'running'))), 0) AS "jobs!"
           FROM queue_controls WHERE max_running IS NOT NULL OR rate_limit IS NOT NULL"#,
    )
    .fetch_all(connection)
    .await
}

/// Takes tokens for jobs about to start, one for each lane named. Returns when a bucket that is empty now has its next
/// token, in seconds; `None` where none is empty.
///
/// # Errors
/// When the database fails.
pub async fn spend_tokens(connection: &mut PgConnection, lanes: &[String]) -> sqlx::Result<Option<f64>> {
    sqlx::query_scalar!(
        "WITH spent AS (
             UPDATE queue_controls SET tokens = tokens - (
                 SELECT count(*) FROM unnest($1::text[]) AS lane
                 WHERE queue_controls.queue IN (lane, split_part(lane, '.', 1)))
             WHERE rate_limit IS NOT NULL
             RETURNING CASE WHEN tokens < 1 THEN greatest((1 - tokens) * rate_period_seconds / rate_limit, $2) END AS next
         )
         SELECT min(next) FROM spent",
        lanes,
        MIN_TOKEN_WAIT_SECONDS,
    )
    .fetch_one(connection)
    .await
}
