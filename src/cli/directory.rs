//! `billrunner directory FILE`: applies customers, accounts and terms; `billrunner directory export` writes them out again.
//!
//! What is wrong with a file is said before anything is changed: the place, the value and the way out.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{Failure, Output, setup};
use crate::{
    config::Config,
    domain::{directory::Directory, ids::ResellerId},
    providers,
    store::{
        directory::{self, ApplyError},
        directory_export,
    },
};

/// Arguments of `directory`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    /// JSON, as `examples/directory.json` shows it. A file called `export` is `./export`.
    #[arg(required = true)]
    file: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Commands on directories.
#[derive(Subcommand)]
pub enum Command {
    /// Write a reseller's directory to standard output: applied again, it changes nothing.
    Export {
        /// Whose.
        #[arg(long)]
        reseller: ResellerId,
    },
}

pub async fn run(arguments: Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    match (arguments.command, arguments.file) {
        (Some(Command::Export { reseller }), _) => export(reseller, config).await,
        (None, Some(file)) => apply(&file, config, output).await,
        (None, None) => Err(Failure::Usage("name a file to apply".to_owned()).into()),
    }
}

/// Reads a directory and checks all that needs no database.
pub fn read(text: &[u8]) -> anyhow::Result<Directory> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let content: Directory = serde_path_to_error::deserialize(&mut reader)?;
    reader.end()?;
    let known: Vec<&str> = providers::all().iter().map(|profile| profile.id).collect();
    content.check_providers(&known)?;
    content.check()?;
    Ok(content)
}

async fn apply(file: &Path, config: &Config, output: Output) -> anyhow::Result<()> {
    let name = file.display();
    let text = tokio::fs::read(file).await.with_context(|| format!("{name} cannot be read"))?;
    let content = read(&text).map_err(|error| Failure::Usage(format!("{name}: {error:#}")))?;
    let pool = setup::connect(config).await?;
    let mut transaction = pool.begin().await?;
    match directory::apply(&mut transaction, &content).await {
        Ok(()) => {}
        Err(ApplyError::Database(error)) => return Err(error).with_context(|| format!("{name} is not applied")),
        Err(refused) => return Err(Failure::Refused(format!("{name} is not applied: {refused}")).into()),
    }
    transaction.commit().await?;
    output.line(&format!("{} and {} customers are applied", content.reseller.name, content.customers.len()))
}

async fn export(reseller_id: ResellerId, config: &Config) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let found = directory_export::export(&mut transaction, reseller_id).await?;
    let missing = || Failure::NotFound(format!("reseller {reseller_id} does not exist; apply its directory first"));
    let found = found.ok_or_else(missing)?;
    Output::new(true).value(&found, |_| String::new())
}
