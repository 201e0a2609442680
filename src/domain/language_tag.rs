//! A language tag as BCP 47 writes it, canonical: `es`, `es-MX`, `zh-Hant`.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use unic_langid::LanguageIdentifier;

/// A well-formed BCP 47 language tag of language, script, region and variants.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LanguageTag(LanguageIdentifier);

impl LanguageTag {
    /// Returns the parsed identifier, for the libraries that format by language.
    pub fn identifier(&self) -> &LanguageIdentifier {
        &self.0
    }

    /// Chooses among texts by tag: RFC 4647 lookup (`es-MX`, then `es`), else English, else the first.
    pub fn choose<'a>(wanted: Option<&Self>, texts: &'a BTreeMap<String, String>) -> Option<&'a str> {
        let mut range = wanted.map(Self::to_string).unwrap_or_default();
        while !range.is_empty() {
            if let Some((_, text)) = texts.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(&range)) {
                return Some(text);
            }
            range.truncate(range.rfind('-').unwrap_or_default());
        }
        texts.get("en").or_else(|| texts.values().next()).map(String::as_str)
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
