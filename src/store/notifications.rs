//! Notifications: who is to be told of which event, and what became of it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::{
    ids::{InvoiceId, NotificationId, ResellerId},
    notification::Intent,
};

/// A notification to be recorded.
#[derive(Clone, Debug)]
pub struct NewNotification {
    /// Its id.
    pub id: NotificationId,
    /// Whose.
    pub reseller_id: ResellerId,
    /// About which invoice.
    pub invoice_id: InvoiceId,
    /// About which event.
    pub event_sequence: i64,
    /// Address; empty where there is nobody to tell.
    pub recipient: String,
    /// Display name.
    pub recipient_name: String,
    /// `event` for the first mail of an event; a person's resend is an intent of its own.
    pub intent: String,
    /// BCP 47 tag.
    pub language: String,
    /// Why it is not sent; `None` is queued.
    pub suppressed_because: Option<String>,
    /// RFC 5322 Message-ID.
    pub message_id: String,
}

/// Records notifications; the same (invoice, event, recipient, intent) again changes nothing.
///
/// # Errors
/// When the database fails.
pub async fn record_all(connection: &mut PgConnection, notifications: &[NewNotification]) -> sqlx::Result<()> {
    if notifications.is_empty() {
        return Ok(());
    }
    let text = |column: fn(&NewNotification) -> &String| notifications.iter().map(column).cloned().collect::<Vec<_>>();
    let reasons: Vec<Option<String>> = notifications.iter().map(|one| one.suppressed_because.clone()).collect();
    sqlx::query!(
        "INSERT INTO notifications (reseller_id, id, invoice_id, event_sequence, recipient, recipient_name, intent, language,
             state, reason, message_id, finished_at)
         SELECT reseller_id, id, invoice_id, event_sequence, recipient, recipient_name, intent, language,
             CASE WHEN reason IS NULL THEN 'queued' ELSE 'suppressed' END, reason, message_id,
             CASE WHEN reason IS NOT NULL THEN now() END
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::text[], $10::text[])
           AS new (reseller_id, id, invoice_id, event_sequence, recipient, recipient_name, intent, language, reason,
                   message_id)
         ON CONFLICT (reseller_id, invoice_id, event_sequence, recipient, intent) DO NOTHING",
        &notifications.iter().map(|one| one.reseller_id.0).collect::<Vec<_>>(),
        &notifications.iter().map(|one| one.id.0).collect::<Vec<_>>(),
        &notifications.iter().map(|one| one.invoice_id.0).collect::<Vec<_>>(),
        &notifications.iter().map(|one| one.event_sequence).collect::<Vec<_>>(),
        &text(|one| &one.recipient),
        &text(|one| &one.recipient_name),
        &text(|one| &one.intent),
        &text(|one| &one.language),
        &reasons as &[Option<String>],
        &text(|one| &one.message_id),
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Returns the queued notifications about events of an invoice up to a version.
///
/// Looked up by the invoice, whatever Postgres believes of their states: a moment ago none was queued, and now all of a month
/// are.
///
/// # Errors
/// When the database fails.
pub async fn queued_up_to(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    invoice_id: InvoiceId,
    invoice_version: i32,
) -> sqlx::Result<Vec<NotificationId>> {
    sqlx::query_scalar!(
        r#"WITH of_invoice AS MATERIALIZED (
               SELECT id, event_sequence, state FROM notifications WHERE reseller_id = $1 AND invoice_id = $2
           )
           SELECT id AS "id: NotificationId" FROM of_invoice
           WHERE state = 'queued' AND (SELECT invoice_version FROM invoice_events
                                       WHERE reseller_id = $1 AND sequence = of_invoice.event_sequence) <= $3
           ORDER BY id LIMIT 1000"#,
        reseller_id.0,
        invoice_id.0,
        invoice_version,
    )
    .fetch_all(connection)
    .await
}

/// A notification as it is found.
#[derive(Clone, Debug)]
pub struct StoredNotification {
    /// About which invoice.
    pub invoice_id: InvoiceId,
    /// What happened to it.
    pub event: String,
    /// The invoice's version after the event.
    pub invoice_version: i32,
    /// Why, where somebody said so.
    pub reason: Option<String>,
    /// Address.
    pub recipient: String,
    /// Display name.
    pub recipient_name: String,
    /// BCP 47 tag.
    pub language: String,
    /// What it is meant for.
    pub intent: String,
    /// Where it stands.
    pub state: String,
    /// RFC 5322 Message-ID.
    pub message_id: String,
    /// When the event occurred: the mail's date.
    pub occurred_at: DateTime<Utc>,
    /// Whether the address was put on the suppression list since.
    pub suppressed_because: Option<String>,
}

