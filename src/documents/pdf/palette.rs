//! The colours of a document: fixed greys, and the reseller's colour where it can be read.

use super::sheet::Colour;
use crate::domain::branding::BrandColour;

pub(super) const INK: Colour = [110, 140, 190];
pub(super) const MUTED: Colour = [400, 440, 500];
pub(super) const HAIRLINE: Colour = [860, 880, 910];
pub(super) const BAND: Colour = [945, 957, 972];
const WHITE: Colour = [1000, 1000, 1000];
const BLACK: Colour = [0, 0, 0];
pub(super) const DRAFT_MARK: Colour = [915, 922, 934];
pub(super) const VOID_MARK: Colour = [978, 895, 891];
/// The word VOID as a status.
pub(super) const ALARM: Colour = [720, 110, 110];
/// Our own, where the reseller has none.
const BLUE: BrandColour = BrandColour([23, 69, 133]);
/// What text needs against what is behind it (WCAG 2.2, 1.4.3).
const READABLE_CONTRAST: f64 = 4.5;

/// The reseller's colour and what can be read with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Palette {
    /// Bars are filled with it.
    pub(super) bar: Colour,
    /// Text on a bar: white, or black where the bar is pale.
    pub(super) on_bar: Colour,
    /// Headings: the colour itself, or dark where it is pale.
    pub(super) heading: Colour,
}

impl Palette {
    pub(super) fn new(brand: Option<BrandColour>) -> Self {
        let bar = to_colour(brand.unwrap_or(BLUE));
        let heading = if contrast(bar, WHITE) >= READABLE_CONTRAST { bar } else { INK };
        let on_bar = if contrast(bar, WHITE) >= contrast(bar, BLACK) { WHITE } else { BLACK };
        Self { bar, on_bar, heading }
    }
}

fn to_colour(BrandColour(parts): BrandColour) -> Colour {
    parts.map(|part| u16::try_from(u32::from(part) * 1000 / 255).unwrap_or(1000))
}

/// Returns the contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio").
fn contrast(one: Colour, other: Colour) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(colour: Colour) -> f64 {
    let [red, green, blue] = colour.map(|part| {
        let part = f64::from(part) / 1000.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_be_read_whatever_the_resellers_colour() {
        for step in 0..=u8::MAX {
            for brand in [[step, step, step], [step, 255, 0], [255, step, 0], [0, step, 255], [255, 0, step]] {
                let palette = Palette::new(Some(BrandColour(brand)));
                assert!(contrast(palette.heading, WHITE) >= READABLE_CONTRAST, "{brand:?} as a heading");
                assert!(contrast(palette.on_bar, palette.bar) >= READABLE_CONTRAST, "{brand:?} as a bar");
            }
        }
    }
}
