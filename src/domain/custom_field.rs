//! Fields that a reseller defines for its customers, such as a cost centre, and what their values must look like.
//!
//! Checked when a directory is applied. Patterns and values come from outside: patterns are matched in linear time by a
//! machine of bounded size, and neither is ever more than text to a document.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{language_tag::LanguageTag, money::parse_decimal};

/// Longest value and longest purchase order: what the head of every document has room for, whole.
pub const MAX_PRINTED_CHARS: usize = 80;
/// Longest label.
const MAX_LABEL_CHARS: usize = 40;
/// Longest key.
const MAX_KEY_CHARS: usize = 40;
/// Memory that the machine of a pattern may take.
const MAX_PATTERN_BYTES: usize = 100_000;

/// A field of a reseller's customers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomField {
    /// As customers' values name it: `cost_centre`.
    pub key: String,
    /// As printed, by language.
    pub labels: BTreeMap<LanguageTag, String>,
    /// Place among the fields; lowest first.
    pub position: i32,
    /// Whether documents show it.
    #[serde(default = "printed")]
    pub printed: bool,
    /// What its values are.
    #[serde(default, rename = "type")]
    pub value_type: ValueType,
    /// Regular expression that the whole of a text has to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

fn printed() -> bool {
    true
}

/// What the values of a field are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// Any text, or what the pattern says.
    #[default]
    Text,
    /// A decimal number.
    Number,
    /// A day, as 2026-08-31.
    Date,
}

impl ValueType {
    /// Returns the type's name, the same in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Date => "date",
        }
    }

    /// Finds a type by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Text, Self::Number, Self::Date].into_iter().find(|known| known.as_str() == name)
    }
}

/// What is wrong with a field, or with a value.
#[derive(Debug, thiserror::Error)]
pub enum CustomFieldProblem {
    /// The key.
    #[error(
        "`{0}` is no key of a custom field; write lower-case letters, digits and underscores, at most 40, a letter first"
    )]
    Key(String),
    /// No label at all.
    #[error("custom field `{0}` has no label; give it one in `labels`, by language")]
    NoLabel(String),
    /// A label.
    #[error("custom field `{0}` has a label of {1} characters; write 1 to 40")]
    Label(String, usize),
    /// A pattern where the type says all.
    #[error("custom field `{0}` is a {1} and has a pattern; leave one of the two out")]
    PatternOfType(String, &'static str),
    /// The pattern itself.
    #[error("the pattern `{1}` of custom field `{0}` does not read; write a regular expression without look-around")]
    Pattern(String, String, #[source] Box<regex::Error>),
    /// A value that is empty or too long.
    #[error("custom field `{0}` has a value of {1} characters; write 1 to 80, or leave the field out")]
    Length(String, usize),
    /// A value of another form.
    #[error("`{1}` is no value of custom field `{0}`; write {2}")]
    Value(String, String, String),
}

/// A field that was checked, ready to check its values.
#[derive(Debug)]
pub struct CheckedField<'a> {
    field: &'a CustomField,
    pattern: Option<Regex>,
}

impl CustomField {
    /// Checks the definition.
    ///
    /// # Errors
    /// [`CustomFieldProblem`] names what is wrong with it.
    pub fn check(&self) -> Result<CheckedField<'_>, CustomFieldProblem> {
        let key = self.key.clone();
        let is_key = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !(key.starts_with(|c: char| c.is_ascii_lowercase()) && key.chars().all(is_key) && key.len() <= MAX_KEY_CHARS)
        {
            return Err(CustomFieldProblem::Key(shown(&key)));
        }
        if self.labels.is_empty() {
            return Err(CustomFieldProblem::NoLabel(key));
        }
        let lengths = self.labels.values().map(|label| label.trim().chars().count());
        if let Some(length) = lengths.into_iter().find(|length| !(1..=MAX_LABEL_CHARS).contains(length)) {
            return Err(CustomFieldProblem::Label(key, length));
        }
        let Some(pattern) = &self.pattern else { return Ok(CheckedField { field: self, pattern: None }) };
        if self.value_type != ValueType::Text {
            return Err(CustomFieldProblem::PatternOfType(key, self.value_type.as_str()));
        }
        let whole = RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).size_limit(MAX_PATTERN_BYTES).build();
        // Alone as well: `a)|(b` reads only with what is put around it.
        let whole = Regex::new(pattern).and(whole);
        let whole = whole.map_err(|error| CustomFieldProblem::Pattern(key, shown(pattern), Box::new(error)))?;
        Ok(CheckedField { field: self, pattern: Some(whole) })
    }
}

