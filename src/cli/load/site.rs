//! A whole billrunner for measuring: a database of its own, a mail server, a folder of objects, and real processes.
//!
//! Built once a run. What it is made of is taken away by [`Site::leave`], whatever came between; the processes die with the
//! value at the latest.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{PgConnection, PgPool};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use url::Url;
use uuid::Uuid;

use super::{
    super::{bench_http::register_client, setup},
    doors::Doors,
    tell,
    watch::Watch,
};
use crate::{
    config::Config,
    mail::sink::Sink,
    objects::ObjectStoreSettings,
    queue::Streams,
    store::{bench_load, database},
};

/// Connections of this process that act as the application.
const CONNECTIONS: u32 = 8;
/// How long a process may take until it answers, and until it has ended.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
const STOPS_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Settings of the environment that would send something out, or take a port twice.
const NOT_INHERITED: [&str; 8] = [
    "BILLRUNNER_CONSOLE_URL",
    "BILLRUNNER_DKIM_KEYS",
    "BILLRUNNER_DOMAIN_MAILS_PER_MINUTE",
    "BILLRUNNER_METRICS_ADDRESS",
    "BILLRUNNER_OPERATOR_FROM",
    "BILLRUNNER_OPERATOR_MAIL",
    "NOTIFY_SOCKET",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// A process of the site.
pub struct Process {
    /// What it is, such as `worker 1`.
    pub name: String,
    /// Its number on this machine.
    pub id: u32,
    child: Child,
}

/// Everything a run works with.
pub struct Site {
    /// As the processes are told.
    pub config: Config,
    /// The owner's way to the database.
    pub url: SecretString,
    /// Acts as the application.
    pub pool: PgPool,
    /// The queue.
    pub streams: Streams,
    /// Where all mails go.
    pub sink: Sink,
    /// What the HTTP door knows its client by.
    pub key: SecretString,
    /// The doors of the processes.
    pub doors: Doors,
    /// How requests end.
    pub watch: Watch,
    /// `web`, then the workers.
    pub processes: Vec<Process>,
    /// Where objects are, and what is sent before it is uploaded.
    pub folder: TempDir,
    admin_url: SecretString,
    database: String,
}

impl Site {
    /// Makes the database, and starts everything.
    ///
    /// # Errors
    /// When a server or a process does not answer; nothing is left then.
    pub async fn build(config: &Config, workers: u8) -> anyhow::Result<Self> {
        let admin_url = config.require("DATABASE_URL", config.database_url.as_ref())?.clone();
        let database = format!("billrunner_load_{}", Uuid::now_v7().simple());
        bench_load::create_database(&admin_url, &database).await.context(
            "no database can be made for the benchmark beside the one that DATABASE_URL names; bin/with-servers has a \
             server of its own for it",
        )?;
        match Self::furnish(config, &admin_url, &database, workers).await {
            Ok(site) => Ok(site),
            Err(error) => {
                bench_load::drop_database(&admin_url, &database).await?;
                Err(error)
            }
        }
    }

    async fn furnish(config: &Config, admin_url: &SecretString, database: &str, workers: u8) -> anyhow::Result<Self> {
        let mut url = Url::parse(admin_url.expose_secret())?;
        url.set_path(database);
        let url = SecretString::from(String::from(url));
        tell(&format!("working in database {database}"));
        setup::migrate(&url).await?;
        let sink = Sink::start_counting().await.context("the receiving mail server does not start")?;
        let folder = tempfile::Builder::new().prefix("billrunner-load-").tempdir()?;
        let objects = folder.path().join("objects");
        tokio::fs::create_dir(&objects).await?;
        let config = Config {
            database_url: Some(url.clone()),
            smtp_url: Some(sink.url().into()),
            object_store: Some(ObjectStoreSettings::folder(&objects)),
            http_address: free_address()?,
            redis_prefix: format!("{}:{database}", config.redis_prefix),
            ..config.clone()
        };
        let pool = setup::connect_with(&config, CONNECTIONS).await?;
        let key = register_client(&pool).await?;
        let mut processes = vec![start(&config, &sink, &objects, "web", "web".to_owned())?];
        until_it_answers(config.http_address).await?;
        for n in 1..=workers {
            processes.push(start(&config, &sink, &objects, "worker", format!("worker {n}"))?);
        }
        let streams = setup::streams(&config)?;
        let owner = database::connect_as_login(&url).await?;
        Ok(Self {
            doors: Doors::open(config.http_address, &key, owner, &streams).await?,
            watch: Watch::start(database::connect_as_login(&url).await?),
            admin_url: admin_url.clone(),
            database: database.to_owned(),
            key,
            config,
            url,
            pool,
            streams,
            sink,
            processes,
            folder,
        })
    }

    /// Opens a connection of the owner, whose plans are made for whole tables.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn owner(&self) -> anyhow::Result<PgConnection> {
        Ok(database::connect_as_login(&self.url).await?)
    }

    /// Stops all processes in good order, and takes everything away.
    ///
    /// # Errors
    /// When something cannot be taken away; the rest is.
    pub async fn leave(self) -> anyhow::Result<()> {
        let mut ended = Ok(());
        for process in &self.processes {
            process.signal(Signal::TERM);
        }
        for mut process in self.processes {
            match tokio::time::timeout(STOPS_WITHIN, process.child.wait()).await {
                Ok(Ok(status)) if status.success() => {}
                Ok(Ok(status)) => ended = Err(anyhow::anyhow!("{} ended with {status}", process.name)),
                Ok(Err(error)) => ended = Err(error.into()),
                Err(_) => {
                    process.child.kill().await?;
                    ended = Err(anyhow::anyhow!("{} had not ended after {STOPS_WITHIN:?}", process.name));
                }
            }
        }
        self.pool.close().await;
        let redis = self.streams.delete_all().await.context("the benchmark's keys are still in Redis");
        let postgres = bench_load::drop_database(&self.admin_url, &self.database).await;
        let postgres = postgres.with_context(|| format!("database {} is still there", self.database));
        let folder = tokio::task::spawn_blocking(move || self.folder.close()).await?;
        ended.and(redis).and(postgres).and(folder.context("the benchmark's folder is still there"))
    }
}

impl Process {
    fn signal(&self, signal: Signal) {
        if let Some(id) = i32::try_from(self.id).ok().and_then(Pid::from_raw) {
            // One that has ended already is waited for all the same.
            let _ = kill_process(id, signal);
        }
    }
}

fn start(config: &Config, sink: &Sink, objects: &Path, command: &str, name: String) -> anyhow::Result<Process> {
    let url = config.require("DATABASE_URL", config.database_url.as_ref())?;
    let mut program = Command::new(std::env::current_exe()?);
    for variable in NOT_INHERITED {
        program.env_remove(variable);
    }
    let child = program
        .arg(command)
        .env("DATABASE_URL", url.expose_secret())
        .env("SMTP_URL", sink.url())
        .env("BILLRUNNER_OBJECT_STORE", format!("file://{}", objects.display()))
        .env("BILLRUNNER_REDIS_PREFIX", &config.redis_prefix)
        .env("BILLRUNNER_HTTP_ADDRESS", config.http_address.to_string())
        .env("BILLRUNNER_LOG", "warn,sqlx=error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{name} does not start"))?;
    Ok(Process { id: child.id().with_context(|| format!("{name} has ended"))?, name, child })
}

/// Finds an address of this machine that nobody listens at.
fn free_address() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

async fn until_it_answers(address: SocketAddr) -> anyhow::Result<()> {
    let connected = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(STARTS_WITHIN, connected).await.context("the web process does not answer; see above")
}
