//! Documents that customers have, or may have: what is frozen, what is listed, what a link leads to.
//!
//! A document of an opened invoice is frozen with its first rendering. Of drafts nothing here is ever told to a customer.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};

use super::{Corrupt, documents::DocumentPart};
use crate::domain::{
    csv_options::CsvOptions,
    document::DocumentKind,
    ids::{DocumentId, InvoiceId, ResellerId},
    money::Currency,
};

/// Which document of an invoice is meant, whatever its layout.
#[derive(Clone, Copy, Debug)]
pub struct DocumentName<'a> {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Of which invoice.
    pub invoice_id: InvoiceId,
    /// Of which version of it.
    pub invoice_version: i32,
    /// Which export.
    pub kind: DocumentKind,
    /// BCP 47 tag.
    pub language: &'a str,
    /// Of a view in another currency; `None` is the invoice's own.
    pub currency: Option<Currency>,
}

/// A document that was rendered once and for all.
#[derive(Clone, Debug)]
pub struct FrozenDocument {
    /// Its id.
    pub id: DocumentId,
    /// Of the layout it was rendered with.
    pub template_hash: String,
    /// What bore on its bytes of how the reseller wanted CSV files written.
    pub csv_options: Option<Json<CsvOptions>>,
    /// The version of that layout; `None` where the release before wrote it.
    pub layout_version: Option<i32>,
    /// As the customer sees it.
    pub file_name: String,
    /// Path inside the object store.
    pub location: String,
    /// Of the bytes.
    pub sha256: Vec<u8>,
    /// Of the bytes.
    pub size_bytes: i64,
    /// Where it was split: its files, in order.
    pub parts: Json<Vec<DocumentPart>>,
}

/// Returns the first rendering of a document, under whatever layout that was.
///
/// # Errors
/// When the database fails.
pub async fn first_rendering(
    connection: &mut PgConnection,
    name: DocumentName<'_>,
) -> sqlx::Result<Option<FrozenDocument>> {
    sqlx::query_as!(
        FrozenDocument,
        r#"SELECT id AS "id: DocumentId", template_hash, csv_options AS "csv_options: Json<CsvOptions>", layout_version,
               file_name, location, sha256, size_bytes,
               parts AS "parts!: Json<Vec<DocumentPart>>"
         FROM documents JOIN parts_of_documents USING (reseller_id, id)
         WHERE reseller_id = $1 AND invoice_id = $2 AND invoice_version = $3 AND kind = $4 AND language = $5
           AND currency IS NOT DISTINCT FROM $6
         ORDER BY created_at, id LIMIT 1"#,
        name.reseller_id.0,
        name.invoice_id.0,
        name.invoice_version,
        name.kind.as_str(),
        name.language,
        name.currency.map(Currency::code),
    )
    .fetch_optional(connection)
    .await
}

/// A document as a list shows it.
#[derive(Clone, Debug, Serialize)]
pub struct ListedDocument {
    /// Its id.
    pub id: DocumentId,
    /// Of which version of the invoice.
    pub invoice_version: i32,
    /// Which export.
    pub kind: String,
    /// BCP 47 tag.
    pub language: String,
    /// Of a view in another currency; `None` is the invoice's own.
    pub currency: Option<String>,
    /// Of the kind's layout.
    pub layout_version: Option<i32>,
    /// As the customer sees it.
    pub file_name: String,
    /// Of the bytes.
    pub size_bytes: i64,
    /// Of the bytes, in hex.
    pub sha256: String,
    /// Where it was split: its files, in order.
    pub parts: Json<Vec<DocumentPart>>,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
}

/// Returns up to 1,000 documents of an invoice, the newest version first.
///
/// # Errors
/// When the database fails.
pub async fn of_invoice(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    invoice_id: InvoiceId,
) -> sqlx::Result<Vec<ListedDocument>> {
    sqlx::query_as!(
        ListedDocument,
        r#"SELECT id AS "id: DocumentId", invoice_version, kind, language, currency, layout_version, file_name,
               size_bytes, encode(sha256, 'hex') AS "sha256!", created_at,
               parts AS "parts!: Json<Vec<DocumentPart>>"
           FROM documents JOIN parts_of_documents USING (reseller_id, id)
           WHERE reseller_id = $1 AND invoice_id = $2
           ORDER BY invoice_version DESC, kind, language, currency NULLS FIRST, created_at, id LIMIT 1000"#,
        reseller_id.0,
        invoice_id.0,
    )
    .fetch_all(connection)
    .await
}

/// A file as a customer downloads it: a document, or one of its parts.
#[derive(Clone, Debug)]
pub struct Download {
    /// Which export.
    pub kind: DocumentKind,
    /// As the customer sees it.
    pub file_name: String,
    /// Path inside the object store.
    pub location: String,
    /// Of the bytes.
    pub sha256: Vec<u8>,
    /// Of the bytes.
    pub size_bytes: i64,
}

impl Download {
    /// Returns the media type of its bytes.
    pub fn content_type(&self) -> &'static str {
        self.kind.content_type_of(&self.file_name)
    }
}

/// Returns what a customer may see under a document's id, or the part of that number: nothing of a draft or of what never was
/// anything else. Of an invoice that is void meanwhile, the document with the mark, or its part.
///
/// # Errors
/// When the database fails.
pub async fn for_customer(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    id: DocumentId,
    part: Option<i32>,
) -> sqlx::Result<Option<Download>> {
    let row = sqlx::query!(
        r#"SELECT shown.kind, coalesce(part.file_name, shown.file_name) AS "file_name!",
             coalesce(part.location, shown.location) AS "location!", coalesce(part.sha256, shown.sha256) AS "sha256!",
             coalesce(part.size_bytes, shown.size_bytes) AS "size_bytes!"
         FROM (
             SELECT shown.reseller_id, shown.id, shown.kind, shown.file_name, shown.location, shown.sha256,
                 shown.size_bytes
             FROM documents AS named
             JOIN invoices AS invoice ON invoice.reseller_id = named.reseller_id AND invoice.id = named.invoice_id
             JOIN documents AS shown ON shown.reseller_id = named.reseller_id AND shown.invoice_id = named.invoice_id
             WHERE named.reseller_id = $1 AND named.id = $2 AND invoice.status IN ('open', 'closed', 'void')
               AND named.invoice_version >= (
                   SELECT min(event.invoice_version) FROM invoice_events AS event
                   WHERE event.reseller_id = named.reseller_id AND event.invoice_id = named.invoice_id
                     AND event.name = 'opened')
               AND CASE WHEN invoice.status = 'void'
                   THEN shown.invoice_version = invoice.version AND shown.kind = named.kind
                        AND shown.language = named.language AND shown.currency IS NOT DISTINCT FROM named.currency
                   ELSE shown.id = named.id END
             ORDER BY shown.created_at, shown.id LIMIT 1
         ) AS shown
         LEFT JOIN document_parts AS part
             ON part.reseller_id = shown.reseller_id AND part.document_id = shown.id AND part.part = $3
         WHERE $3::integer IS NULL OR part.part IS NOT NULL"#,
        reseller_id.0,
        id.0,
        part,
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Download {
            kind: row.kind.parse().corrupt("documents.kind")?,
            file_name: row.file_name,
            location: row.location,
            sha256: row.sha256,
            size_bytes: row.size_bytes,
        })
    })
    .transpose()
}
