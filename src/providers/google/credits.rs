//! The credits that lie within a row of Google's billing export.
//!
//! They come as JSON in one column, as `BigQuery`'s `TO_JSON_STRING(credits)` writes them, or spread over columns:
//! `credits.amount` beside `credits.name`, or numbered, `credits.0.amount` or `credits[0].amount`. An amount is read from
//! the JSON text itself, as a number of 28 decimals would not survive a float. Columns:
//! cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage.

use std::borrow::Cow;

use bigdecimal::BigDecimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    domain::money::parse_decimal,
    providers::reading::{Column, Header, Row},
};

const NOT_CREDITS: &str = "not a JSON list of credits; export it as TO_JSON_STRING(credits)";
/// Numbered credits that are looked for. Google grants a handful on one row.
const MAX_NUMBERED: usize = 20;
/// Most credits of a row, each of which becomes a charge.
const MAX_CREDITS: usize = 100;
/// Most bytes of all these charges: each repeats what the row says.
const MAX_CHARGES_BYTES: usize = 64 * 1024 * 1024;
/// Longest JSON of credits.
const MAX_JSON_BYTES: usize = 1024 * 1024;
const TOO_MANY: &str = "more credits than a row of this length can have; Google grants a handful";

/// A credit that Google granted on a row.
#[derive(Debug, PartialEq)]
pub(super) struct Credit {
    /// What it adds to the cost: a negative number.
    pub(super) amount: BigDecimal,
    /// Its name as Google's invoice prints it.
    pub(super) name: Option<String>,
    /// What kind it is, such as `COMMITTED_USAGE_DISCOUNT`.
    pub(super) kind: Option<String>,
}

/// Where the credits of a file are.
pub(super) struct CreditColumns {
    json: Column,
    spread: Vec<SpreadColumns>,
}

struct SpreadColumns {
    amount: Column,
    name: Column,
    kind: Column,
}

impl CreditColumns {
    pub(super) fn find(header: &Header) -> Self {
        let numbers = (0..MAX_NUMBERED).map(|number| format!("credits_{number}"));
        let prefixes = std::iter::once("credits".to_owned()).chain(numbers);
        let spread = prefixes.map(|prefix| {
            let (full_name, name) = (format!("{prefix}_full_name"), format!("{prefix}_name"));
            SpreadColumns {
                amount: header.column(&format!("{prefix}_amount")),
                name: header.first_column(&[&full_name, &name]),
                kind: header.column(&format!("{prefix}_type")),
            }
        });
        Self {
            json: header.column("credits"),
            spread: spread.filter(|columns| columns.amount.position().is_some()).collect(),
        }
    }

    /// Reads the credits of a row; where a column is refused, those behind it are read all the same.
    pub(super) fn read(&self, row: &mut Row<'_>) -> Vec<Credit> {
        let mut credits = Vec::new();
        for columns in &self.spread {
            if let Some(amount) = row.decimal(&columns.amount) {
                credits.push(Credit { amount, name: row.owned(&columns.name), kind: row.owned(&columns.kind) });
            }
        }
        if let Some(text) = row.value(&self.json) {
            match parse(text) {
                Some(parsed) if parsed.len() > MAX_CREDITS || parsed.len() * row.size_bytes() > MAX_CHARGES_BYTES => {
                    row.refuse(&self.json, TOO_MANY);
                }
                Some(parsed) => credits.extend(parsed),
                None => row.refuse(&self.json, NOT_CREDITS),
            }
        }
        credits
    }
}

#[derive(Deserialize)]
struct JsonCredit<'a> {
    #[serde(borrow)]
    amount: &'a RawValue,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    full_name: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

fn parse(text: &str) -> Option<Vec<Credit>> {
    let text = Some(text).filter(|text| text.len() <= MAX_JSON_BYTES)?;
    let parsed: Vec<JsonCredit<'_>> = serde_json::from_str(text).ok()?;
    parsed.into_iter().map(to_credit).collect()
}

fn to_credit(credit: JsonCredit<'_>) -> Option<Credit> {
    let given = |text: Option<Cow<'_, str>>| text.filter(|text| !text.trim().is_empty()).map(Cow::into_owned);
    let amount = credit.amount.get();
    // BigQuery writes NUMERIC columns as JSON strings.
    let amount = amount.strip_prefix('"').and_then(|amount| amount.strip_suffix('"')).unwrap_or(amount);
    Some(Credit {
        amount: parse_decimal(amount).ok()?,
        name: given(credit.full_name).or_else(|| given(credit.name)),
        kind: given(credit.kind),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_whether_numbers_or_strings() {
        for written in ["-0.1234567890123456789012345678", "\"-0.1234567890123456789012345678\"", "-1.5E-27"] {
            let credits =
                parse(&format!("[ {{ \"amount\" : {written} , \"name\" : \"a\\u00e9\" }} ]")).expect("credits");
            let amount = parse_decimal(written.trim_matches('"')).expect("a decimal");
            assert_eq!(credits, [Credit { amount, name: Some("aé".to_owned()), kind: None }]);
        }
    }

    #[test]
    fn the_full_name_is_taken_before_the_short_one() {
        let text = r#"[{"id":"x","name":"short","full_name":"long","amount":-1,"type":"PROMOTION"},{"full_name":"","name":"n","amount":0}]"#;
        let read: Vec<_> = parse(text).expect("credits").into_iter().map(|credit| (credit.name, credit.kind)).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read, [(some("long"), some("PROMOTION")), (some("n"), None)]);
    }

    #[test]
    fn what_is_no_list_of_credits_is_refused() {
        for text in
            ["{}", "[1]", "[{}]", "[{\"amount\":null}]", "[{\"amount\":\"$1\"}]", "[{'amount': -1}]", "-1", "[] []"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("[]"), Some(vec![]));
    }
}
