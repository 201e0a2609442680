//! What several commands start from: pool, queue, context, and signals.

use std::sync::Arc;

use anyhow::Context as _;
use object_store::ObjectStore;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::workers::own_name;
use crate::{
    clock::Clock,
    config::Config,
    context::Context,
    domain::mail_flow::MailFlow,
    http::Downloads,
    mail::{Correspondent, DkimKeys, Mailer, Operators},
    objects::ObjectStoreSettings,
    queue::{Streams, Worker, WorkerSettings},
    store::{database, job_kinds},
};

/// Connections of a command that only asks or enqueues.
const COMMAND_CONNECTIONS: u32 = 2;

/// Connects to Postgres for a short command.
pub async fn connect(config: &Config) -> anyhow::Result<PgPool> {
    connect_with(config, COMMAND_CONNECTIONS).await
}

/// Connects to Postgres with a process's full share of connections.
pub async fn connect_with(config: &Config, connections: u32) -> anyhow::Result<PgPool> {
    let url = config.require("DATABASE_URL", config.database_url.as_ref())?;
    database::connect(url, connections).await.context(
        "Postgres cannot be used; check DATABASE_URL, and SSL_CERT_FILE where its certificate comes from an authority of your own",
    )
}

/// Brings the database up to this release: its schema, and the kinds of job that the SQL door takes.
pub async fn migrate(url: &SecretString) -> anyhow::Result<()> {
    let mut owner = database::migrate(url).await?;
    Ok(job_kinds::record(&mut owner, &crate::jobs::registry().kinds_at_the_sql_door()).await?)
}

/// Names the Redis server.
pub fn streams(config: &Config) -> anyhow::Result<Streams> {
    streams_with_prefix(config, &config.redis_prefix)
}

/// Names the Redis server, for keys that are not the configured ones.
pub fn streams_with_prefix(config: &Config, prefix: &str) -> anyhow::Result<Streams> {
    let url = config.require("REDIS_URL", config.redis_url.as_ref())?;
    Ok(Streams::new(url.expose_secret(), prefix)?)
}

/// Opens the object store.
pub fn objects(config: &Config) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let settings = object_store_settings(config)?;
    settings.open().with_context(|| {
        format!("the object store {settings} cannot be opened; check BILLRUNNER_OBJECT_STORE and docs/STORES.md")
    })
}

fn object_store_settings(config: &Config) -> anyhow::Result<&ObjectStoreSettings> {
    Ok(config.require("BILLRUNNER_OBJECT_STORE", config.object_store.as_ref())?)
}

/// Makes what jobs work with.
pub fn context(config: &Config, pool: PgPool) -> anyhow::Result<Context> {
    let smtp = config.require("SMTP_URL", config.smtp_url.as_ref())?;
    let keys = config.dkim_keys.as_deref().map(DkimKeys::from_folder).transpose()?.unwrap_or_default();
    Ok(Context {
        pool,
        objects: objects(config)?,
        objects_folder: object_store_settings(config)?.folder_path().map(Into::into),
        mailer: Arc::new(Mailer::from_url(smtp.expose_secret())?.signing_with(keys)),
        mail_domain: config.mail_domain.as_str().into(),
        download_links: config.download_links.clone().map(Arc::new),
        attach_up_to_bytes: config.attach_up_to_bytes,
        mail_flow: MailFlow { domain_mails_a_minute: config.domain_mails_a_minute, ..MailFlow::default() },
        operators: operators(config)?.map(Arc::new),
        clock: Clock::System,
    })
}

/// Makes who is told how billrunner fares, where somebody is to be.
fn operators(config: &Config) -> anyhow::Result<Option<Operators>> {
    let Some(recipients) = config.operator_mail.clone() else { return Ok(None) };
    let from = config.operator_from.clone().unwrap_or_else(|| format!("billrunner@{}", config.mail_domain));
    for address in recipients.iter().chain([&from]) {
        Correspondent::new("", address)
            .context("BILLRUNNER_OPERATOR_MAIL or BILLRUNNER_OPERATOR_FROM cannot be used")?;
    }
    Ok(Some(Operators { from, recipients, language: config.operator_language.clone() }))
}

/// Makes what customers download from, where links are set up.
pub fn downloads(config: &Config) -> anyhow::Result<Option<Arc<Downloads>>> {
    let Some(links) = &config.download_links else { return Ok(None) };
    Ok(Some(Arc::new(Downloads { keys: links.keys.clone(), objects: objects(config)?, clock: Clock::System })))
}

/// Makes a worker out of settings.
pub fn worker(config: &Config, context: Context, grace: std::time::Duration) -> anyhow::Result<Worker<Context>> {
    let concurrency = config.concurrency;
    Ok(Worker {
        pool: context.pool.clone(),
        streams: streams(config)?,
        registry: Arc::new(crate::jobs::registry()),
        context,
        settings: WorkerSettings {
            name: own_name(),
            concurrency: Box::new(move |queue| concurrency.of(queue)),
            lease: config.lease,
            grace,
            retry_base: config.retry_base,
        },
    })
}

/// Returns a token that SIGTERM and Ctrl-C cancel.
pub fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
    });
    Ok(stop)
}
