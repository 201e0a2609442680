//! The kinds of rendered export an invoice can have.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rendered export of an invoice; which of them exist depends on the provider's profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// The invoice as a PDF.
    Pdf,
    /// One row per printed line.
    Csv,
    /// One row per charge.
    DetailedCsv,
    /// A page of HTML to read and print.
    Print,
    /// The invoice as printed, for programs.
    Json,
    /// An e-invoice: UBL 2.1 by EN 16931.
    Ubl,
}

impl DocumentKind {
    /// All kinds, in the order they are listed to people.
    pub const ALL: [Self; 6] = [Self::Pdf, Self::Csv, Self::DetailedCsv, Self::Print, Self::Json, Self::Ubl];

    /// Returns the kind's name, the same in SQL, JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Csv => "csv",
            Self::DetailedCsv => "detailed_csv",
            Self::Print => "print",
            Self::Json => "json",
            Self::Ubl => "ubl",
        }
    }

    /// Returns the media type (RFC 6838) with its character set.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Csv | Self::DetailedCsv => "text/csv; charset=utf-8",
            Self::Print => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Ubl => "application/xml",
        }
    }

    /// Returns the media type of a file of this kind as it is stored: it may be compressed, or the manifest of its parts.
    pub fn content_type_of(self, file_name: &str) -> &'static str {
        match file_name.rsplit_once('.') {
            Some((_, "gz")) => "application/gzip",
            Some((_, "json")) => "application/json",
            _ => self.content_type(),
        }
    }

    /// Returns the ending of a file of this kind, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Csv | Self::DetailedCsv => "csv",
            Self::Print => "html",
            Self::Json => "json",
            Self::Ubl => "xml",
        }
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Says that a text names no kind of document.
#[derive(Debug, thiserror::Error)]
#[error("unknown document `{0}`; known: pdf, csv, detailed_csv, print, json, ubl")]
pub struct UnknownDocumentKind(String);

impl FromStr for DocumentKind {
    type Err = UnknownDocumentKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownDocumentKind(text.to_owned()))
    }
}
