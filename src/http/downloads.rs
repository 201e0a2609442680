//! `/downloads/`: one document, and its parts where it is split, for whoever holds a signed link, until it expires
//! (`domain::download_link`).
//!
//! A wrong link and one of an invoice that customers may not see answer 404 alike, before any question to Postgres where
//! the signature is wrong; only a good link that is past its time answers 410. A guess costs one HMAC, so there is no rate
//! limit here. Bytes are streamed from the object store as they were recorded, whole or from where a download broke off,
//! and nothing may keep or frame them.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use object_store::{GetOptions, GetRange, ObjectStore};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{PageError, Web, byte_range::Wanted};
use crate::{
    clock::Clock,
    domain::{
        document::DocumentKind,
        download_link::{LinkError, LinkKeys, LinkProof},
        ids::{DocumentId, ResellerId},
    },
    store::frozen_documents::{self, Download},
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

/// Serves documents to holders of links, and the parts of those that are split to holders of the same links.
pub(super) fn router() -> Router<Web> {
    Router::new()
        .route("/downloads/{reseller}/{document}", get(download))
        .route("/downloads/{reseller}/{document}/{part}", get(download))
}

/// What a link's path names.
#[derive(Deserialize)]
struct Named {
    reseller: ResellerId,
    document: DocumentId,
    part: Option<i32>,
}

async fn download(
    State(web): State<Web>,
    path: Result<Path<Named>, PathRejection>,
    query: Result<Query<LinkProof>, QueryRejection>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let downloads = web.downloads.as_ref().ok_or(PageError::NotFound)?;
    let (Ok(Path(named)), Ok(Query(proof))) = (path, query) else { return Err(PageError::NotFound) };
    downloads.keys.check(named.reseller, named.document, &proof, downloads.clock.now()).map_err(
        |error| match error {
            LinkError::Wrong => PageError::NotFound,
            LinkError::Expired => PageError::Expired,
        },
    )?;
    let mut connection = web.pool.acquire().await?;
    let found = frozen_documents::for_customer(&mut connection, named.reseller, named.document, named.part).await?;
    // Postgres is for the next one while this one's bytes are on their way.
    drop(connection);
    let file = found.ok_or(PageError::NotFound)?;
    let wanted = Wanted::of(&headers, &entity_tag(&file), size(&file)?);
    send(downloads.objects.as_ref(), &file, wanted, method == Method::HEAD).await
}

fn size(file: &Download) -> Result<u64, PageError> {
    u64::try_from(file.size_bytes).map_err(|_| PageError::OtherBytes)
}

/// Other bytes have another one: of a void invoice's document the mark is another file under the same link.
fn entity_tag(file: &Download) -> String {
    format!("\"{}\"", hex::encode(&file.sha256))
}

/// Sends what is wanted of a file, or only says what that would be.
async fn send(
    objects: &dyn ObjectStore,
    file: &Download,
    wanted: Wanted,
    is_head: bool,
) -> Result<Response, PageError> {
    let size_bytes = size(file)?;
    let mut headers = vec![(header::ACCEPT_RANGES, "bytes".to_owned()), (header::ETAG, entity_tag(file))];
    let (status, range) = match wanted {
        Wanted::Known => return answer(StatusCode::NOT_MODIFIED, headers, Body::empty()),
        Wanted::Nothing => {
            headers.push((header::CONTENT_RANGE, format!("bytes */{size_bytes}")));
            return answer(StatusCode::RANGE_NOT_SATISFIABLE, headers, Body::empty());
        }
        Wanted::Whole => (StatusCode::OK, None),
        Wanted::Part(range) => {
            let last = range.end.saturating_sub(1);
            headers.push((header::CONTENT_RANGE, format!("bytes {}-{last}/{size_bytes}", range.start)));
            (StatusCode::PARTIAL_CONTENT, Some(range))
        }
    };
    let length = range.as_ref().map_or(size_bytes, |range| range.end.saturating_sub(range.start));
    headers.extend([
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_TYPE, file.content_type().to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::CONTENT_DISPOSITION, disposition(file.kind, &file.file_name)),
    ]);
    let options = GetOptions { range: range.map(GetRange::Bounded), head: is_head, ..GetOptions::default() };
    let stored = objects.get_opts(&file.location.as_str().into(), options).await?;
    if stored.meta.size != size_bytes {
        return Err(PageError::OtherBytes);
    }
    answer(status, headers, if is_head { Body::empty() } else { Body::from_stream(stored.into_stream()) })
}

fn answer(status: StatusCode, headers: Vec<(HeaderName, String)>, body: Body) -> Result<Response, PageError> {
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::try_from(value).map_err(|_| PageError::NotFound)?);
    }
    Ok(response)
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
