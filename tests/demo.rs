//! The demo as a newcomer runs it, from the real program to the folder of documents and mails.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Output, Stdio},
};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::support::{
    TestDatabase,
    business::{Business, database_url},
};

const DATA: &str = "tests/fixtures";
const CUSTOMERS: &str = "examples/directory.json";

async fn demo(database: &TestDatabase, folder: &Path, data: &str, directory: &str) -> Result<Output> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO_BIN_EXE_billrunner"))
        .args(["demo", "--once", "--json", "--data"])
        .arg(root.join(data))
        .arg("--directory")
        .arg(root.join(directory))
        .arg("--folder")
        .arg(folder)
        .env("DATABASE_URL", database_url(&database.pool).await?)
        .stdin(Stdio::null())
        .output()
        .await?;
    Ok(output)
}

fn texts<'a>(invoice: &'a Value, field: &str) -> Vec<&'a str> {
    invoice[field].as_array().map(|values| values.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn numbers_of(invoices: &[Value], series: &str) -> BTreeSet<String> {
    let numbers = invoices.iter().filter_map(|invoice| invoice["number"].as_str());
    numbers.filter_map(|number| number.strip_prefix(series)).map(str::to_owned).collect()
}

/// Tells whether there is an e-invoice: of what is issued and stands, to those who have a country in the directory.
fn has_ubl(invoice: &Value) -> bool {
    matches!(invoice["status"].as_str(), Some("open" | "closed")) && invoice["currency"] != "USD"
}

fn check_invoices(invoices: &[Value]) {
    assert_eq!(invoices.len(), 13);
    let with_status = |status: &str| invoices.iter().filter(|invoice| invoice["status"] == status).count();
    assert_eq!((with_status("draft"), with_status("closed"), with_status("void"), with_status("open")), (1, 1, 1, 10));
    let credit = invoices.iter().find(|invoice| invoice["kind"] == "credit_note").expect("a credit note");
    assert_eq!(credit["total"], "-1.88");
    assert!(credit["number"].as_str().is_some_and(|number| number.starts_with("CN-") && number.ends_with("-00001")));
    let year = invoices.iter().find_map(|invoice| invoice["issued_on"].as_str()).expect("an issue date");
    let expected: BTreeSet<String> = (1..=11).map(|n| format!("{n:05}")).collect();
    assert_eq!(numbers_of(invoices, &format!("{}-", &year[..4])), expected);
    for invoice in invoices {
        let mut kinds = vec!["csv", "detailed_csv", "json", "pdf", "print"];
        kinds.extend(has_ubl(invoice).then_some("ubl"));
        assert_eq!(texts(invoice, "documents"), kinds, "{}", invoice["document_id"]);
    }
    let currencies: BTreeSet<&str> = invoices.iter().filter_map(|invoice| invoice["currency"].as_str()).collect();
    assert_eq!(currencies, BTreeSet::from(["CHF", "EUR", "GBP", "JPY", "USD"]));
}

fn check_mails(folder: &Path) -> Result<()> {
    let mut languages = BTreeSet::new();
    let mut recipients = Vec::new();
    for entry in std::fs::read_dir(folder.join("mails"))? {
        let content = std::fs::read(entry?.path())?;
        let mail = mail_parser::MessageParser::default().parse(&content).context("a readable mail")?;
        languages.insert(mail.header_raw("Content-Language").unwrap_or_default().trim().to_owned());
        recipients.extend(mail.to().and_then(|to| to.first()).and_then(|to| to.address()).map(str::to_owned));
        assert_eq!(mail.attachment_count(), 2);
    }
    assert_eq!(languages, ["de", "en-GB", "es", "fr-CH"].map(str::to_owned).into());
    assert_eq!(recipients.len(), 7);
    for silent in ["archivo@panaderia-sol.example", "ancien@atelier-lumiere.example"] {
        assert!(!recipients.iter().any(|recipient| recipient == silent), "{silent} was written to");
    }
    Ok(())
}

#[tokio::test]
async fn the_demo_shows_the_main_job_from_file_to_mail() -> Result<()> {
    let (database, folder) = (TestDatabase::new().await?, tempfile::tempdir()?);
    let output = demo(&database, folder.path(), DATA, CUSTOMERS).await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout)?;
    let invoices = summary["invoices"].as_array().context("invoices")?;
    check_invoices(invoices);
    let refused = summary["refusal"]["error"].as_str().context("a refusal")?;
    assert!(refused.contains("nothing returns to draft"), "{refused}");
    let again = summary["repetition"]["answer"].as_str().context("a repetition")?;
    assert!(again.ends_with("is known already"), "{again}");
    let files = walk(&folder.path().join("documents"))?;
    let e_invoices = invoices.iter().filter(|invoice| has_ubl(invoice)).count();
    assert_eq!(files, 13 * 5 + e_invoices, "every document of every invoice lies in the folder");
    check_mails(folder.path())
}

fn walk(folder: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        count += if path.is_dir() { walk(&path)? } else { 1 };
    }
    Ok(count)
}

#[tokio::test]
async fn sample_data_that_cannot_be_read_is_named_before_anything_is_made() -> Result<()> {
    let (database, folder) = (TestDatabase::new().await?, tempfile::tempdir()?);
    let results = folder.path().join("results");
    for (data, directory, what, name) in [
        ("tests/nowhere", CUSTOMERS, "the sample file", "tests/nowhere"),
        (DATA, "examples/nowhere.json", "the sample customers", "examples/nowhere.json"),
        (DATA, "README.md", "the sample customers", "README.md"),
    ] {
        let output = demo(&database, &results, data, directory).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(what) && said.contains(name), "{said}");
        assert!(!results.exists(), "a folder was made in vain");
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_somebody_uses_is_left_alone() -> Result<()> {
    let (database, folder) = (TestDatabase::new().await?, tempfile::tempdir()?);
    Business::without_charges(&database.pool, 1).await?;
    let output = demo(&database, folder.path(), DATA, CUSTOMERS).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("holds customers or jobs already"), "{said}");
    let resellers: i64 = sqlx::query_scalar("SELECT count(*) FROM resellers").fetch_one(&database.pool).await?;
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs").fetch_one(&database.pool).await?;
    assert_eq!((resellers, jobs), (1, 0));
    Ok(())
}
