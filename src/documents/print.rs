//! The invoice as one page of HTML, to read and print: no script, no external resource, sections that fold.
//!
//! Everything from outside is escaped by the template language and set apart in direction (`bdi`). The content security
//! policy allows nothing but the page's two style sheets, by their hashes, and the logo that stands in it: the sheet that
//! all pages share, and one with the reseller's colour and what printed pages say above and below. On paper every section
//! is open, whatever its reader folded.

use std::{fmt::Write, sync::LazyLock};

use base64::{Engine, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::{
    model::{DocumentModel, MarkKind, Party, Section, cut_after, shortened},
    palette::Palette,
};
use crate::domain::branding::Paper;

const STYLE: &str = include_str!("print.css");

/// Longest title above a printed page: it has one line.
const MAX_TITLE_CHARS: usize = 60;
/// Stands in a text where a printed page's number goes. A title that holds it shows the number, and nothing worse.
const PAGE: char = '\u{e000}';
/// Stands in a text where the count of printed pages goes.
const PAGES: char = '\u{e001}';

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| BASE64_STANDARD.encode(Sha256::digest(STYLE)));

/// Renders the page.
pub(super) fn render(model: &DocumentModel) -> Vec<u8> {
    let own = own_style(model);
    let pictures = if model.branding.logo.is_some() { "img-src data:; " } else { "" };
    let policy = format!(
        "default-src 'none'; {pictures}style-src 'sha256-{}' 'sha256-{}'; base-uri 'none'; form-action 'none'",
        *STYLE_HASH,
        BASE64_STANDARD.encode(Sha256::digest(&own))
    );
    let page = html! {
        (DOCTYPE)
        html lang=(model.language) dir=(model.direction.as_str()) {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (shortened(&model.title)) }
                style { (PreEscaped(STYLE)) }
                style { (PreEscaped(own)) }
            }
            body {
                main {
                    @if let Some(mark) = &model.mark {
                        div class=(mark_class(mark.kind)) aria-hidden="true" { (mark.text) }
                    }
                    (opening(model)) (lines(model)) (totals(model)) (notes(model))
                }
            }
        }
    };
    page.into_string().into_bytes()
}

/// Writes the style that is this document's own: the reseller's colour and paper, and what stands around printed pages.
fn own_style(model: &DocumentModel) -> String {
    let paper = match model.branding.paper {
        Paper::A4 => "A4",
        Paper::Letter => "letter",
    };
    let mut style = format!("{} @page {{ size: {paper}; }}", page_margins(model));
    if let Some(colour) = model.branding.colour {
        let Palette { bar, on_bar, heading } = Palette::new(Some(colour));
        let [bar, on_bar, heading] = [bar, on_bar, heading].map(String::from);
        // On dark paper a heading in the reseller's colour may not be readable.
        let _ = write!(
            style,
            " :root {{ --bar: {bar}; --bar-ink: {on_bar}; --accent: {heading}; }} \
             @media screen and (prefers-color-scheme: dark) {{ :root {{ --accent: var(--ink); }} }}"
        );
    }
    style
}

/// Writes what stands above and below each printed page: the title, but not above itself, and which page it is.
fn page_margins(model: &DocumentModel) -> String {
    let font = "font: 8pt \"Noto Sans\", system-ui, sans-serif; color: #39414c;";
    let title = css_text(&cut_after(&model.title, MAX_TITLE_CHARS));
    let page = css_text(&model.labels.page_between(PAGE, PAGES));
    let (above, below) = match model.direction.as_str() {
        "rtl" => ("@top-right", "@bottom-left"),
        _ => ("@top-left", "@bottom-right"),
    };
    format!(
        "@page {{ {above} {{ content: {title}; {font} }} {below} {{ content: {page}; {font} }} }} \
         @page :first {{ {above} {{ content: none; }} }}"
    )
}

/// Writes a text as CSS takes it: whatever is no plain letter, digit or blank becomes an escape, so nothing ends the text
/// or the style sheet.
fn css_text(text: &str) -> String {
    let mut css = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            PAGE => write!(css, "\" counter(page) \""),
            PAGES => write!(css, "\" counter(pages) \""),
            c if c.is_ascii_alphanumeric() || c == ' ' => write!(css, "{c}"),
            c => write!(css, "\\{:x} ", u32::from(c)),
        };
    }
    css.push('"');
    css
}

