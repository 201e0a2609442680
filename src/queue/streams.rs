//! Redis Streams: keys, connections, and the few commands the queue is made of.
//!
//! A message is `(job, attempt)`. Each lane is a stream with one consumer group; hash tags keep a lane's keys together.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use redis::{
    RedisError, RedisResult, Value,
    aio::MultiplexedConnection,
    from_redis_value,
    streams::{
        StreamClaimReply, StreamId, StreamInfoConsumersReply, StreamPendingCountReply, StreamRangeReply,
        StreamReadReply,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Reconnect,
    servers::{InvalidServers, Masters, Servers},
};
use crate::{domain::ids::JobId, store::jobs::Dispatch};

/// The consumer group of every lane.
pub(super) const GROUP: &str = "billrunner";
/// How long a reader blocks; it bounds how late a stopping worker notices.
const BLOCK: Duration = Duration::from_secs(2);
/// Keys or entries looked at in one step of a walk over all of them, short enough to hold up nobody.
const SCAN_COUNT: usize = 1000;
/// Age at which the name of a worker that is gone, with nothing pending, is removed.
const CONSUMER_IDLE_MS: usize = 600_000;

/// Where Redis is, and the prefix of our keys there.
#[derive(Clone)]
pub struct Streams {
    servers: Arc<Servers>,
    prefix: Arc<str>,
    /// Shared by all who wait for the server, so that an outage is said once.
    is_away: Arc<AtomicBool>,
}

/// A message as read: where it lies and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub entry_id: String,
    pub job: JobId,
    pub attempt: i32,
}

/// An entry that is no message of ours.
#[derive(Debug)]
pub struct Poison {
    pub entry_id: String,
}

impl Streams {
    /// Names the servers without connecting.
    ///
    /// # Errors
    /// When the URL is none that [`Servers::parse`] knows.
    pub fn new(url: &str, prefix: &str) -> Result<Self, InvalidServers> {
        Ok(Self { servers: Arc::new(Servers::parse(url)?), prefix: prefix.into(), is_away: Arc::default() })
    }

    /// Returns the key of a lane's stream.
    pub fn lane_key(&self, lane: &str) -> String {
        format!("{}:{{{lane}}}", self.prefix)
    }

    /// Returns the key of the stream other systems add requests to.
    pub fn intake_key(&self) -> String {
        format!("{}:intake", self.prefix)
    }

    /// Returns the key of the stream that keeps refused requests with the reason.
    pub fn rejected_key(&self) -> String {
        format!("{}:intake:rejected", self.prefix)
    }

