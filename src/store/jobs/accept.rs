//! How a job comes into the ledger: once for each request, once for each dedupe key that is not final.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::domain::ids::JobId;

/// Rounds in which a dedupe key may change hands between two statements before the database is called at fault.
const MAX_ROUNDS: usize = 5;

/// A job to be accepted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Which handler runs it.
    pub kind: &'static str,
    /// The lane it waits in, such as `billing.aws`.
    pub queue: String,
    /// Higher goes first: a step is a head start of 30 seconds. From -100 to 100.
    pub priority: i16,
    /// Ids and enums; the handler loads the rest.
    pub payload: Value,
    /// SHA-256 over kind and payload: tells a repeat from a conflict.
    pub payload_hash: [u8; 32],
    /// Who sends it; with `external_id` the idempotency key.
    pub source: String,
    /// The sender's own id for it.
    pub external_id: String,
    /// While a job of this kind and key is not final, another is folded into it.
    pub dedupe_key: Option<String>,
    /// The job that fanned it out.
    pub parent_id: Option<JobId>,
    /// The completion job of its batch.
    pub batch_id: Option<JobId>,
    /// Whether it is a batch's completion job: due once no job of the batch is left.
    pub completes_batch: bool,
    /// Failed attempts after which it is dead.
    pub max_attempts: i32,
    /// Not before; `None` is at once.
    pub run_at: Option<DateTime<Utc>>,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// The person or system that asked.
    pub requested_by: String,
}

/// What became of a job handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is recorded and will run.
    New(JobId),
    /// The same job was handed in before: this is its id.
    Repeated(JobId),
    /// A job that is not final holds its dedupe key and stands for it.
    Folded(JobId),
}

impl Accepted {
    /// Returns the job's id, new or not.
    pub fn id(self) -> JobId {
        match self {
            Self::New(id) | Self::Repeated(id) | Self::Folded(id) => id,
        }
    }
}

/// Says why a job was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The idempotency key is taken by other work.
    #[error("id `{external_id}` of source `{source_name}` was used for another {kind}; send a new id for new work")]
    Conflict {
        /// Who sends.
        source_name: String,
        /// The id that was used before.
        external_id: String,
        /// Kind of the new job.
        kind: &'static str,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Records a job in the caller's transaction. The same key with the same payload is the first job again.
///
/// # Errors
/// [`AcceptError::Conflict`] when the key was used with another payload.
pub async fn accept(connection: &mut PgConnection, job: &NewJob) -> Result<Accepted, AcceptError> {
    let accepted = accept_all(connection, std::slice::from_ref(job)).await?;
    accepted.into_iter().next().unwrap_or(Err(AcceptError::Database(sqlx::Error::RowNotFound)))
}

/// Records many jobs at once, each as [`accept`] does; the answers come in the order of the jobs.
///
/// # Errors
/// When the database fails or refuses a value; nothing is recorded then.
pub async fn accept_all(
    connection: &mut PgConnection,
    jobs: &[NewJob],
) -> sqlx::Result<Vec<Result<Accepted, AcceptError>>> {
    let mut answers: HashMap<JobId, Result<Accepted, AcceptError>> = HashMap::with_capacity(jobs.len());
    let mut open: Vec<&NewJob> = jobs.iter().collect();
    for _ in 0..MAX_ROUNDS {
        answers.extend(insert(connection, &open).await?.into_iter().map(|id| (id, Ok(Accepted::New(id)))));
        open.retain(|job| !answers.contains_key(&job.id));
        if open.is_empty() {
            break;
        }
        answers.extend(find_repeated(connection, &open).await?);
        open.retain(|job| !answers.contains_key(&job.id));
        answers.extend(find_holders(connection, &open).await?);
        open.retain(|job| !answers.contains_key(&job.id));
    }
    let answer = |job: &NewJob| answers.remove(&job.id).ok_or(sqlx::Error::RowNotFound);
    jobs.iter().map(answer).collect()
}

/// Inserts what no key stands against, and returns the ids of what it inserted.
async fn insert(connection: &mut PgConnection, jobs: &[&NewJob]) -> sqlx::Result<Vec<JobId>> {
    let column = |value: fn(&NewJob) -> String| jobs.iter().map(|job| value(job)).collect::<Vec<_>>();
    let hashes: Vec<Vec<u8>> = jobs.iter().map(|job| job.payload_hash.to_vec()).collect();
    let payloads: Vec<Value> = jobs.iter().map(|job| job.payload.clone()).collect();
    let states = column(|job| if job.completes_batch { "awaiting" } else { "scheduled" }.to_owned());
    sqlx::query_scalar!(
        r#"INSERT INTO jobs (id, kind, queue, priority, payload, payload_hash, source, external_id, dedupe_key, parent_id,
                             batch_id, completes_batch, state, max_attempts, run_at, traceparent, requested_by)
           SELECT id, kind, queue, priority, payload, payload_hash, source, external_id, dedupe_key, parent_id,
                  batch_id, state = 'awaiting', state, max_attempts, coalesce(run_at, now()), traceparent, requested_by
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::jsonb[], $6::bytea[], $7::text[],
                       $8::text[], $9::text[], $10::uuid[], $11::uuid[], $12::text[], $13::integer[],
                       $14::timestamptz[], $15::text[], $16::text[])
             AS new (id, kind, queue, priority, payload, payload_hash, source, external_id, dedupe_key, parent_id,
                     batch_id, state, max_attempts, run_at, traceparent, requested_by)
           ON CONFLICT DO NOTHING RETURNING id AS "id: JobId""#,
        &jobs.iter().map(|job| job.id.0).collect::<Vec<_>>(),
        &column(|job| job.kind.to_owned()),
        &column(|job| job.queue.clone()),
        &jobs.iter().map(|job| job.priority).collect::<Vec<_>>(),
        &payloads,
        &hashes,
        &column(|job| job.source.clone()),
        &column(|job| job.external_id.clone()),
        &jobs.iter().map(|job| job.dedupe_key.clone()).collect::<Vec<_>>() as &[Option<String>],
        &jobs.iter().map(|job| job.parent_id.map(|id| id.0)).collect::<Vec<_>>() as &[Option<uuid::Uuid>],
        &jobs.iter().map(|job| job.batch_id.map(|id| id.0)).collect::<Vec<_>>() as &[Option<uuid::Uuid>],
        &states,
        &jobs.iter().map(|job| job.max_attempts).collect::<Vec<_>>(),
        &jobs.iter().map(|job| job.run_at).collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
        &jobs.iter().map(|job| job.traceparent.clone()).collect::<Vec<_>>() as &[Option<String>],
        &column(|job| job.requested_by.clone()),
    )
    .fetch_all(connection)
    .await
}

