//! `billrunner schedules add-bill-runs`: a monthly bill run for each provider that a reseller's customers have accounts
//! with, on the day after which the provider's month is final.

use chrono::{NaiveTime, Timelike};
use clap::{Args, ValueEnum};
use sqlx::PgConnection;

use super::{By, Failure, Output, shown};
use crate::{
    domain::{ids::ResellerId, schedule::MissedPolicy},
    jobs::{InitialStatus, StartBillRun},
    providers::{self, Profile},
    queue::Job,
    store::{
        checks,
        schedules::{self, NewSchedule, Schedule},
    },
};

/// Arguments of `add-bill-runs`.
#[derive(Args)]
pub struct Arguments {
    /// Whose.
    #[arg(long)]
    reseller: ResellerId,
    /// For this provider only.
    #[arg(long)]
    provider: Option<String>,
    /// Status the invoices are to have.
    #[arg(long, default_value = "draft")]
    status: Status,
    /// In which zone day and time are read.
    #[arg(long, default_value = "UTC")]
    time_zone: String,
    /// At which time of the day.
    #[arg(long, default_value = "06:00", value_parser = parse_time)]
    at: NaiveTime,
    #[command(flatten)]
    by: By,
}

/// Status that a bill run gives its invoices.
#[derive(Clone, Copy, ValueEnum)]
enum Status {
    /// To be looked at first.
    Draft,
    /// Issued at once.
    Open,
}

pub async fn run(arguments: Arguments, connection: &mut PgConnection, output: Output) -> anyhow::Result<()> {
    let reseller = arguments.reseller;
    if !checks::is_reseller(connection, reseller).await? {
        let message = format!("reseller {reseller} does not exist; `billrunner directory FILE` makes one");
        return Err(Failure::NotFound(message).into());
    }
    let wanted = arguments.provider.as_deref().map(providers::find).transpose();
    let wanted = wanted.map_err(|error| Failure::Usage(error.to_string()))?;
    let with_accounts = checks::providers_with_accounts(connection, reseller).await?;
    let profiles = providers::all().iter().filter(|profile| with_accounts.iter().any(|id| id == profile.id));
    let profiles: Vec<&Profile> =
        profiles.filter(|profile| wanted.is_none_or(|only| only.id == profile.id)).copied().collect();
    if profiles.is_empty() {
        let of = wanted.map_or_else(String::new, |profile| format!(" of `{}`", profile.id));
        let message =
            format!("no customer of reseller {reseller} has an account{of}; `billrunner directory FILE` assigns them");
        return Err(Failure::NotFound(message).into());
    }
    let saved = save_all(connection, &arguments, &profiles).await?;
    output.rows(&saved, &["schedule", "when", "zone", "next tick"], |schedule| {
        let next = if schedule.paused_at.is_some() { "paused".to_owned() } else { shown(schedule.next_run_at) };
        vec![schedule.name.clone(), schedule.cron.clone(), schedule.time_zone.clone(), next]
    })
}

/// Saves all or none.
async fn save_all(
    connection: &mut PgConnection,
    arguments: &Arguments,
    profiles: &[&Profile],
) -> anyhow::Result<Vec<Schedule>> {
    let registry = crate::jobs::registry();
    let mut transaction = sqlx::Acquire::begin(connection).await?;
    let mut saved = Vec::new();
    for profile in profiles {
        let new = bill_run(arguments, profile);
        registry.save_schedule(&mut transaction, &new, &arguments.by.name).await?;
        saved.extend(schedules::find(&mut transaction, &new.name).await?);
    }
    transaction.commit().await?;
    Ok(saved)
}

fn bill_run(arguments: &Arguments, profile: &Profile) -> NewSchedule {
    let status = match arguments.status {
        Status::Draft => InitialStatus::Draft,
        Status::Open => InitialStatus::Open,
    };
    NewSchedule {
        name: format!("bill-run/{}/{}", profile.id, arguments.reseller),
        kind: StartBillRun::KIND.to_owned(),
        payload: serde_json::json!({
            "reseller_id": arguments.reseller,
            "provider": profile.id,
            "billing_period": "$previous_month",
            "run_id": "$tick",
            "status": status,
        }),
        cron: format!("{} {} {} * *", arguments.at.minute(), arguments.at.hour(), profile.final_on_day),
        time_zone: arguments.time_zone.clone(),
        missed: MissedPolicy::Latest,
    }
}

fn parse_time(text: &str) -> Result<NaiveTime, String> {
    NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| "write hour and minute, such as 06:00".to_owned())
}