fn mark_class(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Draft => "mark draft",
        MarkKind::Void => "mark void",
    }
}

fn opening(model: &DocumentModel) -> Markup {
    html! {
        header {
            div.issuer {
                @if let Some(logo) = &model.branding.logo {
                    img.logo src=(format!("data:image/png;base64,{}", String::from(logo.clone()))) alt="";
                }
                (party(None, &model.issuer))
            }
            div.heading {
                h1 { (model.heading) }
                p.number { bdi { (shortened(model.printed_number())) } }
                @match &model.mark {
                    Some(mark) => p.badge { (mark.text) },
                    None => p.status { (model.status) },
                }
            }
        }
        div.about {
            (party(Some(&model.labels.customer), &model.customer))
            dl {
                @for fact in model.head() { dt { bdi { (shortened(&fact.label)) } } dd { bdi { (shortened(&fact.value)) } } }
            }
        }
    }
}

fn party(label: Option<&str>, party: &Party) -> Markup {
    html! {
        address {
            @if let Some(label) = label { span.label { (label) } }
            strong { bdi { (shortened(&party.name)) } }
            @for line in party.address.iter().chain(&party.tax_id) { span { bdi { (shortened(line)) } } }
        }
    }
}

fn lines(model: &DocumentModel) -> Markup {
    html! {
        @for section in &model.sections {
            details open {
                summary {
                    h2 {
                        bdi { (shortened(&section.printed_heading())) }
                        @if let Some(id) = section.printed_id() { " " small { bdi { (shortened(id)) } } }
                    }
                    span.amount { (section.subtotal.text) }
                }
                (section_table(model, section))
            }
        }
    }
}

fn section_table(model: &DocumentModel, section: &Section) -> Markup {
    let labels = &model.labels;
    let has_categories = model.has_categories();
    html! {
        table aria-label=(shortened(&section.printed_heading())) {
            thead {
                tr {
                    th scope="col" { (labels.description) }
                    @if has_categories { th.category scope="col" { (labels.category) } }
                    th.charges scope="col" { (labels.charges) }
                    th.net scope="col" { (labels.net) }
                }
            }
            tbody {
                @for line in &section.lines {
                    tr {
                        td { bdi { (shortened(&line.description)) } }
                        @if has_categories { td.category { (line.category.as_deref().unwrap_or_default()) } }
                        td.charges { (line.charges) }
                        td.net { (line.net.text) }
                    }
                }
            }
        }
    }
}

fn totals(model: &DocumentModel) -> Markup {
    html! {
        table.totals aria-label=(model.labels.total) {
            tbody {
                @for row in std::iter::once(&model.subtotal).chain(&model.taxes) {
                    tr { th scope="row" { (shortened(&row.label)) } td { (row.amount.text) } }
                }
            }
            tfoot {
                tr { th scope="row" { (model.total.label) } td { (model.total.amount.text) } }
            }
        }
    }
}

