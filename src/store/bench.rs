//! The tables of `billrunner bench`: what its realistic job reads and writes. They exist only while it runs.

use secrecy::{ExposeSecret, SecretString};
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};

/// Rows that the realistic job reads from.
pub const ACCOUNTS: i32 = 1000;

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

async fn run(url: &SecretString, statements: &'static str) -> sqlx::Result<()> {
    let options: PgConnectOptions = url.expose_secret().parse()?;
    sqlx::raw_sql(statements).execute(&mut options.connect().await?).await.map(drop)
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
    let count = "SELECT count(*) FROM job_attempts WHERE outcome = 'done'";
    sqlx::query_scalar(count).fetch_one(connection).await.map(Some)
}
