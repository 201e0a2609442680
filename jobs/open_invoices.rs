//! Opens all drafts of a provider's month that nothing stands against, in blocks, and says which were left and why.
//!
//! Idempotent by what it finds: an invoice that is open is no draft any more, so a run that was killed or cancelled goes
//! on where it stopped. A block is one transaction: numbers, statuses, history and follow-up jobs of its drafts are there
//! together or not at all, so the numbers have no hole whenever the worker ends.

use std::{collections::BTreeSet, fmt::Write, time::Duration};

use bigdecimal::Zero;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    change_invoice_status::{check_opening, renderings, who_is_told},
    generate_invoice::hold,
};
use crate::{
    context::Context,
    domain::{
        billing_period::BillingPeriod,
        ids::{CustomerId, InvoiceId, ResellerId},
        invoice_status::OPEN,
        notification::{StatusPath, is_told},
    },
    providers,
    queue::{Attempt, Effects, Finished, Job, JobError, Queue},
    store::{
        charge_sums::ProviderPeriod,
        invoice_status::{self, OpeningFacts},
        invoices::{self, InvoiceState},
        jobs::Progress,
        notifications, opening,
        reconciliation::{self, ReconcileError},
    },
};

/// Drafts opened in one transaction: enough that its commit costs little, few enough that other changes of the reseller's
/// invoices, which wait for the chain meanwhile, wait for a part of a second.
const BLOCK: i64 = 500;
/// Drafts that were left, each named in the outcome; the rest is counted.
const NAMED: usize = 20;

/// Names the month.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenInvoices {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Of which provider.
    pub provider: String,
    /// Of which month.
    pub billing_period: BillingPeriod,
    /// Whether the customers are told; the default is yes, unless an invoice's total is zero.
    #[serde(default)]
    pub notify: Option<bool>,
    /// Whether stale drafts, or those of a month that is not final, are opened all the same.
    #[serde(default)]
    pub force: bool,
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("nothing of {0} is opened: the billing period is not closed; run the final bill run, or use `force`")]
    PeriodOpen(BillingPeriod),
    #[error("nothing of {0} is opened: these accounts have charges and no customer: {1}; assign them, or waive them")]
    Unassigned(BillingPeriod, String),
}

impl Job for OpenInvoices {
    type Context = Context;
    const KIND: &'static str = "open_invoices";
    const EVENT_TYPE: &'static str = "billrunner.invoices.open.v1";
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        providers::find(&self.provider).map_err(JobError::permanent)?;
        let total = self.check_month(&context).await?;
        let mut tally = Tally::default();
        let mut after = None;
        loop {
            let mut effects = attempt.begin().await?;
            let Some(last) = self.open_block(&mut effects, (&context, &attempt), after, &mut tally).await? else {
                return effects.complete(tally.describe()).await;
            };
            after = Some(last);
            let done = tally.opened + tally.left;
            effects.keep(&Progress { done, total: Some(total), note: "drafts".to_owned() }).await?;
        }
    }
}

