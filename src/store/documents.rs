//! Rendered documents: what exists for which version of an invoice.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};

use super::Corrupt;
use crate::domain::{
    csv_options::CsvOptions,
    document::DocumentKind,
    ids::{DocumentId, InvoiceId, ResellerId},
    money::Currency,
};

/// A document to be recorded; its bytes are in the object store already.
#[derive(Clone, Debug)]
pub struct NewDocument {
    /// Whose.
    pub reseller_id: ResellerId,
    /// Of which invoice.
    pub invoice_id: InvoiceId,
    /// Of which version of it.
    pub invoice_version: i32,
    /// Which export.
    pub kind: DocumentKind,
    /// BCP 47 tag.
    pub language: String,
    /// Of a view in another currency; `None` is the invoice's own.
    pub currency: Option<Currency>,
    /// What bears on its bytes of how the reseller wants CSV files written.
    pub csv_options: Option<CsvOptions>,
    /// Changes when the layout or the view's currency does.
    pub template_hash: String,
    /// Of the kind's layout.
    pub layout_version: i32,
    /// As the customer sees it.
    pub file_name: String,
    /// Path inside the object store.
    pub location: String,
    /// Of the bytes.
    pub sha256: [u8; 32],
    /// Of the bytes.
    pub size_bytes: i64,
    /// Where it was split these are what it says; it is their manifest then.
    pub parts: Vec<DocumentPart>,
}

/// One file of a document that was split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentPart {
    /// As the customer sees it.
    pub file_name: String,
    /// Path inside the object store.
    pub location: String,
    /// Of the bytes, in hexadecimal digits.
    pub sha256: String,
    /// Of the bytes.
    pub size_bytes: i64,
    /// How many charges it has.
    pub row_count: i64,
}

/// Records a document and its parts; a second rendering of the same changes nothing.
///
/// # Errors
/// When the database fails.
pub async fn record(connection: &mut PgConnection, document: &NewDocument) -> sqlx::Result<()> {
    let id = DocumentId::new();
    let inserted = sqlx::query!(
        "INSERT INTO documents (reseller_id, id, invoice_id, invoice_version, kind, language, template_hash, file_name,
             location, sha256, size_bytes, currency, csv_options, layout_version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (reseller_id, invoice_id, invoice_version, kind, language, template_hash) DO NOTHING",
        document.reseller_id.0,
        id.0,
        document.invoice_id.0,
        document.invoice_version,
        document.kind.as_str(),
        document.language,
        document.template_hash,
        document.file_name,
        document.location,
        &document.sha256[..],
        document.size_bytes,
        document.currency.map(Currency::code),
        document.csv_options.map(Json) as _,
        document.layout_version,
    )
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 0 || document.parts.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO document_parts (reseller_id, document_id, part, file_name, location, sha256, size_bytes, row_count)
         SELECT $1, $2, (place)::integer, part->>'file_name', part->>'location', decode(part->>'sha256', 'hex'),
             (part->>'size_bytes')::bigint, (part->>'row_count')::bigint
         FROM jsonb_array_elements($3) WITH ORDINALITY AS named (part, place)",
        document.reseller_id.0,
        id.0,
        Json(&document.parts) as _,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// A document as it is found.
#[derive(Clone, Debug)]
pub struct StoredDocument {
    /// Its id.
    pub id: DocumentId,
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
    /// Where it was split: its files, in order. It is their manifest then.
    pub parts: Vec<DocumentPart>,
}

impl StoredDocument {
    /// Returns the media type of its bytes.
    pub fn content_type(&self) -> &'static str {
        self.kind.content_type_of(&self.file_name)
    }
}

struct DocumentRow {
    id: DocumentId,
    kind: String,
    file_name: String,
    location: String,
    sha256: Vec<u8>,
    size_bytes: i64,
    parts: Json<Vec<DocumentPart>>,
}

impl TryFrom<DocumentRow> for StoredDocument {
    type Error = sqlx::Error;

    fn try_from(row: DocumentRow) -> sqlx::Result<Self> {
        let DocumentRow { id, kind, file_name, location, sha256, size_bytes, parts: Json(parts) } = row;
        Ok(Self { id, kind: kind.parse().corrupt("documents.kind")?, file_name, location, sha256, size_bytes, parts })
    }
}

