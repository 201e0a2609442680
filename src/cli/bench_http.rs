//! The HTTP door of `billrunner bench queue`: a real server on a loopback port, and a client on a connection that is kept.

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
use secrecy::ExposeSecret;
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
const CLIENT: &str = "bench";
/// A limit that holds nobody up.
const RATE: (i32, i32) = (i32::MAX, 1000);

/// A server and its one client.
pub struct HttpDoor {
    sender: SendRequest<Full<Bytes>>,
    authorization: HeaderValue,
    address: SocketAddr,
    pool: PgPool,
    _stop: DropGuard,
}

impl HttpDoor {
    /// Starts the server and connects to it.
    pub async fn open(pool: &PgPool, streams: &Streams, read: ReadEnvelope) -> anyhow::Result<Self> {
        let mut random = [0; 32];
        rand::rngs::SysRng.try_fill_bytes(&mut random)?;
        let key = ApiKey::new(ApiKeyId::new(), random);
        let mut transaction = pool.begin().await?;
        api_clients::add(&mut transaction, CLIENT, None, &[CLIENT.to_owned()], RATE).await?;
        api_keys::create(&mut transaction, CLIENT, key.id, &key.secret_hash(), None).await?;
        transaction.commit().await?;

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

        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let authorization = format!("Bearer {}", key.to_text().expose_secret()).parse()?;
        Ok(Self { sender, authorization, address, pool: pool.clone(), _stop: stop.drop_guard() })
    }

    /// Hands one event in, and waits until it is accepted.
    pub async fn hand_in(&mut self, event: String) -> anyhow::Result<()> {
        let request = Request::post("/v1/jobs")
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/cloudevents+json")
            .body(Full::from(event))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status == StatusCode::ACCEPTED, "{status}: {}", String::from_utf8_lossy(&body));
        Ok(())
    }

    /// Stops the server and forgets the client.
    pub async fn close(self) -> anyhow::Result<()> {
        api_clients::remove(&mut *self.pool.acquire().await?, CLIENT).await?;
        Ok(())
    }
}
