//! Reads dates as Microsoft's cost files write them: `9/2/2023` and `09/22/2023`, month first, or ISO 8601.
//!
//! Month first is what Cost Management and Partner Center export in every language
//! (learn.microsoft.com/azure/cost-management-billing/dataset-schema). A time behind the date is left out: charges are by
//! the day, and an end of `23:59` is that day's.

use chrono::{Days, NaiveDate};

use super::reading::{Column, Row, parse_timestamp};

const NOT_A_DATE: &str = "not a date; write month/day/year such as 9/22/2026, or 2026-09-22";

/// Reads a date that must be there.
pub fn required_date(row: &mut Row<'_>, column: &Column) -> Option<NaiveDate> {
    row.required(column)?;
    date(row, column)
}

/// Reads a date; `None` where it is null or was refused.
pub fn date(row: &mut Row<'_>, column: &Column) -> Option<NaiveDate> {
    let parsed = parse_date(row.value(column)?);
    if parsed.is_none() {
        row.refuse(column, NOT_A_DATE);
    }
    parsed
}

/// Returns the day after one that Microsoft counts in.
pub fn day_after(last: NaiveDate) -> NaiveDate {
    last.checked_add_days(Days::new(1)).unwrap_or(last)
}

fn parse_date(text: &str) -> Option<NaiveDate> {
    let text = text.trim();
    if !text.contains('/') {
        return parse_timestamp(text).map(|instant| instant.date_naive());
    }
    let (date, clock) = text.split_once(' ').unwrap_or((text, ""));
    let is_clock = |character: char| character.is_ascii_digit() || matches!(character, ':' | ' ' | 'A' | 'P' | 'M');
    let mut parts = date.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !clock.chars().all(is_clock) || year.len() != 4 {
        return None;
    }
    NaiveDate::from_ymd_opt(i32::try_from(digits(year)?).ok()?, digits(month)?, digits(day)?)
}

fn digits(text: &str) -> Option<u32> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_microsoft_writes_a_date_is_read_month_first() {
        for text in
            ["9/2/2023", "09/02/2023", "2023-09-02", "2023-09-02T00:00:00Z", "9/2/2023 23:59", "9/2/2023 12:00:00 AM"]
        {
            assert_eq!(parse_date(text), NaiveDate::from_ymd_opt(2023, 9, 2), "{text}");
        }
    }

    #[test]
    fn a_date_that_needs_guessing_is_refused() {
        for text in [
            "",
            "22/9/2023",
            "2/30/2023",
            "9/2/23",
            "9/2",
            "9/2/2023/1",
            "2.9.2023",
            "9/2/+023",
            "20230902",
            "9-2-2023",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}
