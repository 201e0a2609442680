//! The servers of a run, each on a disk of its own: a Postgres that syncs, and a Redis with its replica.

use std::{
    net::TcpListener,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{
    disk::Disk,
    postgres_programs::{command, owner},
    proxy::{Proxy, Server, Way},
    workers::send_signal,
};

const DATABASE: &str = "business";
/// Postgres keeps all of a run; Redis only what is under way.
const POSTGRES_MB: u64 = 6144;
const REDIS_MB: u64 = 256;
/// How long a server may take to answer after a start, a recovery included.
const ANSWERS_WITHIN: Duration = Duration::from_mins(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What is shown of a log.
const LOG_TAIL: usize = 1_000;

/// Looks until there is something to see, for as long as is given.
pub async fn until<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let looking = async {
        loop {
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(within, looking).await.with_context(|| format!("waited in vain for {what}"))?
}

pub struct Postgres {
    server: Child,
    pub disk: Disk,
    log: PathBuf,
    programs: PathBuf,
    owner: Option<(u32, u32)>,
}

impl Postgres {
    pub async fn start(folder: &Path) -> Result<Self> {
        let found = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/bin/postgres-bin")).output()?;
        let programs = PathBuf::from(String::from_utf8(found.stdout)?.trim());
        let disk = Disk::new(folder, "postgres", POSTGRES_MB)?;
        let owner = owner()?;
        if let Some((user, group)) = owner {
            chown(&disk.path, Some(user), Some(group))?;
        }
        let made = command(&programs.join("initdb"), &disk.path, owner)
            .args(["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"])
            .stderr(Stdio::piped())
            .output()
            .context("initdb does not start; run bin/setup")?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let log = folder.join("postgres.log");
        let server = spawn_postgres(&programs, &disk.path, &log, owner)?;
        let postgres = Self { server, disk, log, programs, owner };
        postgres.answers().await?;
        sqlx::query("CREATE DATABASE business").execute(&mut postgres.connect_to("postgres").await?).await?;
        Ok(postgres)
    }

    pub fn socket(&self) -> Server {
        Server::Socket(self.disk.path.join(".s.PGSQL.5432"))
    }

    /// Names the database, by the way that nothing stands in.
    pub fn url(&self) -> String {
        self.url_of(DATABASE)
    }

    /// Names the database behind a proxy.
    pub fn url_through(proxy: &Proxy) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{DATABASE}?sslmode=disable", proxy.port)
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.disk.path.display())
    }

    /// Connects as the owner.
    pub async fn connect(&self) -> Result<PgConnection> {
        self.connect_to(DATABASE).await
    }

    async fn connect_to(&self, database: &str) -> Result<PgConnection> {
        let options: PgConnectOptions = self.url_of(database).parse()?;
        Ok(options.options([("search_path", "billrunner,public")]).connect().await?)
    }

    /// Stops it as a crash does: nothing is finished, nobody is told.
    pub fn stop_at_once(&mut self) -> Result<()> {
        send_signal("QUIT", self.server.id())?;
        self.server.wait()?;
        Ok(())
    }

    /// Starts it where it has ended, by our doing or because its disk was full.
    pub async fn start_again(&mut self) -> Result<()> {
        if self.answers_now().await {
            return Ok(());
        }
        if self.server.try_wait()?.is_none() {
            self.stop_at_once()?;
        }
        self.server = spawn_postgres(&self.programs, &self.disk.path, &self.log, self.owner)?;
        self.answers().await
    }

    /// Hangs up on everybody.
    pub async fn end_connections(&self) -> Result<()> {
        let mut owner = self.connect().await?;
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::query(ended).execute(&mut owner).await?;
        Ok(owner.close().await?)
    }

    async fn answers_now(&self) -> bool {
        let asked = async {
            let mut connection = self.connect().await?;
            // It must take what is written, too.
            sqlx::query("SELECT pg_current_xact_id()").execute(&mut connection).await?;
            anyhow::Ok(connection.close().await?)
        };
        tokio::time::timeout(Duration::from_secs(5), asked).await.is_ok_and(|asked| asked.is_ok())
    }

    async fn answers(&self) -> Result<()> {
        let answered = until("postgres to answer", ANSWERS_WITHIN, || async {
            Ok(self.connect_to("postgres").await.ok().map(drop))
        });
        answered.await.with_context(|| {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            format!("its log ends with: {}", log.get(log.len().saturating_sub(LOG_TAIL)..).unwrap_or_default())
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = send_signal("QUIT", self.server.id());
        let _ = self.server.wait();
    }
}

fn spawn_postgres(programs: &Path, folder: &Path, log: &Path, owner: Option<(u32, u32)>) -> Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    command(&programs.join("postgres"), folder, owner)
        .args(["-D", "data", "-p", "5432", "-c", "listen_addresses=", "-c", "fsync=on", "-c", "max_connections=200"])
        .args(["-c", "max_wal_size=128MB", "-k"])
        .arg(folder)
        .stderr(log)
        .spawn()
        .context("postgres does not start; run bin/setup")
}

/// A master and its replica, and the way between them.
pub struct RedisPair {
    nodes: [Node; 2],
    master: usize,
    replication: Proxy,
    pub disk: Disk,
}

struct Node {
    server: Child,
    folder: PathBuf,
    port: u16,
}

impl RedisPair {
    pub async fn start(folder: &Path) -> Result<Self> {
        let disk = Disk::new(folder, "redis", REDIS_MB)?;
        let nodes = [Node::start(&disk.path.join("a")).await?, Node::start(&disk.path.join("b")).await?];
        let replication = Proxy::to(Server::Port(nodes[0].port)).await?;
        let mut pair = Self { nodes, master: 0, replication, disk };
        pair.replicate().await?;
        Ok(pair)
    }

    pub fn server(&self) -> Server {
        Server::Port(self.nodes[self.master].port)
    }

    /// Names the master, by the way that nothing stands in.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.nodes[self.master].port)
    }

    pub async fn flush_all(&self) -> Result<()> {
        self.nodes[self.master].obey("FLUSHALL").await
    }

    pub fn kill(&mut self) -> Result<()> {
        self.nodes[self.master].kill()
    }

    /// Starts the master again after [`RedisPair::kill`], with what its append-only file holds, or empty.
    pub async fn start_again(&mut self, is_empty: bool) -> Result<()> {
        self.nodes[self.master].start_again(is_empty).await
    }

    /// Cuts the replica off: what the master takes from now on is lost with it.
    pub async fn cut_replica_off(&mut self) -> Result<()> {
        self.replicate().await?;
        self.replication.set(Way::Cut);
        Ok(())
    }

    /// Makes the replica the master, after the master is gone; the old one comes back empty and follows it.
    pub async fn fail_over(&mut self) -> Result<()> {
        self.nodes[self.master].kill()?;
        self.master = 1 - self.master;
        self.nodes[self.master].obey("REPLICAOF NO ONE").await
    }

    /// Brings the old master back as a replica.
    pub async fn replicate_again(&mut self) -> Result<()> {
        self.nodes[1 - self.master].start_again(true).await?;
        self.replication.lead_to(self.server());
        self.replication.set(Way::Open);
        self.replicate().await
    }

    /// Has the replica follow the master, and waits until it does. A replica that cannot write ends itself, which takes it a
    /// moment, and starts again.
    pub async fn replicate(&mut self) -> Result<()> {
        until("the replica to follow", ANSWERS_WITHIN, async || {
            let replica = &mut self.nodes[1 - self.master];
            // What it was about to write may keep it from starting, and its master has all of it.
            if replica.server.try_wait()?.is_some() {
                replica.start_again(true).await?;
            }
            if replica.follows().await {
                return Ok(Some(()));
            }
            // It may be about to end, and may be told twice.
            let _ = replica.ask::<()>(&format!("REPLICAOF 127.0.0.1 {}", self.replication.port)).await;
            Ok(None)
        })
        .await
    }
}

impl Node {
    async fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir(folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut node = Self { server: spawn_redis(folder, port)?, folder: folder.to_owned(), port };
        node.answers().await?;
        Ok(node)
    }

    async fn start_again(&mut self, is_empty: bool) -> Result<()> {
        if is_empty {
            self.start_empty()?;
        } else {
            self.server = spawn_redis(&self.folder, self.port)?;
        }
        self.answers().await
    }

    fn start_empty(&mut self) -> Result<()> {
        std::fs::remove_dir_all(&self.folder)?;
        std::fs::create_dir(&self.folder)?;
        self.server = spawn_redis(&self.folder, self.port)?;
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server.wait()?;
        Ok(())
    }

    async fn ask<T: redis::FromRedisValue>(&self, words: &str) -> Result<T> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            command.arg(word);
        }
        Ok(command.query_async(&mut client.get_multiplexed_async_connection().await?).await?)
    }

    /// Has it do something that may be said twice: whoever changes its role, or follows another master, hangs up.
    async fn obey(&self, words: &str) -> Result<()> {
        until("redis to obey", ANSWERS_WITHIN, || async { Ok(self.ask::<()>(words).await.ok()) }).await
    }

    /// Tells whether it has all that its master has.
    async fn follows(&self) -> bool {
        self.ask::<String>("INFO replication").await.is_ok_and(|told| told.contains("master_link_status:up"))
    }

    async fn answers(&mut self) -> Result<()> {
        until("redis to answer", ANSWERS_WITHIN, async || {
            // A full disk may leave an append-only file that it cannot read.
            if self.server.try_wait()?.is_some() {
                self.start_empty()?;
            }
            Ok(self.ask::<String>("PING").await.ok().map(drop))
        })
        .await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn spawn_redis(folder: &Path, port: u16) -> Result<Child> {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
        .args(["--repl-diskless-sync-delay", "0", "--auto-aof-rewrite-min-size", "16mb"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("redis-server does not start; run bin/setup")
}
