//! Sends one mail about one invoice event, at most once.
//!
//! The row is `sending` in the database before the SMTP conversation begins. An attempt that finds it so has followed
//! one that died in the middle: whether the mail went out is unknown, and it is `uncertain`, not sent again. Running
//! twice therefore equals running once for the customer. 4xx and trouble before the content was sent are tried again.

use std::time::Duration;

use bytes::Bytes;
use chrono::{Days, NaiveTime};
use object_store::{ObjectStoreExt, path::Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{mail_gate, render_document::ATTACHED};
use crate::{
    context::Context,
    domain::{
        download_link::DownloadGrant,
        ids::{NotificationId, ResellerId},
        invoice::Invoice,
        invoice_event::EventName,
        invoice_status::InvoiceStatus,
        language_tag::NotALanguageTag,
    },
    language::Language,
    mail::{Attachment, Correspondent, InvoiceMessage, LinkedDocument, OutgoingMail, SendError, templates},
    providers,
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{
        directory,
        documents::{self, StoredDocument},
        invoices,
        notifications::{self, StoredNotification},
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
                return self.conclude(&attempt, "sending", "uncertain", Some(why)).await;
            }
            state => return Ok(attempt.complete_without_effects(format!("the notification is {state} already"))),
        }
        let invoice = invoices::find(&mut connection, self.reseller_id, notification.invoice_id)
            .await?
            .ok_or_else(|| JobError::permanent(format!("invoice {} does not exist", notification.invoice_id)))?;
        if let Some(why) = suppressed_because(&notification, &invoice) {
            return self.conclude(&attempt, "queued", "suppressed", Some(&why)).await;
        }
        let mail = match self.prepare(&context, &mut connection, &notification, &invoice).await {
            Err(JobError::Permanent(error)) => {
                let why = JobError::Permanent(error).full_message();
                return self.conclude(&attempt, "queued", "failed", Some(&why)).await;
            }
            mail => mail?,
        };
        let passage = mail_gate::pass(&context, &mut connection, self.id(), mail.to.address().domain()).await?;
        if !notifications::change_state(&mut connection, self.id(), ("queued", "sending"), None).await? {
            return Ok(attempt.complete_without_effects("another attempt was faster"));
        }
        drop(connection);
        let outcome = context.mailer.send(&mail).await;
        let left_alone = passage.note(&context, &outcome).await;
        self.record(&context, &attempt, outcome, left_alone).await
    }
}

impl SendNotification {
    fn id(&self) -> (ResellerId, NotificationId) {
        (self.reseller_id, self.notification_id)
    }

    async fn record(
        &self,
        context: &Context,
        attempt: &Attempt,
        outcome: Result<(), SendError>,
        left_alone: Option<Duration>,
    ) -> Result<Finished, JobError> {
        match outcome {
            Ok(()) => self.conclude(attempt, "sending", "sent", None).await,
            Err(error @ (SendError::Rejected { .. } | SendError::Unbuildable(_))) => {
                self.conclude(attempt, "sending", "failed", Some(&error.to_string())).await
            }
            Err(error @ SendError::Uncertain { .. }) => {
                self.conclude(attempt, "sending", "uncertain", Some(&error.to_string())).await
            }
            Err(error @ SendError::Temporary { .. }) => {
                let mut connection = context.pool.acquire().await?;
                notifications::change_state(&mut connection, self.id(), ("sending", "queued"), None).await?;
                // SMTP has no field in which a server could name the time to come back.
                let transient = JobError::transient(error);
                Err(match left_alone {
                    Some(after) => JobError::Snooze { after, reason: transient.full_message() },
                    None => transient,
                })
            }
        }
    }

    /// Records what became of the notification, together with the job's outcome.
    async fn conclude(
        &self,
        attempt: &Attempt,
        from: &str,
        to: &str,
        reason: Option<&str>,
    ) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        if !notifications::change_state(effects.connection(), self.id(), (from, to), reason).await? {
            return Ok(attempt.complete_without_effects("another attempt was faster"));
        }
        if matches!(to, "failed" | "uncertain") {
            // The reason may name an address; it is kept in the row, not in the log.
            tracing::warn!(notification_id = %self.notification_id, "the mail is {to}");
        }
        effects.complete(reason.map_or_else(|| to.to_owned(), |reason| format!("{to}: {reason}"))).await
    }

    async fn prepare(
        &self,
        context: &Context,
        connection: &mut sqlx::PgConnection,
        notification: &StoredNotification,
        invoice: &Invoice,
    ) -> Result<OutgoingMail, JobError> {
        let enclosed = self.enclosed(context, connection, notification, invoice).await?;
        let provider = providers::find(&invoice.provider).map_err(JobError::permanent)?;
        let tag = notification.language.parse().map_err(|error: NotALanguageTag| JobError::permanent(error))?;
        let language = Language::for_tag(&tag).map_err(JobError::permanent)?;
        let message = InvoiceMessage::new(
            invoice,
            &language,
            &notification.recipient_name,
            provider.display_name,
            &enclosed.attachments,
        )
        .map_err(JobError::permanent)?
        .with_reason(notification.reason.as_deref())
        .with_links(self.links(context, &enclosed.linked, &language)?);
        let event = event_name(&notification.event)?;
        let sender = directory::sender_address(connection, self.reseller_id).await?;
        Ok(OutgoingMail {
            message_id: notification.message_id.clone(),
            sent_at: context.clock.now(),
            from: Correspondent::new(&invoice.reseller.name, &sender).map_err(JobError::permanent)?,
            to: Correspondent::new(&notification.recipient_name, &notification.recipient)
                .map_err(JobError::permanent)?,
            language: notification.language.clone(),
            message: templates::render(event, &language, &message).map_err(JobError::permanent)?,
            attachments: enclosed.attachments,
        })
    }

    /// Attaches documents while there is room; what is too large is left to a link, where links are made.
    async fn enclosed(
        &self,
        context: &Context,
        connection: &mut sqlx::PgConnection,
        notification: &StoredNotification,
        invoice: &Invoice,
    ) -> Result<Enclosed, JobError> {
        // Those of the event's version will do while those of a later one are being rendered: only a void invoice looks
        // different, and of that no earlier event is told.
        let (id, version, language) = (invoice.id, notification.invoice_version, &notification.language);
        let rendered = documents::since_version(connection, self.reseller_id, id, version, language).await?;
        let mut enclosed = Enclosed { attachments: Vec::with_capacity(ATTACHED.len()), linked: Vec::new() };
        let mut room = context.attach_up_to_bytes;
        for kind in ATTACHED {
            let Some(document) = rendered.iter().find(|document| document.kind == kind) else {
                let reason = format!("{kind} of {} since version {version} is not rendered", invoice.document_id);
                return Err(JobError::Snooze { after: DOCUMENTS_LATER, reason });
            };
            if document.size_bytes > room && context.download_links.is_some() {
                enclosed.linked.push(document.clone());
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
fn suppressed_because(notification: &StoredNotification, invoice: &Invoice) -> Option<String> {
    if let Some(reason) = &notification.suppressed_because {
        return Some(format!("on the suppression list: {reason}"));
    }
    let is_void = invoice.status == InvoiceStatus::Void;
    (is_void && notification.event != EventName::Voided.as_str()).then(|| "the invoice is void meanwhile".to_owned())
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

fn event_name(text: &str) -> Result<EventName, JobError> {
    EventName::ALL
        .into_iter()
        .find(|event| event.as_str() == text)
        .ok_or_else(|| JobError::permanent(format!("no message tells of the event `{text}`")))
}
