//! `billrunner enqueue KIND JSON`: hands in a job, and waits for its end if asked to.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::Args;
use sqlx::PgPool;

use super::{Failure, Output, setup};
use crate::{
    config::Config,
    domain::ids::JobId,
    queue::{JobOptions, RequestId, check_keys},
    store::{
        job_list::{self, AttemptRow, JobRow},
        jobs::{self, Accepted, NewJob},
    },
};

/// How often a waiting command looks at the job.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Arguments of `enqueue`.
#[derive(Args)]
pub struct Arguments {
    /// Kind of job, such as `start_bill_run`.
    kind: String,
    /// Payload, such as `{"reseller_id": "…", "provider": "aws", …}`.
    payload: String,
    /// Id of the request within its source; the same id and payload again is the same job. Default: a new one.
    #[arg(long)]
    id: Option<String>,
    /// Who asks; appears in the history.
    #[arg(long, default_value = "cli")]
    source: String,
    /// Not before this instant (RFC 3339).
    #[arg(long)]
    run_at: Option<DateTime<Utc>>,
    /// Higher goes first, from -100 to 100: a step is a head start of 30 seconds.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(i16).range(-100..=100))]
    priority: i16,
    /// While a job of this kind and key is not final, another is folded into it.
    #[arg(long)]
    dedupe_key: Option<String>,
    /// Wait until the job has ended; exit code 4 when it failed.
    #[arg(long)]
    wait: bool,
}

pub async fn run(arguments: Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let payload = serde_json::from_str(&arguments.payload)
        .map_err(|error| Failure::Usage(format!("the payload is not JSON: {error}")))?;
    let id = arguments.id.unwrap_or_else(|| JobId::new().to_string());
    check_keys(&id, &arguments.source, arguments.dedupe_key.as_deref())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let request = RequestId::new(&arguments.source, id);
    let options = JobOptions {
        run_at: arguments.run_at,
        priority: arguments.priority,
        dedupe_key: arguments.dedupe_key,
        ..JobOptions::default()
    };
    let registry = crate::jobs::registry();
    let job = registry.prepare_kind(&arguments.kind, payload, request, arguments.source, options)?;
    let pool = setup::connect(config).await?;
    hand_in(&pool, &job, arguments.wait, output).await
}

/// Records a job, wakes the workers, and waits for its end if asked to.
pub async fn hand_in(pool: &PgPool, job: &NewJob, wait: bool, output: Output) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    let accepted = jobs::accept(&mut transaction, job).await?;
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    if !wait {
        let answer = serde_json::json!({ "job_id": accepted.id(), "repeated": !matches!(accepted, Accepted::New(_)) });
        return output.value(&answer, |_| match accepted {
            Accepted::New(id) => format!("job {id} is accepted"),
            Accepted::Repeated(id) => format!("job {id} was accepted before"),
            Accepted::Folded(id) => format!("job {id} holds the dedupe key and stands for it"),
        });
    }
    wait_and_print(pool, accepted.id(), output).await
}

/// Waits for a job's end and says how it ended; a failure where it is not done.
pub async fn wait_and_print(pool: &PgPool, id: JobId, output: Output) -> anyhow::Result<()> {
    let (job, attempts) = wait_for(pool, id).await?;
    let message = attempts.last().and_then(|attempt| attempt.message.clone()).unwrap_or_default();
    if job.state != "done" {
        return Err(Failure::Refused(format!("job {} is {}: {message}", job.id, job.state)).into());
    }
    let answer = serde_json::json!({ "job_id": job.id, "state": job.state, "message": message });
    output.value(&answer, |_| format!("job {} is done: {message}", job.id))
}

/// Waits until a job has ended, however long that takes.
pub async fn wait_for(pool: &PgPool, id: JobId) -> anyhow::Result<(JobRow, Vec<AttemptRow>)> {
    loop {
        let found = job_list::find(&mut *pool.acquire().await?, id).await?;
        let found = found.with_context(|| format!("job {id} does not exist"))?;
        if found.0.finished_at.is_some() {
            return Ok(found);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
