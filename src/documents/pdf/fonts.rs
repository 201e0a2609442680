//! What one document draws of the typefaces: the operators of a text, its width, where its lines break.
//!
//! Glyphs are numbered anew in the order a document first draws them, so that pages can be written, deflated and
//! forgotten before the subset is known. Nearly every text is simple, left to right in Latin, Greek or Cyrillic, and takes
//! the short way; all others are shaped. Characters that no typeface has are drawn as U+FFFD and remembered, so that the
//! document can say so.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use subsetter::GlyphRemapper;

use super::{
    shaping::{Placed, is_invisible, is_simple, shape, visible},
    sheet::push_decimal,
    typeface::{CACHED_CHARACTERS, EM, Glyph, Script, Typeface, Weight, is_cjk},
};
use crate::documents::DocumentError;

/// A length on the page, in hundredths of a point: exact, so that every run computes the same page.
pub(super) type Length = i32;

/// A text that is shaped is looked at so far; its lines end before.
const MAX_SHAPED_CHARS: usize = 2000;

/// A drawn glyph's code in the document.
pub(super) struct Code {
    /// In the embedded subset.
    pub(super) glyph: u16,
    /// In thousandths of an em.
    pub(super) width: i64,
    /// What it stands for.
    pub(super) text: String,
}

/// Glyphs of one typeface that a document draws; their codes count from 1 in drawing order.
pub(super) struct Subset {
    pub(super) typeface: &'static Typeface,
    pub(super) remapper: GlyphRemapper,
    pub(super) codes: Vec<Code>,
    by_character: Vec<u16>,
    by_glyph: HashMap<(u16, String), u16>,
}

impl Subset {
    fn new(typeface: &'static Typeface) -> Self {
        Self {
            typeface,
            remapper: GlyphRemapper::new(),
            codes: Vec::new(),
            by_character: Vec::new(),
            by_glyph: HashMap::new(),
        }
    }

    /// Returns the code of a glyph that stands for one character, the short way.
    fn code_of_character(&mut self, glyph: Glyph, character: char) -> u16 {
        let place = usize::try_from(u32::from(character)).unwrap_or(usize::MAX);
        if place >= CACHED_CHARACTERS {
            return self.code(glyph.id, glyph.advance, character.encode_utf8(&mut [0; 4]));
        }
        if self.by_character.is_empty() {
            self.by_character = vec![0; CACHED_CHARACTERS];
        }
        if let Some(known) = self.by_character.get(place).filter(|code| **code > 0) {
            return *known;
        }
        let code = self.code(glyph.id, glyph.advance, character.encode_utf8(&mut [0; 4]));
        if let Some(known) = self.by_character.get_mut(place) {
            *known = code;
        }
        code
    }

    /// Returns the code of a glyph that stands for a text: one glyph has a code for each text, so that all read back.
    fn code(&mut self, glyph: u16, width: i64, text: &str) -> u16 {
        let key = (glyph, text.to_owned());
        if let Some(known) = self.by_glyph.get(&key) {
            return *known;
        }
        let new_glyph = self.remapper.remap(glyph);
        self.codes.push(Code { glyph: new_glyph, width, text: text.to_owned() });
        let code = u16::try_from(self.codes.len()).unwrap_or(0);
        self.by_glyph.insert(key, code);
        code
    }
}

/// What text is drawn with at the moment.
pub(super) type Selected = Option<(Script, Weight, Length)>;

/// The typefaces of one document and what it draws of them.
pub(super) struct Fonts {
    regular: Subset,
    bold: Subset,
    others: BTreeMap<(Script, Weight), Subset>,
    /// Whether a character had to be replaced.
    pub(super) has_replaced: bool,
}

impl Fonts {
    /// Starts a document.
    pub(super) fn new() -> Result<Self, DocumentError> {
        let latin = |weight| Typeface::of(Script::Latin, weight).map(Subset::new).map_err(DocumentError::Typeface);
        let (regular, bold) = (latin(Weight::Regular)?, latin(Weight::Bold)?);
        Ok(Self { regular, bold, others: BTreeMap::new(), has_replaced: false })
    }

