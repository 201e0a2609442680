//! The reseller's colour in a document, and what can be read with it.
//!
//! Used by the PDF and the page to print: both look alike.

use crate::domain::branding::BrandColour;

const WHITE: BrandColour = BrandColour([255; 3]);
const BLACK: BrandColour = BrandColour([0; 3]);
/// The dark grey of text.
pub(super) const INK: BrandColour = BrandColour([28, 36, 48]);
/// Our own, where the reseller has none.
const BLUE: BrandColour = BrandColour([23, 69, 133]);
/// What text needs against what is behind it (WCAG 2.2, 1.4.3).
const READABLE_CONTRAST: f64 = 4.5;

/// The reseller's colour and what can be read with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Palette {
    /// Bars are filled with it.
    pub(super) bar: BrandColour,
    /// Text on a bar: white, or black where the bar is pale.
    pub(super) on_bar: BrandColour,
    /// Headings: the colour itself, or dark where it is pale.
    pub(super) heading: BrandColour,
}

impl Palette {
    /// Returns the colours that go with the reseller's, or with ours.
    pub(super) fn new(brand: Option<BrandColour>) -> Self {
        let bar = brand.unwrap_or(BLUE);
        let heading = if contrast(bar, WHITE) >= READABLE_CONTRAST { bar } else { INK };
        let on_bar = if contrast(bar, WHITE) >= contrast(bar, BLACK) { WHITE } else { BLACK };
        Self { bar, on_bar, heading }
    }
}

/// Returns the contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio").
fn contrast(one: BrandColour, other: BrandColour) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(BrandColour(parts): BrandColour) -> f64 {
    let [red, green, blue] = parts.map(|part| {
        let part = f64::from(part) / 255.0;
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