    /// Opens a connection to the server that takes requests in: of a cluster, the master that holds the intake.
    ///
    /// # Errors
    /// See [`Streams::connect_to`].
    pub async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        self.connect_to(&self.intake_key()).await
    }

    /// Opens a connection to the master that holds a key.
    ///
    /// # Errors
    /// When no server answers within three seconds, or none of them knows the master.
    pub async fn connect_to(&self, key: &str) -> RedisResult<MultiplexedConnection> {
        self.servers.connect(key).await
    }

    /// Opens connections to masters as their keys are asked for, the intake's first.
    pub(super) async fn connect_to_masters(&self) -> RedisResult<Masters> {
        Masters::connect(self.servers.clone(), &self.intake_key()).await
    }

    /// Opens a connection to the server, or to every master of a cluster.
    pub(super) async fn masters(&self) -> RedisResult<Vec<MultiplexedConnection>> {
        self.servers.connect_to_all().await
    }

    /// Returns a key of ours that nothing is ever written to.
    pub(super) fn probe_key(&self) -> String {
        format!("{}:doctor", self.prefix)
    }

    /// Asks the server, or every master of a cluster, for a sign of life.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ping(&self) -> RedisResult<()> {
        for mut master in self.masters().await? {
            redis::cmd("PING").query_async::<Value>(&mut master).await?;
        }
        Ok(())
    }

    /// Deletes every key of this prefix, for a queue that ends with its process.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn delete_all(&self) -> RedisResult<()> {
        for master in self.masters().await? {
            self.delete_all_on(master).await?;
        }
        Ok(())
    }

    async fn delete_all_on(&self, mut master: MultiplexedConnection) -> RedisResult<()> {
        let mut cursor = 0_u64;
        loop {
            let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(format!("{}:*", self.prefix))
                .arg("COUNT")
                .arg(SCAN_COUNT)
                .query_async(&mut master)
                .await?;
            // One key each: a cluster takes no command over keys of several slots.
            let mut pipe = redis::pipe();
            for key in &keys {
                pipe.cmd("UNLINK").arg(key).ignore();
            }
            pipe.query_async::<()>(&mut master).await?;
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// Adds a request at the Redis door, as other systems do.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn add_request(&self, connection: &mut MultiplexedConnection, envelope: &str) -> RedisResult<()> {
        let mut command = redis::cmd("XADD");
        command.arg(self.intake_key()).arg("*").arg("ce").arg(envelope);
        command.query_async::<Value>(connection).await.map(drop)
    }

    /// Returns why the oldest refused request was refused, where there is one.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn first_rejection(&self) -> RedisResult<Option<String>> {
        let key = self.rejected_key();
        let mut connection = self.connect_to(&key).await?;
        let mut command = redis::cmd("XRANGE");
        command.arg(key).arg("-").arg("+").arg("COUNT").arg(1);
        let reply: StreamRangeReply = command.query_async(&mut connection).await?;
        Ok(reply.ids.first().and_then(|entry| entry.get("reason")))
    }

    /// Opens a connection to the master that holds a key, however long that takes; `None` when told to stop meanwhile.
    pub(super) async fn connect_patiently(&self, key: &str, stop: &CancellationToken) -> Option<MultiplexedConnection> {
        stop.run_until_cancelled(self.patiently(|| self.connect_to(key))).await
    }

    /// Opens connections to masters, however long that takes; `None` when told to stop meanwhile.
    pub(super) async fn masters_patiently(&self, stop: &CancellationToken) -> Option<Masters> {
        stop.run_until_cancelled(self.patiently(|| self.connect_to_masters())).await
    }

    async fn patiently<T, F: Future<Output = RedisResult<T>>>(&self, connect: impl Fn() -> F) -> T {
        let mut reconnect = Reconnect::new();
        loop {
            match connect().await {
                Ok(connection) => {
                    if self.is_away.swap(false, Ordering::Relaxed) {
                        tracing::info!("redis answers again");
                    }
                    return connection;
                }
                Err(error) if !self.is_away.swap(true, Ordering::Relaxed) => {
                    tracing::warn!(%error, "redis does not answer; work waits for it");
                }
                Err(_) => {}
            }
            reconnect.pause().await;
        }
    }

    /// Adds one message per dispatch, each lane's in order.
    pub(super) async fn add(&self, masters: &mut Masters, dispatches: &[Dispatch]) -> RedisResult<()> {
        let keyed = dispatches.iter().map(|dispatch| (self.lane_key(&dispatch.queue), dispatch));
        for (mut master, share) in masters.sort(keyed).await? {
            let messages = share.iter().map(|(key, dispatch)| (key.as_str(), dispatch.id, dispatch.attempt));
            add(&mut master, messages).await?;
        }
        Ok(())
    }

    /// Returns how many messages of each lane no worker has read yet.
    pub(super) async fn count_unread(&self, masters: &mut Masters, lanes: &[&str]) -> RedisResult<Vec<i64>> {
        let mut unread = vec![0; lanes.len()];
        let keyed = lanes.iter().zip(&mut unread).map(|(lane, unread)| (self.lane_key(lane), unread));
        for (mut master, share) in masters.sort(keyed).await? {
            let mut pipe = redis::pipe();
            // A lane whose group Redis forgot has nothing read.
            pipe.ignore_errors();
            for (key, _) in &share {
                pipe.cmd("XLEN").arg(key).cmd("XPENDING").arg(key).arg(GROUP);
            }
            let mut replies = pipe.query_async::<Vec<RedisResult<Value>>>(&mut master).await?.into_iter();
            for (_, unread) in share {
                let length = match replies.next() {
                    Some(Ok(Value::Int(length))) => length,
                    Some(Err(error)) => return Err(error),
                    _ => 0,
                };
                let pending = match replies.next() {
                    Some(Ok(Value::Array(pending))) => pending.into_iter().next(),
                    _ => None,
                };
                *unread = if let Some(Value::Int(pending)) = pending { length - pending } else { length };
            }
        }
        Ok(unread)
    }

    /// Returns what a lane's stream holds, read or not.
    pub(super) async fn messages(&self, masters: &mut Masters, lane: &str) -> RedisResult<HashSet<(JobId, i32)>> {
        let key = self.lane_key(lane);
        let connection = masters.of(&key).await?;
        let mut messages = HashSet::new();
        let mut start = String::from("-");
        loop {
            let page: StreamRangeReply = redis::cmd("XRANGE")
                .arg(&key)
                .arg(&start)
                .arg("+")
                .arg("COUNT")
                .arg(SCAN_COUNT)
                .query_async(&mut *connection)
                .await?;
            let Some(last) = page.ids.last() else { return Ok(messages) };
            start = format!("({}", last.id);
            messages.extend(page.ids.into_iter().filter_map(|entry| decode(entry).ok()).map(|m| (m.job, m.attempt)));
        }
    }
}

