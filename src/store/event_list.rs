//! What became of invoices, for people: the newest events of all resellers, a page at a time.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::ids::{InvoiceId, JobId, ResellerId};

/// Where a page of events begins: right after this one, going back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPlace {
    /// When it occurred.
    pub occurred_at: DateTime<Utc>,
    /// Whose.
    pub reseller_id: ResellerId,
    /// Its number in the reseller's chain.
    pub sequence: i64,
}

/// Which events to list; an absent filter lets all pass.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Caused by this person or system.
    pub actor: Option<String>,
    /// Such as `opened`.
    pub name: Option<String>,
    /// Caused by this job.
    pub job_id: Option<JobId>,
    /// Those before this one.
    pub before: Option<EventPlace>,
}

/// An event in a list.
#[derive(Clone, Debug)]
pub struct EventSummary {
    /// Where it is.
    pub place: EventPlace,
    /// Of which invoice.
    pub invoice_id: InvoiceId,
    /// The invoice's number, or its document id before it has one.
    pub invoice_name: String,
    /// As printed.
    pub customer_name: String,
    /// What happened.
    pub name: String,
    /// From which status; `None` is none.
    pub from_status: Option<String>,
    /// To which.
    pub to_status: String,
    /// Who caused it.
    pub actor: String,
    /// Why, where somebody said so.
    pub reason: Option<String>,
    /// By which job.
    pub job_id: Option<JobId>,
}

/// Lists events, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection, filter: &EventFilter, limit: i64) -> sqlx::Result<Vec<EventSummary>> {
    let (before, reseller_id, sequence) = filter
        .before
        .map(|place| (place.occurred_at, place.reseller_id.0, place.sequence))
        .map_or((None, None, None), |(at, reseller_id, sequence)| (Some(at), Some(reseller_id), Some(sequence)));
    let rows = sqlx::query!(
        r#"SELECT event.reseller_id AS "reseller_id: ResellerId", sequence, occurred_at, invoice_id AS "invoice_id: InvoiceId",
                  coalesce(number, document_id) AS "invoice_name!", customer_details ->> 'name' AS "customer_name!",
                  name, from_status, to_status, actor, reason, job_id AS "job_id: JobId"
           FROM invoice_events event
           JOIN invoices ON invoices.reseller_id = event.reseller_id AND invoices.id = invoice_id
           WHERE ($1::text IS NULL OR actor = $1) AND ($2::text IS NULL OR name = $2)
             AND ($3::uuid IS NULL OR job_id = $3)
             AND ($4::timestamptz IS NULL OR (occurred_at, event.reseller_id, sequence) < ($4, $5::uuid, $6::bigint))
           ORDER BY occurred_at DESC, event.reseller_id DESC, sequence DESC LIMIT $7"#,
        filter.actor,
        filter.name,
        filter.job_id.map(|id| id.0),
        before,
        reseller_id,
        sequence,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let summary = rows.into_iter().map(|row| EventSummary {
        place: EventPlace { occurred_at: row.occurred_at, reseller_id: row.reseller_id, sequence: row.sequence },
        invoice_id: row.invoice_id,
        invoice_name: row.invoice_name,
        customer_name: row.customer_name,
        name: row.name,
        from_status: row.from_status,
        to_status: row.to_status,
        actor: row.actor,
        reason: row.reason,
        job_id: row.job_id,
    });
    Ok(summary.collect())
}
