//! `billrunner schedules set NAME`: makes a schedule, or changes what is named of one that exists.

use clap::Args;
use sqlx::PgConnection;

use super::{By, Failure, Output, shown};
use crate::{
    domain::schedule::MissedPolicy,
    store::schedules::{self, NewSchedule},
};

/// Arguments of `set`.
#[derive(Args)]
pub struct Arguments {
    /// Its name, such as `prune-jobs` or `bill-run/aws`.
    name: String,
    /// Kind of the jobs it starts, such as `start_bill_run`.
    #[arg(long)]
    kind: Option<String>,
    /// Their payload as JSON; the values `$previous_month`, `$this_month` and `$tick` are filled in at the tick.
    #[arg(long)]
    payload: Option<String>,
    /// When: minute, hour, day of month, month, day of week, such as `30 2 8 * *`; with seconds first if wanted.
    #[arg(long, allow_hyphen_values = true)]
    cron: Option<String>,
    /// In which zone, by its IANA name. Default for a new one: UTC.
    #[arg(long)]
    time_zone: Option<String>,
    /// What becomes of ticks that nobody took within a minute: skip, latest, or all (the newest 100). Default for a new
    /// one: latest.
    #[arg(long)]
    missed: Option<MissedPolicy>,
    #[command(flatten)]
    by: By,
}

pub async fn run(arguments: Arguments, connection: &mut PgConnection, output: Output) -> anyhow::Result<()> {
    let payload = arguments.payload.as_deref().map(serde_json::from_str).transpose();
    let payload = payload.map_err(|error| Failure::Usage(format!("the payload is not JSON: {error}")))?;
    let found = schedules::find(connection, &arguments.name).await?;
    let before = found.map(|found| found.to_new()).transpose()?;
    let needed = |option| Failure::Usage(format!("schedule `{}` is new: it needs {option}", arguments.name));
    let new = NewSchedule {
        kind: arguments.kind.or(before.as_ref().map(|old| old.kind.clone())).ok_or_else(|| needed("--kind"))?,
        payload: payload.or(before.as_ref().map(|old| old.payload.clone())).ok_or_else(|| needed("--payload"))?,
        cron: arguments.cron.or(before.as_ref().map(|old| old.cron.clone())).ok_or_else(|| needed("--cron"))?,
        time_zone: arguments.time_zone.or(before.as_ref().map(|old| old.time_zone.clone())).unwrap_or("UTC".to_owned()),
        missed: arguments.missed.or(before.as_ref().map(|old| old.missed)).unwrap_or(MissedPolicy::Latest),
        name: arguments.name,
    };
    crate::jobs::registry().save_schedule(connection, &new, &arguments.by.name).await?;
    let saved = super::find(connection, &new.name).await?;
    output.value(&saved, |saved| match saved.paused_at {
        Some(_) => format!("schedule {} is saved, and paused", saved.name),
        None => format!("schedule {} ticks next at {}", saved.name, shown(saved.next_run_at)),
    })
}
