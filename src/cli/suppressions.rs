//! `billrunner suppressions`: addresses that are never written to, and who put them there or took them off.

use clap::{Args, Subcommand};
use sqlx::PgConnection;

use super::{Failure, Output, operator::WithReason, setup};
use crate::{config::Config, domain::ids::ResellerId, mail::Correspondent, store::suppressions};

/// Commands on the suppression list.
#[derive(Subcommand)]
pub enum Command {
    /// List addresses that are never written to.
    List {
        #[command(flatten)]
        whose: Whose,
        /// At most so many.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
    },
    /// Never write to an address.
    Add {
        /// The address.
        address: String,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        asked: WithReason,
    },
    /// Write to an address again.
    Remove {
        /// The address.
        address: String,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        asked: WithReason,
    },
    /// List what was added and removed, newest first.
    History {
        #[command(flatten)]
        whose: Whose,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
}

/// Of which reseller.
#[derive(Args)]
pub struct Whose {
    /// Whose list.
    #[arg(long)]
    reseller: ResellerId,
}

impl Whose {
    async fn list(&self, connection: &mut PgConnection) -> anyhow::Result<ResellerId> {
        if suppressions::is_reseller(connection, self.reseller).await? {
            return Ok(self.reseller);
        }
        let missing = format!("reseller {} does not exist; apply its directory first", self.reseller);
        Err(Failure::NotFound(missing).into())
    }
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut connection = pool.acquire().await?;
    match command {
        Command::List { whose, limit } => {
            let reseller_id = whose.list(&mut connection).await?;
            let found = suppressions::list(&mut connection, reseller_id, limit).await?;
            output.rows(&found, &["address", "since", "by", "reason"], |listed| {
                let by = listed.added_by.as_deref().unwrap_or("the directory");
                let since = listed.created_at.format("%F %T").to_string();
                vec![listed.email.clone(), since, by.to_owned(), listed.reason.clone()]
            })
        }
        Command::Add { address, whose, asked } => {
            let operator = asked.said()?;
            let reseller_id = whose.list(&mut connection).await?;
            let address = address.trim();
            Correspondent::new("", address).map_err(|error| Failure::Usage(error.to_string()))?;
            let is_new = suppressions::add(&mut connection, reseller_id, address, operator).await?;
            let what = if is_new { "is never written to from now on" } else { "was on the suppression list already" };
            output.line(&format!("{address} {what}"))
        }
        Command::Remove { address, whose, asked } => {
            let operator = asked.said()?;
            let reseller_id = whose.list(&mut connection).await?;
            if !suppressions::remove(&mut connection, reseller_id, address.trim(), operator).await? {
                let way_out = "`billrunner suppressions list` shows those that are";
                return Err(Failure::NotFound(format!("`{address}` is not on the suppression list; {way_out}")).into());
            }
            output.line(&format!("{} is written to again", address.trim()))
        }
        Command::History { whose, limit } => {
            let reseller_id = whose.list(&mut connection).await?;
            let done = suppressions::actions(&mut connection, reseller_id, limit).await?;
            output.rows(&done, &["when", "who", "action", "address", "reason"], |action| {
                vec![
                    action.done_at.format("%F %T").to_string(),
                    action.done_by.clone(),
                    action.action.clone(),
                    action.email.clone(),
                    action.reason.clone(),
                ]
            })
        }
    }
}
