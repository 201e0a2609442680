//! Three real worker processes, each with its own ways to Postgres, Redis and the mail server.

use std::{
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use billrunner::faults::{Mutation, Point};

use crate::{
    proxy::{Proxy, Server},
    servers::{Postgres, until},
};

/// How long a silent worker keeps its jobs: longer than busy processors hold one up.
pub const LEASE: Duration = Duration::from_secs(5);
/// How long a worker may take to die where it was told to: it must get there first.
const DIES_WITHIN: Duration = Duration::from_secs(8);
const KILLED: i32 = 9;
/// How long running jobs may finish at the end.
const STOPS_WITHIN: Duration = Duration::from_mins(1);

/// What stands between a worker and its servers.
pub struct Ways {
    pub postgres: Proxy,
    pub redis: Proxy,
    pub mail: Proxy,
}

/// A place for a worker, which is filled again and again.
pub struct Workplace {
    ways: Arc<Ways>,
    process: Option<Child>,
    settings: Settings,
}

/// What all workers are told.
#[derive(Clone)]
pub struct Settings {
    pub program: PathBuf,
    pub objects: PathBuf,
    pub log: PathBuf,
    pub temporary: PathBuf,
    pub mutation: Option<Mutation>,
}

impl Ways {
    pub async fn open(postgres: Server, redis: Server, mail: Server) -> Result<Self> {
        Ok(Self { postgres: Proxy::to(postgres).await?, redis: Proxy::to(redis).await?, mail: Proxy::to(mail).await? })
    }
}

impl Workplace {
    pub fn new(ways: Arc<Ways>, settings: Settings) -> Self {
        Self { ways, process: None, settings }
    }

    pub fn program(&self) -> &Path {
        &self.settings.program
    }

    /// Starts a worker, where there is none.
    pub fn start(&mut self) -> Result<()> {
        self.start_with(&[])
    }

    /// Starts a worker with more in its environment, in place of the one that is there.
    pub fn start_with(&mut self, environment: &[(&str, String)]) -> Result<()> {
        self.kill()?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.settings.log)?;
        let mut command = Command::new(&self.settings.program);
        command
            .arg("worker")
            .env("DATABASE_URL", Postgres::url_through(&self.ways.postgres))
            .env("REDIS_URL", format!("redis://127.0.0.1:{}", self.ways.redis.port))
            .env("SMTP_URL", format!("smtp://127.0.0.1:{}", self.ways.mail.port))
            .env("BILLRUNNER_OBJECT_STORE", format!("file://{}", self.settings.objects.display()))
            .env("BILLRUNNER_LEASE_SECS", LEASE.as_secs().to_string())
            .env("BILLRUNNER_RETRY_BASE_MS", "50")
            .env("BILLRUNNER_DATABASE_CONNECTIONS", "10")
            .env("TMPDIR", &self.settings.temporary)
            .env("BILLRUNNER_LOG", "warn,sqlx=error")
            .env("BILLRUNNER_LOG_FORMAT", "json")
            .envs(self.settings.mutation.map(|mutation| ("FAULTS_MUTATION", mutation.as_str())))
            .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.process = Some(command.spawn().context("the worker does not start")?);
        Ok(())
    }

    /// Ends the worker as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP")
    }

    pub fn thaw(&self) -> Result<()> {
        self.signal("CONT")
    }

    /// Has the worker die at a point. Returns whether it got there.
    pub async fn die_at(&mut self, point: Point) -> Result<bool> {
        self.start_with(&[("FAULTS_DIE_AT", point.as_str().to_owned())])?;
        let process = self.process.as_mut().context("it was started")?;
        let process = std::cell::RefCell::new(process);
        let died = until("its death", DIES_WITHIN, || async { Ok(process.borrow_mut().try_wait()?) }).await;
        // One that finds no Postgres when it starts ends too, with an exit code.
        Ok(died.is_ok_and(|status| status.signal() == Some(KILLED)))
    }

    /// Starts the worker again where it ended by itself, which only a broken one does. Returns whether it had.
    pub fn start_if_ended(&mut self) -> Result<bool> {
        let has_ended = match &mut self.process {
            Some(process) => process.try_wait()?.is_some(),
            None => true,
        };
        if has_ended {
            self.start()?;
        }
        Ok(has_ended)
    }

    /// Asks the worker to stop, and says how it ended where that is not well.
    pub async fn stop(&mut self) -> Result<Option<String>> {
        self.signal("TERM")?;
        let Some(process) = self.process.take() else { return Ok(Some("a worker was gone".to_owned())) };
        let process = std::cell::RefCell::new(process);
        let ended = until("its end", STOPS_WITHIN, || async { Ok(process.borrow_mut().try_wait()?) }).await;
        match ended {
            Ok(status) if status.success() => Ok(None),
            Ok(status) => Ok(Some(format!("a worker that was told to stop ended with {status}"))),
            Err(_) => {
                process.borrow_mut().kill()?;
                Ok(Some(format!("a worker that was told to stop had not ended after {STOPS_WITHIN:?}")))
            }
        }
    }

    fn signal(&self, name: &str) -> Result<()> {
        let process = self.process.as_ref().context("a worker")?;
        send_signal(name, process.id())
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Sends a signal to a process that this one started.
pub fn send_signal(name: &str, process_id: u32) -> Result<()> {
    let sent = Command::new("kill").args([&format!("-{name}"), &process_id.to_string()]).status()?;
    ensure!(sent.success(), "process {process_id} took no {name}");
    Ok(())
}

/// Finds the program of workers: beside this one, built with the same features.
pub fn worker_program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.ancestors().skip(1).map(|folder| folder.join("billrunner")).find(|program| program.is_file());
    beside.with_context(|| {
        format!("there is no billrunner beside {}; build it with `cargo build --bins --features faults`", own.display())
    })
}

/// Finds libfaketime, which steps a worker's clock, where it is installed.
pub fn fake_time() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    let places = folders.filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketime.so.1")));
    places.chain([Path::new("/usr/lib/faketime/libfaketime.so.1").to_owned()]).find(|library| library.is_file())
}
