//! `billrunner worker`: runs jobs until SIGTERM or Ctrl-C, then drains.

use std::time::Duration;

use clap::Args;

use super::{setup, supervisor};
use crate::config::Config;

/// Arguments of `worker`.
#[derive(Args)]
pub struct Arguments {
    /// How long running jobs may finish after a stop; the rest is handed back.
    #[arg(long, default_value = "25s", value_parser = humantime::parse_duration)]
    grace: Duration,
}

pub async fn run(arguments: Arguments, config: &Config) -> anyhow::Result<()> {
    let stop = setup::stop_on_signals()?;
    let pool = setup::connect_with(config, config.database_connections).await?;
    let context = setup::context(config, pool)?;
    let worker = setup::worker(config, context, arguments.grace)?;
    supervisor::tell(&stop);
    Ok(worker.run(stop).await?)
}
