//! What systemd hears of a process that it started with `Type=notify`: ready, alive, stopping.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use tokio::{net::UnixDatagram, process::Command, time::timeout};

use crate::support::{
    business::database_url,
    site::{Site, send_signal},
    worker::DEADLINE,
};

/// A socket such as systemd listens on.
struct Supervisor {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Supervisor {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self { socket: UnixDatagram::bind(folder.path().join("notify"))?, folder })
    }

    /// Waits until all of these lines were heard, and returns the first one of all.
    async fn hears(&self, lines: &[&str]) -> Result<String> {
        let mut missing: BTreeSet<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let mut first = None;
        while !missing.is_empty() {
            let mut buffer = [0; 512];
            let length = timeout(DEADLINE, self.socket.recv(&mut buffer)).await;
            let length = length.with_context(|| format!("waited in vain for {missing:?}"))??;
            for line in std::str::from_utf8(&buffer[..length])?.lines() {
                missing.remove(line);
                first.get_or_insert_with(|| line.to_owned());
            }
        }
        first.context("something")
    }
}

#[tokio::test]
async fn worker_and_web_say_that_they_are_ready_alive_and_stopping() -> Result<()> {
    let site = Site::build(0).await?;
    let supervisor = Supervisor::new()?;
    let folder = supervisor.folder.path().display();
    for command in ["worker", "web"] {
        let settings = [
            ("DATABASE_URL", database_url(site.pool()).await?),
            ("REDIS_URL", site.redis.url()),
            ("SMTP_URL", site.sink.url()),
            ("BILLRUNNER_OBJECT_STORE", format!("file://{folder}")),
            ("BILLRUNNER_HTTP_ADDRESS", "127.0.0.1:0".to_owned()),
            ("BILLRUNNER_LOG", "error".to_owned()),
            ("NOTIFY_SOCKET", format!("{folder}/notify")),
            ("WATCHDOG_USEC", Duration::from_millis(300).as_micros().to_string()),
        ];
        // systemd says whose watchdog it is; a shell knows its own id, and becomes the process.
        let script = "WATCHDOG_PID=$$ exec \"$0\" \"$1\"";
        let mut process = Command::new("sh");
        process.args(["-c", script, env!("CARGO_BIN_EXE_billrunner"), command]).envs(settings).kill_on_drop(true);
        let mut process = process.spawn()?;
        assert_eq!(supervisor.hears(&["READY=1", "WATCHDOG=1"]).await?, "READY=1", "{command}");
        send_signal("TERM", &process.id().context("it runs")?.to_string())?;
        supervisor.hears(&["STOPPING=1"]).await?;
        assert!(timeout(DEADLINE, process.wait()).await??.success(), "{command}");
        // What it said last belongs to no other.
        while supervisor.socket.try_recv(&mut [0; 512]).is_ok() {}
    }
    Ok(())
}
