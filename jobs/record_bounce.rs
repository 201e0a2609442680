//! Records what a mail server says later of a mail that was sent: a delivery report (RFC 3464), also called a bounce.
//!
//! The notification is found by the Message-ID that the report returns; it must be one of the reseller's, to the letter. A
//! failure turns `sent` or `uncertain` into `failed` with `bounced: …` as its reason, and may put the address on the
//! suppression list; delays and deliveries are noted. Running twice equals running once: what is marked or noted is not
//! marked or noted again. What is no report, or about nobody's mail, changes nothing: mailboxes hold much else.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::{ObjectStoreExt, path::Path};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::import_charges::{NotASha256, check_sha256};
use crate::{
    context::Context,
    domain::{
        ids::{NotificationId, ResellerId},
        notification::notification_of,
    },
    mail::{Correspondent, DeliveryAction, DeliveryReport, MAX_REPORT_BYTES, RecipientReport},
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{
        jobs, mail_policies,
        notifications::{self, Note, StoredNotification},
        operator_actions::Operator,
        suppressions,
    },
};

/// Holds a delivery report, or names one that lies in the object store. One of `message` and `sha256` is given.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordBounce {
    /// Whose mail it is about.
    pub reseller_id: ResellerId,
    /// The report as it came (RFC 5322), where it fits into the envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Of the report's bytes, 64 hexadecimal digits: it lies in the object store at `bounces/<sha256>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Folder of the object store that holds delivery reports.
const REPORTS: &str = "bounces";

/// Returns where a delivery report lies in the object store, by the sha256 of its bytes.
///
/// # Errors
/// When the text is no sha256: whatever it is, it does not become part of a path.
pub fn bounce_location(sha256: &str) -> Result<Path, NotASha256> {
    check_sha256(sha256).map(|sha256| Path::from(format!("{REPORTS}/{sha256}")))
}

/// Removes the delivery reports that were stored before an instant and that no job names any more, and counts them.
///
/// # Errors
/// When the object store or the database fails.
pub(super) async fn forget_reports(context: &Context, before: DateTime<Utc>) -> Result<i64, JobError> {
    let mut reports = context.objects.list(Some(&Path::from(REPORTS)));
    let mut forgotten = 0;
    while let Some(report) = reports.try_next().await.map_err(JobError::transient)? {
        let sha256 = report.location.filename().unwrap_or_default();
        let is_old = report.last_modified < before;
        if is_old && !jobs::names_delivery_report(&mut *context.pool.acquire().await?, sha256).await? {
            context.objects.delete(&report.location).await.map_err(JobError::transient)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

/// Says why the report is not at hand.
#[derive(Debug, thiserror::Error)]
enum NoContent {
    #[error("the job names no report, or two; give either `message` or `sha256`")]
    NotOne,
    #[error("the object store holds no report {0}; upload it before handing the job in")]
    Missing(Path),
    #[error("the report {0} has {1} bytes; cut it off behind {MAX_REPORT_BYTES}, as what counts comes first")]
    TooLarge(Path, u64),
}

impl Job for RecordBounce {
    type Context = Context;
    const KIND: &'static str = "record_bounce";
    const EVENT_TYPE: &'static str = "billrunner.mail.bounce.v1";
    const QUEUE: Queue = Queue::Mail;
    const TIMEOUT: Duration = Duration::from_mins(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let report = match DeliveryReport::parse(&self.content(&context).await?) {
            Ok(report) => report,
            Err(why) => return Ok(attempt.complete_without_effects(format!("not a delivery report: {why}"))),
        };
        let mut effects = attempt.begin().await?;
        let Some((id, notification)) = self.find(effects.connection(), &report.message_id).await? else {
            return Ok(attempt.complete_without_effects("the report is about no mail of this reseller"));
        };
        let mut recorded = Vec::with_capacity(report.recipients.len());
        for recipient in &report.recipients {
            self.record(effects.connection(), (id, &notification), recipient).await?;
            recorded.push(recipient.action.as_str());
        }
        effects.complete(format!("notification {id}: {}", recorded.join(", "))).await
    }
}

impl RecordBounce {
    async fn content(&self, context: &Context) -> Result<Bytes, JobError> {
        let sha256 = match (&self.message, &self.sha256) {
            (Some(message), None) => return Ok(Bytes::copy_from_slice(message.as_bytes())),
            (None, Some(sha256)) => sha256,
            (Some(_), Some(_)) | (None, None) => return Err(JobError::permanent(NoContent::NotOne)),
        };
        let location = bounce_location(sha256).map_err(JobError::permanent)?;
        let found = match context.objects.get(&location).await {
            Err(object_store::Error::NotFound { .. }) => return Err(JobError::permanent(NoContent::Missing(location))),
            found => found.map_err(JobError::transient)?,
        };
        if usize::try_from(found.meta.size).is_ok_and(|size| size <= MAX_REPORT_BYTES) {
            return found.bytes().await.map_err(JobError::transient);
        }
        Err(JobError::permanent(NoContent::TooLarge(location, found.meta.size)))
    }

    async fn find(
        &self,
        connection: &mut PgConnection,
        message_id: &str,
    ) -> Result<Option<(NotificationId, StoredNotification)>, JobError> {
        let Some(id) = notification_of(message_id) else { return Ok(None) };
        let found = notifications::find(connection, self.reseller_id, id).await?;
        Ok(found.filter(|notification| notification.message_id == message_id).map(|notification| (id, notification)))
    }

    async fn record(
        &self,
        connection: &mut PgConnection,
        (id, notification): (NotificationId, &StoredNotification),
        told: &RecipientReport,
    ) -> Result<(), JobError> {
        let key = (self.reseller_id, id);
        let is_theirs = is_about(told, &notification.recipient);
        let (what, reason) = match told.action {
            DeliveryAction::Failed if is_theirs => ("bounced", describe("bounced", told)),
            // One of those to whom the customer's server passes it on, perhaps: the mail may well have arrived.
            DeliveryAction::Failed => ("bounced", describe("bounced at an address that it was forwarded to", told)),
            action => (action.as_str(), describe(action.as_str(), told)),
        };
        let is_failure = told.action == DeliveryAction::Failed && is_theirs;
        if !(is_failure && notifications::mark_bounced(connection, key, &reason).await?) {
            let note = Note { what, reason: &reason, noted_by: None };
            notifications::note(connection, key, note).await?;
        }
        let leads_nowhere = told.status.filter(|status| is_failure && status.says_the_address_does_not_exist());
        let Some(status) = leads_nowhere else { return Ok(()) };
        if mail_policies::of_reseller(connection, self.reseller_id).await?.suppress_rejected {
            let reason = format!("bounced: {status}, the address does not exist");
            let operator = Operator { name: Self::KIND, reason: &reason };
            suppressions::add(connection, self.reseller_id, &notification.recipient, operator).await?;
        }
        Ok(())
    }
}

/// Tells whether a report is about an address, as it is written or as servers write it.
fn is_about(told: &RecipientReport, address: &str) -> bool {
    let on_the_wire = Correspondent::new("", address).map(|correspondent| correspondent.address().to_string());
    told.is_about(address) || on_the_wire.is_ok_and(|address| told.is_about(&address))
}

fn describe(what: &str, told: &RecipientReport) -> String {
    let status = told.status.map(|status| status.to_string());
    let said = [status.as_deref().unwrap_or_default(), &told.diagnostic].join(" ");
    format!("{what}: {}", said.trim())
}
