//! `/downloads/`: one document for whoever holds a signed link, until it expires (`domain::download_link`).
//!
//! A wrong link and one of an invoice that customers may not see answer 404 alike, before any question to Postgres where
//! the signature is wrong; only a good link that is past its time answers 410. A guess costs one HMAC, so there is no rate
//! limit here. Bytes are streamed from the object store as they were recorded, and nothing may keep or frame them.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use object_store::{ObjectStore, ObjectStoreExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{PageError, Web};
use crate::{
    clock::Clock,
    domain::{
        document::DocumentKind,
        download_link::{LinkError, LinkKeys, LinkProof},
        ids::{DocumentId, ResellerId},
    },
    store::frozen_documents,
};

/// A page is shown apart from all that the address's site has; its style sheets stand in it.
const POLICY: &str = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; \
                      base-uri 'none'; form-action 'none'";
/// What RFC 8187 lets stand unescaped, and that is fewer than it does.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// What customers download from.
pub struct Downloads {
    /// Check the links.
    pub keys: LinkKeys,
    /// Where the documents are.
    pub objects: Arc<dyn ObjectStore>,
    /// Tells what has expired.
    pub clock: Clock,
}

/// Serves documents to holders of links.
pub(super) fn router() -> Router<Web> {
    Router::new().route("/downloads/{reseller}/{document}", get(download))
}

async fn download(
    State(web): State<Web>,
    path: Result<Path<(ResellerId, DocumentId)>, PathRejection>,
    query: Result<Query<LinkProof>, QueryRejection>,
) -> Result<Response, PageError> {
    let downloads = web.downloads.as_ref().ok_or(PageError::NotFound)?;
    let (Ok(Path((reseller_id, document_id))), Ok(Query(proof))) = (path, query) else {
        return Err(PageError::NotFound);
    };
    downloads.keys.check(reseller_id, document_id, &proof, downloads.clock.now()).map_err(|error| match error {
        LinkError::Wrong => PageError::NotFound,
        LinkError::Expired => PageError::Expired,
    })?;
    let mut connection = web.pool.acquire().await?;
    let found = frozen_documents::for_customer(&mut connection, reseller_id, document_id).await?;
    // Postgres is for the next one while this one's bytes are on their way.
    drop(connection);
    let document = found.ok_or(PageError::NotFound)?;
    let stored = downloads.objects.get(&document.location.as_str().into()).await?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(document.kind.content_type()));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(stored.meta.size));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let disposition = disposition(document.kind, &document.file_name);
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(disposition).map_err(|_| PageError::NotFound)?);
    Ok((headers, Body::from_stream(stored.into_stream())).into_response())
}

/// Names the file as RFC 6266 says, and where ASCII cannot as RFC 8187 does. A page is shown, all else is saved.
fn disposition(kind: DocumentKind, file_name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let plain: String = file_name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let word = match kind {
        DocumentKind::Print => "inline",
        DocumentKind::Pdf | DocumentKind::Csv | DocumentKind::DetailedCsv | DocumentKind::Json | DocumentKind::Ubl => {
            "attachment"
        }
    };
    if plain == file_name {
        return format!("{word}; filename=\"{plain}\"");
    }
    format!("{word}; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(file_name, ESCAPED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_for_every_browser_and_no_name_leaves_its_header() {
        for (kind, name, expected) in [
            (DocumentKind::Pdf, "factura-2026-00042.pdf", "attachment; filename=\"factura-2026-00042.pdf\""),
            (DocumentKind::Print, "invoice-1.html", "inline; filename=\"invoice-1.html\""),
            (
                DocumentKind::Csv,
                "año \"1\".csv",
                "attachment; filename=\"a_o__1_.csv\"; filename*=UTF-8''a%C3%B1o%20%221%22.csv",
            ),
            (DocumentKind::Csv, "a\r\nb;c", "attachment; filename=\"a__b_c\"; filename*=UTF-8''a%0D%0Ab%3Bc"),
        ] {
            assert_eq!(disposition(kind, name), expected);
            assert!(HeaderValue::try_from(disposition(kind, name)).is_ok());
        }
    }
}
