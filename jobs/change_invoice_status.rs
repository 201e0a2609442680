//! Moves an invoice to another status: the one way there is, for every path that asks for it.
//!
//! Idempotent by invoice, target and version: a target that is reached already is a no-op, and a message that names a
//! version the invoice has left behind is stale and recorded as such. Refusals are permanent and never retried.

use std::time::Duration;

use bigdecimal::Zero;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RenderDocument, generate_invoice::reconcile};
use crate::{
    context::Context,
    documents,
    domain::{
        document::DocumentKind,
        ids::{InvoiceId, NotificationId, ResellerId},
        invoice_event::{Cause, EventName},
        invoice_status::{self as lifecycle, InvoiceStatus, Plan, Step},
        notification::{StatusPath, is_told},
    },
    providers,
    queue::{Attempt, Effects, Finished, Job, JobError, Queue},
    store::{
        directory::{self, Recipient},
        drafts,
        invoice_status::{self, OpeningFacts, StepError},
        invoices::{self, InvoiceState},
        notifications::{self, NewNotification},
    },
};

/// Names the invoice and where it is to go.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeInvoiceStatus {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Which.
    pub invoice_id: InvoiceId,
    /// The status it is to have.
    pub to: InvoiceStatus,
    /// The version the sender saw; an older one makes this message stale.
    #[serde(default)]
    pub version: Option<i32>,
    /// Why; voiding and reopening need it.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whether the customer is told; the default is yes, unless the total is zero.
    #[serde(default)]
    pub notify: Option<bool>,
    /// Whether a stale draft, or one of a month that is not final, is opened all the same.
    #[serde(default)]
    pub force: bool,
}

impl Job for ChangeInvoiceStatus {
    type Context = Context;
    const KIND: &'static str = "change_invoice_status";
    const EVENT_TYPE: &'static str = "billrunner.invoice_status.change.v1";
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_mins(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        let Some(mut state) = invoices::lock(effects.connection(), self.reseller_id, self.invoice_id).await? else {
            tracing::warn!(invoice_id = %self.invoice_id, "the invoice does not exist");
            return Ok(attempt.complete_without_effects(format!("invoice {} does not exist", self.invoice_id)));
        };
        if let Some(version) = self.version.filter(|version| *version != state.version) {
            let InvoiceState { document_id, status, version: current, .. } = state;
            let message =
                format!("stale: {document_id} is {status} at version {current}, the request was for {version}");
            return Ok(attempt.complete_without_effects(message));
        }
        let request = Change {
            to: self.to,
            reason: self.reason.clone(),
            notify: self.notify,
            force: self.force,
            path: StatusPath::ExistingInvoice,
        };
        let cause = attempt.cause(self.reason);
        if change(&mut effects, &context, &mut state, &request, &cause).await? == Changed::Nothing {
            return Ok(attempt.complete_without_effects(format!("{} is {} already", state.document_id, state.status)));
        }
        effects.complete(format!("{} is {}", state.document_id, state.status)).await
    }
}

/// A change as every path asks for it.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub to: InvoiceStatus,
    pub reason: Option<String>,
    pub notify: Option<bool>,
    pub force: bool,
    pub path: StatusPath,
}

impl Change {
    pub fn to(to: InvoiceStatus) -> Self {
        Self { to, reason: None, notify: None, force: false, path: StatusPath::ExistingInvoice }
    }

    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Nothing,
    Status,
}

/// Why a change that the lifecycle knows is not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0} cannot become {1} without a reason; say why in `reason`")]
    NoReason(String, InvoiceStatus),
    #[error("{0} is not opened: its billing period is not closed; run the final bill run, or use `force`")]
    PeriodOpen(String),
    #[error("{0} is not opened: its inputs changed since it was generated; generate it with `replace`, or use `force`")]
    Stale(String),
    #[error("{0} is not opened: these accounts have charges and no customer: {1}; assign them, or waive them")]
    Unassigned(String, String),
}

impl From<Refused> for JobError {
    fn from(refused: Refused) -> Self {
        Self::permanent(refused)
    }
}

