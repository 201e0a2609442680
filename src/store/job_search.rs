//! Jobs found by what people know of them: kind, state, whose, of which month, what went wrong.
//!
//! Called by `console` for its pages and by the job that changes all that match. What a filter finds it finds through an index
//! (`migrations/0043…`); the planner must know what is looked for, so callers have each search planned anew.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::domain::ids::JobId;

/// Invoices of a customer and their notifications that are looked for, the newest: what a page cannot show is not asked for.
const MAX_SUBJECTS: i64 = 5000;

/// States of jobs that have not ended: each has its index.
const UNENDED: [&str; 4] = ["awaiting", "scheduled", "dispatched", "running"];

/// Which jobs are meant; what is absent narrows nothing down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobSearch {
    /// In this state.
    pub state: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this queue or lane.
    pub queue: Option<String>,
    /// Of this batch.
    pub batch_id: Option<JobId>,
    /// Whose customer's name contains this, or whose id is this.
    pub customer: Option<String>,
    /// Whose payload names this provider.
    pub provider: Option<String>,
    /// Whose payload names this billing period.
    pub billing_period: Option<String>,
    /// About the invoice with this number, document id or id.
    pub invoice: Option<String>,
    /// Whose last error contains this text.
    pub error: Option<String>,
    /// Of this trace.
    pub trace_id: Option<String>,
    /// Handed in by this source.
    pub source: Option<String>,
    /// With this id of the sender's.
    pub external_id: Option<String>,
}

impl JobSearch {
    /// Tells whether nothing narrows it down.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Which of the jobs found are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    /// Older than this one.
    pub before: Option<JobId>,
    /// That stood so at this instant: handed in, or ended, until then.
    pub until: Option<DateTime<Utc>>,
    /// At most so many.
    pub limit: i64,
}

/// Has every statement of the caller's transaction planned for the values that it comes with.
///
/// # Errors
/// When the database fails.
pub async fn plan_anew(transaction: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("SET LOCAL plan_cache_mode = force_custom_plan").execute(transaction).await.map(drop)
}

/// How a job stands, as far as an index tells.
#[derive(Clone, Copy)]
enum Standing<'a> {
    Any,
    Ended,
    In(&'a str),
}

impl Standing<'_> {
    fn state(&self) -> Option<&str> {
        match self {
            Self::In(state) => Some(state),
            Self::Any | Self::Ended => None,
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self, Self::Ended | Self::In("done" | "dead" | "discarded"))
    }
}

/// What indexes begin with that hold what is looked for; `None` where that is not looked for.
struct Known {
    subjects: Option<Vec<String>>,
    sources: Option<Vec<String>>,
    lanes: Option<Vec<String>>,
    providers: Option<Vec<String>>,
}

impl Known {
    async fn of(connection: &mut PgConnection, search: &JobSearch) -> sqlx::Result<Self> {
        Ok(Self {
            subjects: subjects(&mut *connection, search).await?,
            sources: sources(&mut *connection, search).await?,
            lanes: lanes(&mut *connection, search).await?,
            providers: providers(connection, search).await?,
        })
    }
}

/// Returns matching jobs, newest first.
///
/// # Errors
/// When the database fails.
pub async fn matching(connection: &mut PgConnection, search: &JobSearch, part: Part) -> sqlx::Result<Vec<JobId>> {
    let known = Known::of(&mut *connection, search).await?;
    match (&search.state, &known.lanes) {
        (Some(state), _) => find(connection, search, &known, Standing::In(state), part).await,
        (None, None) => find(connection, search, &known, Standing::Any, part).await,
        // The index of lanes holds what has ended.
        (None, Some(_)) => {
            let unended = UNENDED.into_iter().map(Standing::In);
            find_each(connection, search, &known, unended.chain([Standing::Ended]), part).await
        }
    }
}

