//! A Postgres server of a test's own, for those that take it away. It syncs to disk, as a real one does.

use std::{
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use anyhow::{Context, Result, ensure};
use billrunner::store::database;
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};

use super::{
    TestDatabase,
    postgres_programs::{command, owner},
    site::send_signal,
    worker::until,
};

const DATABASE: &str = "business";

/// A server that lives as long as the value.
pub struct TestPostgres {
    server: Child,
    folder: tempfile::TempDir,
    programs: PathBuf,
    owner: Option<(u32, u32)>,
}

impl TestPostgres {
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("br-pg-").tempdir_in("/tmp")?;
        let found = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/bin/postgres-bin")).output()?;
        let programs = PathBuf::from(String::from_utf8(found.stdout)?.trim());
        let owner = owner()?;
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group))?;
        }
        let made = command(&programs.join("initdb"), folder.path(), owner)
            .args(["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"])
            .output()
            .context("initdb does not start; run bin/setup")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let server = spawn(&programs, folder.path(), owner)?;
        let postgres = Self { server, folder, programs, owner };
        postgres.answers().await?;
        Ok(postgres)
    }

    /// Makes a database of this release on it.
    pub async fn database(&self) -> Result<TestDatabase> {
        let mut owner = self.options()?.connect().await?;
        sqlx::query("CREATE DATABASE business").execute(&mut owner).await?;
        owner.close().await?;
        database::migrate(&self.url(DATABASE).into()).await?;
        TestDatabase::open(self.options()?, DATABASE.to_owned()).await
    }

    /// Stops it as a crash does: nothing is finished, nobody is told.
    pub fn stop_at_once(&mut self) -> Result<()> {
        send_signal("QUIT", &self.server.id().to_string())?;
        self.server.wait()?;
        Ok(())
    }

    /// Starts it anew after [`TestPostgres::stop_at_once`], which begins with a recovery.
    pub async fn start_again(&mut self) -> Result<()> {
        self.server = spawn(&self.programs, self.folder.path(), self.owner)?;
        self.answers().await
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.path().display())
    }

    /// Returns the URL of the database of [`TestPostgres::database`] for a login.
    pub fn url_of(&self, login: &str) -> String {
        self.url(DATABASE).replacen("postgres@", &format!("{login}@"), 1)
    }

    fn options(&self) -> Result<PgConnectOptions> {
        Ok(self.url("postgres").parse()?)
    }

    async fn answers(&self) -> Result<()> {
        let options = self.options()?;
        until("postgres to answer", || async { Ok(options.connect().await.ok().map(drop)) }).await
    }
}

fn spawn(programs: &Path, folder: &Path, owner: Option<(u32, u32)>) -> Result<Child> {
    command(&programs.join("postgres"), folder, owner)
        .args(["-D", "data", "-p", "5432", "-c", "listen_addresses=", "-c", "fsync=on", "-k"])
        .arg(folder)
        .spawn()
        .context("postgres does not start; run bin/setup")
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        let _ = send_signal("QUIT", &self.server.id().to_string());
        let _ = self.server.wait();
    }
}
