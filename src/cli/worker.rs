//! `billrunner worker`: runs jobs until SIGTERM or Ctrl-C, then drains; serves metrics where it has an address for them.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{setup, supervisor};
use crate::{
    config::Config,
    context::Context,
    http::{self, Metrics},
    queue::Worker,
};

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
    let _scraped = serve_metrics(config, &worker).await?;
    supervisor::tell(&stop);
    Ok(worker.run(stop).await?)
}

/// Serves `/metrics` where there is an address for it, until the value is dropped: also while the worker drains.
async fn serve_metrics(config: &Config, worker: &Worker<Context>) -> anyhow::Result<Option<DropGuard>> {
    let Some(address) = config.metrics_address else { return Ok(None) };
    let listener = http::listen(address).await.with_context(|| {
        format!("metrics cannot be served at {address}; set BILLRUNNER_METRICS_ADDRESS to an address that is free")
    })?;
    tracing::info!(address = %listener.local_addr()?, "metrics are served");
    let metrics = Arc::new(Metrics::new(&worker.pool, worker.streams.clone(), &worker.registry));
    let stop = CancellationToken::new();
    tokio::spawn(http::serve_metrics(metrics, listener, stop.clone()));
    Ok(Some(stop.drop_guard()))
}
