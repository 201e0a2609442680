//! Bill runs: started, gone on with, cancelled, ended; and what people ask about them.
//!
//! Called by the jobs that start and finish a run, and by the command line. A run is one row under the sender's name for
//! it; started again under that name it is another round of the same run.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{
    Corrupt,
    charge_sums::ProviderPeriod,
    operator_actions::{Operator, record_on_subject},
};
use crate::domain::{
    bill_run::{Balance, BillRunState, Finding},
    billing_period::BillingPeriod,
    ids::{BillRunId, JobId, ResellerId},
};

/// A bill run that is to be started.
#[derive(Clone, Debug)]
pub struct NewBillRun<'a> {
    /// Who bills.
    pub reseller_id: ResellerId,
    /// For which provider.
    pub provider: &'a str,
    /// For which month.
    pub billing_period: BillingPeriod,
    /// The sender's name for it.
    pub run_id: &'a str,
    /// Status, notify, provisional, replace: as they were asked for.
    pub options: Value,
    /// Who asks.
    pub started_by: &'a str,
    /// When.
    pub started_at: DateTime<Utc>,
}

/// What starting a run came to.
#[derive(Clone, Debug)]
pub enum StartedBillRun {
    /// A round of it begins, the first or a later one.
    Round {
        /// The run.
        id: BillRunId,
        /// From 1.
        round: i32,
    },
    /// It runs already, with the same options or others.
    Running {
        /// Whether they are the same.
        is_same: bool,
    },
}

/// Starts a run, or another round of it; its row stays locked until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn start(connection: &mut PgConnection, run: &NewBillRun<'_>) -> sqlx::Result<StartedBillRun> {
    let inserted = sqlx::query_scalar!(
        r#"INSERT INTO bill_runs (reseller_id, id, provider, billing_period_start, billing_period_end, run_id, options, state,
               started_by, started_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', $8, $9)
           ON CONFLICT (reseller_id, provider, billing_period_start, run_id) DO NOTHING
           RETURNING id AS "id: BillRunId""#,
        run.reseller_id.0,
        BillRunId::new().0,
        run.provider,
        run.billing_period.start(),
        run.billing_period.end(),
        run.run_id,
        run.options,
        run.started_by,
        run.started_at,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(id) = inserted {
        return Ok(StartedBillRun::Round { id, round: 1 });
    }
    let known = sqlx::query!(
        "SELECT state, options FROM bill_runs
         WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 AND run_id = $4 FOR UPDATE",
        run.reseller_id.0,
        run.provider,
        run.billing_period.start(),
        run.run_id,
    )
    .fetch_one(&mut *connection)
    .await?;
    if known.state == BillRunState::Running.as_str() {
        return Ok(StartedBillRun::Running { is_same: known.options == run.options });
    }
    next_round(connection, run).await
}

async fn next_round(connection: &mut PgConnection, run: &NewBillRun<'_>) -> sqlx::Result<StartedBillRun> {
    let row = sqlx::query!(
        r#"UPDATE bill_runs SET state = 'running', round = round + 1, options = $5, started_by = $6, started_at = $7,
               finished_at = NULL, cancelled_by = NULL, cancel_reason = NULL, outcomes = '{}'
           WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 AND run_id = $4
           RETURNING id AS "id: BillRunId", round"#,
        run.reseller_id.0,
        run.provider,
        run.billing_period.start(),
        run.run_id,
        run.options,
        run.started_by,
        run.started_at,
    )
    .fetch_one(connection)
    .await?;
    Ok(StartedBillRun::Round { id: row.id, round: row.round })
}

/// Says what a round set out to do.
///
/// # Errors
/// When the database fails.
pub async fn record_round(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, BillRunId),
    batch_id: JobId,
    (generation_count, existing_count): (i64, i64),
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE bill_runs SET batch_id = $3, generation_count = $4, existing_count = $5
         WHERE reseller_id = $1 AND id = $2",
        reseller_id.0,
        id.0,
        batch_id.0,
        generation_count,
        existing_count,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// A bill run as it stands.
#[derive(Clone, Debug, serde::Serialize)]
pub struct BillRun {
    /// Who bills.
    pub reseller_id: ResellerId,
    /// Its id.
    pub id: BillRunId,
    /// For which provider.
    pub provider: String,
    /// For which month.
    pub billing_period: BillingPeriod,
    /// The sender's name for it.
    pub run_id: String,
    /// Status, notify, provisional, replace: as they were asked for.
    pub options: Value,
    /// How it stands.
    pub state: BillRunState,
    /// How often it was started.
    pub round: i32,
    /// The completion job of its last round.
    pub batch_id: Option<JobId>,
    /// Invoices its last round was to generate.
    pub generation_count: i64,
    /// Invoices that were there and were left alone.
    pub existing_count: i64,
    /// Jobs of its last round by how they ended.
    pub outcomes: Value,
    /// Who started it.
    pub started_by: String,
    /// When its last round began.
    pub started_at: DateTime<Utc>,
    /// When that ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Who cancelled it.
    pub cancelled_by: Option<String>,
    /// And why.
    pub cancel_reason: Option<String>,
}

