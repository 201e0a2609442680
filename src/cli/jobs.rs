//! `billrunner jobs`: what the ledger says, jobs cancelled, dead ones made due again.

use std::{collections::BTreeMap, fmt::Write};

use clap::Subcommand;
use sqlx::{Acquire, PgConnection};

use super::{
    Failure, Output, dead,
    operator::{PerhapsWithReason, WithReason},
    setup,
};
use crate::{
    config::Config,
    domain::ids::JobId,
    store::{
        job_list::{self, AttemptRow, JobFilter, JobRow},
        jobs::{self, CancelledAs},
        operator_actions::{self, OperatorAction},
    },
};

/// Commands on jobs.
#[derive(Subcommand)]
pub enum Command {
    /// List jobs, newest first.
    List {
        /// In this state: awaiting, scheduled, dispatched, running, done, dead or discarded.
        #[arg(long, value_parser = ["awaiting", "scheduled", "dispatched", "running", "done", "dead", "discarded"])]
        state: Option<String>,
        /// Of this kind.
        #[arg(long)]
        kind: Option<String>,
        /// Of this queue or lane.
        #[arg(long)]
        queue: Option<String>,
        /// Of this batch: the id of its completion job.
        #[arg(long)]
        batch: Option<JobId>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Show a job with every attempt and what operators did to it.
    Show {
        /// Its id.
        id: JobId,
    },
    /// Cancel a job: one that waits never runs, one that runs ends where nothing is half done.
    Cancel {
        /// Its id.
        id: JobId,
        #[command(flatten)]
        asked: WithReason,
    },
    /// Make a dead or discarded job due again, with all its attempts ahead.
    Retry {
        /// Its id.
        id: JobId,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut connection = pool.acquire().await?;
    match command {
        Command::List { state, kind, queue, batch, limit } => {
            let filter = JobFilter { state, kind, queue, batch_id: batch };
            list(&job_list::list(&mut connection, &filter, limit).await?, output)
        }
        Command::Show { id } => show(&mut connection, id, output).await,
        Command::Cancel { id, asked } => {
            let mut transaction = connection.begin().await?;
            let Some(cancelled) = jobs::cancel(&mut transaction, id, asked.operator()).await? else {
                let (job, _) = job_list::find(&mut transaction, id).await?.ok_or_else(|| not_found(id))?;
                return Err(not_cancelled(&job).into());
            };
            // Its batch may have no other job left.
            jobs::notify_dispatchers(&mut transaction).await?;
            transaction.commit().await?;
            output.line(&match cancelled {
                CancelledAs::Discarded => format!("job {id} is discarded"),
                CancelledAs::Requested => format!("job {id} runs; it ends at the next point where it looks"),
            })
        }
        Command::Retry { id, asked } => dead::retry(&mut connection, id, asked.operator(), output).await,
    }
}

pub fn not_found(id: JobId) -> Failure {
    Failure::NotFound(format!("job {id} does not exist; `billrunner jobs list` shows those there are"))
}

fn not_cancelled(job: &JobRow) -> Failure {
    let id = job.id;
    Failure::Refused(if job.completes_batch {
        format!("job {id} completes a batch; `billrunner batches cancel {id}` cancels the jobs of the batch")
    } else if let Some(by) = job.cancel_requested_by.as_ref().filter(|_| job.finished_at.is_none()) {
        format!("job {id} was cancelled by {by} already, and has not ended yet")
    } else {
        format!("job {id} is {}; only a job that has not ended is cancelled", job.state)
    })
}

/// Prints jobs as a table.
pub fn list(found: &[JobRow], output: Output) -> anyhow::Result<()> {
    let titles = ["job", "kind", "queue", "state", "attempt", "due", "progress", "error"];
    output.rows(found, &titles, |job| {
        vec![
            job.id.to_string(),
            job.kind.clone(),
            job.queue.clone(),
            job.state.clone(),
            job.attempt.to_string(),
            job.run_at.format("%F %T").to_string(),
            describe_progress(job).unwrap_or_default(),
            job.last_error.clone().unwrap_or_default(),
        ]
    })
}

/// Prints a job with its attempts, what was done to it, and how its batch stands where it completes one.
pub async fn show(connection: &mut PgConnection, id: JobId, output: Output) -> anyhow::Result<()> {
    let (job, attempts) = job_list::find(&mut *connection, id).await?.ok_or_else(|| not_found(id))?;
    let actions = operator_actions::of_job(&mut *connection, id).await?;
    let outcomes = if job.completes_batch { Some(jobs::outcomes_of_batch(connection, id).await?) } else { None };
    let value = serde_json::json!({
        "job": job,
        "attempts": attempts,
        "actions": actions,
        "batch_outcomes": outcomes.clone().map(BTreeMap::from_iter),
    });
    output.value(&value, |_| {
        let mut text = describe(&job, &attempts, &actions);
        if let Some(outcomes) = &outcomes {
            let _ = write!(text, "\nits batch  {}", describe_outcomes(outcomes));
        }
        text
    })
}

fn describe(job: &JobRow, attempts: &[AttemptRow], actions: &[OperatorAction]) -> String {
    let mut text = format!(
        "job        {}\nkind       {}\nqueue      {} (priority {})\nstate      {}\nfailed     {} of {} attempts\n\
         from       {} ({})\naccepted   {}\npayload    {}",
        job.id,
        job.kind,
        job.queue,
        job.priority,
        job.state,
        job.failed_attempts,
        job.max_attempts,
        job.source,
        job.external_id,
        job.created_at.format("%F %T"),
        job.payload.0,
    );
    if let Some(batch_id) = job.batch_id {
        let _ = write!(text, "\nbatch      {batch_id}");
    }
    if let Some(key) = &job.dedupe_key {
        let _ = write!(text, "\ndedupe key {key}");
    }
    if let Some(progress) = describe_progress(job) {
        let _ = write!(text, "\nprogress   {progress}");
    }
    if let (Some(by), Some(at)) = (&job.cancel_requested_by, job.cancel_requested_at) {
        let reason = job.cancel_reason.as_deref().unwrap_or_default();
        let _ = write!(text, "\ncancelled  by {by} at {}: {reason}", at.format("%F %T"));
    }
    if let Some(error) = &job.last_error {
        let _ = write!(text, "\nerror      {error}");
    }
    for attempt in attempts {
        let outcome = attempt.outcome.as_deref().unwrap_or("running");
        let message = attempt.message.as_deref().unwrap_or_default();
        let started = attempt.started_at.format("%F %T");
        let _ = write!(text, "\nattempt {:<3}{started}  {outcome}  {message}", attempt.attempt);
    }
    for action in actions {
        let at = action.done_at.format("%F %T");
        let _ = write!(text, "\n{:<11}{at}  by {}: {}", action.action, action.done_by, action.reason);
    }
    text
}

fn describe_progress(job: &JobRow) -> Option<String> {
    let done = job.progress_done?;
    let total = job.progress_total.map(|total| format!(" of {total}")).unwrap_or_default();
    let note = job.progress_note.as_deref().unwrap_or_default();
    Some(format!("{done}{total} {note}"))
}

/// Says how many jobs of a batch are in each state, and how many have ended.
pub fn describe_outcomes(outcomes: &[(String, i64)]) -> String {
    let count = |is_meant: fn(&str) -> bool| -> i64 {
        outcomes.iter().filter(|(state, _)| is_meant(state)).map(|(_, count)| count).sum()
    };
    let ended = count(|state| matches!(state, "done" | "dead" | "discarded"));
    let counts = outcomes.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ");
    format!("{ended} of {} ended: {counts}", count(|_| true))
}
