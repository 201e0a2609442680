//! What `billrunner bench month-end` and `bench soak` ask of the ledger and of Postgres: how each request ended, how long
//! jobs took, what was promised and what there is.
//!
//! On connections of the owner, whose plans are made for whole tables; the database is the benchmark's own.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};

use super::bench_invoices::connect;
use crate::domain::ids::{InvoiceId, ResellerId};

/// Makes a database beside the one that the URL names.
///
/// # Errors
/// When the login may not, or the database fails.
pub async fn create_database(url: &SecretString, name: &str) -> sqlx::Result<()> {
    let statement = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(statement).execute(&mut connect(url).await?).await.map(drop)
}

/// Removes it, whoever is connected.
///
/// # Errors
/// When the database fails.
pub async fn drop_database(url: &SecretString, name: &str) -> sqlx::Result<()> {
    let statement = AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    sqlx::raw_sql(statement).execute(&mut connect(url).await?).await.map(drop)
}

/// Hands a job in at the SQL door, as another system does in a transaction of its own.
///
/// # Errors
/// When the door refuses it, or the database fails.
pub async fn enqueue(
    owner: &mut PgConnection,
    event_type: &str,
    data: &serde_json::Value,
    (source, external_id): (&str, &str),
) -> sqlx::Result<()> {
    sqlx::raw_sql("SET ROLE billrunner_enqueue").execute(&mut *owner).await?;
    let enqueued = sqlx::query("SELECT billrunner.enqueue_job($1, $2, $3, $4)")
        .bind(event_type)
        .bind(data)
        .bind(source)
        .bind(external_id)
        .execute(&mut *owner)
        .await;
    sqlx::raw_sql("RESET ROLE").execute(owner).await?;
    enqueued.map(drop)
}

/// How a request ended.
#[derive(Clone, Debug, FromRow)]
pub struct Ended {
    /// The sender's id for it.
    pub external_id: String,
    /// `done`, `dead` or `discarded`.
    pub state: String,
    /// What went wrong.
    pub last_error: Option<String>,
}

/// Returns those requests of a source that have ended.
///
/// # Errors
/// When the database fails.
pub async fn ended(connection: &mut PgConnection, source: &str, external_ids: &[String]) -> sqlx::Result<Vec<Ended>> {
    sqlx::query_as(
        "SELECT external_id, state, last_error FROM jobs
         WHERE source = $1 AND external_id = ANY ($2) AND finished_at IS NOT NULL",
    )
    .bind(source)
    .bind(external_ids)
    .fetch_all(connection)
    .await
}

/// Tells whether a job is left that has not ended.
///
/// # Errors
/// When the database fails.
pub async fn is_busy(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM jobs WHERE state IN ('dispatched', 'running'))
             OR EXISTS (SELECT FROM jobs WHERE state = 'scheduled')
             OR EXISTS (SELECT FROM jobs WHERE completes_batch AND state = 'awaiting')",
    )
    .fetch_one(connection)
    .await
}

/// Returns since when, in seconds, the oldest job waits that is due and has not ended; zero where there is none.
///
/// # Errors
/// When the database fails.
pub async fn oldest_age(connection: &mut PgConnection) -> sqlx::Result<f64> {
    sqlx::query_scalar(
        "SELECT coalesce(extract(epoch FROM clock_timestamp() - least(
             (SELECT run_at FROM jobs WHERE state = 'scheduled' ORDER BY run_at LIMIT 1),
             (SELECT min(run_at) FROM jobs WHERE state IN ('dispatched', 'running')))), 0)::float8",
    )
    .fetch_one(connection)
    .await
}

/// Returns what time it is by the ledger's clock.
///
/// # Errors
/// When the database fails.
pub async fn now(connection: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(connection).await
}

/// How long the jobs of a kind took that came in during a part of the time. Seconds, at the 50th, 95th and 99th percentile
/// and at most.
#[derive(Clone, Debug, FromRow)]
pub struct Latency {
    /// Which part, from 1.
    pub part: i32,
    /// The kind; `None` is all together.
    pub kind: Option<String>,
    /// How many.
    pub jobs: i64,
    /// From their acceptance to their first start.
    pub to_start: Vec<f64>,
    /// From their acceptance to their end.
    pub to_end: Vec<f64>,
}

