//! A Redis server with the users that `billrunner redis-acl` makes, and no way in for anybody else.

use anyhow::{Context, Result};
use billrunner::{clock::Clock, queue::Streams};
use redis::aio::MultiplexedConnection;
use sqlx::PgPool;
use tokio::process::Command;
use uuid::Uuid;

use super::{TestDatabase, redis::TestRedis, worker::Office};

pub const PRODUCER: &str = "billrunner-producer";
pub const WORKER: &str = "billrunner-worker";

pub struct RedisWithUsers {
    redis: TestRedis,
    password: String,
    /// A connection that may do everything.
    pub admin: MultiplexedConnection,
}

impl RedisWithUsers {
    pub async fn start() -> Result<Self> {
        let redis = TestRedis::start().await?;
        let password = Uuid::now_v7().to_string();
        let mut admin = redis.streams()?.connect().await?;
        let printed = Command::new(env!("CARGO_BIN_EXE_billrunner")).arg("redis-acl").output().await?;
        let lines = String::from_utf8(printed.stdout)?;
        let passwords = [PRODUCER, WORKER, "default"].map(|user| format!("ACL SETUSER {user} resetpass >{password}"));
        // Twice: what was set before, a password included, stays.
        let all = lines.lines().map(str::to_owned).chain(passwords).chain(lines.lines().map(str::to_owned));
        for line in all {
            let mut words = line.split_whitespace();
            let mut command = redis::cmd(words.next().context("a command")?);
            for word in words {
                command.arg(word);
            }
            command.query_async::<()>(&mut admin).await.with_context(|| line.clone())?;
        }
        Ok(Self { redis, password, admin })
    }

    pub fn socket(&self) -> String {
        self.redis.url().replace("redis+unix://", "")
    }

    pub fn password(&self) -> &str {
        &self.password
    }

    pub fn streams_of(&self, user: &str) -> Result<Streams> {
        Ok(Streams::new(&self.url_of(user), "billrunner")?)
    }

    pub fn url_of(&self, user: &str) -> String {
        format!("{}?user={user}&pass={}", self.redis.url(), self.password)
    }

    /// Returns what a user was refused since the start.
    pub async fn refusals(&mut self) -> Result<Vec<redis::Value>> {
        Ok(redis::cmd("ACL").arg("LOG").query_async(&mut self.admin).await?)
    }

    /// Opens an office that works here, as the workers' user.
    pub async fn open_office(&self) -> Result<OfficeWithDatabase> {
        let database = TestDatabase::new().await?;
        let office = Office::open_on(&database.pool, Clock::System, self.streams_of(WORKER)?).await?;
        Ok(OfficeWithDatabase { office, database })
    }
}

pub struct OfficeWithDatabase {
    office: Office,
    database: TestDatabase,
}

impl OfficeWithDatabase {
    pub fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    pub async fn close(self) -> Result<()> {
        self.office.close().await
    }
}
