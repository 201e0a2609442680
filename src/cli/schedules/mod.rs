//! `billrunner schedules`: what starts by the clock, made, paused and started.

mod bill_runs;
mod definition;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use sqlx::PgConnection;

use super::{Failure, Output, enqueue, operator::PerhapsWithReason, setup};
use crate::{
    config::Config,
    queue::{next_tick, run_schedule_now},
    store::{
        operator_actions::Operator,
        schedules::{self, Schedule},
    },
};

/// Commands on schedules.
#[derive(Subcommand)]
pub enum Command {
    /// List schedules with their ticks and the jobs they started last.
    List,
    /// Show a schedule.
    Show {
        /// Its name.
        name: String,
    },
    /// Make a schedule, or change what is named; the rest stays.
    Set(definition::Arguments),
    /// Make or change a monthly bill run for each provider that a reseller's customers have accounts with.
    AddBillRuns(bill_runs::Arguments),
    /// Keep a schedule from ticking; the ticks of the pause do not come later.
    Pause {
        /// Its name.
        name: String,
        /// Why; shown to other operators.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        by: By,
    },
    /// Let a paused schedule go on from its next tick.
    Resume {
        /// Its name.
        name: String,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
    /// Start a schedule's job at once, paused or not; its ticks stay as they are.
    RunNow {
        /// Its name.
        name: String,
        /// Wait until the job has ended; exit code 4 when it failed.
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
    /// Remove a schedule; the jobs it started stay.
    Remove {
        /// Its name.
        name: String,
    },
}

/// Who gives the command.
#[derive(Args)]
pub struct By {
    /// Who does this; shown to other operators.
    #[arg(id = "by", long, env = "USER", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: String,
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut connection = pool.acquire().await?;
    match command {
        Command::List => list(&mut connection, output).await,
        Command::Show { name } => {
            let found = find(&mut connection, &name).await?;
            output.value(&found, describe)
        }
        Command::Set(arguments) => definition::run(arguments, &mut connection, output).await,
        Command::AddBillRuns(arguments) => bill_runs::run(arguments, &mut connection, output).await,
        Command::Pause { name, reason, by } => {
            find(&mut connection, &name).await?;
            if !schedules::pause(&mut connection, &name, Operator { name: &by.name, reason: &reason }).await? {
                return Err(
                    Failure::Refused(format!("schedule `{name}` is paused already; `resume` lets it go on")).into()
                );
            }
            output.line(&format!("schedule {name} is paused"))
        }
        Command::Resume { name, asked } => {
            let found = find(&mut connection, &name).await?;
            let next = next_tick(&mut connection, &found).await?;
            if !schedules::resume(&mut connection, &name, asked.operator(), next).await? {
                return Err(Failure::Refused(format!("schedule `{name}` is not paused; `pause` would do that")).into());
            }
            output.line(&format!("schedule {name} ticks next at {}", shown(next)))
        }
        Command::RunNow { name, wait, asked } => {
            let found = find(&mut connection, &name).await?;
            let prepare = Arc::new(crate::jobs::registry()).preparer();
            let id = run_schedule_now(&mut connection, &prepare, &found, asked.operator()).await?;
            if !wait {
                return output.value(&serde_json::json!({ "job_id": id }), |_| format!("job {id} is accepted"));
            }
            enqueue::wait_and_print(&pool, id, output).await
        }
        Command::Remove { name } => {
            if !schedules::remove(&mut connection, &name).await? {
                return Err(not_found(&name).into());
            }
            output.line(&format!("schedule {name} is removed"))
        }
    }
}

async fn list(connection: &mut PgConnection, output: Output) -> anyhow::Result<()> {
    let found = schedules::list(connection).await?;
    let titles = ["schedule", "kind", "when", "zone", "next tick", "last tick", "last job", "trouble"];
    output.rows(&found, &titles, |schedule| {
        vec![
            schedule.name.clone(),
            schedule.kind.clone(),
            schedule.cron.clone(),
            schedule.time_zone.clone(),
            if schedule.paused_at.is_some() { "paused".to_owned() } else { shown(schedule.next_run_at) },
            shown(schedule.last_tick_at),
            last_job(schedule),
            trouble(schedule),
        ]
    })
}

async fn find(connection: &mut PgConnection, name: &str) -> anyhow::Result<Schedule> {
    Ok(schedules::find(connection, name).await?.ok_or_else(|| not_found(name))?)
}

fn not_found(name: &str) -> Failure {
    let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    Failure::NotFound(format!("schedule `{name}` does not exist; `billrunner schedules list` shows those there are"))
}

fn shown(instant: Option<DateTime<Utc>>) -> String {
    instant.map_or_else(|| "none".to_owned(), |instant| instant.format("%F %T UTC").to_string())
}

fn last_job(schedule: &Schedule) -> String {
    let state = schedule.last_job_state.as_deref().unwrap_or("pruned");
    schedule.last_job_id.map_or_else(|| "none".to_owned(), |id| format!("{id} {state}"))
}

fn trouble(schedule: &Schedule) -> String {
    let paused = schedule.paused_by.as_ref().zip(schedule.pause_reason.as_ref());
    let paused = paused.map(|(by, reason)| format!("paused by {by}: {reason}"));
    [paused, schedule.last_error.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn describe(schedule: &Schedule) -> String {
    let reseller = schedule.reseller_id.map_or_else(|| "the house".to_owned(), |id| format!("reseller {id}"));
    let mut lines = vec![
        format!("schedule   {}", schedule.name),
        format!("of         {reseller}"),
        format!("starts     {} {}", schedule.kind, schedule.payload.0),
        format!("when       {} in {}", schedule.cron, schedule.time_zone),
        format!("missed     {}", schedule.missed),
        format!("next tick  {}", shown(schedule.next_run_at)),
        format!("last tick  {}", shown(schedule.last_tick_at)),
        format!("last job   {}", last_job(schedule)),
        format!("made       {} by {}", shown(Some(schedule.created_at)), schedule.created_by),
        format!("changed    {} by {}", shown(Some(schedule.updated_at)), schedule.updated_by),
    ];
    let trouble = trouble(schedule);
    if !trouble.is_empty() {
        lines.push(format!("trouble    {trouble}"));
    }
    lines.join("\n")
}