type Answers = Vec<(JobId, Result<Accepted, AcceptError>)>;

/// Answers the jobs whose idempotency key is recorded.
async fn find_repeated(connection: &mut PgConnection, jobs: &[&NewJob]) -> sqlx::Result<Answers> {
    let sources: Vec<String> = jobs.iter().map(|job| job.source.clone()).collect();
    let external_ids: Vec<String> = jobs.iter().map(|job| job.external_id.clone()).collect();
    let recorded = sqlx::query!(
        r#"SELECT jobs.id AS "id: JobId", source, external_id, payload_hash
           FROM jobs JOIN unnest($1::text[], $2::text[]) AS wanted (source, external_id) USING (source, external_id)"#,
        &sources,
        &external_ids,
    )
    .fetch_all(connection)
    .await?;
    let recorded: HashMap<_, _> =
        recorded.iter().map(|row| ((row.source.as_str(), row.external_id.as_str()), row)).collect();
    let answer = |job: &&NewJob| {
        let first = recorded.get(&(job.source.as_str(), job.external_id.as_str()))?;
        let answer = if first.payload_hash == job.payload_hash {
            Ok(Accepted::Repeated(first.id))
        } else {
            let (source_name, external_id) = (job.source.clone(), job.external_id.clone());
            Err(AcceptError::Conflict { source_name, external_id, kind: job.kind })
        };
        Some((job.id, answer))
    };
    Ok(jobs.iter().filter_map(answer).collect())
}

/// Answers the jobs whose dedupe key is held by one that is not final.
async fn find_holders(connection: &mut PgConnection, jobs: &[&NewJob]) -> sqlx::Result<Answers> {
    let keyed: Vec<(JobId, String, String)> =
        jobs.iter().filter_map(|job| Some((job.id, job.kind.to_owned(), job.dedupe_key.clone()?))).collect();
    let kinds: Vec<String> = keyed.iter().map(|(_, kind, _)| kind.clone()).collect();
    let keys: Vec<String> = keyed.iter().map(|(.., key)| key.clone()).collect();
    let holders = sqlx::query!(
        r#"SELECT jobs.id AS "id: JobId", kind, dedupe_key AS "dedupe_key!"
           FROM jobs JOIN unnest($1::text[], $2::text[]) AS wanted (kind, dedupe_key) USING (kind, dedupe_key)
           WHERE finished_at IS NULL"#,
        &kinds,
        &keys,
    )
    .fetch_all(connection)
    .await?;
    let holders: HashMap<_, _> = holders.into_iter().map(|row| ((row.kind, row.dedupe_key), row.id)).collect();
    let answer = |(id, kind, key)| Some((id, Ok(Accepted::Folded(*holders.get(&(kind, key))?))));
    Ok(keyed.into_iter().filter_map(answer).collect())
}

/// The channel on which writers outside the worker say that a job waits.
pub const NOTIFY_CHANNEL: &str = "billrunner_jobs";

/// Wakes every dispatch loop once the caller's transaction commits.
///
/// # Errors
/// When the database fails.
pub async fn notify_dispatchers(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_notify($1, '')", NOTIFY_CHANNEL).execute(connection).await.map(drop)
}
