//! Everything a run needs, on this machine alone: servers on disks of their own, three workers, the ways between them.

use std::{os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, ensure};
use billrunner::{faults::Mutation, mail::sink::Sink};

use crate::{
    disk::Disk,
    doors::Doors,
    producer::Producer,
    proxy::Server,
    schedule::WORKERS,
    servers::{Postgres, RedisPair},
    workers::{Settings, Ways, Workplace, worker_program},
};

/// Room for documents and charge files.
const OBJECTS_MB: u64 = 4096;

/// What the hand that breaks processes may touch.
pub struct Machines {
    pub postgres: Postgres,
    pub redis: RedisPair,
    pub objects: Disk,
    pub workplaces: Vec<Workplace>,
    /// Everybody's ways: the workers', and the senders' own.
    pub ways: Vec<Arc<Ways>>,
}

pub struct Site {
    pub machines: Machines,
    pub sink: Arc<Sink>,
    pub producer: Arc<Producer>,
    pub folder: tempfile::TempDir,
}

impl Site {
    /// Builds it with workers that break a promise, or keep all, and with more done to the database.
    pub async fn build(seed: u64, mutation: Option<Mutation>, sql: Option<&'static str>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("br-faults-").tempdir_in("/tmp")?;
        // Postgres runs as another user, and must get to its disk.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        let postgres = Postgres::start(folder.path()).await?;
        let redis = RedisPair::start(folder.path()).await?;
        let objects = Disk::new(folder.path(), "objects", OBJECTS_MB)?;
        let sink = Arc::new(Sink::start(None).await?);
        let program = worker_program()?;
        migrate(&program, &postgres).await?;
        let mut owner = postgres.connect().await?;
        for statements in [Some(include_str!("watch.sql")), sql].into_iter().flatten() {
            sqlx::raw_sql(statements).execute(&mut owner).await?;
        }
        let mail_port = sink.url().rsplit(':').next().and_then(|port| port.parse().ok()).context("the sink's port")?;
        let mut ways = Vec::new();
        for _ in 0..=WORKERS {
            ways.push(Arc::new(Ways::open(postgres.socket(), redis.server(), Server::Port(mail_port)).await?));
        }
        let log = log_file(folder.path().join("workers.log"));
        let temporary = folder.path().join("temporary");
        std::fs::create_dir(&temporary)?;
        let settings = Settings { program, objects: objects.path.clone(), log, temporary, mutation };
        let workplaces = ways.iter().take(WORKERS).map(|ways| Workplace::new(Arc::clone(ways), settings.clone()));
        let workplaces: Vec<Workplace> = workplaces.collect();
        let senders = ways.last().context("the senders' ways")?;
        let doors = Doors::open(&postgres.url(), senders.redis.port).await?;
        let producer = Arc::new(Producer::new(doors, &objects.path, &postgres.url(), seed).await?);
        Ok(Self { machines: Machines { postgres, redis, objects, workplaces, ways }, sink, producer, folder })
    }
}

impl Machines {
    /// Starts the workers that are not there, as a supervisor does. Returns how many.
    pub fn supervise(&mut self) -> Result<usize> {
        let mut started = 0;
        for workplace in &mut self.workplaces {
            started += usize::from(workplace.start_if_ended()?);
        }
        Ok(started)
    }

    /// Leads everybody to the master of Redis.
    pub fn follow_master(&self) {
        for ways in &self.ways {
            ways.redis.lead_to(self.redis.server());
        }
    }
}

async fn migrate(program: &std::path::Path, postgres: &Postgres) -> Result<()> {
    let migrated = tokio::process::Command::new(program).arg("migrate").env("DATABASE_URL", postgres.url()).output();
    let migrated = migrated.await?;
    ensure!(migrated.status.success(), "billrunner migrate: {}", String::from_utf8_lossy(&migrated.stderr));
    Ok(())
}

/// Names where workers log: in the run's folder, or where somebody wants to read it afterwards.
fn log_file(otherwise: PathBuf) -> PathBuf {
    std::env::var_os("FAULTS_LOG").map_or(otherwise, PathBuf::from)
}
