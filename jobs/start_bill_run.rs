//! Fans a provider's month out: a batch of one `generate_invoice` per customer with charges and currency, which ends with
//! `finish_bill_run`.
//!
//! Idempotent by reseller, provider, period and run id: a run is one row under them, and while it runs, starting it again
//! does nothing. Once it has ended, starting it again is another round, which generates what is missing. A final run closes
//! the billing period; a provisional one makes drafts that wait for it. A dry run says what would happen.

use std::time::Duration;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    FinishBillRun, GenerateInvoice, InitialStatus,
    bill_run_plan::{Action, decide},
};
use crate::{
    context::Context,
    domain::{
        billing_period::BillingPeriod,
        ids::{CustomerId, JobId, ResellerId},
        money::Currency,
    },
    providers::{self, Profile},
    queue::{Attempt, Effects, Finished, Job, JobError, Queue},
    store::{
        bill_run_proofs::{self, Standing},
        bill_runs::{self, NewBillRun, StartedBillRun},
        charge_sums::ProviderPeriod,
        database, invoice_status,
    },
};

/// How long a run that is asked for with other options waits before it looks for the end of the one under way.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Names the month to bill.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartBillRun {
    /// Who bills.
    pub reseller_id: ResellerId,
    /// For which provider.
    pub provider: String,
    /// For which month.
    pub billing_period: BillingPeriod,
    /// The sender's name for this run; the same name again is the same run.
    pub run_id: String,
    /// Status the invoices are to have.
    #[serde(default)]
    pub status: InitialStatus,
    /// Whether customers are told of opened invoices; a bill run tells nobody unless asked to.
    #[serde(default)]
    pub notify: Option<bool>,
    /// Whether the month may still change: its drafts are not opened without `force`.
    #[serde(default)]
    pub provisional: bool,
    /// Whether existing drafts are discarded and generated anew.
    #[serde(default)]
    pub replace: bool,
    /// Whether the run only says what it would do, and changes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("billing period {0} has not ended; wait for {end}, or ask for a provisional run", end = .0.end())]
pub(super) struct PeriodNotEnded(BillingPeriod);

impl Job for StartBillRun {
    type Context = Context;
    const KIND: &'static str = "start_bill_run";
    const EVENT_TYPE: &'static str = "billrunner.bill_run.start.v1";
    const QUEUE: Queue = Queue::Billing;
    const TIMEOUT: Duration = Duration::from_mins(15);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let profile = self.profile()?;
        if self.dry_run {
            return self.run_dry(&context, &attempt).await;
        }
        self.check_end(context.clock.now()).map_err(JobError::permanent)?;
        let mut effects = attempt.begin().await?;
        let new = NewBillRun {
            reseller_id: self.reseller_id,
            provider: profile.id,
            billing_period: self.billing_period,
            run_id: &self.run_id,
            options: self.options(),
            started_by: attempt.requested_by(),
            started_at: context.clock.now(),
        };
        let (id, round) = match bill_runs::start(effects.connection(), &new).await? {
            StartedBillRun::Round { id, round } => (id, round),
            StartedBillRun::Running { is_same: true } => {
                return Ok(attempt.complete_without_effects(format!("bill run {} runs already", self.run_id)));
            }
            StartedBillRun::Running { is_same: false } => {
                let reason = format!("bill run {} runs with other options", self.run_id);
                return Err(JobError::Snooze { after: LOOK_AGAIN, reason });
            }
        };
        let (count, batch_id) = self.fan_out(&mut effects, round).await?;
        bill_runs::record_round(effects.connection(), (self.reseller_id, id), batch_id, count).await?;
        effects.complete(format!("{} invoices to generate", count.0)).await
    }
}

impl StartBillRun {
    pub(super) fn profile(&self) -> Result<&'static Profile, JobError> {
        providers::find(&self.provider).map_err(JobError::permanent)
    }

    pub(super) fn period(&self) -> ProviderPeriod<'_> {
        ProviderPeriod {
            reseller_id: self.reseller_id,
            provider: &self.provider,
            billing_period_start: self.billing_period.start(),
        }
    }

    /// Refuses a final run of a month that still runs.
    pub(super) fn check_end(&self, now: DateTime<Utc>) -> Result<(), PeriodNotEnded> {
        if !self.provisional && now.date_naive() < self.billing_period.end() {
            return Err(PeriodNotEnded(self.billing_period));
        }
        Ok(())
    }

    fn options(&self) -> Value {
        json!({
            "status": self.status, "notify": self.notify, "provisional": self.provisional, "replace": self.replace,
        })
    }

    /// Says what the run would do, out of a transaction that cannot write.
    async fn run_dry(&self, context: &Context, attempt: &Attempt) -> Result<Finished, JobError> {
        let mut transaction = context.pool.begin().await?;
        database::only_read(&mut transaction).await?;
        let plan = self.plan(&mut transaction, context.clock.now()).await?;
        Ok(attempt.complete_without_effects(plan.summary()))
    }

    /// Closes the month where the run is final, and hands in the generations of this round. Returns how many they are and
    /// how many invoices are left alone, with the batch they are.
    async fn fan_out(&self, effects: &mut Effects, round: i32) -> Result<((i64, i64), JobId), JobError> {
        let connection = effects.connection();
        if !self.provisional {
            let (reseller_id, period) = (self.reseller_id, self.billing_period);
            invoice_status::close_billing_period(connection, reseller_id, &self.provider, period).await?;
        }
        let run = format!("{}/{}/{}/{}/{round}", self.reseller_id, self.provider, self.billing_period, self.run_id);
        let (mut generations, mut existing) = (Vec::new(), 0);
        for standing in bill_run_proofs::standings(connection, self.period()).await? {
            let Some(action) = decide(&standing, self.replace, round == 1) else { continue };
            let Standing { customer_id, currency, .. } = standing;
            if matches!(action, Action::NewDraft | Action::Replace) {
                generations.push((self.generation(customer_id, currency), format!("{run}/{customer_id}/{currency}")));
            } else {
                existing += 1;
            }
        }
        let count = i64::try_from(generations.len()).unwrap_or(i64::MAX);
        let completion = FinishBillRun {
            reseller_id: self.reseller_id,
            provider: self.provider.clone(),
            billing_period: self.billing_period,
            run_id: self.run_id.clone(),
        };
        let batch_id = effects.enqueue_batch(generations, &completion, &run).await?;
        Ok(((count, existing), batch_id))
    }

    fn generation(&self, customer_id: CustomerId, currency: Currency) -> GenerateInvoice {
        GenerateInvoice {
            reseller_id: self.reseller_id,
            customer_id,
            provider: self.provider.clone(),
            billing_period: self.billing_period,
            currency,
            status: self.status,
            notify: self.notify,
            replace: self.replace,
            force: false,
        }
    }
}