    /// Returns what is drawn, typeface by typeface, with the names that pages have for them.
    pub(super) fn subsets(&self) -> impl Iterator<Item = (String, &Subset)> {
        let latin = [((Script::Latin, Weight::Regular), &self.regular), ((Script::Latin, Weight::Bold), &self.bold)];
        let others = self.others.iter().map(|(key, subset)| (*key, subset));
        let all = latin.into_iter().chain(others).filter(|(_, subset)| !subset.codes.is_empty());
        all.map(|((script, weight), subset)| (String::from_utf8_lossy(font_name(script, weight)).into_owned(), subset))
    }

    fn latin(&self, weight: Weight) -> &Subset {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    fn subset(&mut self, script: Script, weight: Weight) -> Option<&mut Subset> {
        match (script, weight) {
            (Script::Latin, Weight::Regular) => Some(&mut self.regular),
            (Script::Latin, Weight::Bold) => Some(&mut self.bold),
            key => Some(match self.others.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(Subset::new(Typeface::of(script, weight).ok()?)),
            }),
        }
    }

    /// Appends the operators that show a text (ISO 32000-1, 9.4.3); glyphs are two-byte codes.
    pub(super) fn show(
        &mut self,
        (weight, size): (Weight, Length),
        text: &str,
        selected: &mut Selected,
        content: &mut Vec<u8>,
    ) {
        if text.chars().all(is_simple) {
            self.show_simple((weight, size), text, selected, content);
        } else {
            self.show_shaped((weight, size), &shape(&visible(text), weight), selected, content);
        }
    }

    fn show_simple(
        &mut self,
        (weight, size): (Weight, Length),
        text: &str,
        selected: &mut Selected,
        content: &mut Vec<u8>,
    ) {
        select((Script::Latin, weight, size), selected, content);
        let mut has_replaced = false;
        let subset = match weight {
            Weight::Regular => &mut self.regular,
            Weight::Bold => &mut self.bold,
        };
        content.push(b'(');
        for character in text.chars().filter(|character| !is_invisible(*character)) {
            let (glyph, stands_for) = simple_glyph(subset.typeface, character);
            has_replaced |= stands_for == char::REPLACEMENT_CHARACTER;
            push_code(content, subset.code_of_character(glyph, stands_for));
        }
        content.extend(b")Tj\n");
        self.has_replaced |= has_replaced;
    }

    fn show_shaped(
        &mut self,
        (weight, size): (Weight, Length),
        placed: &[Placed],
        selected: &mut Selected,
        content: &mut Vec<u8>,
    ) {
        // How far the pen of the file is ahead of where the glyphs say it is.
        let (mut ahead, mut rise) = (0, 0);
        for run in placed.chunk_by(|a, b| (a.script, a.offset.1) == (b.script, b.offset.1)) {
            let Some(first) = run.first() else { continue };
            select((first.script, weight, size), selected, content);
            if rise != first.offset.1 {
                rise = first.offset.1;
                let lifted = rise * i64::from(size) / EM;
                push_decimal(content, i32::try_from(lifted).unwrap_or(0), 2);
                content.extend(b"Ts ");
            }
            content.push(b'[');
            for glyph in run {
                self.has_replaced |= glyph.is_replaced;
                let Some(subset) = self.subset(glyph.script, weight) else { continue };
                let back = ahead - glyph.offset.0;
                if back != 0 {
                    push_decimal(content, i32::try_from(back).unwrap_or(0), 0);
                }
                content.push(b'(');
                push_code(content, subset.code(glyph.glyph, glyph.width, &glyph.text));
                content.push(b')');
                ahead = glyph.offset.0 + glyph.width - glyph.advance;
            }
            content.extend(b"]TJ\n");
        }
        if rise != 0 {
            content.extend(b"0 Ts\n");
        }
    }

    /// Returns the width of a text.
    pub(super) fn width(&self, weight: Weight, size: Length, text: &str) -> Length {
        let typeface = self.latin(weight).typeface;
        let ems = if text.chars().all(is_simple) {
            text.chars().map(|character| simple_advance(typeface, character)).sum()
        } else {
            shape(&visible(text), weight).iter().map(|glyph| glyph.advance).sum()
        };
        to_length(ems, size)
    }

