//! Schedules: what is to start when, and what became of the last tick.
//!
//! Read by the loop that ticks, in every worker, and by the command line. The database's clock alone says what is due, so
//! workers whose clocks differ agree.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Connection, PgConnection, types::Json};

use super::{
    Corrupt,
    operator_actions::{Operator, record_on_subject},
};
use crate::domain::{
    ids::{JobId, ResellerId},
    schedule::MissedPolicy,
};

/// The channel on which the loops that tick hear that a schedule changed.
pub const SCHEDULES_CHANNEL: &str = "billrunner_schedules";

/// A schedule as it is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSchedule {
    /// Its name.
    pub name: String,
    /// Kind of the jobs it starts.
    pub kind: String,
    /// Their payload, with variables.
    pub payload: Value,
    /// When, as a cron expression.
    pub cron: String,
    /// In which zone, by its IANA name.
    pub time_zone: String,
    /// What becomes of ticks that nobody took in time.
    pub missed: MissedPolicy,
}

/// A schedule as operators see it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// Whose; `None` is the house's own.
    pub reseller_id: Option<ResellerId>,
    /// Kind of the jobs it starts.
    pub kind: String,
    /// Their payload, with variables.
    pub payload: Json<Value>,
    /// When, as a cron expression.
    pub cron: String,
    /// In which zone.
    pub time_zone: String,
    /// What becomes of ticks that nobody took in time.
    pub missed: String,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// By whom.
    pub paused_by: Option<String>,
    /// Why.
    pub pause_reason: Option<String>,
    /// The tick that is due next.
    pub next_run_at: Option<DateTime<Utc>>,
    /// The latest tick that was taken.
    pub last_tick_at: Option<DateTime<Utc>>,
    /// The latest job it started.
    pub last_job_id: Option<JobId>,
    /// Where that job stands; `None` once it is pruned.
    pub last_job_state: Option<String>,
    /// Why the ledger refused the job of the latest tick.
    pub last_error: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Who changed it last.
    pub updated_by: String,
    /// When.
    pub updated_at: DateTime<Utc>,
}

impl Schedule {
    /// Returns what it is to be, as it stands.
    ///
    /// # Errors
    /// When the stored policy does not read.
    pub fn to_new(&self) -> sqlx::Result<NewSchedule> {
        Ok(NewSchedule {
            name: self.name.clone(),
            kind: self.kind.clone(),
            payload: self.payload.0.clone(),
            cron: self.cron.clone(),
            time_zone: self.time_zone.clone(),
            missed: self.missed.parse().corrupt("missed")?,
        })
    }
}

/// A schedule whose tick is due, locked until the caller's transaction ends.
#[derive(Clone, Debug)]
pub struct DueSchedule {
    /// As it is to be.
    pub schedule: NewSchedule,
    /// The tick that is due.
    pub next_run_at: DateTime<Utc>,
    /// What time it is for the database.
    pub now: DateTime<Utc>,
}

/// What became of a due schedule.
#[derive(Clone, Debug, Default)]
pub struct Ticked {
    /// The next tick.
    pub next_run_at: Option<DateTime<Utc>>,
    /// The latest tick that was taken, if any was.
    pub last_tick_at: Option<DateTime<Utc>>,
    /// The latest job that it started, if it did.
    pub last_job_id: Option<JobId>,
    /// Why the ledger refused.
    pub last_error: Option<String>,
}

/// Returns what time it is for the database.
///
/// # Errors
/// When the database fails.
pub async fn now(connection: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(connection).await
}

/// Locks the schedule that has been due longest, of those that no other worker has in hand.
///
/// # Errors
/// When the database fails.
pub async fn take_due(connection: &mut PgConnection) -> sqlx::Result<Option<DueSchedule>> {
    let row = sqlx::query!(
        r#"SELECT name, kind, payload AS "payload: Json<Value>", cron, time_zone, missed, next_run_at AS "next_run_at!",
                  clock_timestamp() AS "now!"
           FROM schedules WHERE paused_at IS NULL AND next_run_at <= now()
           ORDER BY next_run_at LIMIT 1 FOR UPDATE SKIP LOCKED"#
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let schedule = NewSchedule {
            name: row.name,
            kind: row.kind,
            payload: row.payload.0,
            cron: row.cron,
            time_zone: row.time_zone,
            missed: row.missed.parse().corrupt("missed")?,
        };
        Ok(DueSchedule { schedule, next_run_at: row.next_run_at, now: row.now })
    })
    .transpose()
}

