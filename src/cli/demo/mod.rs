//! `billrunner demo`: the main job on sample data, seen from outside.
//!
//! One process plays all parts: the system that enqueues, a worker, the web pages, and the mail server that receives.
//! Nothing is simulated: jobs go through Postgres and Redis, mails through SMTP, documents into an object store.

mod conduct;
mod papers;
mod sample;
mod stage;

use std::{path::PathBuf, time::Instant};

use anyhow::{anyhow, bail, ensure};
use clap::Args;
use serde::Serialize;

use super::{Output, invoices as invoice_table, setup};
use crate::{
    config::Config,
    store::invoice_list::{self, InvoiceFilter, InvoiceSummary},
};
use conduct::{Played, Refusal, Repetition};
use sample::Sample;
use stage::Stage;

/// Rows of the summary at most; the sample data makes far fewer.
const MAX_INVOICES: i64 = 1000;

const STOPPED: &str = "stopped before the end";

/// Arguments of `demo`.
#[derive(Args)]
pub struct Arguments {
    /// Folder of the sample charge files: `tests/fixtures` of the sources.
    #[arg(long)]
    data: PathBuf,
    /// File of the sample customers: `examples/directory.json` of the sources.
    #[arg(long)]
    directory: PathBuf,
    /// Where documents and mails are put, a new or empty folder. Default: a new one among the system's temporary files.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// End by itself instead of serving the pages until Ctrl-C.
    #[arg(long)]
    once: bool,
}

impl Arguments {
    /// Creates the folder for results and returns it.
    ///
    /// # Errors
    /// When it cannot be created or holds something already, or something else that the demo needs is missing: then no
    /// folder is made in vain.
    pub fn prepare_folder(&mut self, config: &Config) -> anyhow::Result<PathBuf> {
        config.require("DATABASE_URL", config.database_url.as_ref())?;
        config.require("REDIS_URL", config.redis_url.as_ref())?;
        Sample::read(&self.data, &self.directory)?;
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => tempfile::Builder::new().prefix("billrunner-demo-").tempdir()?.keep(),
        };
        std::fs::create_dir_all(&folder)?;
        ensure!(
            std::fs::read_dir(&folder)?.next().is_none(),
            super::Failure::Usage(format!("{} is not empty; name a new folder", folder.display()))
        );
        let folder = folder.canonicalize()?;
        self.folder = Some(folder.clone());
        Ok(folder)
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    invoices: &'a [InvoiceSummary],
    repetition: &'a Repetition,
    refusal: &'a Refusal,
    folder: &'a std::path::Path,
    page: String,
    seconds: f64,
}

/// Plays the demo in the folder that [`Arguments::prepare_folder`] made.
pub async fn run(arguments: Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let folder = arguments.folder.clone().unwrap_or_default();
    let sample = Sample::read(&arguments.data, &arguments.directory)?;
    let started = Instant::now();
    let stop = setup::stop_on_signals()?;
    let stage = tokio::select! {
        stage = Stage::set(config, &folder, sample.clock()) => stage?,
        () = stop.cancelled() => bail!(STOPPED),
    };
    let played = tokio::select! {
        played = play(&stage, &sample, output, started) => played,
        () = stage.worker_ended() => Err(anyhow!("the worker ended early; {}/log.txt says why", folder.display())),
        () = stop.cancelled() => Err(anyhow!(STOPPED)),
    };
    if played.is_ok() && !arguments.once {
        output.line("\nThe pages stay up until Ctrl-C.")?;
        stop.cancelled().await;
    }
    stage.clear().await;
    played
}

async fn play(stage: &Stage, sample: &Sample, output: Output, started: Instant) -> anyhow::Result<()> {
    let Played { repetition, refusal } = conduct::conduct(stage, sample).await?;
    papers::copy_documents(stage).await?;
    let mut connection = stage.pool().acquire().await?;
    let found = invoice_list::list(&mut connection, &InvoiceFilter::default(), MAX_INVOICES).await?;
    let summary = Summary {
        invoices: &found,
        repetition: &repetition,
        refusal: &refusal,
        folder: &stage.folder,
        page: format!("http://{}/", stage.address),
        seconds: started.elapsed().as_secs_f64(),
    };
    if output.is_json() {
        return output.value(&summary, |_| String::new());
    }
    invoice_table::list(&found, output)?;
    output.line(&format!(
        "\nImported twice  {}\n                {}\nRefused         {} back to draft\n                {}\n\nDocuments  {}\nMails      {}\nPages      {}\n\n{:.1} seconds",
        repetition.file,
        repetition.answer,
        refusal.invoice,
        refusal.error,
        stage.folder.join("documents").display(),
        stage.mails().display(),
        summary.page,
        summary.seconds,
    ))
}
