//! A real S3 server (s3s over a folder) on a free loopback port, which refuses parts or leaves when told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result};
use billrunner::objects::ObjectStoreSettings;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use s3s::{
    Body,
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub const BUCKET: &str = "bills";
pub const SECRET: &str = "hunter2-of-the-store";

/// What the server does about the parts of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Answers each part with 503.
    RefusesParts,
    /// Leaves once, when it is sent a second part.
    LeavesAtSecondPart,
    /// Keeps whoever sends a second part waiting.
    HoldsSecondPart,
}

/// A server that lives as long as the value.
pub struct S3Server {
    pub address: SocketAddr,
    folder: tempfile::TempDir,
    counter: Counter,
    serving: JoinSet<()>,
}

/// What answers requests.
#[derive(Clone)]
struct Counter {
    service: S3Service,
    trouble: Arc<Mutex<Trouble>>,
    /// What the refused parts were asked for with: the upload's id and the part's number.
    refused: Arc<Mutex<Vec<String>>>,
    gone: CancellationToken,
}

impl S3Server {
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join(BUCKET))?;
        let files = FileSystem::new(folder.path()).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single("id", SECRET));
        let service = builder.build();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let counter = Counter {
            service,
            trouble: Arc::new(Mutex::new(Trouble::None)),
            refused: Arc::default(),
            gone: CancellationToken::new(),
        };
        let mut server = Self { address: listener.local_addr()?, folder, counter, serving: JoinSet::new() };
        server.serve(listener);
        Ok(server)
    }

    /// Waits until it has left as it was told to, and no connection to it is left.
    pub async fn left(&mut self) {
        self.counter.gone.cancelled().await;
        while self.serving.join_next().await.is_some() {}
    }

    /// Leaves at once.
    pub async fn leave(&mut self) {
        self.counter.gone.cancel();
        self.left().await;
    }

    /// Serves again, at the same address.
    pub async fn come_back(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address).await.context("the port is taken meanwhile")?;
        self.serve(listener);
        Ok(())
    }

    fn serve(&mut self, listener: TcpListener) {
        self.counter.gone = CancellationToken::new();
        let counter = self.counter.clone();
        self.serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Some(Ok((stream, _))) = counter.gone.run_until_cancelled(listener.accept()).await {
                let counter = counter.clone();
                let answer = service_fn(move |request| counter.clone().answer(request));
                connections.spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
            connections.shutdown().await;
        });
    }

    /// Names a place in the bucket.
    pub fn settings(&self, prefix: &str) -> ObjectStoreSettings {
        let url = format!("s3://{BUCKET}/{prefix}");
        ObjectStoreSettings::from_url(&url, &self.variables(), false).expect("a store")
    }

    /// Returns what a process needs to get in.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let endpoint = format!("http://{}", self.address);
        let variables =
            [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_ENDPOINT_URL", endpoint.as_str())];
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    pub fn set(&self, trouble: Trouble) {
        *self.counter.trouble.lock().expect("nobody panicked") = trouble;
    }

    /// Returns how many parts were refused, and how many of them were asked for again under the same upload.
    pub fn refused(&self) -> (usize, usize) {
        let refused = self.counter.refused.lock().expect("nobody panicked");
        let distinct: BTreeSet<&String> = refused.iter().collect();
        (refused.len(), refused.len() - distinct.len())
    }

    /// Returns the files below a folder of the bucket: objects, whole.
    pub fn objects(&self, below: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().join(BUCKET).join(below)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found
    }

    /// Returns how many uploads were begun and neither completed nor aborted.
    pub fn uploads_under_way(&self) -> usize {
        self.count(".upload-")
    }

    /// Returns how many parts lie there of uploads under way.
    pub fn parts_stored(&self) -> usize {
        self.count(".upload_id-")
    }

    fn count(&self, prefix: &str) -> usize {
        let entries = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).count()
    }
}

impl Counter {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, s3s::HttpError> {
        let query = request.uri().query().unwrap_or_default();
        let is_part = query.contains("partNumber=");
        let is_second = query.split('&').any(|pair| pair == "partNumber=2");
        let refuse = |status| {
            let mut refusal = Response::new(Body::empty());
            *refusal.status_mut() = status;
            Ok(refusal)
        };
        // The folder would make any bucket; S3 does not.
        if request.uri().path().split('/').nth(1) != Some(BUCKET) {
            return refuse(StatusCode::NOT_FOUND);
        }
        let now = *self.trouble.lock().expect("nobody panicked");
        match now {
            Trouble::RefusesParts if is_part => {
                self.refused.lock().expect("nobody panicked").push(query.to_owned());
                return refuse(StatusCode::SERVICE_UNAVAILABLE);
            }
            Trouble::LeavesAtSecondPart if is_second => {
                *self.trouble.lock().expect("nobody panicked") = Trouble::None;
                self.gone.cancel();
                std::future::pending::<()>().await;
            }
            Trouble::HoldsSecondPart if is_second => std::future::pending::<()>().await,
            _ => {}
        }
        hyper::service::Service::call(&self.service, request).await
    }
}