/// Records what became of a due schedule.
///
/// # Errors
/// When the database fails.
pub async fn record_tick(connection: &mut PgConnection, name: &str, ticked: &Ticked) -> sqlx::Result<()> {
    let updated = sqlx::query!(
        "UPDATE schedules SET next_run_at = $2, last_tick_at = coalesce($3, last_tick_at),
             last_job_id = coalesce($4, last_job_id), last_error = $5
         WHERE name = $1",
        name,
        ticked.next_run_at,
        ticked.last_tick_at,
        ticked.last_job_id.map(|id| id.0),
        ticked.last_error,
    )
    .execute(connection)
    .await?;
    if updated.rows_affected() == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

/// Returns in how many seconds the next tick is due; `None` when none is.
///
/// # Errors
/// When the database fails.
pub async fn seconds_until_due(connection: &mut PgConnection) -> sqlx::Result<Option<f64>> {
    sqlx::query_scalar!(
        r#"SELECT extract(epoch FROM min(next_run_at) - clock_timestamp())::float8 FROM schedules
           WHERE paused_at IS NULL"#
    )
    .fetch_one(connection)
    .await
}

/// Makes or changes a schedule. Whether it is paused stays as it is. Returns false when it was as it is to be.
///
/// # Errors
/// When the database fails.
pub async fn save(
    connection: &mut PgConnection,
    new: &NewSchedule,
    reseller_id: Option<ResellerId>,
    next_run_at: DateTime<Utc>,
    saved_by: &str,
) -> sqlx::Result<bool> {
    let saved = sqlx::query!(
        "INSERT INTO schedules (name, reseller_id, kind, payload, cron, time_zone, missed, next_run_at, created_by, updated_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
         ON CONFLICT (name) DO UPDATE SET reseller_id = $2, kind = $3, payload = $4, cron = $5, time_zone = $6, missed = $7,
             next_run_at = $8, last_error = NULL, updated_by = $9, updated_at = now()
         WHERE schedules.next_run_at IS NULL OR (schedules.kind, schedules.payload, schedules.cron, schedules.time_zone, schedules.missed)
               IS DISTINCT FROM ($3, $4, $5, $6, $7)",
        new.name,
        reseller_id.map(|id| id.0),
        new.kind,
        new.payload,
        new.cron,
        new.time_zone,
        new.missed.as_str(),
        next_run_at,
        saved_by,
    )
    .execute(&mut *connection)
    .await?;
    notify(connection).await?;
    Ok(saved.rows_affected() == 1)
}

/// Pauses a schedule. Returns false when it does not exist or is paused already.
///
/// # Errors
/// When the database fails.
pub async fn pause(connection: &mut PgConnection, name: &str, operator: Operator<'_>) -> sqlx::Result<bool> {
    let mut transaction = connection.begin().await?;
    let paused = sqlx::query!(
        "UPDATE schedules SET paused_at = now(), paused_by = $2, pause_reason = $3, updated_by = $2, updated_at = now()
         WHERE name = $1 AND paused_at IS NULL",
        name,
        operator.name,
        operator.reason,
    )
    .execute(&mut *transaction)
    .await?;
    if paused.rows_affected() == 1 {
        record_on_subject(&mut transaction, operator, "pause", &subject(name), None).await?;
    }
    transaction.commit().await?;
    Ok(paused.rows_affected() == 1)
}

/// Lets a paused schedule go on from its next tick: those of the pause do not come. Returns false when it does not exist
/// or is not paused.
///
/// # Errors
/// When the database fails.
pub async fn resume(
    connection: &mut PgConnection,
    name: &str,
    operator: Operator<'_>,
    next_run_at: Option<DateTime<Utc>>,
) -> sqlx::Result<bool> {
    let mut transaction = connection.begin().await?;
    let resumed = sqlx::query!(
        "UPDATE schedules SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, next_run_at = $3, updated_by = $2,
             updated_at = now()
         WHERE name = $1 AND paused_at IS NOT NULL",
        name,
        operator.name,
        next_run_at,
    )
    .execute(&mut *transaction)
    .await?;
    if resumed.rows_affected() == 1 {
        record_on_subject(&mut transaction, operator, "resume", &subject(name), None).await?;
        notify(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(resumed.rows_affected() == 1)
}

/// Returns how the record of what people did names a schedule.
pub fn subject(name: &str) -> String {
    format!("schedule/{name}")
}

/// Removes a schedule; the jobs it started stay. Returns false when it does not exist.
///
/// # Errors
/// When the database fails.
pub async fn remove(connection: &mut PgConnection, name: &str) -> sqlx::Result<bool> {
    let removed = sqlx::query!("DELETE FROM schedules WHERE name = $1", name).execute(connection).await?;
    Ok(removed.rows_affected() == 1)
}

/// Records the job that a person had a schedule start out of turn, in the caller's transaction.
///
/// # Errors
/// When the database fails.
pub async fn record_job(
    connection: &mut PgConnection,
    name: &str,
    job_id: JobId,
    operator: Operator<'_>,
) -> sqlx::Result<()> {
    sqlx::query!("UPDATE schedules SET last_job_id = $2 WHERE name = $1", name, job_id.0)
        .execute(&mut *connection)
        .await?;
    record_on_subject(connection, operator, "run", &subject(name), Some(&format!("job {job_id}"))).await
}

/// Returns all schedules, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection) -> sqlx::Result<Vec<Schedule>> {
    find_where(connection, None).await
}

/// Returns a schedule.
///
/// # Errors
/// When the database fails.
pub async fn find(connection: &mut PgConnection, name: &str) -> sqlx::Result<Option<Schedule>> {
    Ok(find_where(connection, Some(name)).await?.pop())
}

async fn find_where(connection: &mut PgConnection, name: Option<&str>) -> sqlx::Result<Vec<Schedule>> {
    sqlx::query_as!(
        Schedule,
        r#"SELECT name, reseller_id AS "reseller_id: ResellerId", schedules.kind, schedules.payload AS "payload: Json<Value>",
                  cron, time_zone, missed, paused_at, paused_by, pause_reason, next_run_at, last_tick_at,
                  last_job_id AS "last_job_id: JobId", jobs.state AS "last_job_state?", schedules.last_error, created_by,
                  schedules.created_at, updated_by, updated_at
           FROM schedules LEFT JOIN jobs ON jobs.id = last_job_id
           WHERE $1::text IS NULL OR name = $1
           ORDER BY name LIMIT 10000"#,
        name,
    )
    .fetch_all(connection)
    .await
}

/// Wakes the loops that tick once the caller's transaction commits.
async fn notify(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_notify($1, '')", SCHEDULES_CHANNEL).execute(connection).await.map(drop)
}
