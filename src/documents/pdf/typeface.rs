//! The two vendored typefaces: which glyph draws a character, how wide it is, and the subset a document embeds.
//!
//! Glyphs are numbered anew in the order a document first draws them, so that pages can be written, deflated and
//! forgotten before the subset is known. Characters the typefaces lack (Hebrew, Arabic, CJK, emoji) are drawn as U+FFFD
//! and remembered, so that the document can say so; shaping and more scripts are for a later change.

use std::sync::LazyLock;

use subsetter::GlyphRemapper;
use ttf_parser::{Face, FaceParsingError};

use super::super::DocumentError;

pub(in super::super) const REGULAR: &[u8] = include_bytes!("../fonts/NotoSans-Regular.ttf");
pub(in super::super) const BOLD: &[u8] = include_bytes!("../fonts/NotoSans-Bold.ttf");

/// Characters whose glyphs are looked up once per process: Latin, Greek and Cyrillic.
const CACHED_CHARACTERS: u32 = 0x530;
/// Widths are counted in thousandths of the type size, as PDF does.
const EM: i64 = 1000;

/// A length on the page, in hundredths of a point: exact, so that every run computes the same page.
pub(super) type Length = i32;

/// Which of the two typefaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

#[derive(Clone, Copy, Debug)]
struct Glyph {
    id: u16,
    /// In thousandths of an em.
    advance: i64,
}

/// What is drawn for one character.
#[derive(Clone, Copy)]
enum Drawn {
    Glyph(Glyph, char),
    /// The typeface lacks the character.
    Replaced(Glyph),
    /// Invisible by definition: joiners, direction marks, variation selectors.
    Nothing,
}

/// One parsed typeface.
pub(super) struct Typeface {
    pub(super) bytes: &'static [u8],
    pub(super) face: Face<'static>,
    cached: Vec<Option<Glyph>>,
    replacement: Glyph,
}

impl Typeface {
    fn parse(bytes: &'static [u8]) -> Result<Self, FaceParsingError> {
        let face = Face::parse(bytes, 0)?;
        let cached = (0..CACHED_CHARACTERS).map(|code| char::from_u32(code).and_then(|c| find_glyph(&face, c)));
        let replacement = find_glyph(&face, char::REPLACEMENT_CHARACTER).or_else(|| find_glyph(&face, '?'));
        Ok(Self {
            bytes,
            cached: cached.collect(),
            replacement: replacement.unwrap_or(Glyph { id: 0, advance: EM / 2 }),
            face,
        })
    }

    fn glyph(&self, character: char) -> Option<Glyph> {
        match usize::try_from(u32::from(character)).ok().and_then(|index| self.cached.get(index)) {
            Some(cached) => *cached,
            None => find_glyph(&self.face, character),
        }
    }

    fn drawn(&self, character: char) -> Drawn {
        if is_invisible(character) {
            return Drawn::Nothing;
        }
        match self.glyph(character) {
            Some(glyph) if !character.is_control() && character != '\u{a0}' => Drawn::Glyph(glyph, character),
            _ if character.is_whitespace() || character.is_control() => {
                self.glyph(' ').map_or(Drawn::Nothing, |space| Drawn::Glyph(space, ' '))
            }
            _ => Drawn::Replaced(self.replacement),
        }
    }

    fn advance(&self, character: char) -> i64 {
        match self.drawn(character) {
            Drawn::Glyph(glyph, _) | Drawn::Replaced(glyph) => glyph.advance,
            Drawn::Nothing => 0,
        }
    }
}

fn find_glyph(face: &Face<'_>, character: char) -> Option<Glyph> {
    let id = face.glyph_index(character)?;
    let advance = i64::from(face.glyph_hor_advance(id)?) * EM / i64::from(face.units_per_em());
    Some(Glyph { id: id.0, advance })
}

/// Unicode's `Default_Ignorable_Code_Point`, as far as it turns up in names.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

struct Faces {
    regular: Typeface,
    bold: Typeface,
}

static FACES: LazyLock<Result<Faces, FaceParsingError>> =
    LazyLock::new(|| Ok(Faces { regular: Typeface::parse(REGULAR)?, bold: Typeface::parse(BOLD)? }));

/// Glyphs of one typeface that a document draws, in their new order.
pub(super) struct Subset {
    pub(super) remapper: GlyphRemapper,
    /// New glyph ids by old one; 0 where not drawn yet.
    new_ids: Vec<u16>,
    /// New glyph id, what it stands for, its width: in drawing order.
    pub(super) glyphs: Vec<(u16, char, i64)>,
}

impl Subset {
    fn new(face: &Typeface) -> Self {
        Self {
            remapper: GlyphRemapper::new(),
            new_ids: vec![0; usize::from(face.face.number_of_glyphs())],
            glyphs: Vec::new(),
        }
    }

    fn new_id(&mut self, glyph: Glyph, character: char) -> u16 {
        let Some(known) = self.new_ids.get_mut(usize::from(glyph.id)) else { return 0 };
        if *known == 0 {
            *known = self.remapper.remap(glyph.id);
            self.glyphs.push((*known, character, glyph.advance));
        }
        *known
    }
}

/// The typefaces of one document and what it draws of them.
pub(super) struct Fonts {
    faces: &'static Faces,
    pub(super) regular: Subset,
    pub(super) bold: Subset,
    /// Whether a character had to be replaced.
    pub(super) has_replaced: bool,
}

