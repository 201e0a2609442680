//! docs/INTEGRATING.md: the example of each door is taken, and all of them are one job.

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use billrunner::clock::Clock;
use tokio::process::Command;

use crate::support::{
    TestDatabase,
    business::database_url,
    http::{Door, EVENT},
    worker::{DEADLINE, Office, until},
};

const INDENT: &str = "    ";

/// Returns the indented example of the page that begins with a text.
fn example(page: &str, beginning: &str) -> Result<String> {
    let begins = |line: &&str| line.strip_prefix(INDENT).is_some_and(|line| line.starts_with(beginning));
    let lines = page.lines().skip_while(|line| !begins(line)).map_while(|line| line.strip_prefix(INDENT));
    let example = lines.collect::<Vec<_>>().join("\n");
    ensure!(!example.is_empty(), "the page has no example that begins with {beginning}");
    Ok(example)
}

/// Splits an example of a command at its one quoted argument.
fn quoted(example: &str) -> Result<(&str, &str, &str)> {
    let (before, rest) = example.split_once('\'').context("a quote")?;
    let (text, behind) = rest.rsplit_once('\'').context("its end")?;
    Ok((before.trim(), text, behind.trim()))
}

#[tokio::test]
async fn the_examples_of_all_doors_are_one_job() -> Result<()> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/INTEGRATING.md"))?;
    let database = TestDatabase::new().await?;
    let office = Office::open_at(&database.pool, Clock::System).await?;

    let door = Door::for_customers(&office, None).await?;
    let client = door.new_client(&office.pool, "shop").await?;
    let answer = client.post(EVENT, example(&page, "{\"specversion\"")?).await?;
    ensure!(answer.status == 202, "{answer:?}");

    let mut other_system = database.connect_as_owner().await?;
    sqlx::raw_sql("SET ROLE billrunner_enqueue").execute(&mut other_system).await?;
    let call = sqlx::AssertSqlSafe(example(&page, "SELECT job_id, outcome")?);
    let outcome: (uuid::Uuid, String) = sqlx::query_as(call).fetch_one(&mut other_system).await?;
    ensure!(outcome.1 == "repeated", "{outcome:?}");

    let added = example(&page, "XADD ")?;
    let (command, envelope, _) = quoted(&added)?;
    ensure!(command == "XADD billrunner:intake * ce", "{command}");
    let mut redis = office.streams.connect().await?;
    office.streams.add_request(&mut redis, envelope).await?;
    until("the request to be taken in", || async {
        let waiting: u64 = redis::cmd("XLEN")
            .arg(office.streams.intake_key())
            .query_async(&mut office.streams.connect().await?)
            .await?;
        Ok((waiting == 0).then_some(()))
    })
    .await?;
    ensure!(office.streams.first_rejection().await?.is_none());

    let typed = example(&page, "billrunner enqueue")?;
    let (command, payload, options) = quoted(&typed)?;
    let enqueued = Command::new(env!("CARGO_BIN_EXE_billrunner"))
        .args(command.split_whitespace().skip(1))
        .arg(payload)
        .args(options.split_whitespace())
        .env("DATABASE_URL", database_url(&office.pool).await?)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let enqueued = tokio::time::timeout(DEADLINE, enqueued).await.context("the command does not end")??;
    ensure!(enqueued.status.success(), "{}", String::from_utf8_lossy(&enqueued.stderr));

    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs").fetch_one(&office.pool).await?;
    assert_eq!(jobs, 1);
    office.close().await
}
