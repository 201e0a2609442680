//! A document's typefaces in the file: what is drawn of each, as a composite font (ISO 32000-1, 9.7) with a map back to
//! Unicode, so that text can be selected, copied and searched.

use std::fmt::Write as _;

use lopdf::{Dictionary, Document, Object, Stream, dictionary};
use sha2::{Digest, Sha256};

use super::{
    deflate::{deflate, deflate_typeface},
    fonts::{Fonts, Subset},
    typeface::Typeface,
};
use crate::documents::DocumentError;

/// Most pairs that one block of a map to Unicode takes (Adobe Technical Note 5411).
const PAIRS_A_BLOCK: usize = 100;

/// Adds the typefaces and returns the pages' resource of their names.
pub(super) fn embed(document: &mut Document, fonts: &Fonts) -> Result<Dictionary, DocumentError> {
    let mut named = Dictionary::new();
    for (name, subset) in fonts.subsets() {
        let font = composite_font(document, subset)?;
        named.set(name, font);
    }
    Ok(named)
}

fn composite_font(document: &mut Document, subset: &Subset) -> Result<Object, DocumentError> {
    let typeface = subset.typeface;
    let base_font = format!("{}+{}", subset_tag(subset), typeface.name);
    let descriptor = descriptor(document, subset, &base_font)?;
    let widths = subset.codes.iter().map(|code| Object::from(code.width)).collect::<Vec<_>>();
    let glyphs = code_to_glyph(document, subset)?;
    let descendant = dictionary! {
        "Type" => "Font",
        "Subtype" => "CIDFontType2",
        "BaseFont" => base_font.as_str(),
        "CIDSystemInfo" => dictionary! {
            "Registry" => Object::string_literal("Adobe"),
            "Ordering" => Object::string_literal("Identity"),
            "Supplement" => 0,
        },
        "FontDescriptor" => descriptor,
        "W" => vec![Object::from(1), Object::Array(widths)],
        "CIDToGIDMap" => glyphs,
    };
    let descendant = document.add_object(descendant);
    let to_unicode = compressed(Dictionary::new(), to_unicode(subset).as_bytes())?;
    let to_unicode = document.add_object(to_unicode);
    Ok(document
        .add_object(dictionary! {
            "Type" => "Font",
            "Subtype" => "Type0",
            "BaseFont" => base_font.as_str(),
            "Encoding" => "Identity-H",
            "DescendantFonts" => vec![Object::Reference(descendant)],
            "ToUnicode" => to_unicode,
        })
        .into())
}

fn descriptor(document: &mut Document, subset: &Subset, base_font: &str) -> Result<Object, DocumentError> {
    /// ISO 32000-1, table 123: not all of its glyphs are in the standard Latin set.
    const SYMBOLIC: i64 = 4;
    let typeface = subset.typeface;
    let bytes = subsetter::subset(typeface.bytes, 0, &subset.remapper).map_err(DocumentError::Subset)?;
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let attributes = dictionary! { "Length1" => length, "Filter" => "FlateDecode" };
    let program = Stream::new(attributes, deflate_typeface(&bytes).map_err(DocumentError::Write)?);
    let program = document.add_object(program.with_compression(false));
    let face = &typeface.face;
    let ems = |units: i16| typeface.to_ems(units.into());
    let bounds = face.global_bounding_box();
    let bounds = [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(|side| Object::from(ems(side)));
    let descriptor = dictionary! {
        "Type" => "FontDescriptor",
        "FontName" => base_font,
        "Flags" => SYMBOLIC,
        "FontBBox" => bounds.to_vec(),
        "ItalicAngle" => 0,
        "Ascent" => ems(face.ascender()),
        "Descent" => ems(face.descender()),
        "CapHeight" => ems(face.capital_height().unwrap_or_else(|| face.ascender())),
        "StemV" => if is_bold(typeface) { 140 } else { 80 },
        "FontFile2" => program,
    };
    Ok(document.add_object(descriptor).into())
}

fn is_bold(typeface: &Typeface) -> bool {
    typeface.name.ends_with("Bold")
}

/// Returns `Identity`, or a map where one glyph has several codes.
fn code_to_glyph(document: &mut Document, subset: &Subset) -> Result<Object, DocumentError> {
    if (1_u16..).zip(&subset.codes).all(|(code, drawn)| code == drawn.glyph) {
        return Ok("Identity".into());
    }
    let glyphs = std::iter::once(0).chain(subset.codes.iter().map(|code| code.glyph));
    let map: Vec<u8> = glyphs.flat_map(u16::to_be_bytes).collect();
    let stream = compressed(Dictionary::new(), &map)?;
    Ok(document.add_object(stream).into())
}

fn to_unicode(subset: &Subset) -> String {
    let mut map = "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CIDSystemInfo \
                   <</Registry(Adobe)/Ordering(UCS)/Supplement 0>> def\n/CMapName /Adobe-Identity-UCS def\n/CMapType 2 \
                   def\n1 begincodespacerange\n<0000><FFFF>\nendcodespacerange\n"
        .to_owned();
    let pairs: Vec<(u16, &str)> = (1..).zip(subset.codes.iter().map(|code| code.text.as_str())).collect();
    let said: Vec<_> = pairs.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    for block in said.chunks(PAIRS_A_BLOCK) {
        // Writing to a string cannot fail.
        let _ = writeln!(map, "{} beginbfchar", block.len());
        for (code, text) in block {
            let _ = write!(map, "<{code:04X}><");
            text.encode_utf16().for_each(|unit| {
                let _ = write!(map, "{unit:04X}");
            });
            map.push_str(">\n");
        }
        map.push_str("endbfchar\n");
    }
    map + "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
}

/// Returns the six letters that mark a subset (ISO 32000-1, 9.6.4), different for different subsets.
fn subset_tag(subset: &Subset) -> String {
    let mut hash = Sha256::new();
    for code in &subset.codes {
        hash.update(code.text.as_bytes());
        hash.update(code.glyph.to_be_bytes());
    }
    hash.finalize().iter().take(6).map(|byte| char::from(b'A' + byte % 26)).collect()
}

/// Returns a deflated stream.
pub(super) fn compressed(mut attributes: Dictionary, content: &[u8]) -> Result<Stream, DocumentError> {
    attributes.set("Filter", "FlateDecode");
    Ok(Stream::new(attributes, deflate(content).map_err(DocumentError::Write)?).with_compression(false))
}
