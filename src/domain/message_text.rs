//! A reseller's own words for a message: plain text in which `{{number}}` and the like are filled in.
//!
//! This is all its language can do: there are no conditions, loops, partials or helpers, nothing is looked up outside the
//! message, and it is text, never HTML. So filling takes as many steps as there are placeholders, and its result has a
//! length that the limits here bound.

use serde::{Deserialize, Serialize};

/// Longest text; an introduction of some paragraphs.
pub const MAX_TEXT_CHARS: usize = 2_000;
/// Longest subject: what mail programs show of one is shorter by far.
pub const MAX_SUBJECT_CHARS: usize = 200;
/// With [`MAX_VALUE_CHARS`] they bound the length of a filled text.
const MAX_PLACEHOLDERS: usize = 20;
/// Of a value that is filled in.
const MAX_VALUE_CHARS: usize = 300;

/// What is wrong with a text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TextProblem {
    /// Too long, or nothing.
    #[error("has {length} characters; write 1 to {max}")]
    Length {
        /// Of the text.
        length: usize,
        /// At most.
        max: usize,
    },
    /// A placeholder that does not end.
    #[error("has `{{{{` without `}}}}` after it; write a placeholder such as `{{{{number}}}}`")]
    Unclosed,
    /// No field of the message.
    #[error("names `{{{{{name}}}}}`, which does not exist; known: {known}")]
    Unknown {
        /// What stands between the braces.
        name: String,
        /// The fields there are.
        known: String,
    },
    /// Too many placeholders.
    #[error("has {0} placeholders; use at most {MAX_PLACEHOLDERS}")]
    TooMany(usize),
    /// Mark-up.
    #[error("holds HTML at `{0}`; write plain text, which is laid out for you")]
    Html(String),
    /// A control character; a subject is one line.
    #[error("holds the control character {0:?}; take it out")]
    Control(char),
}

/// A text with placeholders, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageText(pub String);

enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

impl MessageText {
    /// Checks the text against the fields that it may name.
    ///
    /// # Errors
    /// The first [`TextProblem`].
    pub fn check(&self, known: &[&str], max_chars: usize) -> Result<(), TextProblem> {
        let length = self.0.chars().count();
        if self.0.trim().is_empty() || length > max_chars {
            return Err(TextProblem::Length { length, max: max_chars });
        }
        let is_line = max_chars <= MAX_SUBJECT_CHARS;
        if let Some(control) = self.0.chars().find(|c| c.is_control() && (is_line || *c != '\n')) {
            return Err(TextProblem::Control(control));
        }
        if let Some(at) = markup(&self.0) {
            return Err(TextProblem::Html(at.chars().take(20).filter(|c| !c.is_control()).collect()));
        }
        let mut placeholders = 0;
        for part in self.parts()? {
            let Part::Placeholder(name) = part else { continue };
            placeholders += 1;
            if !known.contains(&name) {
                let name = name.chars().filter(|c| !c.is_control()).take(60).collect();
                return Err(TextProblem::Unknown { name, known: known.join(", ") });
            }
        }
        if placeholders > MAX_PLACEHOLDERS { Err(TextProblem::TooMany(placeholders)) } else { Ok(()) }
    }

    /// Fills the placeholders in; each value is cut after some hundred characters.
    ///
    /// # Errors
    /// [`TextProblem::Unknown`] for a field without a value: a text that another release took.
    pub fn fill<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Result<String, TextProblem> {
        let mut filled = String::with_capacity(self.0.len());
        for part in self.parts()? {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Placeholder(name) => {
                    let unknown = || TextProblem::Unknown { name: name.to_owned(), known: String::new() };
                    filled.extend(value(name).ok_or_else(unknown)?.chars().take(MAX_VALUE_CHARS));
                }
            }
        }
        Ok(filled)
    }

    fn parts(&self) -> Result<Vec<Part<'_>>, TextProblem> {
        let mut parts = Vec::new();
        let mut rest = self.0.as_str();
        while let Some((text, after)) = rest.split_once("{{") {
            let (name, following) = after.split_once("}}").ok_or(TextProblem::Unclosed)?;
            parts.extend([Part::Text(text), Part::Placeholder(name.trim())]);
            rest = following;
        }
        parts.push(Part::Text(rest));
        Ok(parts)
    }
}

