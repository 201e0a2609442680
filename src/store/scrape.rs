//! What each scrape of `/metrics` asks: how lanes, workers, mails, bill runs and schedules stand.
//!
//! Asked every few seconds by every process, so each question finds its rows through an index over what is not finished,
//! and counts no further than the caller says. Numbers come as `float8`, as they go out.

use sqlx::PgConnection;

/// How a lane stands.
#[derive(Clone, Debug)]
pub struct LaneStanding {
    /// The lane.
    pub queue: String,
    /// Since when the oldest job that is due and not started is due, in seconds; zero where there is none.
    pub oldest_waiting_age_seconds: f64,
    /// Due and not started.
    pub waiting: f64,
    /// Due later.
    pub scheduled: f64,
    /// With a worker.
    pub running: f64,
    /// Waiting for somebody to decide.
    pub dead: f64,
    /// Whether it is paused, by itself or with its queue.
    pub is_paused: bool,
}

/// Returns how lanes stand, each of those that are asked for. Of the jobs of a lane that are not started so many are
/// looked at, beginning with those that go next.
///
/// # Errors
/// When the database fails.
pub async fn lanes(connection: &mut PgConnection, lanes: &[String], at_most: i64) -> sqlx::Result<Vec<LaneStanding>> {
    sqlx::query_as!(
        LaneStanding,
        r#"WITH dead AS MATERIALIZED (
             SELECT queue, count(*) AS jobs
             FROM (SELECT queue FROM jobs WHERE state = 'dead' ORDER BY id LIMIT $2) AS counted GROUP BY queue
         )
         SELECT lane.queue AS "queue!",
                coalesce(extract(epoch FROM now() - least(ledger.oldest, redis.oldest)), 0)::float8
                  AS "oldest_waiting_age_seconds!",
                (ledger.due + redis.sent)::float8 AS "waiting!", ledger.later::float8 AS "scheduled!",
                redis.running::float8 AS "running!",
                coalesce((SELECT jobs FROM dead WHERE dead.queue = lane.queue), 0)::float8 AS "dead!",
                EXISTS (SELECT FROM queue_controls
                        WHERE queue_controls.queue IN (lane.queue, split_part(lane.queue, '.', 1))
                          AND paused_at IS NOT NULL AND (paused_until IS NULL OR paused_until > now())) AS "is_paused!"
         FROM unnest($1::text[]) AS lane (queue)
         CROSS JOIN LATERAL (
             SELECT min(run_at) FILTER (WHERE run_at <= now()) AS oldest,
                    count(*) FILTER (WHERE run_at <= now()) AS due, count(*) FILTER (WHERE run_at > now()) AS later
             FROM (SELECT run_at FROM jobs WHERE jobs.queue = lane.queue AND state = 'scheduled'
                   ORDER BY dispatch_rank(run_at, priority), id LIMIT $2) AS counted
         ) AS ledger
         CROSS JOIN LATERAL (
             SELECT min(run_at) FILTER (WHERE state = 'dispatched') AS oldest,
                    count(*) FILTER (WHERE state = 'dispatched') AS sent,
                    count(*) FILTER (WHERE state = 'running') AS running
             FROM (SELECT run_at, state FROM jobs
                   WHERE jobs.queue = lane.queue AND state IN ('dispatched', 'running') LIMIT $2) AS counted
         ) AS redis
         ORDER BY lane.queue LIMIT 1000"#,
        lanes,
        at_most,
    )
    .fetch_all(connection)
    .await
}

/// Counts the workers that were seen lately.
///
/// # Errors
/// When the database fails.
pub async fn live_workers(connection: &mut PgConnection, unseen_seconds: f64) -> sqlx::Result<f64> {
    sqlx::query_scalar!(
        r#"SELECT count(*)::float8 AS "count!" FROM workers WHERE seen_at > now() - make_interval(secs => $1)"#,
        unseen_seconds,
    )
    .fetch_one(connection)
    .await
}

/// How many notifications are in a state.
#[derive(Clone, Debug)]
pub struct NotificationCount {
    /// The state.
    pub state: String,
    /// How many.
    pub count: f64,
}

