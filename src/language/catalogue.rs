//! The embedded texts, one file per language: `email-templates/locales/<tag>.ftl` (Project Fluent).
//!
//! A new language is one more file and one more line in [`SOURCES`].

use std::sync::LazyLock;

use fluent_bundle::{FluentArgs, FluentResource, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

use super::LanguageError;
use crate::domain::language_tag::LanguageTag;

/// Tag, percent sign with the space that CLDR sets before it, texts. The first one stands in for unknown languages.
const SOURCES: [Source; 4] = [
    ("en", "%", include_str!("../../email-templates/locales/en.ftl")),
    ("es", "\u{a0}%", include_str!("../../email-templates/locales/es.ftl")),
    ("de", "\u{a0}%", include_str!("../../email-templates/locales/de.ftl")),
    ("fr", "\u{202f}%", include_str!("../../email-templates/locales/fr.ftl")),
];

type Source = (&'static str, &'static str, &'static str);

static CATALOGUES: LazyLock<Vec<Catalogue>> = LazyLock::new(|| SOURCES.into_iter().map(Catalogue::new).collect());

/// The texts of one language.
pub struct Catalogue {
    pub tag: &'static str,
    pub percent_sign: &'static str,
    texts: FluentBundle<FluentResource>,
}

/// Returns the languages there are texts for.
pub fn supported() -> [&'static str; SOURCES.len()] {
    SOURCES.map(|(tag, _, _)| tag)
}

/// Finds a language's catalogue by RFC 4647 lookup: each subtag is dropped from the right until one fits.
pub fn lookup(tag: &LanguageTag) -> Option<&'static Catalogue> {
    let mut range = tag.to_string();
    loop {
        if let Some(found) = CATALOGUES.iter().find(|catalogue| catalogue.tag == range) {
            return Some(found);
        }
        range.truncate(range.rfind('-')?);
    }
}

/// Returns the catalogue that stands in where [`lookup`] finds none.
pub fn fallback() -> Result<&'static Catalogue, LanguageError> {
    CATALOGUES.first().ok_or(LanguageError::NoCatalogue)
}

impl Catalogue {
    /// Parses a source; what does not parse is missing from the catalogue, which a test finds.
    fn new((tag, percent_sign, source): Source) -> Self {
        let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, _)| resource);
        let identifier: LanguageIdentifier = tag.parse().unwrap_or_default();
        let mut texts = FluentBundle::new_concurrent(vec![identifier]);
        // Isolation marks around every argument show up as boxes in mail clients and PDFs.
        texts.set_use_isolating(false);
        texts.add_resource_overriding(resource);
        Self { tag, percent_sign, texts }
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
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Reads keys and their arguments from the text, as nothing but the file itself can tell what is missing from it.
    fn keys(source: &str) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut keys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut current = "";
        for line in source.lines().filter(|line| !line.starts_with('#')) {
            if let Some((key, _)) = line.split_once(" =").filter(|_| line.starts_with(|c: char| c.is_ascii_lowercase()))
            {
                assert!(!keys.contains_key(key), "{key} stands twice");
                current = key;
                keys.insert(key, BTreeSet::new());
            }
            for argument in line.split('$').skip(1) {
                let end = argument.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(argument.len());
                keys.get_mut(current).expect("a key").insert(&argument[..end]);
            }
        }
        keys
    }

    #[test]
    fn each_catalogue_parses_without_a_problem() {
        for (tag, _, source) in SOURCES {
            if let Err((_, problems)) = FluentResource::try_new(source.to_owned()) {
                panic!("{tag}.ftl: {problems:?}");
            }
        }
    }

    #[test]
    fn each_language_has_the_same_keys_with_the_same_arguments() {
        let (_, _, english) = SOURCES[0];
        for (tag, _, source) in SOURCES {
            assert_eq!(keys(source), keys(english), "{tag}.ftl differs from en.ftl");
        }
    }

    #[test]
    fn each_text_can_be_made_from_its_arguments() {
        for (catalogue, (_, _, source)) in CATALOGUES.iter().zip(SOURCES) {
            for (key, arguments) in keys(source) {
                let arguments = arguments.into_iter().map(|name| (name, "1")).collect();
                let text = catalogue.text(key, &arguments).unwrap_or_else(|error| panic!("{error}"));
                assert!(!text.is_empty() && !text.contains(['{', '\u{2068}']), "{key}: {text}");
            }
        }
    }

    #[test]
    fn file_names_are_plain_ascii() {
        for catalogue in CATALOGUES.iter() {
            for key in ["document-file-name-invoice", "document-file-name-credit-note", "document-file-name-detail"] {
                let name = catalogue.text(key, &FluentArgs::new()).expect("a name");
                assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
            }
        }
    }
}
