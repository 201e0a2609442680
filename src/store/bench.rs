//! The tables of `billrunner bench`: what its realistic job reads and writes. They exist only while it runs.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, SqlSafeStr, postgres::PgConnectOptions};
use tracing::log::LevelFilter;

use crate::domain::ids::ResellerId;

/// Rows that the realistic job reads from.
pub const ACCOUNTS: i32 = 1000;
/// Jobs of the history written in one statement.
const HISTORY_AT_ONCE: usize = 500_000;

/// Creates the tables. Needs the owner's login.
///
/// # Errors
/// When the database fails.
pub async fn create(url: &SecretString) -> sqlx::Result<()> {
    let statements = "
        CREATE TABLE billrunner.bench_accounts (id integer PRIMARY KEY, name text NOT NULL);
        INSERT INTO billrunner.bench_accounts SELECT n, 'account ' || n FROM generate_series(0, 999) AS n;
        CREATE TABLE billrunner.bench_entries (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id integer NOT NULL, name text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now());
        GRANT SELECT ON billrunner.bench_accounts TO billrunner_app;
        GRANT SELECT, INSERT ON billrunner.bench_entries TO billrunner_app;
        ANALYZE billrunner.bench_accounts";
    run(url, statements).await
}

/// Fills the ledger with jobs that ended evenly over the last 180 days, one of 100,000 dead. Needs the owner's login.
///
/// # Errors
/// When the database fails.
pub async fn fill_history(url: &SecretString, count: i64) -> sqlx::Result<()> {
    let options: PgConnectOptions = url.expose_secret().parse()?;
    let options = options.options([("search_path", "billrunner,public")]);
    // Half a million rows are slow, and nobody wonders.
    let mut connection = options.log_slow_statements(LevelFilter::Off, Duration::ZERO).connect().await?;
    let jobs = "INSERT INTO jobs (id, kind, queue, payload, payload_hash, source, external_id, state, attempt,
                    started_attempt, max_attempts, run_at, created_at, started_at, finished_at, worker_id, requested_by)
                SELECT (lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid, 'noop', 'status', '{}', sha256('{}'),
                    'history', gen_random_uuid()::text, CASE WHEN n % 100000 = 0 THEN 'dead' ELSE 'done' END, 1, 1, 10,
                    ended, ended, ended, ended, '00000000-0000-0000-0000-000000000000', 'bench'
                FROM generate_series($1, $2) AS n, LATERAL (SELECT now() - (1 - n / $3::float8) * interval '180 days') AS t (ended)";
    let attempts = "INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome)
                    SELECT (lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid, 1,
                        '00000000-0000-0000-0000-000000000000', now(), now(), 'done' FROM generate_series($1, $2) AS n";
    for first in (1..=count).step_by(HISTORY_AT_ONCE) {
        let last = count.min(first + i64::try_from(HISTORY_AT_ONCE).unwrap_or(i64::MAX) - 1);
        sqlx::query(jobs).bind(first).bind(last).bind(count).execute(&mut connection).await?;
        sqlx::query(attempts).bind(first).bind(last).execute(&mut connection).await?;
    }
    if count > 0 {
        sqlx::raw_sql("VACUUM ANALYZE jobs, job_attempts").execute(&mut connection).await?;
    }
    Ok(())
}

/// Removes the tables and all jobs. Needs the owner's login; the caller has made sure that the jobs are the benchmark's.
///
/// # Errors
/// When the database fails.
pub async fn clear(url: &SecretString) -> sqlx::Result<()> {
    let statements = "
        DROP TABLE IF EXISTS billrunner.bench_accounts, billrunner.bench_entries;
        TRUNCATE billrunner.jobs, billrunner.job_attempts, billrunner.workers";
    run(url, statements).await
}

async fn run(url: &SecretString, statements: impl SqlSafeStr) -> sqlx::Result<()> {
    let options: PgConnectOptions = url.expose_secret().parse()?;
    sqlx::raw_sql(statements).execute(&mut options.connect().await?).await.map(drop)
}

/// Creates a table of text columns, as plain as a table can be. Needs the owner's login.
///
/// # Errors
/// When the database fails.
pub async fn create_plain_table<'a>(url: &SecretString, columns: impl Iterator<Item = &'a str>) -> sqlx::Result<()> {
    let columns: Vec<String> = columns.map(|name| format!("\"{}\" text", name.replace('"', "\"\""))).collect();
    let statement = format!("CREATE TABLE billrunner.bench_charge_file ({})", columns.join(", "));
    run(url, AssertSqlSafe(statement)).await
}

/// Removes the plain table and all charge files. Needs the owner's login; the caller has made sure that they are the
/// benchmark's.
///
/// # Errors
/// When the database fails.
pub async fn clear_charges(url: &SecretString) -> sqlx::Result<()> {
    let statements = "
        DROP TABLE IF EXISTS billrunner.bench_charge_file;
        TRUNCATE billrunner.charges;
        DELETE FROM billrunner.charge_totals;
        DELETE FROM billrunner.charge_scopes;
        DELETE FROM billrunner.charge_files;
        DELETE FROM billrunner.billing_periods;
        DELETE FROM billrunner.resellers;
        CHECKPOINT";
    run(url, statements).await
}

/// Inserts whose charges are imported. Needs the owner's login.
///
/// # Errors
/// When the database fails.
pub async fn create_reseller(url: &SecretString, id: ResellerId) -> sqlx::Result<()> {
    let options: PgConnectOptions = url.expose_secret().parse()?;
    sqlx::query(
        "INSERT INTO billrunner.resellers (id, name, email) VALUES ($1, 'Reseller', 'billing@reseller.example')",
    )
    .bind(id)
    .execute(&mut options.connect().await?)
    .await
    .map(drop)
}

/// Returns the process at the other end of a connection.
///
/// # Errors
/// When the database fails.
pub async fn backend_pid(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await
}

/// Reads an account and writes an entry: a small job's effects.
///
/// # Errors
/// When the database fails.
pub async fn read_and_write(connection: &mut PgConnection, account_id: i32) -> sqlx::Result<()> {
    // Not checked at compile time: no migration makes these tables.
    let name: String = sqlx::query_scalar("SELECT name FROM bench_accounts WHERE id = $1")
        .bind(account_id)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO bench_entries (account_id, name) VALUES ($1, $2)")
        .bind(account_id)
        .bind(name)
        .execute(connection)
        .await
        .map(drop)
}

/// Returns how many jobs are done, once none is left that is not.
///
/// # Errors
/// When the database fails.
pub async fn count_done(connection: &mut PgConnection) -> sqlx::Result<Option<i64>> {
    let is_left = "SELECT EXISTS (SELECT FROM jobs WHERE state IN ('dispatched', 'running'))
                       OR EXISTS (SELECT FROM jobs WHERE state = 'scheduled')";
    if sqlx::query_scalar(is_left).fetch_one(&mut *connection).await? {
        return Ok(None);
    }
    let count = "SELECT count(*) FROM jobs JOIN job_attempts ON job_id = id
                 WHERE source = 'bench' AND outcome = 'done' AND state = 'done'";
    sqlx::query_scalar(count).fetch_one(connection).await.map(Some)
}
