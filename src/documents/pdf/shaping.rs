//! From a text to glyphs in the order in which they are drawn, from left to right.
//!
//! Unicode's bidirectional algorithm (UAX #9) cuts a text into runs of one direction, the typefaces at hand cut those
//! into runs of one typeface, and a port of `HarfBuzz` joins, stacks and places the letters of each. The base direction is
//! that of the first letter, as with `bdi` in HTML; marks that would override it are left out, so that no name can disguise
//! another. A text with nothing of that kind never comes here.

use std::{collections::BTreeSet, ops::Range};

use rustybuzz::{BufferClusterLevel, Direction, UnicodeBuffer};
use unicode_bidi::ParagraphBidiInfo;

use super::typeface::{CACHED_CHARACTERS, Glyph, Script, Typeface, Weight};

/// A glyph with its place; lengths are in thousandths of an em.
pub(super) struct Placed {
    pub(super) script: Script,
    pub(super) glyph: u16,
    /// How far it moves on here.
    pub(super) advance: i64,
    /// How far it moves on by itself.
    pub(super) width: i64,
    /// Away from where the last glyph ended.
    pub(super) offset: (i64, i64),
    /// What it stands for; empty where another glyph says it already.
    pub(super) text: String,
    /// Where in the text that stands.
    pub(super) index: usize,
    pub(super) is_replaced: bool,
}

/// Tells whether a character can be drawn by itself, from left to right, with the first typeface.
pub(super) fn is_simple(character: char) -> bool {
    match u32::from(character) {
        0xad | 0x300..=0x36f => false,
        code if usize::try_from(code).is_ok_and(|code| code < CACHED_CHARACTERS) => true,
        0x1e00..=0x1fff | 0x2010..=0x2027 | 0x202f..=0x205e | 0x20a0..=0x20bf | 0x2116 | 0x2122 => true,
        _ => false,
    }
}

/// Unicode's `Default_Ignorable_Code_Point`, as far as it turns up in names; the two joiners shape their neighbours.
pub(super) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}')
}

/// Marks that stand on, under or in the letter before.
fn is_mark(character: char) -> bool {
    matches!(u32::from(character),
        0x300..=0x36f | 0x591..=0x5bd | 0x5bf | 0x5c1..=0x5c2 | 0x5c4..=0x5c5 | 0x5c7 | 0x610..=0x61a | 0x64b..=0x65f
        | 0x670 | 0x6d6..=0x6dc | 0x6df..=0x6e4 | 0x6e7..=0x6e8 | 0x6ea..=0x6ed)
}

/// Returns the text as it is drawn: nothing invisible, every blank a space.
pub(super) fn visible(text: &str) -> String {
    let blank = |c: char| if c.is_whitespace() || c.is_control() { ' ' } else { c };
    text.chars().filter(|c| !is_invisible(*c)).map(blank).collect()
}

/// Shapes a text that is [`visible`].
pub(super) fn shape(text: &str, weight: Weight) -> Vec<Placed> {
    if text.is_empty() {
        return Vec::new();
    }
    let bidi = ParagraphBidiInfo::new(text, None);
    let (levels, runs) = bidi.visual_runs(0..text.len());
    let mut placed = Vec::new();
    for run in runs {
        let is_rtl = levels.get(run.start).is_some_and(unicode_bidi::Level::is_rtl);
        let mut parts = by_typeface(text, run, weight);
        if is_rtl {
            parts.reverse();
        }
        for (part, script) in parts {
            shape_part(text, part, (script, weight), is_rtl, &mut placed);
        }
    }
    placed
}

