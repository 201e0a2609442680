//! Colours as page contents take them: the fixed ones, and those of the reseller's palette.

use super::sheet::Colour;
use crate::{documents::palette, domain::branding::BrandColour};

pub(super) const INK: Colour = [110, 140, 190];
pub(super) const MUTED: Colour = [400, 440, 500];
pub(super) const HAIRLINE: Colour = [860, 880, 910];
pub(super) const BAND: Colour = [945, 957, 972];
pub(super) const DRAFT_MARK: Colour = [915, 922, 934];
pub(super) const VOID_MARK: Colour = [978, 895, 891];
/// The word VOID as a status.
pub(super) const ALARM: Colour = [720, 110, 110];

/// The reseller's colours on a page.
pub(super) struct Palette {
    pub(super) bar: Colour,
    pub(super) on_bar: Colour,
    pub(super) heading: Colour,
}

impl Palette {
    pub(super) fn new(brand: Option<BrandColour>) -> Self {
        let palette::Palette { bar, on_bar, heading } = palette::Palette::new(brand);
        Self { bar: to_colour(bar), on_bar: to_colour(on_bar), heading: to_colour(heading) }
    }
}

fn to_colour(BrandColour(parts): BrandColour) -> Colour {
    parts.map(|part| u16::try_from(u32::from(part) * 1000 / 255).unwrap_or(1000))
}
