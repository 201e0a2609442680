//! A Redis server of a test's own, for those that empty it, freeze it or take it away.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use billrunner::queue::Streams;

use super::{site::send_signal, worker::until};

/// A server that lives as long as the value.
pub struct TestRedis {
    server: Child,
    folder: tempfile::TempDir,
}

impl TestRedis {
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("br-redis-").tempdir_in("/tmp")?;
        let redis = Self { server: spawn(folder.path())?, folder };
        redis.answers().await?;
        Ok(redis)
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("s").display())
    }

    pub fn streams(&self) -> Result<Streams> {
        Ok(Streams::new(&self.url(), "billrunner")?)
    }

    /// Asks something, in words separated by spaces.
    pub async fn ask<T: redis::FromRedisValue>(&self, words: &str, last: &str) -> Result<T> {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            command.arg(word);
        }
        Ok(command.arg(last).query_async(&mut self.streams()?.connect().await?).await?)
    }

    /// Empties the server, consumer groups and all.
    pub async fn flush_all(&self) -> Result<()> {
        Ok(redis::cmd("FLUSHALL").query_async(&mut self.streams()?.connect().await?).await?)
    }

    /// Takes the server away.
    pub fn kill(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server.wait()?;
        Ok(())
    }

    /// Brings an empty server back after [`TestRedis::kill`].
    pub async fn restart(&mut self) -> Result<()> {
        self.server = spawn(self.folder.path())?;
        self.answers().await
    }

    /// Leaves every connection open and answers nothing.
    pub fn freeze(&self) -> Result<()> {
        send_signal("STOP", &self.server.id().to_string())
    }

    /// Goes on after [`TestRedis::freeze`].
    pub fn thaw(&self) -> Result<()> {
        send_signal("CONT", &self.server.id().to_string())
    }

    async fn answers(&self) -> Result<()> {
        let streams = self.streams()?;
        until("redis to answer", || async { Ok(streams.ping().await.ok()) }).await
    }
}

fn spawn(folder: &Path) -> Result<Child> {
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
        .arg(folder.join("s"))
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .context("redis-server does not start; run bin/setup")
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
