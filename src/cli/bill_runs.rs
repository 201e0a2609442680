//! `billrunner bill-runs`: a provider's month billed, looked at before and after, gone on with or cancelled.

use std::{fmt::Write, time::Duration};

use bigdecimal::Zero;
use clap::{Args, Subcommand};
use serde::Serialize;
use sqlx::{Acquire, PgConnection, PgPool};

use super::{Failure, Output, enqueue, month::Month, operator::WithReason, setup};
use crate::{
    clock::Clock,
    config::Config,
    domain::{
        bill_run::{Balance, BillRunState, Finding, plain_text},
        billing_period::BillingPeriod,
        ids::{JobId, ResellerId},
    },
    jobs::{BillRunPlan, InitialStatus, StartBillRun, registry},
    queue::{JobOptions, RequestId, cancel_batch},
    store::{
        bill_run_proofs,
        bill_runs::{self, BillRun, BillRunFilter},
        database, jobs,
        waivers::UnassignedAccount,
    },
};

/// How often a waiting command looks for the run's end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Commands on bill runs.
#[derive(Subcommand)]
pub enum Command {
    /// List bill runs, newest first.
    List {
        /// Of this reseller.
        #[arg(long)]
        reseller: Option<ResellerId>,
        /// Of this provider.
        #[arg(long)]
        provider: Option<String>,
        /// Of this month, such as 2026-08.
        #[arg(long)]
        period: Option<BillingPeriod>,
        /// At most so many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show a bill run: how it ended, where every file's money went, and what is missing.
    Show(Named),
    /// Start a bill run, or go on with one that needs attention.
    Start(Start),
    /// Cancel a bill run that is running: what was not generated yet never will be by it.
    Cancel {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        asked: WithReason,
    },
}

/// Names a bill run.
#[derive(Args)]
pub struct Named {
    /// Its id, or the name it was started under.
    run: String,
    /// Of this reseller, where the name is not unique.
    #[arg(long)]
    reseller: Option<ResellerId>,
    /// Of this provider.
    #[arg(long)]
    provider: Option<String>,
    /// Of this month, such as 2026-08.
    #[arg(long)]
    period: Option<BillingPeriod>,
}

/// Arguments of `bill-runs start`.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Start {
    #[command(flatten)]
    month: Month,
    /// A name for the run; under the same name again it goes on. Default: `final`, or `provisional`.
    #[arg(long)]
    run_id: Option<String>,
    /// Open the invoices at once, each with its generation.
    #[arg(long)]
    open: bool,
    /// Tell the customers of opened invoices.
    #[arg(long)]
    notify: bool,
    /// Make drafts of a month that may still change.
    #[arg(long)]
    provisional: bool,
    /// Discard existing drafts and generate them anew.
    #[arg(long)]
    replace: bool,
    /// Print what the run would do, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Who asks; by default the user of the operating system.
    #[arg(long, env = "USER", default_value = "cli", hide_env_values = true)]
    by: String,
    /// Wait until the run has ended; exit code 4 when it needs attention.
    #[arg(long)]
    wait: bool,
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    match command {
        Command::List { reseller, provider, period, limit } => {
            let filter = BillRunFilter {
                reseller_id: reseller,
                provider: provider.as_deref(),
                billing_period_start: period.map(BillingPeriod::start),
                ..BillRunFilter::default()
            };
            list(&bill_runs::list(&mut *pool.acquire().await?, &filter, limit).await?, output)
        }
        Command::Show(named) => {
            let mut connection = pool.acquire().await?;
            let run = find(&mut connection, &named).await?;
            show(&mut connection, &run, output).await
        }
        Command::Start(start) => start.run(&pool, output).await,
        Command::Cancel { named, asked } => cancel(&mut *pool.acquire().await?, &named, &asked, output).await,
    }
}

