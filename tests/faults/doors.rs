//! The three doors as other systems use them: a request is repeated until somebody answers for it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use billrunner::{
    domain::{api_key::ApiKey, ids::ApiKeyId},
    http::{self, Intake, Web},
    jobs::registry,
    queue::Streams,
    store::{api_clients, api_keys, database},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// Who sends, at every door: so that a request may come again at another one.
pub const SOURCE: &str = "shop";
/// How long an answer may take before the request is repeated.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// How long a worker may take to record what it reads at the Redis door, before it is sent again.
const RECORDED_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const CONNECTIONS: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum Door {
    Sql,
    Http,
    Redis,
}

pub const DOORS: [Door; 3] = [Door::Sql, Door::Http, Door::Redis];

/// A job as it is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    pub event_type: &'static str,
    pub id: String,
    pub data: Value,
}

pub struct Doors {
    /// Connections of the database's owner, by the way that nothing stands in.
    pub pool: PgPool,
    address: SocketAddr,
    key: String,
    streams: Streams,
    _open: DropGuard,
}

impl Doors {
    /// Opens the HTTP door; Redis is spoken to through a way of the senders' own.
    pub async fn open(database_url: &str, redis_port: u16) -> Result<Self> {
        let options: sqlx::postgres::PgConnectOptions = database_url.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ANSWERS_WITHIN)
            .connect_with(options.options([("search_path", "billrunner,public")]))
            .await?;
        let application = database::connect(&database_url.to_owned().into(), CONNECTIONS).await?;
        let streams = Streams::new(&format!("redis://127.0.0.1:{redis_port}"), "billrunner")?;
        let key = register_sender(&application).await?;
        let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let intake = Arc::new(Intake::new(&application, Arc::new(registry()).envelope_reader()));
        let web = Web {
            pool: application,
            streams: streams.clone(),
            intake,
            schemas: Arc::default(),
            downloads: None,
            metrics: None,
            console: None,
            demo: None,
        };
        let stop = CancellationToken::new();
        tokio::spawn(http::serve(web, listener, stop.clone()));
        Ok(Self { pool, address, key, streams, _open: stop.drop_guard() })
    }

    /// Hands requests in and returns their jobs' ids, in their order.
    ///
    /// # Errors
    /// When nobody answers for all of them: they may be recorded or not, and are to be sent again.
    pub async fn hand_in(&self, door: Door, requests: &[Request]) -> Result<Vec<Uuid>> {
        let handed_in = async {
            match door {
                Door::Sql => self.at_sql(requests).await,
                Door::Http => self.at_http(requests).await,
                Door::Redis => self.at_redis(requests).await,
            }
        };
        let ids = tokio::time::timeout(2 * ANSWERS_WITHIN, handed_in).await.context("nobody answers")??;
        ensure!(ids.len() == requests.len(), "{} of {} requests are answered for", ids.len(), requests.len());
        Ok(ids)
    }

    async fn at_sql(&self, requests: &[Request]) -> Result<Vec<Uuid>> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SET LOCAL ROLE billrunner_enqueue").execute(&mut *transaction).await?;
        let types: Vec<&str> = requests.iter().map(|request| request.event_type).collect();
        let ids: Vec<&str> = requests.iter().map(|request| request.id.as_str()).collect();
        let data: Vec<&Value> = requests.iter().map(|request| &request.data).collect();
        let accepted = sqlx::query_scalar(
            "SELECT job_id FROM unnest($1::text[], $2::text[], $3::jsonb[]) WITH ORDINALITY AS request (type, id, data, n),
                    LATERAL billrunner.enqueue_job(request.type, request.data, $4, request.id) ORDER BY n",
        );
        let ids = accepted.bind(types).bind(ids).bind(data).bind(SOURCE).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(ids)
    }

    async fn at_http(&self, requests: &[Request]) -> Result<Vec<Uuid>> {
        let body = Value::Array(requests.iter().map(Request::envelope).collect()).to_string();
        let head = format!(
            "POST /v1/jobs HTTP/1.1\r\nhost: test\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-type: application/cloudevents-batch+json\r\ncontent-length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
        let body: Value = serde_json::from_str(body)?;
        let results = body["results"].as_array().context("an answer to a batch")?;
        results.iter().map(|result| Ok(result["job"]["id"].as_str().context("a job")?.parse()?)).collect()
    }

    async fn at_redis(&self, requests: &[Request]) -> Result<Vec<Uuid>> {
        let mut redis = self.streams.connect_to(&self.streams.intake_key()).await?;
        for request in requests {
            self.streams.add_request(&mut redis, &request.envelope().to_string()).await?;
        }
        let ids: Vec<&str> = requests.iter().map(|request| request.id.as_str()).collect();
        let recorded = async {
            loop {
                let found: Vec<Uuid> = sqlx::query_scalar(
                    "SELECT DISTINCT ON (n) jobs.id FROM unnest($2::text[]) WITH ORDINALITY AS request (id, n)
                     JOIN jobs ON source = $1 AND external_id = request.id ORDER BY n, jobs.id DESC",
                )
                .bind(SOURCE)
                .bind(&ids)
                .fetch_all(&self.pool)
                .await?;
                if found.len() >= requests.len() {
                    return anyhow::Ok(found);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(RECORDED_WITHIN, recorded).await.context("no worker recorded them")?
    }
}

impl Request {
    fn envelope(&self) -> Value {
        json!({ "specversion": "1.0", "source": SOURCE, "id": self.id, "type": self.event_type, "data": self.data })
    }
}

/// Makes the sender known to the HTTP door and returns its key.
async fn register_sender(pool: &PgPool) -> Result<String> {
    let sources = [SOURCE.to_owned()];
    api_clients::add(&mut *pool.acquire().await?, SOURCE, None, &sources, (600_000, 50_000)).await?;
    let mut random = [0; 32];
    for half in random.chunks_mut(16) {
        half.copy_from_slice(Uuid::now_v7().as_bytes());
    }
    let key = ApiKey::new(ApiKeyId::new(), random);
    let mut transaction = pool.begin().await?;
    api_keys::create(&mut transaction, SOURCE, key.id, &key.secret_hash(), None).await?;
    transaction.commit().await?;
    Ok(key.to_text().expose_secret().to_owned())
}
