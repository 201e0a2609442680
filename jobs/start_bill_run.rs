//! Fans a provider's month out: a batch of one `generate_invoice` per customer with charges and currency, which ends with
//! `finish_bill_run`.
//!
//! Idempotent by reseller, provider, period and run id: the children's keys hold all four. A final run closes the
//! billing period; a provisional one makes drafts that wait for it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FinishBillRun, GenerateInvoice, InitialStatus};
use crate::{
    context::Context,
    domain::{
        billing_period::BillingPeriod,
        ids::{CustomerId, ResellerId},
        money::Currency,
    },
    providers,
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{
        charge_sums::{self, ProviderPeriod},
        invoice_status,
    },
};

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
}

#[derive(Debug, thiserror::Error)]
#[error("billing period {0} has not ended; wait for {end}, or ask for a provisional run", end = .0.end())]
struct PeriodNotEnded(BillingPeriod);

impl Job for StartBillRun {
    type Context = Context;
    const KIND: &'static str = "start_bill_run";
    const EVENT_TYPE: &'static str = "billrunner.bill_run.start.v1";
    const QUEUE: Queue = Queue::Billing;
    const TIMEOUT: Duration = Duration::from_mins(5);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let profile = providers::find(&self.provider).map_err(JobError::permanent)?;
        if !self.provisional && context.clock.now().date_naive() < self.billing_period.end() {
            return Err(JobError::permanent(PeriodNotEnded(self.billing_period)));
        }
        let mut effects = attempt.begin().await?;
        if !self.provisional {
            let connection = effects.connection();
            invoice_status::close_billing_period(connection, self.reseller_id, profile.id, self.billing_period).await?;
        }
        let period = ProviderPeriod {
            reseller_id: self.reseller_id,
            provider: profile.id,
            billing_period_start: self.billing_period.start(),
        };
        let customers = charge_sums::customers_with_charges(effects.connection(), period).await?;
        let run = format!("{}/{}/{}/{}", self.reseller_id, self.provider, self.billing_period, self.run_id);
        let generations: Vec<_> = customers
            .iter()
            .map(|&(customer_id, currency)| {
                (self.generation(customer_id, currency), format!("{run}/{customer_id}/{currency}"))
            })
            .collect();
        let completion = FinishBillRun {
            reseller_id: self.reseller_id,
            provider: self.provider.clone(),
            billing_period: self.billing_period,
            run_id: self.run_id.clone(),
        };
        effects.enqueue_batch(generations, &completion, &run).await?;
        effects.complete(format!("{} invoices to generate", customers.len())).await
    }
}

impl StartBillRun {
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
