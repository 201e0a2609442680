//! A Postgres that a test can take away from one process: a socket in between, which goes silent when told to.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use url::Url;

const SOCKET: &str = ".s.PGSQL.5432";

/// A way to Postgres that lives as long as the value.
pub struct Proxy {
    url: Url,
    silence: CancellationToken,
    _folder: tempfile::TempDir,
    _serving: JoinSet<()>,
}

impl Proxy {
    /// Opens a way to the server that a URL names.
    pub fn to(url: &str) -> Result<Self> {
        let mut url = Url::parse(url)?;
        let host =
            url.query_pairs().find(|(name, _)| name == "host").context("the URL names no socket")?.1.into_owned();
        let folder = tempfile::Builder::new().prefix("br-proxy-").tempdir_in("/tmp")?;
        url.query_pairs_mut().clear().append_pair("host", &folder.path().to_string_lossy());
        let silence = CancellationToken::new();
        let mut serving = JoinSet::new();
        let listener = UnixListener::bind(folder.path().join(SOCKET))?;
        serving.spawn(serve(listener, PathBuf::from(host).join(SOCKET), silence.clone()));
        Ok(Self { url, silence, _folder: folder, _serving: serving })
    }

    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Passes nothing on any more, and closes nothing: what a server does whose machine is gone.
    pub fn fall_silent(&self) {
        self.silence.cancel();
    }
}

async fn serve(listener: UnixListener, server: PathBuf, silence: CancellationToken) {
    let mut ways = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let (server, silence) = (server.clone(), silence.clone());
        ways.spawn(async move {
            let passed_on = async {
                let mut upstream = UnixStream::connect(server).await?;
                copy_bidirectional(&mut client, &mut upstream).await
            };
            if silence.run_until_cancelled(passed_on).await.is_none() {
                std::future::pending::<()>().await;
            }
        });
    }
}
