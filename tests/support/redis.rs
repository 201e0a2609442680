//! A Redis server of a test's own, for those that empty it.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use billrunner::queue::Streams;

use super::worker::until;

/// A server that lives as long as the value.
pub struct TestRedis {
    server: Child,
    folder: tempfile::TempDir,
}

impl TestRedis {
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("br-redis-").tempdir_in("/tmp")?;
        let server = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(folder.path().join("s"))
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server does not start; run bin/setup")?;
        let redis = Self { server, folder };
        let streams = redis.streams()?;
        until("redis to answer", || async { Ok(streams.ping().await.ok()) }).await?;
        Ok(redis)
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("s").display())
    }

    pub fn streams(&self) -> Result<Streams> {
        Ok(Streams::new(&self.url(), "billrunner")?)
    }

    /// Empties the server, consumer groups and all.
    pub async fn flush_all(&self) -> Result<()> {
        Ok(redis::cmd("FLUSHALL").query_async(&mut self.streams()?.connect().await?).await?)
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
