//! docs/SECURITY.md and docs/RELIABILITY.md name tests that exist.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use regex::Regex;

#[test]
fn every_test_that_the_security_page_names_exists() -> Result<()> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(project.join("docs/SECURITY.md"))?;
    let file = Regex::new(r"`((?:tests|src)/[a-z_/]+\.rs)`((?:: `[a-z_0-9]+`(?:, `[a-z_0-9]+`)*)?)")?;
    let name = Regex::new(r"`([a-z_0-9]+)`")?;
    let mut count = 0;
    for found in file.captures_iter(&page) {
        let text = fs::read_to_string(project.join(&found[1])).with_context(|| found[1].to_owned())?;
        ensure!(text.contains("#[test]") || text.contains("#[tokio::test"), "{} holds no test", &found[1]);
        for test in name.captures_iter(&found[2]) {
            let has = text.contains(&format!("fn {}()", &test[1]));
            ensure!(has, "{} has no test {}", &found[1], &test[1]);
            count += 1;
        }
    }
    ensure!(count > 30, "only {count} tests are read from the page");
    Ok(())
}

#[test]
fn every_test_that_the_reliability_page_names_exists() -> Result<()> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = Regex::new(r"`([a-z_/]+\.rs)`")?;
    // An ellipsis stands for the rest of the names of several.
    let names = Regex::new(r"`([a-z0-9]+(?:_[a-z0-9]+){2,})(`|_…`)")?;
    let declared: Vec<String> = sources(project)?.iter().flat_map(|text| tests_in(text)).collect();
    let page = fs::read_to_string(project.join("docs/RELIABILITY.md"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(2));
    let mut count = 0;
    for proof in rows {
        for found in files.captures_iter(proof) {
            let exists = ["tests", ""].iter().any(|folder| project.join(folder).join(&found[1]).exists());
            ensure!(exists, "there is no {}", &found[1]);
        }
        for found in names.captures_iter(proof) {
            let is_meant =
                |test: &String| if &found[2] == "`" { test == &found[1] } else { test.starts_with(&found[1]) };
            ensure!(declared.iter().any(is_meant), "no test is called {}", &found[1]);
            count += 1;
        }
    }
    ensure!(count > 40, "only {count} tests are read from the page");
    Ok(())
}

/// Reads what holds tests: all of `tests` and `src`.
fn sources(project: &Path) -> Result<Vec<String>> {
    let (mut texts, mut folders) = (Vec::new(), vec![project.join("tests"), project.join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(fs::read_to_string(path)?);
            }
        }
    }
    Ok(texts)
}

fn tests_in(text: &str) -> Vec<String> {
    let functions = text.split("\n#[t").skip(1).filter_map(|rest| rest.split_once("fn "));
    functions.filter_map(|(_, rest)| Some(rest.split_once('(')?.0.to_owned())).collect()
}

#[test]
fn every_threat_has_a_mitigation_and_a_proof() -> Result<()> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SECURITY.md"))?;
    let table = page.split("\n## Threats\n").nth(1).and_then(|rest| rest.split("\n## ").next()).context("a table")?;
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    ensure!(rows.len() > 20, "{rows:?}");
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        ensure!(cells.len() == 3 && cells.iter().all(|cell| cell.len() > 3), "{row}");
        ensure!(cells[2].contains(".rs`") || cells[2] == "`.ci/run`", "nothing proves: {row}");
    }
    Ok(())
}
