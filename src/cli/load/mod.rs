//! `billrunner bench month-end` and `bench soak`: a whole billrunner under load, with processes, doors, documents and mails
//! as where it is used; `benches/load/README.md` tells what is measured and how to read it.
//!
//! Both work in a database of their own beside the one that `DATABASE_URL` names, with a mail server and a folder of objects
//! of their own, and leave none of them behind, also when somebody interrupts them.

mod book;
mod doors;
pub mod month_end;
pub mod processes;
mod report;
mod samples;
mod site;
pub mod soak;
mod urgent;
mod watch;

use std::{io::Write, path::Path};

use anyhow::{Context as _, bail};
use chrono::Months;
use serde::Serialize;

use self::site::Site;
use super::setup;
use crate::{clock::Clock, config::Config, domain::billing_period::BillingPeriod};

/// Builds a site, works on it until that is done or somebody interrupts, and takes it away.
async fn on_site<T>(
    config: &Config,
    workers: u8,
    work: impl AsyncFnOnce(&Site) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let stop = setup::stop_on_signals()?;
    let site = Site::build(config, workers).await?;
    let done = tokio::select! {
        done = Box::pin(work(&site)) => done,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    let left = site.leave().await;
    let done = done?;
    left?;
    Ok(done)
}

/// Returns a month that is over and final, so that it can be billed.
fn month_before_last() -> anyhow::Result<BillingPeriod> {
    let then = Clock::System.now().checked_sub_months(Months::new(2)).context("a month before this one")?;
    Ok(then.format("%Y-%m").to_string().parse()?)
}

/// Says on standard error how far it is.
fn tell(text: &str) {
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes a report as JSON where one was asked for.
fn write_report(path: Option<&Path>, report: &impl Serialize) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(report)?;
    std::fs::write(path, text + "\n").with_context(|| format!("{} cannot be written", path.display()))
}

/// Refuses a report that could not be written after hours of work.
fn check_report(path: Option<&Path>) -> anyhow::Result<()> {
    match path.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => bail!("{} is no folder to write a report into", folder.display()),
        _ => Ok(()),
    }
}