/// Adds messages to streams of one master: the stream, the job, the attempt.
pub(super) async fn add<'a>(
    connection: &mut MultiplexedConnection,
    messages: impl Iterator<Item = (&'a str, JobId, i32)>,
) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    for (key, job, attempt) in messages {
        pipe.cmd("XADD").arg(key).arg("*").arg("job").arg(job.to_string()).arg("attempt").arg(attempt).ignore();
    }
    pipe.query_async(connection).await
}

/// Creates a stream's group, from its first entry on. Returns whether it was missing.
pub(super) async fn create_group(connection: &mut MultiplexedConnection, key: &str) -> RedisResult<bool> {
    let created: RedisResult<()> =
        redis::cmd("XGROUP").arg("CREATE").arg(key).arg(GROUP).arg("0").arg("MKSTREAM").query_async(connection).await;
    match created {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tells whether an error says that the group is gone: Redis was emptied or failed over.
pub(super) fn is_group_missing(error: &RedisError) -> bool {
    error.code() == Some("NOGROUP")
}

/// Waits up to two seconds for new entries of a stream.
pub(super) async fn read(
    connection: &mut MultiplexedConnection,
    key: &str,
    consumer: &str,
    count: usize,
) -> RedisResult<Vec<StreamId>> {
    let reply: Option<StreamReadReply> = redis::cmd("XREADGROUP")
        .arg("GROUP")
        .arg(GROUP)
        .arg(consumer)
        .arg("COUNT")
        .arg(count)
        .arg("BLOCK")
        .arg(BLOCK.as_millis())
        .arg("STREAMS")
        .arg(key)
        .arg(">")
        .query_async(connection)
        .await?;
    Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect())
}

/// Returns the entries that a consumer holds.
pub(super) async fn held(
    connection: &mut MultiplexedConnection,
    key: &str,
    consumer: &str,
) -> RedisResult<Vec<StreamId>> {
    let reply: Option<StreamReadReply> = redis::cmd("XREADGROUP")
        .arg("GROUP")
        .arg(GROUP)
        .arg(consumer)
        .arg("STREAMS")
        .arg(key)
        .arg("0")
        .query_async(connection)
        .await?;
    Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect())
}

/// Removes a consumer that holds nothing.
pub(super) async fn remove_consumer(
    connection: &mut MultiplexedConnection,
    key: &str,
    consumer: &str,
) -> RedisResult<()> {
    redis::cmd("XGROUP")
        .arg("DELCONSUMER")
        .arg(key)
        .arg(GROUP)
        .arg(consumer)
        .query_async::<redis::Value>(connection)
        .await
        .map(drop)
}

