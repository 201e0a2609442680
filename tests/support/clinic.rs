//! A machine as docs/DEPLOYING.md wants it: a Postgres that syncs and a Redis with users, each with a login of its own.

use std::{collections::BTreeMap, process::Stdio};

use anyhow::{Context, Result};
use billrunner::mail::sink::Sink;
use serde_json::Value;
use tokio::process::{Child, Command};

use super::{
    TestDatabase,
    postgres::TestPostgres,
    redis_users::{RedisWithUsers, WORKER},
    worker::DEADLINE,
};

/// The login of workers, which may act as the application and no more.
pub const LOGIN: &str = "billrunner_worker";

/// What `doctor` said.
pub struct Diagnosis {
    pub code: Option<i32>,
    pub printed: String,
    checks: Vec<Value>,
}

impl Diagnosis {
    /// Runs the doctor in an environment.
    pub async fn of(settings: &BTreeMap<String, String>, only: &[&str]) -> Result<Self> {
        let mut command = billrunner(settings);
        command.args(["doctor", "--json"]);
        for area in only {
            command.args(["--only", area]);
        }
        Self::from(command).await
    }

    /// Runs a command that is the doctor.
    pub async fn from(mut command: Command) -> Result<Self> {
        let output = tokio::time::timeout(DEADLINE, command.output()).await.context("the doctor does not end")??;
        let printed = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr].concat()).into_owned();
        let checks = serde_json::from_slice(&output.stdout).with_context(|| printed.clone())?;
        Ok(Self { code: output.status.code(), printed, checks })
    }

    /// Returns what was found of a verdict.
    pub fn all(&self, verdict: &str) -> Vec<&str> {
        let found = self.checks.iter().filter(|check| check["verdict"] == verdict);
        found.map(|check| check["what"].as_str().expect("what was found")).collect()
    }

    /// Asserts that something holding this text was found, with a way out unless all is well.
    pub fn says(&self, verdict: &str, text: &str) {
        let is_meant = |check: &&Value| {
            check["verdict"] == verdict && check["what"].as_str().is_some_and(|what| what.contains(text))
        };
        let Some(check) = self.checks.iter().find(is_meant) else {
            panic!("no `{verdict}` holds `{text}`: {}", self.printed)
        };
        assert_eq!(check["way_out"].is_null(), verdict == "ok", "{check}");
        let has_failed = !self.all("fail").is_empty();
        assert_eq!(self.code, Some(i32::from(has_failed)), "{}", self.printed);
    }
}

/// Names the program in an environment that holds these settings and nothing else of billrunner's.
pub fn billrunner(settings: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_billrunner"));
    command
        .env_remove("DATABASE_URL")
        .env_remove("REDIS_URL")
        .env("BILLRUNNER_LOG", "error")
        .envs(settings)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The machine.
pub struct Clinic {
    pub postgres: TestPostgres,
    pub database: TestDatabase,
    pub redis: RedisWithUsers,
    pub settings: BTreeMap<String, String>,
    _sink: Sink,
    _folder: tempfile::TempDir,
}

impl Clinic {
    pub async fn open() -> Result<Self> {
        let postgres = TestPostgres::start().await?;
        let database = postgres.database().await?;
        let mut owner = database.connect_as_owner().await?;
        sqlx::query("CREATE ROLE billrunner_worker LOGIN IN ROLE billrunner_app").execute(&mut owner).await?;
        let redis = RedisWithUsers::start().await?;
        let (sink, folder) = (Sink::start(None).await?, tempfile::tempdir()?);
        let settings = [
            ("DATABASE_URL", postgres.url_of(LOGIN)),
            ("REDIS_URL", redis.url_of(WORKER)),
            ("SMTP_URL", sink.url()),
            ("BILLRUNNER_OBJECT_STORE", format!("file://{}", folder.path().display())),
            ("BILLRUNNER_MAIL_DOMAIN", "nimbus.example".to_owned()),
        ];
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self { postgres, database, redis, settings, _sink: sink, _folder: folder })
    }

    /// Returns the settings with one changed.
    pub fn with(&self, name: &str, value: impl Into<String>) -> BTreeMap<String, String> {
        let mut settings = self.settings.clone();
        settings.insert(name.to_owned(), value.into());
        settings
    }

    /// Looks at Postgres alone.
    pub async fn postgres_as_it_is(&self) -> Result<Diagnosis> {
        Diagnosis::of(&self.settings, &["postgres"]).await
    }

    /// Runs a statement as the database's owner.
    pub async fn change(&self, statement: &'static str) -> Result<()> {
        let mut owner = self.database.connect_as_owner().await?;
        sqlx::raw_sql(statement).execute(&mut owner).await?;
        Ok(())
    }

    /// Starts a worker of this machine.
    pub fn start_worker(&self) -> Result<Child> {
        Ok(billrunner(&self.settings).arg("worker").spawn()?)
    }
}
