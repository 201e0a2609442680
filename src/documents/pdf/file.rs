//! The file around the pages.

use std::collections::BTreeMap;

use lopdf::{Dictionary, Document, Object, Stream, StringFormat};
use printpdf::{
    Codepoint, FontId, FontMetrics, FontType, Mm, Op, ParsedFont, PdfDocument, PdfDocumentInfo, PdfFont, PdfFontHandle,
    PdfFontMetricsStub, PdfPage, PdfSaveOptions, Pt, TextItem,
};
use sha2::{Digest, Sha256};

use super::{
    layout::{Page, deflate},
    sheet::{BOLD_NAME, REGULAR_NAME},
    typeface::{Fonts, Subset, Typeface, Weight},
};
use crate::documents::{
    DocumentError,
    model::{DocumentModel, shortened},
};

/// Assembles the file.
pub(super) fn assemble(model: &DocumentModel, pages: Vec<Page>, fonts: &Fonts) -> Result<Vec<u8>, DocumentError> {
    let identity = content_identity(model, &pages);
    let mut document = to_lopdf(model, pages.len(), fonts)?;
    put_contents(&mut document, pages)?;
    set_right(&mut document, model, identity)?;
    compress_streams(&mut document).map_err(DocumentError::Write)?;
    let mut bytes = Vec::new();
    document.save_modern(&mut bytes).map_err(DocumentError::Write)?;
    Ok(bytes)
}

/// Returns 16 bytes that change with anything that is printed (ISO 32000-1, 14.4).
fn content_identity(model: &DocumentModel, pages: &[Page]) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(model.document_id.as_bytes());
    hash.update(model.dated_at.timestamp().to_be_bytes());
    for page in pages {
        hash.update(&page.body);
        hash.update(&page.footer);
    }
    hash.finalize().iter().take(16).copied().collect()
}

/// Lets printpdf build the document: the first page names every glyph drawn, because that is how it learns what to
/// embed.
fn to_lopdf(model: &DocumentModel, page_count: usize, fonts: &Fonts) -> Result<Document, DocumentError> {
    let mut document = PdfDocument::new("");
    document.metadata.info = information(model);
    let mut drawn = Vec::new();
    let typefaces = [(REGULAR_NAME, Weight::Regular, &fonts.regular), (BOLD_NAME, Weight::Bold, &fonts.bold)];
    for (name, weight, subset) in typefaces {
        let id = FontId(name.to_owned());
        let font = embedded(fonts.face(weight), subset, weight)?;
        document.resources.fonts.map.insert(id.clone(), PdfFont::new(font));
        drawn.push(Op::SetFont { font: PdfFontHandle::External(id), size: Pt(1.0) });
        let glyphs = subset.glyphs.iter().map(|(glyph, character, _)| Codepoint {
            gid: *glyph,
            offset: 0.0,
            cid: Some(character.to_string()),
        });
        drawn.push(Op::ShowText { items: vec![TextItem::GlyphIds(glyphs.collect())] });
    }
    let (width, height) = (Mm(210.0), Mm(297.0));
    document.pages.push(PdfPage::new(width, height, drawn));
    document.pages.resize_with(page_count, || PdfPage::new(width, height, Vec::new()));
    Ok(document.to_lopdf_document(&PdfSaveOptions::default(), &mut Vec::new()))
}

fn information(model: &DocumentModel) -> PdfDocumentInfo {
    let date = printpdf::OffsetDateTime::from_unix_timestamp(model.dated_at.timestamp());
    let mut information = PdfDocumentInfo {
        document_title: shortened(&model.title).into_owned(),
        author: shortened(&model.issuer.name).into_owned(),
        creator: "billrunner".to_owned(),
        producer: "billrunner".to_owned(),
        identifier: String::new(),
        ..PdfDocumentInfo::default()
    };
    if let Ok(date) = date {
        information.creation_date = date;
        information.modification_date = date;
        information.metadata_date = date;
    }
    information
}

