//! One page's drawing operators (ISO 32000-1, Annex A), written lean: state is only set when it changes, all text
//! stands in one text object, and each text moves on from the last.

use super::{
    fonts::{Fonts, Length, Selected},
    typeface::Weight,
};

/// Writes points as our hundredths.
pub(super) const fn points(points: i32) -> Length {
    points * 100
}

/// Red, green and blue, in thousandths.
pub(super) type Colour = [u16; 3];

/// How a text is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) weight: Weight,
    pub(super) size: Length,
    pub(super) colour: Colour,
}

impl Style {
    pub(super) const fn new(weight: Weight, size: Length, colour: Colour) -> Self {
        Self { weight, size, colour }
    }

    /// Returns what measuring needs.
    pub(super) const fn face(self) -> (Weight, Length) {
        (self.weight, self.size)
    }
}

/// A page, or the part of one that is drawn later than the rest.
///
/// A mirrored page reads from right to left: what is placed from the left stands as far from the right.
#[derive(Default)]
pub(super) struct Sheet {
    shapes: Vec<u8>,
    text: Vec<u8>,
    selected: Selected,
    colour: Option<Colour>,
    fill: Option<Colour>,
    /// Where the last text began.
    origin: (Length, Length),
    /// The page's width, where it is mirrored.
    mirrored: Option<Length>,
}

impl Sheet {
    /// Starts a page; `mirrored` is its width where it reads from right to left.
    pub(super) fn new(mirrored: Option<Length>) -> Self {
        Self { mirrored, ..Self::default() }
    }

    /// Fills a rectangle, over the mark and behind all text.
    pub(super) fn fill(&mut self, colour: Colour, [x, y, width, height]: [Length; 4]) {
        if self.fill != Some(colour) {
            push_colour(&mut self.shapes, colour);
            self.fill = Some(colour);
        }
        let x = self.mirrored.map_or(x, |page| page - x - width);
        push_lengths(&mut self.shapes, &[x, y, width, height]);
        self.shapes.extend(b"re f\n");
    }

    /// Draws the picture that the page's resources have under a name.
    pub(super) fn picture(&mut self, name: &str, [x, y, width, height]: [Length; 4]) {
        let x = self.mirrored.map_or(x, |page| page - x - width);
        self.shapes.extend(b"q ");
        push_lengths(&mut self.shapes, &[width, 0, 0, height, x, y]);
        self.shapes.extend(format!("cm /{name} Do Q\n").bytes());
    }

    /// Writes a text from `x` on.
    pub(super) fn write(&mut self, fonts: &mut Fonts, style: Style, (x, y): (Length, Length), text: &str) {
        match self.mirrored {
            Some(page) => self.put(fonts, style, (page - x - fonts.width(style.weight, style.size, text), y), text),
            None => self.put(fonts, style, (x, y), text),
        }
    }

    /// Writes a text that ends at `right`.
    pub(super) fn write_right(&mut self, fonts: &mut Fonts, style: Style, (right, y): (Length, Length), text: &str) {
        match self.mirrored {
            Some(page) => self.put(fonts, style, (page - right, y), text),
            None => self.put(fonts, style, (right - fonts.width(style.weight, style.size, text), y), text),
        }
    }

    /// Writes a figure into a column that ends at `right`: figures stand below each other by their last digit, whichever
    /// way the page reads.
    pub(super) fn write_figure(&mut self, fonts: &mut Fonts, style: Style, [right, width, y]: [Length; 3], text: &str) {
        let end = self.mirrored.map_or(right, |page| page - right + width);
        self.put(fonts, style, (end - fonts.width(style.weight, style.size, text), y), text);
    }

    /// Writes a text around `centre`.
    pub(super) fn write_centred(&mut self, fonts: &mut Fonts, style: Style, (centre, y): (Length, Length), text: &str) {
        let centre = self.mirrored.map_or(centre, |page| page - centre);
        let x = centre - fonts.width(style.weight, style.size, text) / 2;
        self.put(fonts, style, (x, y), text);
    }

    fn put(&mut self, fonts: &mut Fonts, style: Style, (x, y): (Length, Length), text: &str) {
        if text.is_empty() {
            return;
        }
        if self.colour != Some(style.colour) {
            push_colour(&mut self.text, style.colour);
            self.colour = Some(style.colour);
        }
        push_lengths(&mut self.text, &[x - self.origin.0, y - self.origin.1]);
        self.text.extend(b"Td ");
        self.origin = (x, y);
        fonts.show(style.face(), text, &mut self.selected, &mut self.text);
    }

    /// Returns the operators: the mark, then shapes, then text; light text on a dark shape stays readable so.
    pub(super) fn into_content(self, mark: &[u8]) -> Vec<u8> {
        let mut content = mark.to_vec();
        content.extend(self.shapes);
        content.extend(b"BT\n");
        content.extend(self.text);
        content.extend(b"ET\n");
        content
    }
}