struct BillRunRow {
    reseller_id: ResellerId,
    id: BillRunId,
    provider: String,
    billing_period_start: NaiveDate,
    billing_period_end: NaiveDate,
    run_id: String,
    options: Value,
    state: String,
    round: i32,
    batch_id: Option<JobId>,
    generation_count: i64,
    existing_count: i64,
    outcomes: Value,
    started_by: String,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    cancelled_by: Option<String>,
    cancel_reason: Option<String>,
}

impl BillRunRow {
    fn into_bill_run(self) -> sqlx::Result<BillRun> {
        Ok(BillRun {
            reseller_id: self.reseller_id,
            id: self.id,
            provider: self.provider,
            billing_period: BillingPeriod::new(self.billing_period_start, self.billing_period_end)
                .corrupt("bill_runs.billing_period_start")?,
            run_id: self.run_id,
            options: self.options,
            state: self.state.parse().corrupt("bill_runs.state")?,
            round: self.round,
            batch_id: self.batch_id,
            generation_count: self.generation_count,
            existing_count: self.existing_count,
            outcomes: self.outcomes,
            started_by: self.started_by,
            started_at: self.started_at,
            finished_at: self.finished_at,
            cancelled_by: self.cancelled_by,
            cancel_reason: self.cancel_reason,
        })
    }
}

/// Which bill runs to list; an absent filter lets all pass.
#[derive(Clone, Debug, Default)]
pub struct BillRunFilter<'a> {
    /// Of this reseller.
    pub reseller_id: Option<ResellerId>,
    /// Of this provider.
    pub provider: Option<&'a str>,
    /// Of the month that begins on this day.
    pub billing_period_start: Option<NaiveDate>,
    /// Whose id or sender's name is this.
    pub name: Option<&'a str>,
    /// In this state.
    pub state: Option<BillRunState>,
}

/// Returns the newest bill runs that ended with something for people to do.
///
/// # Errors
/// When the database fails.
pub async fn needing_attention(connection: &mut PgConnection, limit: i64) -> sqlx::Result<Vec<BillRun>> {
    let rows = sqlx::query_as!(
        BillRunRow,
        r#"SELECT reseller_id AS "reseller_id: ResellerId", id AS "id: BillRunId", provider, billing_period_start,
                  billing_period_end, run_id, options, state, round, batch_id AS "batch_id: JobId", generation_count,
                  existing_count, outcomes, started_by, started_at, finished_at, cancelled_by, cancel_reason
           FROM bill_runs WHERE state = 'needs_attention' ORDER BY started_at DESC, id DESC LIMIT $1"#,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(BillRunRow::into_bill_run).collect()
}

/// Lists bill runs, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection, filter: &BillRunFilter<'_>, limit: i64) -> sqlx::Result<Vec<BillRun>> {
    let rows = sqlx::query_as!(
        BillRunRow,
        r#"SELECT reseller_id AS "reseller_id: ResellerId", id AS "id: BillRunId", provider, billing_period_start,
                  billing_period_end, run_id, options, state, round, batch_id AS "batch_id: JobId", generation_count,
                  existing_count, outcomes, started_by, started_at, finished_at, cancelled_by, cancel_reason
           FROM bill_runs
           WHERE ($1::uuid IS NULL OR reseller_id = $1) AND ($2::text IS NULL OR provider = $2)
             AND ($3::date IS NULL OR billing_period_start = $3)
             AND ($4::text IS NULL OR id::text = $4 OR run_id = $4) AND ($6::text IS NULL OR state = $6)
           ORDER BY started_at DESC, id DESC LIMIT $5"#,
        filter.reseller_id.map(|id| id.0),
        filter.provider,
        filter.billing_period_start,
        filter.name,
        limit,
        filter.state.map(BillRunState::as_str),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(BillRunRow::into_bill_run).collect()
}

/// Locks a run under the sender's name for it; `None` where there is none.
///
/// # Errors
/// When the database fails.
pub async fn lock(
    connection: &mut PgConnection,
    period: ProviderPeriod<'_>,
    run_id: &str,
) -> sqlx::Result<Option<BillRun>> {
    let row = sqlx::query_as!(
        BillRunRow,
        r#"SELECT reseller_id AS "reseller_id: ResellerId", id AS "id: BillRunId", provider, billing_period_start,
                  billing_period_end, run_id, options, state, round, batch_id AS "batch_id: JobId", generation_count,
                  existing_count, outcomes, started_by, started_at, finished_at, cancelled_by, cancel_reason
           FROM bill_runs
           WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 AND run_id = $4 FOR UPDATE"#,
        period.reseller_id.0,
        period.provider,
        period.billing_period_start,
        run_id,
    )
    .fetch_optional(connection)
    .await?;
    row.map(BillRunRow::into_bill_run).transpose()
}

/// Notes that somebody cancelled a run that is running, in the caller's transaction. Returns whether it was.
///
/// # Errors
/// When the database fails.
pub async fn cancel(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, BillRunId),
    operator: Operator<'_>,
) -> sqlx::Result<bool> {
    let cancelled = sqlx::query!(
        "UPDATE bill_runs SET cancelled_by = $3, cancel_reason = $4
         WHERE reseller_id = $1 AND id = $2 AND state = 'running'",
        reseller_id.0,
        id.0,
        operator.name,
        operator.reason,
    )
    .execute(&mut *connection)
    .await?;
    if cancelled.rows_affected() == 1 {
        record_on_subject(connection, operator, "cancel", &format!("bill_run/{id}"), None).await?;
    }
    Ok(cancelled.rows_affected() == 1)
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct BillRunEnd<'a> {
    /// How it stands now.
    pub state: BillRunState,
    /// Jobs of its last round by how they ended.
    pub outcomes: Value,
    /// When.
    pub finished_at: DateTime<Utc>,
    /// Where the money went.
    pub balances: &'a [Balance],
    /// What is missing.
    pub findings: &'a [Finding],
}

