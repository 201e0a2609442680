//! `billrunner web`: serves the door for jobs, the probes, the metrics and the page of queues until SIGTERM or Ctrl-C.

use std::sync::Arc;

use super::{setup, supervisor};
use crate::{
    config::Config,
    http::{self, Intake, Metrics, Web},
    jobs::registry,
};

/// Connections that the pages need at most; the door for jobs has its own.
pub const CONNECTIONS: u32 = 5;

pub async fn run(config: &Config) -> anyhow::Result<()> {
    let stop = setup::stop_on_signals()?;
    let pool = setup::connect_with(config, CONNECTIONS).await?;
    let registry = Arc::new(registry());
    let intake = Arc::new(Intake::new(&pool, registry.envelope_reader()));
    let schemas = Arc::new(registry.schemas());
    let streams = setup::streams(config)?;
    let web = Web {
        metrics: Some(Arc::new(Metrics::new(&pool, streams.clone(), &registry))),
        pool,
        streams,
        intake,
        schemas,
        downloads: setup::downloads(config)?,
        demo: None,
    };
    let listener = http::listen(config.http_address).await?;
    tracing::info!(address = %listener.local_addr()?, "the pages are served");
    supervisor::tell(&stop);
    http::serve(web, listener, stop).await?;
    Ok(())
}
