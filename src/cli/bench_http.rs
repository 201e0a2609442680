//! The HTTP door of `billrunner bench`: a client on a connection that is kept, and for `bench queue` a real server on a
//! loopback port.

use std::{net::SocketAddr, sync::Arc};

use anyhow::ensure;
use axum::{
    body::Bytes,
    http::{HeaderValue, Request, StatusCode, header},
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rand::TryRng;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    domain::{api_key::ApiKey, ids::ApiKeyId},
    http::{self, Intake, Web},
    queue::{ReadEnvelope, Streams},
    store::{api_clients, api_keys},
};

/// Name of the client, which is the source of its requests.
pub const CLIENT: &str = "bench";
/// A limit that holds nobody up.
const RATE: (i32, i32) = (i32::MAX, 1000);

/// Makes the client known, and returns its key.
pub async fn register_client(pool: &PgPool) -> anyhow::Result<SecretString> {
    let mut random = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut random)?;
    let key = ApiKey::new(ApiKeyId::new(), random);
    let mut transaction = pool.begin().await?;
    api_clients::add(&mut transaction, CLIENT, None, &[CLIENT.to_owned()], RATE).await?;
    api_keys::create(&mut transaction, CLIENT, key.id, &key.secret_hash(), None).await?;
    transaction.commit().await?;
    Ok(key.to_text())
}

/// A client on a connection that is kept.
pub struct HttpClient {
    sender: SendRequest<Full<Bytes>>,
    authorization: HeaderValue,
    address: SocketAddr,
}

impl HttpClient {
    /// Connects to a server.
    pub async fn connect(address: SocketAddr, key: &SecretString) -> anyhow::Result<Self> {
        let authorization = format!("Bearer {}", key.expose_secret()).parse()?;
        Ok(Self { sender: connect(address).await?, authorization, address })
    }

    /// Hands one event in, and waits until it is accepted.
    pub async fn hand_in(&mut self, event: String) -> anyhow::Result<()> {
        if self.sender.ready().await.is_err() {
            // The server may close a connection that lay idle.
            self.sender = connect(self.address).await?;
        }
        let request = Request::post("/v1/jobs")
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/cloudevents+json")
            .body(Full::from(event))?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status == StatusCode::ACCEPTED, "{status}: {}", String::from_utf8_lossy(&body));
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A server and its one client.
pub struct HttpDoor {
    client: HttpClient,
    pool: PgPool,
    _stop: DropGuard,
}

impl HttpDoor {
    /// Starts the server and connects to it.
    pub async fn open(pool: &PgPool, streams: &Streams, read: ReadEnvelope) -> anyhow::Result<Self> {
        let key = register_client(pool).await?;
        let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let (intake, schemas) = (Arc::new(Intake::new(pool, read)), Arc::default());
        let web = Web {
            pool: pool.clone(),
            streams: streams.clone(),
            intake,
            schemas,
            downloads: None,
            metrics: None,
            console: None,
            demo: None,
        };
        let stop = CancellationToken::new();
        tokio::spawn(http::serve(web, listener, stop.clone()));
        Ok(Self { client: HttpClient::connect(address, &key).await?, pool: pool.clone(), _stop: stop.drop_guard() })
    }

    /// Hands one event in, and waits until it is accepted.
    pub async fn hand_in(&mut self, event: String) -> anyhow::Result<()> {
        self.client.hand_in(event).await
    }

    /// Stops the server and forgets the client.
    pub async fn close(self) -> anyhow::Result<()> {
        api_clients::remove(&mut *self.pool.acquire().await?, CLIENT).await?;
        Ok(())
    }
}
