//! From scheduled to dispatched: which jobs go to Redis, in which order, and which of them Redis may have lost.

use chrono::{DateTime, Utc};
use sqlx::{Acquire, PgConnection};

use super::unzip;
use crate::domain::ids::JobId;

/// A job on its way to Redis: what the message carries, and where it goes.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The job.
    pub id: JobId,
    /// The attempt this message is for.
    pub attempt: i32,
    /// The lane.
    pub queue: String,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
}

/// How many jobs a lane takes now.
#[derive(Clone, Debug)]
pub struct Room {
    /// The lane.
    pub queue: String,
    /// Most jobs of this lane.
    pub places: i64,
    /// The lane itself, or the queue whose limit it shares with other lanes.
    pub bound: String,
    /// Most jobs of all lanes with this bound; `None` is as many as each lane takes.
    pub bound_places: Option<i64>,
}

/// Takes due jobs, those that waited longest or are most urgent first, and raises their attempt. Several callers never
/// take the same one; lanes that are paused give none. Nobody gives any where limits were set that the caller does not
/// hold, see `queue_controls::hold_allowances`.
///
/// The search in a lane's order ends at the rank of the least urgent job that is due now: what is due much later is not
/// looked at.
///
/// # Errors
/// When the database fails.
pub async fn take_due(
    connection: &mut PgConnection,
    rooms: &[Room],
    holds_limits: bool,
) -> sqlx::Result<Vec<Dispatch>> {
    let queues: Vec<String> = rooms.iter().map(|room| room.queue.clone()).collect();
    let places: Vec<i64> = rooms.iter().map(|room| room.places).collect();
    let bounds: Vec<String> = rooms.iter().map(|room| room.bound.clone()).collect();
    let bound_places: Vec<Option<i64>> = rooms.iter().map(|room| room.bound_places).collect();
    let mut rows = sqlx::query!(
        r#"WITH room AS (
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[])
                        AS room (queue, places, bound, bound_places)
             WHERE NOT EXISTS (SELECT FROM queue_controls
                               WHERE queue_controls.queue IN (room.queue, split_part(room.queue, '.', 1))
                                 AND paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > now()))
               AND ($5 OR NOT EXISTS (SELECT FROM queue_controls
                                      WHERE max_running IS NOT NULL OR rate_limit IS NOT NULL))
         ), candidate AS (
             SELECT due.id, row_number() OVER (PARTITION BY bound ORDER BY rank, id) AS place, bound_places
             FROM room CROSS JOIN LATERAL (
                 SELECT id, dispatch_rank(run_at, priority) AS rank FROM jobs
                 WHERE jobs.queue = room.queue AND state = 'scheduled' AND run_at <= now()
                   AND dispatch_rank(run_at, priority) <= dispatch_rank(now(), (-100)::smallint)
                 ORDER BY dispatch_rank(run_at, priority), id LIMIT room.places FOR UPDATE SKIP LOCKED) AS due
         )
         UPDATE jobs SET state = 'dispatched', attempt = attempt + 1, checked_at = now()
         WHERE id = ANY (ARRAY(SELECT id FROM candidate WHERE bound_places IS NULL OR place <= bound_places))
         RETURNING id AS "id: JobId", attempt, queue, traceparent,
                   dispatch_rank(run_at, priority) AS "rank!""#,
        &queues,
        &places,
        &bounds,
        &bound_places as &[Option<i64>],
        holds_limits,
    )
    .fetch_all(connection)
    .await?;
    rows.sort_by(|a, b| a.rank.total_cmp(&b.rank).then(a.id.cmp(&b.id)));
    let taken = rows.into_iter().map(|row| Dispatch {
        id: row.id,
        attempt: row.attempt,
        queue: row.queue,
        traceparent: row.traceparent,
    });
    Ok(taken.collect())
}

/// Takes a dispatch back that Redis did not take: due again, as if never tried.
///
/// # Errors
/// When the database fails; reconciliation then finds the rows.
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

/// Returns how long until the next waiting job is due or the next pause ends, in seconds; `None` when nothing waits.
///
/// # Errors
/// When the database fails.
pub async fn seconds_until_due(connection: &mut PgConnection) -> sqlx::Result<Option<f64>> {
    sqlx::query_scalar!(
        "SELECT greatest(extract(epoch FROM least(
             (SELECT run_at FROM jobs WHERE state = 'scheduled' AND run_at > now() ORDER BY run_at LIMIT 1),
             (SELECT min(paused_until) FROM queue_controls WHERE paused_until > now())) - clock_timestamp()), 0)::float8"
    )
    .fetch_one(connection)
    .await
}

/// Makes the completion jobs due whose batches have no job left that is not final. Returns how many.
///
/// A batch under way is known by one look at the end of its index, where the jobs that wait longest are: from the front
/// each look would walk over all that a hundred thousand jobs left behind since the last vacuum.
///
/// # Errors
/// When the database fails.
pub async fn release_batches(connection: &mut PgConnection) -> sqlx::Result<u64> {
    let ended = sqlx::query_scalar!(
        "SELECT id FROM jobs
         WHERE completes_batch AND state = 'awaiting' AND (
             SELECT member.state FROM jobs AS member WHERE member.batch_id = jobs.id
               AND member.state IN ('awaiting', 'scheduled', 'dispatched', 'running')
             ORDER BY member.batch_id DESC, member.state DESC LIMIT 1) IS NULL
         LIMIT 100",
    )
    .fetch_all(&mut *connection)
    .await?;
    if ended.is_empty() {
        return Ok(0);
    }
    // Locked, then looked at once more: a job of the batch that is made due again meanwhile locks the same row first.
    let mut transaction = connection.begin().await?;
    let ended = sqlx::query_scalar!(
        "SELECT id FROM jobs WHERE id = ANY ($1) AND state = 'awaiting' FOR UPDATE SKIP LOCKED",
        &ended,
    )
    .fetch_all(&mut *transaction)
    .await?;
    let released = sqlx::query!(
        "UPDATE jobs SET state = 'scheduled', run_at = greatest(run_at, now())
         WHERE id = ANY ($1) AND NOT EXISTS (
             SELECT FROM jobs AS member WHERE member.batch_id = jobs.id
               AND member.state IN ('awaiting', 'scheduled', 'dispatched', 'running'))",
        &ended,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(released.rows_affected())
}

/// Returns what time it was so many seconds ago, by the database's clock.
///
/// # Errors
/// When the database fails.
pub async fn instant_before(connection: &mut PgConnection, seconds: f64) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"SELECT now() - make_interval(secs => $1) AS "instant!""#, seconds)
        .fetch_one(connection)
        .await
}

/// Takes jobs that are with Redis and were last seen there by this time, to look whether Redis still has them.
///
/// # Errors
/// When the database fails.
pub async fn take_unchecked(
    connection: &mut PgConnection,
    checked_before: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<Dispatch>> {
    sqlx::query_as!(
        Dispatch,
        r#"WITH unchecked AS (
             SELECT id FROM jobs WHERE state = 'dispatched' AND checked_at <= $1
             ORDER BY checked_at LIMIT $2 FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs SET checked_at = clock_timestamp() FROM unchecked WHERE jobs.id = unchecked.id
         RETURNING jobs.id AS "id: JobId", jobs.attempt, jobs.queue, jobs.traceparent"#,
        checked_before,
        limit,
    )
    .fetch_all(connection)
    .await
}