/// Finds what a mail program could take for a tag, a comment or an entity of HTML.
fn markup(text: &str) -> Option<&str> {
    text.match_indices(['<', '&']).find_map(|(at, sign)| {
        let rest = text.get(at..)?;
        let next = rest.chars().nth(1)?;
        let is_markup = if sign == "<" { next.is_ascii_alphabetic() || "/!?".contains(next) } else { next == '#' };
        is_markup.then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["number", "total"];

    fn check(text: &str) -> Result<(), TextProblem> {
        MessageText(text.to_owned()).check(&KNOWN, MAX_TEXT_CHARS)
    }

    #[test]
    fn a_text_is_filled_and_its_values_are_not_read_again() {
        let text = MessageText("Invoice {{ number }}: {{total}}.\n\nThank you".to_owned());
        text.check(&KNOWN, MAX_TEXT_CHARS).expect("a good text");
        let filled = text.fill(|name| if name == "number" { Some("{{total}}") } else { Some("9 EUR") });
        assert_eq!(filled.as_deref(), Ok("Invoice {{total}}: 9 EUR.\n\nThank you"));
    }

    #[test]
    fn what_is_no_field_is_refused_by_its_name() {
        for (text, named) in [
            ("{{cost}}", "`{{cost}}`"),
            ("{{#each lines}}x{{/each}}", "`{{#each lines}}`"),
            ("{{> _layout/page}}", "`{{> _layout/page}}`"),
            ("{{t \"mail-reason\"}}", "`{{t \"mail-reason\"}}`"),
            ("{{{number}}}", "`{{{number}}`"),
            ("{{../number}}", "`{{../number}}`"),
            ("{{}}", "`{{}}`"),
        ] {
            let refused = check(text).expect_err(text).to_string();
            assert!(refused.contains(named) && refused.contains("known: number, total"), "{refused}");
        }
        assert_eq!(check("{{number"), Err(TextProblem::Unclosed));
    }

    #[test]
    fn html_is_refused_and_a_plain_sign_is_not() {
        for text in [
            "<script>alert(1)</script>",
            "see <img src=https://example.com/x.png>",
            "a</p>",
            "<!-- -->",
            "<STYLE>",
            "&#60;script&#62;",
        ] {
            assert!(matches!(check(text), Err(TextProblem::Html(_))), "{text}");
        }
        for text in ["R&D: 1 < 2", "I <3 invoices", "Müller & Söhne"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        assert_eq!(check("a <b\n%c"), Err(TextProblem::Html("<b%c".to_owned())));
        assert!(matches!(check("{{a\nb}}"), Err(TextProblem::Unknown { name, .. }) if name == "ab"));
    }

    #[test]
    fn no_text_is_empty_endless_or_of_two_lines_where_it_is_one() {
        assert_eq!(check(" \n"), Err(TextProblem::Length { length: 2, max: MAX_TEXT_CHARS }));
        assert!(matches!(check(&"x".repeat(MAX_TEXT_CHARS + 1)), Err(TextProblem::Length { .. })));
        assert_eq!(check(&"{{total}}".repeat(21)), Err(TextProblem::TooMany(21)));
        let subject = MessageText("Invoice\r\nBcc: x@example.com".to_owned());
        assert_eq!(subject.check(&KNOWN, MAX_SUBJECT_CHARS), Err(TextProblem::Control('\r')));
        let long = "x".repeat(10_000);
        let filled = MessageText("{{total}}".repeat(20)).fill(|_| Some(long.as_str())).expect("a text");
        assert_eq!(filled.len(), 20 * MAX_VALUE_CHARS);
    }
}
