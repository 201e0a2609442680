//! The kinds of job as the SQL door knows them.
//!
//! Written by `billrunner migrate`, read by `enqueue_job` in the database. The kinds of other releases stay: while an
//! update rolls out, both have workers.

use serde_json::Value;
use sqlx::PgConnection;

/// What other systems may know of a kind of job.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JobKind {
    /// Name in the ledger and on the command line.
    pub kind: &'static str,
    /// `CloudEvents` type at the doors.
    pub event_type: &'static str,
    /// Where it waits.
    pub queue: &'static str,
    /// The payload's field whose value names the lane inside the queue.
    pub lane_field: Option<&'static str>,
    /// The lanes that workers read.
    pub lanes: Vec<String>,
    /// Failed attempts after which it is dead.
    pub max_attempts: i32,
    /// What stands where the sender leaves a field out.
    pub defaults: Value,
    /// JSON Schema of the payload.
    pub schema: Value,
}

/// Records the kinds of a release. Needs the owner's login.
///
/// # Errors
/// When the database fails.
pub async fn record(connection: &mut PgConnection, kinds: &[JobKind]) -> sqlx::Result<()> {
    for kind in kinds {
        // A kind that was renamed keeps its type.
        sqlx::query!("DELETE FROM job_kinds WHERE event_type = $1 AND kind <> $2", kind.event_type, kind.kind)
            .execute(&mut *connection)
            .await?;
        sqlx::query!(
            "INSERT INTO job_kinds (kind, event_type, queue, lane_field, lanes, max_attempts, defaults, schema)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (kind) DO UPDATE SET event_type = excluded.event_type, queue = excluded.queue,
                 lane_field = excluded.lane_field, lanes = excluded.lanes, max_attempts = excluded.max_attempts,
                 defaults = excluded.defaults, schema = excluded.schema",
            kind.kind,
            kind.event_type,
            kind.queue,
            kind.lane_field,
            &kind.lanes,
            kind.max_attempts,
            kind.defaults,
            kind.schema,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
