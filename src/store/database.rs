//! Connections to Postgres, and the migrations.

use std::{net::IpAddr, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use url::Url;

/// Connections of a worker's queue, beside those of its handlers. Two of the ledger's are held: the heartbeat's, and the
/// ear for notices. The door for jobs has a ledger of its own.
pub const LEDGER_CONNECTIONS: u32 = 8;
/// Connections for dispatches and claims.
pub const FLOW_CONNECTIONS: u32 = 4;

/// How long a connection that lies idle is taken to be open still.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Opens a pool whose sessions act as the application's role: least privilege, whoever logs in.
///
/// The pool waits for a server that refuses connections, and repeats no statement: that is for jobs to do.
///
/// Its sessions prefer indexes to reading whole tables: triggers and foreign keys keep the plan of their first run, when a
/// table may have been empty a moment ago, and would read all of what came since for each line of an invoice.
///
/// # Errors
/// When the URL does not read, Postgres does not answer, or the login may not become `billrunner_app`.
pub async fn connect(url: &SecretString, max_connections: u32) -> sqlx::Result<PgPool> {
    PgPoolOptions::new()
        .max_connections(max_connections)
        // A question each time it is lent would be a round trip for every job.
        .test_before_acquire(false)
        .before_acquire(|connection, lent| {
            Box::pin(async move { Ok(lent.idle_for < TRUSTED_FOR || connection.ping().await.is_ok()) })
        })
        .after_connect(|connection, _| Box::pin(act_as_application(connection)))
        .connect_with(options(url)?.options([("enable_seqscan", "off"), ("jit", "off")]))
        .await
}

/// Opens a connection that acts as whoever logs in, to ask who that is.
///
/// # Errors
/// When the URL does not read or Postgres does not answer.
pub async fn connect_as_login(url: &SecretString) -> sqlx::Result<PgConnection> {
    options(url)?.connect().await
}

/// Has a session act as the application's role from here on.
///
/// # Errors
/// When the login may not, or there is no such role yet.
pub async fn act_as_application(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SET ROLE billrunner_app").execute(connection).await.map(drop)
}

/// Opens a pool whose sessions can only read, whoever logs in; they act as the auditors' role where the login may, else as
/// the application's.
///
/// # Errors
/// When the URL does not read or Postgres does not answer.
pub async fn connect_to_read(url: &SecretString, max_connections: u32) -> sqlx::Result<PgPool> {
    // Not `SET ROLE`, which fails where the login is no member: one that may read by itself is welcome too.
    let become_reader = "SELECT set_config('role', rolname, false) FROM (
                             SELECT rolname::text FROM pg_roles
                             WHERE rolname IN ('billrunner_app', 'billrunner_auditor')
                               AND pg_has_role(session_user, oid, 'MEMBER')
                             ORDER BY rolname DESC LIMIT 1) AS reader";
    PgPoolOptions::new()
        .max_connections(max_connections)
        .after_connect(move |connection, _| {
            Box::pin(async move { sqlx::query(become_reader).execute(connection).await.map(drop) })
        })
        .connect_with(options(url)?.options([("default_transaction_read_only", "on")]))
        .await
}

/// Opens a pool for the queue itself beside that of the handlers, so that handlers which use theirs up do not keep
/// outcomes, leases and heartbeats from being written.
///
/// All its statements find rows by key. Whatever the planner believes of a table that was empty a moment ago, reading it
/// whole is never right; where it must be read, as tables of a few rows are, the penalty must not call the compiler.
pub fn ledger_pool(handlers: &PgPool) -> PgPool {
    beside(handlers, LEDGER_CONNECTIONS, &[])
}

/// Opens a pool as [`ledger_pool`] does, for dispatches and claims: they wait for no disk. What a crash of Postgres takes
/// back of them is found as what Redis lost is: the attempt's number tells, and no outcome is among them.
///
/// What goes first is read in an index's order. Where the queue was empty when it was analyzed, sorting all that is due
/// seems as cheap to the planner, in each round and for each lane, and a hundred thousand may be due.
pub fn flow_pool(handlers: &PgPool) -> PgPool {
    beside(handlers, FLOW_CONNECTIONS, &[("synchronous_commit", "off"), ("enable_sort", "off")])
}

/// Opens a pool as [`ledger_pool`] does, of one connection, for scrapes of `/metrics`: jobs that use up the handlers' pool
/// do not make the ledger seem away, and Postgres itself gives up a question that takes too long. What goes next is read in
/// an index's order, as in [`flow_pool`].
pub fn scrape_pool(handlers: &PgPool) -> PgPool {
    let settings = [("default_transaction_read_only", "on"), ("statement_timeout", "2000"), ("enable_sort", "off")];
    beside(handlers, 1, &settings)
}

/// Opens a pool for the pages of the console, with the connections of the given one: a search is planned for what it looks
/// for, and given up when it takes longer than anybody waits.
pub fn console_pool(pages: &PgPool) -> PgPool {
    // What pages ask for lies in memory, behind an index: priced as disks were, reading all jobs that wait seems cheaper.
    let settings = [
        ("plan_cache_mode", "force_custom_plan"),
        ("random_page_cost", "1.1"),
        ("jit", "off"),
        ("statement_timeout", "5000"),
    ];
    let options = pages.connect_options().as_ref().clone().options(settings);
    pages.options().clone().min_connections(0).connect_lazy_with(options)
}

