//! The W3C trace context's `traceparent`, as far as a door must know it to refuse what is none.

/// What a valid one looks like.
pub(super) const FORM: &str = "00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case and not all zero";

/// Longest that is kept, for later versions.
const MAX_LENGTH: usize = 200;

/// Tells whether a text is a `traceparent` (W3C Trace Context, section 3.2): of version 00, or of a later one that begins
/// alike.
pub(super) fn is_valid(text: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