    /// Breaks a text into at most `max_lines` lines no wider than `width`, the last one ending in `…` where text is
    /// left over. Reads no further than it draws, however long the text is.
    pub(super) fn wrap(&self, style: (Weight, Length), text: &str, width: Length, max_lines: usize) -> Vec<String> {
        let limit = i64::from(width) * EM / i64::from(style.1.max(1));
        let typeface = self.latin(style.0).typeface;
        // No more than this can be drawn; what follows changes nothing.
        let seen = text.char_indices().nth(MAX_SHAPED_CHARS).map_or(text, |(end, _)| text.split_at(end).0);
        if seen.chars().all(is_simple) {
            return lines_of(seen, limit, max_lines, |_, character| simple_advance(typeface, character));
        }
        let seen = visible(seen);
        let mut advances = vec![0; seen.len()];
        for glyph in shape(&seen, style.0) {
            if let Some(advance) = advances.get_mut(glyph.index) {
                *advance += glyph.advance;
            }
        }
        lines_of(&seen, limit, max_lines, |index, character| match advances.get(index) {
            Some(advance) => *advance,
            None => simple_advance(typeface, character),
        })
    }
}

/// Breaks a text into lines; `advance` says how wide the character at an index is.
fn lines_of(text: &str, limit: i64, max_lines: usize, advance: impl Fn(usize, char) -> i64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut start = text.len() - text.trim_start().len();
    while start < text.len() {
        let rest = text.split_at(start).1;
        let end = line_end(rest, limit, |index, character| advance(start + index, character));
        if end < rest.len() && lines.len() + 1 >= max_lines {
            lines.push(with_ellipsis(rest, limit, |index, character| advance(start + index, character)));
            break;
        }
        let (line, after) = rest.split_at(end);
        lines.push(line.trim_end().to_owned());
        start = text.len() - after.trim_start().len();
    }
    lines
}

/// Returns where the first line ends: after a blank or a separator if there is one, else in mid-word; never at 0.
fn line_end(text: &str, limit: i64, advance: impl Fn(usize, char) -> i64) -> usize {
    let (mut width, mut break_at) = (0, 0);
    for (index, character) in text.char_indices() {
        width += advance(index, character);
        if width > limit && index > 0 && !character.is_whitespace() {
            return if break_at > 0 { break_at } else { index };
        }
        if character.is_whitespace() || is_cjk(character) || "-/_.,:;|".contains(character) {
            break_at = index + character.len_utf8();
        }
    }
    text.len()
}

/// The ellipsis is as wide as a letter in every typeface.
fn with_ellipsis(text: &str, limit: i64, advance: impl Fn(usize, char) -> i64) -> String {
    let mut room = limit - EM;
    let fits = |(index, character): &(usize, char)| {
        room -= advance(*index, *character);
        room >= 0
    };
    let mut line: String = text.char_indices().take_while(fits).map(|(_, character)| character).collect();
    line.truncate(line.trim_end().len());
    line.push('…');
    line
}

/// Returns what is drawn for a simple character and what it stands for.
fn simple_glyph(typeface: &Typeface, character: char) -> (Glyph, char) {
    let character = if character.is_whitespace() || character.is_control() { ' ' } else { character };
    match typeface.glyph(character) {
        Some(glyph) => (glyph, character),
        None => (typeface.replacement(), char::REPLACEMENT_CHARACTER),
    }
}

fn simple_advance(typeface: &Typeface, character: char) -> i64 {
    if is_invisible(character) { 0 } else { simple_glyph(typeface, character).0.advance }
}

fn to_length(thousandths: i64, size: Length) -> Length {
    // Rounded up, so that a text fits into the width that was measured for it.
    Length::try_from((thousandths * i64::from(size) + EM - 1) / EM).unwrap_or(Length::MAX)
}

/// Returns the name that the pages' resources have for a typeface.
const fn font_name(script: Script, weight: Weight) -> &'static [u8] {
    match (script, weight) {
        (Script::Latin, Weight::Regular) => b"R",
        (Script::Latin, Weight::Bold) => b"B",
        (Script::Arabic, Weight::Regular) => b"RA",
        (Script::Arabic, Weight::Bold) => b"BA",
        (Script::Hebrew, Weight::Regular) => b"RH",
        (Script::Hebrew, Weight::Bold) => b"BH",
        (Script::Symbols, Weight::Regular) => b"RS",
        (Script::Symbols, Weight::Bold) => b"BS",
        (Script::Cjk, Weight::Regular) => b"RC",
        (Script::Cjk, Weight::Bold) => b"BC",
    }
}

