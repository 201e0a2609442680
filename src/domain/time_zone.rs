//! A time zone by its IANA name, such as `Europe/Madrid`: turns instants into the days that a customer knows them by.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A time zone of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeZone(Tz);

impl TimeZone {
    /// Coordinated universal time, where no zone is set.
    pub const UTC: Self = Self(Tz::UTC);

    /// Returns the day that an instant is part of there.
    pub fn day_of(self, instant: DateTime<Utc>) -> NaiveDate {
        instant.with_timezone(&self.0).date_naive()
    }
}

/// Says that a text names no time zone.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an IANA time zone; write one such as Europe/Madrid")]
pub struct NotATimeZone(String);

impl FromStr for TimeZone {
    type Err = NotATimeZone;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| NotATimeZone(text.chars().take(40).collect()))
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.name())
    }
}

impl Serialize for TimeZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_another_day_elsewhere() {
        let instant = "2026-09-02T22:30:00Z".parse().expect("an instant");
        let day = |zone: &str| zone.parse::<TimeZone>().map(|zone| zone.day_of(instant).to_string());
        assert_eq!(day("UTC"), Ok("2026-09-02".to_owned()));
        assert_eq!(day("Europe/Madrid"), Ok("2026-09-03".to_owned()));
        assert_eq!(
            day("Madrid").map_err(|error| error.to_string()),
            Err("`Madrid` is not an IANA time zone; write one such as Europe/Madrid".to_owned())
        );
    }
}
