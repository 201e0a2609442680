//! Forgets what is over, once it is old: finished jobs with their attempts, delivery reports that no job names any more,
//! requests that the Redis door refused, and files that killed workers left half written in a folder of objects. Dead
//! jobs, and what they name, stay until somebody decides.
//!
//! Idempotent: what is gone is not found again. It goes in small transactions of its own, so that no lock is held for
//! long; one that is cancelled or dies has done what it has done, and the next goes on there.

use std::{num::NonZeroU16, time::Duration};

use chrono::{Days, TimeDelta};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::record_bounce::forget_reports;
use crate::{
    context::Context,
    objects::remove_half_written,
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::jobs::{self, Progress},
};

/// Jobs deleted in one statement and transaction: some ten milliseconds of locks.
const BATCH: i64 = 1000;
/// How long finished jobs, and with them idempotency keys, are kept where the payload does not say.
const RETENTION_DAYS: NonZeroU16 = NonZeroU16::new(90).expect("not zero");

/// Nobody writes to a file any more that was not written to for so long.
const HALF_WRITTEN_FOR: TimeDelta = TimeDelta::days(1);

/// Says what is old.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneJobs {
    /// How many days after its end a job is forgotten.
    #[serde(default = "retention_days")]
    pub retention_days: NonZeroU16,
}

fn retention_days() -> NonZeroU16 {
    RETENTION_DAYS
}

impl Job for PruneJobs {
    type Context = Context;
    const KIND: &'static str = "prune_jobs";
    const EVENT_TYPE: &'static str = "billrunner.jobs.prune.v1";
    const IS_AT_THE_DOORS: bool = false;
    const QUEUE: Queue = Queue::Upkeep;
    // Millions of jobs at the first run after a long rest.
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let days = self.retention_days.get();
        let mut pruned = 0;
        loop {
            let note = format!("finished over {days} days ago");
            attempt.report_progress(Progress { done: pruned, total: None, note }).await?;
            let count = jobs::prune(&mut *context.pool.acquire().await?, i32::from(days), BATCH).await?;
            pruned += count;
            if count < BATCH {
                break;
            }
        }
        let before = context.clock.now() - Days::new(days.into());
        let reports = forget_reports(&context, before).await?;
        let requests = attempt.forget_refused_requests(before).await?;
        let files = remove_files(&context).await?;
        Ok(attempt.complete_without_effects(format!(
            "{pruned} jobs, {reports} delivery reports, {requests} refused requests and {files} half-written files are forgotten"
        )))
    }
}

/// Looks for half-written files, off the async threads; a bucket has a rule for them.
async fn remove_files(context: &Context) -> Result<u64, JobError> {
    let Some(folder) = context.objects_folder.clone() else { return Ok(0) };
    let since = (context.clock.now() - HALF_WRITTEN_FOR).into();
    let removed = spawn_blocking(move || remove_half_written(&folder, since)).await;
    removed.map_err(JobError::transient)?.map_err(JobError::transient)
}
