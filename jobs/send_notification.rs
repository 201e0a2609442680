//! Sends one mail about one invoice event, at most once.
//!
//! The row is `sending` in the database before the SMTP conversation begins. An attempt that finds it so has followed
//! one that died in the middle: whether the mail went out is unknown, and it is `uncertain`, not sent again. Running
//! twice therefore equals running once for the customer. 4xx and trouble before the content was sent are tried again. A
//! reseller may choose that what is `uncertain` is sent once more ([`MailPolicy`](crate::domain::mail_policy::MailPolicy)).

use std::time::Duration;

use bytes::Bytes;
use chrono::{Days, NaiveTime};
use object_store::{ObjectStoreExt, path::Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{customer_message::Prepared, mail_gate, render_document::ATTACHED};
use crate::{
    context::Context,
    domain::{
        document::DocumentKind,
        download_link::DownloadGrant,
        enhanced_status::EnhancedStatus,
        ids::{NotificationId, ResellerId},
        invoice::Invoice,
        invoice_event::EventName,
        invoice_status::InvoiceStatus,
        language_tag::NotALanguageTag,
        notification::Intent,
    },
    faults::{self, Mutation, Point},
    language::Language,
    mail::{Attachment, Correspondent, InvoiceMessage, LinkedDocument, OutgoingMail, SendError, templates},
    providers,
    queue::{Attempt, Effects, Finished, Job, JobError, Queue},
    store::{
        documents::{self, StoredDocument},
        invoices, mail_policies,
        notifications::{self, StoredNotification},
        operator_actions::Operator,
        suppressions,
    },
};

/// How long to wait for documents that went missing: a mail is asked for once they are rendered.
const DOCUMENTS_LATER: Duration = Duration::from_secs(30);

/// How long the links of a mail are good: invoices are paid within a month, mostly.
const LINKS_LAST: Days = Days::new(30);

/// What goes with a mail.
struct Enclosed {
    attachments: Vec<Attachment>,
    linked: Vec<StoredDocument>,
    /// What the mail's button leads to.
    button: Option<StoredDocument>,
}

/// What became of a notification.
struct Outcome {
    state: &'static str,
    /// For the notification; may hold an address.
    reason: Option<String>,
    /// For the ledger.
    message: String,
    /// Where the server says that the address does not exist: which, and its code.
    refused: Option<(String, EnhancedStatus)>,
    /// Who gets a copy of what was sent.
    copies: Vec<String>,
}

/// Names the notification.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendNotification {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Which.
    pub notification_id: NotificationId,
}

