//! The manifest of a detailed CSV that was split: which parts there are, and by what each can be checked.
//!
//! Stored as the document itself, its parts beside it. Deterministic, as the parts are: so its sha256 speaks for theirs.

use serde::Serialize;

use super::{DocumentError, model::DocumentModel};

/// Names the parts of a document.
#[derive(Debug, Serialize)]
pub struct Manifest<'a> {
    /// Given at generation.
    document_id: &'a str,
    /// Fiscal number, once issued.
    number: Option<&'a str>,
    /// Of which version of the invoice.
    invoice_version: i32,
    /// BCP 47, of titles and texts.
    language: &'a str,
    /// In all parts together.
    row_count: u64,
    /// One behind the other they are the file; each begins with the titles.
    parts: &'a [ManifestPart],
}

/// Names one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManifestPart {
    /// As the customer sees it.
    pub file_name: String,
    /// How many charges it has.
    pub row_count: u64,
    /// Of the bytes, compressed where they are.
    pub size_bytes: u64,
    /// Of the bytes, in hexadecimal digits.
    pub sha256: String,
}

impl<'a> Manifest<'a> {
    /// Makes the manifest of one invoice's charges.
    pub fn new(model: &'a DocumentModel, invoice_version: i32, parts: &'a [ManifestPart]) -> Self {
        Self {
            document_id: &model.document_id,
            number: model.number.as_deref(),
            invoice_version,
            language: &model.language,
            row_count: parts.iter().map(|part| part.row_count).sum(),
            parts,
        }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// None that data can cause.
    pub fn render(&self) -> Result<Vec<u8>, DocumentError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}
