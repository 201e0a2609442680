//! The file around the pages.

use lopdf::{Dictionary, Document, Object, Stream, StringFormat};
use printpdf::{Mm, PdfDocument, PdfDocumentInfo, PdfPage, PdfSaveOptions};
use sha2::{Digest, Sha256};

use super::{
    embedding,
    layout::{Laid, Page},
    outline, picture,
};
use crate::{
    documents::{
        DocumentError,
        model::{DocumentModel, shortened},
    },
    domain::branding::Paper,
};

/// Assembles the file.
pub(super) fn assemble(model: &DocumentModel, laid: Laid) -> Result<Vec<u8>, DocumentError> {
    let identity = content_identity(model, &laid.pages);
    let mut document = to_lopdf(model, laid.pages.len());
    let ids: Vec<_> = document.page_iter().collect();
    outline::add(&mut document, &laid.bookmarks, &ids)?;
    let fonts = embedding::embed(&mut document, &laid.fonts)?;
    let pictures = laid.logo.as_deref().map(|logo| picture::embed(&mut document, logo)).unwrap_or_default();
    let mut resources = Dictionary::new();
    resources.set("Font", fonts);
    resources.set("XObject", pictures);
    let resources = document.add_object(resources);
    for (id, page) in ids.into_iter().zip(laid.pages) {
        put_contents(&mut document, id, page, resources)?;
    }
    set_right(&mut document, model, identity)?;
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

/// Lets printpdf build the document, with empty pages.
fn to_lopdf(model: &DocumentModel, page_count: usize) -> Document {
    let (width, height) = match model.branding.paper {
        Paper::A4 => (Mm(210.0), Mm(297.0)),
        Paper::Letter => (Mm(215.9), Mm(279.4)),
    };
    let mut document = PdfDocument::new("");
    document.metadata.info = information(model);
    document.pages.resize_with(page_count, || PdfPage::new(width, height, Vec::new()));
    document.to_lopdf_document(&PdfSaveOptions::default(), &mut Vec::new())
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

/// Gives a page what was drawn of it in place of what printpdf made.
fn put_contents(
    document: &mut Document,
    id: lopdf::ObjectId,
    page: Page,
    resources: lopdf::ObjectId,
) -> Result<(), DocumentError> {
    let dictionary = document.get_dictionary(id)?;
    let placeholder = dictionary.get(b"Contents")?.as_reference()?;
    let own_resources = dictionary.get(b"Resources")?.as_reference()?;
    document.objects.remove(&own_resources);
    let mut attributes = Dictionary::new();
    attributes.set("Filter", "FlateDecode");
    document.set_object(placeholder, Stream::new(attributes, page.body).with_compression(false));
    // Too short to gain by deflating.
    let footer = document.add_object(Stream::new(Dictionary::new(), page.footer).with_compression(false));
    let dictionary = document.get_dictionary_mut(id)?;
    dictionary.set("Contents", vec![Object::Reference(placeholder), Object::Reference(footer)]);
    dictionary.set("Resources", resources);
    dictionary.remove(b"Annots");
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
