//! `billrunner web`: serves the door for jobs, the probes, the metrics and the console until SIGTERM or Ctrl-C.

use std::{net::SocketAddr, sync::Arc};

use sqlx::PgPool;

use super::{Failure, setup, supervisor};
use crate::{
    config::Config,
    console::{Console, Reach},
    http::{self, Intake, Metrics, Web},
    jobs::registry,
    store::users,
};

/// Connections that the downloads and probes need at most, and the console as many again; the door for jobs has its own.
pub const CONNECTIONS: u32 = 5;

pub async fn run(config: &Config) -> anyhow::Result<()> {
    let stop = setup::stop_on_signals()?;
    let pool = setup::connect_with(config, CONNECTIONS).await?;
    check_reach(&pool, config.http_address).await?;
    let registry = Arc::new(registry());
    let intake = Arc::new(Intake::new(&pool, registry.envelope_reader()));
    let schemas = Arc::new(registry.schemas());
    let streams = setup::streams(config)?;
    let reach = Reach::new(config.http_address.ip(), config.console_url.clone());
    let console = Console::new(&pool, streams.clone(), &registry, reach).with_mail_domain(&config.mail_domain);
    let web = Web {
        metrics: Some(Arc::new(Metrics::new(&pool, streams.clone(), &registry))),
        pool,
        streams,
        intake,
        schemas,
        downloads: setup::downloads(config)?,
        console: Some(Arc::new(console)),
        demo: None,
    };
    let listener = http::listen(config.http_address).await?;
    tracing::info!(address = %listener.local_addr()?, "the pages are served");
    supervisor::tell(&stop);
    http::serve(web, listener, stop).await?;
    Ok(())
}

/// Refuses to listen for others while nobody can log in.
async fn check_reach(pool: &PgPool, address: SocketAddr) -> anyhow::Result<()> {
    if address.ip().is_loopback() || users::any_enabled(&mut *pool.acquire().await?).await? {
        return Ok(());
    }
    let problem = format!(
        "BILLRUNNER_HTTP_ADDRESS is {address}, which other machines reach, and no user can log in to the console; \
         make the first with `billrunner users add NAME --role admin`, or listen on 127.0.0.1"
    );
    Err(Failure::Refused(problem).into())
}
