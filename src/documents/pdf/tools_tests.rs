//! What other programs say of our files: qpdf, and poppler's pdftotext, pdffonts and pdfimages. `bin/test` installs them.

use std::{io::Write, process::Command};

use lopdf::Object;

use super::render;
use crate::{
    documents::{
        DocumentModel,
        samples::{credit_note, full_head, hostile, invoice, long_draft, model},
    },
    domain::{
        branding::{Branding, Paper},
        charge::ChargeCategory,
        invoice::Invoice,
        invoice_status::InvoiceStatus,
    },
};

/// The names of trap t14, and more of each script.
const NAMES: [&str; 9] = [
    "Ærø – Çelik Ğ İstanbul",
    "Ελληνικά Αθήνα",
    "Русский Київ",
    "مثال للخدمات السحابية",
    "עברית ושירותי ענן",
    "✓ ★ ➜",
    "株式会社 計算",
    "云计算服务",
    "클라우드",
];

/// Returns what a tool prints about a file.
fn told(tool: &str, before: &[&str], bytes: &[u8], after: &[&str]) -> String {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    let output = Command::new(tool).args(before).arg(file.path()).args(after).output();
    let output = output.unwrap_or_else(|error| panic!("{tool}: {error}; `bin/setup --tests` installs it"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{tool}: {text}");
    text
}

fn text_of(model: &DocumentModel) -> String {
    told("pdftotext", &["-layout", "-enc", "UTF-8"], &render(model).expect("a pdf"), &["-"])
}

/// An invoice whose parties, sections and lines have the names of every script at hand.
fn many_scripts() -> Invoice {
    let mut invoice = invoice();
    invoice.customer.name = NAMES.join(" ");
    invoice.customer.address = NAMES.join("\n");
    for name in NAMES {
        let line = crate::documents::samples::line("id", name, ChargeCategory::Usage, "1.00");
        invoice.lines.push(crate::domain::invoice::Line { section_name: name.to_owned(), ..line });
    }
    crate::documents::samples::priced(invoice)
}

/// Takes away what poppler adds to say which way a text runs, and blanks, which it guesses from distances.
fn without_marks(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'))
        .collect()
}

fn branded(mut model: DocumentModel) -> DocumentModel {
    model.branding = Branding { paper: Paper::Letter, colour: Some("#f5c400".parse().expect("a colour")), logo: None };
    model
}

fn every_kind() -> Vec<DocumentModel> {
    vec![
        model(&invoice(), "es"),
        model(&credit_note(), "de"),
        model(&long_draft(7, 17), "en"),
        model(&full_head(), "fr"),
        model(&hostile(), "en"),
        model(&many_scripts(), "en"),
        branded(model(&invoice(), "en")),
        model(&many_scripts(), "ar"),
    ]
}

#[test]
fn qpdf_finds_nothing_wrong() {
    for model in every_kind() {
        let text = told("qpdf", &["--check"], &render(&model).expect("a pdf"), &[]);
        assert!(text.contains("No syntax or stream encoding errors found"), "{text}");
    }
}

#[test]
fn every_typeface_is_embedded_in_part_and_maps_back_to_unicode() {
    for model in every_kind() {
        let text = told("pdffonts", &[], &render(&model).expect("a pdf"), &[]);
        let fonts: Vec<&str> = text.lines().skip(2).collect();
        assert!(!fonts.is_empty(), "{text}");
        for font in fonts {
            let words: Vec<&str> = font.split_whitespace().collect();
            // Embedded, subset, map to Unicode: before the object's two numbers.
            assert_eq!(words[words.len() - 5..words.len() - 2], ["yes"; 3], "{font}");
        }
    }
}

#[test]
fn names_in_every_script_come_back_and_none_is_a_box() {
    let text = text_of(&model(&many_scripts(), "en"));
    let letters = without_marks(&text);
    for name in NAMES {
        // As a line and as a section.
        let count = letters.matches(&without_marks(name)).count();
        assert!(count >= 2, "{name} is not twice in {text}");
    }
    assert!(!text.contains('\u{fffd}'), "{text}");
}

#[test]
fn every_line_comes_back_in_reading_order_with_its_amount() {
    let mut invoice = long_draft(7, 17);
    // The letters of a mark stand across the rows, and poppler sorts by place.
    invoice.status = InvoiceStatus::Open;
    let text = text_of(&model(&invoice, "en"));
    let mut rest = text.as_str();
    for line in &model(&invoice, "en").sections.iter().flat_map(|section| section.lines.clone()).collect::<Vec<_>>() {
        let at = rest.find(&line.description).unwrap_or_else(|| panic!("{} is missing", line.description));
        rest = &rest[at..];
        let row = rest.lines().next().expect("a row");
        assert!(row.ends_with(&line.net.text), "{row} does not end in {}", line.net.text);
    }
}

#[test]
fn a_logo_is_drawn_with_its_transparency() {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 2, 1);
    encoder.set_color(png::ColorType::Rgba);
    encoder.write_header().and_then(|mut file| file.write_image_data(&[9, 9, 9, 255, 9, 9, 9, 0])).expect("a png");
    let logo = serde_json::json!({ "logo": base64::Engine::encode(&base64::prelude::BASE64_STANDARD, png) });
    let mut model = model(&invoice(), "en");
    model.branding = serde_json::from_value(logo).expect("a branding");
    let bytes = render(&model).expect("a pdf");
    let document = lopdf::Document::load_mem(&bytes).expect("a readable pdf");
    let masks = document.objects.values().filter_map(|object| object.as_stream().ok());
    let masks = masks.filter(|stream| stream.dict.get(b"SMask").and_then(Object::as_reference).is_ok());
    assert_eq!(masks.count(), 1);
    assert_eq!(bytes, render(&model).expect("a pdf"));
    let list = told("pdfimages", &["-list"], &bytes, &[]);
    assert!(list.contains("smask"), "{list}");
}