/// Reads a notification; `None` when it does not exist.
///
/// # Errors
/// When the database fails.
pub async fn find(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    id: NotificationId,
) -> sqlx::Result<Option<StoredNotification>> {
    sqlx::query_as!(
        StoredNotification,
        r#"SELECT notifications.invoice_id AS "invoice_id: InvoiceId", invoice_events.name AS event,
                  invoice_events.invoice_version, invoice_events.reason, recipient, recipient_name, intent, language, state,
                  message_id, occurred_at, suppressed_addresses.reason AS "suppressed_because?"
           FROM notifications
           JOIN invoice_events ON invoice_events.reseller_id = notifications.reseller_id
                              AND invoice_events.sequence = notifications.event_sequence
           LEFT JOIN suppressed_addresses ON suppressed_addresses.reseller_id = notifications.reseller_id
                              AND suppressed_addresses.email = lower(recipient)
           WHERE notifications.reseller_id = $1 AND notifications.id = $2"#,
        reseller_id.0,
        id.0,
    )
    .fetch_optional(connection)
    .await
}

/// Records a copy of a notification's mail for each address and returns them; the same again changes nothing.
///
/// # Errors
/// When the database fails.
pub async fn record_copies(
    connection: &mut PgConnection,
    (reseller_id, original): (ResellerId, NotificationId),
    recipients: &[String],
) -> sqlx::Result<Vec<NotificationId>> {
    let ids: Vec<_> = recipients.iter().map(|_| NotificationId::new().0).collect();
    sqlx::query_scalar!(
        r#"INSERT INTO notifications (reseller_id, id, invoice_id, event_sequence, recipient, recipient_name, intent,
               language, state, message_id)
           SELECT original.reseller_id, copy.id, invoice_id, event_sequence, copy.recipient, '', $4, language, 'queued',
               message_id
           FROM notifications AS original, unnest($3::uuid[], $5::text[]) AS copy (id, recipient)
           WHERE original.reseller_id = $1 AND original.id = $2
           ON CONFLICT (reseller_id, invoice_id, event_sequence, recipient, intent) DO NOTHING
           RETURNING id AS "id: NotificationId""#,
        reseller_id.0,
        original.0,
        &ids,
        Intent::Copy(original).to_string(),
        recipients,
    )
    .fetch_all(connection)
    .await
}

/// Moves a notification from one state to another. Returns false when it was not in the first.
///
/// # Errors
/// When the database fails.
pub async fn change_state(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, NotificationId),
    (from, to): (&str, &str),
    reason: Option<&str>,
) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "UPDATE notifications
         SET state = $4, reason = $5, sending_at = CASE WHEN $4 = 'sending' THEN now() ELSE sending_at END,
             finished_at = CASE WHEN $4 IN ('sent', 'suppressed', 'failed', 'uncertain') THEN now() END
         WHERE reseller_id = $1 AND id = $2 AND state = $3",
        reseller_id.0,
        id.0,
        from,
        to,
        reason,
    )
    .execute(connection)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// A word on what became of a notification, beside its states.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// Such as `delayed`.
    pub what: &'a str,
    /// In words.
    pub reason: &'a str,
    /// A person, for what a person asked for.
    pub noted_by: Option<&'a str>,
}

/// Adds a note to a notification's history; where it stands there already, nothing changes.
///
/// # Errors
/// When the database fails.
pub async fn note(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, NotificationId),
    note: Note<'_>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO notification_history (reseller_id, notification_id, what, reason, noted_by)
         SELECT $1, $2, $3, $4, $5
         WHERE NOT EXISTS (SELECT FROM notification_history
             WHERE reseller_id = $1 AND notification_id = $2 AND reason = $4)",
        reseller_id.0,
        id.0,
        note.what,
        note.reason,
        note.noted_by,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Returns how often a notification's fate was unknown so far.
///
/// # Errors
/// When the database fails.
pub async fn times_uncertain(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, NotificationId),
) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM notification_history
           WHERE reseller_id = $1 AND notification_id = $2 AND what = 'uncertain'"#,
        reseller_id.0,
        id.0,
    )
    .fetch_one(connection)
    .await
}

/// Marks a mail that a server took, or may have taken, as failed. Returns false where none is: it is yet to be sent, or is
/// marked already.
///
/// # Errors
/// When the database fails.
pub async fn mark_bounced(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, NotificationId),
    reason: &str,
) -> sqlx::Result<bool> {
    let changed = sqlx::query!(
        "UPDATE notifications SET state = 'failed', reason = $3, finished_at = now()
         WHERE reseller_id = $1 AND id = $2 AND state IN ('sending', 'sent', 'uncertain')",
        reseller_id.0,
        id.0,
        reason,
    )
    .execute(connection)
    .await?;
    Ok(changed.rows_affected() == 1)
}
