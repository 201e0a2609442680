//! `billrunner config`: is the environment right, and what could it hold.

use anyhow::Context;
use clap::Subcommand;
use serde::Serialize;

use super::{Output, setup};
use crate::{
    config::{Config, VARIABLES, example},
    store::database,
};

/// Commands on settings.
#[derive(Subcommand)]
pub enum Command {
    /// Check every setting, and whether Postgres and Redis answer.
    Check,
    /// Print every setting with its meaning, as an `.env` file.
    Example,
}

#[derive(Serialize)]
struct Setting {
    name: &'static str,
    value: String,
    meaning: &'static str,
}

pub async fn run(command: &Command, config: &Config, output: Output) -> anyhow::Result<()> {
    match command {
        Command::Example => output.value(&example(), |text| text.trim_end().to_owned()),
        Command::Check => check(config, output).await,
    }
}

async fn check(config: &Config, output: Output) -> anyhow::Result<()> {
    let settings: Vec<Setting> = VARIABLES
        .iter()
        .map(|variable| {
            let set = std::env::var(variable.name).ok().filter(|value| !value.is_empty());
            let value = match (set, variable.default) {
                (Some(_), _) if variable.is_secret => "set".to_owned(),
                (Some(value), _) => value,
                (None, Some("") | None) => "not set".to_owned(),
                (None, Some(default)) => format!("{default} (default)"),
            };
            Setting { name: variable.name, value, meaning: variable.meaning }
        })
        .collect();
    output.rows(&settings, &["setting", "value", "meaning"], |setting| {
        vec![setting.name.to_owned(), setting.value.clone(), setting.meaning.to_owned()]
    })?;
    let pool = setup::connect(config).await?;
    anyhow::ensure!(
        database::is_migrated(&pool).await?,
        "the schema is older than this release; run `billrunner migrate`"
    );
    setup::streams(config)?.ping().await.context(
        "Redis cannot be used; check REDIS_URL, and SSL_CERT_FILE where its certificate comes from an authority of your own",
    )?;
    setup::context(config, pool)?;
    output.line("Postgres, Redis, object store and mailer are ready to use")
}
