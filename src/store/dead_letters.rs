//! Dead jobs as operators look for them: which match, how many, and why they died.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::domain::ids::JobId;

/// Which dead jobs are meant; what is absent narrows nothing down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeadFilter {
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this queue or lane.
    pub queue: Option<String>,
    /// Whose last error contains this text.
    pub error: Option<String>,
    /// Whose last error is this once ids and numbers are folded, as [`DeadGroup::error`] says it.
    pub folded_error: Option<String>,
    /// Of this batch.
    pub batch_id: Option<JobId>,
    /// Also those that were cancelled or discarded.
    pub with_discarded: bool,
    /// That died at this instant or earlier.
    #[schemars(with = "Option<String>")]
    pub until: Option<DateTime<Utc>>,
}

/// Dead jobs of one kind that died of the same error.
#[derive(Clone, Debug, Serialize)]
pub struct DeadGroup {
    /// Their kind.
    pub kind: String,
    /// What went wrong, with ids as `<id>` and numbers as `#`.
    pub error: String,
    /// How many.
    pub count: i64,
    /// When the first of them died.
    pub first_died_at: DateTime<Utc>,
    /// When the last of them died.
    pub last_died_at: DateTime<Utc>,
    /// The one made last.
    pub sample_job_id: JobId,
}

/// Returns matching jobs by kind and error, the largest groups first; of all, or of so many that were made last.
///
/// # Errors
/// When the database fails.
pub async fn group(
    connection: &mut PgConnection,
    filter: &DeadFilter,
    at_most: Option<i64>,
) -> sqlx::Result<Vec<DeadGroup>> {
    sqlx::query_as!(
        DeadGroup,
        r#"WITH dead AS (
             SELECT id, kind, finished_at, fold_error(last_error) AS error FROM jobs
             WHERE (state = 'dead' OR $5 AND state = 'discarded') AND ($1::text IS NULL OR kind = $1)
               AND ($2::text IS NULL OR $2 IN (queue, split_part(queue, '.', 1)))
               AND ($3::text IS NULL OR strpos(last_error, $3) > 0) AND ($4::uuid IS NULL OR batch_id = $4)
               AND ($6::timestamptz IS NULL OR finished_at <= $6)
               AND ($7::text IS NULL OR fold_error(last_error) = $7)
             ORDER BY id DESC LIMIT $8
         )
         SELECT kind, error AS "error!", count(*) AS "count!", min(finished_at) AS "first_died_at!",
                max(finished_at) AS "last_died_at!", max(id::text)::uuid AS "sample_job_id!: JobId"
         FROM dead GROUP BY kind, error ORDER BY count(*) DESC, kind, error LIMIT 1000"#,
        filter.kind,
        filter.queue,
        filter.error,
        filter.batch_id.map(|id| id.0),
        filter.with_discarded,
        filter.until,
        filter.folded_error,
        at_most,
    )
    .fetch_all(connection)
    .await
}

/// Returns up to `limit` matching jobs with ids above `after`, in the order of their ids.
///
/// # Errors
/// When the database fails.
pub async fn matching(
    connection: &mut PgConnection,
    filter: &DeadFilter,
    after: Option<JobId>,
    limit: i64,
) -> sqlx::Result<Vec<JobId>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: JobId" FROM jobs
           WHERE (state = 'dead' OR $5 AND state = 'discarded') AND ($1::text IS NULL OR kind = $1)
             AND ($2::text IS NULL OR $2 IN (queue, split_part(queue, '.', 1)))
             AND ($3::text IS NULL OR strpos(last_error, $3) > 0) AND ($4::uuid IS NULL OR batch_id = $4)
             AND ($6::timestamptz IS NULL OR finished_at <= $6) AND ($7::uuid IS NULL OR id > $7)
             AND ($9::text IS NULL OR fold_error(last_error) = $9)
           ORDER BY id LIMIT $8"#,
        filter.kind,
        filter.queue,
        filter.error,
        filter.batch_id.map(|id| id.0),
        filter.with_discarded,
        filter.until,
        after.map(|id| id.0),
        limit,
        filter.folded_error,
    )
    .fetch_all(connection)
    .await
}

/// Returns how many jobs match.
///
/// # Errors
/// When the database fails.
pub async fn count(connection: &mut PgConnection, filter: &DeadFilter) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM jobs
           WHERE (state = 'dead' OR $5 AND state = 'discarded') AND ($1::text IS NULL OR kind = $1)
             AND ($2::text IS NULL OR $2 IN (queue, split_part(queue, '.', 1)))
             AND ($3::text IS NULL OR strpos(last_error, $3) > 0) AND ($4::uuid IS NULL OR batch_id = $4)
             AND ($6::timestamptz IS NULL OR finished_at <= $6)
             AND ($7::text IS NULL OR fold_error(last_error) = $7)"#,
        filter.kind,
        filter.queue,
        filter.error,
        filter.batch_id.map(|id| id.0),
        filter.with_discarded,
        filter.until,
        filter.folded_error,
    )
    .fetch_one(connection)
    .await
}

/// Returns the database's time: what died until then is what an operator could have seen.
///
/// # Errors
/// When the database fails.
pub async fn now(connection: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(connection).await
}
