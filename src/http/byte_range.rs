//! Which bytes of a file a client asks for: `Range`, `If-Range` and `If-None-Match` of RFC 9110, as far as a resumed download
//! needs them.
//!
//! Called by `downloads`. Only strong validators are compared. Several ranges at once, other units and what does not read
//! are ignored, which section 14.2 allows: the client gets the whole file and sees that by the status.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, header};

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// These bytes, of which there is at least one.
    Part(Range<u64>),
    /// Bytes that there are not.
    Nothing,
    /// Nothing new: the client has it.
    Known,
}

impl Wanted {
    /// Reads what a client asks for of a file with this entity tag, quotes included, and size.
    pub fn of(headers: &HeaderMap, entity_tag: &str, size_bytes: u64) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        // A weak tag is as good here (section 13.1.2), and we give out none.
        let is_ours = |tag: &str| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == entity_tag;
        if text(header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(is_ours)) {
            return Self::Known;
        }
        // A file that changed in between is sent whole (section 13.1.5); a date tells nothing here.
        if text(header::IF_RANGE).is_some_and(|tag| tag.trim() != entity_tag) {
            return Self::Whole;
        }
        let bounds = text(header::RANGE).and_then(|range| range.trim().strip_prefix("bytes=")?.split_once('-'));
        bounds.and_then(|bounds| Self::between(bounds, size_bytes)).unwrap_or(Self::Whole)
    }

    /// Reads `FIRST-LAST`, `FIRST-` or `-LENGTH`, where LAST is sent too; `None` does not read.
    fn between((first, last): (&str, &str), size_bytes: u64) -> Option<Self> {
        if !first.bytes().chain(last.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bytes = match (number(first), number(last)) {
            (Some(first), Some(last)) if last < first => return None,
            (Some(first), Some(last)) => first..last.saturating_add(1).min(size_bytes),
            (Some(first), None) => first..size_bytes,
            (None, Some(length)) => size_bytes.saturating_sub(length)..size_bytes,
            (None, None) => return None,
        };
        Some(if bytes.is_empty() { Self::Nothing } else { Self::Part(bytes) })
    }
}

/// Reads digits, where there are any. What is too large for a size is behind every end.
fn number(digits: &str) -> Option<u64> {
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"abc\"";

    fn wanted(fields: &[(HeaderName, &str)]) -> Wanted {
        let fields = fields.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value")));
        Wanted::of(&fields.collect(), TAG, 10)
    }

    #[test]
    fn a_range_is_what_rfc_9110_says_and_what_does_not_read_is_no_range() {
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("bytes=9-99999999999999999999999", Wanted::Part(9..10)),
            ("bytes=4-", Wanted::Part(4..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-11", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("0-1", Wanted::Whole),
        ] {
            assert_eq!(wanted(&[(header::RANGE, range)]), expected, "{range}");
        }
        assert_eq!(wanted(&[]), Wanted::Whole);
    }

    #[test]
    fn a_tag_tells_whether_the_client_has_it_and_whether_a_range_still_fits() {
        for (tags, expected) in [
            (TAG, Wanted::Known),
            ("\"x\", \"abc\"", Wanted::Known),
            ("W/\"abc\"", Wanted::Known),
            ("*", Wanted::Known),
            ("\"x\"", Wanted::Whole),
            ("abc", Wanted::Whole),
        ] {
            assert_eq!(wanted(&[(header::IF_NONE_MATCH, tags)]), expected, "{tags}");
        }
        for (tag, expected) in [
            (TAG, Wanted::Part(1..3)),
            ("\"x\"", Wanted::Whole),
            ("W/\"abc\"", Wanted::Whole),
            ("Wed, 26 Aug 2026 00:00:00 GMT", Wanted::Whole),
        ] {
            assert_eq!(wanted(&[(header::RANGE, "bytes=1-2"), (header::IF_RANGE, tag)]), expected, "{tag}");
        }
    }
}
