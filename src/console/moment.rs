//! Instants, ages and counts, as pages write them: UTC, with the exact instant for machines.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};

/// Writes an instant to the second.
pub fn instant(at: DateTime<Utc>) -> Markup {
    html! { time datetime=(at.to_rfc3339_opts(SecondsFormat::Millis, true)) { (at.format("%F %T")) } }
}

/// Writes an age by its two largest units, such as `2h 5m`.
pub fn age(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    if whole == 0 {
        return if seconds > 0.0 { "under 1s".to_owned() } else { "0s".to_owned() };
    }
    let units = [(whole / 86_400, "d"), (whole / 3600 % 24, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")];
    let from = units.iter().position(|(count, _)| *count > 0).unwrap_or_default();
    let shown = units.iter().skip(from).take(2).filter(|(count, _)| *count > 0);
    shown.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

/// Writes a number with a comma between thousands.
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let sign = if number < 0 { "-" } else { "" };
    let mut written = String::from(sign);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_by_their_two_largest_units() {
        for (seconds, text) in [
            (0.0, "0s"),
            (0.4, "under 1s"),
            (59.9, "59s"),
            (60.0, "1m"),
            (7505.0, "2h 5m"),
            (90_000.0, "1d 1h"),
            (86_405.0, "1d"),
            (-3.0, "0s"),
        ] {
            assert_eq!(age(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")] {
            assert_eq!(count(number), text);
        }
    }
}
