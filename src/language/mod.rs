//! Texts, numbers and dates in the customer's language; mails and documents share them, so that they cannot disagree.
//!
//! Texts come from `email-templates/locales/<tag>.ftl`, embedded at compile time; numbers and dates from CLDR. A tag
//! without a catalogue is answered in English, formats included: a text and the numbers in it are of one language.
//! A text that does not exist, or is asked for without its arguments, is an error, never a hole in a document.

mod catalogue;
mod formats;

use std::{fmt, sync::Arc};

use bigdecimal::BigDecimal;
use chrono::{Datelike, NaiveDate};
use fluent_bundle::{FluentArgs, FluentError};

use self::{catalogue::Catalogue, formats::Formats};
use crate::domain::{billing_period::BillingPeriod, language_tag::LanguageTag, money::Currency};

/// Keeps amount and currency code on one line.
const NO_BREAK_SPACE: char = '\u{a0}';

/// A language to write in: its texts and the formats of its region. Cheap to clone.
#[derive(Clone)]
pub struct Language(Arc<Inner>);

struct Inner {
    catalogue: &'static Catalogue,
    locale: String,
    formats: Formats,
}

/// Fills a place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument<'a> {
    /// Printed as it is.
    Text(&'a str),
    /// Chooses the plural form as `$name`, and is printed, formatted, as `$name_formatted`.
    Count(i64),
}

impl<'a> From<&'a str> for Argument<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Argument<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Argument<'_> {
    fn from(count: i64) -> Self {
        Self::Count(count)
    }
}

/// Says why something cannot be written in a language; always a mistake in this program, never in its data.
#[derive(Debug, thiserror::Error)]
pub enum LanguageError {
    /// A key that no catalogue has.
    #[error("no text `{key}` in {language}; add it to each file in email-templates/locales")]
    MissingText {
        /// What was asked for.
        key: String,
        /// The catalogue that lacks it.
        language: &'static str,
    },
    /// A text that names an argument it was not given.
    #[error("text `{key}` in {language} cannot be filled in; give it every argument it names")]
    Argument {
        /// What was asked for.
        key: String,
        /// The catalogue it is in.
        language: &'static str,
        /// Which argument.
        source: FluentError,
    },
    /// CLDR data that was not compiled in.
    #[error("no number and date formats for `{locale}`: {problem}")]
    NoFormats {
        /// The locale.
        locale: String,
        /// What ICU4X says.
        problem: String,
    },
    /// A program built without a single catalogue.
    #[error("no language is built in; list one in src/language/catalogue.rs")]
    NoCatalogue,
}

impl Language {
    /// Finds the language for a tag, by RFC 4647 lookup (`es-MX`, then `es`), else English.
    ///
    /// # Errors
    /// When the program was built without the data it needs; the tests load every language.
    pub fn for_tag(tag: &LanguageTag) -> Result<Self, LanguageError> {
        let (catalogue, locale) = match catalogue::lookup(tag) {
            Some(found) => (found, tag.to_string()),
            None => catalogue::fallback().map(|english| (english, english.tag.to_owned()))?,
        };
        Ok(Self(Arc::new(Inner { catalogue, formats: Formats::new(&locale)?, locale })))
    }

