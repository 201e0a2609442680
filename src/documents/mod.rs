//! Documents: an invoice as a PDF, as CSV, as a page to print, as JSON and as an e-invoice (UBL).
//!
//! Pure: from a [`DocumentModel`] to bytes, without I/O or clock, so the same invoice gives the same bytes on every run
//! and machine. Called by the job that renders documents, off the async threads. Only the price side is ever shown. The
//! detailed CSV has no bounded size, so it is written as a stream: [`DetailedCsv`].

mod accounting;
mod csv;
#[cfg(test)]
mod csv_parsers_tests;
mod detailed_csv;
mod focus;
mod json;
mod labels;
#[cfg(test)]
mod languages_tests;
mod layout;
mod manifest;
mod model;
mod palette;
mod pdf;
mod print;
mod printer;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod test_tools;
mod ubl;

use std::io;

use crate::domain::document::DocumentKind;

pub use self::{
    accounting::{Accounting, Registration, TaxFact},
    detailed_csv::DetailedCsv,
    focus::{FOCUS_COLUMNS, FocusInvoiceDetail, Grain},
    json::{FORMAT, json_schema},
    labels::Labels,
    layout::{layout_version, template_hash, template_hash_with},
    manifest::{Manifest, ManifestPart},
    model::{Amount, DocumentModel, Fact, Mark, MarkKind, Names, NumberStyle, Party, PrintedLine, Section, TotalRow},
    ubl::UblRefusal,
};

/// Says why a document cannot be rendered: what an e-invoice lacks, a defect of this program, or an output that fails.
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
    /// The file's structure.
    #[error("cannot write json")]
    Json(#[from] serde_json::Error),
    /// The output.
    #[error("cannot write the document")]
    Write(#[source] io::Error),
    /// What an e-invoice must have.
    #[error(transparent)]
    Ubl(#[from] UblRefusal),
    /// Asked for at once.
    #[error("a detailed_csv is written charge by charge; use `DetailedCsv`")]
    Streamed,
}

/// Reads every typeface that is built in, and returns how many there are.
///
/// # Errors
/// When one of them does not read: the build is broken.
pub fn read_typefaces() -> Result<usize, DocumentError> {
    for bytes in pdf::VENDORED_TYPEFACES {
        ttf_parser::Face::parse(bytes, 0).map_err(DocumentError::Typeface)?;
    }
    Ok(pdf::VENDORED_TYPEFACES.len())
}

/// Renders a document whole.
///
/// # Errors
/// [`DocumentError::Streamed`] for the detailed CSV, [`DocumentError::Ubl`] for an invoice of which there is no e-invoice;
/// else only defects of ours, nothing that data can cause.
pub fn render(kind: DocumentKind, model: &DocumentModel) -> Result<Vec<u8>, DocumentError> {
    match kind {
        DocumentKind::Pdf => pdf::render(model),
        DocumentKind::Csv => csv::render(model),
        DocumentKind::DetailedCsv => Err(DocumentError::Streamed),
        DocumentKind::Print => Ok(print::render(model)),
        DocumentKind::Json => json::render(model),
        DocumentKind::Ubl => ubl::render(model),
    }
}

/// Returns the document's file name, in ASCII: `factura-2026-00042.pdf`, `factura-2026-00042-detalle.csv`.
pub fn file_name(kind: DocumentKind, model: &DocumentModel) -> String {
    let (stem, extension) = (&model.file_stem, kind.extension());
    match kind {
        DocumentKind::Pdf | DocumentKind::Csv | DocumentKind::Print | DocumentKind::Json | DocumentKind::Ubl => {
            format!("{stem}.{extension}")
        }
        DocumentKind::DetailedCsv => format!("{stem}-{}.{extension}", model.labels.detail),
    }
}

/// Returns the file name of a part, counted from 1, of a detailed CSV: `factura-2026-00042-detalle-0001.csv`.
pub fn part_file_name(model: &DocumentModel, part: usize) -> String {
    format!("{}-{}-{part:04}.{}", model.file_stem, model.labels.detail, DocumentKind::DetailedCsv.extension())
}

/// Returns the file name of the manifest of a detailed CSV in parts: `factura-2026-00042-detalle.json`.
pub fn manifest_file_name(model: &DocumentModel) -> String {
    format!("{}-{}.json", model.file_stem, model.labels.detail)
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

    #[test]
    fn each_way_of_writing_csv_has_its_own_template_hash_and_none_is_the_plain_one() {
        let written = [
            "{}",
            r#"{"byte_order_mark":false}"#,
            r#"{"byte_order_mark":true}"#,
            r#"{"delimiter":"comma"}"#,
            r#"{"delimiter":"tab"}"#,
            r#"{"decimal_mark":"comma"}"#,
            r#"{"gzip":true}"#,
            r#"{"rows_per_part":44}"#,
        ];
        let hash = |options| template_hash_with(DocumentKind::DetailedCsv, None, options);
        let hashes: std::collections::BTreeSet<_> =
            written.map(|text| hash(Some(serde_json::from_str(text).expect("options")))).into();
        assert_eq!(hashes.len(), written.len());
        assert_eq!(hash(None), template_hash(DocumentKind::DetailedCsv, None));
    }
}