/// Acknowledges and deletes entries.
pub(super) async fn remove(connection: &mut MultiplexedConnection, key: &str, entry_ids: &[String]) -> RedisResult<()> {
    redis::pipe()
        .atomic()
        .cmd("XACK")
        .arg(key)
        .arg(GROUP)
        .arg(entry_ids)
        .ignore()
        .cmd("XDEL")
        .arg(key)
        .arg(entry_ids)
        .ignore()
        .query_async(connection)
        .await
}

/// Says that these entries are being worked on: their idle time starts anew.
pub(super) async fn renew(
    connection: &mut MultiplexedConnection,
    key: &str,
    consumer: &str,
    entry_ids: &[String],
) -> RedisResult<()> {
    redis::cmd("XCLAIM")
        .arg(key)
        .arg(GROUP)
        .arg(consumer)
        .arg(0)
        .arg(entry_ids)
        .arg("JUSTID")
        .query_async::<redis::Value>(connection)
        .await
        .map(drop)
}

/// Takes over entries that nobody renewed for a lease, each with the name of who held it.
pub(super) async fn take_over(
    connection: &mut MultiplexedConnection,
    key: &str,
    consumer: &str,
    lease: Duration,
    count: usize,
) -> RedisResult<Vec<(String, StreamId)>> {
    let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
    let pending: StreamPendingCountReply = redis::cmd("XPENDING")
        .arg(key)
        .arg(GROUP)
        .arg("IDLE")
        .arg(lease_ms)
        .arg("-")
        .arg("+")
        .arg(count)
        .query_async(connection)
        .await?;
    if pending.ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut holders: HashMap<String, String> =
        pending.ids.into_iter().map(|entry| (entry.id, entry.consumer)).collect();
    let entry_ids: Vec<&String> = holders.keys().collect();
    // Of two who see the same entries only the first gets them: claimed, they are young again.
    let claimed: StreamClaimReply = redis::cmd("XCLAIM")
        .arg(key)
        .arg(GROUP)
        .arg(consumer)
        .arg(lease_ms)
        .arg(entry_ids)
        .query_async(connection)
        .await?;
    Ok(claimed.ids.into_iter().filter_map(|entry| Some((holders.remove(&entry.id)?, entry))).collect())
}

/// Removes the names of workers that are gone and hold nothing.
pub(super) async fn remove_idle_consumers(connection: &mut MultiplexedConnection, key: &str) -> RedisResult<()> {
    let reply: StreamInfoConsumersReply =
        redis::cmd("XINFO").arg("CONSUMERS").arg(key).arg(GROUP).query_async(connection).await?;
    for gone in reply.consumers.iter().filter(|found| found.pending == 0 && found.idle > CONSUMER_IDLE_MS) {
        remove_consumer(connection, key, &gone.name).await?;
    }
    Ok(())
}

/// Deletes a stream's entries that were added before an instant. Returns how many.
pub(super) async fn trim(connection: &mut MultiplexedConnection, key: &str, before: DateTime<Utc>) -> RedisResult<u64> {
    // Redis knows no time before 1970.
    let before = before.timestamp_millis().max(0);
    redis::cmd("XTRIM").arg(key).arg("MINID").arg(before).query_async(connection).await
}

/// Reads an entry as a message.
pub(super) fn decode(entry: StreamId) -> Result<Message, Poison> {
    let field = |name: &str| entry.map.get(name).and_then(|value| from_redis_value::<String>(value.clone()).ok());
    let job = field("job").and_then(|text| text.parse().ok());
    let attempt = field("attempt").and_then(|text| text.parse().ok());
    match (job, attempt) {
        (Some(job), Some(attempt)) => Ok(Message { entry_id: entry.id, job, attempt }),
        _ => Err(Poison { entry_id: entry.id }),
    }
}
