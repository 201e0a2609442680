//! `billrunner web`: serves the probes and the page of queues until SIGTERM or Ctrl-C.

use std::sync::Arc;

use super::setup;
use crate::{
    config::Config,
    http::{self, Web},
};

/// Connections that the pages need at most.
const CONNECTIONS: u32 = 5;

pub async fn run(config: &Config) -> anyhow::Result<()> {
    let stop = setup::stop_on_signals()?;
    let pool = setup::connect_with(config, CONNECTIONS).await?;
    let schemas = Arc::new(crate::jobs::registry().schemas());
    let web = Web { pool, streams: setup::streams(config)?, schemas, demo: None };
    let listener = http::listen(config.http_address).await?;
    tracing::info!(address = %listener.local_addr()?, "the pages are served");
    http::serve(web, listener, stop).await?;
    Ok(())
}
