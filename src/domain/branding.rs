//! How a reseller's documents look: its logo, its colour, its paper.
//!
//! Part of the directory, checked when that is applied. An invoice names the branding it was made with by its
//! fingerprint, so that it looks the same when it is rendered again.

use std::{fmt, io::Cursor, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A logo is read for every document it stands on.
const MAX_LOGO_BYTES: usize = 256 * 1024;
/// Six hundred dots an inch on the widest logo that documents have room for.
const MAX_LOGO_PIXELS: u32 = 1600;

/// How a reseller's documents look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branding {
    /// At the top of the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<Logo>,
    /// Of bars and headings; `None` is our blue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<BrandColour>,
    /// What documents are printed on.
    #[serde(default)]
    pub paper: Paper,
}

impl Branding {
    /// Returns what tells this branding from every other, in hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new_with_prefix([u8::from(self.paper == Paper::Letter)]);
        if let Some(BrandColour([red, green, blue])) = self.colour {
            hash.update([1, red, green, blue]);
        }
        if let Some(logo) = &self.logo {
            hash.update([2]);
            hash.update(&logo.0);
        }
        hex::encode(hash.finalize())
    }

    /// Checks what reading it did not.
    ///
    /// # Errors
    /// The [`BrandingProblem`] of the logo.
    pub fn check(&self) -> Result<(), BrandingProblem> {
        self.logo.as_ref().map_or(Ok(()), |logo| logo.pixels().map(drop))
    }
}

/// A size of paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paper {
    /// ISO 216: 210 by 297 mm.
    #[default]
    A4,
    /// ANSI: 8.5 by 11 inches.
    Letter,
}

/// What is wrong with a branding.
#[derive(Debug, thiserror::Error)]
pub enum BrandingProblem {
    /// No colour.
    #[error("colour `{0}` is not of the form `#1f4e79`; write six hexadecimal digits")]
    Colour(String),
    /// Not base64.
    #[error("the logo is not base64; write the PNG's bytes as `base64 -w0 logo.png` prints them")]
    Encoding(#[source] base64::DecodeError),
    /// Too large a file.
    #[error("the logo has {0} bytes; save it with at most {MAX_LOGO_BYTES}")]
    Size(usize),
    /// Too many pixels.
    #[error("the logo is {width} by {height} pixels; save it with at most {MAX_LOGO_PIXELS} by {MAX_LOGO_PIXELS}")]
    Pixels {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// No PNG.
    #[error("the logo cannot be read as a PNG; save it as one")]
    Picture(#[source] png::DecodingError),
}

/// A colour in sRGB, written `#1f4e79`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BrandColour(pub [u8; 3]);

/// Paper.
pub const WHITE: BrandColour = BrandColour([255; 3]);
/// Ink.
pub const BLACK: BrandColour = BrandColour([0; 3]);

impl BrandColour {
    /// Returns the contrast with another colour, from 1 to 21 (WCAG 2.2, "contrast ratio").
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl FromStr for BrandColour {
    type Err = BrandingProblem;

    fn from_str(text: &str) -> Result<Self, BrandingProblem> {
        let refused = || BrandingProblem::Colour(text.chars().take(20).collect());
        let mut parts = [0; 3];
        let digits = text.strip_prefix('#').ok_or_else(refused)?;
        hex::decode_to_slice(digits, &mut parts).map_err(|_| refused())?;
        Ok(Self(parts))
    }
}

impl TryFrom<String> for BrandColour {
    type Error = BrandingProblem;

    fn try_from(text: String) -> Result<Self, BrandingProblem> {
        text.parse()
    }
}

impl From<BrandColour> for String {
    fn from(colour: BrandColour) -> Self {
        format!("#{}", hex::encode(colour.0))
    }
}

/// A logo: the bytes of a PNG, in base64 where they are text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Logo(Vec<u8>);

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Logo of {} bytes", self.0.len())
    }
}

impl TryFrom<String> for Logo {
    type Error = BrandingProblem;

    fn try_from(text: String) -> Result<Self, BrandingProblem> {
        let bytes = BASE64_STANDARD.decode(text.trim()).map_err(BrandingProblem::Encoding)?;
        if bytes.len() > MAX_LOGO_BYTES { Err(BrandingProblem::Size(bytes.len())) } else { Ok(Self(bytes)) }
    }
}

impl From<Logo> for String {
    fn from(logo: Logo) -> Self {
        BASE64_STANDARD.encode(logo.0)
    }
}

/// A picture, pixel by pixel from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Red, green and blue of each.
    pub colours: Vec<u8>,
    /// How opaque each is; `None` where all are.
    pub opacities: Option<Vec<u8>>,
}

impl Logo {
    /// Returns the bytes of the PNG.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads width and height, in pixels, without decoding the picture.
    ///
    /// # Errors
    /// When it is no PNG.
    pub fn size(&self) -> Result<(u32, u32), BrandingProblem> {
        let reader = png::Decoder::new(Cursor::new(&self.0)).read_info().map_err(BrandingProblem::Picture)?;
        Ok(reader.info().size())
    }

