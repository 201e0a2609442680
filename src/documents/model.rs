//! An invoice as it is printed: every text, number and date in the customer's language, before any layout.
//!
//! All formats render from it, so they cannot disagree. It holds the price side only: costs, markup and the provider's
//! taxes never reach it. A credit note's amounts are positive here.

use std::{borrow::Cow, fmt};

use bigdecimal::BigDecimal;
use chrono::{DateTime, Utc};

use super::{accounting::Accounting, labels::Labels};
use crate::{
    domain::{
        branding::Branding,
        csv_options::{CsvOptions, Delimiter},
        currency_view::CurrencyView,
        money::Currency,
    },
    language::Direction,
};

/// Longest text that is shown on screens and in file properties; the CSV files have it whole.
const MAX_SHOWN_CHARS: usize = 400;

/// An amount in the invoice's currency.
#[derive(Clone, PartialEq)]
pub struct Amount {
    /// As printed: positive on a credit note, rounded to the minor unit.
    pub value: BigDecimal,
    /// In the customer's language.
    pub text: String,
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.value.to_plain_string(), self.text)
    }
}

/// Why a document is not to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// Not issued yet.
    Draft,
    /// Cancelled.
    Void,
}

/// The word that stands behind the text of every page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Why.
    pub kind: MarkKind,
    /// In the document's language.
    pub text: String,
}

/// The issuer or the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Legal name.
    pub name: String,
    /// Tax number with its label.
    pub tax_id: Option<String>,
    /// The address, line by line.
    pub address: Vec<String>,
}

/// A label and its value, at the top of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Such as `Issue date`.
    pub label: String,
    /// Such as `August 31, 2026`.
    pub value: String,
}

/// The lines of one provider account, their corrections of one earlier month, or the custom charges.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Provider account id.
    pub id: String,
    /// Its name, or its id.
    pub name: String,
    /// Whether its lines are custom charges and discounts.
    pub is_custom_charges: bool,
    /// For corrections: the heading with the original month.
    pub correction: Option<String>,
    /// For corrections: the original month, `2026-07`.
    pub corrected_month: Option<String>,
    /// In printing order.
    pub lines: Vec<PrintedLine>,
    /// What the subtotal is called.
    pub subtotal_label: String,
    /// Sum of the lines.
    pub subtotal: Amount,
}

impl Section {
    /// Returns the heading as printed.
    pub fn printed_heading(&self) -> String {
        let correction = self.correction.as_ref();
        correction.map_or_else(|| self.name.clone(), |correction| format!("{correction} · {}", self.name))
    }

    /// Returns the account id where the name does not say it already.
    pub fn printed_id(&self) -> Option<&str> {
        (self.id != self.name).then_some(self.id.as_str())
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct PrintedLine {
    /// Service or SKU.
    pub description: String,
    /// In the document's language.
    pub category: Option<String>,
    /// How many charges it stands for.
    pub charge_count: i64,
    /// The same, formatted.
    pub charges: String,
    /// The price.
    pub net: Amount,
    /// Names, rates and categories of the taxes that apply.
    pub taxes: String,
    /// Places of those taxes in [`Accounting::taxes`].
    pub tax_places: Vec<usize>,
    /// Why it is not taxed, and what else its row is to say in a file without room for notes.
    pub remark: String,
}

/// A row of the totals.
#[derive(Clone, Debug, PartialEq)]
pub struct TotalRow {
    /// Such as `IVA 21 % on 100.00 EUR`.
    pub label: String,
    /// With its currency.
    pub amount: Amount,
}

/// How numbers and cells are written in a file that a spreadsheet opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberStyle {
    /// Comma or point.
    pub decimal_mark: char,
    /// Semicolon where the comma is taken.
    pub delimiter: u8,
    /// Whether the file begins with a byte order mark.
    pub byte_order_mark: bool,
}

impl NumberStyle {
    /// Returns the style that goes with a decimal mark.
    pub(super) fn of(decimal_mark: char) -> Self {
        Self { decimal_mark, delimiter: if decimal_mark == ',' { b';' } else { b',' }, byte_order_mark: true }
    }

