//! How many jobs ended when, and how long they had waited: counted once their minute is past, and asked for charts.
//!
//! Called by `queue::rates`, which counts, and by the console. Who finishes a job writes nothing here: thousands a second
//! would meet at the same few rows. Counting reads finished jobs from where it stopped, through the index over their ends,
//! and moves that mark in the same transaction under its lock, so each minute is counted once, whoever counts. A job that
//! ends twice, as one that died and was made due again, is counted at each end; one that is forgotten stays counted.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Lengths of step that every job is counted for.
const STEPS_MINUTES: [i16; 3] = [1, 30, 240];
/// Minutes counted in one transaction: at 10,000 jobs a second some million rows.
const MINUTES_AT_ONCE: i32 = 2;
/// How many steps of each length are kept: twice what is drawn.
const STEPS_KEPT: i32 = 200;

/// What counting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// There may be more to count.
    Some,
    /// Everything until the instant asked for is counted.
    All,
    /// Somebody else counts at this moment.
    ElsewhereNow,
}

/// Returns until when jobs can be counted: minutes that ended `margin_seconds` ago, so that what was written in them is
/// committed.
///
/// # Errors
/// When the database fails.
pub async fn countable_until(connection: &mut PgConnection, margin_seconds: f64) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(
        r#"SELECT date_trunc('minute', clock_timestamp() - make_interval(secs => $1)) AS "until!""#,
        margin_seconds
    )
    .fetch_one(connection)
    .await
}

/// Counts some more of the jobs that ended before a full minute, in the caller's transaction.
///
/// # Errors
/// When the database fails.
pub async fn count_some(connection: &mut PgConnection, until: DateTime<Utc>) -> sqlx::Result<Counted> {
    let held = sqlx::query_scalar!("SELECT counted_until FROM job_rates_counted FOR UPDATE SKIP LOCKED")
        .fetch_optional(&mut *connection)
        .await?;
    let Some(counted_until) = held else { return Ok(Counted::ElsewhereNow) };
    if counted_until >= until {
        return Ok(Counted::All);
    }
    // Where nothing ended for days, counting goes on with what ended next.
    let next = first_end_since(&mut *connection, counted_until).await?;
    let end = match next {
        Some((from, end)) if from < until => {
            let end = end.min(until);
            count_between(&mut *connection, from, end).await?;
            end
        }
        _ => until,
    };
    sqlx::query!("UPDATE job_rates_counted SET counted_until = $1", end).execute(&mut *connection).await?;
    forget_old(connection, end).await?;
    Ok(if end < until { Counted::Some } else { Counted::All })
}

/// Returns the minute in which the next job ended, and where the transaction that counts from there stops.
async fn first_end_since(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
) -> sqlx::Result<Option<(DateTime<Utc>, DateTime<Utc>)>> {
    let row = sqlx::query!(
        r#"SELECT date_trunc('minute', min(first)) AS first,
                  date_trunc('minute', min(first)) + make_interval(mins => $2) AS "end"
           FROM unnest(ARRAY['done', 'dead', 'discarded']) AS ended (state)
           CROSS JOIN LATERAL (
               SELECT finished_at AS first FROM jobs WHERE jobs.state = ended.state AND finished_at >= $1
               ORDER BY finished_at LIMIT 1
           ) AS of_state"#,
        since,
        MINUTES_AT_ONCE,
    )
    .fetch_one(connection)
    .await?;
    Ok(row.first.zip(row.end))
}

async fn count_between(connection: &mut PgConnection, from: DateTime<Utc>, until: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "WITH ended AS (
             SELECT date_trunc('minute', finished_at) AS minute, queue, state,
                    CASE WHEN state = 'done' AND started_at > run_at THEN
                        least(greatest(ceil(ln(extract(epoch FROM started_at - run_at)::float8 * 1000) / ln(2::float8)), 0), 23)
                    ELSE 0 END AS wait_log2, count(*) AS jobs
             FROM jobs
             WHERE state IN ('done', 'dead', 'discarded') AND finished_at >= $1 AND finished_at < $2
             GROUP BY 1, 2, 3, 4
         )
         INSERT INTO job_rates (step_minutes, begins_at, queue, state, wait_log2, jobs)
         SELECT step, date_bin(make_interval(mins => step), minute, to_timestamp(0)), queue, state, wait_log2, sum(jobs)
         FROM ended, unnest($3::smallint[]) AS step GROUP BY 1, 2, 3, 4, 5
         ON CONFLICT (step_minutes, begins_at, queue, state, wait_log2)
         DO UPDATE SET jobs = job_rates.jobs + excluded.jobs",
        from,
        until,
        &STEPS_MINUTES,
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn forget_old(connection: &mut PgConnection, counted_until: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM job_rates USING unnest($1::smallint[]) AS step
         WHERE step_minutes = step AND begins_at < $2::timestamptz - make_interval(mins => step * $3::integer)",
        &STEPS_MINUTES,
        counted_until,
        STEPS_KEPT,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Jobs that ended in a step.
#[derive(Clone, Debug)]
pub struct JobRate {
    /// When it begins.
    pub begins_at: DateTime<Utc>,
    /// How they ended.
    pub state: String,
    /// Of those done: as the column says.
    pub wait_log2: i16,
    /// How many.
    pub jobs: i64,
}

/// What a chart is drawn from.
#[derive(Clone, Debug)]
pub struct JobRates {
    /// Until when jobs are counted.
    pub counted_until: DateTime<Utc>,
    /// Where the last step begins.
    pub last_step: DateTime<Utc>,
    /// By step, state and wait.
    pub rates: Vec<JobRate>,
}

/// Returns how many jobs of all lanes ended in each of the last steps of a length, and how long they had waited.
///
/// # Errors
/// When the database fails.
pub async fn since(connection: &mut PgConnection, step_minutes: i16, steps: i32) -> sqlx::Result<JobRates> {
    let mark = sqlx::query!(
        r#"SELECT counted_until,
                  date_bin(make_interval(mins => $1), counted_until - interval '1 minute', to_timestamp(0)) AS "last_step!"
           FROM job_rates_counted"#,
        i32::from(step_minutes),
    )
    .fetch_one(&mut *connection)
    .await?;
    let rates = sqlx::query_as!(
        JobRate,
        r#"SELECT begins_at, state, wait_log2, sum(jobs)::bigint AS "jobs!" FROM job_rates
           WHERE step_minutes = $1 AND begins_at > $2::timestamptz - make_interval(mins => $1 * $3::integer)
           GROUP BY begins_at, state, wait_log2 ORDER BY begins_at LIMIT 10000"#,
        step_minutes,
        mark.last_step,
        steps,
    )
    .fetch_all(connection)
    .await?;
    Ok(JobRates { counted_until: mark.counted_until, last_step: mark.last_step, rates })
}
