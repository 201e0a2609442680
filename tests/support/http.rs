//! The HTTP door on a free loopback port, its clients, and a speaker of HTTP that can also misbehave.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use billrunner::{
    domain::{api_key::ApiKey, ids::ApiKeyId},
    http::{self, DemoFiles, Downloads, Intake, Metrics, Web},
    queue::{ReadEnvelope, Streams},
    store::{
        api_clients,
        api_keys::{self, CreatedKey},
    },
};
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::{
    bench::Bench,
    worker::{DEADLINE, Office},
};

pub const EVENT: &str = "application/cloudevents+json";
pub const BATCH: &str = "application/cloudevents-batch+json";
pub const PROBLEM: &str = "application/problem+json";

/// A server that lives as long as the value.
pub struct Door {
    pub address: SocketAddr,
    _stop: DropGuard,
}

impl Door {
    /// Opens the web process of a desk, with what customers download from, or without.
    pub async fn for_customers(office: &Office, downloads: Option<Downloads>) -> Result<Self> {
        Self::of_office(office, downloads, None).await
    }

    /// Opens the web process as the demo has it, with this folder of mails.
    pub async fn of_demo(office: &Office, mails: &Path) -> Result<Self> {
        let files = DemoFiles { objects: office.context.objects.clone(), mails: mails.to_owned() };
        Self::of_office(office, None, Some(Arc::new(files))).await
    }

    async fn of_office(office: &Office, downloads: Option<Downloads>, demo: Option<Arc<DemoFiles>>) -> Result<Self> {
        let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let intake = Arc::new(Intake::new(&office.pool, office.registry.envelope_reader()));
        let (pool, streams, schemas) = (office.pool.clone(), office.streams.clone(), Arc::default());
        let metrics = Some(Arc::new(Metrics::new(&pool, streams.clone(), &office.registry)));
        let web =
            Web { pool, streams, intake, schemas, downloads: downloads.map(Arc::new), metrics, console: None, demo };
        tokio::spawn(http::serve(web, listener, stop.clone()));
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    /// Asks for a path as a browser does, without an account.
    pub async fn visit(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, "").await
    }

    /// Asks for a path with header lines of its own, without an account.
    pub async fn ask(&self, method: &str, path: &str, headers: &str) -> Result<Answer> {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\r\n");
        exchange(self.address, request.as_bytes()).await
    }

    /// Opens the door onto a bench.
    pub async fn open(bench: &Bench) -> Result<Self> {
        Self::open_to(bench.pool(), bench.streams.clone(), bench.registry.envelope_reader()).await
    }

    pub async fn open_to(pool: &PgPool, streams: Streams, read: ReadEnvelope) -> Result<Self> {
        let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let (intake, schemas) = (Arc::new(Intake::new(pool, read)), Arc::default());
        let web = Web {
            pool: pool.clone(),
            streams,
            intake,
            schemas,
            downloads: None,
            metrics: None,
            console: None,
            demo: None,
        };
        tokio::spawn(http::serve(web, listener, stop.clone()));
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    /// Speaks for the holder of a key.
    pub fn client(&self, key: &str) -> Client {
        Client { address: self.address, authorization: format!("Bearer {key}") }
    }

    /// Speaks for a new client that may send everything, fast.
    pub async fn new_client(&self, pool: &PgPool, name: &str) -> Result<Client> {
        add_client(pool, name, None, (60_000, 5_000)).await?;
        Ok(self.client(&create_key(pool, name).await?.1))
    }
}

/// Adds a client whose source is its name.
pub async fn add_client(pool: &PgPool, name: &str, kinds: Option<&[String]>, rate: (i32, i32)) -> Result<()> {
    let sources = [name.to_owned()];
    let added = api_clients::add(&mut *pool.acquire().await?, name, kinds, &sources, rate).await?;
    anyhow::ensure!(added, "client {name} was there");
    Ok(())
}

/// Makes a key, and returns its id and text.
pub async fn create_key(pool: &PgPool, client: &str) -> Result<(ApiKeyId, String)> {
    let mut random = [0; 32];
    for half in random.chunks_mut(16) {
        half.copy_from_slice(Uuid::new_v5(&Uuid::now_v7(), client.as_bytes()).as_bytes());
    }
    let key = ApiKey::new(ApiKeyId::new(), random);
    let mut transaction = pool.begin().await?;
    let created = api_keys::create(&mut transaction, client, key.id, &key.secret_hash(), None).await?;
    anyhow::ensure!(created == CreatedKey::Created, "{created:?}");
    transaction.commit().await?;
    Ok((key.id, key.to_text().expose_secret().to_owned()))
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn content_type(&self) -> &str {
        self.header("content-type").unwrap_or_default()
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Returns the pointers of a problem's errors.
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
    }

    pub fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }
}

/// Somebody who sends requests, each on a connection of its own.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub authorization: String,
}

impl Client {
    pub async fn post(&self, media_type: &str, body: impl AsRef<[u8]>) -> Result<Answer> {
        let content_type = format!("content-type: {media_type}\r\n");
        self.send("POST", "/v1/jobs", &content_type, body.as_ref()).await
    }

    /// Hands in one event.
    pub async fn hand_in(&self, event: &Value) -> Result<Answer> {
        self.post(EVENT, event.to_string()).await
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, "", b"").await
    }

    /// Sends a request with header lines of its own.
    pub async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Answer> {
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: {}\r\n{headers}{length}\r\n",
            self.authorization
        );
        exchange(self.address, &[head.as_bytes(), body].concat()).await
    }
}

/// Sends bytes as they are and reads one answer.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Result<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let (mut reader, mut writer) = stream.split();
        // The server may answer and hang up before it has read all.
        let (_, read) = tokio::join!(writer.write_all(request), read_all(&mut reader));
        read
    };
    parse(&tokio::time::timeout(DEADLINE, exchange).await.context("waited in vain for an answer")??)
}

async fn read_all(reader: &mut (impl AsyncReadExt + Unpin)) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match reader.read_to_end(&mut bytes).await {
        Err(error) if bytes.is_empty() => Err(error.into()),
        _ => Ok(bytes),
    }
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").context("an answer has a head")?;
    let head = std::str::from_utf8(&bytes[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("a status line")?.parse()?;
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let body = &bytes[end + 4..];
    Ok(Answer {
        status,
        headers: lines.filter_map(header).collect(),
        body: serde_json::from_slice(body).unwrap_or_default(),
        bytes: body.to_vec(),
    })
}

/// Returns how long something took, with what came of it.
pub async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let started = std::time::Instant::now();
    let done = work.await;
    (started.elapsed(), done)
}