/// Returns the operators of a word written large across the page, pale enough to be read through.
pub(super) fn diagonal_mark(fonts: &mut Fonts, colour: Colour, word: &str, centre: (Length, Length)) -> Vec<u8> {
    // cos and sin of 52°, about the diagonal of A4, in thousandths; the length leaves the corners free.
    const COSINE: i64 = 616;
    const SINE: i64 = 788;
    const LONGEST: Length = points(640);
    const LARGEST: Length = points(150);

    let width_at_1000 = fonts.width(Weight::Bold, points(10), word).max(1);
    let size = (i64::from(LONGEST) * i64::from(points(10)) / i64::from(width_at_1000)).min(i64::from(LARGEST));
    let size = Length::try_from(size).unwrap_or(LARGEST);
    // The word's middle, at half the height of its capitals (about 0.71 em), falls on the centre of the page.
    let along = i64::from(fonts.width(Weight::Bold, size, word)) / 2;
    let up = i64::from(size) * 357 / 1000;
    let x = i64::from(centre.0) - (along * COSINE - up * SINE) / 1000;
    let y = i64::from(centre.1) - (along * SINE + up * COSINE) / 1000;

    let mut content = b"q BT ".to_vec();
    push_colour(&mut content, colour);
    content.extend(b"0.616 0.788 -0.788 0.616 ");
    push_lengths(&mut content, &[Length::try_from(x).unwrap_or(0), Length::try_from(y).unwrap_or(0)]);
    content.extend(b"Tm ");
    fonts.show((Weight::Bold, size), word, &mut None, &mut content);
    content.extend(b"ET Q\n");
    content
}

fn push_colour(content: &mut Vec<u8>, [red, green, blue]: Colour) {
    for part in [red, green, blue] {
        push_decimal(content, i32::from(part), 3);
    }
    content.extend(b"rg ");
}

fn push_lengths(content: &mut Vec<u8>, lengths: &[Length]) {
    for length in lengths {
        push_decimal(content, *length, 2);
    }
}

/// Writes `number / 10^decimals` and a blank, without needless zeros: a page has thousands of them.
pub(super) fn push_decimal(content: &mut Vec<u8>, number: i32, decimals: u32) {
    let unit = 10_u32.pow(decimals);
    let (mut fraction, whole) = (number.unsigned_abs() % unit, number.unsigned_abs() / unit);
    if number < 0 {
        content.push(b'-');
    }
    content.extend(whole.to_string().bytes());
    let mut place = (unit / 10).max(1);
    if fraction > 0 {
        content.push(b'.');
    }
    while fraction > 0 {
        content.extend((fraction / place).to_string().bytes());
        fraction %= place;
        place /= 10;
    }
    content.push(b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_exactly_and_short() {
        for (length, text) in [(0, "0 "), (5, "0.05 "), (-5, "-0.05 "), (150, "1.5 "), (-12_300, "-123 "), (1, "0.01 ")]
        {
            let mut content = Vec::new();
            push_lengths(&mut content, &[length]);
            assert_eq!(String::from_utf8_lossy(&content), text);
        }
    }

    #[test]
    fn the_mark_lies_behind_everything_else() {
        let mut sheet = Sheet::default();
        sheet.fill([0, 0, 0], [0, 0, 1000, 1000]);
        let content = sheet.into_content(b"the mark\n");
        assert!(content.starts_with(b"the mark\n") && content.ends_with(b"BT\nET\n"));
    }

    #[test]
    fn a_mirrored_page_has_on_the_right_what_another_has_on_the_left() {
        const STYLE: Style = Style::new(Weight::Regular, points(10), [0, 0, 0]);
        let mut fonts = Fonts::new().expect("typefaces");
        let mut content = |mirrored, is_right| {
            let mut sheet = Sheet::new(mirrored);
            sheet.fill([0, 0, 0], [if is_right { points(540) } else { points(50) }, 0, points(10), points(1)]);
            if is_right {
                sheet.write_right(&mut fonts, STYLE, (points(550), 0), "Total");
            } else {
                sheet.write(&mut fonts, STYLE, (points(50), 0), "Total");
            }
            sheet.into_content(&[])
        };
        assert_eq!(content(Some(points(600)), false), content(None, true));
        assert_eq!(content(Some(points(600)), true), content(None, false));
    }

    #[test]
    fn figures_end_below_each_other_whichever_way_the_page_reads() {
        const STYLE: Style = Style::new(Weight::Regular, points(10), [0, 0, 0]);
        let mut fonts = Fonts::new().expect("typefaces");
        for (mirrored, end) in [(None, points(550)), (Some(points(600)), points(50 + 80))] {
            for text in ["1.00", "12,345.60"] {
                let mut sheet = Sheet::new(mirrored);
                sheet.write_figure(&mut fonts, STYLE, [points(550), points(80), 0], text);
                let origin = sheet.origin.0;
                assert_eq!(origin + fonts.width(STYLE.weight, STYLE.size, text), end, "{text}");
            }
        }
    }
}
