//! docs/SECURITY.md names tests that exist.

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