/// Returns matching jobs in any of several states, newest first.
///
/// # Errors
/// When the database fails.
pub async fn matching_in(
    connection: &mut PgConnection,
    search: &JobSearch,
    states: &[&str],
    part: Part,
) -> sqlx::Result<Vec<JobId>> {
    let known = Known::of(&mut *connection, search).await?;
    find_each(connection, search, &known, states.iter().map(|state| Standing::In(state)), part).await
}

/// Returns the newest of those that stand in any of several ways. Each way is asked for by itself: it has its index.
async fn find_each(
    connection: &mut PgConnection,
    search: &JobSearch,
    known: &Known,
    standings: impl Iterator<Item = Standing<'_>>,
    part: Part,
) -> sqlx::Result<Vec<JobId>> {
    let mut found = Vec::new();
    for standing in standings {
        found.extend(find(&mut *connection, search, known, standing, part).await?);
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.truncate(usize::try_from(part.limit).unwrap_or_default());
    Ok(found)
}

async fn find(
    connection: &mut PgConnection,
    search: &JobSearch,
    known: &Known,
    standing: Standing<'_>,
    part: Part,
) -> sqlx::Result<Vec<JobId>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: JobId" FROM jobs
           WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR kind = $2)
             AND ($3::text[] IS NULL OR queue = ANY ($3)) AND ($4::uuid IS NULL OR batch_id = $4)
             AND ($5::text[] IS NULL
                  OR coalesce(payload ->> 'invoice_id', payload ->> 'notification_id', payload ->> 'customer_id') = ANY ($5))
             AND ($6::text[] IS NULL OR payload ->> 'provider' = ANY ($6))
             AND ($7::text IS NULL OR payload ->> 'billing_period' = $7)
             AND ($8::text IS NULL OR last_error IS NOT NULL AND strpos(last_error, $8) > 0)
             AND ($9::text IS NULL OR traceparent IS NOT NULL AND substr(traceparent, 4, 32) = $9)
             AND ($10::text[] IS NULL OR source = ANY ($10)) AND ($11::text IS NULL OR external_id = $11)
             AND ($12::uuid IS NULL OR id < $12)
             AND ($13::timestamptz IS NULL OR coalesce(finished_at, created_at) <= $13)
             -- What the state says anyway, in the words of the indexes that hold such jobs.
             AND (NOT $15 OR finished_at IS NOT NULL)
             AND (coalesce($1, '') <> 'awaiting' OR completes_batch)
           ORDER BY id DESC LIMIT $14"#,
        standing.state(),
        search.kind,
        known.lanes.as_deref(),
        search.batch_id.map(|id| id.0),
        known.subjects.as_deref(),
        known.providers.as_deref(),
        search.billing_period,
        search.error,
        search.trace_id,
        known.sources.as_deref(),
        search.external_id,
        part.before.map(|id| id.0),
        part.until,
        part.limit,
        standing.has_ended(),
    )
    .fetch_all(connection)
    .await
}

/// Returns what the jobs of a customer or an invoice name in their payloads; `None` where neither is looked for.
async fn subjects(connection: &mut PgConnection, search: &JobSearch) -> sqlx::Result<Option<Vec<String>>> {
    if search.customer.is_none() && search.invoice.is_none() {
        return Ok(None);
    }
    sqlx::query_scalar!(
        r#"WITH customer AS MATERIALIZED (
             SELECT reseller_id, id FROM customers
             WHERE id::text = $1 OR strpos(lower(name), lower($1)) > 0 ORDER BY id LIMIT $3
         ), invoice AS MATERIALIZED (
             SELECT reseller_id, id FROM invoices
             WHERE ($2::text IS NULL OR number = $2 OR document_id = $2 OR id = payload_id(jsonb_build_object('id', $2), 'id'))
               AND ($1::text IS NULL OR (customer_id, reseller_id) IN (SELECT id, reseller_id FROM customer))
             ORDER BY id DESC LIMIT $3
         ), notification AS (
             SELECT notifications.id FROM invoice
             JOIN notifications ON (notifications.reseller_id, notifications.invoice_id) = (invoice.reseller_id, invoice.id)
             ORDER BY notifications.id DESC LIMIT $3
         )
         SELECT id::text AS "id!" FROM invoice UNION ALL SELECT id::text FROM notification
         UNION ALL SELECT id::text FROM customer WHERE $2::text IS NULL"#,
        search.customer,
        search.invoice,
        MAX_SUBJECTS,
    )
    .fetch_all(connection)
    .await
    .map(Some)
}