/// Counts the notifications that are queued or being sent, or whose mail failed or may not have arrived; of each state
/// so many at most.
///
/// # Errors
/// When the database fails.
pub async fn unsettled_notifications(
    connection: &mut PgConnection,
    at_most: i64,
) -> sqlx::Result<Vec<NotificationCount>> {
    sqlx::query_as!(
        NotificationCount,
        r#"SELECT known.state AS "state!", counted.count::float8 AS "count!"
           FROM unnest(ARRAY['queued', 'sending', 'failed', 'uncertain']) AS known (state)
           CROSS JOIN LATERAL (
               SELECT count(*) FROM (SELECT FROM notifications
                                     WHERE state IN ('queued', 'sending', 'failed', 'uncertain')
                                       AND notifications.state = known.state LIMIT $1) AS of_state) AS counted
           LIMIT 4"#,
        at_most,
    )
    .fetch_all(connection)
    .await
}

/// How the bill runs of a provider stand.
#[derive(Clone, Debug)]
pub struct BillRunStanding {
    /// The provider.
    pub provider: String,
    /// Since when the oldest that is not finished runs, in seconds; zero where there is none.
    pub oldest_running_age_seconds: f64,
    /// Runs that need attention, with no later run of the same month.
    pub unsettled: f64,
}

/// Returns how the bill runs of these providers stand; so many of those that need attention are counted at most.
///
/// # Errors
/// When the database fails.
pub async fn bill_runs(
    connection: &mut PgConnection,
    providers: &[String],
    at_most: i64,
) -> sqlx::Result<Vec<BillRunStanding>> {
    sqlx::query_as!(
        BillRunStanding,
        r#"SELECT known.provider AS "provider!",
                  coalesce((SELECT extract(epoch FROM now() - min(started_at)) FROM bill_runs
                            WHERE bill_runs.provider = known.provider AND state = 'running'), 0)::float8
                    AS "oldest_running_age_seconds!",
                  (SELECT count(*) FROM (
                       SELECT FROM bill_runs AS run
                       WHERE run.provider = known.provider AND run.state = 'needs_attention'
                         AND NOT EXISTS (SELECT FROM bill_runs AS later
                                         WHERE later.reseller_id = run.reseller_id AND later.provider = run.provider
                                           AND later.billing_period_start = run.billing_period_start
                                           AND later.started_at > run.started_at)
                       LIMIT $2) AS counted)::float8 AS "unsettled!"
           FROM unnest($1::text[]) AS known (provider) ORDER BY known.provider LIMIT 100"#,
        providers,
        at_most,
    )
    .fetch_all(connection)
    .await
}

/// How the schedules that start a kind of job stand, of those that are not paused.
#[derive(Clone, Debug)]
pub struct ScheduleStanding {
    /// The kind of job.
    pub kind: String,
    /// How long the tick that is due longest has been due, in seconds; zero where none is.
    pub overdue_seconds: f64,
    /// Schedules whose last tick was refused, or whose last job is dead or was discarded.
    pub failing: f64,
    /// When the last job was done, of the schedule where that is longest ago, in seconds since 1970.
    pub last_success_seconds: Option<f64>,
}

/// Returns how schedules stand, by the kind of job that they start.
///
/// # Errors
/// When the database fails.
pub async fn schedules(connection: &mut PgConnection, kinds: &[String]) -> sqlx::Result<Vec<ScheduleStanding>> {
    sqlx::query_as!(
        ScheduleStanding,
        r#"SELECT schedule.kind AS "kind!",
                  coalesce(greatest(extract(epoch FROM now() - min(next_run_at)), 0), 0)::float8 AS "overdue_seconds!",
                  (count(*) FILTER (WHERE schedule.last_error IS NOT NULL OR jobs.state IN ('dead', 'discarded')))::float8
                    AS "failing!",
                  extract(epoch FROM min(jobs.finished_at) FILTER (WHERE jobs.state = 'done'))::float8
                    AS last_success_seconds
           FROM (SELECT kind, next_run_at, last_error, last_job_id FROM schedules
                 WHERE paused_at IS NULL AND kind = ANY ($1) ORDER BY name LIMIT 10000) AS schedule
           LEFT JOIN jobs ON jobs.id = schedule.last_job_id
           GROUP BY schedule.kind ORDER BY schedule.kind LIMIT 100"#,
        kinds,
    )
    .fetch_all(connection)
    .await
}