fn notes(model: &DocumentModel) -> Markup {
    html! {
        @if !model.notes.is_empty() {
            section.notes {
                h2 { (model.labels.notes) }
                @for note in &model.notes { p { (shortened(note)) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::samples::{hostile, invoice, long_draft, model, with_references};

    fn page(model: &DocumentModel) -> String {
        String::from_utf8(render(model)).expect("utf-8")
    }

    #[test]
    fn it_has_language_lines_and_totals() {
        let page = page(&model(&invoice(), "es-MX"));
        for expected in
            ["<html lang=\"es-MX\" dir=\"ltr\">", "<details open>", "Panadería Hermanos Muñoz, S.A.", "23,456.78"]
        {
            assert!(page.contains(expected), "{expected} is not in the page");
        }
        assert!(!page.contains("class=\"mark"));
    }

    #[test]
    fn it_says_what_the_customer_refers_to_and_a_field_stays_text() {
        let page = page(&model(&with_references(), "en"));
        for expected in ["Purchase order</bdi></dt><dd><bdi>PO-7<", "Cost centre</bdi></dt><dd><bdi>CC-0042<"] {
            assert!(page.contains(expected), "{expected} is not in the page");
        }
    }

    #[test]
    fn a_draft_is_marked() {
        assert!(
            page(&model(&long_draft(1, 1), "en"))
                .contains("<div class=\"mark draft\" aria-hidden=\"true\">DRAFT</div>")
        );
    }

    #[test]
    fn hostile_names_are_escaped_and_nothing_is_loaded_from_elsewhere() {
        let page = page(&model(&hostile(), "en"));
        for forbidden in ["<script", "<img", " src=", " href=", "url(", "@import", "</details></style>"] {
            let outside_text = page.replace("&lt;img src=x", "");
            assert!(!outside_text.contains(forbidden), "{forbidden} is in the page");
        }
        assert!(page.len() < 200_000, "{} bytes", page.len());
    }

    /// Returns what stands between the tags of each style sheet, as a browser reads it.
    fn style_sheets(page: &str) -> Vec<&str> {
        page.split("<style>").skip(1).filter_map(|rest| rest.split("</style").next()).collect()
    }

    #[test]
    fn the_policy_allows_each_style_sheet_and_no_other_also_with_hostile_names() {
        for invoice in [invoice(), hostile()] {
            let page = page(&model(&invoice, "es"));
            let sheets = style_sheets(&page);
            let hashes: Vec<String> = sheets
                .iter()
                .map(|sheet| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(sheet))))
                .collect();
            let policy = format!("default-src 'none'; style-src {};", hashes.join(" "));
            assert_eq!(sheets.len(), 2);
            assert!(page.contains(&policy), "{policy}");
            for forbidden in [" style=", "<script", " onclick=", " onload="] {
                assert!(!page.contains(forbidden), "{forbidden} is in the page");
            }
        }
    }

    #[test]
    fn a_printed_page_says_which_it_is_in_the_language() {
        let model = model(&invoice(), "es");
        let margins = page_margins(&model);
        assert!(margins.contains("content: \"P\\e1 gina \" counter(page) \" de \" counter(pages) \"\""), "{margins}");
        assert!(margins.contains("content: \"Factura 2026\\2d 00042\""), "{margins}");
        assert_eq!(css_text("\"</style>\\"), "\"\\22 \\3c \\2f style\\3e \\5c \"");
    }

    #[test]
    fn paper_shows_folded_sections_too_and_is_black_on_white() {
        let (_, print) = STYLE.split_once("@media print").expect("rules for paper");
        for rule in ["details::details-content", "content-visibility: visible", "--ink: #000", "table-header-group"] {
            assert!(print.contains(rule), "{rule} is not among the rules for paper");
        }
        assert!(STYLE.contains("@media screen and (prefers-color-scheme: dark)"), "dark is for screens");
    }

    #[test]
    fn arabic_is_written_from_right_to_left() {
        for (language, direction) in [("ar", "rtl"), ("es", "ltr")] {
            let html = page(&model(&invoice(), language));
            assert!(html.contains(&format!("<html lang=\"{language}\" dir=\"{direction}\">")), "{language}");
        }
    }

    #[test]
    fn the_policy_allows_the_style_sheet_by_its_hash() {
        assert!(
            page(&model(&invoice(), "en"))
                .contains(&format!("style-src 'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(STYLE))))
        );
    }

    #[test]
    fn it_has_the_resellers_logo_colour_and_paper() {
        let mut model = model(&invoice(), "en");
        assert!(!page(&model).contains("<img") && !page(&model).contains("img-src"));
        model.branding.paper = Paper::Letter;
        model.branding.colour = Some("#f5c400".parse().expect("a colour"));
        model.branding.logo = Some("AAAA".to_owned().try_into().expect("base64"));
        let page = page(&model);
        for expected in [
            "size: letter",
            "--bar: #f5c400; --bar-ink: #000000;",
            "img-src data:;",
            "<img class=\"logo\" src=\"data:image/png;base64,AAAA\" alt=\"\">",
        ] {
            assert!(page.contains(expected), "{expected} is not in the page");
        }
    }
}
