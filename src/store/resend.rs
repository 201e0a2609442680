//! A mail that somebody has sent again: a new notification about the same event, to a contact of the customer and nobody
//! else, and on both who asked and why.
//!
//! Called by the command line and the console, which hand in the job that sends it, in the same transaction.

use sqlx::PgConnection;

use super::{
    Corrupt,
    directory::{self, Recipient},
    notification_list::NotificationSummary,
    notifications::{self, NewNotification, Note},
    operator_actions::{Operator, record_on_subject},
};
use crate::domain::{
    ids::NotificationId,
    notification::{NotificationState, message_id},
};

/// A notification that is to be sent.
#[derive(Clone, Debug)]
pub struct Again {
    /// Its id.
    pub id: NotificationId,
    /// To whom.
    pub recipient: String,
}

/// Says why a mail is not sent again.
#[derive(Debug, thiserror::Error)]
pub enum NotResent {
    /// It is yet to be sent.
    #[error(
        "notification {id} is {state}: its job is at it or will be; `billrunner dead list` shows it where it gave up"
    )]
    UnderWay {
        /// Which.
        id: NotificationId,
        /// Where it stands.
        state: NotificationState,
    },
    /// An invoice must not go to a mistyped address.
    #[error(
        "`{address}` is no contact of the customer; name one with --to, or add one to the directory; there are: {known}"
    )]
    NoContact {
        /// Who was named.
        address: String,
        /// Who there is.
        known: String,
    },
    /// The contact is not written to.
    #[error(
        "`{address}` is not written to, {why}; enable the contact in the directory, or `billrunner suppressions remove` \
         the address"
    )]
    Suppressed {
        /// Who was named.
        address: String,
        /// Why not.
        why: String,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Records that a mail is to be sent again, in the caller's transaction.
///
/// # Errors
/// [`NotResent`], in words for the operator.
pub async fn record(
    connection: &mut PgConnection,
    earlier: &NotificationSummary,
    to: &str,
    operator: Operator<'_>,
    mail_domain: &str,
) -> Result<Again, NotResent> {
    let state: NotificationState = earlier.state.parse().corrupt("notifications.state")?;
    if !state.has_ended() {
        return Err(NotResent::UnderWay { id: earlier.id, state });
    }
    let contacts = directory::recipients(&mut *connection, earlier.reseller_id, earlier.customer_id).await?;
    let Recipient { contact, .. } = choose(to, contacts)?;
    let id = NotificationId::new();
    let new = NewNotification {
        id,
        reseller_id: earlier.reseller_id,
        invoice_id: earlier.invoice_id,
        event_sequence: earlier.event_sequence,
        recipient: contact.email.clone(),
        recipient_name: contact.name,
        // Of its own, so that it stands beside the first and every other.
        intent: format!("resend {id}"),
        language: earlier.language.clone(),
        suppressed_because: None,
        message_id: message_id(id, mail_domain),
    };
    notifications::record_all(&mut *connection, &[new]).await?;
    note_both(connection, earlier, id, operator).await?;
    Ok(Again { id, recipient: contact.email })
}

/// Finds the contact with an address who may be written to.
fn choose(address: &str, contacts: Vec<Recipient>) -> Result<Recipient, NotResent> {
    let names: Vec<String> = contacts.iter().map(|one| one.contact.email.clone()).collect();
    let found = contacts.into_iter().find(|one| one.contact.email.eq_ignore_ascii_case(address.trim()));
    let Some(found) = found else {
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(NotResent::NoContact { address: address.to_owned(), known });
    };
    match &found.suppressed_because {
        Some(why) => Err(NotResent::Suppressed { address: address.to_owned(), why: why.clone() }),
        None => Ok(found),
    }
}

async fn note_both(
    connection: &mut PgConnection,
    earlier: &NotificationSummary,
    id: NotificationId,
    operator: Operator<'_>,
) -> sqlx::Result<()> {
    let noted_by = Some(operator.name);
    let requested = format!("instead of {}: {}", earlier.id, operator.reason);
    let note = Note { what: "requested", reason: &requested, noted_by };
    notifications::note(&mut *connection, (earlier.reseller_id, id), note).await?;
    let resent = format!("as {id}: {}", operator.reason);
    let note = Note { what: "resent", reason: &resent, noted_by };
    notifications::note(&mut *connection, (earlier.reseller_id, earlier.id), note).await?;
    let subject = format!("notification/{}", earlier.id);
    record_on_subject(connection, operator, "resend", &subject, Some(&format!("as notification {id}"))).await
}