impl CheckedField<'_> {
    /// Checks a customer's value.
    ///
    /// # Errors
    /// [`CustomFieldProblem`] names the field, the value and what it should look like.
    pub fn check_value(&self, value: &str) -> Result<(), CustomFieldProblem> {
        let key = || self.field.key.clone();
        let length = value.chars().count();
        if value.trim().is_empty() || length > MAX_PRINTED_CHARS {
            return Err(CustomFieldProblem::Length(key(), length));
        }
        let wanted = match (self.field.value_type, &self.pattern) {
            (ValueType::Text, None) => return Ok(()),
            (ValueType::Text, Some(pattern)) if pattern.is_match(value) => return Ok(()),
            (ValueType::Text, Some(_)) => {
                format!("what the pattern `{}` matches", self.field.pattern.as_deref().unwrap_or_default())
            }
            (ValueType::Number, _) if parse_decimal(value).is_ok() => return Ok(()),
            (ValueType::Number, _) => "a number such as 12.5".to_owned(),
            (ValueType::Date, _) if is_day(value) => return Ok(()),
            (ValueType::Date, _) => "a day such as 2026-08-31".to_owned(),
        };
        Err(CustomFieldProblem::Value(key(), shown(value), wanted))
    }
}

fn is_day(text: &str) -> bool {
    text.parse::<NaiveDate>().is_ok_and(|day| day.to_string() == text)
}

fn shown(text: &str) -> String {
    text.chars().take(MAX_PRINTED_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(value_type: ValueType, pattern: Option<&str>) -> CustomField {
        CustomField {
            key: "cost_centre".to_owned(),
            labels: BTreeMap::from([("en".parse().expect("a tag"), "Cost centre".to_owned())]),
            position: 1,
            printed: true,
            value_type,
            pattern: pattern.map(str::to_owned),
        }
    }

    #[test]
    fn a_value_is_what_type_and_pattern_say_from_beginning_to_end() {
        for (value_type, pattern, accepted, refused) in [
            (ValueType::Text, None, "=1+1 <b>", " "),
            (ValueType::Text, Some("CC-[0-9]{4}|none"), "none", "CC-12345"),
            (ValueType::Text, Some("CC-[0-9]{4}|none"), "CC-1234", "none\n"),
            (ValueType::Number, None, "12.5", "1,5"),
            (ValueType::Date, None, "2026-08-31", "2026-8-31"),
        ] {
            let field = field(value_type, pattern);
            let checked = field.check().expect("a field");
            assert!(checked.check_value(accepted).is_ok(), "{accepted}");
            assert!(checked.check_value(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_definition_that_cannot_work_is_refused() {
        for pattern in ["(", "a)|(b", "(?=a)", "(a{1000}){1000}"] {
            let error = field(ValueType::Text, Some(pattern)).check().expect_err(pattern).to_string();
            assert!(error.contains(pattern) && error.contains("cost_centre"), "{error}");
        }
        assert!(field(ValueType::Number, Some("1")).check().is_err());
        assert!(CustomField { key: "Cost".to_owned(), ..field(ValueType::Text, None) }.check().is_err());
        assert!(CustomField { labels: BTreeMap::new(), ..field(ValueType::Text, None) }.check().is_err());
    }
}
