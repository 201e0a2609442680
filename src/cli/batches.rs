//! `billrunner batches`: many jobs and the one that completes them, such as a bill run. A batch is named by the id of its
//! completion job.

use std::collections::BTreeMap;

use clap::Subcommand;
use sqlx::PgConnection;

use super::{
    Failure, Output, dead,
    jobs::{describe_outcomes, not_found, show},
    operator::{PerhapsWithReason, WithReason},
    setup,
    watch::Watch,
};
use crate::{
    config::Config,
    domain::ids::JobId,
    jobs::Decision,
    queue::cancel_batch,
    store::{dead_letters::DeadFilter, job_list, jobs},
};

/// Commands on batches.
#[derive(Subcommand)]
pub enum Command {
    /// List batches, newest first.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show a batch: how many of its jobs are in each state, and its completion job.
    Show {
        /// Id of its completion job.
        id: JobId,
        #[command(flatten)]
        watch: Watch,
    },
    /// Cancel what has not ended: what waits never runs, what runs is asked to end. The completion job says how it ended.
    Cancel {
        /// Id of its completion job.
        id: JobId,
        #[command(flatten)]
        asked: WithReason,
    },
    /// Resume a batch: its dead jobs run again, and it completes anew.
    Retry {
        /// Id of its completion job.
        id: JobId,
        /// Also those that were cancelled or discarded.
        #[arg(long)]
        with_discarded: bool,
        /// Wait until they are due again.
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut connection = pool.acquire().await?;
    match command {
        Command::List { limit } => list(&mut connection, limit, output).await,
        Command::Show { id, watch } => {
            require_batch(&mut connection, id).await?;
            drop(connection);
            watch.show(output, async || show(&mut *pool.acquire().await?, id, output).await).await
        }
        Command::Cancel { id, asked } => {
            require_batch(&mut connection, id).await?;
            let count = cancel_batch(&mut connection, id, asked.operator()).await?;
            output.line(&format!("{count} jobs of batch {id} are cancelled"))
        }
        Command::Retry { id, with_discarded, wait, asked } => {
            require_batch(&mut connection, id).await?;
            drop(connection);
            let filter = DeadFilter { batch_id: Some(id), with_discarded, ..DeadFilter::default() };
            dead::hand_in_decision(&pool, Decision::Retry, filter, asked.operator(), (wait, output)).await
        }
    }
}

async fn require_batch(connection: &mut PgConnection, id: JobId) -> anyhow::Result<()> {
    let (job, _) = job_list::find(connection, id).await?.ok_or_else(|| not_found(id))?;
    if job.completes_batch {
        return Ok(());
    }
    let hint = job.batch_id.map_or_else(String::new, |batch| format!("; it belongs to batch {batch}"));
    Err(Failure::NotFound(format!("job {id} completes no batch{hint}")).into())
}

#[derive(serde::Serialize)]
struct Batch {
    completion: job_list::JobRow,
    outcomes: BTreeMap<String, i64>,
}

async fn list(connection: &mut PgConnection, limit: i64, output: Output) -> anyhow::Result<()> {
    let mut batches = Vec::new();
    for id in job_list::batches(&mut *connection, limit).await? {
        let Some((completion, _)) = job_list::find(&mut *connection, id).await? else { continue };
        let outcomes = jobs::outcomes_of_batch(&mut *connection, id).await?.into_iter().collect();
        batches.push(Batch { completion, outcomes });
    }
    output.rows(&batches, &["batch", "kind", "state", "since", "jobs"], |batch| {
        vec![
            batch.completion.id.to_string(),
            batch.completion.kind.clone(),
            batch.completion.state.clone(),
            batch.completion.created_at.format("%F %T").to_string(),
            describe_outcomes(&Vec::from_iter(batch.outcomes.clone())),
        ]
    })
}