/// Returns the sources among which the sender's id is looked for: ids are kept by source. `None` where neither narrows the
/// search down. Of many jobs there are few sources, found by leaping from one to the next.
async fn sources(connection: &mut PgConnection, search: &JobSearch) -> sqlx::Result<Option<Vec<String>>> {
    match (&search.source, &search.external_id) {
        (Some(source), _) => Ok(Some(vec![source.clone()])),
        (None, None) => Ok(None),
        (None, Some(_)) => sqlx::query_scalar!(
            r#"WITH RECURSIVE leap AS (
                 (SELECT source FROM jobs ORDER BY source LIMIT 1)
                 UNION ALL
                 SELECT (SELECT source FROM jobs WHERE source > leap.source ORDER BY source LIMIT 1) FROM leap
                 WHERE leap.source IS NOT NULL
             )
             SELECT source AS "source!" FROM leap WHERE source IS NOT NULL LIMIT $1"#,
            MAX_SUBJECTS,
        )
        .fetch_all(connection)
        .await
        .map(Some),
    }
}

/// Returns the lanes among which a lane, a queue or a kind is looked for, as [`sources`] does.
async fn lanes(connection: &mut PgConnection, search: &JobSearch) -> sqlx::Result<Option<Vec<String>>> {
    if search.queue.is_none() && search.kind.is_none() {
        return Ok(None);
    }
    sqlx::query_scalar!(
        r#"WITH RECURSIVE leap AS (
             SELECT '' AS queue
             UNION ALL
             SELECT least(
                 (SELECT min(queue) FROM jobs WHERE finished_at IS NOT NULL AND queue > leap.queue),
                 (SELECT min(queue) FROM jobs WHERE state = 'scheduled' AND queue > leap.queue),
                 (SELECT min(queue) FROM jobs WHERE state IN ('dispatched', 'running') AND queue > leap.queue),
                 (SELECT min(queue) FROM jobs WHERE completes_batch AND state = 'awaiting' AND queue > leap.queue)) FROM leap
             WHERE leap.queue IS NOT NULL
         )
         SELECT queue AS "queue!" FROM leap
         WHERE queue <> '' AND ($1::text IS NULL OR $1 IN (queue, split_part(queue, '.', 1))) LIMIT $2"#,
        search.queue,
        MAX_SUBJECTS,
    )
    .fetch_all(connection)
    .await
    .map(Some)
}

/// Returns the providers among which a month is looked for, as [`sources`] does.
async fn providers(connection: &mut PgConnection, search: &JobSearch) -> sqlx::Result<Option<Vec<String>>> {
    match (&search.provider, &search.billing_period) {
        (Some(provider), _) => Ok(Some(vec![provider.clone()])),
        (None, None) => Ok(None),
        (None, Some(_)) => sqlx::query_scalar!(
            r#"WITH RECURSIVE leap AS (
                 (SELECT payload ->> 'provider' AS provider FROM jobs
                  WHERE payload ->> 'provider' IS NOT NULL ORDER BY payload ->> 'provider' LIMIT 1)
                 UNION ALL
                 SELECT (SELECT payload ->> 'provider' FROM jobs
                         WHERE payload ->> 'provider' IS NOT NULL AND payload ->> 'provider' > leap.provider
                         ORDER BY payload ->> 'provider' LIMIT 1) FROM leap
                 WHERE leap.provider IS NOT NULL
             )
             SELECT provider AS "provider!" FROM leap WHERE provider IS NOT NULL LIMIT $1"#,
            MAX_SUBJECTS,
        )
        .fetch_all(connection)
        .await
        .map(Some),
    }
}
