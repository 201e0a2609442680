//! The doors as other systems use them: HTTP over connections that are kept, SQL, and Redis.

use std::net::SocketAddr;

use redis::aio::MultiplexedConnection;
use secrecy::SecretString;
use serde_json::json;
use sqlx::PgConnection;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::super::bench_http::{CLIENT, HttpClient};
use crate::{
    context::Context,
    queue::{Job, Streams},
    store::bench_load,
};

/// Who sends, at every door.
pub const SOURCE: &str = CLIENT;
/// What a person wants at once: ahead of all that has waited for less than 50 minutes.
pub const URGENT: i16 = 100;

/// Which way in.
#[derive(Clone, Copy, Debug)]
pub enum Door {
    Http,
    Sql,
    Redis,
}

/// One way in each, for one request at a time.
pub struct Doors {
    http: Mutex<HttpClient>,
    sql: Mutex<PgConnection>,
    redis: Mutex<MultiplexedConnection>,
    streams: Streams,
}

impl Doors {
    /// Connects to all of them.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn open(
        address: SocketAddr,
        key: &SecretString,
        owner: PgConnection,
        streams: &Streams,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            http: Mutex::new(HttpClient::connect(address, key).await?),
            sql: Mutex::new(owner),
            redis: Mutex::new(streams.connect().await?),
            streams: streams.clone(),
        })
    }

    /// Hands a job in, and returns the id of the request.
    ///
    /// # Errors
    /// When the door does not take it.
    pub async fn hand_in<J: Job<Context = Context>>(
        &self,
        door: Door,
        job: &J,
        priority: i16,
    ) -> anyhow::Result<String> {
        let id = Uuid::now_v7().to_string();
        match door {
            Door::Http => self.http.lock().await.hand_in(envelope(job, &id, priority)?).await?,
            Door::Sql => {
                let data = serde_json::to_value(job)?;
                bench_load::enqueue(&mut *self.sql.lock().await, J::EVENT_TYPE, &data, (SOURCE, &id)).await?;
            }
            Door::Redis => {
                let envelope = envelope(job, &id, priority)?;
                self.streams.add_request(&mut *self.redis.lock().await, &envelope).await?;
            }
        }
        Ok(id)
    }
}

/// Writes a job as a `CloudEvents` envelope.
pub fn envelope<J: Job>(job: &J, id: &str, priority: i16) -> serde_json::Result<String> {
    let data = serde_json::to_value(job)?;
    let event = json!({ "specversion": "1.0", "source": SOURCE, "id": id, "type": J::EVENT_TYPE, "priority": priority,
        "data": data });
    Ok(event.to_string())
}
