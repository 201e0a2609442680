//! Where Redis is: one server, the master that sentinels name, or the masters of a cluster.
//!
//! A connection leads to the one master that holds the key it is wanted for, and is never mended: whatever goes wrong on
//! it, its loop drops it and asks for another, which finds out anew who the master is. So a failover, READONLY, MOVED,
//! LOADING or CLUSTERDOWN is one case, and the loop knows that Redis was away. The crate's connection to a cluster would
//! mend itself in silence, and open one to every node for each of our blocking readers.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult, TlsMode,
    aio::MultiplexedConnection,
    io::tcp::TcpSettings,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};
use url::Url;

/// A command that takes longer has lost its server.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Where sentinels listen when nothing else is said.
const SENTINEL_PORT: u16 = 26379;
/// How often a cluster may point elsewhere before it is taken to be in the middle of a change.
const MAX_REDIRECTS: usize = 4;

/// The servers that a URL names.
#[derive(Clone)]
pub enum Servers {
    /// One server, for good or ill.
    One(ConnectionInfo),
    /// Sentinels, which know the master of this name.
    Sentinels {
        /// Asked in this order.
        sentinels: Vec<ConnectionInfo>,
        /// The name.
        master: String,
        /// How the master is spoken to.
        node: SentinelNodeConnectionInfo,
    },
    /// Some nodes of a cluster, which know the others.
    Cluster(Vec<ConnectionInfo>),
}

/// Says what is wrong with a URL without showing any of it: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum InvalidServers {
    /// It begins with none of the known schemes.
    #[error(
        "it must start with redis://, rediss://, redis+unix://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://"
    )]
    Scheme,
    /// One of its servers does not read.
    #[error(
        "server {0} of it is no host:port: {1}; write [user:password@]host:port,host:port and encode what is special in a password"
    )]
    Server(usize, RedisError),
    /// It asks for the master without a name.
    #[error("it names no master; write redis+sentinel://host:port,host:port/NAME")]
    NoMaster,
    /// Something follows the servers that is not known there.
    #[error(
        "something follows its servers that is not known there; sentinels take ?db=NUMBER&sentinel_password=TEXT, a cluster takes nothing"
    )]
    Options,
    /// It does not read.
    #[error(transparent)]
    Url(RedisError),
}

impl Servers {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`InvalidServers`], in words that hold nothing of the URL.
    pub fn parse(url: &str) -> Result<Self, InvalidServers> {
        let (scheme, rest) = url.split_once("://").ok_or(InvalidServers::Scheme)?;
        match scheme {
            "redis" | "rediss" | "redis+unix" | "unix" => {
                url.into_connection_info().map(|server| Self::One(without_delay(server))).map_err(InvalidServers::Url)
            }
            "redis+sentinel" => Self::parse_sentinels("redis", rest),
            "rediss+sentinel" => Self::parse_sentinels("rediss", rest),
            "redis+cluster" => Self::parse_cluster("redis", rest),
            "rediss+cluster" => Self::parse_cluster("rediss", rest),
            _ => Err(InvalidServers::Scheme),
        }
    }

    fn parse_sentinels(scheme: &str, rest: &str) -> Result<Self, InvalidServers> {
        let (servers, path) = parse_list(scheme, rest, SENTINEL_PORT)?;
        let options = Url::parse(&format!("{scheme}://options{path}")).map_err(|_| InvalidServers::Options)?;
        let master = options.path().trim_matches('/').to_owned();
        if master.is_empty() {
            return Err(InvalidServers::NoMaster);
        }
        let mut login = servers.first().map(|server| server.redis_settings().clone()).unwrap_or_default();
        let mut sentinel_login = RedisConnectionInfo::default();
        for (name, value) in options.query_pairs() {
            match name.as_ref() {
                "db" => login = login.set_db(value.parse().map_err(|_| InvalidServers::Options)?),
                "sentinel_password" => sentinel_login = sentinel_login.set_password(value),
                _ => return Err(InvalidServers::Options),
            }
        }
        let sentinels = servers.into_iter().map(|server| server.set_redis_settings(sentinel_login.clone())).collect();
        let node = SentinelNodeConnectionInfo::default()
            .set_redis_connection_info(login)
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let node = if scheme == "rediss" { node.set_tls_mode(TlsMode::Secure) } else { node };
        Ok(Self::Sentinels { sentinels, master, node })
    }

    fn parse_cluster(scheme: &str, rest: &str) -> Result<Self, InvalidServers> {
        match parse_list(scheme, rest, 6379)? {
            (nodes, "" | "/") => Ok(Self::Cluster(nodes)),
            _ => Err(InvalidServers::Options),
        }
    }

    /// Opens a connection to the master that holds a key.
    ///
    /// # Errors
    /// When no server answers within three seconds, or those that do know no master.
    pub(super) async fn connect(&self, key: &str) -> RedisResult<MultiplexedConnection> {
        match self {
            Self::One(server) => open(server).await,
            Self::Sentinels { sentinels, master, node } => {
                // A new client each time: one that is shared would be a lock, and its memory of sentinels is no use after a failover.
                let kind = SentinelServerType::Master;
                let mut client = SentinelClient::build(sentinels.clone(), master, Some(node.clone()), kind)?;
                client.get_async_connection_with_config(&connection_config()).await
            }
            Self::Cluster(nodes) => Ok(find_master(nodes, key).await?.1),
        }
    }

    /// Opens a connection to every master.
    ///
    /// # Errors
    /// When one of them does not answer within three seconds.
    pub(super) async fn connect_to_all(&self) -> RedisResult<Vec<MultiplexedConnection>> {
        let Self::Cluster(nodes) = self else { return Ok(vec![self.connect("").await?]) };
        let (asked, mut connection) = find_master(nodes, "").await?;
        let known: String = redis::cmd("CLUSTER").arg("NODES").query_async(&mut connection).await?;
        let mut masters = Vec::new();
        // Each line: id, host:port@bus, flags, …
        for line in known.lines() {
            let mut fields = line.split(' ').skip(1);
            if let (Some(address), Some(flags)) = (fields.next(), fields.next())
                && flags.contains("master")
            {
                let address = address.split('@').next().unwrap_or_default();
                masters.push(open(&elsewhere(&asked, address)?).await?);
            }
        }
        Ok(masters)
    }
}

