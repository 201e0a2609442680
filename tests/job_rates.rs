//! Jobs counted by the minute: the counts add up to the ledger, each minute is counted once, and none before it is past.

use anyhow::Result;
use billrunner::{
    jobs::InitialStatus,
    store::job_rates::{self, Counted},
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::support::{TestDatabase, desk::Desk};

/// Jobs of two lanes that ended in every way, in minutes of the last six days; some waited, some were due later than they
/// started, and one was never started.
const ENDED: &str = "
    INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at, requested_by,
                      started_at, finished_at)
    SELECT gen_random_uuid(), 'task', CASE WHEN n % 3 = 0 THEN 'mail' ELSE 'billing.aws' END, '{}', 'test', n::text, '',
           (ARRAY['done', 'done', 'done', 'dead', 'discarded'])[n % 5 + 1], 1, ended - make_interval(secs => n % 400), 'test',
           CASE WHEN n > 1 THEN ended - make_interval(secs => n % 7) END, ended
    FROM generate_series(1, 300) AS n, LATERAL (SELECT now() - make_interval(secs => n * n * 5.7) AS ended) AS at";

async fn now(pool: &PgPool) -> Result<DateTime<Utc>> {
    Ok(sqlx::query_scalar("SELECT date_trunc('minute', now())").fetch_one(pool).await?)
}

/// Counts all that ended before a minute.
async fn count_until(pool: &PgPool, until: DateTime<Utc>) -> Result<()> {
    loop {
        let mut transaction = pool.begin().await?;
        let counted = job_rates::count_some(&mut transaction, until).await?;
        transaction.commit().await?;
        // A worker of the test may count at this moment too.
        if counted == Counted::All {
            return Ok(());
        }
    }
}

/// Returns jobs by lane and state, as they were counted in steps of a length and as the ledger has them for these steps.
async fn both(pool: &PgPool, step_minutes: i16, until: DateTime<Utc>) -> Result<[Vec<(String, String, i64)>; 2]> {
    let counted =
        "SELECT queue, state, sum(jobs)::bigint FROM job_rates WHERE step_minutes = $1 GROUP BY 1, 2 ORDER BY 1, 2";
    let counted = sqlx::query_as(counted).bind(step_minutes).fetch_all(pool).await?;
    let ledger = "SELECT queue, state, count(*) FROM jobs
                  WHERE finished_at < $2
                    AND finished_at >= (SELECT min(begins_at) FROM job_rates WHERE step_minutes = $1)
                  GROUP BY 1, 2 ORDER BY 1, 2";
    let ledger = sqlx::query_as(ledger).bind(step_minutes).bind(until).fetch_all(pool).await?;
    Ok([counted, ledger])
}

#[tokio::test]
async fn counts_of_every_length_of_step_add_up_to_the_ledger() -> Result<()> {
    let database = TestDatabase::new().await?;
    sqlx::query(ENDED).execute(&database.pool).await?;
    let until = now(&database.pool).await?;
    count_until(&database.pool, until).await?;
    for step_minutes in [1, 30, 240] {
        let [counted, ledger] = both(&database.pool, step_minutes, until).await?;
        assert_eq!(counted, ledger, "steps of {step_minutes} minutes");
        assert_eq!(counted.len(), 6, "{counted:?}");
    }
    let all: i64 = sqlx::query_scalar("SELECT sum(jobs)::bigint FROM job_rates WHERE step_minutes = 240")
        .fetch_one(&database.pool)
        .await?;
    let ended: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE finished_at < $1")
        .bind(until)
        .fetch_one(&database.pool)
        .await?;
    assert_eq!(all, ended, "a week is kept whole");
    Ok(())
}

#[tokio::test]
async fn a_wait_is_counted_by_the_power_of_two_that_it_does_not_exceed() -> Result<()> {
    let database = TestDatabase::new().await?;
    let waited = "
        INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at,
                          requested_by, started_at, finished_at)
        SELECT gen_random_uuid(), 'task', 'mail', '{}', 'test', ms::text, '', 'done', 1,
               ended - make_interval(secs => ms / 1000.0), 'test', ended, ended
        FROM unnest(ARRAY[0, 1, 2, 3, 1000, 1025, 100000000]) AS ms, (SELECT now() - interval '1 hour' AS ended) AS at";
    sqlx::query(waited).execute(&database.pool).await?;
    count_until(&database.pool, now(&database.pool).await?).await?;
    let counted: Vec<(i16, i64)> =
        sqlx::query_as("SELECT wait_log2, jobs FROM job_rates WHERE step_minutes = 1 ORDER BY wait_log2")
            .fetch_all(&database.pool)
            .await?;
    assert_eq!(counted, [(0, 2), (1, 1), (2, 1), (10, 1), (11, 1), (23, 1)]);
    Ok(())
}

#[tokio::test]
async fn each_minute_is_counted_once_whoever_counts_and_whoever_dies() -> Result<()> {
    let database = TestDatabase::new().await?;
    sqlx::query(ENDED).execute(&database.pool).await?;
    let until = now(&database.pool).await?;
    let mut first = database.pool.begin().await?;
    assert_eq!(job_rates::count_some(&mut first, until).await?, Counted::Some);
    let mut second = database.pool.begin().await?;
    assert_eq!(job_rates::count_some(&mut second, until).await?, Counted::ElsewhereNow);
    second.rollback().await?;
    // The one who counted dies before its commit: nothing is counted.
    first.rollback().await?;
    count_until(&database.pool, until).await?;
    count_until(&database.pool, until).await?;
    let [counted, ledger] = both(&database.pool, 240, until).await?;
    assert_eq!(counted, ledger);
    Ok(())
}

#[tokio::test]
async fn a_minute_that_is_not_past_is_left_for_later() -> Result<()> {
    let database = TestDatabase::new().await?;
    sqlx::query(ENDED).execute(&database.pool).await?;
    let earlier = now(&database.pool).await? - TimeDelta::hours(3);
    count_until(&database.pool, earlier).await?;
    let [counted, ledger] = both(&database.pool, 240, earlier).await?;
    assert_eq!(counted, ledger);
    let later = now(&database.pool).await?;
    count_until(&database.pool, later).await?;
    let [counted, ledger] = both(&database.pool, 240, later).await?;
    assert_eq!(counted, ledger);
    let mut connection = database.pool.acquire().await?;
    let countable = job_rates::countable_until(&mut connection, 60.0).await?;
    assert!(countable < later + TimeDelta::minutes(1) && countable >= later - TimeDelta::minutes(2), "{countable}");
    Ok(())
}

#[tokio::test]
async fn what_workers_did_is_counted_as_they_did_it() -> Result<()> {
    let desk = Desk::open(2).await?;
    desk.office.done(&desk.business.bill_run(InitialStatus::Open, None)).await?;
    desk.office.settled().await?;
    let until = now(&desk.office.pool).await? + TimeDelta::minutes(2);
    count_until(&desk.office.pool, until).await?;
    let mut connection = desk.office.pool.acquire().await?;
    let rates = job_rates::since(&mut connection, 1, 60).await?;
    let done: i64 = rates.rates.iter().filter(|rate| rate.state == "done").map(|rate| rate.jobs).sum();
    let ledger: i64 =
        sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = 'done'").fetch_one(&mut *connection).await?;
    assert!(done == ledger && done > 2, "{done} of {ledger}");
    drop(connection);
    desk.close().await
}
