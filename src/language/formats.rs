//! Numbers and dates as a locale writes them, from CLDR by way of ICU4X.

use bigdecimal::{BigDecimal, RoundingMode};
use chrono::{Datelike, NaiveDate};
use icu_calendar::{Date, Gregorian};
use icu_datetime::{
    FixedCalendarDateTimeFormatter,
    fieldsets::{YM, YMD},
};
use icu_decimal::{DecimalFormatter, input::Decimal};
use icu_locale_core::Locale;

use super::LanguageError;

/// The formatters of one locale, region included: `es-MX` has a decimal point, `en-GB` the day first.
pub struct Formats {
    decimal: DecimalFormatter,
    date: FixedCalendarDateTimeFormatter<Gregorian, YMD>,
    month: FixedCalendarDateTimeFormatter<Gregorian, YM>,
}

impl Formats {
    /// Loads a locale's formatters from the data compiled in; unknown regions fall back to their language.
    pub fn new(locale: &str) -> Result<Self, LanguageError> {
        let refused = |problem: String| LanguageError::NoFormats { locale: locale.to_owned(), problem };
        let parsed: Locale = locale.parse().map_err(|error| refused(format!("{error}")))?;
        Ok(Self {
            decimal: DecimalFormatter::try_new((&parsed).into(), <_>::default())
                .map_err(|error| refused(error.to_string()))?,
            date: FixedCalendarDateTimeFormatter::try_new((&parsed).into(), YMD::long())
                .map_err(|error| refused(error.to_string()))?,
            month: FixedCalendarDateTimeFormatter::try_new((&parsed).into(), YM::long())
                .map_err(|error| refused(error.to_string()))?,
        })
    }

    /// Writes a number with a fixed count of decimals, half-up.
    pub fn decimal(&self, value: &BigDecimal, decimals: i64) -> String {
        let plain = value.with_scale_round(decimals, RoundingMode::HalfUp).to_plain_string();
        // ICU4X refuses only numbers of more than 32,767 digits; those keep their plain digits.
        Decimal::try_from_str(&plain).map_or(plain, |decimal| self.decimal.format(&decimal).to_string())
    }

    /// Writes a day: `31 de agosto de 2026`.
    pub fn date(&self, date: NaiveDate) -> String {
        to_gregorian(date).map_or_else(|| date.to_string(), |date| self.date.format(&date).to_string())
    }

    /// Writes the month a day lies in: `agosto de 2026`.
    pub fn month(&self, date: NaiveDate) -> String {
        to_gregorian(date).map_or_else(|| date.format("%Y-%m").to_string(), |date| self.month.format(&date).to_string())
    }
}

/// `None` only for years that ICU4X does not know, such as 200000.
fn to_gregorian(date: NaiveDate) -> Option<Date<Gregorian>> {
    let (month, day) = (u8::try_from(date.month()).ok()?, u8::try_from(date.day()).ok()?);
    Date::try_new_gregorian(date.year(), month, day).ok()
}
