//! The one way an invoice's status changes, with its number and its history.
//!
//! Each step is an `UPDATE … WHERE status = from AND version = n` whose row count is checked; a trigger in the database
//! says the same to every other client.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::{
    charge_sums::ProviderPeriod,
    invoices::InvoiceState,
    waivers::{UnassignedFilter, unassigned_accounts},
};
use crate::domain::{
    billing_period::BillingPeriod,
    ids::{InvoiceId, JobId, ResellerId},
    invoice_event::{CHAIN_START, Cause, Event, EventName},
    invoice_status::{InvoiceStatus, Step},
    numbering,
};
#[cfg(feature = "faults")]
use crate::{
    faults::{self, Mutation},
    store::mutations,
};

/// Says that the invoice changed between reading and writing it.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Somebody else was faster.
    #[error("invoice {0} changed meanwhile; read it again")]
    Changed(InvoiceId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Takes one step: status, version, number where it opens, and the event. Returns the event's place in the chain.
///
/// # Errors
/// [`StepError::Changed`] when the invoice is no longer at the step's status and the state's version.
pub async fn take_step(
    connection: &mut PgConnection,
    state: &mut InvoiceState,
    step: Step,
    cause: &Cause,
    now: DateTime<Utc>,
) -> Result<i64, StepError> {
    // The chain before the number: a generation that opens what it made holds the chain already, and two that took
    // both the other way round would wait for each other.
    let chain = lock_chain(connection, state.key.reseller_id).await?;
    let issue = match step.event {
        EventName::Opened => {
            let series = numbering::series(state.kind, now.date_naive());
            let (next, day) = take_numbers(connection, state.key.reseller_id, &series, 1, now.date_naive()).await?;
            Some((numbering::number(&series, next), day))
        }
        EventName::Generated | EventName::Reopened | EventName::Closed | EventName::Voided | EventName::Discarded => {
            None
        }
    };
    let (number, issued_on) = issue.unzip();
    let updated = sqlx::query!(
        "UPDATE invoices
         SET status = $5, version = version + 1,
             number = coalesce($6, number), issued_on = coalesce($7, issued_on),
             opened_at = CASE WHEN $9 = 'opened' THEN $8 ELSE opened_at END,
             closed_at = CASE WHEN $9 = 'closed' THEN $8 WHEN $9 = 'reopened' THEN NULL ELSE closed_at END,
             voided_at = CASE WHEN $9 = 'voided' THEN $8 ELSE voided_at END,
             discarded_at = CASE WHEN $9 = 'discarded' THEN $8 ELSE discarded_at END
         WHERE reseller_id = $1 AND id = $2 AND status = $3 AND version = $4",
        state.key.reseller_id.0,
        state.id.0,
        step.from.as_str(),
        state.version,
        step.to.as_str(),
        number,
        issued_on,
        now,
        step.event.as_str(),
    )
    .execute(&mut *connection)
    .await?;
    if updated.rows_affected() != 1 {
        return Err(StepError::Changed(state.id));
    }
    state.status = step.to;
    state.version += 1;
    let change = (Some(step.from), step.to);
    Ok(append(connection, chain, state, Happening { name: step.event, change, cause, occurred_at: now }).await?)
}

/// Takes the next numbers of a series: returns the first of them and the day of issue. The row stays locked until the
/// transaction ends, so that a number is used exactly when its invoice opens, and days of issue never go back within a
/// series.
pub(super) async fn take_numbers(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    series: &str,
    count: i64,
    today: NaiveDate,
) -> sqlx::Result<(i64, NaiveDate)> {
    #[cfg(feature = "faults")]
    if faults::is_planted(Mutation::NumbersByMax) {
        return Ok((mutations::highest_number(connection, reseller_id, series).await? + 1, today));
    }
    let row = sqlx::query!(
        r#"INSERT INTO number_series (reseller_id, series, next, last_issued_on) VALUES ($1, $2, 1 + $3::bigint, $4)
           ON CONFLICT (reseller_id, series) DO UPDATE
           SET next = number_series.next + $3, last_issued_on = greatest(number_series.last_issued_on, $4)
           RETURNING next - $3 AS "first!", last_issued_on"#,
        reseller_id.0,
        series,
        count,
        today,
    )
    .fetch_one(connection)
    .await?;
    Ok((row.first, row.last_issued_on))
}

/// Appends an event to the reseller's hash chain and returns its place.
///
/// # Errors
/// When the database fails.
pub async fn append_event(
    connection: &mut PgConnection,
    state: &InvoiceState,
    name: EventName,
    change: (Option<InvoiceStatus>, InvoiceStatus),
    cause: &Cause,
    occurred_at: DateTime<Utc>,
) -> sqlx::Result<i64> {
    let chain = lock_chain(connection, state.key.reseller_id).await?;
    append(connection, chain, state, Happening { name, change, cause, occurred_at }).await
}

/// Where a reseller's chain ends.
pub(super) struct ChainEnd {
    pub next_sequence: i64,
    pub last_hash: Vec<u8>,
}

/// Locks a reseller's chain until the transaction ends and returns where it ends.
pub(super) async fn lock_chain(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<ChainEnd> {
    if let Some(end) = try_lock_chain(connection, reseller_id).await? {
        return Ok(end);
    }
    sqlx::query!(
        "INSERT INTO event_chains (reseller_id, next_sequence, last_hash) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING",
        reseller_id.0,
        &CHAIN_START[..],
    )
    .execute(&mut *connection)
    .await?;
    try_lock_chain(connection, reseller_id).await?.ok_or(sqlx::Error::RowNotFound)
}

async fn try_lock_chain(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<Option<ChainEnd>> {
    sqlx::query_as!(
        ChainEnd,
        "SELECT next_sequence, last_hash FROM event_chains WHERE reseller_id = $1 FOR UPDATE",
        reseller_id.0,
    )
    .fetch_optional(connection)
    .await
}

/// What an event says besides which invoice it is of.
struct Happening<'a> {
    name: EventName,
    change: (Option<InvoiceStatus>, InvoiceStatus),
    cause: &'a Cause,
    occurred_at: DateTime<Utc>,
}

async fn append(
    connection: &mut PgConnection,
    chain: ChainEnd,
    state: &InvoiceState,
    happening: Happening<'_>,
) -> sqlx::Result<i64> {
    let reseller_id = state.key.reseller_id;
    let (from_status, to_status) = happening.change;
    let event = Event {
        reseller_id,
        sequence: chain.next_sequence,
        invoice_id: state.id,
        invoice_version: state.version,
        name: happening.name,
        from_status,
        to_status,
        cause: happening.cause,
        occurred_at: happening.occurred_at,
    };
    let hash = event.hash(&chain.last_hash);
    insert_event(connection, &event, &chain.last_hash, &hash).await?;
    sqlx::query!(
        "UPDATE event_chains SET next_sequence = next_sequence + 1, last_hash = $2 WHERE reseller_id = $1",
        reseller_id.0,
        &hash[..],
    )
    .execute(connection)
    .await?;
    Ok(event.sequence)
}

async fn insert_event(
    connection: &mut PgConnection,
    event: &Event<'_>,
    previous_hash: &[u8],
    hash: &[u8],
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO invoice_events (reseller_id, sequence, invoice_id, invoice_version, name, from_status, to_status, actor,
             reason, job_id, correlation, occurred_at, previous_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        event.reseller_id.0,
        event.sequence,
        event.invoice_id.0,
        event.invoice_version,
        event.name.as_str(),
        event.from_status.map(InvoiceStatus::as_str),
        event.to_status.as_str(),
        event.cause.actor,
        event.cause.reason,
        event.cause.job_id.map(|id| id.0),
        event.cause.correlation,
        event.occurred_at,
        previous_hash,
        hash,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// One event as history shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct EventRow {
    /// Place in the chain.
    pub sequence: i64,
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// Its version after the event.
    pub invoice_version: i32,
    /// What happened.
    pub name: String,
    /// Status before.
    pub from_status: Option<String>,
    /// Status after.
    pub to_status: String,
    /// Who asked.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// Through which job.
    pub job_id: Option<JobId>,
    /// What ties the work of one request together.
    pub correlation: String,
    /// When.
    pub occurred_at: DateTime<Utc>,
    #[serde(skip)]
    pub(super) previous_hash: Vec<u8>,
    #[serde(skip)]
    pub(super) hash: Vec<u8>,
}

impl EventRow {
    /// Returns the hash that the event has after one of another hash; `None` where a field does not read.
    pub(super) fn hash_after(&self, reseller_id: ResellerId, previous_hash: &[u8]) -> Option<[u8; 32]> {
        let name = EventName::ALL.into_iter().find(|name| name.as_str() == self.name)?;
        let from_status = self.from_status.as_deref().map(str::parse).transpose().ok()?;
        let cause = Cause {
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            job_id: self.job_id,
            correlation: self.correlation.clone(),
        };
        let event = Event {
            reseller_id,
            sequence: self.sequence,
            invoice_id: self.invoice_id,
            invoice_version: self.invoice_version,
            name,
            from_status,
            to_status: self.to_status.parse().ok()?,
            cause: &cause,
            occurred_at: self.occurred_at,
        };
        Some(event.hash(previous_hash))
    }
}

/// Returns up to 1,000 events of a reseller from a place in its chain on.
pub(super) async fn events_from(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    sequence: i64,
) -> sqlx::Result<Vec<EventRow>> {
    sqlx::query_as!(
        EventRow,
        r#"SELECT sequence, invoice_id AS "invoice_id: InvoiceId", invoice_version, name, from_status, to_status, actor,
                  reason, job_id AS "job_id: JobId", correlation, occurred_at, previous_hash, hash
           FROM invoice_events WHERE reseller_id = $1 AND sequence >= $2 ORDER BY sequence LIMIT 1000"#,
        reseller_id.0,
        sequence,
    )
    .fetch_all(connection)
    .await
}

/// Returns an invoice's history, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn events(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    invoice_id: InvoiceId,
) -> sqlx::Result<Vec<EventRow>> {
    sqlx::query_as!(
        EventRow,
        r#"SELECT sequence, invoice_id AS "invoice_id: InvoiceId", invoice_version, name, from_status, to_status, actor,
                  reason, job_id AS "job_id: JobId", correlation, occurred_at, previous_hash, hash
           FROM invoice_events WHERE reseller_id = $1 AND invoice_id = $2 ORDER BY sequence LIMIT 1000"#,
        reseller_id.0,
        invoice_id.0,
    )
    .fetch_all(connection)
    .await
}

/// Closes a billing period: its final bill run starts.
///
/// # Errors
/// When the database fails.
pub async fn close_billing_period(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    provider: &str,
    period: BillingPeriod,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO billing_periods (reseller_id, provider, billing_period_start, billing_period_end, state)
         VALUES ($1, $2, $3, $4, 'closed')
         ON CONFLICT (reseller_id, provider, billing_period_start) DO UPDATE SET state = 'closed'",
        reseller_id.0,
        provider,
        period.start(),
        period.end(),
    )
    .execute(connection)
    .await
    .map(drop)
}

/// What opening an invoice depends on, besides the invoice itself.
#[derive(Clone, Debug)]
pub struct OpeningFacts {
    /// Whether the provider's month is final.
    pub is_period_closed: bool,
    /// Accounts with charges on days without customer, and without waiver.
    pub unassigned_accounts: Vec<String>,
}

/// Returns what opening an invoice of this provider and month depends on.
///
/// # Errors
/// When the database fails.
pub async fn opening_facts(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    provider: &str,
    period: BillingPeriod,
) -> sqlx::Result<OpeningFacts> {
    let is_period_closed = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM billing_periods WHERE reseller_id = $1 AND provider = $2
                          AND billing_period_start = $3 AND state = 'closed') AS "closed!""#,
        reseller_id.0,
        provider,
        period.start(),
    )
    .fetch_one(&mut *connection)
    .await?;
    let month = ProviderPeriod { reseller_id, provider, billing_period_start: period.start() };
    let blocking = UnassignedFilter { only_blocking: true, limit: 21, ..UnassignedFilter::of_month(month) };
    let found = unassigned_accounts(connection, blocking).await?;
    let mut unassigned_accounts: Vec<String> = found.into_iter().map(|account| account.account_id).collect();
    unassigned_accounts.dedup();
    Ok(OpeningFacts { is_period_closed, unassigned_accounts })
}
