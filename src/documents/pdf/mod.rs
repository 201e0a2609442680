//! The invoice as a PDF: our own layout, page contents and typefaces, printpdf's document around them.
//!
//! printpdf builds the file's structure (pages, information); we put our deflated page contents, a subset of each
//! typeface, the outline and the logo into its lopdf document, which keeps memory and time small. The bytes are the same
//! on every run: dates come from the invoice, the file's `/ID` from its contents. What printpdf would get wrong is set right
//! on the way out: `/Lang`, the label of a PDF/X version, the random `/ID`. Not yet: tagging for screen readers.

mod deflate;
mod embedding;
mod file;
mod fonts;
mod layout;
mod opening;
mod outline;
mod palette;
mod picture;
mod shaping;
mod sheet;
mod table;
#[cfg(test)]
mod tools_tests;
mod totals;
mod typeface;

use super::{DocumentError, model::DocumentModel};

pub(super) use typeface::VENDORED_TYPEFACES;

/// Renders the invoice as a PDF.
///
/// # Errors
/// Defects of ours only: a typeface that cannot be read or subset, a file that cannot be assembled.
pub(super) fn render(model: &DocumentModel) -> Result<Vec<u8>, DocumentError> {
    file::assemble(model, layout::lay_out(model)?)
}

#[cfg(test)]
mod tests {
    use lopdf::{Document, Object};

    use super::*;
    use crate::{
        documents::samples::{credit_note, full_head, hostile, invoice, long_draft, model},
        domain::branding::Paper,
    };

    fn open(model: &DocumentModel) -> Document {
        Document::load_mem(&render(model).expect("a pdf")).expect("a readable pdf")
    }

    fn text_of(document: &Document, page: u32) -> String {
        document.extract_text(&[page]).expect("text")
    }

    fn whole_text_of(document: &Document) -> String {
        let pages = u32::try_from(document.get_pages().len()).expect("few pages");
        (1..=pages).map(|page| text_of(document, page)).collect()
    }

    #[test]
    fn two_renders_give_the_same_bytes() {
        for invoice in [invoice(), long_draft(7, 17), hostile()] {
            let model = model(&invoice, "es");
            assert_eq!(render(&model).expect("a pdf"), render(&model).expect("a pdf"));
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        let text = text_of(&open(&model(&invoice(), "es")), 1);
        for expected in [
            "Factura",
            "2026-00042",
            "Panadería Hermanos Muñoz, S.A.",
            "agosto de 2026",
            "Amazon Elastic Compute Cloud",
            "23.456,78",
            "Correcciones de julio de 2026",
            "IVA 21 % sobre 24.278,94 EUR",
            "30.640,02 EUR",
            "Página 1 de 1",
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
        assert!(!text.contains("BORRADOR"));
    }

    #[test]
    fn a_credit_note_shows_no_negative_total() {
        let text = text_of(&open(&model(&credit_note(), "de")), 1);
        assert!(text.contains("30.640,02 EUR") && !text.contains("-30.640,02"), "{text}");
    }

    #[test]
    fn each_page_has_its_mark_number_and_column_titles() {
        let document = open(&model(&long_draft(7, 17), "en"));
        let pages = document.get_pages().len();
        assert!(pages >= 3, "{pages} pages");
        for page in 1..=u32::try_from(pages).expect("few pages") {
            let text = text_of(&document, page);
            for expected in ["DRAFT", &format!("Page {page} of {pages}")] {
                assert!(text.contains(expected), "{expected} is not on page {page}");
            }
            let has_lines = text.contains("Virtual Machines");
            assert_eq!(text.contains("Net amount (EUR)"), has_lines, "page {page}");
        }
    }

    #[test]
    fn hostile_names_stay_inside_their_cells() {
        let model = model(&hostile(), "en");
        let bytes = render(&model).expect("a pdf");
        assert!(bytes.len() < 200_000, "{} bytes", bytes.len());
        let document = Document::load_mem(&bytes).expect("a readable pdf");
        let text = whole_text_of(&document);
        assert!(text.contains("<script>alert(1)</script>") && text.contains("(paren)"));
        assert!(text.contains("Characters that the typeface lacks are shown as �."));
    }

    #[test]
    fn status_and_billing_period_stand_above_and_each_section_has_a_bookmark() {
        let document = open(&model(&invoice(), "es"));
        let text = text_of(&document, 1);
        let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word} is not in {text}"));
        assert!(place("ABIERTA") < place("agosto de 2026") && place("agosto de 2026") < place("Factura"));
        let outline = document.get_toc().expect("an outline");
        let titles: Vec<&str> = outline.toc.iter().map(|item| item.title.as_str()).collect();
        assert_eq!(titles, ["012345678901", "Producción", "Correcciones de julio de 2026 · Producción"]);
    }

    #[test]
    fn a_page_that_begins_inside_a_section_says_which() {
        let document = open(&model(&long_draft(1, 60), "en"));
        assert!(text_of(&document, 2).contains("000000000000 · Continued from the previous page"));
    }

    #[test]
    fn paper_is_the_resellers() {
        let height = |paper| {
            let mut model = model(&invoice(), "en");
            model.branding.paper = paper;
            let document = open(&model);
            let page = document.page_iter().next().expect("a page");
            let sides = document.get_dictionary(page).and_then(|page| page.get(b"MediaBox")).and_then(Object::as_array);
            sides.ok().and_then(|sides| sides[3].as_float().ok()).expect("a height").round()
        };
        assert!((height(Paper::A4) - 842.0).abs() < 0.5 && (height(Paper::Letter) - 792.0).abs() < 0.5);
    }

    #[test]
    fn a_head_as_full_as_it_can_be_is_shown_whole() {
        let text = whole_text_of(&open(&model(&full_head(), "en")));
        let letters = |letter: char| text.chars().filter(|c| *c == letter).count();
        assert!(letters('W') >= 80 + 6 * 79, "a value is cut: {text}");
        assert!(letters('L') >= 6 * 40, "a label is cut: {text}");
        assert!(text.contains("Virtual Machines D2 v5") && text.contains("Total"), "{text}");
    }

    #[test]
    fn the_day_of_generation_is_the_customers() {
        let mut draft = full_head();
        assert!(text_of(&open(&model(&draft, "en")), 1).contains("September 3, 2026"));
        draft.customer.time_zone = None;
        assert!(text_of(&open(&model(&draft, "en")), 1).contains("September 2, 2026"));
    }

    #[test]
    fn an_invoice_without_lines_has_its_totals() {
        let mut invoice = invoice();
        invoice.lines.clear();
        assert!(text_of(&open(&model(&invoice, "en")), 1).contains("Total"));
    }

    #[test]
    fn the_file_says_its_language_and_dates_and_claims_no_pdf_x() {
        let document = open(&model(&invoice(), "es"));
        let language = document.catalog().and_then(|catalog| catalog.get(b"Lang")).and_then(Object::as_str);
        assert_eq!(language.ok(), Some(b"es".as_slice()));
        let information = document.trailer.get(b"Info").and_then(Object::as_reference).expect("information");
        let information = document.get_dictionary(information).expect("information");
        assert_eq!(
            information.get(b"CreationDate").and_then(Object::as_str).ok(),
            Some(b"D:20260903101112+00'00'".as_slice())
        );
        assert!(!information.has(b"GTS_PDFXVersion"));
    }

    #[test]
    fn another_amount_gives_another_file_identity() {
        let identity = |invoice| open(&model(&invoice, "en")).trailer.get(b"ID").cloned().expect("an id");
        let mut changed = invoice();
        changed.total += 1;
        assert_ne!(identity(invoice()), identity(changed));
    }
}
