//! Corrects an issued invoice: voids it and generates it anew, in one transaction, with a `replaces` link.
//!
//! Idempotent by invoice and version: once it is void, the same message is stale. Only an open or closed invoice is
//! corrected; a draft is generated with `replace` instead.

use std::time::Duration;

use bigdecimal::Zero;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    InitialStatus,
    change_invoice_status::{Change, change},
    generate_invoice::{generate, hold_inputs},
};
use crate::{
    context::Context,
    domain::{
        ids::{InvoiceId, ResellerId},
        invoice_status::InvoiceStatus,
        notification::StatusPath,
    },
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::invoices,
};

/// Names the invoice to correct.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectInvoice {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Which.
    pub invoice_id: InvoiceId,
    /// The version the sender saw.
    pub version: i32,
    /// Why.
    pub reason: String,
    /// Status the new invoice is to have.
    #[serde(default)]
    pub status: InitialStatus,
    /// Whether the customer is told; the default is yes, unless the total is zero. Of an opened new invoice and the void
    /// one tells one mail.
    #[serde(default)]
    pub notify: Option<bool>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0} is {1} and is not corrected; only an open or closed invoice is")]
struct NotIssued(String, InvoiceStatus);

impl Job for CorrectInvoice {
    type Context = Context;
    const KIND: &'static str = "correct_invoice";
    const EVENT_TYPE: &'static str = "billrunner.invoice.correct.v1";
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_mins(5);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        let connection = effects.connection();
        if let Some(key) = invoices::find_key(connection, self.reseller_id, self.invoice_id).await? {
            hold_inputs(connection, &key).await?;
        }
        let Some(mut old) = invoices::lock(connection, self.reseller_id, self.invoice_id).await? else {
            tracing::warn!(invoice_id = %self.invoice_id, "the invoice does not exist");
            return Ok(attempt.complete_without_effects(format!("invoice {} does not exist", self.invoice_id)));
        };
        if old.version != self.version {
            let message = format!(
                "stale: {} is at version {}, the request was for {}",
                old.document_id, old.version, self.version
            );
            return Ok(attempt.complete_without_effects(message));
        }
        if !matches!(old.status, InvoiceStatus::Open | InvoiceStatus::Closed) {
            return Err(JobError::permanent(NotIssued(old.document_id, old.status)));
        }
        let cause = attempt.cause(Some(self.reason.clone()));
        // One mail tells of both, that of the new invoice; where none is opened, the void one's tells of that.
        let is_told_together = self.status == InitialStatus::Open;
        let notify = if is_told_together { Some(false) } else { self.notify };
        let void = Change { notify, ..Change::to(InvoiceStatus::Void).because(self.reason.clone()) };
        change(&mut effects, &context, &mut old, &void, &cause).await?;
        let mut new = generate(&mut effects, &context, &old.key, Some(old.id), &cause).await?;
        if self.status == InitialStatus::Open {
            let is_about_nothing = old.total.is_zero() && new.total.is_zero();
            let notify = Some(self.notify.unwrap_or(!is_about_nothing));
            let open = Change::to(InvoiceStatus::Open).because(self.reason.clone());
            let open = Change { notify, path: StatusPath::WithGeneration, ..open };
            change(&mut effects, &context, &mut new, &open, &cause).await?;
        }
        effects.complete(format!("{} is void, {} is {}", old.document_id, new.document_id, new.status)).await
    }
}
