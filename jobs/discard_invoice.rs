//! Throws a draft away; its tombstone keeps document id, who, when, why and the total.
//!
//! Idempotent by invoice: discarding twice succeeds. Anything but a draft is refused for good.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change_invoice_status::{Change, Changed, change};
use crate::{
    context::Context,
    domain::{
        ids::{InvoiceId, ResellerId},
        invoice_status::InvoiceStatus,
    },
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::invoices,
};

/// Names the draft.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardInvoice {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Which.
    pub invoice_id: InvoiceId,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Job for DiscardInvoice {
    type Context = Context;
    const KIND: &'static str = "discard_invoice";
    const EVENT_TYPE: &'static str = "billrunner.invoice.discard.v1";
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_mins(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        let Some(mut state) = invoices::lock(effects.connection(), self.reseller_id, self.invoice_id).await? else {
            tracing::warn!(invoice_id = %self.invoice_id, "the invoice does not exist");
            return Ok(attempt.complete_without_effects(format!("invoice {} does not exist", self.invoice_id)));
        };
        let cause = attempt.cause(self.reason.clone());
        let discard = Change { reason: self.reason, ..Change::to(InvoiceStatus::Discarded) };
        if change(&mut effects, &context, &mut state, &discard, &cause).await? == Changed::Nothing {
            return Ok(attempt.complete_without_effects(format!("{} is discarded already", state.document_id)));
        }
        effects.complete(format!("{} is discarded", state.document_id)).await
    }
}
