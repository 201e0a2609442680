//! One row of a charge file: its fields by column, and what is wrong with them.
//!
//! Null is an empty field or the word `NULL` (FOCUS 1.0, "Null Handling"; Snowflake and others write the word).

use std::collections::VecDeque;

use bigdecimal::BigDecimal;
use chrono::{DateTime, Datelike, NaiveDate, Utc};

use super::{
    format::ReadRow,
    header::{Column, Header},
    records::Record,
    timestamp::parse_timestamp,
};
use crate::{
    domain::{
        billing_period::BillingPeriod,
        charge::Charge,
        money::{Currency, parse_decimal},
    },
    providers::{Problem, RejectedFile},
};

const NOT_A_DECIMAL: &str = "not a decimal number; write digits with a point, such as -1234.50 or 1.5E-7";
const NOT_AN_INSTANT: &str = "not an ISO 8601 instant; write it such as 2026-10-01T00:00:00Z";
const NOT_A_CURRENCY: &str = "not an ISO 4217 currency with a minor unit; write its three-letter code, such as EUR";
const NULL: &str = "must not be null";
/// Longest account id: ids are indexed, and a Postgres index entry holds 2.7 kB.
pub(super) const MAX_ID_BYTES: usize = 1000;
/// A billing period outside these years is a mistake, and would cost a table partition.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2100;

/// Charges that were read and not yet handed on.
pub type Charges = VecDeque<Charge>;

/// A row that is being read.
#[derive(Debug)]
pub struct Row<'a> {
    record: &'a Record,
    text: &'a str,
    problems: Vec<Problem>,
}

/// Adds the charges of a record.
///
/// # Errors
/// Every problem of the row, in the order the columns are looked at; then nothing of it was added.
pub(super) fn read_row(
    record: &Record,
    header: &Header,
    rows: &dyn ReadRow,
    charges: &mut Charges,
) -> Result<(), RejectedFile> {
    let read = row_of(record, header).and_then(|mut row| {
        let whole = rows.read(&mut row, charges).is_some();
        debug_assert!(whole || !row.problems.is_empty(), "a row was given up without a problem");
        if row.problems.is_empty() { Ok(()) } else { Err(row.problems) }
    });
    read.map_err(|problems| {
        charges.clear();
        let mut rejected = RejectedFile::default();
        for problem in problems {
            rejected.add(problem);
        }
        rejected
    })
}

fn row_of<'a>(record: &'a Record, header: &Header) -> Result<Row<'a>, Vec<Problem>> {
    check_shape(record, header)?;
    Ok(Row { record, text: to_text(record, header)?, problems: Vec::new() })
}

/// Returns what a record says of the month it is billed in; nothing, where it is not as it should be.
pub(super) fn read_billed_month(
    record: &Record,
    header: &Header,
    rows: &dyn ReadRow,
) -> Option<(String, BillingPeriod)> {
    check_shape(record, header).ok()?;
    let text = to_text(record, header).ok()?;
    rows.billed_month(&mut Row { record, text, problems: Vec::new() })
}

fn check_shape(record: &Record, header: &Header) -> Result<(), Vec<Problem>> {
    let (fields, expected) = (record.field_count(), header.column_count());
    if fields == expected {
        return Ok(());
    }
    let rule = format!("the row has {fields} fields, the header {expected}");
    let first_extra = record.field(expected).map(String::from_utf8_lossy);
    Err(vec![Problem::new(record.line(), header.written(fields), first_extra.as_deref(), rule)])
}

/// Checks the encoding once per row; a field is named only when there is something to say.
fn to_text<'a>(record: &'a Record, header: &Header) -> Result<&'a str, Vec<Problem>> {
    let problem = |at: usize, rule: &str| {
        let value = record.field(at).map(String::from_utf8_lossy);
        Problem::new(record.line(), header.written(at), value.as_deref(), rule)
    };
    let bad_fields =
        |is_bad: fn(&[u8]) -> bool| (0..record.field_count()).filter(move |&at| record.field(at).is_some_and(is_bad));
    let Ok(text) = std::str::from_utf8(record.bytes()) else {
        let bad = bad_fields(|field| std::str::from_utf8(field).is_err());
        return Err(bad.map(|at| problem(at, "not UTF-8; save the file as UTF-8")).collect());
    };
    // The least byte is found many bytes at a time; a search for the first NUL, which is all but never there, is not.
    if record.bytes().iter().fold(u8::MAX, |least, byte| least.min(*byte)) == 0 {
        let bad = bad_fields(|field| field.contains(&0));
        return Err(bad.map(|at| problem(at, "holds a NUL character")).collect());
    }
    Ok(text)
}

