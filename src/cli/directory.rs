//! `billrunner directory FILE`: applies customers, accounts and terms.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::{Failure, Output, setup};
use crate::{config::Config, domain::directory::Directory, store::directory};

/// Arguments of `directory`.
#[derive(Args)]
pub struct Arguments {
    /// JSON, as `examples/directory.json` shows it.
    file: PathBuf,
}

pub async fn run(arguments: &Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let name = arguments.file.display();
    let text = tokio::fs::read_to_string(&arguments.file).await.with_context(|| format!("{name} cannot be read"))?;
    let content: Directory = serde_json::from_str(&text).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    let pool = setup::connect(config).await?;
    let mut transaction = pool.begin().await?;
    directory::apply(&mut transaction, &content).await.with_context(|| format!("{name} is not applied"))?;
    transaction.commit().await?;
    output.line(&format!("{} and {} customers are applied", content.reseller.name, content.customers.len()))
}
