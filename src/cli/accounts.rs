//! `billrunner accounts`: charges of accounts on days that no customer holds them, and who answers for them.
//!
//! They block the opening of every invoice of their provider and month until the accounts are assigned or somebody waives
//! the charges. Each change says who made it and why.

use bigdecimal::BigDecimal;
use clap::{Args, Subcommand};

use super::{Failure, Output, month::Month, operator::WithReason, setup};
use crate::{
    config::Config,
    domain::{bill_run::plain_text, billing_period::BillingPeriod, ids::ResellerId, money::Currency},
    providers,
    store::waivers::{self, AccountMonth, UnassignedAccount, UnassignedFilter},
};

/// Commands on accounts.
#[derive(Subcommand)]
pub enum Command {
    /// List charges of accounts on days that no customer holds them.
    Unassigned {
        /// Whose charges.
        #[arg(long)]
        reseller: ResellerId,
        /// Of this provider.
        #[arg(long)]
        provider: Option<String>,
        /// Of this month, such as 2026-08.
        #[arg(long)]
        period: Option<BillingPeriod>,
        /// Only those that stand against opening: they cost something, and nobody answers for them.
        #[arg(long)]
        blocking: bool,
        /// At most so many.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
    },
    /// Answer for an account's unassigned charges of a month: they no longer block opening.
    Waive {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        asked: WithReason,
    },
    /// Take a waiver back: the charges block opening again.
    TakeBack {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        asked: WithReason,
    },
    /// List what was waived and taken back, newest first.
    Waivers {
        /// Whose charges.
        #[arg(long)]
        reseller: ResellerId,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
}

/// An account in a month.
#[derive(Args)]
pub struct Which {
    /// The provider's own id for the account.
    account: String,
    #[command(flatten)]
    month: Month,
}

impl Which {
    fn account_month(&self) -> AccountMonth<'_> {
        AccountMonth {
            reseller_id: self.month.reseller,
            provider: &self.month.provider,
            billing_period_start: self.month.period.start(),
            account_id: &self.account,
        }
    }

    fn name(&self) -> String {
        format!("account `{}` at {} in {}", self.account, self.month.provider, self.month.period)
    }
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut transaction = pool.begin().await?;
    match command {
        Command::Unassigned { reseller, provider, period, blocking, limit } => {
            if let Some(provider) = &provider {
                providers::find(provider).map_err(|error| Failure::Usage(error.to_string()))?;
            }
            let filter = UnassignedFilter {
                reseller_id: reseller,
                provider: provider.as_deref(),
                billing_period_start: period.map(BillingPeriod::start),
                only_blocking: blocking,
                limit,
            };
            list(&waivers::unassigned_accounts(&mut transaction, filter).await?, output)
        }
        Command::Waive { which, asked } => {
            let operator = asked.said()?;
            providers::find(&which.month.provider).map_err(|error| Failure::Usage(error.to_string()))?;
            if !waivers::is_unassigned(&mut transaction, which.account_month()).await? {
                let way_out = "`billrunner accounts unassigned` lists those that have some";
                return Err(Failure::NotFound(format!("{} has no unassigned charges; {way_out}", which.name())).into());
            }
            let is_new = waivers::waive(&mut transaction, which.account_month(), operator).await?;
            transaction.commit().await?;
            output.line(&format!("{} {}", which.name(), if is_new { "is waived" } else { "was waived already" }))
        }
        Command::TakeBack { which, asked } => {
            let operator = asked.said()?;
            if !waivers::take_back(&mut transaction, which.account_month(), operator).await? {
                let way_out = "`billrunner accounts unassigned` lists waivers";
                return Err(Failure::NotFound(format!("{} is not waived; {way_out}", which.name())).into());
            }
            transaction.commit().await?;
            output.line(&format!("{} blocks opening again", which.name()))
        }
        Command::Waivers { reseller, limit } => {
            let titles = ["when", "who", "action", "provider", "month", "account", "reason"];
            output.rows(&waivers::actions(&mut transaction, reseller, limit).await?, &titles, |action| {
                vec![
                    action.done_at.format("%F %T").to_string(),
                    action.done_by.clone(),
                    action.action.clone(),
                    action.provider.clone(),
                    action.billing_period_start.to_string(),
                    action.account_id.clone(),
                    action.reason.clone(),
                ]
            })
        }
    }
}

fn list(found: &[UnassignedAccount], output: Output) -> anyhow::Result<()> {
    let titles = ["provider", "period", "account", "days", "charges", "cost", "provider's tax", "waived"];
    let amount = |amount: &BigDecimal, currency: Currency| format!("{} {currency}", plain_text(amount));
    output.rows(found, &titles, |account| {
        let days = match (account.first_day, account.last_day) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "all".to_owned(),
        };
        let waived = match (&account.waived_by, &account.reason) {
            (Some(by), Some(reason)) => format!("by {by}: {reason}"),
            _ if account.blocks => "no: blocks opening".to_owned(),
            _ => "no: costs nothing".to_owned(),
        };
        vec![
            account.provider.clone(),
            account.billing_period.to_string(),
            account.account_id.clone(),
            days,
            account.charge_count.to_string(),
            amount(&account.cost_exact, account.currency),
            amount(&account.excluded_tax, account.currency),
            waived,
        ]
    })
}
