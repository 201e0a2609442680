//! Reads instants as exports write them: ISO 8601 with or without `T`, `Z`, offset, fraction and seconds.
//!
//! FOCUS 1.2, "Date/Time Format", asks for `2024-09-01T00:00:00Z`; databases export `2024-09-01 00:00:00` and `BigQuery`
//! `2024-09-01 00:00:00 UTC`. Without an offset an instant is UTC. Orders other than year, month, day are refused.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};

/// Digits of a fraction that count; Postgres keeps microseconds.
const FRACTION_DIGITS: usize = 6;
/// Years that ISO 8601 writes with four digits and that both chrono and Postgres read alike.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// Reads an instant; `None` where that would need guessing.
pub fn parse_timestamp(text: &str) -> Option<DateTime<Utc>> {
    let (date, clock) = text.split_at_checked(10)?;
    let date = parse_date(date)?;
    if clock.is_empty() {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc());
    }
    let clock = clock.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = split_offset(clock)?;
    let (clock, micros) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, parse_fraction(fraction)?),
        None => (clock, 0),
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (two_digits(parts.next()?)?, two_digits(parts.next()?)?);
    let second = parts.next().map_or(Some(0), two_digits)?;
    if parts.next().is_some() {
        return None;
    }
    let instant = date.and_hms_micro_opt(hour, minute, second, micros)?.checked_sub_signed(offset)?;
    YEARS.contains(&instant.year()).then(|| instant.and_utc())
}

fn parse_date(text: &str) -> Option<NaiveDate> {
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day) = rest.strip_prefix('-')?.split_once('-')?;
    let century = two_digits(year.get(..2)?)?;
    let year = century * 100 + two_digits(year.get(2..)?)?;
    let year = i32::try_from(year).ok().filter(|year| YEARS.contains(year))?;
    NaiveDate::from_ymd_opt(year, two_digits(month)?, two_digits(day)?)
}

/// Cuts off `Z`, ` UTC`, `+02`, `+0200` or `+02:00`.
fn split_offset(clock: &str) -> Option<(&str, TimeDelta)> {
    if let Some(clock) = clock.strip_suffix(['Z', 'z']).or_else(|| clock.strip_suffix(" UTC")) {
        return Some((clock, TimeDelta::zero()));
    }
    let Some(at) = clock.rfind(['+', '-']) else { return Some((clock, TimeDelta::zero())) };
    let (clock, offset) = clock.split_at_checked(at)?;
    let (sign, offset) = offset.split_at_checked(1)?;
    let (hours, minutes) = offset.split_at_checked(2)?;
    let minutes = match minutes.strip_prefix(':').unwrap_or(minutes) {
        "" => 0,
        minutes => two_digits(minutes)?,
    };
    let hours = two_digits(hours)?;
    if hours > 18 || minutes > 59 {
        return None;
    }
    let offset = TimeDelta::minutes(i64::from(hours * 60 + minutes));
    Some((clock.trim_end(), if sign == "-" { -offset } else { offset }))
}

fn two_digits(text: &str) -> Option<u32> {
    match text.as_bytes() {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some(u32::from(tens - b'0') * 10 + u32::from(ones - b'0')),
        _ => None,
    }
}

fn parse_fraction(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = text.bytes().chain(std::iter::repeat(b'0')).take(FRACTION_DIGITS);
    Some(digits.fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_exports_write_an_instant_is_read_as_utc() {
        for (text, instant) in [
            ("2024-09-01T00:00:00Z", "2024-09-01 00:00:00 UTC"),
            ("2024-09-01 00:00:00", "2024-09-01 00:00:00 UTC"),
            ("2024-09-01T13:45", "2024-09-01 13:45:00 UTC"),
            ("2024-09-01T13:45Z", "2024-09-01 13:45:00 UTC"),
            ("2024-09-01", "2024-09-01 00:00:00 UTC"),
            ("2024-09-01 23:59:59.999 UTC", "2024-09-01 23:59:59.999 UTC"),
            ("2024-09-01T00:00:00.0000000Z", "2024-09-01 00:00:00 UTC"),
            ("2024-09-01T00:00:00+02:00", "2024-08-31 22:00:00 UTC"),
            ("2024-09-01 00:00:00-0530", "2024-09-01 05:30:00 UTC"),
            ("2024-09-01 00:00:00+00", "2024-09-01 00:00:00 UTC"),
        ] {
            let read = parse_timestamp(text).map(|read| read.to_string());
            assert_eq!(read.as_deref(), Some(instant), "{text}");
        }
    }

    #[test]
    fn anything_that_needs_guessing_is_refused() {
        for text in [
            "",
            "0000-01-01",
            "0001-01-01T00:00:00+01",
            "9999-12-31T23:00:00-02",
            "9/1/2024",
            "01-09-2024",
            "2024-9-1",
            "2024-13-01",
            "2024-02-30",
            "20240901",
            "2024-09-01T",
            "2024-09-01T24:00:00Z",
            "2024-09-01T00:00:60Z",
            "2024-09-01T00:00:00.Z",
            "2024-09-01T00:00:00+2",
            "2024-09-01T00:00:00 CET",
            "2024-09-01T00:00:00:00",
            "2024-09-01X00:00:00",
            "+024-09-01",
            "2024-09-0é",
            "２０２４-09-01",
            " 2024-09-01",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