impl Job for SendNotification {
    type Context = Context;
    const KIND: &'static str = "send_notification";
    const EVENT_TYPE: &'static str = "billrunner.notification.send.v1";
    const QUEUE: Queue = Queue::Mail;
    const TIMEOUT: Duration = Duration::from_mins(5);
    /// With waits of up to four hours these are almost four days: RFC 5321, section 4.5.4.1, asks for four or five.
    const MAX_ATTEMPTS: i32 = 60;
    const MAX_BACKOFF: Duration = Duration::from_hours(4);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut connection = context.pool.acquire().await?;
        let found = notifications::find(&mut connection, self.reseller_id, self.notification_id).await?;
        let Some(notification) = found else {
            tracing::warn!(notification_id = %self.notification_id, "the notification does not exist");
            return Ok(attempt.complete_without_effects("the notification does not exist"));
        };
        match notification.state.as_str() {
            "queued" => {}
            "sending" => {
                let why = "an earlier attempt ended in the middle of the conversation";
                return self.conclude(&context, &attempt, "sending", Outcome::new("uncertain", why)).await;
            }
            state => return Ok(attempt.complete_without_effects(format!("the notification is {state} already"))),
        }
        let invoice = invoices::find(&mut connection, self.reseller_id, notification.invoice_id)
            .await?
            .ok_or_else(|| JobError::permanent(format!("invoice {} does not exist", notification.invoice_id)))?;
        let prepared = match Prepared::load(&mut connection, &notification, &invoice).await {
            Err(JobError::Permanent(error)) => {
                let why = JobError::Permanent(error).full_message();
                return self.conclude(&context, &attempt, "queued", Outcome::new("failed", &why)).await;
            }
            prepared => prepared?,
        };
        if let Some(why) = suppressed_because(&notification, &invoice, &prepared) {
            return self.conclude(&context, &attempt, "queued", Outcome::new("suppressed", &why)).await;
        }
        let mail = match self.prepare(&context, &mut connection, (&notification, &invoice), &prepared).await {
            Err(JobError::Permanent(error)) => {
                let why = JobError::Permanent(error).full_message();
                return self.conclude(&context, &attempt, "queued", Outcome::new("failed", &why)).await;
            }
            mail => mail?,
        };
        let passage =
            mail_gate::pass(&context, &mut connection, self.id(), mail.recipient().address().domain()).await?;
        if !faults::is_planted(Mutation::SendBeforeCommit)
            && !notifications::change_state(&mut connection, self.id(), ("queued", "sending"), None).await?
        {
            return Ok(attempt.complete_without_effects("another attempt was faster"));
        }
        drop(connection);
        let sent = context.mailer.send(&mail).await;
        faults::reached(Point::AfterData);
        let left_alone = passage.note(&context, &sent).await;
        match sent {
            Err(error @ SendError::Temporary { .. }) => {
                let mut connection = context.pool.acquire().await?;
                let reason = error.to_string();
                notifications::change_state(&mut connection, self.id(), ("sending", "queued"), Some(&reason)).await?;
                Err(mail_gate::later(error, left_alone))
            }
            sent => {
                let outcome = Outcome::of(&sent, &notification.recipient, prepared.copies());
                self.conclude(&context, &attempt, "sending", outcome).await
            }
        }
    }
}

impl Outcome {
    fn new(state: &'static str, reason: &str) -> Self {
        let (reason, message) = (Some(reason.to_owned()), format!("{state}: {reason}"));
        Self { state, reason, message, refused: None, copies: Vec::new() }
    }

    /// Says what the answer to a mail makes of its notification.
    fn of(sent: &Result<(), SendError>, recipient: &str, copies: &[String]) -> Self {
        let Err(error) = sent else {
            let message = "sent".to_owned();
            return Self { state: "sent", reason: None, message, refused: None, copies: copies.to_vec() };
        };
        match error {
            SendError::Temporary { .. } => Self::new("queued", &error.to_string()),
            SendError::Uncertain { .. } => Self::new("uncertain", &error.to_string()),
            SendError::Unbuildable(_) => Self::new("failed", &error.to_string()),
            SendError::Rejected { reply, .. } => {
                let status = EnhancedStatus::at_start_of(reply);
                let refused = status.filter(|status| status.says_the_address_does_not_exist());
                Self {
                    reason: Some(format!("{error}: {reply}")),
                    refused: refused.map(|status| (recipient.to_owned(), status)),
                    ..Self::new("failed", &error.to_string())
                }
            }
        }
    }
}

impl SendNotification {
    fn id(&self) -> (ResellerId, NotificationId) {
        (self.reseller_id, self.notification_id)
    }

