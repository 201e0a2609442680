//! Checks what must never be otherwise: the hash chain of events is whole, fiscal numbers run 1 to N without a hole and
//! days of issue never go back, and each invoice is what its last event says, for a reseller or for all.
//!
//! Idempotent: it only reads. What does not hold is a permanent failure that names it, so that it lies with the dead
//! letters, where operators look.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::verification::{Findings, NAMED_IN_A_FAILURE, Resellers, check_history};
use crate::{
    context::Context,
    domain::ids::ResellerId,
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::jobs::Progress,
};

/// Says where to look.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckHistory {
    /// Whose history; absent: everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reseller_id: Option<ResellerId>,
}

impl Job for CheckHistory {
    type Context = Context;
    const KIND: &'static str = "check_history";
    const EVENT_TYPE: &'static str = "billrunner.history.check.v1";
    const QUEUE: Queue = Queue::Upkeep;
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut findings = Findings::up_to(NAMED_IN_A_FAILURE);
        let mut resellers = Resellers::of(self.reseller_id);
        let mut checked = 0;
        while let Some(reseller_id) = resellers.next(&context.pool).await? {
            let note = format!("reseller {reseller_id}");
            attempt.report_progress(Progress { done: checked, total: None, note }).await?;
            check_history(&mut *context.pool.acquire().await?, reseller_id, None, &mut findings).await?;
            checked += 1;
        }
        findings.into_error()?;
        Ok(attempt.complete_without_effects(format!("the history of {checked} resellers holds")))
    }
}
