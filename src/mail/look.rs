//! How a reseller's mails look: its colour and its logo, those of its documents.
//!
//! Without either a mail has our blue and the reseller's name. What stands on the colour is white or nearly black,
//! whichever can be read; the logo comes with the mail, so that nothing is loaded.

use bytes::Bytes;
use serde::Serialize;

use crate::domain::branding::{BLACK, BrandColour, Branding, BrandingProblem, WHITE};

/// Name of the logo's part inside a mail (RFC 2392).
pub const LOGO_ID: &str = "logo@billrunner";
/// What the logo has room for, in CSS pixels.
const LOGO_ROOM: (u32, u32) = (220, 48);
/// Our blue, where the reseller has no colour.
const OUR_COLOUR: BrandColour = BrandColour([0x17, 0x45, 0x85]);
/// Text on a pale colour.
const NEARLY_BLACK: BrandColour = BrandColour([0x14, 0x18, 0x1d]);

/// How a reseller's mails look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Look {
    accent: String,
    on_accent: String,
    logo: Option<PlacedLogo>,
    #[serde(skip)]
    png: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct PlacedLogo {
    source: String,
    width: u32,
    height: u32,
}

impl Default for Look {
    fn default() -> Self {
        let (accent, on_accent) = (String::from(OUR_COLOUR), readable_on(OUR_COLOUR));
        Self { accent, on_accent, logo: None, png: None }
    }
}

impl Look {
    /// Takes colour and logo from a branding.
    ///
    /// # Errors
    /// When the logo is no PNG, which was checked when it was stored.
    pub fn new(branding: Option<&Branding>) -> Result<Self, BrandingProblem> {
        let Some(branding) = branding else { return Ok(Self::default()) };
        let colour = branding.colour.unwrap_or(OUR_COLOUR);
        let logo = branding.logo.as_ref().map(|logo| logo.size().map(placed)).transpose()?;
        let png = branding.logo.as_ref().map(|logo| Bytes::copy_from_slice(logo.bytes()));
        Ok(Self { accent: colour.into(), on_accent: readable_on(colour), logo, png })
    }

    /// Returns the picture that has to come with the mail.
    pub fn logo(&self) -> Option<&Bytes> {
        self.png.as_ref()
    }
}

/// Fits a picture into the room there is; a small one keeps its size.
fn placed((width, height): (u32, u32)) -> PlacedLogo {
    let (width, height) = (width.max(1), height.max(1));
    let (most_wide, most_high) = LOGO_ROOM;
    let (width, height) = if width * most_high > height * most_wide {
        let shown = width.min(most_wide);
        (shown, height * shown / width)
    } else {
        let shown = height.min(most_high);
        (width * shown / height, shown)
    };
    PlacedLogo { source: format!("cid:{LOGO_ID}"), width: width.max(1), height: height.max(1) }
}

/// Chooses white or nearly black, whichever has more contrast.
fn readable_on(colour: BrandColour) -> String {
    let chosen = if colour.contrast(WHITE) >= colour.contrast(BLACK) { WHITE } else { NEARLY_BLACK };
    chosen.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_on_a_colour_can_be_read() {
        let of = |text: &str| readable_on(text.parse().expect("a colour"));
        assert_eq!(["#174585", "#000000", "#c00000"].map(of), ["#ffffff"; 3]);
        assert_eq!(["#ffffff", "#ffd500", "#8fd14f"].map(of), ["#14181d"; 3]);
    }

    #[test]
    fn a_logo_fits_into_its_room_and_is_not_blown_up() {
        for (size, shown) in
            [((1600, 160), (220, 22)), ((100, 400), (12, 48)), ((40, 20), (40, 20)), ((1600, 1), (220, 1))]
        {
            let PlacedLogo { width, height, .. } = placed(size);
            assert_eq!((width, height), shown);
        }
    }
}