/// Connections to the masters of all keys that are asked for, each opened when it is first needed.
pub(super) struct Masters {
    servers: Arc<Servers>,
    /// Where a cluster's masters are, and the connection to each; one server's is called nothing.
    open: Vec<(String, MultiplexedConnection)>,
    /// Which of them holds a key; empty where one server holds all.
    place_of: HashMap<String, usize>,
}

impl Masters {
    /// Connects to the master of one key.
    ///
    /// # Errors
    /// See [`Servers::connect`].
    pub async fn connect(servers: Arc<Servers>, key: &str) -> RedisResult<Self> {
        let mut masters = Self { servers, open: Vec::new(), place_of: HashMap::new() };
        masters.of(key).await?;
        Ok(masters)
    }

    /// Returns the connection for a key.
    ///
    /// # Errors
    /// See [`Servers::connect`].
    pub async fn of(&mut self, key: &str) -> RedisResult<&mut MultiplexedConnection> {
        let place = self.place(key).await?;
        let found = self.open.get_mut(place).map(|(_, connection)| connection);
        found.ok_or_else(|| (ErrorKind::Client, "a master without a connection").into())
    }

    /// Sorts items by the master that holds their keys.
    ///
    /// # Errors
    /// See [`Servers::connect`].
    pub async fn sort<T>(
        &mut self,
        items: impl Iterator<Item = (String, T)>,
    ) -> RedisResult<Vec<(MultiplexedConnection, Vec<(String, T)>)>> {
        let mut shares: Vec<Vec<(String, T)>> = Vec::new();
        for item in items {
            let place = self.place(&item.0).await?;
            if shares.len() <= place {
                shares.resize_with(place + 1, Vec::new);
            }
            if let Some(share) = shares.get_mut(place) {
                share.push(item);
            }
        }
        let connections = self.open.iter().map(|(_, connection)| connection.clone());
        Ok(connections.zip(shares).filter(|(_, share)| !share.is_empty()).collect())
    }

    async fn place(&mut self, key: &str) -> RedisResult<usize> {
        let Servers::Cluster(nodes) = self.servers.as_ref() else {
            if self.open.is_empty() {
                self.open.push((String::new(), self.servers.connect(key).await?));
            }
            return Ok(0);
        };
        if let Some(place) = self.place_of.get(key) {
            return Ok(*place);
        }
        let (node, connection) = find_master(nodes, key).await?;
        let address = node.addr().to_string();
        let known = self.open.iter().position(|(open, _)| *open == address);
        let place = known.unwrap_or_else(|| {
            self.open.push((address, connection));
            self.open.len() - 1
        });
        self.place_of.insert(key.to_owned(), place);
        Ok(place)
    }
}