    /// Decodes the picture.
    ///
    /// # Errors
    /// When it is no PNG, or too large a one.
    pub fn pixels(&self) -> Result<Pixels, BrandingProblem> {
        let mut decoder = png::Decoder::new(Cursor::new(&self.0));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(BrandingProblem::Picture)?;
        let (width, height) = reader.info().size();
        if width > MAX_LOGO_PIXELS || height > MAX_LOGO_PIXELS {
            return Err(BrandingProblem::Pixels { width, height });
        }
        let too_large = BrandingProblem::Pixels { width, height };
        let mut samples = vec![0; reader.output_buffer_size().ok_or(too_large)?];
        reader.next_frame(&mut samples).map_err(BrandingProblem::Picture)?;
        let (kind, _) = reader.output_color_type();
        let opacity_of = |pixel: &[u8]| pixel.last().copied().unwrap_or(u8::MAX);
        let pixels = samples.chunks_exact(kind.samples());
        let (colours, opacities): (Vec<u8>, Option<Vec<u8>>) = match kind {
            png::ColorType::Grayscale | png::ColorType::Indexed => {
                (samples.iter().flat_map(|grey| [*grey; 3]).collect(), None)
            }
            png::ColorType::GrayscaleAlpha => (
                pixels.clone().flat_map(|pixel| [pixel.first().copied().unwrap_or_default(); 3]).collect(),
                Some(pixels.map(opacity_of).collect()),
            ),
            png::ColorType::Rgb => (samples, None),
            png::ColorType::Rgba => (
                pixels.clone().flat_map(|pixel| pixel.iter().take(3).copied()).collect(),
                Some(pixels.map(opacity_of).collect()),
            ),
        };
        let opacities = opacities.filter(|all| all.iter().any(|opacity| *opacity < u8::MAX));
        Ok(Pixels { width, height, colours, opacities })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, samples: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgba);
        encoder.write_header().and_then(|mut writer| writer.write_image_data(samples)).expect("a png");
        bytes
    }

    fn read(json: &serde_json::Value) -> Result<Branding, serde_json::Error> {
        serde_json::from_value(json.clone())
    }

    #[test]
    fn a_branding_reads_back_as_it_was_written() {
        let logo = BASE64_STANDARD.encode(png(1, 2, &[1, 2, 3, 255, 4, 5, 6, 128]));
        let branding = read(&serde_json::json!({ "logo": logo, "colour": "#1f4e79", "paper": "letter" }));
        let branding = branding.expect("a branding");
        branding.check().expect("a good one");
        let pixels = branding.logo.as_ref().expect("a logo").pixels().expect("pixels");
        assert_eq!((pixels.colours, pixels.opacities), (vec![1, 2, 3, 4, 5, 6], Some(vec![255, 128])));
        assert_eq!(branding.logo.as_ref().and_then(|logo| logo.size().ok()), Some((1, 2)));
        let again = read(&serde_json::to_value(&branding).expect("json")).expect("a branding");
        assert_eq!(again, branding);
        assert_ne!(branding.fingerprint(), Branding::default().fingerprint());
    }

    #[test]
    fn what_is_no_colour_or_no_picture_is_refused_with_the_way_out() {
        for (json, said) in [
            (serde_json::json!({ "colour": "blue" }), "colour `blue` is not of the form `#1f4e79`"),
            (serde_json::json!({ "logo": "%%%" }), "the logo is not base64"),
            (serde_json::json!({ "logo": BASE64_STANDARD.encode(vec![0; MAX_LOGO_BYTES + 1]) }), "262145 bytes"),
        ] {
            assert!(read(&json).expect_err("refused").to_string().contains(said), "{said}");
        }
        let of = |bytes: Vec<u8>| Branding { logo: Some(Logo(bytes)), ..Branding::default() };
        let wide = png(MAX_LOGO_PIXELS + 1, 1, &vec![0; 4 * 1601]);
        assert!(matches!(of(wide).check(), Err(BrandingProblem::Pixels { width: 1601, height: 1 })));
        let mut cut = png(8, 8, &[7; 256]);
        cut.truncate(cut.len() / 2);
        assert!(matches!(of(cut).check(), Err(BrandingProblem::Picture(_))));
    }
}
