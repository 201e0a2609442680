//! docs/RESELLING.md is true: its pieces make a directory, its commands run in their order, and the month comes to what it says.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use billrunner::clock::Clock;
use chrono::Days;
use serde_json::Value;

use crate::support::{site::Site, worker::settled};

const PAGE: &str = "docs/RESELLING.md";

/// Returns the fenced blocks of a page in their order, each with its language.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

/// Merges a piece into a directory: objects member by member, customers one by one, other lists behind one another.
fn merge(whole: &mut Value, piece: Value) -> Result<()> {
    match (whole, piece) {
        (Value::Object(whole), Value::Object(piece)) => {
            for (name, value) in piece {
                match whole.get_mut(&name) {
                    Some(found) if name == "customers" => {
                        let (found, value) = (found.as_array_mut(), value.as_array());
                        for (found, value) in found.context("a list")?.iter_mut().zip(value.context("a list")?) {
                            merge(found, value.clone())?;
                        }
                    }
                    Some(found) => merge(found, value)?,
                    None => drop(whole.insert(name, value)),
                }
            }
        }
        (Value::Array(whole), Value::Array(piece)) => whole.extend(piece),
        (whole, piece) => bail!("{piece} does not go into {whole}"),
    }
    Ok(())
}

/// Splits a command into words; the guide's have no quotes. Files lie in the folder.
fn words(line: &str, folder: &Path) -> Vec<String> {
    let is_file = |word: &str| matches!(word, "nimbus.json" | "august.csv" | "mail-preview");
    let in_folder = |word: &str| folder.join(word).display().to_string();
    line.split_whitespace().skip(1).map(|word| if is_file(word) { in_folder(word) } else { word.to_owned() }).collect()
}

#[tokio::test]
async fn the_guide_of_resellers_is_a_month_that_runs() -> Result<()> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE))?;
    let site = Site::build(0).await?;
    let worker = site.start_worker().await?;
    let folder = tempfile::tempdir()?;
    let mut directory = Value::Object(serde_json::Map::default());
    let mut commands = 0;
    for (language, text) in blocks(&page) {
        match language {
            "json" => {
                merge(&mut directory, serde_json::from_str(text).with_context(|| text.to_owned())?)?;
                // A rate is too old a month later, and the guide is read for longer.
                if let Some(rate) = directory.pointer_mut("/exchange_rates/0/rated_on") {
                    let yesterday = Clock::System.now().date_naive() - Days::new(1);
                    *rate = yesterday.to_string().into();
                }
                fs::write(folder.path().join("nimbus.json"), directory.to_string())?;
            }
            "csv" => fs::write(folder.path().join("august.csv"), text)?,
            "sh" => {
                for line in text.lines() {
                    ensure!(line.starts_with("billrunner "), "{line}");
                    let arguments = words(line, folder.path());
                    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                    let (code, printed) = site.run(&arguments).await?;
                    ensure!(code == Some(0), "{line}: {printed}");
                    commands += 1;
                }
            }
            other => bail!("a block of `{other}`"),
        }
    }
    ensure!(commands > 12, "only {commands} commands were run");
    settled(site.pool()).await?;
    let total: String = sqlx::query_scalar("SELECT total::numeric(12, 2)::text FROM invoices WHERE status = 'open'")
        .fetch_one(site.pool())
        .await?;
    ensure!(page.contains(&format!("| **total** | | **{total}** | EUR |")), "it comes to {total}");
    let mails = site.sink.received();
    let mail = String::from_utf8_lossy(&mails.first().context("a mail")?.content).into_owned();
    ensure!(mail.contains("Su factura") && mail.contains("Nimbus Billing"), "{mail}");
    ensure!(worker.terminate().await?.success());
    Ok(())
}

#[test]
fn every_page_that_the_guide_leads_to_has_the_section() -> Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = fs::read_to_string(docs.join("RESELLING.md"))?;
    let links = regex::Regex::new(r"\]\(([A-Z-]+\.md)(?:#([a-z-]+))?\)")?;
    let mut count = 0;
    for link in links.captures_iter(&page) {
        let target = fs::read_to_string(docs.join(&link[1])).with_context(|| link[1].to_owned())?;
        if let Some(section) = link.get(2) {
            let anchor =
                |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-").replace('\'', "");
            let has = target.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == section.as_str());
            ensure!(has, "{} has no section {}", &link[1], section.as_str());
        }
        count += 1;
    }
    ensure!(count > 10, "only {count} links are read");
    Ok(())
}