    /// Returns the style that a reseller wants; what it leaves out goes with the decimal mark.
    #[must_use]
    pub fn with(self, options: CsvOptions) -> Self {
        let natural = options.decimal_mark.map_or(self, |mark| Self::of(mark.as_char()));
        Self {
            decimal_mark: natural.decimal_mark,
            delimiter: options.delimiter.map_or(natural.delimiter, Delimiter::as_byte),
            byte_order_mark: options.byte_order_mark.unwrap_or(true),
        }
    }
}

/// Names that an invoice itself does not hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// The provider's name; else its id is printed.
    pub provider: Option<&'a str>,
    /// Number of the void invoice that this one stands for; else its id is printed.
    pub replaced_number: Option<&'a str>,
    /// Another currency that the amounts are shown in.
    pub view: Option<&'a CurrencyView>,
    /// How the reseller's documents look.
    pub branding: Option<&'a Branding>,
}

/// An invoice as it is printed.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentModel {
    /// BCP 47, of the texts.
    pub language: String,
    /// Which way the texts run.
    pub direction: Direction,
    /// `Invoice` or `Credit note`.
    pub heading: String,
    /// Heading and number.
    pub title: String,
    /// Fiscal number, once issued.
    pub number: Option<String>,
    /// Given at generation.
    pub document_id: String,
    /// On drafts and void invoices.
    pub mark: Option<Mark>,
    /// Such as `OPEN`; the mark where there is one.
    pub status: String,
    /// When it was issued, else when it was generated: the only date a rendered file carries.
    pub dated_at: DateTime<Utc>,
    /// The provider's month, `2026-08`.
    pub billing_period: String,
    /// The same in the document's language, such as `August 2026`.
    pub billing_period_text: String,
    /// Currency of every amount.
    pub currency: Currency,
    /// Whether printed amounts have the opposite sign of stored ones.
    pub is_credit_note: bool,
    /// Who issues it.
    pub issuer: Party,
    /// Who receives it.
    pub customer: Party,
    /// For programs that book it.
    pub accounting: Accounting,
    /// At the top, in order.
    pub facts: Vec<Fact>,
    /// The customer's own: purchase order and custom fields. Below the facts, and in each row of the CSV of lines.
    pub references: Vec<Fact>,
    /// In printing order, corrections last.
    pub sections: Vec<Section>,
    /// The categories that lines have, in the document's language.
    pub categories: Vec<String>,
    /// Sum of the lines.
    pub subtotal: TotalRow,
    /// Tax by tax.
    pub taxes: Vec<TotalRow>,
    /// What is owed, or given back.
    pub total: TotalRow,
    /// Below the totals.
    pub notes: Vec<String>,
    /// How numbers are written for spreadsheets.
    pub number_style: NumberStyle,
    /// Fixed texts.
    pub labels: Labels,
    /// Logo, colour and paper.
    pub branding: Branding,
    /// File name without ending and suffixes, in ASCII letters, digits and hyphens.
    pub file_stem: String,
}

impl DocumentModel {
    /// Returns the model with its CSV files written as a reseller wants them.
    #[must_use]
    pub fn with_csv_options(self, options: CsvOptions) -> Self {
        Self { number_style: self.number_style.with(options), ..self }
    }

    /// Returns the fiscal number, or the document id while there is none.
    pub fn printed_number(&self) -> &String {
        self.number.as_ref().unwrap_or(&self.document_id)
    }

    /// Returns all that stands at the top, in order.
    pub fn head(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter().chain(&self.references)
    }

    /// Tells whether any line has a category.
    pub fn has_categories(&self) -> bool {
        !self.categories.is_empty()
    }

    /// Returns a stored amount as it is printed: with the opposite sign on a credit note.
    pub fn printed_value(&self, stored: &BigDecimal) -> BigDecimal {
        if self.is_credit_note { -stored } else { stored.clone() }
    }
}

/// Returns a text without line breaks and control characters, which no format prints and some would obey.
pub(super) fn clean(text: &str) -> String {
    let is_unprintable = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect()
}

/// Returns a text cut to what can be shown.
pub(super) fn shortened(text: &str) -> Cow<'_, str> {
    cut_after(text, MAX_SHOWN_CHARS)
}

/// Returns a text cut after so many characters, with an ellipsis.
pub(super) fn cut_after(text: &str, max_chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.split_at(end).0)),
        None => Cow::Borrowed(text),
    }
}