/// Takes every step to the asked status, with history, number, documents and notifications, in the open transaction.
pub(super) async fn change(
    effects: &mut Effects,
    context: &Context,
    state: &mut InvoiceState,
    change: &Change,
    cause: &Cause,
) -> Result<Changed, JobError> {
    let Plan::Steps(steps) = lifecycle::plan(state.status, change.to).map_err(JobError::permanent)? else {
        return Ok(Changed::Nothing);
    };
    let has_reason = change.reason.as_deref().is_some_and(|reason| !reason.trim().is_empty());
    if lifecycle::needs_reason(state.status, change.to) && !has_reason {
        return Err(Refused::NoReason(state.document_id.clone(), change.to).into());
    }
    let cause = Cause { reason: change.reason.clone(), ..cause.clone() };
    let mut last: Option<(Step, i64)> = None;
    for step in steps {
        prepare(effects, state, *step, change).await?;
        let sequence = invoice_status::take_step(effects.connection(), state, *step, &cause, context.clock.now())
            .await
            .map_err(step_error)?;
        if step.event == EventName::Opened && state.stale {
            // A stale draft counts as not made; now that it is forced open, it bills what it says.
            reconcile(effects.connection(), &state.key).await?;
        }
        last = Some((*step, sequence));
    }
    if let Some((step, sequence)) = last.filter(|(step, _)| step.to != InvoiceStatus::Discarded) {
        if is_told(step, change.notify, change.path, state.total.is_zero()) {
            record_notifications(effects, context, state, sequence).await?;
        }
        effects.enqueue_all(renderings(state)?).await?;
    }
    Ok(Changed::Status)
}

/// Checks and clears what must be before a step.
async fn prepare(effects: &mut Effects, state: &InvoiceState, step: Step, change: &Change) -> Result<(), JobError> {
    let connection = effects.connection();
    match step.event {
        EventName::Opened => {
            let key = &state.key;
            let facts =
                invoice_status::opening_facts(connection, key.reseller_id, &key.provider, key.billing_period).await?;
            check_opening(&facts, state, change.force)?;
            match change.path {
                StatusPath::ExistingInvoice => reconcile(connection, key).await,
                // Its generation has just checked what it accounts for; the whole month is for the bill run's end.
                StatusPath::WithGeneration => Ok(()),
            }
        }
        EventName::Discarded => Ok(drafts::delete_content(connection, state.key.reseller_id, state.id).await?),
        EventName::Generated | EventName::Reopened | EventName::Closed | EventName::Voided => Ok(()),
    }
}

/// Decides whether a draft may be opened, for every path that opens one.
pub(super) fn check_opening(facts: &OpeningFacts, state: &InvoiceState, force: bool) -> Result<(), Refused> {
    let name = || state.document_id.clone();
    if !force && !facts.is_period_closed {
        return Err(Refused::PeriodOpen(name()));
    }
    if !force && state.stale {
        return Err(Refused::Stale(name()));
    }
    if !facts.unassigned_accounts.is_empty() {
        return Err(Refused::Unassigned(name(), facts.unassigned_accounts.join(", ")));
    }
    Ok(())
}

fn step_error(error: StepError) -> JobError {
    JobError::transient(error)
}

/// Records who is to be told of an event; the mails follow once the documents exist.
async fn record_notifications(
    effects: &mut Effects,
    context: &Context,
    state: &InvoiceState,
    event_sequence: i64,
) -> Result<(), JobError> {
    let key = &state.key;
    let recipients = directory::recipients(effects.connection(), key.reseller_id, key.customer_id).await?;
    let told = who_is_told(context, state, event_sequence, recipients);
    Ok(notifications::record_all(effects.connection(), &told).await?)
}

/// Returns a notification for each recipient of an event; where there is none, one that says so.
pub(super) fn who_is_told(
    context: &Context,
    state: &InvoiceState,
    event_sequence: i64,
    recipients: Vec<Recipient>,
) -> Vec<NewNotification> {
    let told = |recipient: String, recipient_name: String, suppressed_because: Option<String>| {
        let id = NotificationId::new();
        NewNotification {
            id,
            reseller_id: state.key.reseller_id,
            invoice_id: state.id,
            event_sequence,
            recipient,
            recipient_name,
            intent: "event".to_owned(),
            language: state.language.clone(),
            suppressed_because,
            message_id: format!("<{id}@{}>", context.mail_domain),
        }
    };
    if recipients.is_empty() {
        return vec![told(String::new(), String::new(), Some("the customer has no contact".to_owned()))];
    }
    let tell = |Recipient { contact, suppressed_because }| told(contact.email, contact.name, suppressed_because);
    recipients.into_iter().map(tell).collect()
}

/// Returns the rendering of every document the provider offers, for the invoice's new version, each with its key. E-invoices
/// are for those who give both countries, and of what has lines and is not void.
pub(super) fn renderings(state: &InvoiceState) -> Result<Vec<(RenderDocument, String)>, JobError> {
    let profile = providers::find(&state.key.provider).map_err(JobError::permanent)?;
    let rendering = |kind: &DocumentKind| {
        let job = RenderDocument {
            reseller_id: state.key.reseller_id,
            invoice_id: state.id,
            version: state.version,
            kind: *kind,
            currency: None,
        };
        let key = job.key(&documents::template_hash(*kind, None));
        (job, key)
    };
    let is_ubl_wanted = state.can_be_ubl && state.status != InvoiceStatus::Void;
    let is_wanted = |kind: &&DocumentKind| **kind != DocumentKind::Ubl || is_ubl_wanted;
    Ok(profile.documents.iter().filter(is_wanted).map(rendering).collect())
}