/// Records how a run ended, in place of what was recorded of an earlier end.
///
/// # Errors
/// When the database fails.
pub async fn finish(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, BillRunId),
    end: &BillRunEnd<'_>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE bill_runs SET state = $3, outcomes = $4, finished_at = $5 WHERE reseller_id = $1 AND id = $2",
        reseller_id.0,
        id.0,
        end.state.as_str(),
        end.outcomes,
        end.finished_at,
    )
    .execute(&mut *connection)
    .await?;
    replace_balances(connection, (reseller_id, id), end.balances).await?;
    replace_findings(connection, (reseller_id, id), end.findings).await
}

async fn replace_balances(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, BillRunId),
    balances: &[Balance],
) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM bill_run_balances WHERE reseller_id = $1 AND bill_run_id = $2", reseller_id.0, id.0)
        .execute(&mut *connection)
        .await?;
    let amount = |column: fn(&Balance) -> &BigDecimal| balances.iter().map(column).cloned().collect::<Vec<_>>();
    sqlx::query!(
        "INSERT INTO bill_run_balances (reseller_id, bill_run_id, charge_scope_id, billing_account_id, file_name, currency,
             file_total, invoiced, excluded_tax, unassigned, waived, not_invoiced)
         SELECT $1, $2, balance.* FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::numeric[], $8::numeric[],
             $9::numeric[], $10::numeric[], $11::numeric[], $12::numeric[]) AS balance",
        reseller_id.0,
        id.0,
        &balances.iter().map(|balance| balance.charge_scope_id.0).collect::<Vec<_>>(),
        &balances.iter().map(|balance| balance.billing_account_id.clone()).collect::<Vec<_>>(),
        &balances.iter().map(|balance| balance.file_name.clone()).collect::<Vec<_>>(),
        &balances.iter().map(|balance| balance.currency.to_string()).collect::<Vec<_>>(),
        &amount(|balance| &balance.file_total),
        &amount(|balance| &balance.invoiced),
        &amount(|balance| &balance.excluded_tax),
        &amount(|balance| &balance.unassigned),
        &amount(|balance| &balance.waived),
        &amount(|balance| &balance.not_invoiced),
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn replace_findings(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, BillRunId),
    findings: &[Finding],
) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM bill_run_findings WHERE reseller_id = $1 AND bill_run_id = $2", reseller_id.0, id.0)
        .execute(&mut *connection)
        .await?;
    let text = |column: fn(&Finding) -> String| findings.iter().map(column).collect::<Vec<_>>();
    let perhaps = |column: fn(&Finding) -> Option<String>| findings.iter().map(column).collect::<Vec<_>>();
    sqlx::query!(
        "INSERT INTO bill_run_findings (reseller_id, bill_run_id, kind, customer_id, customer_name, invoice, currency, amount,
             what, way_out, position)
         SELECT $1, $2, finding.*
         FROM unnest($3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::numeric[], $9::text[], $10::text[])
              WITH ORDINALITY AS finding",
        reseller_id.0,
        id.0,
        &text(|finding| finding.kind.to_string()),
        &findings.iter().map(|finding| finding.customer_id.map(|id| id.0)).collect::<Vec<_>>() as &[Option<uuid::Uuid>],
        &perhaps(|finding| finding.customer_name.clone()) as &[Option<String>],
        &perhaps(|finding| finding.invoice.clone()) as &[Option<String>],
        &text(|finding| finding.currency.to_string()),
        &findings.iter().map(|finding| finding.amount.clone()).collect::<Vec<_>>() as &[Option<BigDecimal>],
        &text(|finding| finding.what.clone()),
        &text(|finding| finding.kind.way_out().to_owned()),
    )
    .execute(connection)
    .await
    .map(drop)
}
