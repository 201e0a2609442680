//! Says how a bill run ended, and proves its month complete or names what is missing: due when none of its generations is
//! left, however they ended.
//!
//! Idempotent by the run, whose completion it is: run again after dead generations were tried again, it looks anew and puts
//! what it finds in the place of what it found before. The month's inputs are held while it looks.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{bill_run_proof::examine, generate_invoice::hold, send_operator_mail::tell};
use crate::{
    context::Context,
    domain::{
        bill_run::{BillRunState, Finding},
        billing_period::BillingPeriod,
        ids::{BillRunId, ResellerId},
        operator_mail::{EndedBillRun, Facts},
    },
    providers,
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{
        bill_runs::{self, BillRunEnd},
        charge_sums::ProviderPeriod,
        jobs::outcomes_of_batch,
        mail_settings,
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
        let counted = outcomes.clone();
        let end = BillRunEnd {
            state,
            outcomes: outcomes.into_iter().map(|(state, count)| (state, count.into())).collect::<Map<_, _>>().into(),
            finished_at: context.clock.now(),
            balances: &proof.balances,
            findings: &proof.findings,
        };
        bill_runs::finish(connection, (self.reseller_id, run.id), &end).await?;
        let (id, found) = (run.id, proof.findings.len());
        if state != BillRunState::Cancelled {
            let occasion = format!("bill_run/{id}/{}", run.round);
            let facts = self.facts(connection, id, &counted, &proof.findings).await?;
            tell(&mut effects, &context, &occasion, &Facts::BillRun(facts)).await?;
        }
        let said = if found == 0 {
            format!("{name}: {counts}; {state}")
        } else {
            format!("{name}: {counts}; {state}, {found} findings: `billrunner bill-runs show {id}`")
        };
        effects.complete(said).await
    }
}

impl FinishBillRun {
    /// Returns what operators are told: counts, neither customers nor amounts.
    async fn facts(
        &self,
        connection: &mut sqlx::PgConnection,
        id: BillRunId,
        outcomes: &[(String, i64)],
        findings: &[Finding],
    ) -> Result<EndedBillRun, JobError> {
        let terms = mail_settings::terms(connection, self.reseller_id).await?;
        let in_state = |is_meant: fn(&str) -> bool| -> i64 {
            outcomes.iter().filter(|(state, _)| is_meant(state)).map(|(_, count)| count).sum()
        };
        let mut by_kind = BTreeMap::new();
        for finding in findings {
            *by_kind.entry(finding.kind).or_default() += 1;
        }
        Ok(EndedBillRun {
            reseller_id: self.reseller_id,
            reseller_name: terms.map(|terms| terms.name).unwrap_or_default(),
            id,
            provider: providers::find(&self.provider).map_err(JobError::permanent)?.display_name.to_owned(),
            billing_period: self.billing_period,
            jobs_done: in_state(|state| state == "done"),
            jobs_failed: in_state(|state| state != "done"),
            findings: by_kind,
        })
    }

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
