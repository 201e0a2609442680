//! What the files of texts must hold, read from the files themselves: nothing else can tell what is missing from them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use regex::Regex;

use super::*;

/// The languages that issue 5 asks for; there may be more.
const PROMISED: [&str; 10] = ["ar", "de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt-BR"];

fn sources() -> impl Iterator<Item = (&'static str, &'static str)> {
    CATALOGUES.iter().map(|catalogue| {
        let file = FILES.get_file(format!("{}.ftl", catalogue.tag)).expect("a file");
        (catalogue.tag, file.contents_utf8().expect("utf-8"))
    })
}

/// Returns a file's keys and the arguments that their texts name.
fn keys(source: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut keys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut current = "";
    for line in source.lines().filter(|line| !line.starts_with('#')) {
        if let Some((key, _)) = line.split_once(" =").filter(|_| line.starts_with(|c: char| c.is_ascii_lowercase())) {
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

/// Collects what stands between quotes in sources without their tests, and in templates.
fn quoted(folder: &Path, found: &mut BTreeSet<String>) {
    let literal = Regex::new(r#""([a-z0-9-]+)""#).expect("an expression");
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let is = |ending| path.extension().is_some_and(|extension| extension == ending);
        let is_test = path.to_string_lossy().ends_with("_tests.rs");
        if path.is_dir() {
            quoted(&path, found);
        } else if (is("rs") && !is_test) || is("hbs") {
            let text = fs::read_to_string(&path).expect("a readable source");
            let code = text.split("mod tests").next().unwrap_or_default();
            found.extend(literal.captures_iter(code).map(|found| found[1].to_owned()));
        }
    }
}

fn quoted_in(folders: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in folders {
        quoted(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    found
}

#[test]
fn each_file_of_the_folder_is_a_language() {
    let tags: Vec<_> = supported().collect();
    assert_eq!(tags.len(), FILES.files().count(), "a file's name is no language tag with the ending .ftl");
    for tag in PROMISED {
        assert!(tags.contains(&tag), "{tag}.ftl is missing");
    }
}

#[test]
fn each_catalogue_parses_without_a_problem() {
    for (tag, source) in sources() {
        if let Err((_, problems)) = FluentResource::try_new(source.to_owned()) {
            panic!("{tag}.ftl: {problems:?}");
        }
    }
}

#[test]
fn each_language_has_the_same_keys_with_the_same_arguments() {
    let (_, english) = sources().find(|(tag, _)| *tag == FALLBACK).expect("English");
    let english = keys(english);
    for (tag, source) in sources() {
        let keys = keys(source);
        let missing: Vec<_> = english.keys().filter(|key| !keys.contains_key(*key)).collect();
        let unknown: Vec<_> = keys.keys().filter(|key| !english.contains_key(*key)).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "{tag}.ftl lacks {missing:?}, en.ftl lacks {unknown:?}");
        for (key, arguments) in &keys {
            assert_eq!(arguments, &english[key], "{tag}.ftl: {key} names other arguments than in en.ftl");
        }
    }
}

#[test]
fn each_text_is_used() {
    let everywhere = quoted_in(&["src", "jobs", "email-templates"]);
    // The labels of documents are named without their prefix.
    let labels = quoted_in(&["src/documents"]);
    for (tag, source) in sources() {
        let is_used = |key: &str| {
            let short = |prefix: &str| key.strip_prefix(prefix).is_some_and(|name| labels.contains(name));
            everywhere.contains(key) || short("document-column-") || short("document-")
        };
        let unused: Vec<_> = keys(source).into_keys().filter(|key| !is_used(key)).collect();
        assert!(unused.is_empty(), "{tag}.ftl: nothing uses {unused:?}; take them out of every language");
    }
}

#[test]
fn each_text_can_be_made_from_its_arguments() {
    for (catalogue, (_, source)) in CATALOGUES.iter().zip(sources()) {
        for (key, arguments) in keys(source) {
            let arguments = arguments.into_iter().map(|name| (name, "1")).collect();
            let text = catalogue.text(key, &arguments).unwrap_or_else(|error| panic!("{error}"));
            assert!(!text.is_empty() && !text.contains('{'), "{key}: {text}");
            let is_isolated = text.contains('\u{2068}');
            assert!(!is_isolated || catalogue.direction == Direction::RightToLeft, "{key}: {text}");
        }
    }
}

#[test]
fn only_words_that_languages_share_are_left_in_english() {
    let english: BTreeMap<_, _> = texts_of("en");
    for tag in PROMISED.into_iter().filter(|tag| *tag != "en") {
        let same = texts_of(tag).into_iter().filter(|(key, text)| english[key] == *text).count();
        assert!(same < english.len() / 5, "{tag}.ftl: {same} of {} texts are those of en.ftl", english.len());
    }
}

fn texts_of(tag: &str) -> BTreeMap<&'static str, String> {
    let (catalogue, (_, source)) =
        CATALOGUES.iter().zip(sources()).find(|(catalogue, _)| catalogue.tag == tag).expect("a language");
    let text = |arguments: BTreeSet<&'static str>, key| {
        let arguments = arguments.into_iter().map(|name| (name, name)).collect();
        catalogue.text(key, &arguments).expect("a text")
    };
    keys(source).into_iter().map(|(key, arguments)| (key, text(arguments, key))).collect()
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