impl OpenInvoices {
    fn period(&self) -> ProviderPeriod<'_> {
        ProviderPeriod {
            reseller_id: self.reseller_id,
            provider: &self.provider,
            billing_period_start: self.billing_period.start(),
        }
    }

    /// Checks what stands against every draft of the month, and returns how many there are. What changes later makes drafts
    /// stale, which each block sees.
    async fn check_month(&self, context: &Context) -> Result<i64, JobError> {
        let mut connection = context.pool.acquire().await?;
        let total = invoices::count_drafts(&mut connection, self.period()).await?;
        let facts = self.facts(&mut connection).await?;
        if total > 0 && !self.force && !facts.is_period_closed {
            return Err(JobError::permanent(Refused::PeriodOpen(self.billing_period)));
        }
        if total > 0 && !facts.unassigned_accounts.is_empty() {
            let accounts = facts.unassigned_accounts.join(", ");
            return Err(JobError::permanent(Refused::Unassigned(self.billing_period, accounts)));
        }
        reconciliation::reconcile(&mut connection, self.period()).await.map_err(|error| match error {
            ReconcileError::Database(error) => JobError::transient(error),
            differences @ ReconcileError::Differences(_) => JobError::permanent(differences),
        })?;
        Ok(total)
    }

    async fn facts(&self, connection: &mut sqlx::PgConnection) -> Result<OpeningFacts, JobError> {
        let period = self.billing_period;
        Ok(invoice_status::opening_facts(connection, self.reseller_id, &self.provider, period).await?)
    }

    /// Opens the next drafts and returns the last one looked at; `None` when none is left.
    async fn open_block(
        &self,
        effects: &mut Effects,
        (context, attempt): (&Context, &Attempt),
        after: Option<InvoiceId>,
        tally: &mut Tally,
    ) -> Result<Option<InvoiceId>, JobError> {
        let connection = effects.connection();
        // Before the drafts: who changes what they are made of locks them last.
        hold(connection, self.period()).await?;
        let drafts = invoices::lock_drafts(connection, self.period(), after, BLOCK).await?;
        let Some(last) = drafts.last().map(|draft| draft.id) else { return Ok(None) };
        let facts = self.facts(connection).await?;
        let customer_ids: BTreeSet<CustomerId> = drafts.iter().map(|draft| draft.key.customer_id).collect();
        let customer_ids: Vec<CustomerId> = customer_ids.into_iter().collect();
        let differences =
            reconciliation::customer_differences(connection, self.period(), &customer_ids, self.force).await?;
        let mut accepted = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let difference = differences.iter().find(|difference| difference.customer_id == draft.key.customer_id);
            match (check_opening(&facts, &draft, self.force), difference) {
                (Err(refused), _) => tally.leave(refused.to_string()),
                (Ok(()), Some(difference)) => tally.leave(format!("{} is not opened: {difference}", draft.document_id)),
                (Ok(()), None) => accepted.push(draft),
            }
        }
        let now = context.clock.now();
        let sequences = opening::open_drafts(connection, &mut accepted, OPEN, &attempt.cause(None), now)
            .await
            .map_err(JobError::transient)?;
        tally.opened += i64::try_from(accepted.len()).unwrap_or(i64::MAX);
        self.follow_up(effects, context, accepted.into_iter().zip(sequences).collect()).await?;
        Ok(Some(last))
    }

    /// Records who is to be told, and has the documents rendered.
    async fn follow_up(
        &self,
        effects: &mut Effects,
        context: &Context,
        opened: Vec<(InvoiceState, i64)>,
    ) -> Result<(), JobError> {
        let path = StatusPath::ExistingInvoice;
        let told = |state: &InvoiceState| is_told(OPEN, self.notify, path, state.total.is_zero());
        let customer_ids: Vec<CustomerId> =
            opened.iter().filter(|(state, _)| told(state)).map(|(state, _)| state.key.customer_id).collect();
        if !customer_ids.is_empty() {
            let connection = effects.connection();
            let recipients = opening::recipients_of_all(connection, self.reseller_id, &customer_ids).await?;
            let new = opened.iter().filter(|(state, _)| told(state)).flat_map(|(state, sequence)| {
                let recipients = recipients.get(&state.key.customer_id).cloned().unwrap_or_default();
                who_is_told(context, state, *sequence, recipients)
            });
            notifications::record_all(connection, &new.collect::<Vec<_>>()).await?;
        }
        let mut documents = Vec::new();
        for (state, _) in &opened {
            documents.extend(renderings(state)?);
        }
        // Who renders the documents of one invoice at the same time waits for its row, so neighbours are of different ones.
        documents.sort_by_key(|(document, _)| document.kind);
        effects.enqueue_all(documents).await
    }
}

/// What became of the drafts.
#[derive(Default)]
struct Tally {
    opened: i64,
    left: i64,
    reasons: Vec<String>,
}

impl Tally {
    fn leave(&mut self, reason: String) {
        self.left += 1;
        if self.reasons.len() < NAMED {
            self.reasons.push(reason);
        }
    }

    fn describe(&self) -> String {
        let mut text = format!("{} opened, {} left as drafts", self.opened, self.left);
        for reason in &self.reasons {
            text.push_str("\n  ");
            text.push_str(reason);
        }
        let more = self.left - i64::try_from(self.reasons.len()).unwrap_or(self.left);
        if more > 0 {
            let _ = write!(text, "\n  and {more} more");
        }
        text
    }
}
