//! Documents: what lies in the object store is what was recorded, and rendering again gives the same bytes.
//!
//! A document of an earlier version is rendered as the invoice was then. One of another release's templates, or of a draft
//! that was discarded, cannot be rendered again; its bytes are compared all the same.

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::{
    Report, Verification,
    findings::{Check, Finding, Findings},
};
use crate::{
    documents::template_hash_with,
    domain::{document::DocumentKind, ids::ResellerId, invoice_status::InvoiceStatus, money::Currency},
    jobs::render_document::{print, rendered_digest},
    queue::JobError,
    store::{
        documents::{RecordedDocument, documents_after},
        invoices,
    },
};

const MEND_FILE: &str = "restore the file from a backup of the object store, or have the invoice's present version rendered \
                         again (`billrunner enqueue render_document`)";
const MEND_CONTENT: &str = "what the document was made of changed after it was rendered: see what else is found of this \
                            invoice, and compare with a backup";

/// Checks a reseller's documents, of one month or all.
pub async fn check_documents(
    verification: &Verification,
    reseller_id: ResellerId,
    report: &mut Report,
    findings: &mut Findings,
) -> Result<(), JobError> {
    let Verification { pool, objects, .. } = verification;
    let mut last = None;
    loop {
        let page = documents_after(&mut *pool.acquire().await?, reseller_id, verification.month(), last).await?;
        let Some(end) = page.last() else { return Ok(()) };
        last = Some(end.id);
        for document in page {
            report.documents += 1;
            let mut add = |what, way_out| {
                let place = Some(format!("{} ({})", document.invoice_name, document.invoice_id));
                findings.add(Finding { check: Check::Documents, reseller_id, place, what, way_out });
            };
            for file in files(&document) {
                if let Some(what) = compare_stored(objects.as_ref(), file).await? {
                    add(what, MEND_FILE);
                }
            }
            let Some(digest) =
                (if verification.renders_again { render(pool, reseller_id, &document).await? } else { None })
            else {
                continue;
            };
            report.rendered_again += 1;
            if digest[..] != document.sha256 {
                add(
                    format!("rendering `{}` again gives other bytes than were recorded", document.location),
                    MEND_CONTENT,
                );
            }
        }
    }
}

/// A file as it was recorded.
struct RecordedFile<'d> {
    location: &'d str,
    sha256: String,
    size_bytes: i64,
}

/// Returns a document's file and those of its parts.
fn files(document: &RecordedDocument) -> impl Iterator<Item = RecordedFile<'_>> {
    let own = RecordedFile {
        location: &document.location,
        sha256: hex::encode(&document.sha256),
        size_bytes: document.size_bytes,
    };
    let parts = document.parts.iter().map(|part| RecordedFile {
        location: &part.location,
        sha256: part.sha256.clone(),
        size_bytes: part.size_bytes,
    });
    std::iter::once(own).chain(parts)
}

/// Reads a file's bytes piece by piece and tells what is wrong with them, if anything.
async fn compare_stored(objects: &dyn ObjectStore, file: RecordedFile<'_>) -> Result<Option<String>, JobError> {
    let RecordedFile { location, sha256, size_bytes } = file;
    let mut bytes = match objects.get(&Path::from(location)).await {
        Ok(found) => found.into_stream(),
        Err(object_store::Error::NotFound { .. }) => {
            return Ok(Some(format!("`{location}` is missing in the object store")));
        }
        Err(error) => return Err(JobError::transient(error)),
    };
    let (mut hasher, mut size) = (Sha256::new(), 0_u64);
    while let Some(piece) = bytes.try_next().await.map_err(JobError::transient)? {
        hasher.update(&piece);
        size += piece.len() as u64;
    }
    let digest = hex::encode(hasher.finalize());
    let is_recorded = digest == sha256 && u64::try_from(size_bytes).is_ok_and(|recorded| recorded == size);
    let what =
        || format!("`{location}` has {size} bytes of sha256 {digest}, but {size_bytes} of {sha256} were recorded");
    Ok((!is_recorded).then(what))
}

/// Renders a document again as its invoice was then and returns the sha256; `None` where that cannot be.
async fn render(
    pool: &PgPool,
    reseller_id: ResellerId,
    document: &RecordedDocument,
) -> Result<Option<[u8; 32]>, JobError> {
    let known = (document.kind.parse(), document.language.parse(), document.status_then.as_deref().map(str::parse));
    let (Ok(kind), Ok(language), Some(Ok(status))) = known else { return Ok(None) };
    let Ok(view) = document.currency.as_deref().map(str::parse::<Currency>).transpose() else { return Ok(None) };
    let kind: DocumentKind = kind;
    let options = document.csv_options.as_ref().map(|options| options.0);
    if document.template_hash != template_hash_with(kind, view, options)
        || document.status_now == InvoiceStatus::Discarded.as_str()
    {
        return Ok(None);
    }
    let mut connection = pool.acquire().await?;
    let Some(invoice) = invoices::find(&mut connection, reseller_id, document.invoice_id).await? else {
        return Ok(None);
    };
    let mut invoice = invoice.as_it_was(document.invoice_version, status);
    invoice.language = language;
    let printed = print(&mut connection, &invoice, view, options).await?;
    drop(connection);
    Ok(Some(rendered_digest(pool, &invoice, kind, printed).await?))
}