/// Finds the master of a cluster that holds a key: whoever does not says who does.
async fn find_master(nodes: &[ConnectionInfo], key: &str) -> RedisResult<(ConnectionInfo, MultiplexedConnection)> {
    let mut last_error = (ErrorKind::InvalidClientConfig, "the URL names no node of the cluster").into();
    for node in nodes {
        match follow(node.clone(), key).await {
            Ok(found) => return Ok(found),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

async fn follow(mut node: ConnectionInfo, key: &str) -> RedisResult<(ConnectionInfo, MultiplexedConnection)> {
    for _ in 0..MAX_REDIRECTS {
        let mut connection = open(&node).await?;
        let Err(error) = redis::cmd("XLEN").arg(key).query_async::<u64>(&mut connection).await else {
            return Ok((node, connection));
        };
        let Some((address, _)) = error.redirect_node() else { return Err(error) };
        node = elsewhere(&node, address)?;
    }
    Err((ErrorKind::Client, "the cluster's nodes point at each other: it is being changed").into())
}

/// Returns where another node of the same cluster is. One that does not know its own host is where it was asked.
fn elsewhere(node: &ConnectionInfo, address: &str) -> RedisResult<ConnectionInfo> {
    let unreadable = || RedisError::from((ErrorKind::Client, "a node's address does not read", address.to_owned()));
    let (host, port) = address.rsplit_once(':').ok_or_else(unreadable)?;
    let port: u16 = port.parse().map_err(|_| unreadable())?;
    let host_or = |same: String| if host.is_empty() { same } else { host.to_owned() };
    let address = match node.addr().clone() {
        ConnectionAddr::Tcp(same, _) => ConnectionAddr::Tcp(host_or(same), port),
        ConnectionAddr::TcpTls { host: same, insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host: host_or(same), port, insecure, tls_params }
        }
        _ => return Err(unreadable()),
    };
    Ok(node.clone().set_addr(address))
}

async fn open(server: &ConnectionInfo) -> RedisResult<MultiplexedConnection> {
    Client::open(server.clone())?.get_multiplexed_async_connection_with_config(&connection_config()).await
}

fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}

/// Reads `[user:password@]host:port,host:port`. Returns the servers, all with the same login, and what follows them.
fn parse_list<'a>(
    scheme: &str,
    text: &'a str,
    default_port: u16,
) -> Result<(Vec<ConnectionInfo>, &'a str), InvalidServers> {
    let (authority, rest) = text.split_at(text.find(['/', '?', '#']).unwrap_or(text.len()));
    let hosts_at = authority.rfind('@').map_or(0, |at| at + 1);
    let (login, hosts) = authority.split_at(hosts_at);
    let read = |host: &str| {
        let mut url: Url = format!("{scheme}://{login}{host}").parse().map_err(|_| invalid("it does not parse"))?;
        if url.port().is_none() {
            url.set_port(Some(default_port)).map_err(|()| invalid("it is empty"))?;
        }
        url.into_connection_info().map(without_delay)
    };
    let servers = hosts.split(',').enumerate();
    let servers: Result<_, _> =
        servers.map(|(n, host)| read(host).map_err(|error| InvalidServers::Server(n + 1, error))).collect();
    Ok((servers?, rest))
}

fn invalid(what: &'static str) -> RedisError {
    (ErrorKind::InvalidClientConfig, what).into()
}

/// Commands are small and waited for: none is held back to be sent with the next.
fn without_delay(server: ConnectionInfo) -> ConnectionInfo {
    server.set_tcp_settings(TcpSettings::default().set_nodelay(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(servers: &[ConnectionInfo]) -> Vec<String> {
        servers.iter().map(|server| server.addr().to_string()).collect()
    }

    #[test]
    fn sentinels_and_their_masters_have_logins_of_their_own() {
        let url = "redis+sentinel://worker:p%40ss@a:1,b,[::1]:3/main?db=4&sentinel_password=s%20t";
        let Ok(Servers::Sentinels { sentinels, master, node }) = Servers::parse(url) else { panic!("it reads") };
        assert_eq!(
            (addresses(&sentinels), master.as_str()),
            (vec!["a:1".into(), "b:26379".into(), "::1:3".into()], "main")
        );
        assert!(sentinels.iter().all(|sentinel| sentinel.redis_settings().password() == Some("s t")));
        let node = format!("{node:?}");
        assert!(node.contains("worker") && node.contains("db: 4"), "{node}");
    }

    #[test]
    fn a_clusters_nodes_share_login_and_encryption() {
        let Ok(Servers::Cluster(nodes)) = Servers::parse("rediss+cluster://worker:secret@a:1,b") else {
            panic!("it reads")
        };
        assert_eq!(addresses(&nodes), ["a:1", "b:6379"]);
        for node in nodes {
            assert!(matches!(node.addr(), ConnectionAddr::TcpTls { insecure: false, .. }));
            assert_eq!(node.redis_settings().password(), Some("secret"));
        }
    }

    #[test]
    fn what_does_not_read_is_refused_without_a_word_of_it() {
        for url in [
            "hunter2",
            "hunter2://localhost",
            "redis://:hunter2@",
            "redis://:hunter2@localhost:no-port",
            "redis://localhost/hunter2",
            "redis+sentinel://:hunter2@localhost:26379",
            "redis+sentinel://:hunter2@a,,b/main",
            "redis+sentinel://:hun/ter2@localhost/main",
            "redis+sentinel://localhost/main?sentinel_pasword=hunter2",
            "redis+sentinel://localhost/main?db=hunter2",
            "redis+cluster://user:hunter2",
            "redis+cluster://:hunter2@localhost/1",
        ] {
            let Err(error) = Servers::parse(url) else { panic!("{url} reads") };
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("hun"), "{url}: {shown}");
        }
    }

    #[test]
    fn a_node_that_does_not_know_its_host_is_where_it_was_asked() {
        let Ok(Servers::Cluster(nodes)) = Servers::parse("redis+cluster://a:1") else { panic!("it reads") };
        let address = |text: &str| elsewhere(&nodes[0], text).map(|node| node.addr().to_string()).ok();
        assert_eq!(address(":7"), Some("a:7".into()));
        assert_eq!(address("b:7"), Some("b:7".into()));
        assert_eq!(address("b"), None);
    }
}
