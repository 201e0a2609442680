//! Numbers, amounts and dates as a locale writes them, from CLDR: numbers and dates by way of ICU4X, the places of
//! currency codes and percent signs from `cldr_patterns.rs`.
//!
//! All are in Latin digits, also where CLDR has others for a country (`ar-EG`): invoice numbers, tax numbers, account
//! ids and the CSV files are, and one document has one kind of digits.

use bigdecimal::{BigDecimal, RoundingMode, Signed};
use chrono::{Datelike, NaiveDate};
use icu_calendar::{Date, Gregorian};
use icu_datetime::{
    FixedCalendarDateTimeFormatter,
    fieldsets::{YM, YMD},
};
use icu_decimal::{DecimalFormatter, input::Decimal};
use icu_locale_core::Locale;
use icu_plurals::{PluralCategory, PluralRules};
use unic_langid::LanguageIdentifier;

use super::{
    LanguageError,
    cldr_patterns::{MARKS_OF_AMOUNTS, PATTERNS, Patterns},
};

/// Asks for Latin digits, as Unicode's extension of BCP 47 writes it.
const LATIN_DIGITS: &str = "u-nu-latn";

/// The formatters of one locale, region included: `es-MX` has a decimal point, `en-GB` the day first.
pub struct Formats {
    decimal: DecimalFormatter,
    date: FixedCalendarDateTimeFormatter<Gregorian, YMD>,
    month: FixedCalendarDateTimeFormatter<Gregorian, YM>,
    plurals: PluralRules,
    patterns: &'static Patterns,
    /// The mark of numbers and the one that stands for it in amounts.
    mark_of_amounts: Option<(&'static str, &'static str)>,
}

impl Formats {
    /// Loads a locale's formatters from the data compiled in; unknown regions fall back to their language.
    pub fn new(locale: &str) -> Result<Self, LanguageError> {
        let refused = |problem: String| LanguageError::NoFormats { locale: locale.to_owned(), problem };
        let parsed: Locale = format!("{locale}-{LATIN_DIGITS}").parse().map_err(|error| refused(format!("{error}")))?;
        let identifier: LanguageIdentifier = locale.parse().map_err(|error| refused(format!("{error}")))?;
        let month_locale = month_locale(&parsed);
        let mark = MARKS_OF_AMOUNTS.iter().find(|(tag, ..)| *tag == locale);
        Ok(Self {
            decimal: DecimalFormatter::try_new((&parsed).into(), <_>::default())
                .map_err(|error| refused(error.to_string()))?,
            date: FixedCalendarDateTimeFormatter::try_new((&parsed).into(), YMD::long())
                .map_err(|error| refused(error.to_string()))?,
            month: FixedCalendarDateTimeFormatter::try_new((&month_locale).into(), YM::long())
                .map_err(|error| refused(error.to_string()))?,
            plurals: PluralRules::try_new_cardinal((&parsed).into()).map_err(|error| refused(error.to_string()))?,
            patterns: patterns_of(&identifier).ok_or_else(|| refused("no patterns at all".to_owned()))?,
            mark_of_amounts: mark.map(|(_, plain, of_amounts)| (*plain, *of_amounts)),
        })
    }

    /// Writes a number with a fixed count of decimals, half-up.
    pub fn decimal(&self, value: &BigDecimal, decimals: i64) -> String {
        let plain = value.with_scale_round(decimals, RoundingMode::HalfUp).to_plain_string();
        // ICU4X refuses only numbers of more than 32,767 digits; those keep their plain digits.
        Decimal::try_from_str(&plain).map_or(plain, |decimal| self.decimal.format(&decimal).to_string())
    }

    /// Writes an amount without its currency: `12.345,60`.
    pub fn amount(&self, value: &BigDecimal, decimals: i64) -> String {
        let written = self.decimal(value, decimals);
        self.mark_of_amounts.map_or_else(|| written.clone(), |(plain, of_amounts)| written.replace(plain, of_amounts))
    }

    /// Writes an amount with a currency's code: `12.345,60 EUR`, `EUR 12,345.60`.
    pub fn money(&self, value: &BigDecimal, decimals: i64, code: &str) -> String {
        let rounded = value.with_scale_round(decimals, RoundingMode::HalfUp);
        let pattern = if rounded.is_negative() { self.patterns.negative } else { self.patterns.amount };
        fill(pattern, &self.amount(&rounded.abs(), decimals), code)
    }

    /// Writes a percentage: `5.5%`, `5,5 %`.
    pub fn percent(&self, percentage: &BigDecimal, decimals: i64) -> String {
        fill(self.patterns.percent, &self.decimal(percentage, decimals), "")
    }

    /// Returns CLDR's name of the form that goes with a count.
    pub fn plural(&self, count: i64) -> &'static str {
        match self.plurals.category_for(count.unsigned_abs()) {
            PluralCategory::Zero => "zero",
            PluralCategory::One => "one",
            PluralCategory::Two => "two",
            PluralCategory::Few => "few",
            PluralCategory::Many => "many",
            PluralCategory::Other => "other",
        }
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

/// Returns the locale whose pattern of months is used: of Portuguese that of Portugal, which is the same. In Brazil's
/// ICU4X 2.4 has the year of the week (`MMMM 'de' Y`), which it cannot format: it panics where debug assertions are on.
fn month_locale(locale: &Locale) -> Locale {
    let mut of_months = locale.clone();
    if of_months.id.language.as_str() == "pt" {
        of_months.id.region = "PT".parse().ok();
    }
    of_months
}

/// Finds what a locale does: itself, without its region, without its script, its language; else what CLDR's root does.
fn patterns_of(locale: &LanguageIdentifier) -> Option<&'static Patterns> {
    let (language, script, region) = (locale.language, locale.script, locale.region);
    let tags = [(script, region), (script, None), (None, region), (None, None)]
        .map(|(script, region)| LanguageIdentifier::from_parts(language, script, region, &[]).to_string());
    let of_tag = |tag: &String| PATTERNS.iter().find(|patterns| patterns.tags.split(' ').any(|one| one == tag));
    tags.iter().find_map(of_tag).or(PATTERNS.first())
}

/// Puts number and code where a pattern has `n` and `¤`.
fn fill(pattern: &str, number: &str, code: &str) -> String {
    let mut written = String::with_capacity(pattern.len() + number.len() + code.len());
    for c in pattern.chars() {
        match c {
            'n' => written.push_str(number),
            '¤' => written.push_str(code),
            _ => written.push(c),
        }
    }
    written
}

/// `None` only for years that ICU4X does not know, such as 200000.
fn to_gregorian(date: NaiveDate) -> Option<Date<Gregorian>> {
    let (month, day) = (u8::try_from(date.month()).ok()?, u8::try_from(date.day()).ok()?);
    Date::try_new_gregorian(date.year(), month, day).ok()
}
