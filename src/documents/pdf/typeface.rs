//! The typefaces, parsed once a process, and which of them has a glyph for a character.
//!
//! All are built in (`../fonts`), so that a document is the same on every machine: Noto Sans for Latin, Greek, Cyrillic,
//! Arabic, Hebrew and symbols, Droid Sans Fallback for Chinese, Japanese and Korean: 3.4 MB where Noto Sans CJK has 19 MB
//! a weight. It has one weight, and Chinese forms of the characters that Japanese writes differently.

use std::sync::LazyLock;

use ttf_parser::{Face, FaceParsingError};

const REGULAR: &[u8] = include_bytes!("../fonts/NotoSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../fonts/NotoSans-Bold.ttf");
const ARABIC_REGULAR: &[u8] = include_bytes!("../fonts/NotoSansArabic-Regular.ttf");
const ARABIC_BOLD: &[u8] = include_bytes!("../fonts/NotoSansArabic-Bold.ttf");
const HEBREW_REGULAR: &[u8] = include_bytes!("../fonts/NotoSansHebrew-Regular.ttf");
const HEBREW_BOLD: &[u8] = include_bytes!("../fonts/NotoSansHebrew-Bold.ttf");
const SYMBOLS: &[u8] = include_bytes!("../fonts/NotoSansSymbols2-Regular.ttf");
const CJK: &[u8] = include_bytes!("../fonts/DroidSansFallback.ttf");

/// All that are built in.
pub(in super::super) const VENDORED_TYPEFACES: [&[u8]; 8] =
    [REGULAR, BOLD, ARABIC_REGULAR, ARABIC_BOLD, HEBREW_REGULAR, HEBREW_BOLD, SYMBOLS, CJK];

/// Characters whose glyphs are looked up once per process: Latin, Greek and Cyrillic.
pub(super) const CACHED_CHARACTERS: usize = 0x530;
/// Widths are counted in thousandths of the type size, as PDF does.
pub(super) const EM: i64 = 1000;

/// How heavy the letters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// What a typeface is for, in the order in which they are asked for a glyph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Script {
    Latin,
    Arabic,
    Hebrew,
    Symbols,
    Cjk,
}

impl Script {
    const ALL: [Self; 5] = [Self::Latin, Self::Arabic, Self::Hebrew, Self::Symbols, Self::Cjk];
}

/// Tells whether a character is Chinese, Japanese or Korean, or of a width that goes with them.
pub(super) fn is_cjk(character: char) -> bool {
    matches!(u32::from(character),
        0x1100..=0x11ff | 0x2e80..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff | 0xff00..=0xffef | 0x20000..=0x3ffff)
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Glyph {
    pub(super) id: u16,
    /// In thousandths of an em.
    pub(super) advance: i64,
}

/// One parsed typeface.
pub(super) struct Typeface {
    pub(super) name: &'static str,
    pub(super) bytes: &'static [u8],
    pub(super) face: rustybuzz::Face<'static>,
    cached: Vec<Option<Glyph>>,
}

impl Typeface {
    fn parse(name: &'static str, bytes: &'static [u8]) -> Result<Self, FaceParsingError> {
        let face = rustybuzz::Face::from_face(Face::parse(bytes, 0)?);
        let mut this = Self { name, bytes, face, cached: Vec::new() };
        this.cached = (0..).take(CACHED_CHARACTERS).map(|code| this.find(char::from_u32(code)?)).collect();
        Ok(this)
    }

    /// Returns the typeface for a script.
    pub(super) fn of(script: Script, weight: Weight) -> Result<&'static Self, FaceParsingError> {
        let vendored = VENDORED.as_ref().map_err(|error| *error)?;
        Ok(match script {
            Script::Latin => vendored.latin.of(weight),
            Script::Arabic => vendored.arabic.of(weight),
            Script::Hebrew => vendored.hebrew.of(weight),
            Script::Symbols => &vendored.symbols,
            Script::Cjk => CJK_FACE.as_ref().map_err(|error| *error)?,
        })
    }

    /// Returns the first typeface that has a glyph for the character.
    pub(super) fn drawing(character: char, weight: Weight) -> Option<(Script, Glyph)> {
        let asked = |script: &Script| *script != Script::Cjk || is_cjk(character);
        Script::ALL.into_iter().filter(asked).find_map(|script| {
            let typeface = Self::of(script, weight).ok()?;
            Some((script, typeface.glyph(character)?))
        })
    }

    /// Returns the glyph of a character.
    pub(super) fn glyph(&self, character: char) -> Option<Glyph> {
        match usize::try_from(u32::from(character)).ok().and_then(|index| self.cached.get(index)) {
            Some(cached) => *cached,
            None => self.find(character),
        }
    }

    fn find(&self, character: char) -> Option<Glyph> {
        let id = self.face.glyph_index(character)?.0;
        Some(Glyph { id, advance: self.advance(id) })
    }

    /// Returns how far a glyph moves on by itself.
    pub(super) fn advance(&self, glyph: u16) -> i64 {
        self.to_ems(i32::from(self.face.glyph_hor_advance(ttf_parser::GlyphId(glyph)).unwrap_or(0)))
    }

    /// Turns font units into thousandths of an em.
    pub(super) fn to_ems(&self, units: i32) -> i64 {
        i64::from(units) * EM / i64::from(self.face.units_per_em().max(1))
    }

    /// Returns what is drawn for a character that no typeface has.
    pub(super) fn replacement(&self) -> Glyph {
        let found = self.glyph(char::REPLACEMENT_CHARACTER).or_else(|| self.glyph('?'));
        found.unwrap_or(Glyph { id: 0, advance: EM / 2 })
    }
}

struct Pair {
    regular: Typeface,
    bold: Typeface,
}

impl Pair {
    fn of(&self, weight: Weight) -> &Typeface {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }
}

struct Vendored {
    latin: Pair,
    arabic: Pair,
    hebrew: Pair,
    symbols: Typeface,
}

static VENDORED: LazyLock<Result<Vendored, FaceParsingError>> = LazyLock::new(|| {
    Ok(Vendored {
        latin: Pair {
            regular: Typeface::parse("NotoSans-Regular", REGULAR)?,
            bold: Typeface::parse("NotoSans-Bold", BOLD)?,
        },
        arabic: Pair {
            regular: Typeface::parse("NotoSansArabic-Regular", ARABIC_REGULAR)?,
            bold: Typeface::parse("NotoSansArabic-Bold", ARABIC_BOLD)?,
        },
        hebrew: Pair {
            regular: Typeface::parse("NotoSansHebrew-Regular", HEBREW_REGULAR)?,
            bold: Typeface::parse("NotoSansHebrew-Bold", HEBREW_BOLD)?,
        },
        symbols: Typeface::parse("NotoSansSymbols2-Regular", SYMBOLS)?,
    })
});

/// Parsed when a document first asks for it.
static CJK_FACE: LazyLock<Result<Typeface, FaceParsingError>> =
    LazyLock::new(|| Typeface::parse("DroidSansFallback", CJK));