/// Cuts a run where the typeface changes; `None` is for characters that no typeface has.
fn by_typeface(text: &str, run: Range<usize>, weight: Weight) -> Vec<(Range<usize>, Option<Script>)> {
    let mut parts: Vec<(Range<usize>, Option<Script>)> = Vec::new();
    let characters = text.get(run.clone()).unwrap_or_default().char_indices();
    for (index, character) in characters.map(|(index, character)| (index + run.start, character)) {
        let end = index + character.len_utf8();
        let follows = is_joiner(character) || is_mark(character);
        let script = match parts.last() {
            Some((_, Some(script))) if follows && has_glyph(*script, weight, character) => Some(*script),
            _ => Typeface::drawing(character, weight).map(|(script, _)| script),
        };
        match parts.last_mut() {
            Some((part, last)) if *last == script => part.end = end,
            _ => parts.push((index..end, script)),
        }
    }
    parts
}

fn has_glyph(script: Script, weight: Weight, character: char) -> bool {
    is_joiner(character) || Typeface::of(script, weight).is_ok_and(|typeface| typeface.glyph(character).is_some())
}

fn shape_part(
    text: &str,
    part: Range<usize>,
    (script, weight): (Option<Script>, Weight),
    is_rtl: bool,
    placed: &mut Vec<Placed>,
) {
    let shown = text.get(part.clone()).unwrap_or_default();
    let drawn_by = script.unwrap_or(Script::Latin);
    let Ok(typeface) = Typeface::of(drawn_by, weight) else { return };
    match script {
        Some(Script::Latin | Script::Arabic | Script::Hebrew) => {
            join(shown, part.start, (drawn_by, typeface), is_rtl, placed);
        }
        Some(Script::Cjk | Script::Symbols) | None => {
            let one = |(index, character): (usize, char)| {
                let replaced = (typeface.replacement(), char::REPLACEMENT_CHARACTER);
                let found = typeface.glyph(character).filter(|_| script.is_some());
                let (glyph, stands_for) = found.map_or(replaced, |glyph| (glyph, character));
                single(glyph, drawn_by, stands_for, (part.start + index, script.is_none()))
            };
            let start = placed.len();
            placed.extend(shown.char_indices().filter(|(_, character)| !is_joiner(*character)).map(one));
            if let Some(added) = placed.get_mut(start..).filter(|_| is_rtl) {
                added.reverse();
            }
        }
    }
}

fn single(glyph: Glyph, script: Script, stands_for: char, (index, is_replaced): (usize, bool)) -> Placed {
    let (advance, width) = (glyph.advance, glyph.advance);
    Placed { script, glyph: glyph.id, advance, width, offset: (0, 0), text: stands_for.into(), index, is_replaced }
}

/// Lets `HarfBuzz` choose and place the glyphs of a part.
fn join(shown: &str, start: usize, (script, typeface): (Script, &Typeface), is_rtl: bool, placed: &mut Vec<Placed>) {
    let mut buffer = UnicodeBuffer::new();
    // Each mark of its own, so that text can be searched letter by letter.
    buffer.set_cluster_level(BufferClusterLevel::MonotoneCharacters);
    buffer.push_str(shown);
    buffer.guess_segment_properties();
    buffer.set_direction(if is_rtl { Direction::RightToLeft } else { Direction::LeftToRight });
    let shaped = rustybuzz::shape(&typeface.face, &[], buffer);
    let clusters: BTreeSet<u32> = shaped.glyph_infos().iter().map(|info| info.cluster).collect();
    let mut said = BTreeSet::new();
    for (info, position) in shaped.glyph_infos().iter().zip(shaped.glyph_positions()) {
        let from = usize::try_from(info.cluster).unwrap_or(0);
        let next = clusters.range(info.cluster + 1..).next().and_then(|next| usize::try_from(*next).ok());
        let stands_for = shown.get(from..next.unwrap_or(shown.len())).unwrap_or_default();
        let text = if said.insert(info.cluster) { stands_for.to_owned() } else { String::new() };
        let glyph = u16::try_from(info.glyph_id).unwrap_or(0);
        placed.push(Placed {
            script,
            glyph,
            advance: typeface.to_ems(position.x_advance),
            width: typeface.advance(glyph),
            offset: (typeface.to_ems(position.x_offset), typeface.to_ems(position.y_offset)),
            text,
            index: start + from,
            is_replaced: false,
        });
    }
}
