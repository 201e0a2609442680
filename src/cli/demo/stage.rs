//! The parts that the demo plays: worker, web pages and receiving mail server, around a database of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use rand::TryRng;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cli::{Failure, setup},
    clock::Clock,
    config::Config,
    console::{Console, Reach},
    context::Context,
    http::{self, DemoFiles, Intake, Web},
    mail::sink::Sink,
    objects::ObjectStoreSettings,
    queue::{StoppedWorking, Streams},
    store::database,
};

/// How long the worker may finish when the demo is stopped in the middle.
const GRACE: Duration = Duration::from_secs(2);

const USED: &str = "the database that DATABASE_URL names holds customers or jobs already, and the demo would work on them; \
                    run bin/demo, which has a database of its own, or name an empty one";

/// Everything that runs while the demo is on.
pub struct Stage {
    /// What jobs work with.
    pub context: Context,
    /// The queue.
    pub streams: Streams,
    /// Where results are put.
    pub folder: PathBuf,
    /// Where the pages are.
    pub address: SocketAddr,
    worker: JoinHandle<Result<(), StoppedWorking>>,
    web: JoinHandle<std::io::Result<()>>,
    worker_ended: CancellationToken,
    stop: CancellationToken,
    _sink: Sink,
}

impl Stage {
    /// Migrates the database and starts all parts.
    ///
    /// # Errors
    /// When a server does not answer, or the database is somebody's already: the demo's worker would run the jobs that
    /// wait there, and its mail server would swallow their mails.
    pub async fn set(config: &Config, folder: &Path, clock: Clock) -> anyhow::Result<Self> {
        let url = config.require("DATABASE_URL", config.database_url.as_ref())?;
        if database::is_used(url).await.context("Postgres cannot be used; check DATABASE_URL")? {
            return Err(Failure::Refused(USED.to_owned()).into());
        }
        setup::migrate(url).await?;
        let mails = folder.join("mails");
        tokio::fs::create_dir_all(&mails).await?;
        let sink = Sink::start(Some(mails.clone())).await.context("the receiving mail server does not start")?;
        let config = Config {
            smtp_url: Some(sink.url().into()),
            object_store: Some(ObjectStoreSettings::folder(folder.join("object-store"))),
            // Nobody else's: another billrunner may share the server.
            redis_prefix: format!("{}:demo-{}", config.redis_prefix, Uuid::now_v7().simple()),
            ..config.clone()
        };
        let pool = setup::connect_with(&config, config.database_connections).await?;
        let context = Context { clock, ..setup::context(&config, pool.clone())? };
        let streams = setup::streams(&config)?;
        let worker = setup::worker(&config, context.clone(), GRACE)?;
        // The parts stop when the stage is cleared, not with the signal: until then their work is to be seen.
        let stop_parts = CancellationToken::new();
        let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let files = DemoFiles { objects: context.objects.clone(), mails };
        let schemas = Arc::new(worker.registry.schemas());
        let intake = Arc::new(Intake::new(&pool, worker.registry.envelope_reader()));
        let mut random = [0; 32];
        rand::rngs::SysRng.try_fill_bytes(&mut random)?;
        let reach = Reach::new(address.ip(), None);
        let console = Console::new(&pool, streams.clone(), &worker.registry, reach)
            .with_mail_domain(&config.mail_domain)
            .for_demo(random);
        let web = Web {
            pool,
            streams: streams.clone(),
            intake,
            schemas,
            downloads: None,
            metrics: None,
            console: Some(Arc::new(console)),
            demo: Some(Arc::new(files)),
        };
        let worker_ended = CancellationToken::new();
        let (ended, work) = (worker_ended.clone().drop_guard(), worker.run(stop_parts.clone()));

        Ok(Self {
            worker: tokio::spawn(async move {
                let _ended = ended;
                work.await
            }),
            web: tokio::spawn(http::serve(web, listener, stop_parts.clone())),
            context,
            streams,
            folder: folder.to_owned(),
            address,
            worker_ended,
            stop: stop_parts,
            _sink: sink,
        })
    }

    /// Returns connections that act as the application's role.
    pub fn pool(&self) -> &PgPool {
        &self.context.pool
    }

    /// Returns the folder of the mails.
    pub fn mails(&self) -> PathBuf {
        self.folder.join("mails")
    }

    /// Waits until the worker is no more, whatever the reason.
    pub async fn worker_ended(&self) {
        self.worker_ended.cancelled().await;
    }

    /// Stops all parts.
    pub async fn clear(self) {
        self.stop.cancel();
        match self.worker.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the worker failed"),
            Err(error) => tracing::error!(%error, "the worker panicked"),
        }
        self.web.abort();
        if let Err(error) = self.streams.delete_all().await {
            tracing::warn!(%error, "the demo's keys are still in Redis");
        }
    }
}
