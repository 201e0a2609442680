//! How a reseller wants its CSV files written; what it leaves out follows the customer's language.
//!
//! Part of the [`Directory`](super::directory::Directory), kept with each document that was written by it, so that the
//! document can be rendered again after the reseller has changed its mind.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::document::DocumentKind;

/// Rows a part has at most where nothing else is set: a spreadsheet of Excel takes 1,048,576, titles included.
const ROWS_PER_PART: u64 = 1_000_000;

/// How CSV files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CsvOptions {
    /// Whether a file begins with a byte order mark, by which Excel knows UTF-8; left out it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte_order_mark: Option<bool>,
    /// What stands between two cells; left out it goes with the decimal mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
    /// What stands before the decimals; left out it is the language's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal_mark: Option<DecimalMark>,
    /// Whether the detailed CSV is compressed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gzip: bool,
    /// How many rows a part of the detailed CSV has at most; one that has more is split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_per_part: Option<NonZeroU32>,
}

/// What stands between two cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// The character U+0009.
    Tab,
}

impl Delimiter {
    /// Returns the character.
    pub fn as_byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

/// What stands before the decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecimalMark {
    /// `.`
    Point,
    /// `,`
    Comma,
}

impl DecimalMark {
    /// Returns the character.
    pub fn as_char(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }
}

impl CsvOptions {
    /// Returns those that bear on a kind of document; `None` where its bytes are what they are without any.
    #[must_use]
    pub fn of_kind(self, kind: DocumentKind) -> Option<Self> {
        let bearing = match kind {
            DocumentKind::DetailedCsv => self,
            DocumentKind::Csv => Self { gzip: false, rows_per_part: None, ..self },
            DocumentKind::Pdf | DocumentKind::Print | DocumentKind::Json | DocumentKind::Ubl => Self::default(),
        };
        (bearing != Self::default()).then_some(bearing)
    }

    /// Returns how many rows a part has at most.
    pub fn max_rows_of_a_part(self) -> u64 {
        self.rows_per_part.map_or(ROWS_PER_PART, |rows| u64::from(rows.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: &str) -> CsvOptions {
        serde_json::from_str(json).expect("options")
    }

    #[test]
    fn what_is_left_out_is_not_written() {
        for text in [
            "{}",
            r#"{"byte_order_mark":false,"delimiter":"tab","decimal_mark":"point","gzip":true,"rows_per_part":9}"#,
        ] {
            assert_eq!(serde_json::to_string(&options(text)).expect("json"), text);
        }
    }

    #[test]
    fn what_no_file_can_be_written_by_is_refused() {
        for text in [r#"{"rows_per_part":0}"#, r#"{"delimiter":"|"}"#, r#"{"bom":true}"#, r#"{"decimal_mark":";"}"#] {
            assert!(serde_json::from_str::<CsvOptions>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_kind_of_document_has_the_options_that_bear_on_it() {
        let size = options(r#"{"gzip":true,"rows_per_part":9}"#);
        assert_eq!(size.of_kind(DocumentKind::DetailedCsv), Some(size));
        assert_eq!(size.of_kind(DocumentKind::Csv), None, "the CSV of lines is neither compressed nor split");
        let style = options(r#"{"decimal_mark":"comma"}"#);
        assert_eq!(style.of_kind(DocumentKind::Csv), Some(style));
        for kind in [DocumentKind::Pdf, DocumentKind::Print, DocumentKind::Json, DocumentKind::Ubl] {
            assert_eq!(style.of_kind(kind), None, "{kind}");
        }
        assert_eq!(CsvOptions::default().of_kind(DocumentKind::DetailedCsv), None);
    }
}