    /// Returns the tags of all languages there are texts for.
    pub fn supported() -> impl Iterator<Item = &'static str> {
        catalogue::supported().into_iter()
    }

    /// Returns the tag of the texts: `es`, also for `es-MX`.
    pub fn tag(&self) -> &'static str {
        self.0.catalogue.tag
    }

    /// Returns the tag that numbers and dates follow: `es-MX`.
    pub fn locale(&self) -> &str {
        &self.0.locale
    }

    /// Returns a text without arguments.
    ///
    /// # Errors
    /// When there is no such text, or it names arguments.
    pub fn text(&self, key: &str) -> Result<String, LanguageError> {
        self.0.catalogue.text(key, &FluentArgs::new())
    }

    /// Returns a text with its arguments filled in: `text_with("document-charge-count", &[("count", 3.into())])`.
    ///
    /// # Errors
    /// When there is no such text, or it names an argument that is not given.
    pub fn text_with(&self, key: &str, arguments: &[(&str, Argument<'_>)]) -> Result<String, LanguageError> {
        let mut filled = FluentArgs::new();
        for (name, argument) in arguments {
            match argument {
                Argument::Text(text) => filled.set(*name, *text),
                Argument::Count(count) => {
                    filled.set(*name, *count);
                    filled.set(format!("{name}_formatted"), self.decimal(&BigDecimal::from(*count), 0));
                }
            }
        }
        self.0.catalogue.text(key, &filled)
    }

    /// Writes a number with a fixed count of decimals, half-up: `1.234.567,89`.
    ///
    /// Grouping follows CLDR, so that `es` writes `1234,50` but `12.345,60`.
    pub fn decimal(&self, value: &BigDecimal, decimals: i64) -> String {
        self.0.formats.decimal(value, decimals)
    }

    /// Writes an amount with the currency's decimals and ISO 4217 code, which no other currency shares: `12.345,60 EUR`.
    pub fn money(&self, amount: &BigDecimal, currency: Currency) -> String {
        format!("{}{NO_BREAK_SPACE}{currency}", self.decimal(amount, currency.minor_units()))
    }

    /// Writes a share as a percentage with the decimals it has: `0.125` as `12.5%`.
    pub fn percent(&self, share: &BigDecimal) -> String {
        let percentage = (share * BigDecimal::from(100)).normalized();
        let decimals = percentage.fractional_digit_count().max(0);
        format!("{}{}", self.decimal(&percentage, decimals), self.0.catalogue.percent_sign)
    }

    /// Writes a day in full: `31 de agosto de 2026`.
    pub fn date(&self, date: NaiveDate) -> String {
        self.0.formats.date(date)
    }

    /// Writes the month that a day lies in: `agosto de 2026`.
    pub fn month(&self, date: NaiveDate) -> String {
        self.0.formats.month(date)
    }

    /// Writes a calendar month as such, any other period as first and last day.
    pub fn billing_period(&self, period: BillingPeriod) -> String {
        let next_month = period.start().checked_add_months(chrono::Months::new(1));
        if period.start().day() == 1 && next_month == Some(period.end()) {
            self.month(period.start())
        } else {
            format!("{} – {}", self.date(period.start()), self.date(period.last_day()))
        }
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Language").field(&self.0.locale).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(tag: &str) -> Language {
        Language::for_tag(&tag.parse().expect("a tag")).expect("a language")
    }

    fn number(text: &str) -> BigDecimal {
        text.parse().expect("a number")
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    #[test]
    fn a_language_is_shared_between_threads() {
        fn is_shared<T: Send + Sync + 'static>() {}
        is_shared::<Language>();
    }

    #[test]
    fn a_tag_finds_the_nearest_catalogue() {
        for (tag, found, locale) in [
            ("es", "es", "es"),
            ("es-MX", "es", "es-MX"),
            ("es-Latn-MX", "es", "es-Latn-MX"),
            ("de-AT", "de", "de-AT"),
            ("en-GB", "en", "en-GB"),
            ("ja-JP", "en", "en"),
            ("und", "en", "en"),
        ] {
            let language = language(tag);
            assert_eq!((language.tag(), language.locale()), (found, locale), "{tag}");
        }
    }

    #[test]
    fn numbers_follow_the_region() {
        for (tag, expected) in [
            ("en", ["1,234,567.89", "1,234.50", "-0.01"]),
            ("es", ["1.234.567,89", "1234,50", "-0,01"]),
            ("es-MX", ["1,234,567.89", "1,234.50", "-0.01"]),
            ("de", ["1.234.567,89", "1.234,50", "-0,01"]),
            ("fr", ["1\u{202f}234\u{202f}567,89", "1\u{202f}234,50", "-0,01"]),
        ] {
            let written = ["1234567.885", "1234.5", "-0.005"].map(|text| language(tag).decimal(&number(text), 2));
            assert_eq!(written, expected, "{tag}");
        }
    }

    #[test]
    fn an_amount_that_rounds_to_nothing_has_no_sign() {
        assert_eq!(language("en").decimal(&number("-0.001"), 2), "0.00");
    }

    #[test]
    fn money_shows_the_currency_code_and_its_decimals() {
        let money = |tag: &str, amount: &str, currency: &str| {
            language(tag).money(&number(amount), currency.parse().expect("a currency"))
        };
        assert_eq!(money("es", "12345.6", "EUR"), "12.345,60\u{a0}EUR");
        assert_eq!(money("en", "12345.6", "JPY"), "12,346\u{a0}JPY");
        assert_eq!(money("en", "1", "KWD"), "1.000\u{a0}KWD");
        assert_eq!(money("es", "1E+30", "EUR"), "1.000.000.000.000.000.000.000.000.000.000,00\u{a0}EUR");
    }

    #[test]
    fn percentages_keep_the_decimals_they_have() {
        for (tag, share, expected) in [
            ("en", "0.21", "21%"),
            ("es", "0.21", "21\u{a0}%"),
            ("fr", "0.055", "5,5\u{202f}%"),
            ("de", "1.00", "100\u{a0}%"),
            ("en", "0", "0%"),
        ] {
            assert_eq!(language(tag).percent(&number(share)), expected, "{tag}");
        }
    }

    #[test]
    fn dates_follow_the_region() {
        for (tag, expected) in [
            ("en", "August 31, 2026"),
            ("en-GB", "31 August 2026"),
            ("es", "31 de agosto de 2026"),
            ("de", "31. August 2026"),
            ("fr", "31 août 2026"),
        ] {
            assert_eq!(language(tag).date(day("2026-08-31")), expected, "{tag}");
        }
    }

    #[test]
    fn a_calendar_month_is_named_and_another_period_shows_its_last_day() {
        for (tag, month, other) in [
            ("en", "August 2026", "August 5, 2026 – September 4, 2026"),
            ("es", "agosto de 2026", "5 de agosto de 2026 – 4 de septiembre de 2026"),
        ] {
            let written = |period: &str| language(tag).billing_period(period.parse().expect("a period"));
            assert_eq!(written("2026-08"), month);
            assert_eq!(written("2026-08-05/2026-09-05"), other);
        }
        assert_eq!(language("en").billing_period("2026-12".parse().expect("a period")), "December 2026");
    }

    #[test]
    fn a_count_chooses_the_plural_and_is_formatted() {
        let charges = |tag: &str, count: i64| {
            language(tag).text_with("document-charge-count", &[("count", count.into())]).expect("a text")
        };
        assert_eq!(charges("es", 1), "1 cargo");
        assert_eq!(charges("es", 12345), "12.345 cargos");
        assert_eq!(charges("en", 0), "0 charges");
    }

    #[test]
    fn a_text_is_printed_as_given_even_if_it_looks_like_a_number() {
        let text = language("en").text_with("document-replaces", &[("number", "007".into())]);
        assert_eq!(text.expect("a text"), "Replaces 007");
    }

    #[test]
    fn a_missing_text_or_argument_is_an_error() {
        let english = language("en");
        assert!(matches!(english.text("document-nothing"), Err(LanguageError::MissingText { .. })));
        assert!(matches!(english.text("document-replaces"), Err(LanguageError::Argument { .. })));
    }
}
