//! Tells a customer's contacts of a document that somebody had rendered: `billrunner documents render --notify`.
//!
//! Idempotent by the job, which is part of the notifications' intent: asked again by a person, the contacts are told again.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SendNotification, change_invoice_status::who_is_told};
use crate::{
    context::Context,
    domain::{
        document::DocumentKind,
        ids::{InvoiceId, ResellerId},
        invoice_status::InvoiceStatus,
        money::Currency,
        notification::Intent,
    },
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{
        directory,
        frozen_documents::{self, DocumentName},
        invoice_status, invoices, notifications,
    },
};

/// Names the document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnnounceDocument {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Of which invoice.
    pub invoice_id: InvoiceId,
    /// Which export.
    pub kind: DocumentKind,
    /// Shown in another currency than the invoice's own.
    #[serde(default)]
    pub currency: Option<Currency>,
}

/// Why nobody is told.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0} is {1}: customers see an invoice once it is open")]
    NotIssued(String, InvoiceStatus),
    #[error("{0} has no {1} at version {2}; render it first")]
    NotRendered(String, DocumentKind, i32),
}

impl Job for AnnounceDocument {
    type Context = Context;
    const KIND: &'static str = "announce_document";
    const EVENT_TYPE: &'static str = "billrunner.document.announce.v1";
    const IS_AT_THE_DOORS: bool = false;
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_mins(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        let connection = effects.connection();
        let (reseller_id, invoice_id, kind) = (self.reseller_id, self.invoice_id, self.kind);
        let Some(state) = invoices::lock(connection, reseller_id, invoice_id).await? else {
            tracing::warn!(%invoice_id, "the invoice does not exist");
            return Ok(attempt.complete_without_effects(format!("invoice {invoice_id} does not exist")));
        };
        if matches!(state.status, InvoiceStatus::Draft | InvoiceStatus::Discarded) {
            return Err(JobError::permanent(Refused::NotIssued(state.document_id, state.status)));
        }
        let (version, language) = (state.version, state.language.as_str());
        // The invoice's own is no view.
        let currency = self.currency.filter(|currency| *currency != state.key.currency);
        let name = DocumentName { reseller_id, invoice_id, invoice_version: version, kind, language, currency };
        let Some(document) = frozen_documents::first_rendering(connection, name).await? else {
            return Err(JobError::permanent(Refused::NotRendered(state.document_id, kind, version)));
        };
        let events = invoice_status::events(connection, reseller_id, invoice_id).await?;
        let last = events.last().map(|event| event.sequence).unwrap_or_default();
        let recipients = directory::recipients(connection, reseller_id, state.key.customer_id).await?;
        let mut told = who_is_told(&context, &state, last, recipients);
        for notification in &mut told {
            notification.intent = Intent::Document(document.id, attempt.job_id()).to_string();
        }
        notifications::record_all(connection, &told).await?;
        for notification in told.iter().filter(|one| one.suppressed_because.is_none()) {
            let mail = SendNotification { reseller_id, notification_id: notification.id };
            effects.enqueue(&mail, notification.id).await?;
        }
        effects.complete(format!("{} contacts are told of {}", told.len(), document.file_name)).await
    }
}
