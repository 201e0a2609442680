//! The console of an office on a free loopback port, and a browser that looks at it.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use billrunner::{
    console::{Console, Reach, hash_password},
    domain::console_access::Role,
    http::{self, Intake, Web},
    jobs::registry,
    store::{operator_actions::Operator, users},
};
use regex::Regex;
use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    http::{Answer, exchange},
    worker::streams,
};

/// What every user of a test logs in with.
pub const PASSWORD: &str = "correct horse battery";
/// Who adds users.
const BY: Operator<'_> = Operator { name: "test", reason: "as a test" };

/// A console that is served as long as the value lives.
pub struct Desktop {
    pub address: SocketAddr,
    base: String,
    _stop: DropGuard,
}

impl Desktop {
    /// Opens a console on this machine.
    pub async fn open(pool: &PgPool) -> Result<Self> {
        Self::open_with(pool, None, |console| console).await
    }

    /// Opens a console behind a proxy's address.
    pub async fn open_at(pool: &PgPool, url: &str) -> Result<Self> {
        Self::open_with(pool, Some(url), |console| console).await
    }

    pub async fn open_with(pool: &PgPool, url: Option<&str>, change: impl FnOnce(Console) -> Console) -> Result<Self> {
        let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let (streams, registry, stop) = (streams()?, Arc::new(registry()), CancellationToken::new());
        let url = url.map(str::parse::<billrunner::domain::console_url::ConsoleUrl>).transpose()?;
        let base = url.as_ref().map(|url| url.base().to_owned()).unwrap_or_default();
        let console = change(Console::new(pool, streams.clone(), &registry, Reach::new(address.ip(), url)));
        let web = Web {
            pool: pool.clone(),
            streams,
            intake: Arc::new(Intake::new(pool, registry.envelope_reader())),
            schemas: Arc::default(),
            downloads: None,
            metrics: None,
            console: Some(Arc::new(console)),
            demo: None,
        };
        tokio::spawn(http::serve(web, listener, stop.clone()));
        Ok(Self { address, base, _stop: stop.drop_guard() })
    }

    /// Returns a browser that nobody has logged in with.
    pub fn browser(&self) -> Browser {
        Browser {
            address: self.address,
            base: self.base.clone(),
            cookie: None,
            csrf: String::new(),
            headers: SAME_SITE.to_owned(),
        }
    }

    /// Adds a user and logs in as them.
    pub async fn log_in_as(&self, pool: &PgPool, name: &str, role: Role) -> Result<Browser> {
        add_user(pool, name, role).await?;
        let mut browser = self.browser();
        let answer = browser.log_in(name, PASSWORD).await?;
        ensure!(answer.status == 303, "{name} cannot log in: {}", answer.text());
        Ok(browser)
    }
}

/// Adds a user who logs in with [`PASSWORD`].
pub async fn add_user(pool: &PgPool, name: &str, role: Role) -> Result<()> {
    let hash = hash_password(&PASSWORD.into(), [7; 16])?;
    let mut transaction = pool.begin().await?;
    ensure!(users::add(&mut transaction, &name.parse()?, role, &hash, BY).await?, "{name} was there");
    Ok(transaction.commit().await?)
}

/// What a browser says of a form of our own page.
const SAME_SITE: &str = "sec-fetch-site: same-origin\r\n";

/// Somebody's browser: it keeps the cookie, and the token of the forms that it was shown.
#[derive(Clone)]
pub struct Browser {
    pub address: SocketAddr,
    pub base: String,
    pub cookie: Option<String>,
    pub csrf: String,
    /// Further header lines of each request.
    pub headers: String,
}

impl Browser {
    /// Logs in, and looks at a page for the token of its forms.
    pub async fn log_in(&mut self, name: &str, password: &str) -> Result<Answer> {
        let answer = self.post("/login", &[("name", name), ("password", password), ("next", "/queues")]).await?;
        if let Some(cookie) = answer.header("set-cookie") {
            self.cookie = cookie.split(';').next().map(str::to_owned);
            self.csrf = csrf(&self.get("/queues").await?.text())?;
        }
        Ok(answer)
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, "").await
    }

    /// Shows a page that is there and returns its text.
    pub async fn page(&self, path: &str) -> Result<String> {
        let answer = self.get(path).await?;
        ensure!(answer.status == 200, "{path} is {}: {}", answer.status, answer.text());
        Ok(answer.text())
    }

    /// Sends a form with its token.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf", &self.csrf).extend_pairs(fields);
        self.send("POST", path, &form.finish()).await
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let Self { address, base, headers, .. } = self;
        let cookie = self.cookie.as_ref().map(|cookie| format!("cookie: {cookie}\r\n")).unwrap_or_default();
        let host = if headers.contains("host: ") { String::new() } else { format!("host: {address}\r\n") };
        let length = body.len();
        let request = format!(
            "{method} {base}{path} HTTP/1.1\r\n{host}connection: close\r\n{cookie}{headers}\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        exchange(*address, request.as_bytes()).await
    }
}

/// Returns the token that a page's forms hold.
pub fn csrf(page: &str) -> Result<String> {
    let found = Regex::new(r#"name="csrf" value="([0-9a-f]{64})""#)?;
    Ok(found.captures(page).context("a form")?[1].to_owned())
}

/// Returns who did what to which job and why, oldest first.
pub async fn actions(pool: &PgPool) -> Result<Vec<(String, String, String)>> {
    let query = "SELECT done_by, action, reason FROM operator_actions WHERE done_by <> 'test' ORDER BY id";
    Ok(sqlx::query_as(query).fetch_all(pool).await?)
}