/// Returns the newest document of each kind for one version of an invoice, in one language and its own currency.
///
/// # Errors
/// When the database fails.
pub async fn of_version(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    invoice_id: InvoiceId,
    invoice_version: i32,
    language: &str,
) -> sqlx::Result<Vec<StoredDocument>> {
    let rows = sqlx::query_as!(
        DocumentRow,
        r#"SELECT DISTINCT ON (kind) id AS "id: DocumentId", kind, file_name, location, sha256, size_bytes,
               parts AS "parts!: Json<Vec<DocumentPart>>"
         FROM documents JOIN parts_of_documents USING (reseller_id, id)
         WHERE reseller_id = $1 AND invoice_id = $2 AND invoice_version = $3 AND language = $4
           AND currency IS NULL AND kind = ANY ($5)
         ORDER BY kind, created_at DESC LIMIT 10"#,
        reseller_id.0,
        invoice_id.0,
        invoice_version,
        language,
        &known_kinds(),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(StoredDocument::try_from).collect()
}

/// Returns the newest document of each kind for an invoice at a version or later, in one language and its own currency.
///
/// # Errors
/// When the database fails.
pub async fn since_version(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    invoice_id: InvoiceId,
    invoice_version: i32,
    language: &str,
) -> sqlx::Result<Vec<StoredDocument>> {
    let rows = sqlx::query_as!(
        DocumentRow,
        r#"SELECT DISTINCT ON (kind) id AS "id: DocumentId", kind, file_name, location, sha256, size_bytes,
               parts AS "parts!: Json<Vec<DocumentPart>>"
         FROM documents JOIN parts_of_documents USING (reseller_id, id)
         WHERE reseller_id = $1 AND invoice_id = $2 AND invoice_version >= $3 AND language = $4
           AND currency IS NULL AND kind = ANY ($5)
         ORDER BY kind, invoice_version DESC, created_at DESC LIMIT 10"#,
        reseller_id.0,
        invoice_id.0,
        invoice_version,
        language,
        &known_kinds(),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(StoredDocument::try_from).collect()
}

/// Returns a document; `None` where there is none of a kind this release knows.
///
/// # Errors
/// When the database fails.
pub async fn find(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    id: DocumentId,
) -> sqlx::Result<Option<StoredDocument>> {
    let row = sqlx::query_as!(
        DocumentRow,
        r#"SELECT id AS "id: DocumentId", kind, file_name, location, sha256, size_bytes,
               parts AS "parts!: Json<Vec<DocumentPart>>"
         FROM documents JOIN parts_of_documents USING (reseller_id, id) WHERE reseller_id = $1 AND id = $2 AND kind = ANY ($3)"#,
        reseller_id.0,
        id.0,
        &known_kinds(),
    )
    .fetch_optional(connection)
    .await?;
    row.map(StoredDocument::try_from).transpose()
}

/// Returns the kinds this release knows: a later one may have stored others already.
fn known_kinds() -> Vec<String> {
    DocumentKind::ALL.map(|kind| kind.as_str().to_owned()).into()
}

/// A document with what is needed to look at it and to render it again.
#[derive(Clone, Debug)]
pub struct RecordedDocument {
    /// Its id.
    pub id: DocumentId,
    /// Of which invoice.
    pub invoice_id: InvoiceId,
    /// The invoice's number, or its document id.
    pub invoice_name: String,
    /// Of which version of it.
    pub invoice_version: i32,
    /// The invoice's status at that version, as the history says.
    pub status_then: Option<String>,
    /// The invoice's status now.
    pub status_now: String,
    /// Kind, as recorded.
    pub kind: String,
    /// BCP 47 tag.
    pub language: String,
    /// Of a view in another currency; `None` is the invoice's own.
    pub currency: Option<String>,
    /// What bore on its bytes of how the reseller wanted CSV files written.
    pub csv_options: Option<Json<CsvOptions>>,
    /// Changes when the layout does.
    pub template_hash: String,
    /// Path inside the object store.
    pub location: String,
    /// Of the bytes.
    pub sha256: Vec<u8>,
    /// Of the bytes.
    pub size_bytes: i64,
    /// Where it was split: its files, in order.
    pub parts: Json<Vec<DocumentPart>>,
}

/// Returns up to 500 of a reseller's documents after one, of one month's invoices or all, by id.
///
/// # Errors
/// When the database fails.
pub async fn documents_after(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    billing_period_start: Option<NaiveDate>,
    after: Option<DocumentId>,
) -> sqlx::Result<Vec<RecordedDocument>> {
    sqlx::query_as!(
        RecordedDocument,
        r#"SELECT document.id AS "id: DocumentId", invoice.id AS "invoice_id: InvoiceId",
               coalesce(invoice.number, invoice.document_id) AS "invoice_name!", document.invoice_version,
               (SELECT to_status FROM invoice_events AS event WHERE event.reseller_id = $1
                AND event.invoice_id = invoice.id AND event.invoice_version = document.invoice_version
                ORDER BY sequence LIMIT 1) AS status_then,
               invoice.status AS status_now, document.kind, document.language,
               document.currency, document.csv_options AS "csv_options: Json<CsvOptions>", template_hash, location, sha256,
               size_bytes, parts AS "parts!: Json<Vec<DocumentPart>>"
         FROM documents AS document JOIN parts_of_documents USING (reseller_id, id)
         JOIN invoices AS invoice ON invoice.reseller_id = document.reseller_id AND invoice.id = document.invoice_id
         WHERE document.reseller_id = $1 AND ($2::date IS NULL OR invoice.billing_period_start = $2)
           AND ($3::uuid IS NULL OR document.id > $3)
         ORDER BY document.id LIMIT 500"#,
        reseller_id.0,
        billing_period_start,
        after.map(|id| id.0),
    )
    .fetch_all(connection)
    .await
}
