//! Every kind of document in every language, and that the texts, numbers, dates and names of one document agree.

use super::{
    samples::{charge, credit_note, decimal, hostile, invoice, long_draft, model, with_references},
    *,
};
use crate::{
    domain::{
        invoice::{Invoice, TaxAmount},
        invoice_status::InvoiceStatus,
        taxes::TaxCategory,
    },
    language::{Direction, Language},
};

/// An invoice that names every reason not to tax.
fn with_every_tax_category() -> Invoice {
    let mut invoice = invoice();
    let template = invoice.taxes[0].clone();
    invoice.taxes = [
        TaxCategory::Standard,
        TaxCategory::ZeroRated,
        TaxCategory::Exempt,
        TaxCategory::ReverseCharge,
        TaxCategory::IntraCommunity,
        TaxCategory::Export,
        TaxCategory::OutsideScope,
    ]
    .map(|category| TaxAmount { category, ..template.clone() })
    .into();
    invoice
}

fn void() -> Invoice {
    Invoice { status: InvoiceStatus::Void, ..invoice() }
}

/// Returns what the detailed CSV of one charge holds.
fn detailed(model: &DocumentModel) -> Vec<u8> {
    let mut csv = DetailedCsv::new(Vec::new(), model, &[]).expect("a file");
    csv.write(&charge("1234.5")).expect("a row");
    csv.finish().expect("the output")
}

#[test]
fn each_kind_of_document_renders_in_each_language() {
    let samples =
        [invoice(), credit_note(), void(), long_draft(2, 3), with_references(), with_every_tax_category(), hostile()];
    for tag in Language::supported() {
        for model in samples.iter().map(|sample| model(sample, tag)) {
            for kind in DocumentKind::ALL {
                let bytes = match kind {
                    DocumentKind::DetailedCsv => detailed(&model),
                    DocumentKind::Ubl if model.mark.is_some() => continue,
                    DocumentKind::Pdf
                    | DocumentKind::Csv
                    | DocumentKind::Print
                    | DocumentKind::Json
                    | DocumentKind::Ubl => render(kind, &model).expect("a document"),
                };
                assert!(bytes.len() > 100, "{kind} in {tag} has {} bytes", bytes.len());
            }
        }
    }
}

#[test]
fn the_rows_of_each_language_add_up() {
    for tag in Language::supported() {
        let model = model(&invoice(), tag);
        let rows = csv::tests::rows(&render(DocumentKind::Csv, &model).expect("a file"), model.number_style);
        assert_eq!(csv::tests::sum(&rows, 8, model.number_style), model.subtotal.amount.value, "{tag}");
        let rows = csv::tests::rows(&detailed(&model), model.number_style);
        assert_eq!(csv::tests::sum(&rows, 16, model.number_style), decimal("1234.5"), "{tag}");
    }
}

#[test]
fn the_page_to_print_says_its_language_and_direction() {
    for tag in Language::supported() {
        let model = model(&invoice(), tag);
        let page = String::from_utf8(render(DocumentKind::Print, &model).expect("a page")).expect("utf-8");
        let direction = if model.direction == Direction::RightToLeft { "rtl" } else { "ltr" };
        assert!(page.contains(&format!("<html lang=\"{tag}\" dir=\"{direction}\"")), "{tag}: {}", &page[..200]);
    }
}

/// Tag, title, file name, day of issue, total and heading of corrections of one invoice.
const ONE_LANGUAGE: [(&str, &str, &str, &str, &str, &str); 10] = [
    (
        "en",
        "Invoice 2026-00042",
        "invoice-2026-00042",
        "September 3, 2026",
        "EUR\u{a0}30,640.02",
        "Corrections for July 2026",
    ),
    (
        "es",
        "Factura 2026-00042",
        "factura-2026-00042",
        "3 de septiembre de 2026",
        "30.640,02\u{a0}EUR",
        "Correcciones de julio de 2026",
    ),
    (
        "de",
        "Rechnung 2026-00042",
        "rechnung-2026-00042",
        "3. September 2026",
        "30.640,02\u{a0}EUR",
        "Korrekturen für Juli 2026",
    ),
    (
        "fr",
        "Facture 2026-00042",
        "facture-2026-00042",
        "3 septembre 2026",
        "30\u{202f}640,02\u{a0}EUR",
        "Corrections, juillet 2026",
    ),
    (
        "it",
        "Fattura 2026-00042",
        "fattura-2026-00042",
        "3 settembre 2026",
        "30.640,02\u{a0}EUR",
        "Rettifiche di luglio 2026",
    ),
    (
        "nl",
        "Factuur 2026-00042",
        "factuur-2026-00042",
        "3 september 2026",
        "EUR\u{a0}30.640,02",
        "Correcties voor juli 2026",
    ),
    (
        "pl",
        "Faktura 2026-00042",
        "faktura-2026-00042",
        "3 września 2026",
        "30\u{a0}640,02\u{a0}EUR",
        "Korekty za lipiec 2026",
    ),
    (
        "pt-BR",
        "Fatura 2026-00042",
        "fatura-2026-00042",
        "3 de setembro de 2026",
        "EUR\u{a0}30.640,02",
        "Correções de julho de 2026",
    ),
    ("ja", "請求書 2026-00042", "seikyusho-2026-00042", "2026年9月3日", "EUR\u{a0}30,640.02", "2026年7月分の訂正"),
    (
        "ar",
        "فاتورة 2026-00042",
        "fatura-2026-00042",
        "3 سبتمبر 2026",
        "\u{200f}30,640.02\u{a0}\u{200f}EUR",
        "تصحيحات يوليو 2026",
    ),
];

#[test]
fn heading_file_names_dates_and_amounts_of_one_document_are_of_one_language() {
    for (tag, title, file_name, issued_on, total, correction) in ONE_LANGUAGE {
        let model = model(&invoice(), tag);
        let plain = |text: &str| text.replace(['\u{2068}', '\u{2069}'], "");
        assert_eq!((plain(&model.title).as_str(), model.file_stem.as_str()), (title, file_name));
        let of = |value: &str| model.facts.iter().any(|fact| fact.value == value);
        assert!(of(issued_on) && of(total), "{tag}: {:?}", model.facts);
        assert_eq!(model.total.amount.text, total, "{tag}");
        let corrections: Vec<_> = model.sections.iter().filter_map(|section| section.correction.as_deref()).collect();
        assert_eq!(corrections.iter().map(|text| plain(text)).collect::<Vec<_>>(), [correction]);
    }
}