async fn find(connection: &mut PgConnection, named: &Named) -> anyhow::Result<BillRun> {
    let filter = BillRunFilter {
        reseller_id: named.reseller,
        provider: named.provider.as_deref(),
        billing_period_start: named.period.map(BillingPeriod::start),
        name: Some(&named.run),
        ..BillRunFilter::default()
    };
    let mut found = bill_runs::list(connection, &filter, 2).await?;
    match (found.pop(), found.is_empty()) {
        (Some(run), true) => Ok(run),
        (Some(_), false) => {
            let message = format!("`{}` is not unique; add --reseller, --provider or --period", named.run);
            Err(Failure::Usage(message).into())
        }
        (None, _) => {
            let message =
                format!("bill run `{}` does not exist; `billrunner bill-runs list` shows those there are", named.run);
            Err(Failure::NotFound(message).into())
        }
    }
}

fn list(found: &[BillRun], output: Output) -> anyhow::Result<()> {
    let titles = ["bill run", "name", "provider", "period", "state", "started", "by", "generated", "left alone"];
    output.rows(found, &titles, |run| {
        vec![
            run.id.to_string(),
            run.run_id.clone(),
            run.provider.clone(),
            run.billing_period.to_string(),
            run.state.to_string(),
            run.started_at.format("%F %T").to_string(),
            run.started_by.clone(),
            run.generation_count.to_string(),
            run.existing_count.to_string(),
        ]
    })
}

/// A finding with what to do about it.
#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    way_out: &'static str,
}

async fn show(connection: &mut PgConnection, run: &BillRun, output: Output) -> anyhow::Result<()> {
    let key = (run.reseller_id, run.id);
    let balances = bill_run_proofs::balances_of(&mut *connection, key).await?;
    let findings = bill_run_proofs::findings_of(&mut *connection, key).await?;
    let found: Vec<Found<'_>> =
        findings.iter().map(|finding| Found { finding, way_out: finding.kind.way_out() }).collect();
    let value = serde_json::json!({ "bill_run": run, "balances": balances, "findings": found });
    output.value(&value, |_| describe(run, &balances, &findings))
}

fn describe(run: &BillRun, balances: &[Balance], findings: &[Finding]) -> String {
    let mut text = format!(
        "bill run   {}\nname       {} (round {})\nmonth      {} {}\nstate      {}\nstarted    {} by {}\noptions    {}\n\
         invoices   {} to generate, {} left alone\njobs       {}",
        run.id,
        run.run_id,
        run.round,
        run.provider,
        run.billing_period,
        run.state,
        run.started_at.format("%F %T"),
        run.started_by,
        run.options,
        run.generation_count,
        run.existing_count,
        run.outcomes,
    );
    if let Some(at) = run.finished_at {
        let _ = write!(text, "\nfinished   {}", at.format("%F %T"));
    }
    if let (Some(by), Some(reason)) = (&run.cancelled_by, &run.cancel_reason) {
        let _ = write!(text, "\ncancelled  by {by}: {reason}");
    }
    for balance in balances {
        let sides = [
            ("invoiced", &balance.invoiced),
            ("excluded tax", &balance.excluded_tax),
            ("unassigned", &balance.unassigned),
            ("waived", &balance.waived),
            ("not invoiced", &balance.not_invoiced),
        ];
        let sides = sides.map(|(name, amount)| format!("{name} {}", plain_text(amount))).join(" + ");
        let is_equal = if balance.difference().is_zero() { "=" } else { "≠" };
        let _ = write!(
            text,
            "\n{}, {}: {sides} {is_equal} {} {}",
            balance.file_name,
            balance.billing_account_id,
            plain_text(&balance.file_total),
            balance.currency,
        );
    }
    for finding in findings {
        let _ = write!(text, "\n{}: {}\n  {}", finding.kind, finding.what, finding.kind.way_out());
    }
    text
}

