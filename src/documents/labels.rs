//! The fixed texts of a document, in its language.

use std::collections::BTreeSet;

use crate::{
    domain::{charge::ChargeCategory, invoice::Line, money::Currency},
    language::{Language, LanguageError},
};

/// Stands in the page pattern where the page's number goes.
const PAGE: &str = "{page}";
/// Stands in the page pattern where the count of pages goes.
const PAGES: &str = "{pages}";

/// The fixed texts of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Above the issuer.
    pub issuer: String,
    /// Above the customer.
    pub customer: String,
    /// Column of line descriptions.
    pub description: String,
    /// Column of charge categories.
    pub category: String,
    /// Column of charge counts.
    pub charges: String,
    /// Column of prices, with the currency.
    pub net: String,
    /// Sum of the lines.
    pub subtotal: String,
    /// Sum of all.
    pub total: String,
    /// Above the notes.
    pub notes: String,
    /// Above the rows of a section that began on an earlier page.
    pub continued: String,
    /// The note on characters that could not be drawn.
    pub replaced_characters: String,
    /// Suffix of the detailed file's name.
    pub detail: String,
    /// Column titles of the CSV of lines.
    pub line_columns: Vec<String>,
    /// Column titles of the detailed CSV.
    pub detail_columns: Vec<String>,
    /// Yes and no.
    pub yes_no: (String, String),
    categories: CategoryNames,
    page_pattern: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct CategoryNames {
    usage: String,
    purchase: String,
    tax: String,
    credit: String,
    adjustment: String,
}

/// Columns of the CSV of lines, as keys without their prefix.
const LINE_COLUMNS: [&str; 12] = [
    "number",
    "billing-period",
    "sub-account-id",
    "sub-account-name",
    "correction-of",
    "description",
    "charge-category",
    "charge-count",
    "net",
    "currency",
    "tax",
    "remark",
];

/// Columns of the detailed CSV, as keys without their prefix.
const DETAIL_COLUMNS: [&str; 18] = [
    "sub-account-id",
    "sub-account-name",
    "service-name",
    "service-category",
    "charge-category",
    "is-correction",
    "charge-description",
    "charge-period-start",
    "charge-period-end",
    "consumed-quantity",
    "consumed-unit",
    "region-id",
    "resource-id",
    "resource-name",
    "sku-id",
    "tags",
    "price",
    "currency",
];

impl Labels {
    pub(super) fn new(language: &Language, currency: Currency) -> Result<Self, LanguageError> {
        let text = |key: &str| language.text(&format!("document-{key}"));
        let columns =
            |keys: &[&str]| keys.iter().map(|key| text(&format!("column-{key}"))).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            issuer: text("issuer")?,
            customer: text("customer")?,
            description: text("description")?,
            category: text("category")?,
            charges: text("charges")?,
            net: format!("{} ({currency})", text("net")?),
            subtotal: text("subtotal")?,
            total: text("total")?,
            notes: text("notes")?,
            continued: text("continued")?,
            replaced_characters: text("replaced-characters")?,
            detail: text("file-name-detail")?,
            line_columns: columns(&LINE_COLUMNS)?,
            detail_columns: columns(&DETAIL_COLUMNS)?,
            yes_no: (text("yes")?, text("no")?),
            categories: CategoryNames {
                usage: text("category-usage")?,
                purchase: text("category-purchase")?,
                tax: text("category-tax")?,
                credit: text("category-credit")?,
                adjustment: text("category-adjustment")?,
            },
            page_pattern: language.text_with("document-page", &[("page", PAGE.into()), ("pages", PAGES.into())])?,
        })
    }

    /// Returns a category's name in the document's language.
    pub fn category_name(&self, category: ChargeCategory) -> &str {
        match category {
            ChargeCategory::Usage => &self.categories.usage,
            ChargeCategory::Purchase => &self.categories.purchase,
            ChargeCategory::Tax => &self.categories.tax,
            ChargeCategory::Credit => &self.categories.credit,
            ChargeCategory::Adjustment => &self.categories.adjustment,
        }
    }

    /// Returns `Page 2 of 3`.
    pub fn page_of(&self, page: usize, pages: usize) -> String {
        self.page_pattern.replace(PAGES, &pages.to_string()).replace(PAGE, &page.to_string())
    }

    /// Returns the same with signs where the numbers go, for a format that counts its pages itself.
    pub(super) fn page_between(&self, page: char, pages: char) -> String {
        self.page_pattern.replace(PAGES, pages.encode_utf8(&mut [0; 4])).replace(PAGE, page.encode_utf8(&mut [0; 4]))
    }
}

/// Returns the categories that the lines have, each once, in FOCUS order.
pub(super) fn categories_of(lines: &[Line]) -> BTreeSet<ChargeCategory> {
    lines.iter().filter_map(|line| line.charge_category).collect()
}