fn select(wanted: (Script, Weight, Length), selected: &mut Selected, content: &mut Vec<u8>) {
    if *selected == Some(wanted) {
        return;
    }
    let (script, weight, size) = wanted;
    content.push(b'/');
    content.extend(font_name(script, weight));
    content.push(b' ');
    push_decimal(content, size, 2);
    content.extend(b"Tf ");
    *selected = Some(wanted);
}

/// Appends a code inside a literal string (ISO 32000-1, 7.3.4.2).
fn push_code(content: &mut Vec<u8>, code: u16) {
    for byte in code.to_be_bytes() {
        match byte {
            b'(' | b')' | b'\\' => content.extend([b'\\', byte]),
            // A bare carriage return would be read back as a line feed.
            b'\r' => content.extend(b"\\r"),
            _ => content.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: (Weight, Length) = (Weight::Regular, 900);

    fn fonts() -> Fonts {
        Fonts::new().expect("the vendored typefaces parse")
    }

    fn has_replaced(text: &str) -> bool {
        let mut fonts = fonts();
        fonts.show(BODY, text, &mut None, &mut Vec::new());
        fonts.has_replaced
    }

    #[test]
    fn lines_are_never_wider_than_asked() {
        let fonts = fonts();
        let texts = [
            "Amazon Elastic Compute Cloud, AWS/EC2-Instances_in_eu-west-1 ".repeat(4) + &"W".repeat(200),
            "الخدمات السحابية المُدارة ".repeat(8),
            "שירותי ענן מנוהלים ".repeat(8),
            "e\u{301}te\u{301} ✓ ".repeat(30),
        ];
        for text in texts {
            for line in fonts.wrap(BODY, &text, 12_000, 50) {
                assert!(fonts.width(BODY.0, BODY.1, &line) <= 12_000, "{line} is too wide");
            }
        }
    }

    #[test]
    fn text_left_over_ends_in_an_ellipsis() {
        for text in ["long name ", "שם ארוך "] {
            let lines = fonts().wrap(BODY, &text.repeat(20_000), 10_000, 2);
            assert_eq!(lines.len(), 2);
            assert!(lines.iter().all(|line| line.chars().count() < 60));
            assert!(lines.last().is_some_and(|line| line.ends_with('…')));
        }
    }

    #[test]
    fn invisible_characters_that_never_end_make_no_endless_line() {
        assert!(fonts().wrap(BODY, &"\u{200b}".repeat(1000), 10_000, 3).len() <= 1);
    }

    #[test]
    fn a_character_wider_than_the_column_still_gets_a_line() {
        assert_eq!(fonts().wrap(BODY, "WW", 1, 5).len(), 2);
    }

    #[test]
    fn names_in_the_vendored_scripts_are_drawn_whole() {
        for name in [
            "Ünïcödé Ελληνικά Русский 100 €",
            "مثال للسحابة ١٢٣",
            "עברית שָׁלוֹם",
            "e\u{301} Şirket ✓ ★ ➜",
            "株式会社 云计算服务 雲端 클라우드",
        ] {
            assert!(!has_replaced(name), "{name} has characters that are replaced");
        }
        assert!(has_replaced("🧾"));
    }

    #[test]
    fn arabic_letters_are_joined() {
        let shaped = |text: &str| shape(text, Weight::Regular).iter().map(|glyph| glyph.glyph).collect::<Vec<_>>();
        let alone = [shaped("ب"), shaped("ي"), shaped("ت")].concat();
        let joined = shaped("بيت");
        assert!(!alone.iter().any(|glyph| joined.contains(glyph)), "{alone:?} are drawn in {joined:?}");
    }

    #[test]
    fn hebrew_runs_from_right_to_left_and_a_number_in_it_does_not() {
        let drawn: String = shape("חשבון 42", Weight::Regular).into_iter().map(|glyph| glyph.text).collect();
        assert_eq!(drawn, "42 ןובשח");
    }

    #[test]
    fn no_mark_in_a_name_turns_the_rest_of_it_around() {
        let drawn: String =
            shape(&visible("שלום \u{202e}gnp.exe"), Weight::Regular).into_iter().map(|glyph| glyph.text).collect();
        assert!(drawn.contains("gnp.exe"), "{drawn}");
    }
}
