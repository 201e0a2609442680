//! Documents: an invoice as a PDF, as CSV and as a page to print.
//!
//! Pure: from a [`DocumentModel`] to bytes, without I/O or clock, so the same invoice gives the same bytes on every run
//! and machine. Called by the job that renders documents, off the async threads. Only the price side is ever shown. The
//! detailed CSV has no bounded size, so it is written as a stream: [`DetailedCsv`].

mod csv;
mod detailed_csv;
mod focus;
mod labels;
mod model;
mod pdf;
mod print;
mod printer;
#[cfg(test)]
mod samples;

use std::{io, sync::LazyLock};

use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};

use crate::domain::{document::DocumentKind, money::Currency};

pub use self::{
    detailed_csv::DetailedCsv,
    focus::{FOCUS_COLUMNS, FocusInvoiceDetail, Grain},
    labels::Labels,
    model::{Amount, DocumentModel, Fact, Mark, MarkKind, Names, NumberStyle, Party, PrintedLine, Section, TotalRow},
};

/// Raised when a format's layout changes, so that stored documents are rendered anew.
const LAYOUT_VERSION: u32 = 4;
/// The texts that documents take their words from.
static TEXTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/email-templates/locales");

/// Says why a document cannot be rendered: a defect of this program, or an output that fails.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// One of the vendored typefaces.
    #[error("cannot read a typeface that is built in")]
    Typeface(#[source] ttf_parser::FaceParsingError),
    /// One of the vendored typefaces.
    #[error("cannot reduce a typeface to the glyphs in use")]
    Subset(#[source] subsetter::Error),
    /// The file's structure.
    #[error("cannot assemble the pdf")]
    Pdf(#[from] lopdf::Error),
    /// A row.
    #[error("cannot write a row of csv")]
    Csv(#[from] ::csv::Error),
    /// The output.
    #[error("cannot write the document")]
    Write(#[source] io::Error),
    /// Asked for at once.
    #[error("a detailed_csv is written charge by charge; use `DetailedCsv`")]
    Streamed,
}

/// Renders a document whole.
///
/// # Errors
/// [`DocumentError::Streamed`] for the detailed CSV; else only defects of ours, nothing that data can cause.
pub fn render(kind: DocumentKind, model: &DocumentModel) -> Result<Vec<u8>, DocumentError> {
    match kind {
        DocumentKind::Pdf => pdf::render(model),
        DocumentKind::Csv => csv::render(model),
        DocumentKind::DetailedCsv => Err(DocumentError::Streamed),
        DocumentKind::Print => Ok(print::render(model)),
    }
}

/// Returns a hash that changes when the same invoice would give another document: new texts, typefaces or layout.
/// A view in another currency is a document of its own for each currency.
pub fn template_hash(kind: DocumentKind, view: Option<Currency>) -> String {
    static SHARED: LazyLock<Sha256> = LazyLock::new(|| {
        let mut hash = Sha256::new_with_prefix(LAYOUT_VERSION.to_be_bytes());
        for file in TEXTS.files() {
            hash.update(file.path().as_os_str().as_encoded_bytes());
            hash.update(file.contents());
        }
        for typeface in pdf::VENDORED_TYPEFACES {
            hash.update(typeface);
        }
        hash
    });
    let hash = hex::encode(SHARED.clone().chain_update(kind.as_str()).finalize());
    let Some(currency) = view else { return hash };
    hex::encode(Sha256::new_with_prefix(hash).chain_update(currency.code()).finalize())
}

/// Returns the document's file name, in ASCII: `factura-2026-00042.pdf`, `factura-2026-00042-detalle.csv`.
pub fn file_name(kind: DocumentKind, model: &DocumentModel) -> String {
    let (stem, extension) = (&model.file_stem, kind.extension());
    match kind {
        DocumentKind::Pdf | DocumentKind::Csv | DocumentKind::Print => format!("{stem}.{extension}"),
        DocumentKind::DetailedCsv => format!("{stem}-{}.{extension}", model.labels.detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::samples::{credit_note, hostile, invoice, model};

    #[test]
    fn file_names_speak_the_language_and_are_plain_ascii() {
        assert_eq!(file_name(DocumentKind::Pdf, &model(&invoice(), "es")), "factura-2026-00042.pdf");
        assert_eq!(file_name(DocumentKind::DetailedCsv, &model(&invoice(), "es")), "factura-2026-00042-detalle.csv");
        assert_eq!(file_name(DocumentKind::Print, &model(&credit_note(), "fr")), "avoir-G-2026-00007.html");
        let hostile = file_name(DocumentKind::Csv, &model(&hostile(), "de"));
        assert!(hostile.len() < 120 && hostile.starts_with("rechnung-quoted-single-back-slash-paren"), "{hostile}");
    }

    #[test]
    fn a_detailed_csv_is_not_rendered_at_once() {
        let refused = render(DocumentKind::DetailedCsv, &model(&invoice(), "en"));
        assert!(matches!(refused, Err(DocumentError::Streamed)));
    }

    #[test]
    fn each_kind_has_its_own_template_hash() {
        let hashes: std::collections::BTreeSet<_> =
            DocumentKind::ALL.into_iter().map(|kind| template_hash(kind, None)).collect();
        assert_eq!(hashes.len(), DocumentKind::ALL.len());
    }
}
