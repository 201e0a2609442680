//! The W3C trace context's `traceparent`: what a door refuses, and which span it names.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// What a valid one looks like.
pub const FORM: &str = "00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case and not all zero";

/// Longest that is kept, for later versions.
const MAX_LENGTH: usize = 200;

/// Tells whether a text is a `traceparent` (W3C Trace Context, section 3.2): of version 00, or of a later one that begins
/// alike.
pub fn is_valid(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut next_is = |length: usize, may_be_zero: bool, forbidden: &str| {
        parts.next().is_some_and(|part| {
            let is_hex = part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            is_hex
                && part.len() == length
                && part != forbidden
                && (may_be_zero || part.bytes().any(|byte| byte != b'0'))
        })
    };
    let is_well_formed =
        next_is(2, true, "ff") && next_is(32, false, "") && next_is(16, false, "") && next_is(2, true, "");
    // The first version has four fields, those to come may have more.
    is_well_formed && (parts.next().is_none() || !text.starts_with("00-")) && text.len() <= MAX_LENGTH
}

/// Returns the span that a `traceparent` names, as one of another process; `None` where it is not valid.
pub(super) fn read(text: &str) -> Option<SpanContext> {
    if !is_valid(text) {
        return None;
    }
    let mut parts = text.split('-').skip(1);
    let trace_id = TraceId::from_hex(parts.next()?).ok()?;
    let span_id = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    // Of the flags only this one has a meaning that can be passed on.
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    Some(SpanContext::new(trace_id, span_id, flags, true, TraceState::default()))
}

/// Writes a span as a `traceparent`, for those that come after it; `None` where nobody listened.
pub(super) fn write(span: &SpanContext) -> Option<String> {
    let (trace_id, span_id, flags) = (span.trace_id(), span.span_id(), span.trace_flags().to_u8());
    span.is_valid().then(|| format!("00-{trace_id}-{span_id}-{flags:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let span = read(text).expect("a span");
        assert!(span.is_remote() && span.is_sampled());
        assert_eq!(write(&span).as_deref(), Some(text));
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe-what-will-be";
        let unsampled = read(later).and_then(|span| write(&span));
        assert_eq!(unsampled.as_deref(), Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
        assert!(read("00-4bf92f3577b34da6-00f067aa0ba902b7-01").is_none());
        assert_eq!(write(&SpanContext::empty_context()), None);
    }

    #[test]
    fn only_a_trace_context_is_one() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        for valid in [format!("00-{trace}-01"), format!("00-{trace}-ff"), format!("cc-{trace}-01-what-will-be")] {
            assert!(is_valid(&valid), "{valid}");
        }
        let zero = "0".repeat(32);
        for invalid in [
            String::new(),
            "00".to_owned(),
            format!("00-{trace}"),
            format!("00-{trace}-01-more"),
            format!("00-{trace}-01-"),
            format!("ff-{trace}-01"),
            format!("0-{trace}-01"),
            format!("00-{}-01", trace.to_uppercase()),
            format!("00-{zero}-00f067aa0ba902b7-01"),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01".to_owned(),
            format!("00-{trace}-1"),
            format!("00-{trace}-\u{0}1"),
            format!(" 00-{trace}-01"),
        ] {
            assert!(!is_valid(&invalid), "{invalid}");
        }
    }
}
