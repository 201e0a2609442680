//! `billrunner dead`: jobs that will not run again by themselves, until somebody decides.
//!
//! One is decided at once. All that match are a job of their own (`jobs/clear_dead_letters.rs`), after their number and
//! their errors were shown.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use sqlx::{Acquire, PgConnection, PgPool};

use super::{
    Failure, Output,
    enqueue::hand_in,
    jobs::{list, show},
    operator::{PerhapsWithReason, WithReason},
    setup,
};
use crate::{
    config::Config,
    domain::ids::JobId,
    jobs::{ClearDeadLetters, Decision, registry},
    queue::{JobOptions, RequestId},
    store::{
        dead_letters::{self, DeadFilter, DeadGroup},
        job_list,
        jobs::{self, NotDead},
        operator_actions::Operator,
    },
};

/// Commands on dead jobs.
#[derive(Subcommand)]
pub enum Command {
    /// List dead jobs.
    List {
        #[command(flatten)]
        matching: Matching,
        /// Count them by kind and error.
        #[arg(long)]
        group: bool,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Show a job with every attempt.
    Show {
        /// Its id.
        id: JobId,
    },
    /// Make dead jobs due again, with all their attempts ahead.
    Retry {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        asked: PerhapsWithReason,
    },
    /// Discard dead jobs for good. Their attempts stay.
    Discard {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        asked: WithReason,
    },
}

/// Which dead jobs are meant.
#[derive(Args)]
pub struct Matching {
    /// Of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Of this queue or lane.
    #[arg(long)]
    queue: Option<String>,
    /// Whose error contains this text.
    #[arg(long)]
    error: Option<String>,
    /// Of this batch.
    #[arg(long)]
    batch: Option<JobId>,
    /// That died before this instant (RFC 3339).
    #[arg(long)]
    before: Option<DateTime<Utc>>,
}

/// One job, or all that match.
#[derive(Args)]
pub struct Which {
    /// Its id.
    #[arg(required_unless_present = "all", conflicts_with_all = ["all", "kind", "queue", "error", "batch", "before"])]
    id: Option<JobId>,
    /// All that match, as a job in the background. Only what is dead now is touched.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    matching: Matching,
    /// Only show what matches.
    #[arg(long, requires = "all")]
    dry_run: bool,
    /// Wait until it is done.
    #[arg(long, requires = "all")]
    wait: bool,
}

impl From<Matching> for DeadFilter {
    fn from(matching: Matching) -> Self {
        let Matching { kind, queue, error, batch, before } = matching;
        Self { kind, queue, error, batch_id: batch, until: before, ..Self::default() }
    }
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut connection = pool.acquire().await?;
    match command {
        Command::List { matching, group: true, .. } => {
            print_groups(&dead_letters::group(&mut connection, &matching.into(), None).await?, output)
        }
        Command::List { matching, limit, .. } => {
            let ids = dead_letters::matching(&mut connection, &matching.into(), None, limit).await?;
            list(&job_list::list_these(&mut connection, &ids).await?, output)
        }
        Command::Show { id } => show(&mut connection, id, output).await,
        Command::Retry { which: Which { id: Some(id), .. }, asked } => {
            retry(&mut connection, id, asked.operator(), output).await
        }
        Command::Discard { which: Which { id: Some(id), .. }, asked } => {
            jobs::discard(&mut connection, id, asked.operator()).await.map_err(to_failure)?;
            output.line(&format!("job {id} is discarded"))
        }
        Command::Retry { which, asked } => {
            drop(connection);
            decide(&pool, Decision::Retry, which, asked.operator(), output).await
        }
        Command::Discard { which, asked } => {
            drop(connection);
            decide(&pool, Decision::Discard, which, asked.operator(), output).await
        }
    }
}

/// Makes one job due again.
pub async fn retry(
    connection: &mut PgConnection,
    id: JobId,
    operator: Operator<'_>,
    output: Output,
) -> anyhow::Result<()> {
    let mut transaction = connection.begin().await?;
    jobs::revive(&mut transaction, id, operator).await.map_err(to_failure)?;
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    output.line(&format!("job {id} is due again"))
}

fn to_failure(error: NotDead) -> anyhow::Error {
    match error {
        NotDead::Missing(_) => Failure::NotFound(error.to_string()).into(),
        NotDead::OtherState { .. } | NotDead::KeyHeld { .. } | NotDead::BatchCompletes { .. } => {
            Failure::Refused(error.to_string()).into()
        }
        NotDead::Database(error) => error.into(),
    }
}

async fn decide(
    pool: &PgPool,
    decision: Decision,
    which: Which,
    operator: Operator<'_>,
    output: Output,
) -> anyhow::Result<()> {
    let filter = DeadFilter::from(which.matching);
    if which.dry_run {
        return print_groups(&dead_letters::group(&mut *pool.acquire().await?, &filter, None).await?, output);
    }
    hand_in_decision(pool, decision, filter, operator, (which.wait, output)).await
}

/// Shows what matches, and hands in the job that decides on it; what dies later is not its business.
pub async fn hand_in_decision(
    pool: &PgPool,
    decision: Decision,
    mut filter: DeadFilter,
    operator: Operator<'_>,
    (wait, output): (bool, Output),
) -> anyhow::Result<()> {
    let mut connection = pool.acquire().await?;
    let now = dead_letters::now(&mut connection).await?;
    filter.until = Some(filter.until.map_or(now, |until| until.min(now)));
    let count = dead_letters::count(&mut connection, &filter).await?;
    if count == 0 {
        return Err(Failure::NotFound("no dead job matches".into()).into());
    }
    if !output.is_json() {
        print_groups(&dead_letters::group(&mut connection, &filter, None).await?, output)?;
        output.line(&format!("{count} jobs match"))?;
    }
    drop(connection);
    let job = ClearDeadLetters { decision, filter, reason: operator.reason.to_owned() };
    let request = RequestId::new("cli/dead", JobId::new());
    let new = registry().prepare(&job, request, operator.name, JobOptions::default())?;
    hand_in(pool, &new, wait, output).await
}

fn print_groups(groups: &[DeadGroup], output: Output) -> anyhow::Result<()> {
    output.rows(groups, &["kind", "jobs", "first", "last", "error"], |group| {
        vec![
            group.kind.clone(),
            group.count.to_string(),
            group.first_died_at.format("%F %T").to_string(),
            group.last_died_at.format("%F %T").to_string(),
            group.error.clone(),
        ]
    })
}