impl Fonts {
    /// Starts a document.
    pub(super) fn new() -> Result<Self, DocumentError> {
        let faces = FACES.as_ref().map_err(|source| DocumentError::Typeface(*source))?;
        let (regular, bold) = (Subset::new(&faces.regular), Subset::new(&faces.bold));
        Ok(Self { faces, regular, bold, has_replaced: false })
    }

    pub(super) fn face(&self, weight: Weight) -> &'static Typeface {
        match weight {
            Weight::Regular => &self.faces.regular,
            Weight::Bold => &self.faces.bold,
        }
    }

    /// Appends the text as a PDF literal string of two-byte glyph ids (ISO 32000-1, 7.3.4.2).
    pub(super) fn encode(&mut self, weight: Weight, text: &str, content: &mut Vec<u8>) {
        let face = self.face(weight);
        content.push(b'(');
        for character in text.chars() {
            let (glyph, character) = match face.drawn(character) {
                Drawn::Glyph(glyph, character) => (glyph, character),
                Drawn::Replaced(glyph) => {
                    self.has_replaced = true;
                    (glyph, char::REPLACEMENT_CHARACTER)
                }
                Drawn::Nothing => continue,
            };
            let subset = match weight {
                Weight::Regular => &mut self.regular,
                Weight::Bold => &mut self.bold,
            };
            for byte in subset.new_id(glyph, character).to_be_bytes() {
                match byte {
                    b'(' | b')' | b'\\' => content.extend([b'\\', byte]),
                    // A bare carriage return would be read back as a line feed.
                    b'\r' => content.extend(b"\\r"),
                    _ => content.push(byte),
                }
            }
        }
        content.push(b')');
    }

    /// Returns the width of a text.
    pub(super) fn width(&self, weight: Weight, size: Length, text: &str) -> Length {
        let face = self.face(weight);
        to_length(text.chars().map(|character| face.advance(character)).sum(), size)
    }

    /// Breaks a text into at most `max_lines` lines no wider than `width`, the last one ending in `…` where text is
    /// left over. Reads no further than it draws, however long the text is.
    pub(super) fn wrap(&self, style: (Weight, Length), text: &str, width: Length, max_lines: usize) -> Vec<String> {
        let limit = i64::from(width) * EM / i64::from(style.1.max(1));
        let face = self.face(style.0);
        let mut lines = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let end = line_end(face, rest, limit);
            if end < rest.len() && lines.len() + 1 >= max_lines {
                lines.push(with_ellipsis(face, rest, limit));
                break;
            }
            let (line, after) = rest.split_at(end);
            lines.push(line.trim_end().to_owned());
            rest = after.trim_start();
        }
        lines
    }
}

fn to_length(thousandths: i64, size: Length) -> Length {
    // Rounded up, so that a text fits into the width that was measured for it.
    Length::try_from((thousandths * i64::from(size) + EM - 1) / EM).unwrap_or(Length::MAX)
}

/// Returns where the first line ends: after a blank or a separator if there is one, else in mid-word; never at 0.
fn line_end(face: &Typeface, text: &str, limit: i64) -> usize {
    let (mut width, mut break_at) = (0, 0);
    for (index, character) in text.char_indices() {
        width += face.advance(character);
        if width > limit && index > 0 && !character.is_whitespace() {
            return if break_at > 0 { break_at } else { index };
        }
        if character.is_whitespace() || "-/_.,:;|".contains(character) {
            break_at = index + character.len_utf8();
        }
    }
    text.len()
}

fn with_ellipsis(face: &Typeface, text: &str, limit: i64) -> String {
    let mut room = limit - face.advance('…');
    let mut line: String = text
        .chars()
        .take_while(|character| {
            room -= face.advance(*character);
            room >= 0
        })
        .collect();
    line.truncate(line.trim_end().len());
    line.push('…');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: (Weight, Length) = (Weight::Regular, 900);

    fn fonts() -> Fonts {
        Fonts::new().expect("the vendored typefaces parse")
    }

    #[test]
    fn lines_are_never_wider_than_asked() {
        let fonts = fonts();
        let text = "Amazon Elastic Compute Cloud, AWS/EC2-Instances_in_eu-west-1 ".repeat(4) + &"W".repeat(200);
        for line in fonts.wrap(BODY, &text, 12_000, 50) {
            assert!(fonts.width(BODY.0, BODY.1, &line) <= 12_000, "{line} is too wide");
        }
    }

    #[test]
    fn text_left_over_ends_in_an_ellipsis() {
        let lines = fonts().wrap(BODY, &"long name ".repeat(20_000), 10_000, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() < 60));
        assert!(lines.last().is_some_and(|line| line.ends_with('…')));
    }

    #[test]
    fn invisible_characters_that_never_end_make_no_endless_line() {
        let lines = fonts().wrap(BODY, &"\u{200b}".repeat(1000), 10_000, 3);
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn a_character_wider_than_the_column_still_gets_a_line() {
        assert_eq!(fonts().wrap(BODY, "WW", 1, 5).len(), 2);
    }

    #[test]
    fn characters_the_typeface_lacks_are_replaced_and_remembered() {
        let mut fonts = fonts();
        fonts.encode(Weight::Regular, "Ünïcödé Ελληνικά Русский 100 €", &mut Vec::new());
        assert!(!fonts.has_replaced);
        fonts.encode(Weight::Regular, "中文 שלום 🧾", &mut Vec::new());
        assert!(fonts.has_replaced);
    }
}
