//! Small pieces that pages share: states, choices, what an address asks for, and the way to the next page of a list.

use std::{fmt::Display, str::FromStr};

use maud::{Markup, html};

use super::{Frame, Problem, count};

/// Jobs of a lane that are counted at most: who sees more of them waiting needs no exact number, and counting takes
/// longer than all else on a page.
pub(super) const COUNTED_AT_MOST: i64 = 2_000;

/// Writes a state as a word with a colour.
pub(super) fn state(word: &str) -> Markup {
    html! { span class=(format!("state state-{}", plain(word))) { (word.replace('_', " ")) } }
}

/// Writes how many jobs of a lane there are, and that there are more where counting stopped.
#[expect(clippy::cast_possible_truncation, reason = "counting stops far below 2^53")]
pub(super) fn capped(number: f64) -> String {
    let number = number as i64;
    if number >= COUNTED_AT_MOST { format!("{}+", count(COUNTED_AT_MOST)) } else { count(number) }
}

/// Keeps what may stand in the name of a class, whatever was stored.
fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect()
}

/// Makes a field to choose one of some words, or none.
pub(super) fn choice(label: &str, name: &str, chosen: Option<&str>, words: &[&str]) -> Markup {
    html! {
        label {
            (label)
            select name=(name) {
                option value="" { "any" }
                @for word in words { option value=(word) selected[chosen == Some(*word)] { (word.replace('_', " ")) } }
            }
        }
    }
}

/// Makes a field of a search, with what was searched for.
pub(super) fn text_field(label: &str, name: &str, value: Option<&str>) -> Markup {
    html! { label { (label) input name=(name) value=(value.unwrap_or_default()) autocomplete="off"; } }
}

/// Reads what an address asks for; `None` where it is left out or empty.
pub(super) fn read<T: FromStr<Err: Display>>(name: &str, text: Option<&str>) -> Result<Option<T>, Problem> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.map(str::parse).transpose().map_err(|error: T::Err| Problem::Invalid(format!("{name}: {error}")))
}

/// Returns an address with the parts of a query that say something.
pub(super) fn address(path: &str, query: &[(&str, Option<&str>)]) -> String {
    let mut written = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in query {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            written.append_pair(name, value);
        }
    }
    let written = written.finish();
    if written.is_empty() { path.to_owned() } else { format!("{path}?{written}") }
}

/// Makes the links to the first page and to the next one of a list, where there is one.
pub(super) fn pages(frame: &Frame, first: Option<&str>, next: Option<&str>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav.pages aria-label="Pages" {
                @if let Some(first) = first { a href=(frame.href(first)) rel="first" { "Newest" } } @else { span {} }
                @if let Some(next) = next { a href=(frame.href(next)) rel="next" { "Older" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_says_where_it_stopped() {
        assert_eq!(["0", "1,999", "2,000+", "2,000+"], [0.0, 1999.0, 2000.0, 4000.0].map(capped));
    }

    #[test]
    fn what_was_stored_names_no_class_of_its_own() {
        let hostile = state("done\" onclick=\"x").into_string();
        assert!(hostile.starts_with(r#"<span class="state state-doneonclickx">"#), "{hostile}");
        assert_eq!(
            state("needs_attention").into_string(),
            r#"<span class="state state-needs_attention">needs attention</span>"#
        );
    }

    #[test]
    fn an_address_holds_what_was_asked_for_and_nothing_else() {
        let query = [("kind", Some("a&b=c")), ("state", None), ("queue", Some(""))];
        assert_eq!(address("/jobs", &query), "/jobs?kind=a%26b%3Dc");
        assert_eq!(address("/jobs", &[("kind", None)]), "/jobs");
    }
}
