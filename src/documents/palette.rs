//! The reseller's colour in a document, and what can be read with it.
//!
//! Used by the PDF and the page to print: both look alike.

use crate::domain::branding::{BLACK, BrandColour, WHITE};

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
        let heading = if bar.contrast(WHITE) >= READABLE_CONTRAST { bar } else { INK };
        let on_bar = if bar.contrast(WHITE) >= bar.contrast(BLACK) { WHITE } else { BLACK };
        Self { bar, on_bar, heading }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_be_read_whatever_the_resellers_colour() {
        for step in 0..=u8::MAX {
            for brand in [[step, step, step], [step, 255, 0], [255, step, 0], [0, step, 255], [255, 0, step]] {
                let palette = Palette::new(Some(BrandColour(brand)));
                assert!(palette.heading.contrast(WHITE) >= READABLE_CONTRAST, "{brand:?} as a heading");
                assert!(palette.on_bar.contrast(palette.bar) >= READABLE_CONTRAST, "{brand:?} as a bar");
            }
        }
    }
}
