//! The embedded texts, one file per language: `email-templates/locales/<tag>.ftl` (Project Fluent).
//!
//! A new language is one more file: the folder is embedded whole and its files are the list of languages.

use std::sync::LazyLock;

use fluent_bundle::{FluentArgs, FluentResource, concurrent::FluentBundle};
use include_dir::{Dir, File, include_dir};
use unic_langid::{CharacterDirection, LanguageIdentifier};

use super::{Direction, LanguageError};
use crate::domain::language_tag::LanguageTag;

/// Stands in for unknown languages.
const FALLBACK: &str = "en";

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/email-templates/locales");
static CATALOGUES: LazyLock<Vec<Catalogue>> = LazyLock::new(|| {
    let mut catalogues: Vec<_> = FILES.files().filter_map(Catalogue::new).collect();
    catalogues.sort_by_key(|catalogue| catalogue.tag);
    catalogues
});

/// The texts of one language.
pub struct Catalogue {
    pub tag: &'static str,
    pub direction: Direction,
    identifier: LanguageIdentifier,
    texts: FluentBundle<FluentResource>,
}

/// Returns the languages there are texts for, in alphabetical order.
pub fn supported() -> impl Iterator<Item = &'static str> {
    CATALOGUES.iter().map(|catalogue| catalogue.tag)
}

/// Finds a language's catalogue: by RFC 4647 lookup, where each subtag is dropped from the right until one fits, else
/// the first one of the same language, so that `pt` and `pt-PT` are answered by `pt-BR`.
pub fn lookup(tag: &LanguageTag) -> Option<&'static Catalogue> {
    let mut range = tag.to_string();
    while !range.is_empty() {
        if let Some(found) = CATALOGUES.iter().find(|catalogue| catalogue.tag == range) {
            return Some(found);
        }
        range.truncate(range.rfind('-').unwrap_or_default());
    }
    CATALOGUES.iter().find(|catalogue| catalogue.identifier.language == tag.identifier().language)
}

/// Returns the catalogue that stands in where [`lookup`] finds none.
pub fn fallback() -> Result<&'static Catalogue, LanguageError> {
    CATALOGUES.iter().find(|catalogue| catalogue.tag == FALLBACK).ok_or(LanguageError::NoCatalogue)
}

impl Catalogue {
    /// Parses a file; what does not parse is missing from the catalogue, which a test finds.
    fn new(file: &'static File<'static>) -> Option<Self> {
        let tag = file.path().to_str()?.strip_suffix(".ftl")?;
        let identifier: LanguageIdentifier = tag.parse().ok()?;
        let source = file.contents_utf8()?.to_owned();
        let resource = FluentResource::try_new(source).unwrap_or_else(|(resource, _)| resource);
        let direction = match identifier.character_direction() {
            CharacterDirection::RTL => Direction::RightToLeft,
            CharacterDirection::LTR | CharacterDirection::TTB => Direction::LeftToRight,
        };
        let mut texts = FluentBundle::new_concurrent(vec![identifier.clone()]);
        // Latin names and numbers inside Arabic need isolation marks around them, or `2026-00042` reads `00042-2026`.
        // Where all runs from left to right they would only show up as boxes in old mail clients.
        texts.set_use_isolating(direction == Direction::RightToLeft);
        texts.add_resource_overriding(resource);
        Some(Self { tag, direction, identifier, texts })
    }

    /// Returns a text with its arguments filled in.
    pub fn text(&self, key: &str, arguments: &FluentArgs<'_>) -> Result<String, LanguageError> {
        let pattern = self
            .texts
            .get_message(key)
            .and_then(|message| message.value())
            .ok_or_else(|| LanguageError::MissingText { key: key.to_owned(), language: self.tag })?;
        let mut problems = Vec::new();
        let text = self.texts.format_pattern(pattern, Some(arguments), &mut problems).into_owned();
        match problems.into_iter().next() {
            None => Ok(text),
            Some(source) => Err(LanguageError::Argument { key: key.to_owned(), language: self.tag, source }),
        }
    }
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