/// Returns the subset as printpdf takes a whole font, so that it embeds it as it is.
fn embedded(typeface: &Typeface, subset: &Subset, weight: Weight) -> Result<ParsedFont, DocumentError> {
    let face = &typeface.face;
    let bytes = subsetter::subset(typeface.bytes, 0, &subset.remapper).map_err(DocumentError::Subset)?;
    let bounds = face.global_bounding_box();
    let units_per_em = face.units_per_em();
    // printpdf scales these widths as if they were in font units.
    let to_units = |advance: i64| u16::try_from(advance * i64::from(units_per_em) / 1000).unwrap_or(u16::MAX);
    let (name, weight_class) = match weight {
        Weight::Regular => ("NotoSans-Regular", 400),
        Weight::Bold => ("NotoSans-Bold", 700),
    };
    Ok(ParsedFont {
        original_bytes: bytes,
        font_index: 0,
        font_name: Some(format!("{}+{name}", subset_tag(subset))),
        codepoint_to_glyph: BTreeMap::new(),
        glyph_widths: subset.glyphs.iter().map(|(glyph, _, advance)| (*glyph, to_units(*advance))).collect(),
        units_per_em,
        font_metrics: FontMetrics { ascent: face.ascender(), descent: face.descender() },
        font_type: FontType::TrueType,
        pdf_font_metrics: PdfFontMetricsStub {
            units_per_em,
            x_min: bounds.x_min,
            y_min: bounds.y_min,
            x_max: bounds.x_max,
            y_max: bounds.y_max,
            us_weight_class: weight_class,
            ..PdfFontMetricsStub::default()
        },
    })
}

/// Returns the six letters that mark a subset (ISO 32000-1, 9.6.4), different for different subsets.
fn subset_tag(subset: &Subset) -> String {
    let mut hash = Sha256::new();
    for (_, character, _) in &subset.glyphs {
        hash.update(u32::from(*character).to_be_bytes());
    }
    hash.finalize().iter().take(6).map(|byte| char::from(b'A' + byte % 26)).collect()
}

fn put_contents(document: &mut Document, pages: Vec<Page>) -> Result<(), DocumentError> {
    let ids: Vec<_> = document.page_iter().collect();
    for (id, page) in ids.into_iter().zip(pages) {
        let placeholder = document.get_dictionary(id)?.get(b"Contents")?.as_reference()?;
        let mut attributes = Dictionary::new();
        attributes.set("Filter", "FlateDecode");
        document.set_object(placeholder, Stream::new(attributes, page.body).with_compression(false));
        // Too short to gain by deflating.
        let footer = document.add_object(Stream::new(Dictionary::new(), page.footer).with_compression(false));
        let dictionary = document.get_dictionary_mut(id)?;
        dictionary.set("Contents", vec![Object::Reference(placeholder), Object::Reference(footer)]);
        dictionary.remove(b"Annots");
    }
    Ok(())
}

fn set_right(document: &mut Document, model: &DocumentModel, identity: Vec<u8>) -> Result<(), DocumentError> {
    "1.7".clone_into(&mut document.version);
    let catalog = document.catalog_mut()?;
    catalog.set("Lang", Object::string_literal(model.language.as_str()));
    let mut preferences = Dictionary::new();
    preferences.set("DisplayDocTitle", true);
    catalog.set("ViewerPreferences", preferences);

    let information = document.trailer.get(b"Info")?.as_reference()?;
    let information = document.get_dictionary_mut(information)?;
    for key in ["GTS_PDFXVersion", "Identifier", "Keywords", "Subject", "Trapped"] {
        information.remove(key.as_bytes());
    }
    let identity = Object::String(identity, StringFormat::Hexadecimal);
    document.trailer.set("ID", vec![identity.clone(), identity]);
    Ok(())
}

/// Deflates what printpdf left plain: the typefaces and their maps to Unicode.
fn compress_streams(document: &mut Document) -> std::io::Result<()> {
    for object in document.objects.values_mut() {
        let Object::Stream(stream) = object else { continue };
        if stream.allows_compression && !stream.dict.has(b"Filter") {
            let content = deflate(&stream.content)?;
            stream.set_content(content);
            stream.dict.set("Filter", "FlateDecode");
        }
    }
    Ok(())
}
