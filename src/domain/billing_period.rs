//! A provider's billing period: start and exclusive end, dates in UTC.

use std::{borrow::Cow, fmt, str::FromStr};

use chrono::{Datelike, Months, NaiveDate};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How a period is written; that its days exist and follow each other is checked beside it.
const PATTERN: &str = "^[12][0-9]{3}-(0[1-9]|1[0-2])\
    (-(0[1-9]|[12][0-9]|3[01])/[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?$";

/// A span of days with an exclusive end. Shown as `2026-08` where it is a calendar month, else as `2026-08-05/2026-09-05`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillingPeriod {
    start: NaiveDate,
    end: NaiveDate,
}

impl BillingPeriod {
    /// Makes a period from its first day and the day after its last.
    ///
    /// # Errors
    /// When it would not hold a single day.
    pub fn new(start: NaiveDate, end: NaiveDate) -> Result<Self, NotABillingPeriod> {
        if end > start { Ok(Self { start, end }) } else { Err(NotABillingPeriod(format!("{start}/{end}"))) }
    }

    /// Returns the first day.
    pub fn start(self) -> NaiveDate {
        self.start
    }

    /// Returns the day after the last one (FOCUS: `BillingPeriodEnd` is exclusive).
    pub fn end(self) -> NaiveDate {
        self.end
    }

    /// Returns the last day.
    pub fn last_day(self) -> NaiveDate {
        self.end.pred_opt().unwrap_or(self.start)
    }

    fn calendar_month(start: NaiveDate) -> Option<Self> {
        let end = start.checked_add_months(Months::new(1))?;
        (start.day() == 1).then_some(Self { start, end })
    }
}

/// Says that a text is no billing period.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a billing period; write a month such as 2026-08, or first day and exclusive end such as 2026-08-05/2026-09-05"
)]
pub struct NotABillingPeriod(String);

impl fmt::Display for BillingPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if Self::calendar_month(self.start) == Some(*self) {
            f.pad(&self.start.format("%Y-%m").to_string())
        } else {
            f.pad(&format!("{}/{}", self.start, self.end))
        }
    }
}

impl FromStr for BillingPeriod {
    type Err = NotABillingPeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotABillingPeriod(text.chars().take(40).collect());
        let date = |text: &str| read_date(text).filter(|date| (1000..3000).contains(&date.year()));
        match text.split_once('/') {
            Some((start, end)) => {
                Self::new(date(start).ok_or_else(refused)?, date(end).ok_or_else(refused)?).map_err(|_| refused())
            }
            None => date(&format!("{text}-01")).and_then(Self::calendar_month).ok_or_else(refused),
        }
    }
}

/// Reads `2026-08-05` and no other way of writing it, such as `2026-8-5`.
fn read_date(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|date| date.to_string() == text)
}

impl JsonSchema for BillingPeriod {
    fn schema_name() -> Cow<'static, str> {
        "BillingPeriod".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "billing-period", "pattern": PATTERN })
    }
}

impl Serialize for BillingPeriod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BillingPeriod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_reads_back_as_it_is_shown() {
        for text in ["2026-08", "2026-12", "2026-08-05/2026-09-05"] {
            assert_eq!(text.parse::<BillingPeriod>().map(|period| period.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn its_end_is_exclusive() {
        let august: BillingPeriod = "2026-08".parse().expect("a month");
        assert_eq!(august.end().to_string(), "2026-09-01");
        assert_eq!(august.last_day().to_string(), "2026-08-31");
    }

    #[test]
    fn an_empty_or_unreadable_period_is_refused() {
        for text in [
            "2026-13",
            "2026",
            "2026-08-05/2026-08-05",
            "2026-08-05/2026-08-01",
            "august",
            "2026-08-05/",
            "2026-8",
            "2026-02-30/2026-03-05",
            "0026-08",
            "+2026-08",
            " 2026-08",
            "2026-08-05/2026-9-5",
        ] {
            assert!(text.parse::<BillingPeriod>().is_err(), "{text} was read");
        }
    }
}
