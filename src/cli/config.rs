//! `billrunner config`: is the environment right, and what could it hold.

use anyhow::{Context, anyhow, ensure};
use clap::Subcommand;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use serde::Serialize;
use uuid::Uuid;

use super::{Output, setup};
use crate::{
    config::{Config, VARIABLES, example},
    store::database,
};

/// Commands on settings.
#[derive(Subcommand)]
pub enum Command {
    /// Check every setting, whether Postgres and Redis answer, and whether the object store keeps what it is given.
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
    ensure!(database::is_migrated(&pool).await?, "the schema is older than this release; run `billrunner migrate`");
    setup::streams(config)?.ping().await.context(
        "Redis cannot be used; check REDIS_URL, and SSL_CERT_FILE where its certificate comes from an authority of your own",
    )?;
    let context = setup::context(config, pool)?;
    probe(context.objects.as_ref()).await?;
    output.line("Postgres, Redis, object store and mailer are ready to use")
}

/// Writes, reads and deletes an object of its own.
pub async fn probe(objects: &dyn ObjectStore) -> anyhow::Result<()> {
    let (location, text) = (Path::from(format!("config-check/{}", Uuid::now_v7())), "billrunner config check\n");
    match objects.head(&location).await {
        Err(object_store::Error::NotFound { .. }) => {}
        Ok(_) => {
            return Err(anyhow!(
                "the object store shows an object that was never written; check what is in front of it"
            ));
        }
        // Without the right to list, clouds refuse where nothing is.
        Err(error) => return Err(way_out(error, "does not say whether an object exists")),
    }
    objects.put(&location, text.into()).await.map_err(|error| way_out(error, "takes no object"))?;
    let read = async { objects.get(&location).await?.bytes().await }.await;
    let read = read.map_err(|error| way_out(error, "does not give back what it took"))?;
    ensure!(read == text, "the object store gives back other bytes than it took; check what is in front of it");
    objects.delete(&location).await.map_err(|error| way_out(error, "does not delete what this check wrote"))
}

/// Says what to do about an error of the object store.
fn way_out(error: object_store::Error, what: &str) -> anyhow::Error {
    let way_out = match error {
        object_store::Error::NotFound { .. } => "create the bucket, or correct its name in BILLRUNNER_OBJECT_STORE",
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            "check the credentials, and give them the rights that docs/STORES.md lists"
        }
        _ => "check that it runs, its address, its region and, for a folder, who may write there; see docs/STORES.md",
    };
    anyhow::Error::new(error).context(format!("the object store {what}; {way_out}"))
}
