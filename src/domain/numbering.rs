//! Fiscal numbers: consecutive within a series, given only when an invoice opens.
//!
//! EU VAT Directive 2006/112/EC, article 226(2): a sequential number, based on one or more series, that uniquely
//! identifies the invoice. Credit notes have a series of their own.

use chrono::{Datelike, NaiveDate};

use super::invoice::InvoiceKind;

/// Returns the series an invoice issued on a day is numbered in: `2026`, or `CN-2026` for credit notes.
pub fn series(kind: InvoiceKind, issued_on: NaiveDate) -> String {
    match kind {
        InvoiceKind::Invoice => issued_on.year().to_string(),
        InvoiceKind::CreditNote => format!("CN-{}", issued_on.year()),
    }
}

/// Returns the number as printed: the series and its consecutive number, as in `2026-00042`.
pub fn number(series: &str, consecutive: i64) -> String {
    format!("{series}-{consecutive:05}")
}
