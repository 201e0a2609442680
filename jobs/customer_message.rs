//! Which message a notification is, and how the reseller wants it sent now: asked by `send_notification` before each mail.
//!
//! Settings are read at the time of sending, so that a mail which waited follows what holds by then.

use sqlx::PgConnection;

use crate::{
    domain::{
        ids::{NotificationId, ResellerId},
        invoice::Invoice,
        invoice_event::EventName,
        mail_settings::MailSettings,
        message::CustomerMessage,
        notification::Intent,
    },
    mail::{Correspondent, Look},
    queue::JobError,
    store::{
        invoices,
        mail_settings::{self, MailTerms},
        notifications::{self, StoredNotification},
    },
};

/// A notification's message and what bears on its mail besides the invoice.
pub(super) struct Prepared {
    pub message: CustomerMessage,
    pub intent: Intent,
    /// The notification of which this one is a copy.
    pub original: Option<StoredNotification>,
    pub replaced_number: Option<String>,
    pub look: Look,
    terms: MailTerms,
}

impl Prepared {
    /// Finds out all of it.
    pub async fn load(
        connection: &mut PgConnection,
        notification: &StoredNotification,
        invoice: &Invoice,
    ) -> Result<Self, JobError> {
        let reseller_id = invoice.reseller_id;
        let intent: Intent = notification.intent.parse().map_err(JobError::permanent)?;
        let original = match intent {
            Intent::Copy(id) => Some(find_original(connection, reseller_id, id).await?),
            Intent::Event | Intent::Document(..) => None,
        };
        let told = match &original {
            Some(original) => original.intent.parse().map_err(JobError::permanent)?,
            None => intent,
        };
        let replaced_number = match invoice.replaces {
            Some(id) => invoices::find(connection, reseller_id, id).await?.and_then(|replaced| replaced.number),
            None => None,
        };
        let terms = mail_settings::terms(connection, reseller_id)
            .await?
            .ok_or_else(|| JobError::permanent(format!("reseller {reseller_id} does not exist")))?;
        Ok(Self {
            message: message_of(told, notification, invoice, replaced_number.is_some())?,
            intent: told,
            original,
            replaced_number,
            look: Look::new(terms.branding.as_ref()).map_err(JobError::permanent)?,
            terms,
        })
    }

    /// Says why the mail is not sent, if the reseller does not want it.
    pub fn switched_off_because(&self) -> Option<String> {
        let is_off = self.original.is_none() && !self.settings().is_enabled(self.message);
        is_off.then(|| format!("the reseller has switched the message {} off", self.message))
    }

    pub fn settings(&self) -> &MailSettings {
        &self.terms.settings
    }

    /// Returns the address to ask.
    pub fn contact(&self) -> &str {
        self.settings().reply_to.as_deref().unwrap_or(&self.terms.email)
    }

    /// Returns whom the mail comes from: the name on the invoice, unless the reseller has another for mails.
    pub fn from(&self, reseller_name: &str) -> Result<Correspondent, JobError> {
        let name = self.settings().sender_name.as_deref().unwrap_or(reseller_name);
        Correspondent::new(name, &self.terms.email).map_err(JobError::permanent)
    }

    pub fn reply_to(&self) -> Result<Option<Correspondent>, JobError> {
        let address = self.settings().reply_to.as_deref();
        address.map(|address| Correspondent::new("", address)).transpose().map_err(JobError::permanent)
    }

    /// Returns who gets a copy once the mail is sent; nobody of a copy.
    pub fn copies(&self) -> &[String] {
        if self.original.is_some() { &[] } else { &self.settings().bcc }
    }
}

async fn find_original(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    id: NotificationId,
) -> Result<StoredNotification, JobError> {
    let found = notifications::find(connection, reseller_id, id).await?;
    found.ok_or_else(|| JobError::permanent(format!("notification {id}, of which this is a copy, does not exist")))
}

fn message_of(
    intent: Intent,
    notification: &StoredNotification,
    invoice: &Invoice,
    replaces_another: bool,
) -> Result<CustomerMessage, JobError> {
    if matches!(intent, Intent::Document(..)) {
        return Ok(CustomerMessage::DocumentsReady);
    }
    EventName::ALL
        .into_iter()
        .find(|event| event.as_str() == notification.event)
        .and_then(|event| CustomerMessage::about(event, invoice.kind, replaces_another))
        .ok_or_else(|| JobError::permanent(format!("no message tells of the event `{}`", notification.event)))
}