/// Measures the jobs that have ended, by kind and by the part of the time in which they were accepted; of one source, or of
/// all. What waits for others by its nature, the end of a batch, is left out.
///
/// # Errors
/// When the database fails.
pub async fn latencies(
    connection: &mut PgConnection,
    source: Option<&str>,
    parts: &[DateTime<Utc>],
) -> sqlx::Result<Vec<Latency>> {
    sqlx::query_as(
        "SELECT part, kind, count(*) AS jobs,
             percentile_cont(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY to_start) AS to_start,
             percentile_cont(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY to_end) AS to_end
         FROM (SELECT width_bucket(jobs.created_at, $1) AS part, kind,
                   extract(epoch FROM attempt.started_at - jobs.created_at)::float8 AS to_start,
                   extract(epoch FROM jobs.finished_at - jobs.created_at)::float8 AS to_end
               FROM jobs JOIN job_attempts attempt ON attempt.job_id = jobs.id AND attempt.attempt = 1
               WHERE jobs.created_at >= ($1)[1] AND jobs.created_at < ($1)[cardinality($1)] AND NOT completes_batch
                 AND jobs.finished_at IS NOT NULL AND ($2::text IS NULL OR source = $2)) AS measured
         GROUP BY GROUPING SETS ((part, kind), (part)) ORDER BY part, kind NULLS FIRST",
    )
    .bind(parts)
    .bind(source)
    .fetch_all(connection)
    .await
}

/// Work of one sort from its first start to its last end.
#[derive(Clone, Debug, FromRow)]
pub struct Stage {
    /// How many jobs.
    pub jobs: i64,
    /// How many of them are done.
    pub done: i64,
    /// From the first start to the last end.
    pub seconds: f64,
    /// From the given moment to the last end.
    pub ended_after: f64,
}

/// Measures what followed from one request: the documents, and then their mails.
///
/// # Errors
/// When the database fails.
pub async fn stages(
    connection: &mut PgConnection,
    (source, external_id): (&str, &str),
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<Stage>> {
    sqlx::query_as(
        "WITH document AS MATERIALIZED (
             SELECT child.* FROM jobs child JOIN jobs parent ON parent.id = child.parent_id
             WHERE parent.source = $1 AND parent.external_id = $2 AND child.kind = 'render_document'
         ), mail AS (
             SELECT child.* FROM jobs child JOIN document ON document.id = child.parent_id
             WHERE child.kind = 'send_notification'
         )
         SELECT count(*) AS jobs, count(*) FILTER (WHERE state = 'done') AS done,
             coalesce(extract(epoch FROM max(finished_at) - min(started_at)), 0)::float8 AS seconds,
             coalesce(extract(epoch FROM max(finished_at) - $3), 0)::float8 AS ended_after
         FROM (SELECT 1 AS n, state, started_at, finished_at FROM document
               UNION ALL SELECT 2, state, started_at, finished_at FROM mail) AS work
         GROUP BY n ORDER BY n",
    )
    .bind(source)
    .bind(external_id)
    .bind(since)
    .fetch_all(connection)
    .await
}

/// Returns the Message-IDs of the mails that were promised, with their state.
///
/// # Errors
/// When the database fails.
pub async fn promised_mails(connection: &mut PgConnection) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as("SELECT btrim(message_id, '<>'), state FROM notifications").fetch_all(connection).await
}

/// What there is of documents.
#[derive(Clone, Debug, FromRow)]
pub struct DocumentCounts {
    /// Rows.
    pub documents: i64,
    /// Bytes that they say.
    pub bytes: i64,
    /// Invoices that are not drafts and have not so many documents of their present version as they should.
    pub incomplete_invoices: i64,
}

/// Counts documents; each invoice that was issued should have so many of its present version.
///
/// # Errors
/// When the database fails.
pub async fn count_documents(connection: &mut PgConnection, each: i64) -> sqlx::Result<DocumentCounts> {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM documents) AS documents,
             (SELECT coalesce(SUM(size_bytes), 0)::bigint FROM documents) AS bytes,
             (SELECT count(*) FROM invoices LEFT JOIN (
                  SELECT reseller_id, invoice_id, invoice_version, count(*) AS kinds FROM documents GROUP BY 1, 2, 3
              ) AS rendered ON rendered.reseller_id = invoices.reseller_id AND invoice_id = invoices.id
                           AND invoice_version = version
              WHERE status <> 'draft' AND kinds IS DISTINCT FROM $1) AS incomplete_invoices",
    )
    .bind(each)
    .fetch_one(connection)
    .await
}

