//! Redis servers on free loopback ports that belong together: a cluster, or a master with its replica and sentinels.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use billrunner::queue::Streams;
use redis::FromRedisValue;

use super::worker::until;

/// How often a server is started anew because somebody was quicker to take its port.
const ATTEMPTS: usize = 5;
/// A master is taken to be gone after so long.
const GONE_AFTER_MS: u32 = 1000;
/// The name that sentinels know their master by.
const MASTER: &str = "main";

/// A server that lives as long as the value.
pub struct Node {
    server: Child,
    folder: tempfile::TempDir,
    is_sentinel: bool,
    pub port: u16,
}

impl Node {
    /// Starts a server with more lines in its configuration; they may use a second free port.
    pub async fn start(more: impl Fn(u16) -> String) -> Result<Self> {
        Self::start_as(false, |other| format!("save \"\"\nappendonly no\n{}", more(other))).await
    }

    async fn start_as(is_sentinel: bool, more: impl Fn(u16) -> String) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let (port, other) = free_ports()?;
            let folder = tempfile::Builder::new().prefix("br-redis-").tempdir_in("/tmp")?;
            let lines = format!("port {port}\nbind 127.0.0.1\ndir {}\n{}\n", folder.path().display(), more(other));
            std::fs::write(folder.path().join("redis.conf"), lines)?;
            let server = spawn(&folder, is_sentinel)?;
            let mut node = Self { server, folder, is_sentinel, port };
            if node.answers().await? {
                return Ok(node);
            }
        }
        bail!("no redis-server could be started; is a port free?")
    }

    /// Asks something, in words separated by spaces.
    pub async fn ask<T: FromRedisValue>(&self, words: &str) -> Result<T> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            command.arg(word);
        }
        Ok(command.query_async(&mut client.get_multiplexed_async_connection().await?).await?)
    }

    pub fn kill(&mut self) -> Result<()> {
        self.server.kill()?;
        self.server.wait()?;
        Ok(())
    }

    /// Brings it back after [`Node::kill`], empty, and with what it wrote into its configuration.
    pub async fn restart(&mut self) -> Result<()> {
        self.server = spawn(&self.folder, self.is_sentinel)?;
        anyhow::ensure!(self.answers().await?, "redis-server does not start again");
        Ok(())
    }

    /// Waits until it answers; false says that it ended instead.
    async fn answers(&mut self) -> Result<bool> {
        let server = std::cell::RefCell::new(&mut self.server);
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        until("redis to answer", || async {
            if server.borrow_mut().try_wait()?.is_some() {
                return Ok(Some(false));
            }
            Ok(client.get_multiplexed_async_connection().await.ok().map(|_| true))
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

fn spawn(folder: &tempfile::TempDir, is_sentinel: bool) -> Result<Child> {
    let mut command = Command::new("redis-server");
    command.arg(folder.path().join("redis.conf"));
    if is_sentinel {
        command.arg("--sentinel");
    }
    command.stdout(Stdio::null()).spawn().context("redis-server does not start; run bin/setup")
}

fn free_ports() -> Result<(u16, u16)> {
    let listeners = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((listeners.0.local_addr()?.port(), listeners.1.local_addr()?.port()))
}

fn list(nodes: &[Node]) -> String {
    nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect::<Vec<_>>().join(",")
}

/// Three masters, each with a third of the slots, and replicas where they were added.
pub struct Cluster {
    pub nodes: Vec<Node>,
}

impl Cluster {
    pub async fn start() -> Result<Self> {
        let mut nodes = Vec::new();
        for range in ["0 5460", "5461 10922", "10923 16383"] {
            let node = Self::start_node().await?;
            node.ask::<()>(&format!("CLUSTER SET-CONFIG-EPOCH {}", nodes.len() + 1)).await?;
            node.ask::<()>(&format!("CLUSTER ADDSLOTSRANGE {range}")).await?;
            nodes.push(node);
        }
        let cluster = Self { nodes };
        for node in &cluster.nodes[1..] {
            cluster.introduce(node).await?;
        }
        cluster.is_ready().await?;
        Ok(cluster)
    }

    /// Starts a replica of a master.
    pub async fn add_replica_of(&mut self, master: usize) -> Result<()> {
        let node = Self::start_node().await?;
        self.introduce(&node).await?;
        self.nodes.push(node);
        self.is_ready().await?;
        let id: String = self.nodes[master].ask("CLUSTER MYID").await?;
        let replica = self.nodes.last().context("a replica")?;
        replica.ask::<()>(&format!("CLUSTER REPLICATE {id}")).await?;
        until("the replica", || async {
            Ok(replica.ask::<String>("INFO replication").await?.contains("master_link_status:up").then_some(()))
        })
        .await
    }

    async fn start_node() -> Result<Node> {
        Node::start(|bus| format!("cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout {GONE_AFTER_MS}"))
            .await
    }

    async fn introduce(&self, node: &Node) -> Result<()> {
        let known = &self.nodes[0];
        let configured: (String, u16) = known.ask("CONFIG GET cluster-port").await?;
        node.ask(&format!("CLUSTER MEET 127.0.0.1 {} {}", known.port, configured.1)).await
    }

    async fn is_ready(&self) -> Result<()> {
        let known = format!("cluster_known_nodes:{}", self.nodes.len());
        for node in &self.nodes {
            until("the cluster", || async {
                let info: String = node.ask("CLUSTER INFO").await?;
                Ok((info.contains("cluster_state:ok") && info.contains(&known)).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    pub fn streams(&self) -> Result<Streams> {
        Ok(Streams::new(&format!("redis+cluster://{}", list(&self.nodes)), "billrunner")?)
    }

    /// Returns which of the first three masters holds a key.
    pub async fn master_of(&self, key: &str) -> Result<usize> {
        let slot: usize = self.nodes[0].ask(&format!("CLUSTER KEYSLOT {key}")).await?;
        Ok(if slot <= 5460 { 0 } else { 1 + usize::from(slot > 10922) })
    }
}

/// A master, its replica, and three sentinels that watch over them.
pub struct Watched {
    pub master: Node,
    pub replica: Node,
    sentinels: Vec<Node>,
}

impl Watched {
    pub async fn start() -> Result<Self> {
        let master = Node::start(|_| "repl-diskless-sync-delay 0".to_owned()).await?;
        let replicaof = format!("replicaof 127.0.0.1 {}\nrepl-diskless-sync-delay 0", master.port);
        let replica = Node::start(|_| replicaof.clone()).await?;
        until("the replica", || async {
            Ok(replica.ask::<String>("INFO replication").await?.contains("master_link_status:up").then_some(()))
        })
        .await?;
        let watch = format!(
            "sentinel monitor {MASTER} 127.0.0.1 {} 2\nsentinel down-after-milliseconds {MASTER} {GONE_AFTER_MS}\n\
             sentinel failover-timeout {MASTER} 4000",
            master.port
        );
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Node::start_as(true, |_| watch.clone()).await?);
        }
        for sentinel in &sentinels {
            until("the sentinels to know each other", || async {
                let known: std::collections::HashMap<String, String> =
                    sentinel.ask(&format!("SENTINEL MASTER {MASTER}")).await?;
                let is_known = known["num-other-sentinels"] == "2" && known["num-slaves"] == "1";
                Ok((is_known && known["flags"] == "master").then_some(()))
            })
            .await?;
        }
        Ok(Self { master, replica, sentinels })
    }

    pub fn streams(&self) -> Result<Streams> {
        Ok(Streams::new(&format!("redis+sentinel://{}/{MASTER}", list(&self.sentinels)), "billrunner")?)
    }

    /// Cuts the replica off: what the master takes from now on is lost with it.
    pub async fn cut_replica_off(&self) -> Result<()> {
        self.master.ask::<()>("ACL SETUSER default -psync -sync").await?;
        self.master.ask::<u32>("CLIENT KILL TYPE replica").await?;
        until("the replica to be cut off", || async {
            Ok(self.replica.ask::<String>("INFO replication").await?.contains("master_link_status:down").then_some(()))
        })
        .await
    }

    /// Tells the sentinels to make the replica the master while the master is well.
    pub async fn fail_over(&self) -> Result<()> {
        let command = format!("SENTINEL FAILOVER {MASTER}");
        // Refused until this sentinel has heard of the replica lately.
        until("the sentinel to obey", || async { Ok(self.sentinels[0].ask::<()>(&command).await.ok()) }).await
    }
}

/// Waits until a server has become a master, or a replica (`slave` to Redis).
pub async fn until_role(node: &Node, role: &str) -> Result<()> {
    let line = format!("role:{role}");
    // Who changes its role hangs up on everybody.
    let role = || async { node.ask::<String>("INFO replication").await.unwrap_or_default() };
    until(&line, || async { Ok(role().await.contains(&line).then_some(())) }).await
}
