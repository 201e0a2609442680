//! A schedule's payload, in which some values are filled in at the tick.
//!
//! A string value that begins with `$` is a variable; there is no way to say a literal one, and none is needed: payloads
//! are ids and enums.

use chrono::{DateTime, Datelike, Months, NaiveDate, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde_json::Value;

/// Says that a payload names a variable that does not exist.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown variable `{0}` in the payload; known: $previous_month, $this_month, $tick")]
pub struct UnknownVariable(String);

/// Replaces `$previous_month` and `$this_month` (`2026-08`, in the schedule's zone) and `$tick` (RFC 3339, UTC).
///
/// # Errors
/// [`UnknownVariable`] for any other string value that begins with `$`.
pub fn render(template: &Value, tick: DateTime<Utc>, time_zone: Tz) -> Result<Value, UnknownVariable> {
    match template {
        Value::String(text) if text.starts_with('$') => variable(text, tick, time_zone).map(Value::String),
        Value::Array(values) => {
            let rendered: Result<Vec<_>, _> = values.iter().map(|value| render(value, tick, time_zone)).collect();
            rendered.map(Value::Array)
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| Ok((name.clone(), render(value, tick, time_zone)?));
            fields.iter().map(field).collect::<Result<_, _>>().map(Value::Object)
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Ok(template.clone()),
    }
}

fn variable(text: &str, tick: DateTime<Utc>, time_zone: Tz) -> Result<String, UnknownVariable> {
    let today = tick.with_timezone(&time_zone).date_naive();
    let month = |day: NaiveDate| format!("{:04}-{:02}", day.year(), day.month());
    match text {
        // A day that month does not have becomes its last.
        "$previous_month" => Ok(month(today - Months::new(1))),
        "$this_month" => Ok(month(today)),
        "$tick" => Ok(tick.to_rfc3339_opts(SecondsFormat::Secs, true)),
        unknown => Err(UnknownVariable(unknown.chars().filter(|c| !c.is_control()).take(60).collect())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(instant: &str) -> DateTime<Utc> {
        instant.parse().expect("an instant")
    }

    #[test]
    fn variables_are_filled_in_wherever_they_stand_and_in_the_schedules_zone() {
        let template =
            json!({ "period": "$previous_month", "list": ["$this_month", 1, null], "in": { "run": "$tick" } });
        let tick = at("2026-01-01T03:00:00Z");
        let rendered = |zone: &str| render(&template, tick, zone.parse().expect("a zone")).expect("rendered");
        let expected =
            json!({ "period": "2025-12", "list": ["2026-01", 1, null], "in": { "run": "2026-01-01T03:00:00Z" } });
        assert_eq!(rendered("UTC"), expected);
        assert_eq!(rendered("America/Los_Angeles")["period"], "2025-11", "it is still December there");
        let last_day = render(&json!("$previous_month"), at("2026-03-31T12:00:00Z"), Tz::UTC);
        assert_eq!(last_day, Ok(json!("2026-02")), "February has no 31st");
    }

    #[test]
    fn what_looks_like_a_variable_and_is_none_is_refused_by_name() {
        for text in ["$next_month", "$", "$TICK", "$tick ", "$tick\u{0}"] {
            let refused =
                render(&json!([text]), at("2026-01-01T00:00:00Z"), Tz::UTC).map_err(|error| error.to_string());
            assert!(refused.is_err_and(|error| error.starts_with("unknown variable `$")), "{text} was taken");
        }
        let kept = json!({ "$tick": "a name is no value", "price": "US$5" });
        assert_eq!(render(&kept, at("2026-01-01T00:00:00Z"), Tz::UTC), Ok(kept));
    }
}