    /// Records what became of the notification, together with the job's outcome, the copies that follow and what the
    /// reseller's policy makes of it.
    async fn conclude(
        &self,
        context: &Context,
        attempt: &Attempt,
        from: &str,
        outcome: Outcome,
    ) -> Result<Finished, JobError> {
        let (states, reason) = ((from, outcome.state), outcome.reason.as_deref());
        let mut effects = match attempt.begin().await {
            // Too late: the mail may be out, and nobody would say so any more.
            Err(JobError::Cancelled) => {
                let mut connection = context.pool.acquire().await?;
                notifications::change_state(&mut connection, self.id(), states, reason).await?;
                return Err(JobError::Cancelled);
            }
            begun => begun?,
        };
        if !notifications::change_state(effects.connection(), self.id(), states, reason).await? {
            return Ok(attempt.complete_without_effects("another attempt was faster"));
        }
        if matches!(outcome.state, "failed" | "uncertain") {
            // The reason may name an address; it is kept in the row, not in the log.
            tracing::warn!(notification_id = %self.notification_id, "the mail is {}", outcome.state);
        }
        if !outcome.copies.is_empty() {
            let copies = notifications::record_copies(effects.connection(), self.id(), &outcome.copies).await?;
            for notification_id in copies {
                effects.enqueue(&Self { notification_id, ..self.clone() }, notification_id).await?;
            }
        }
        self.follow_policy(&mut effects, &outcome).await?;
        effects.complete(outcome.message).await
    }

    async fn follow_policy(&self, effects: &mut Effects, outcome: &Outcome) -> Result<(), JobError> {
        if outcome.state != "uncertain" && outcome.refused.is_none() {
            return Ok(());
        }
        let policy = mail_policies::of_reseller(effects.connection(), self.reseller_id).await?;
        if let Some((address, status)) = outcome.refused.as_ref().filter(|_| policy.suppress_rejected) {
            let reason = format!("refused: {status}, the address does not exist");
            let operator = Operator { name: Self::KIND, reason: &reason };
            suppressions::add(effects.connection(), self.reseller_id, address, operator).await?;
        }
        // Once more is not again and again: a server that hangs up on every mail would deliver each many times.
        let is_resent = outcome.state == "uncertain"
            && policy.resend_uncertain
            && notifications::times_uncertain(effects.connection(), self.id()).await? == 1;
        if is_resent {
            let reason = Some("it may have been delivered; by the reseller's policy it is sent once more");
            notifications::change_state(effects.connection(), self.id(), ("uncertain", "queued"), reason).await?;
            effects.enqueue(self, format!("{} once more", self.notification_id)).await?;
        }
        Ok(())
    }

    async fn prepare(
        &self,
        context: &Context,
        connection: &mut sqlx::PgConnection,
        (notification, invoice): (&StoredNotification, &Invoice),
        prepared: &Prepared,
    ) -> Result<OutgoingMail, JobError> {
        let enclosed = self.enclosed(context, connection, (notification, invoice), prepared.intent).await?;
        let addressed = prepared.original.as_ref().unwrap_or(notification);
        let provider = providers::find(&invoice.provider).map_err(JobError::permanent)?;
        let tag = notification.language.parse().map_err(|error: NotALanguageTag| JobError::permanent(error))?;
        let language = Language::for_tag(&tag).map_err(JobError::permanent)?;
        let message = InvoiceMessage::new(
            invoice,
            &language,
            &addressed.recipient_name,
            provider.display_name,
            &enclosed.attachments,
        )
        .map_err(JobError::permanent)?
        .with_reason(notification.reason.as_deref())
        .with_contact(prepared.contact())
        .with_replaced_number(prepared.replaced_number.as_deref())
        .with_download(self.links(context, enclosed.button.as_slice(), &language)?.pop())
        .with_links(self.links(context, &enclosed.linked, &language)?);
        let own = prepared.settings().of(prepared.message);
        let correspondent = |to: &StoredNotification| Correspondent::new(&to.recipient_name, &to.recipient);
        Ok(OutgoingMail {
            message_id: notification.message_id.clone(),
            sent_at: context.clock.now(),
            from: prepared.from(&invoice.reseller.name)?,
            to: correspondent(addressed).map_err(JobError::permanent)?,
            deliver_to: match prepared.original {
                Some(_) => Some(correspondent(notification).map_err(JobError::permanent)?),
                None => None,
            },
            reply_to: prepared.reply_to()?,
            language: notification.language.clone(),
            message: templates::render(prepared.message, &language, &message, &prepared.look, own)
                .map_err(JobError::permanent)?,
            logo: prepared.look.logo().cloned(),
            attachments: enclosed.attachments,
        })
    }

