//! Says how a bill run ended: due when none of its generations is left, however they ended.
//!
//! Idempotent by the run, whose completion it is. Run again after dead generations were tried again, it counts anew.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    context::Context,
    domain::{billing_period::BillingPeriod, ids::ResellerId},
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::jobs::outcomes_of_batch,
};

/// Names the bill run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishBillRun {
    /// Who bills.
    pub reseller_id: ResellerId,
    /// For which provider.
    pub provider: String,
    /// For which month.
    pub billing_period: BillingPeriod,
    /// The sender's name for the run.
    pub run_id: String,
}

impl Job for FinishBillRun {
    type Context = Context;
    const KIND: &'static str = "finish_bill_run";
    const EVENT_TYPE: &'static str = "billrunner.bill_run.finish.v1";
    const IS_AT_THE_DOORS: bool = false;
    const QUEUE: Queue = Queue::Billing;
    const TIMEOUT: Duration = Duration::from_mins(1);

    async fn run(self, _: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        let outcomes = outcomes_of_batch(effects.connection(), attempt.job_id()).await?;
        let counts = outcomes.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>();
        let counts = if counts.is_empty() { "nothing to generate".to_owned() } else { counts.join(", ") };
        effects.complete(format!("bill run {} of {}: {counts}", self.run_id, self.billing_period)).await
    }
}
