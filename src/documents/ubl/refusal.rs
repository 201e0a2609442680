//! Why there is no e-invoice of an invoice: what it lacks, and the way out.

use crate::domain::taxes::TaxCategory;

/// What comes after a change to the directory, as an issued invoice keeps what it was issued with.
const ISSUE_ANEW: &str = "in the directory, then issue the invoice anew (`correct_invoice`)";

/// Says why an invoice has no UBL. `number` is its number, or its document id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UblRefusal {
    /// Nothing that a receiver may book.
    #[error("`{number}` is a draft and has no ubl, as it is no invoice yet; open it first")]
    Draft {
        /// Which.
        number: String,
    },
    /// UBL has no field that says so.
    #[error(
        "`{number}` is void and has no ubl, as a receiver would book it; ask for another document, or for the ubl of the \
         invoice that replaces it"
    )]
    Void {
        /// Which.
        number: String,
    },
    /// An e-invoice is the invoice, not a picture of it.
    #[error("the ubl of `{number}` is in its own currency alone; leave `currency` out")]
    View {
        /// Which.
        number: String,
    },
    /// A field of a party that EN 16931 requires.
    #[error("`{number}` has no ubl: the {party} has no `{field}` ({rule}); add it {ISSUE_ANEW}")]
    Missing {
        /// Which.
        number: String,
        /// Reseller or customer.
        party: &'static str,
        /// As the directory names it.
        field: &'static str,
        /// Of EN 16931.
        rule: &'static str,
    },
    /// Some categories are only for those who are registered for VAT.
    #[error(
        "`{number}` has no ubl: tax category {category} needs the VAT number of the {party}, which begins with its country; \
         `{tax_id}` does not; change `tax_id` {ISSUE_ANEW}"
    )]
    NoVatNumber {
        /// Which.
        number: String,
        /// Of a line.
        category: TaxCategory,
        /// Reseller or customer.
        party: &'static str,
        /// What it has.
        tax_id: String,
    },
    /// BR-DEC-09 and those behind it.
    #[error(
        "`{number}` has no ubl: EN 16931 takes amounts of two decimals at most, and {currency} has {minor_units}; ask for \
         another document"
    )]
    Decimals {
        /// Which.
        number: String,
        /// Of the invoice.
        currency: &'static str,
        /// Of the currency.
        minor_units: i64,
    },
    /// BR-16.
    #[error("`{number}` has no ubl: it has no lines (BR-16); ask for another document")]
    NoLines {
        /// Which.
        number: String,
    },
    /// BR-CO-04.
    #[error(
        "`{number}` has no ubl: no tax applies to `{line}`, and each line needs a category (BR-CO-04); add a tax of a \
         category such as Z, E or O to the customer {ISSUE_ANEW}"
    )]
    Untaxed {
        /// Which.
        number: String,
        /// The line.
        line: String,
    },
    /// A line has one category.
    #[error(
        "`{number}` has no ubl: `{line}` has taxes of the categories {one} and {other}, and EN 16931 takes one a line; \
         leave one to this line {ISSUE_ANEW}"
    )]
    TwoCategories {
        /// Which.
        number: String,
        /// The line.
        line: String,
        /// One.
        one: TaxCategory,
        /// The other.
        other: TaxCategory,
    },
}
