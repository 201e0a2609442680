//! The reseller's logo in the file. Decoded and deflated once a process, as the same logo stands on document after document.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use lopdf::{Dictionary, Document, Object, Stream, dictionary};

use super::deflate::deflate;
use crate::{
    documents::DocumentError,
    domain::branding::{Branding, Pixels},
};

/// The name that the first page has for it.
pub(super) const LOGO: &str = "Logo";
/// Logos that are kept; beyond, each document decodes its own.
const MAX_KEPT: usize = 64;

/// A picture as the file holds it.
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    colours: Vec<u8>,
    opacities: Option<Vec<u8>>,
}

static KEPT: LazyLock<RwLock<BTreeMap<String, Arc<Picture>>>> = LazyLock::new(RwLock::default);

/// Returns the logo; one that cannot be read, which none is that was checked when it was saved, is left out.
pub(super) fn logo(branding: &Branding) -> Result<Option<Arc<Picture>>, DocumentError> {
    let Some(logo) = &branding.logo else { return Ok(None) };
    let fingerprint = branding.fingerprint();
    if let Some(kept) = KEPT.read().unwrap_or_else(PoisonError::into_inner).get(&fingerprint) {
        return Ok(Some(kept.clone()));
    }
    let Ok(Pixels { width, height, colours, opacities }) = logo.pixels() else { return Ok(None) };
    let deflated = |samples: &[u8]| deflate(samples).map_err(DocumentError::Write);
    let opacities = opacities.as_deref().map(deflated).transpose()?;
    let picture = Arc::new(Picture { width, height, colours: deflated(&colours)?, opacities });
    let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
    if kept.len() < MAX_KEPT {
        kept.insert(fingerprint, picture.clone());
    }
    Ok(Some(picture))
}

/// Adds the picture and returns the page's resource of its name.
pub(super) fn embed(document: &mut Document, picture: &Picture) -> Dictionary {
    let mut image = attributes(picture, "DeviceRGB");
    if let Some(opacities) = &picture.opacities {
        let mask = Stream::new(attributes(picture, "DeviceGray"), opacities.clone()).with_compression(false);
        image.set("SMask", document.add_object(mask));
    }
    let image = document.add_object(Stream::new(image, picture.colours.clone()).with_compression(false));
    dictionary! { LOGO => Object::Reference(image) }
}

fn attributes(picture: &Picture, colour_space: &str) -> Dictionary {
    dictionary! {
        "Type" => "XObject",
        "Subtype" => "Image",
        "Width" => i64::from(picture.width),
        "Height" => i64::from(picture.height),
        "ColorSpace" => colour_space,
        "BitsPerComponent" => 8,
        "Filter" => "FlateDecode",
    }
}
