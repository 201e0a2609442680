//! A business served by real worker processes: its database, a Redis of its own, a mail server, a folder of objects.

use std::{
    fs::File,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use billrunner::{
    context::Context as JobContext,
    jobs::registry,
    mail::sink::Sink,
    queue::{Job, JobOptions, RequestId},
    store::jobs,
};
use sqlx::PgPool;
use tokio::process::{Child, Command};

use super::{
    TestDatabase,
    business::{Business, database_url},
    redis::TestRedis,
    worker::DEADLINE,
};

/// A business whose work is to be done by worker processes.
pub struct Site {
    pub database: TestDatabase,
    pub business: Business,
    pub redis: TestRedis,
    pub sink: Sink,
    folder: tempfile::TempDir,
}

impl Site {
    pub async fn build(customers: usize) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let business = Business::open(&database.pool, customers).await?;
        Ok(Self {
            business,
            redis: TestRedis::start().await?,
            sink: Sink::start(None).await?,
            folder: tempfile::tempdir()?,
            database,
        })
    }

    pub fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    /// Hands a job in, under a request id.
    pub async fn hand_in<J: Job<Context = JobContext>>(&self, job: &J, request: &str) -> Result<()> {
        let new = registry().prepare(job, RequestId::new("test", request), "tester", JobOptions::default())?;
        let mut transaction = self.pool().begin().await?;
        jobs::accept(&mut transaction, &new).await?;
        jobs::notify_dispatchers(&mut transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Starts a worker that is quick to rescue and to retry.
    pub async fn start_worker(&self) -> Result<Process> {
        self.start_worker_with("1", "10s", &database_url(self.pool()).await?)
    }

    pub fn start_worker_with(&self, lease_secs: &str, grace: &str, database_url: &str) -> Result<Process> {
        let settings = [
            ("BILLRUNNER_LEASE_SECS", lease_secs),
            ("BILLRUNNER_RETRY_BASE_MS", "20"),
            ("BILLRUNNER_DATABASE_CONNECTIONS", "10"),
        ];
        self.start_worker_set(grace, database_url, &settings)
    }

    /// Starts a worker with these settings, and the defaults.
    pub fn start_worker_set(&self, grace: &str, database_url: &str, settings: &[(&str, &str)]) -> Result<Process> {
        let mut command = self.command(database_url);
        command.args(["worker", "--grace", grace]).envs(settings.iter().copied());
        Ok(Process(command.spawn().context("the worker does not start")?))
    }

    /// Starts a worker with these settings that writes its log, from notes on, to a file.
    pub async fn start_worker_that_logs_to(&self, log: &Path, settings: &[(&str, &str)]) -> Result<Process> {
        let mut command = self.command(&database_url(self.pool()).await?);
        command.args(["worker", "--grace", "10s"]).env("BILLRUNNER_LOG", "info").envs(settings.iter().copied());
        command.stderr(File::options().append(true).open(log)?);
        Ok(Process(command.spawn().context("the worker does not start")?))
    }

    /// Runs a command to its end and returns its exit code with what it printed.
    pub async fn run(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        self.run_on(&database_url(self.pool()).await?, arguments).await
    }

    /// Runs a command on the database under another login.
    pub async fn run_on(&self, database_url: &str, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let output = self.command(database_url).args(arguments).output();
        let output =
            tokio::time::timeout(DEADLINE, output).await.context("waited in vain for the command to end")??;
        let printed = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&printed).into_owned()))
    }

    /// Runs a command to its end and returns the most memory it ever held, with what it printed.
    #[cfg(target_os = "linux")]
    pub async fn peak_kilobytes(&self, arguments: &[&str]) -> Result<(u64, String)> {
        let printed = tempfile::NamedTempFile::new()?;
        let mut command = self.command(&database_url(self.pool()).await?);
        let mut child = command.args(arguments).stdout(printed.reopen()?).spawn()?;
        let status = format!("/proc/{}/status", child.id().context("it runs")?);
        let mut peak = 0;
        // The system keeps the peak, so only what happens after the last look is missed.
        while child.try_wait()?.is_none() {
            let status = tokio::fs::read_to_string(&status).await.unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok((peak, std::fs::read_to_string(printed.path())?))
    }

    fn command(&self, database_url: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_billrunner"));
        command
            .env("DATABASE_URL", database_url)
            .env("REDIS_URL", self.redis.url())
            .env("SMTP_URL", self.sink.url())
            .env("BILLRUNNER_OBJECT_STORE", format!("file://{}", self.folder.path().display()))
            .env("BILLRUNNER_LOG", "error")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// A worker process that is killed with the value.
pub struct Process(Child);

impl Process {
    /// Ends it as a power cut would.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.0.kill().await?)
    }

    /// Returns its id.
    pub fn id(&self) -> Result<String> {
        Ok(self.0.id().context("the worker ended by itself")?.to_string())
    }

    /// Asks it to stop, as a deployment does, and waits for its end.
    pub async fn terminate(mut self) -> Result<ExitStatus> {
        send_signal("TERM", &self.id()?)?;
        let ended = tokio::time::timeout(DEADLINE, self.0.wait()).await;
        ended.context("waited in vain for the worker process to end")?.map_err(Into::into)
    }
}

/// Sends a signal to a process that the test started.
pub fn send_signal(name: &str, process_id: &str) -> Result<()> {
    let sent = std::process::Command::new("kill").args([&format!("-{name}"), process_id]).status()?;
    anyhow::ensure!(sent.success(), "process {process_id} took no {name}");
    Ok(())
}
