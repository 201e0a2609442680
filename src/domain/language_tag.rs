//! A language tag as BCP 47 writes it, canonical: `es`, `es-MX`, `zh-Hant`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use unic_langid::LanguageIdentifier;

/// A well-formed BCP 47 language tag of language, script, region and variants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LanguageTag(LanguageIdentifier);

impl LanguageTag {
    /// Returns the parsed identifier, for the libraries that format by language.
    pub fn identifier(&self) -> &LanguageIdentifier {
        &self.0
    }
}

/// Says that a text is no language tag.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a BCP 47 language tag; write one such as es, en-GB or zh-Hant")]
pub struct NotALanguageTag(String);

impl FromStr for LanguageTag {
    type Err = NotALanguageTag;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| NotALanguageTag(text.chars().take(40).collect()))
    }
}

impl fmt::Display for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for LanguageTag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LanguageTag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
