//! Says how a bill run ended, and proves its month complete or names what is missing: due when none of its generations is
//! left, however they ended.
//!
//! Idempotent by the run, whose completion it is: run again after dead generations were tried again, it looks anew and puts
//! what it finds in the place of what it found before. The month's inputs are held while it looks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{bill_run_proof::examine, generate_invoice::hold};
use crate::{
    context::Context,
    domain::{bill_run::BillRunState, billing_period::BillingPeriod, ids::ResellerId},
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{
        bill_runs::{self, BillRunEnd},
        charge_sums::ProviderPeriod,
        jobs::outcomes_of_batch,
    },
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
    const TIMEOUT: Duration = Duration::from_mins(15);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        let connection = effects.connection();
        let outcomes = outcomes_of_batch(connection, attempt.job_id()).await?;
        let name = format!("bill run {} of {}", self.run_id, self.billing_period);
        let counts = describe(&outcomes);
        let Some(run) = bill_runs::lock(connection, self.period(), &self.run_id).await? else {
            // It was started by a release that kept no record of runs.
            return effects.complete(format!("{name}: {counts}")).await;
        };
        if run.batch_id != Some(attempt.job_id()) {
            return effects.complete(format!("{name}: {counts}; a later round decides")).await;
        }
        hold(connection, self.period()).await?;
        let proof = examine(connection, self.period(), self.billing_period, attempt.job_id()).await?;
        let state = match (&run.cancelled_by, proof.findings.is_empty()) {
            (Some(_), _) => BillRunState::Cancelled,
            (None, true) => BillRunState::Complete,
            (None, false) => BillRunState::NeedsAttention,
        };
        let end = BillRunEnd {
            state,
            outcomes: outcomes.into_iter().map(|(state, count)| (state, count.into())).collect::<Map<_, _>>().into(),
            finished_at: context.clock.now(),
            balances: &proof.balances,
            findings: &proof.findings,
        };
        bill_runs::finish(connection, (self.reseller_id, run.id), &end).await?;
        let (id, found) = (run.id, proof.findings.len());
        let said = if found == 0 {
            format!("{name}: {counts}; {state}")
        } else {
            format!("{name}: {counts}; {state}, {found} findings: `billrunner bill-runs show {id}`")
        };
        effects.complete(said).await
    }
}

impl FinishBillRun {
    fn period(&self) -> ProviderPeriod<'_> {
        ProviderPeriod {
            reseller_id: self.reseller_id,
            provider: &self.provider,
            billing_period_start: self.billing_period.start(),
        }
    }
}

fn describe(outcomes: &[(String, i64)]) -> String {
    if outcomes.is_empty() {
        return "nothing to generate".to_owned();
    }
    outcomes.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}
