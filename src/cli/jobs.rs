//! `billrunner jobs`: what the ledger says, and dead jobs made due again.

use std::fmt::Write;

use clap::Subcommand;

use super::{Failure, Output, setup};
use crate::{
    config::Config,
    domain::ids::JobId,
    store::{
        job_list::{self, AttemptRow, JobRow},
        jobs,
    },
};

/// Commands on jobs.
#[derive(Subcommand)]
pub enum Command {
    /// List jobs, newest first.
    List {
        /// In this state: scheduled, dispatched, running, done, dead or discarded.
        #[arg(long, value_parser = ["scheduled", "dispatched", "running", "done", "dead", "discarded"])]
        state: Option<String>,
        /// Of this kind.
        #[arg(long)]
        kind: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Show a job with every attempt.
    Show {
        /// Its id.
        id: JobId,
    },
    /// Make a dead job due again, with all its attempts ahead.
    Retry {
        /// Its id.
        id: JobId,
    },
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    match command {
        Command::List { state, kind, limit } => {
            let found = job_list::list(&mut *pool.acquire().await?, state.as_deref(), kind.as_deref(), limit).await?;
            let titles = ["job", "kind", "queue", "state", "attempt", "due", "error"];
            output.rows(&found, &titles, |job| {
                vec![
                    job.id.to_string(),
                    job.kind.clone(),
                    job.queue.clone(),
                    job.state.clone(),
                    job.attempt.to_string(),
                    job.run_at.format("%F %T").to_string(),
                    job.last_error.clone().unwrap_or_default(),
                ]
            })
        }
        Command::Show { id } => {
            let (job, attempts) =
                job_list::find(&mut *pool.acquire().await?, id).await?.ok_or_else(|| not_found(id))?;
            output.value(&serde_json::json!({ "job": job, "attempts": attempts }), |_| describe(&job, &attempts))
        }
        Command::Retry { id } => {
            let mut transaction = pool.begin().await?;
            if !jobs::revive(&mut transaction, id).await? {
                let found = job_list::find(&mut transaction, id).await?.ok_or_else(|| not_found(id))?;
                return Err(
                    Failure::Refused(format!("job {id} is {}; only a dead job is retried", found.0.state)).into()
                );
            }
            jobs::notify_dispatchers(&mut transaction).await?;
            transaction.commit().await?;
            output.line(&format!("job {id} is due again"))
        }
    }
}

fn not_found(id: JobId) -> Failure {
    Failure::NotFound(format!("job {id} does not exist; `billrunner jobs list` shows those there are"))
}

fn describe(job: &JobRow, attempts: &[AttemptRow]) -> String {
    let mut text = format!(
        "job        {}\nkind       {}\nqueue      {}\nstate      {}\nfailed     {} of {} attempts\nfrom       {} ({})\n\
         accepted   {}\npayload    {}",
        job.id,
        job.kind,
        job.queue,
        job.state,
        job.failed_attempts,
        job.max_attempts,
        job.source,
        job.external_id,
        job.created_at.format("%F %T"),
        job.payload.0,
    );
    for attempt in attempts {
        let outcome = attempt.outcome.as_deref().unwrap_or("running");
        let message = attempt.message.as_deref().unwrap_or_default();
        let started = attempt.started_at.format("%F %T");
        let _ = write!(text, "\nattempt {:<3}{started}  {outcome}  {message}", attempt.attempt);
    }
    text
}