impl Start {
    async fn run(self, pool: &PgPool, output: Output) -> anyhow::Result<()> {
        let (dry_run, wait) = (self.dry_run, self.wait);
        let by = self.by.clone();
        let job = self.into_job();
        if dry_run {
            let mut transaction = pool.begin().await?;
            database::only_read(&mut transaction).await?;
            let plan = job.plan(&mut transaction, Clock::System.now()).await;
            let plan = plan.map_err(|error| Failure::Refused(error.to_string()))?;
            return print(&plan, output);
        }
        let request = RequestId::new("cli/bill-runs", JobId::new());
        let new = registry().prepare(&job, request, &by, JobOptions::default())?;
        if !wait {
            return enqueue::hand_in(pool, &new, false, output).await;
        }
        let mut transaction = pool.begin().await?;
        let accepted = jobs::accept(&mut transaction, &new).await?;
        jobs::notify_dispatchers(&mut transaction).await?;
        transaction.commit().await?;
        let (started, attempts) = enqueue::wait_for(pool, accepted.id()).await?;
        if started.state != "done" {
            let message = attempts.last().and_then(|attempt| attempt.message.clone()).unwrap_or_default();
            return Err(Failure::Refused(format!("the bill run is not started: {message}")).into());
        }
        wait_for_end(pool, &job, output).await
    }

    fn into_job(self) -> StartBillRun {
        let name = if self.provisional { "provisional" } else { "final" };
        StartBillRun {
            reseller_id: self.month.reseller,
            provider: self.month.provider,
            billing_period: self.month.period,
            run_id: self.run_id.unwrap_or_else(|| name.to_owned()),
            status: if self.open { InitialStatus::Open } else { InitialStatus::Draft },
            notify: self.notify.then_some(true),
            provisional: self.provisional,
            replace: self.replace,
            dry_run: false,
        }
    }
}

async fn wait_for_end(pool: &PgPool, job: &StartBillRun, output: Output) -> anyhow::Result<()> {
    let named = Named {
        run: job.run_id.clone(),
        reseller: Some(job.reseller_id),
        provider: Some(job.provider.clone()),
        period: Some(job.billing_period),
    };
    loop {
        let mut connection = pool.acquire().await?;
        let run = find(&mut connection, &named).await?;
        match run.state {
            BillRunState::Running => {}
            BillRunState::Complete => return show(&mut connection, &run, output).await,
            BillRunState::NeedsAttention | BillRunState::Cancelled => {
                show(&mut connection, &run, output).await?;
                return Err(Failure::Refused(format!("bill run {} is {}", run.id, run.state)).into());
            }
        }
        drop(connection);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn print(plan: &BillRunPlan, output: Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output.value(plan, |_| String::new());
    }
    let titles = ["customer", "currency", "would", "invoice", "total", "because"];
    output.rows(&plan.invoices, &titles, |planned| {
        let status = planned.status.map_or_else(String::new, |status| format!(" ({status})"));
        vec![
            planned.customer_name.clone(),
            planned.currency.to_string(),
            planned.action.to_string(),
            planned.invoice.as_ref().map_or_else(String::new, |name| format!("{name}{status}")),
            planned.total.clone().unwrap_or_default(),
            planned.reason.clone().unwrap_or_default(),
        ]
    })?;
    for UnassignedAccount { account_id, currency, cost_exact, waived_by, .. } in &plan.unassigned {
        let waived = if waived_by.is_some() { ", waived" } else { "" };
        output.line(&format!("unassigned: account {account_id}, {} {currency}{waived}", plain_text(cost_exact)))?;
    }
    for month in &plan.provisional_months {
        let start = month.billing_period_start;
        output.line(&format!("provisional: the month from {start} is not closed, {} drafts wait", month.drafts))?;
    }
    output.line(&plan.summary())
}

async fn cancel(
    connection: &mut PgConnection,
    named: &Named,
    asked: &WithReason,
    output: Output,
) -> anyhow::Result<()> {
    let run = find(&mut *connection, named).await?;
    let operator = asked.operator();
    let mut transaction = connection.begin().await?;
    let noted = bill_runs::cancel(&mut transaction, (run.reseller_id, run.id), operator).await?;
    transaction.commit().await?;
    let (true, Some(batch_id)) = (noted, run.batch_id) else {
        let message = format!("bill run {} is {}; only one that is running is cancelled", run.id, run.state);
        return Err(Failure::Refused(message).into());
    };
    let count = cancel_batch(connection, batch_id, operator).await?;
    output.line(&format!("bill run {} is cancelled: {count} generations never run", run.id))
}