impl<'a> Row<'a> {
    /// Returns what stands in a column; `None` where that is null or the file has no such column.
    pub fn value(&self, column: &Column) -> Option<&'a str> {
        let field = self.text.get(self.record.range(column.position()?)?)?;
        let is_null = match field.as_bytes() {
            [b'N', ..] => field == "NULL",
            // Most fields say at their first byte that they are not blank.
            [b'!'..=b'~', ..] => false,
            _ => field.trim().is_empty(),
        };
        (!is_null).then_some(field)
    }

    /// Returns how long the row is, without what separates its fields.
    pub fn size_bytes(&self) -> usize {
        self.text.len()
    }

    /// Returns a copy of [`Self::value`].
    pub fn owned(&self, column: &Column) -> Option<String> {
        self.value(column).map(str::to_owned)
    }

    /// Returns columns by name, as a charge keeps those outside FOCUS; null ones are left out.
    pub fn x_columns(&self, columns: &[Column]) -> Vec<(String, String)> {
        columns.iter().filter_map(|column| Some((column.name().to_owned(), self.owned(column)?))).collect()
    }

    /// Says that what stands in a column breaks a rule; the row is then refused.
    pub fn refuse(&mut self, column: &Column, rule: &str) {
        let value = self.value(column);
        self.problems.push(Problem::new(self.record.line(), Some(column.name()), value, rule));
    }

    /// Returns what must not be null.
    pub fn required(&mut self, column: &Column) -> Option<&'a str> {
        let value = self.value(column);
        if value.is_none() {
            self.refuse(column, NULL);
        }
        value
    }

    /// Refuses an id that is too long to be looked up by.
    pub fn check_id(&mut self, column: &Column) {
        if self.value(column).is_some_and(|value| value.len() > MAX_ID_BYTES) {
            self.refuse(column, &format!("longer than {MAX_ID_BYTES} bytes"));
        }
    }

    /// Reads what must be there, or refuses it by a rule.
    pub fn parsed<T>(&mut self, column: &Column, parse: impl FnOnce(&str) -> Option<T>, rule: &str) -> Option<T> {
        let parsed = parse(self.required(column)?);
        if parsed.is_none() {
            self.refuse(column, rule);
        }
        parsed
    }

    /// Reads the currency, which must be there.
    pub fn currency(&mut self, column: &Column) -> Option<Currency> {
        self.parsed(column, |code| code.parse().ok(), NOT_A_CURRENCY)
    }

    /// Reads a number exactly; `None` where it is null or was refused.
    pub fn decimal(&mut self, column: &Column) -> Option<BigDecimal> {
        let parsed = parse_decimal(self.value(column)?).ok();
        if parsed.is_none() {
            self.refuse(column, NOT_A_DECIMAL);
        }
        parsed
    }

    /// Reads an instant of ISO 8601, which must be there; without an offset it is UTC.
    pub fn instant(&mut self, column: &Column) -> Option<DateTime<Utc>> {
        self.parsed(column, parse_timestamp, NOT_AN_INSTANT)
    }

    /// Reads the start and the exclusive end of a charge.
    pub fn charge_period(&mut self, start: &Column, end: &Column) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let (from, to) = (self.instant(start), self.instant(end));
        let (from, to) = (from?, to?);
        if to < from {
            self.refuse(end, &format!("must not be before {}, {from}", start.name()));
        }
        Some((from, to))
    }

    /// Reads a billing period from two instants, the second of them exclusive; it is made of their dates in UTC.
    pub fn billing_period(&mut self, start: &Column, end: &Column) -> Option<BillingPeriod> {
        let (from, to) = (self.instant(start), self.instant(end));
        self.billing_period_of((start, from?.date_naive()), (end, to?.date_naive()))
    }

    /// Makes a billing period of two dates, the second of them exclusive, and checks it; each with its column.
    pub fn billing_period_of(
        &mut self,
        (start, from): (&Column, NaiveDate),
        (end, to): (&Column, NaiveDate),
    ) -> Option<BillingPeriod> {
        for (column, date) in [(start, from), (end, to)] {
            if !YEARS.contains(&date.year()) {
                self.refuse(column, &format!("lies outside the years {} to {}", YEARS.start(), YEARS.end()));
                return None;
            }
        }
        let period = BillingPeriod::new(from, to).ok();
        if period.is_none() {
            self.refuse(end, &format!("must be after {}, {from}", start.name()));
        }
        period
    }
}
