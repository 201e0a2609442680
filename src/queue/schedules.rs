//! From the clock to the ledger: ticks of schedules become jobs.
//!
//! Every worker runs this loop; a due schedule is locked, its job recorded and its next tick set in one transaction, so
//! each tick is one job whoever dies when. The database's clock decides what is due. A tick that the ledger refuses is
//! noted on its schedule, which goes on. The command line saves and starts schedules through the same door.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use sqlx::{Acquire, PgConnection, PgPool, error::DatabaseError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    admission,
    backoff::Reconnect,
    dispatch::Wake,
    envelope::{EnvelopeError, MAX_ENVELOPE_BYTES, PrepareJob},
    job::{JobOptions, RequestId},
    registry::Registry,
};
use crate::{
    domain::{
        ids::{JobId, ResellerId},
        payload_template::{self, UnknownVariable},
        schedule::{MISSED_AFTER, NotARecurrence, Recurrence},
    },
    store::{
        jobs::{self, NewJob},
        operator_actions::Operator,
        schedules::{self, DueSchedule, NewSchedule, Schedule, Ticked},
    },
};

/// Source of the jobs that schedules start; their ids are `<name>/<tick>`.
const SOURCE: &str = "billrunner/schedule";
/// Longest sleep: what a lost notification can cost.
const MAX_SLEEP: Duration = Duration::from_secs(30);
/// Sleep while another worker has what is due in hand, and may yet die of it.
const HELD_ELSEWHERE: Duration = Duration::from_millis(50);
/// Longest name, as the table has it.
const MAX_NAME_LENGTH: usize = 100;

