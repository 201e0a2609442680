//! Which layout a document has: a version per kind, and a hash over all that its bytes come from but the invoice.
//!
//! What a customer was given never changes: once a document of an opened invoice is recorded, its stored bytes are served,
//! and a release with another layout renders later documents only (`jobs/render_document.rs`). So no old layout is kept.
//! `layouts.txt` has the sha256 of the same samples under each version: the test fails where bytes change and the version
//! does not.

use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};

use super::pdf;
use crate::domain::{csv_options::CsvOptions, document::DocumentKind, money::Currency};

/// The texts that documents take their words from.
static TEXTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/email-templates/locales");

/// Returns the version of a kind's layout. Raise it when the same invoice gives other bytes, and add a line to
/// `layouts.txt`.
pub fn layout_version(kind: DocumentKind) -> i32 {
    match kind {
        DocumentKind::Pdf => 5,
        DocumentKind::Csv | DocumentKind::Print => 4,
        DocumentKind::DetailedCsv => 3,
        DocumentKind::Json | DocumentKind::Ubl => 1,
    }
}

/// Returns a hash that changes when the same invoice would give another document: new texts, typefaces or layout.
/// A view in another currency is a document of its own for each currency.
pub fn template_hash(kind: DocumentKind, view: Option<Currency>) -> String {
    static SHARED: LazyLock<Sha256> = LazyLock::new(|| {
        let mut hash = Sha256::new();
        for file in TEXTS.files() {
            hash.update(file.path().as_os_str().as_encoded_bytes());
            hash.update(file.contents());
        }
        for typeface in pdf::VENDORED_TYPEFACES {
            hash.update(typeface);
        }
        hash
    });
    let of_kind = SHARED.clone().chain_update(layout_version(kind).to_be_bytes()).chain_update(kind.as_str());
    let hash = hex::encode(of_kind.finalize());
    let Some(currency) = view else { return hash };
    hex::encode(Sha256::new_with_prefix(hash).chain_update(currency.code()).finalize())
}

/// Returns the hash of a document that is written by a reseller's options, where some bear on its kind.
pub fn template_hash_with(kind: DocumentKind, view: Option<Currency>, options: Option<CsvOptions>) -> String {
    let hash = template_hash(kind, view);
    let Some(options) = options else { return hash };
    let CsvOptions { byte_order_mark, delimiter, decimal_mark, gzip, rows_per_part } = options;
    let written = [
        byte_order_mark.map(u64::from),
        delimiter.map(|delimiter| u64::from(delimiter.as_byte())),
        decimal_mark.map(|mark| u64::from(u32::from(mark.as_char()))),
        Some(u64::from(gzip)),
        rows_per_part.map(|rows| u64::from(rows.get())),
    ];
    let numbers = written.map(|option| option.unwrap_or(u64::MAX).to_be_bytes());
    hex::encode(Sha256::new_with_prefix(hash).chain_update(numbers.concat()).finalize())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        documents::{
            DetailedCsv, DocumentModel, render,
            samples::{charge, credit_note, hostile, invoice, long_draft, model, with_references},
        },
        domain::invoice_status::InvoiceStatus,
    };

    /// One line a kind and version: `pdf 3 <sha256>`.
    fn golden() -> String {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/documents/layouts.txt");
        std::fs::read_to_string(path).expect("the golden file")
    }

    /// Returns the samples as they are printed: both kinds of invoice, both marks, several pages, each language at hand.
    fn printed() -> Vec<DocumentModel> {
        let mut void = credit_note();
        void.status = InvoiceStatus::Void;
        vec![
            model(&invoice(), "es"),
            model(&with_references(), "en"),
            model(&void, "de"),
            model(&long_draft(3, 40), "fr"),
            model(&hostile(), "en"),
        ]
    }

    fn bytes(kind: DocumentKind, model: &DocumentModel) -> Vec<u8> {
        if kind != DocumentKind::DetailedCsv {
            return render(kind, model).expect("a document");
        }
        let mut file = DetailedCsv::new(Vec::new(), model, &["x_team".to_owned()]).expect("a file");
        file.write(&charge("0.0100000001")).expect("a row");
        file.finish().expect("the output")
    }

    fn digest(kind: DocumentKind) -> String {
        let mut hash = Sha256::new();
        // Of drafts and void invoices there is no e-invoice.
        for model in printed().iter().filter(|model| kind != DocumentKind::Ubl || model.mark.is_none()) {
            let bytes = bytes(kind, model);
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
        }
        hex::encode(hash.finalize())
    }

    #[test]
    fn each_layout_version_gives_the_bytes_it_was_recorded_with() {
        let (golden, mut differ) = (golden(), Vec::new());
        for kind in DocumentKind::ALL {
            let now = format!("{kind} {} {}", layout_version(kind), digest(kind));
            if !golden.lines().any(|line| line == now) {
                differ.push(now);
            }
        }
        assert!(
            differ.is_empty(),
            "these bytes are not those of src/documents/layouts.txt; raise the version in layout_version unless it is \
             new, and add:\n{}",
            differ.join("\n")
        );
    }

    #[test]
    fn a_version_stands_for_one_layout_and_the_newest_is_in_use() {
        let mut versions = BTreeSet::new();
        for line in golden().lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            assert!(fields.len() == 3 && fields[2].len() == 64, "`{line}` is not `kind version sha256`");
            let kind: DocumentKind = fields[0].parse().expect("a kind");
            let version: i32 = fields[1].parse().expect("a version");
            assert!(versions.insert((kind, version)), "{kind} {version} stands twice");
        }
        for kind in DocumentKind::ALL {
            let newest = versions.iter().filter(|(of, _)| *of == kind).map(|(_, version)| *version).max();
            assert_eq!(newest, Some(layout_version(kind)), "{kind}");
        }
    }
}
