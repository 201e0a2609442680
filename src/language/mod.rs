//! Texts, numbers and dates in the customer's language; mails and documents share them, so that they cannot disagree.
//!
//! Texts come from `email-templates/locales/<tag>.ftl`, embedded at compile time; numbers and dates from CLDR. A tag
//! without a catalogue is answered in English, formats included: a text and the numbers in it are of one language.
//! In languages that run from right to left what is filled into a text comes between isolation marks.
//! A text that does not exist, or is asked for without its arguments, is an error, never a hole in a document.

mod catalogue;
mod cldr_patterns;
mod formats;

use std::{fmt, sync::Arc};

use bigdecimal::BigDecimal;
use chrono::{Datelike, NaiveDate};
use fluent_bundle::{FluentArgs, FluentError};

use self::{catalogue::Catalogue, formats::Formats};
use crate::domain::{billing_period::BillingPeriod, language_tag::LanguageTag, money::Currency};

/// A language to write in: its texts and the formats of its region. Cheap to clone.
#[derive(Clone)]
pub struct Language(Arc<Inner>);

struct Inner {
    catalogue: &'static Catalogue,
    locale: String,
    wanted: LanguageTag,
    formats: Formats,
}

/// Which way a language's lines run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Latin, Japanese and most others.
    LeftToRight,
    /// Arabic, Hebrew.
    RightToLeft,
}

impl Direction {
    /// Returns the value of HTML's `dir`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeftToRight => "ltr",
            Self::RightToLeft => "rtl",
        }
    }

    /// Returns the side that lines end on, as HTML and CSS name it.
    pub fn end(self) -> &'static str {
        match self {
            Self::LeftToRight => "right",
            Self::RightToLeft => "left",
        }
    }
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
    /// A program built without the texts that stand in for all others.
    #[error("no texts in English are built in; put en.ftl back into email-templates/locales")]
    NoCatalogue,
}

impl Language {
    /// Finds the language for a tag, by RFC 4647 lookup (`es-MX`, then `es`), else in another region's words (`pt-PT`
    /// in those of `pt-BR`), else English. Numbers and dates are the tag's own, but for English that stands in.
    ///
    /// # Errors
    /// When the program was built without the data it needs; the tests load every language.
    pub fn for_tag(tag: &LanguageTag) -> Result<Self, LanguageError> {
        let (catalogue, locale) = match catalogue::lookup(tag) {
            Some(found) => (found, tag.to_string()),
            None => catalogue::fallback().map(|english| (english, english.tag.to_owned()))?,
        };
        Ok(Self(Arc::new(Inner { catalogue, formats: Formats::new(&locale)?, locale, wanted: tag.clone() })))
    }

    /// Returns the tags of all languages there are texts for, in alphabetical order.
    pub fn supported() -> impl Iterator<Item = &'static str> {
        catalogue::supported()
    }

    /// Returns the tag of the texts: `es`, also for `es-MX`.
    pub fn tag(&self) -> &'static str {
        self.0.catalogue.tag
    }

    /// Returns the tag that was asked for.
    pub fn wanted(&self) -> &LanguageTag {
        &self.0.wanted
    }

    /// Returns the tag that numbers and dates follow: `es-MX`.
    pub fn locale(&self) -> &str {
        &self.0.locale
    }

    /// Returns which way the texts run.
    pub fn direction(&self) -> Direction {
        self.0.catalogue.direction
    }

    /// Returns a text without arguments.
    ///
    /// # Errors
    /// When there is no such text, or it names arguments.
    pub fn text(&self, key: &str) -> Result<String, LanguageError> {
        self.0.catalogue.text(key, &FluentArgs::new())
    }

    /// Returns a text with its arguments filled in: `text_with("document-zero-lines", &[("count", 3.into())])`.
    ///
    /// # Errors
    /// When there is no such text, or it names an argument that is not given.
    pub fn text_with(&self, key: &str, arguments: &[(&str, Argument<'_>)]) -> Result<String, LanguageError> {
        let mut filled = FluentArgs::new();
        for (name, argument) in arguments {
            match argument {
                Argument::Text(text) => filled.set(*name, *text),
                Argument::Count(count) => {
                    // Not as a number: Fluent's own rules take 103 things in Arabic for 100 (CLDR 37, without its remainders).
                    filled.set(*name, self.0.formats.plural(*count));
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

    /// Writes an amount with the currency's decimals alone: `12.345,60`.
    pub fn amount(&self, amount: &BigDecimal, currency: Currency) -> String {
        self.0.formats.amount(amount, currency.minor_units())
    }

    /// Writes an amount with the currency's decimals and ISO 4217 code, which no other currency shares, where the region
    /// puts it: `12.345,60 EUR`, `EUR 12,345.60`.
    pub fn money(&self, amount: &BigDecimal, currency: Currency) -> String {
        self.0.formats.money(amount, currency.minor_units(), currency.code())
    }

    /// Writes a share as a percentage with the decimals it has: `0.125` as `12.5%`.
    pub fn percent(&self, share: &BigDecimal) -> String {
        let percentage = (share * BigDecimal::from(100)).normalized();
        let decimals = percentage.fractional_digit_count().max(0);
        self.0.formats.percent(&percentage, decimals)
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
    ///
    /// # Errors
    /// When the language does not say how a period is written.
    pub fn billing_period(&self, period: BillingPeriod) -> Result<String, LanguageError> {
        let next_month = period.start().checked_add_months(chrono::Months::new(1));
        if period.start().day() == 1 && next_month == Some(period.end()) {
            return Ok(self.month(period.start()));
        }
        let (start, end) = (self.date(period.start()), self.date(period.last_day()));
        self.text_with("format-period", &[("start", (&start).into()), ("end", (&end).into())])
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Language").field(&self.0.locale).finish()
    }
}

#[cfg(test)]
#[path = "language_tests.rs"]
mod tests;
