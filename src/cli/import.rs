//! `billrunner import FILE`: uploads a charge file and hands in its import.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use object_store::ObjectStore;
use sha2::{Digest, Sha256};
use tokio::{fs::File, io::AsyncReadExt};

use super::{Output, enqueue::hand_in, setup};
use crate::{
    config::Config,
    domain::ids::{JobId, ResellerId},
    jobs::{ImportCharges, charge_file_location, registry},
    objects::write_object,
    providers,
    queue::{JobOptions, RequestId},
};

const CHUNK: usize = 256 * 1024;

/// Arguments of `import`.
#[derive(Args)]
pub struct Arguments {
    /// CSV in FOCUS 1.0–1.3 or in a format of the provider's own, plain or gzip.
    file: PathBuf,
    /// Whose charges they are.
    #[arg(long)]
    reseller: ResellerId,
    /// Provider, such as aws.
    #[arg(long)]
    provider: String,
    /// Wait until the import has ended; exit code 4 when the file was rejected.
    #[arg(long)]
    wait: bool,
}

pub async fn run(arguments: Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    providers::find(&arguments.provider).map_err(|error| super::Failure::Usage(error.to_string()))?;
    let objects = setup::objects(config)?;
    let job = upload(objects.as_ref(), &arguments.file, arguments.reseller, &arguments.provider)
        .await
        .with_context(|| format!("{} cannot be uploaded", arguments.file.display()))?;
    // A request of its own each time: the job knows a file by its content, whatever it is called and however often it comes.
    let request = RequestId::new("cli/import", JobId::new());
    let new = registry().prepare(&job, request, "cli", JobOptions::default())?;
    let pool = setup::connect(config).await?;
    hand_in(&pool, &new, arguments.wait, output).await
}

/// Copies a file into the object store, under its sha256, and returns the job that imports it.
pub async fn upload(
    objects: &dyn ObjectStore,
    file: &Path,
    reseller_id: ResellerId,
    provider: &str,
) -> anyhow::Result<ImportCharges> {
    let (sha256, size_bytes) = measure(file).await?;
    let location = charge_file_location(&sha256)?;
    write_object(objects, &location, &mut File::open(file).await?, size_bytes).await?;
    Ok(ImportCharges {
        reseller_id,
        provider: provider.to_owned(),
        sha256,
        file_name: file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
    })
}

/// Returns sha256 and size of a file.
async fn measure(file: &Path) -> anyhow::Result<(String, u64)> {
    let mut input = File::open(file).await?;
    let (mut hasher, mut size_bytes) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = input.read(&mut chunk).await?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        size_bytes += bytes.len() as u64;
    }
    Ok((hex::encode(hasher.finalize()), size_bytes))
}