/// Says why a schedule is not saved or not started.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The name would not do in an idempotency key.
    #[error(
        "`{0}` is no name for a schedule; write 1 to 100 of a-z, 0-9 and . _ / -, with a letter or digit first, such as \
         `bill-run/aws`"
    )]
    Name(String),
    /// Expression, zone or policy do not read.
    #[error(transparent)]
    Recurrence(#[from] NotARecurrence),
    /// The payload names a variable that does not exist.
    #[error(transparent)]
    Variable(#[from] UnknownVariable),
    /// The payload is larger than a request may be.
    #[error("the payload has {0} bytes; at most {MAX_ENVELOPE_BYTES} are taken: jobs carry ids, and load the rest")]
    TooLarge(usize),
    /// The jobs would be refused.
    #[error(transparent)]
    Job(#[from] EnvelopeError),
    /// The payload names a reseller that does not exist.
    #[error("reseller {0} does not exist; `billrunner directory FILE` makes one")]
    UnknownReseller(ResellerId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The loop of a process that ticks.
pub(super) struct Ticking<C> {
    pub pool: PgPool,
    pub registry: Arc<Registry<C>>,
    pub wake: Wake,
    /// A schedule changed.
    pub changed: Arc<Notify>,
    pub stop: CancellationToken,
}

impl<C: Clone + Send + Sync + 'static> Ticking<C> {
    /// Ticks until told to stop, outliving the database's absences.
    pub async fn run(self) {
        let mut reconnect = Reconnect::new();
        while !self.stop.is_cancelled() {
            match self.round().await {
                Ok(sleep) => {
                    reconnect = Reconnect::new();
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep(sleep) => {}
                        () = self.stop.cancelled() => return,
                    }
                }
                Err(error) => {
                    if reconnect.is_first() {
                        tracing::warn!(%error, "schedules wait");
                    }
                    self.stop.run_until_cancelled(reconnect.pause()).await;
                }
            }
        }
    }

    /// Takes every tick that is due. Returns how long nothing more is to do.
    async fn round(&self) -> sqlx::Result<Duration> {
        let mut connection = self.pool.acquire().await?;
        while !self.stop.is_cancelled() && self.take_one(&mut connection).await? {
            self.wake.now();
        }
        Ok(match schedules::seconds_until_due(&mut connection).await? {
            Some(seconds) if seconds <= 0.0 => HELD_ELSEWHERE,
            Some(seconds) => Duration::try_from_secs_f64(seconds + 0.001).unwrap_or(MAX_SLEEP).min(MAX_SLEEP),
            None => MAX_SLEEP,
        })
    }

    async fn take_one(&self, connection: &mut PgConnection) -> sqlx::Result<bool> {
        let mut transaction = connection.begin().await?;
        let Some(due) = schedules::take_due(&mut transaction).await? else { return Ok(false) };
        let ticked = self.tick(&mut transaction, &due).await?;
        if due.next_run_at < due.now - MISSED_AFTER {
            tracing::warn!(schedule = due.schedule.name, missed = %due.schedule.missed, "ticks were missed");
        }
        if ticked.last_error.is_some() {
            tracing::error!(schedule = due.schedule.name, "a tick was refused; `billrunner schedules show` says why");
        }
        schedules::record_tick(&mut transaction, &due.schedule.name, &ticked).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Records the jobs of a due schedule's ticks, and says what is next.
    async fn tick(&self, connection: &mut PgConnection, due: &DueSchedule) -> sqlx::Result<Ticked> {
        let DueSchedule { schedule, next_run_at, now } = due;
        let recurrence = match Recurrence::parse(&schedule.cron, &schedule.time_zone) {
            Ok(recurrence) => recurrence,
            // Only who wrote it past the command line gets here. It rests until somebody saves it anew.
            Err(error) => return Ok(Ticked { last_error: Some(error.to_string()), ..Ticked::default() }),
        };
        let ticks = recurrence.due(*next_run_at, *now, schedule.missed);
        let mut ticked = Ticked {
            next_run_at: recurrence.next_after(*now),
            last_tick_at: ticks.last().copied(),
            ..Ticked::default()
        };
        let requests = ticks.iter().map(|tick| {
            let key = tick.to_rfc3339_opts(SecondsFormat::Secs, true);
            self.registry.prepare_tick(schedule, &recurrence, *tick, &key).map_err(|error| error.to_string())
        });
        let (prepared, refused): (Vec<_>, Vec<_>) = requests.partition(Result::is_ok);
        ticked.last_error = refused.into_iter().filter_map(Result::err).next_back();
        for answer in admission::admit(connection, prepared.into_iter().flatten().map(Ok).collect()).await? {
            match answer {
                Ok(accepted) => ticked.last_job_id = Some(accepted.id()),
                Err(error) => ticked.last_error = Some(error.to_string()),
            }
        }
        Ok(ticked)
    }
}

impl<C: Clone + Send + Sync + 'static> Registry<C> {
    /// Saves a schedule after a trial: its payload is filled in as at the next tick and put before the ledger, so that
    /// none is saved whose jobs would be refused. Returns false when it was as it is to be.
    ///
    /// # Errors
    /// [`ScheduleError`], in words for whoever wrote it; nothing is changed then.
    pub async fn save_schedule(
        &self,
        connection: &mut PgConnection,
        new: &NewSchedule,
        saved_by: &str,
    ) -> Result<bool, ScheduleError> {
        check_name(&new.name)?;
        let size = new.payload.to_string().len();
        if size > MAX_ENVELOPE_BYTES {
            return Err(ScheduleError::TooLarge(size));
        }
        let recurrence = Recurrence::parse(&new.cron, &new.time_zone)?;
        let never = || NotARecurrence::Never(new.cron.clone());
        let next = recurrence.next_after(schedules::now(connection).await?).ok_or_else(never)?;
        let job = self.prepare_tick(new, &recurrence, next, &format!("trial/{}", JobId::new()))?;
        let mut trial = connection.begin().await?;
        admission::admit(&mut trial, vec![Ok(job)]).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
        trial.rollback().await?;
        let reseller_id = reseller_of(&new.payload);
        schedules::save(connection, new, reseller_id, next, saved_by).await.map_err(|error| match reseller_id {
            Some(id) if error.as_database_error().is_some_and(DatabaseError::is_foreign_key_violation) => {
                ScheduleError::UnknownReseller(id)
            }
            _ => error.into(),
        })
    }

    /// Makes the ledger row of a tick.
    fn prepare_tick(
        &self,
        schedule: &NewSchedule,
        recurrence: &Recurrence,
        tick: DateTime<Utc>,
        key: &str,
    ) -> Result<NewJob, ScheduleError> {
        let payload = payload_template::render(&schedule.payload, tick, recurrence.time_zone())?;
        let request = request_of(schedule, key);
        let requested_by = format!("schedule {}", schedule.name);
        Ok(self.prepare_kind(&schedule.kind, payload, request, requested_by, JobOptions::default())?)
    }
}

fn request_of(schedule: &NewSchedule, key: &str) -> RequestId {
    RequestId::new(SOURCE, format!("{}/{key}", schedule.name))
}

/// Starts a schedule's job now, under an id of its own, paused or not, and records who asked and why. Its ticks stay as
/// they are.
///
/// # Errors
/// [`ScheduleError`], when the job is refused.
pub async fn run_schedule_now(
    connection: &mut PgConnection,
    prepare: &PrepareJob,
    schedule: &Schedule,
    operator: Operator<'_>,
) -> Result<JobId, ScheduleError> {
    let schedule = schedule.to_new()?;
    let recurrence = Recurrence::parse(&schedule.cron, &schedule.time_zone)?;
    let now = schedules::now(connection).await?;
    let payload = payload_template::render(&schedule.payload, now, recurrence.time_zone())?;
    let request = request_of(&schedule, &format!("now/{}", JobId::new()));
    let job = prepare(&schedule.kind, payload, request, operator.name)?;
    let mut transaction = connection.begin().await?;
    let answers = admission::admit(&mut transaction, vec![Ok(job)]).await?;
    let accepted = answers.into_iter().next().ok_or(sqlx::Error::RowNotFound)??;
    schedules::record_job(&mut transaction, &schedule.name, accepted.id(), operator).await?;
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(accepted.id())
}

/// Returns when a schedule that stood still ticks next.
///
/// # Errors
/// [`ScheduleError`], when its expression or zone no longer read.
pub async fn next_tick(
    connection: &mut PgConnection,
    schedule: &Schedule,
) -> Result<Option<DateTime<Utc>>, ScheduleError> {
    let recurrence = Recurrence::parse(&schedule.cron, &schedule.time_zone)?;
    Ok(recurrence.next_after(schedules::now(connection).await?))
}

fn check_name(name: &str) -> Result<(), ScheduleError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_name = name.bytes().next().is_some_and(is_plain)
        && name.len() <= MAX_NAME_LENGTH
        && name.bytes().all(|byte| is_plain(byte) || b"._/-".contains(&byte));
    let shown = || name.chars().filter(|c| !c.is_control()).take(60).collect();
    if is_name { Ok(()) } else { Err(ScheduleError::Name(shown())) }
}

/// Returns whose a schedule is: the reseller that its payload names, so that the two cannot differ.
fn reseller_of(payload: &Value) -> Option<ResellerId> {
    payload.get("reseller_id")?.as_str()?.parse().ok()
}
