//! Notifications for people: found by invoice, customer, state and time, with all that became of each.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::domain::{
    ids::{CustomerId, InvoiceId, NotificationId, ResellerId},
    notification::NotificationState,
};

/// Which notifications to list; an absent filter lets all pass.
#[derive(Clone, Debug, Default)]
pub struct NotificationFilter {
    /// With this id.
    pub id: Option<NotificationId>,
    /// Of this reseller.
    pub reseller_id: Option<ResellerId>,
    /// About this invoice.
    pub invoice_id: Option<InvoiceId>,
    /// Whose customer's name contains this, or whose id is this.
    pub customer: Option<String>,
    /// Of months that begin on this day or later.
    pub from: Option<NaiveDate>,
    /// Of months that begin before this day.
    pub until: Option<NaiveDate>,
    /// In one of these states; empty is all.
    pub states: Vec<NotificationState>,
    /// Whose mail has this Message-ID.
    pub message_id: Option<String>,
    /// Made before this one.
    pub before: Option<NotificationId>,
}

/// A notification in a list.
#[derive(Clone, Debug, Serialize)]
pub struct NotificationSummary {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Its id.
    pub id: NotificationId,
    /// About which invoice.
    pub invoice_id: InvoiceId,
    /// The invoice's number, or its document id before it has one.
    pub invoice_name: String,
    /// Whose invoice.
    pub customer_id: CustomerId,
    /// As printed.
    pub customer_name: String,
    /// What happened to the invoice.
    pub event: String,
    /// Which event.
    pub event_sequence: i64,
    /// Address; empty where there is nobody to tell.
    pub recipient: String,
    /// `event`, or a person's resend.
    pub intent: String,
    /// BCP 47 tag.
    pub language: String,
    /// Where it stands.
    pub state: String,
    /// Why, where that needs a word.
    pub reason: Option<String>,
    /// RFC 5322 Message-ID.
    pub message_id: String,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// When the last conversation with the mail server began.
    pub sending_at: Option<DateTime<Utc>>,
    /// When it came to its end.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Lists notifications, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    connection: &mut PgConnection,
    filter: &NotificationFilter,
    limit: i64,
) -> sqlx::Result<Vec<NotificationSummary>> {
    sqlx::query_as!(
        NotificationSummary,
        r#"SELECT told.reseller_id AS "reseller_id: ResellerId", told.id AS "id: NotificationId",
                  told.invoice_id AS "invoice_id: InvoiceId", coalesce(number, document_id) AS "invoice_name!",
                  customer_id AS "customer_id: CustomerId", customer_details ->> 'name' AS "customer_name!", name AS event,
                  event_sequence, recipient, intent, told.language, state, told.reason, message_id, told.created_at,
                  sending_at, finished_at
           FROM notifications told
           JOIN invoices ON invoices.reseller_id = told.reseller_id AND invoices.id = told.invoice_id
           JOIN invoice_events ON invoice_events.reseller_id = told.reseller_id AND sequence = event_sequence
           WHERE ($1::uuid IS NULL OR told.reseller_id = $1) AND ($2::uuid IS NULL OR told.invoice_id = $2)
             AND ($3::text IS NULL OR customer_id::text = $3 OR strpos(lower(customer_details ->> 'name'), lower($3)) > 0)
             AND ($4::date IS NULL OR billing_period_start >= $4) AND ($5::date IS NULL OR billing_period_start < $5)
             AND (cardinality($6::text[]) = 0 OR state = ANY ($6)) AND ($7::uuid IS NULL OR told.id = $7)
             AND ($9::text IS NULL OR message_id = $9) AND ($10::uuid IS NULL OR told.id < $10)
           ORDER BY told.id DESC LIMIT $8"#,
        filter.reseller_id.map(|id| id.0),
        filter.invoice_id.map(|id| id.0),
        filter.customer,
        filter.from,
        filter.until,
        &filter.states.iter().map(ToString::to_string).collect::<Vec<_>>(),
        filter.id.map(|id| id.0),
        limit,
        filter.message_id,
        filter.before.map(|id| id.0),
    )
    .fetch_all(connection)
    .await
}

/// Reads a notification, of whichever reseller; `None` when it does not exist.
///
/// # Errors
/// When the database fails.
pub async fn find(connection: &mut PgConnection, id: NotificationId) -> sqlx::Result<Option<NotificationSummary>> {
    let filter = NotificationFilter { id: Some(id), ..NotificationFilter::default() };
    Ok(list(connection, &filter, 1).await?.pop())
}

/// Something that became of a notification.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryEntry {
    /// When.
    pub noted_at: DateTime<Utc>,
    /// The state it came to, or a note: requested, resent, bounced, delayed, delivered, relayed, expanded.
    pub what: String,
    /// Why, where that needs a word.
    pub reason: Option<String>,
    /// Who asked for it.
    pub noted_by: Option<String>,
}

/// Returns what became of a notification, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn history(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, NotificationId),
) -> sqlx::Result<Vec<HistoryEntry>> {
    sqlx::query_as!(
        HistoryEntry,
        "SELECT noted_at, what, reason, noted_by FROM notification_history
         WHERE reseller_id = $1 AND notification_id = $2 ORDER BY id LIMIT 10000",
        reseller_id.0,
        id.0,
    )
    .fetch_all(connection)
    .await
}
