//! Visitors of the console: each with a token of a role, on a console that listens in the test's own process.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result, ensure};
use billrunner::{
    console::{Console, Reach},
    context::Context as JobContext,
    domain::console_access::{AccessName, Role, Secret},
    http::{self, Intake, Web},
    queue::{Registry, Streams},
    store::{console_tokens, operator_actions::Operator},
};
use chrono::{TimeDelta, Utc};
use secrecy::ExposeSecret;
use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::http::{Answer, exchange};

const TEST: Operator<'_> = Operator { name: "test", reason: "a visitor" };

/// A console that lives as long as the value.
pub struct ConsoleDoor {
    pub address: SocketAddr,
    pool: PgPool,
    _stop: DropGuard,
}

impl ConsoleDoor {
    pub async fn open(pool: &PgPool, streams: &Streams, registry: &Arc<Registry<JobContext>>) -> Result<Self> {
        let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let reach = Reach::new(address.ip(), None);
        let console = Console::new(pool, streams.clone(), registry, reach).with_mail_domain("test.example");
        let web = Web {
            intake: Arc::new(Intake::new(pool, registry.envelope_reader())),
            pool: pool.clone(),
            streams: streams.clone(),
            schemas: Arc::default(),
            downloads: None,
            metrics: None,
            console: Some(Arc::new(console)),
            demo: None,
        };
        tokio::spawn(http::serve(web, listener, stop.clone()));
        Ok(Self { address, pool: pool.clone(), _stop: stop.drop_guard() })
    }

    /// Lets somebody in who is known by their role.
    pub async fn visitor(&self, role: Role) -> Result<Visitor> {
        let secret = Secret::new(random());
        let name: AccessName = role.as_str().parse()?;
        let until = sqlx::query_scalar::<_, chrono::DateTime<Utc>>("SELECT now()").fetch_one(&self.pool).await?
            + TimeDelta::hours(1);
        let mut transaction = self.pool.begin().await?;
        let added = console_tokens::add(&mut transaction, &name, role, (&secret.hash(), until), TEST).await?;
        ensure!(added, "a visitor of each role comes once");
        transaction.commit().await?;
        Ok(Visitor { address: self.address, token: secret.to_token().expose_secret().to_owned() })
    }
}

fn random() -> [u8; 32] {
    let mut random = [0; 32];
    for half in random.chunks_mut(16) {
        half.copy_from_slice(Uuid::new_v5(&Uuid::now_v7(), b"visitor").as_bytes());
    }
    random
}

/// Somebody who looks at pages and sends forms.
pub struct Visitor {
    address: SocketAddr,
    token: String,
}

impl Visitor {
    /// Asks for a page.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, &[]).await
    }

    /// Asks for a page that is there, and returns its text.
    pub async fn page(&self, path: &str) -> Result<String> {
        let answer = self.get(path).await?;
        ensure!(answer.status == 200, "{path} is answered with {}: {}", answer.status, text(&answer));
        Ok(text(&answer))
    }

    /// Sends a form.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        self.ask("POST", path, fields).await
    }

    /// Sends a form that is done, and returns where it leads.
    pub async fn done(&self, path: &str, fields: &[(&str, &str)]) -> Result<String> {
        let answer = self.post(path, fields).await?;
        ensure!(answer.status == 303, "{path} is answered with {}: {}", answer.status, text(&answer));
        Ok(answer.header("location").context("it leads somewhere")?.to_owned())
    }

    async fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        exchange(self.address, &[head.as_bytes(), body.as_bytes()].concat()).await
    }
}

/// Returns what an answer says.
pub fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.bytes).into_owned()
}
