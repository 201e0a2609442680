//! Lists of invoices, for people: found by customer, provider, month and status, or by name.

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use sqlx::PgConnection;

use super::Corrupt;
use crate::domain::{
    billing_period::BillingPeriod,
    ids::{CustomerId, InvoiceId, ResellerId},
    invoice_status::InvoiceStatus,
    money::Currency,
};

/// Which invoices to list; an absent filter lets all pass.
#[derive(Clone, Debug, Default)]
pub struct InvoiceFilter {
    /// Of this reseller.
    pub reseller_id: Option<ResellerId>,
    /// Whose customer's name contains this, or whose id is this.
    pub customer: Option<String>,
    /// Of this provider.
    pub provider: Option<String>,
    /// Of months that begin on this day or later.
    pub from: Option<NaiveDate>,
    /// Of months that begin before this day.
    pub until: Option<NaiveDate>,
    /// In one of these statuses; empty is all but the discarded.
    pub statuses: Vec<InvoiceStatus>,
}

/// An invoice in a list.
#[derive(Clone, Debug, serde::Serialize)]
pub struct InvoiceSummary {
    /// Who issues.
    pub reseller_id: ResellerId,
    /// Its id.
    pub id: InvoiceId,
    /// Who receives.
    pub customer_id: CustomerId,
    /// As printed.
    pub customer_name: String,
    /// Provider id.
    pub provider: String,
    /// The provider's month.
    pub billing_period: BillingPeriod,
    /// Invoice or credit note.
    pub kind: String,
    /// Where it stands.
    pub status: String,
    /// Raised by each status change.
    pub version: i32,
    /// Given at generation.
    pub document_id: String,
    /// From the moment it opened.
    pub number: Option<String>,
    /// Day of issue.
    pub issued_on: Option<NaiveDate>,
    /// BCP 47 tag.
    pub language: String,
    /// What it comes to.
    pub total: BigDecimal,
    /// Currency of `total`.
    pub currency: Currency,
    /// Whether a draft's inputs changed.
    pub stale: bool,
    /// Kinds of the documents rendered for its version.
    pub documents: Vec<String>,
    /// State of each notification.
    pub notifications: Vec<String>,
}

/// Lists invoices by customer, provider and month.
///
/// # Errors
/// When the database fails.
pub async fn list(
    connection: &mut PgConnection,
    filter: &InvoiceFilter,
    limit: i64,
) -> sqlx::Result<Vec<InvoiceSummary>> {
    let statuses: Vec<String> = match filter.statuses.as_slice() {
        [] => ["draft", "open", "closed", "void"].map(str::to_owned).to_vec(),
        statuses => statuses.iter().map(ToString::to_string).collect(),
    };
    let rows = sqlx::query!(
        r#"SELECT reseller_id AS "reseller_id: ResellerId", id AS "id: InvoiceId", customer_id AS "customer_id: CustomerId",
                  customer_details ->> 'name' AS "customer_name!", provider, billing_period_start, billing_period_end, kind,
                  status, version, document_id, number, issued_on, language, total, currency, stale,
                  ARRAY(SELECT kind FROM documents WHERE documents.reseller_id = invoices.reseller_id
                        AND documents.invoice_id = invoices.id AND documents.invoice_version = invoices.version
                        ORDER BY kind) AS "documents!",
                  ARRAY(SELECT state FROM notifications WHERE notifications.reseller_id = invoices.reseller_id
                        AND notifications.invoice_id = invoices.id ORDER BY created_at) AS "notifications!"
           FROM invoices
           WHERE status = ANY($1) AND ($2::uuid IS NULL OR reseller_id = $2) AND ($3::text IS NULL OR provider = $3)
             AND ($4::date IS NULL OR billing_period_start >= $4) AND ($5::date IS NULL OR billing_period_start < $5)
             AND ($6::text IS NULL OR customer_id::text = $6 OR strpos(lower(customer_details ->> 'name'), lower($6)) > 0)
           ORDER BY customer_details ->> 'name', provider, billing_period_start, id LIMIT $7"#,
        &statuses,
        filter.reseller_id.map(|id| id.0),
        filter.provider,
        filter.from,
        filter.until,
        filter.customer,
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let currency: Currency = row.currency.parse().corrupt("invoices.currency")?;
            Ok(InvoiceSummary {
                reseller_id: row.reseller_id,
                id: row.id,
                customer_id: row.customer_id,
                customer_name: row.customer_name,
                provider: row.provider,
                billing_period: BillingPeriod::new(row.billing_period_start, row.billing_period_end)
                    .corrupt("invoices.billing_period_start")?,
                kind: row.kind,
                status: row.status,
                version: row.version,
                document_id: row.document_id,
                number: row.number,
                issued_on: row.issued_on,
                language: row.language,
                total: currency.round(&row.total),
                currency,
                stale: row.stale,
                documents: row.documents,
                notifications: row.notifications,
            })
        })
        .collect()
}

/// Finds the reseller of an invoice, where only its id, number or document id is at hand.
///
/// # Errors
/// When the database fails.
pub async fn find_by_name(connection: &mut PgConnection, name: &str) -> sqlx::Result<Vec<(ResellerId, InvoiceId)>> {
    let rows = sqlx::query!(
        r#"SELECT reseller_id AS "reseller_id: ResellerId", id AS "id: InvoiceId" FROM invoices
           WHERE id::text = $1 OR number = $1 OR document_id = $1 ORDER BY id LIMIT 10"#,
        name,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.reseller_id, row.id)).collect())
}
