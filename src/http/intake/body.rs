//! From a request's body to envelopes: which media types are read, how much of them, and for how long they are waited for.

use std::{error::Error, fmt, time::Duration};

use axum::{
    body::{Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, header},
};
use http_body_util::LengthLimitError;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::Problem;

/// Largest body, whatever is in it: more is not read.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Most jobs in a batch.
pub const MAX_BATCH: usize = 500;
/// How much is said of what is no array: the words may repeat all of it.
const MAX_ERROR_CHARS: usize = 200;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// One event in structured mode.
pub const EVENT: &str = "application/cloudevents+json";
/// Several.
pub const BATCH: &str = "application/cloudevents-batch+json";
/// Either: an object is one event, an array several.
pub const JSON: &str = "application/json";

/// What was sent.
pub enum Sent {
    /// One envelope, not read yet.
    One(Bytes),
    /// Several.
    Batch(Vec<Box<RawValue>>),
}

/// Reads a request's body.
///
/// # Errors
/// 415, 413 (before reading it all), 408, or 400.
pub async fn read(request: Request) -> Result<Sent, Problem> {
    let media_type = media_type(request.headers())?;
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: usize| bytes > MAX_BODY_BYTES) {
        return Err(too_large());
    }
    let bytes = tokio::time::timeout(BODY_TIMEOUT, to_bytes(request.into_body(), MAX_BODY_BYTES)).await;
    let bytes = bytes.map_err(|_| Problem::body_timeout(BODY_TIMEOUT))?.map_err(|error| {
        let is_limit = error.source().is_some_and(<dyn Error>::is::<LengthLimitError>);
        if is_limit { too_large() } else { Problem::unreadable("the body broke off; send it again") }
    })?;
    let is_array = || bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if media_type == BATCH || (media_type == JSON && is_array()) { read_batch(&bytes) } else { Ok(Sent::One(bytes)) }
}

fn read_batch(bytes: &[u8]) -> Result<Sent, Problem> {
    let Items { kept, count } = serde_json::from_slice(bytes).map_err(|error| {
        let why: String = error.to_string().chars().take(MAX_ERROR_CHARS).collect();
        Problem::unreadable(format!("not a JSON array of CloudEvents envelopes: {why}"))
    })?;
    if count > MAX_BATCH {
        return Err(Problem::too_large(format!("the batch has {count} items; send {MAX_BATCH} at most")));
    }
    Ok(Sent::Batch(kept))
}

/// The items of an array, no more of them kept than are taken: two million fit into a body.
struct Items {
    kept: Vec<Box<RawValue>>,
    count: usize,
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;

        impl<'de> Visitor<'de> for Array {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Items, A::Error> {
                let mut items = Items { kept: Vec::new(), count: 0 };
                while items.kept.len() < MAX_BATCH {
                    let Some(item) = array.next_element()? else { break };
                    items.kept.push(item);
                }
                items.count = items.kept.len();
                while array.next_element::<IgnoredAny>()?.is_some() {
                    items.count += 1;
                }
                Ok(items)
            }
        }

        deserializer.deserialize_seq(Array)
    }
}

fn too_large() -> Problem {
    Problem::too_large(format!("the body has more than {MAX_BODY_BYTES} bytes; send smaller batches"))
}

/// Returns which of the media types that are read the body is said to be in.
fn media_type(headers: &HeaderMap) -> Result<&'static str, Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?")).unwrap_or_default();
    let encoding = text(header::CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return Err(Problem::unsupported_media_type(format!(
            "content-encoding `{encoding}` is not read; send it plain"
        )));
    }
    let content_type = text(header::CONTENT_TYPE);
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let known = [EVENT, BATCH, JSON].into_iter().find(|known| known.eq_ignore_ascii_case(essence));
    let is_utf8 = |charset: &str| charset.trim_matches('"').eq_ignore_ascii_case("utf-8");
    let has_foreign_charset = parts
        .filter_map(|part| part.split_once('='))
        .any(|(name, value)| name.eq_ignore_ascii_case("charset") && !is_utf8(value));
    known.filter(|_| !has_foreign_charset).ok_or_else(|| {
        let detail =
            format!("content-type `{content_type}` is not read; known: {EVENT}, {BATCH}, {JSON}, all in utf-8");
        Problem::unsupported_media_type(detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_endless_batch_no_more_is_kept_than_is_taken() {
        let many = format!("[1{}]", ",1".repeat(1_000_000));
        let Items { kept, count } = serde_json::from_str(&many).expect("an array");
        assert_eq!((kept.len(), count), (MAX_BATCH, 1_000_001));
        let Items { kept, count } = serde_json::from_str("[{}, 1]").expect("an array");
        assert_eq!((kept.iter().map(|item| item.get()).collect::<Vec<_>>(), count), (vec!["{}", "1"], 2));
    }

    #[test]
    fn what_is_no_batch_is_refused_in_a_few_words() {
        for text in [format!("\"{}\"", "x".repeat(100_000)), format!("[1{}", ",1".repeat(1000)), "[1] []".to_owned()] {
            let Err(refused) = read_batch(text.as_bytes()) else { panic!("accepted") };
            assert!(serde_json::to_string(&refused).expect("a problem").len() < 800, "{}", text.len());
        }
    }
}
