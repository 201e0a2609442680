//! The arrows of ARCHITECTURE.md, read off the sources: which room may name which, and where SQL and apalis may stand.

#![expect(clippy::expect_used, reason = "a test ends where what it expects does not hold")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What each room of `src/` and `jobs/` may name. Everything may name itself.
const ARROWS: [(&str, &[&str]); 21] = [
    ("domain", &[]),
    ("faults", &[]),
    ("clock", &[]),
    ("metrics", &[]),
    ("objects", &[]),
    ("traces", &[]),
    ("language", &["domain"]),
    ("documents", &["domain", "language"]),
    ("mail", &["domain", "language", "metrics", "traces"]),
    ("providers", &["domain"]),
    ("samples", &["domain"]),
    ("store", &["domain", "faults"]),
    ("queue", &["domain", "faults", "metrics", "store", "traces"]),
    ("config", &["domain", "objects", "queue"]),
    ("telemetry", &["config", "traces"]),
    ("context", &["clock", "domain", "mail"]),
    ("console", &["clock", "domain", "metrics", "queue", "store"]),
    ("http", &["clock", "console", "domain", "metrics", "queue", "store", "traces"]),
    (
        "jobs",
        &[
            "context",
            "documents",
            "domain",
            "faults",
            "language",
            "mail",
            "metrics",
            "objects",
            "providers",
            "queue",
            "store",
        ],
    ),
    (
        "cli",
        &[
            "clock",
            "config",
            "console",
            "context",
            "documents",
            "domain",
            "http",
            "jobs",
            "language",
            "mail",
            "objects",
            "providers",
            "queue",
            "samples",
            "store",
            "telemetry",
        ],
    ),
    ("main", &["cli"]),
];
const MAX_FILE_LINES: usize = 500;

/// Returns every source file with the room it is in.
fn sources() -> Vec<(String, PathBuf, String)> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "jobs"] {
        collect(&project.join(folder), &mut files);
    }
    files
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(project).expect("below the root").to_owned();
            let mut parts = relative.iter().map(|part| part.to_string_lossy().into_owned());
            let room = match (parts.next().as_deref(), parts.next()) {
                (Some("src"), Some(name)) => name.trim_end_matches(".rs").to_owned(),
                _ => "jobs".to_owned(),
            };
            let text = fs::read_to_string(&path).expect("a readable source");
            (room, relative, text)
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the rooms that a text names: `crate::room` alone or inside `use crate::{…}`, and `billrunner::room` in main.
fn named_rooms(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut rooms = Vec::new();
    for part in code.split("crate::").skip(1).chain(code.split("billrunner::").skip(1)) {
        match part.strip_prefix('{') {
            Some(group) => rooms.extend(first_names(group)),
            None => rooms.extend(part.split(|c: char| !is_name(c)).next().map(str::to_owned)),
        }
    }
    rooms
}

/// Returns the first name of each branch of a `use` group, the opening brace taken off.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut name) = (0, Vec::new(), Some(String::new()));
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.extend(name.take().filter(|name| !name.is_empty()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => names.extend(name.replace(String::new()).filter(|name| !name.is_empty())),
            c if depth == 0 && is_name(c) => {
                if let Some(name) = &mut name {
                    name.push(c);
                }
            }
            ':' => names.extend(name.take().filter(|name| !name.is_empty())),
            _ => {}
        }
    }
    names
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[test]
fn every_arrow_points_down() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    for (room, path, text) in sources().into_iter().filter(|(room, ..)| room != "lib") {
        let allowed =
            arrows.get(room.as_str()).unwrap_or_else(|| panic!("`{room}` is a room that ARROWS does not know"));
        for named in named_rooms(&text) {
            let is_room = arrows.contains_key(named.as_str());
            if is_room && named != room && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{} names {named}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn no_two_rooms_name_each_other() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    for (room, allowed) in &arrows {
        for below in *allowed {
            assert!(!arrows[below].contains(room), "{room} and {below} name each other");
        }
    }
}

#[test]
fn sql_stands_in_the_store_only() {
    for (room, path, text) in sources().into_iter().filter(|(room, ..)| room != "store") {
        let statements =
            ["sqlx::query(", "sqlx::query_", "query!(", "query_as!(", "query_scalar!(", "raw_sql", "QueryBuilder"];
        assert!(!statements.iter().any(|word| text.contains(word)), "{room}: {} holds SQL", path.display());
    }
}

#[test]
fn only_the_queue_names_apalis() {
    for (room, path, text) in sources().into_iter().filter(|(room, ..)| room != "queue") {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        assert!(!code.into_iter().any(|line| line.contains("apalis")), "{room}: {} names apalis", path.display());
    }
}

#[test]
fn no_file_is_too_long_and_no_lint_is_silenced() {
    for (_, path, text) in sources() {
        let length = text.lines().count();
        assert!(length <= MAX_FILE_LINES, "{} has {length} lines, over {MAX_FILE_LINES}", path.display());
        assert!(
            !text.contains("#[allow(") && !text.contains("#![allow("),
            "{} silences a lint; use #[expect(…, reason)]",
            path.display()
        );
    }
}

#[test]
fn no_room_is_named_after_nothing() {
    for (room, path, _) in sources() {
        let empty = ["utils", "util", "common", "helpers", "helper", "manager", "service", "misc"];
        let named = path.iter().map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned());
        assert!(named.into_iter().all(|name| !empty.contains(&name.as_str())), "{room}: {}", path.display());
    }
}

#[test]
fn the_reader_of_arrows_sees_every_form() {
    let text = "use crate::{\n    domain::{ids::A, money},\n    store,\n    queue::Job,\n};\nfn f() { crate::cli::run() }\n// crate::http";
    assert_eq!(named_rooms(text), ["domain", "store", "queue", "cli"].map(str::to_owned));
}