/// Counts the changes of invoices that were open already.
///
/// # Errors
/// When the database fails.
pub async fn count_changes(connection: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM invoice_events WHERE name IN ('closed', 'reopened', 'voided')")
        .fetch_one(connection)
        .await
}

/// Counts the jobs that ended in a state, by kind.
///
/// # Errors
/// When the database fails.
pub async fn count_in_state(connection: &mut PgConnection, state: &str) -> sqlx::Result<Vec<(String, i64)>> {
    sqlx::query_as("SELECT kind, count(*) FROM jobs WHERE state = $1 GROUP BY kind ORDER BY kind")
        .bind(state)
        .fetch_all(connection)
        .await
}

/// Counts the jobs of a source.
///
/// # Errors
/// When the database fails.
pub async fn count_of_source(connection: &mut PgConnection, source: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM jobs WHERE source = $1").bind(source).fetch_one(connection).await
}

/// Returns the invoices of a reseller at a provider, with their versions, in the order of their customers.
///
/// # Errors
/// When the database fails.
pub async fn invoices(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    provider: &str,
) -> sqlx::Result<Vec<(InvoiceId, i32)>> {
    sqlx::query_as(
        "SELECT id, version FROM invoices WHERE reseller_id = $1 AND provider = $2 AND status NOT IN ('void', 'discarded')
         ORDER BY customer_id",
    )
    .bind(reseller_id)
    .bind(provider)
    .fetch_all(connection)
    .await
}

/// Returns Message-ID and recipient of each mail that a reseller's customers were sent, and how many are not sent yet.
///
/// # Errors
/// When the database fails.
pub async fn mails_of(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
) -> sqlx::Result<(Vec<(String, String)>, usize)> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT message_id, recipient, state FROM notifications WHERE reseller_id = $1 ORDER BY id LIMIT 1000",
    )
    .bind(reseller_id)
    .fetch_all(connection)
    .await?;
    let unsent = rows.iter().filter(|(.., state)| matches!(state.as_str(), "queued" | "sending")).count();
    let sent = rows.into_iter().filter(|(.., state)| state == "sent");
    Ok((sent.map(|(message_id, recipient, _)| (message_id, recipient)).collect(), unsent))
}

/// Returns how many connections there are to this database, and the bytes of its largest tables, with their indexes.
///
/// # Errors
/// When the database fails.
pub async fn sizes(connection: &mut PgConnection) -> sqlx::Result<(i64, Vec<(String, i64)>)> {
    let connections = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let tables = sqlx::query_as(
        "SELECT name, SUM(bytes)::bigint FROM (
             SELECT regexp_replace(relname, '_[0-9_]+$', '') AS name, pg_total_relation_size(oid) AS bytes
             FROM pg_class WHERE relnamespace = 'billrunner'::regnamespace AND relkind = 'r') AS tables
         GROUP BY name ORDER BY 2 DESC LIMIT 8",
    );
    Ok((connections.fetch_one(&mut *connection).await?, tables.fetch_all(connection).await?))
}

/// Fills the ledger with jobs that ended so long ago that retention reaches them evenly during the given time from now on:
/// what a system leaves that has worked at the same pace all the while.
///
/// # Errors
/// When the database fails.
pub async fn fill_what_ages(url: &SecretString, count: i64, retention_days: i32, seconds: f64) -> sqlx::Result<()> {
    let mut connection = connect(url).await?;
    for statement in [
        "INSERT INTO jobs (id, kind, queue, payload, payload_hash, source, external_id, state, attempt, started_attempt,
             max_attempts, run_at, created_at, started_at, finished_at, worker_id, requested_by)
         SELECT (lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid, 'render_document', 'documents', '{}',
             sha256('{}'), 'history', n::text, 'done', 1, 1, 10, ended, ended, ended, ended,
             '00000000-0000-0000-0000-000000000000', 'bench'
         FROM generate_series(1, $1) AS n,
             LATERAL (SELECT now() - make_interval(days => $2) + make_interval(secs => $3 * n / $1)) AS t (ended)",
        "INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome)
         SELECT id, 1, worker_id, started_at, finished_at, 'done' FROM jobs
         WHERE source = 'history' AND $1 > 0 AND $2 > 0 AND $3 > 0",
    ] {
        sqlx::query(statement).bind(count).bind(retention_days).bind(seconds).execute(&mut connection).await?;
    }
    sqlx::raw_sql("VACUUM ANALYZE jobs, job_attempts").execute(&mut connection).await.map(drop)
}