/// Tells whether Postgres gave up a question because it took too long: SQLSTATE `query_canceled`.
pub fn is_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("57014")
}

fn beside(handlers: &PgPool, connections: u32, settings: &[(&str, &str)]) -> PgPool {
    let by_key =
        ["enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit"].map(|name| (name, "off"));
    let options = handlers.connect_options().as_ref().clone().options(by_key).options(settings.iter().copied());
    handlers.options().clone().max_connections(connections).min_connections(0).connect_lazy_with(options)
}

/// Brings the schema up to this release, and returns the owner's connection for what belongs into it. Needs the owner's
/// login; several at once wait for each other.
///
/// # Errors
/// When a migration fails: it is rolled back and named.
pub async fn migrate(url: &SecretString) -> Result<PgConnection, MigrateError> {
    let mut connection = options(url)?.connect().await?;
    // First of all, so that the list of migrations lies in the schema too and the next release finds it there.
    sqlx::query("CREATE SCHEMA IF NOT EXISTS billrunner").execute(&mut connection).await?;
    MIGRATIONS.run(&mut connection).await?;
    Ok(connection)
}

/// Has the caller's open transaction see one state of the database and write nothing, whatever is asked of it.
///
/// # Errors
/// When the database fails, or the transaction has asked something already.
pub async fn only_read(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(connection).await.map(drop)
}

/// Tells whether the database holds a reseller or a job, before anything is migrated. Needs the owner's login.
///
/// # Errors
/// When the database fails.
pub async fn is_used(url: &SecretString) -> sqlx::Result<bool> {
    let mut connection = options(url)?.connect().await?;
    // `resellers` comes with a later migration than `jobs`: where the one is, so is the other.
    let is_migrated: bool =
        sqlx::query_scalar("SELECT to_regclass('billrunner.resellers') IS NOT NULL").fetch_one(&mut connection).await?;
    if !is_migrated {
        return Ok(false);
    }
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM resellers) OR EXISTS (SELECT FROM jobs)")
        .fetch_one(&mut connection)
        .await
}

/// Tells whether the schema is that of this release.
///
/// # Errors
/// When the database fails.
pub async fn is_migrated(pool: &PgPool) -> sqlx::Result<bool> {
    Ok(migrations(&mut *pool.acquire().await?).await?.missing.is_empty())
}

/// How the schema differs from that of this release, by the versions of migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrations {
    /// Of this release, and not applied or half applied.
    pub missing: Vec<i64>,
    /// Applied, and unknown to this release: a later one was here.
    pub unknown: Vec<i64>,
    /// Applied with another text.
    pub changed: Vec<i64>,
}

/// Compares the schema with that of this release.
///
/// # Errors
/// When the database fails.
pub async fn migrations(connection: &mut PgConnection) -> sqlx::Result<Migrations> {
    let is_begun: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    let applied: Vec<(i64, Vec<u8>)> = if is_begun {
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(connection)
            .await?
    } else {
        Vec::new()
    };
    let mut found = Migrations::default();
    for migration in MIGRATIONS.iter() {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            None => found.missing.push(migration.version),
            Some((version, checksum)) if checksum.as_slice() != migration.checksum.as_ref() => {
                found.changed.push(*version);
            }
            Some(_) => {}
        }
    }
    let is_known = |version: &i64| MIGRATIONS.iter().any(|migration| migration.version == *version);
    found.unknown = applied.into_iter().map(|(version, _)| version).filter(|version| !is_known(version)).collect();
    Ok(found)
}

/// Reads a URL. A server off this machine must speak TLS and prove its name, unless the URL itself says otherwise.
fn options(url: &SecretString) -> sqlx::Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url.expose_secret())?
        .options([("search_path", "billrunner,public")])
        .application_name("billrunner")
        .log_statements(tracing::log::LevelFilter::Debug);
    let is_left_to_us = !stays_here(&options) && !names_ssl_mode(url);
    Ok(if is_left_to_us { options.ssl_mode(PgSslMode::VerifyFull) } else { options })
}

fn stays_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let is_loopback = || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    options.get_socket().is_some() || host == "localhost" || host.starts_with('/') || is_loopback()
}

fn names_ssl_mode(url: &SecretString) -> bool {
    let is_named = |url: Url| url.query_pairs().any(|(name, _)| matches!(&*name, "sslmode" | "ssl-mode"));
    Url::parse(url.expose_secret()).is_ok_and(is_named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_off_this_machine_must_prove_its_name_unless_the_url_says_otherwise() {
        for (rest, verified) in [
            ("db.internal/billing", true),
            ("0.0.0.0:5432/billing", true),
            ("localhost.example/billing", true),
            ("db.internal/billing?sslmode=require", false),
            ("db.internal/billing?ssl-mode=disable", false),
            ("localhost/billing", false),
            ("127.0.0.2/billing", false),
            ("localhost/billing?host=/run/postgresql", false),
        ] {
            let options = options(&format!("postgres://u:p@{rest}").into()).expect("a URL");
            assert_eq!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull), verified, "{rest}");
        }
    }
}