    /// Attaches documents while there is room; what is too large is left to a link, where links are made.
    async fn enclosed(
        &self,
        context: &Context,
        connection: &mut sqlx::PgConnection,
        (notification, invoice): (&StoredNotification, &Invoice),
        intent: Intent,
    ) -> Result<Enclosed, JobError> {
        // Those of the event's version will do while those of a later one are being rendered: only a void invoice looks
        // different, and of that no earlier event is told.
        let (id, version, language) = (invoice.id, notification.invoice_version, &notification.language);
        let asked = match intent {
            Intent::Document(id, _) => documents::find(connection, self.reseller_id, id).await?,
            Intent::Event | Intent::Copy(_) => None,
        };
        let mut chosen = Vec::from_iter(asked);
        if chosen.is_empty() {
            let rendered = documents::since_version(connection, self.reseller_id, id, version, language).await?;
            for kind in ATTACHED {
                let Some(document) = rendered.iter().find(|document| document.kind == kind) else {
                    let reason = format!("{kind} of {} since version {version} is not rendered", invoice.document_id);
                    return Err(JobError::Snooze { after: DOCUMENTS_LATER, reason });
                };
                chosen.push(document.clone());
            }
        }
        let button = chosen.iter().find(|document| document.kind == DocumentKind::Pdf).cloned();
        let mut enclosed = Enclosed { attachments: Vec::new(), linked: Vec::new(), button };
        let mut room = context.attach_up_to_bytes;
        for document in &chosen {
            if document.size_bytes > room && context.download_links.is_some() {
                // What the button leads to is not listed again.
                if enclosed.button.as_ref().is_none_or(|button| button.id != document.id) {
                    enclosed.linked.push(document.clone());
                }
                continue;
            }
            room -= document.size_bytes;
            enclosed.attachments.push(attachment(context, document).await?);
        }
        Ok(enclosed)
    }

    /// Makes a link to each document, good to the end of its last day.
    fn links(
        &self,
        context: &Context,
        linked: &[StoredDocument],
        language: &Language,
    ) -> Result<Vec<LinkedDocument>, JobError> {
        let Some(links) = &context.download_links else { return Ok(Vec::new()) };
        let last_day = context.clock.now().date_naive() + LINKS_LAST;
        let expires_at = (last_day + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
        let link = |document: &StoredDocument| {
            let url = links.link(&DownloadGrant::until(self.reseller_id, document.id, expires_at));
            let size = usize::try_from(document.size_bytes).map_err(JobError::permanent)?;
            LinkedDocument::new((&document.file_name, size), url, last_day, language).map_err(JobError::permanent)
        };
        linked.iter().map(link).collect()
    }
}

/// Tells why a notification is no longer to be sent, if so.
fn suppressed_because(notification: &StoredNotification, invoice: &Invoice, prepared: &Prepared) -> Option<String> {
    if let Some(reason) = &notification.suppressed_because {
        return Some(format!("on the suppression list: {reason}"));
    }
    // A copy is of what was sent, whatever happened since.
    let is_void = invoice.status == InvoiceStatus::Void && prepared.original.is_none();
    let is_past = is_void && notification.event != EventName::Voided.as_str();
    is_past.then(|| "the invoice is void meanwhile".to_owned()).or_else(|| prepared.switched_off_because())
}

async fn attachment(context: &Context, document: &StoredDocument) -> Result<Attachment, JobError> {
    let stored = context.objects.get(&Path::from(document.location.as_str())).await.map_err(JobError::transient)?;
    let bytes: Bytes = stored.bytes().await.map_err(JobError::transient)?;
    Ok(Attachment {
        file_name: document.file_name.clone(),
        content_type: document.content_type().to_owned(),
        content: bytes,
    })
}
