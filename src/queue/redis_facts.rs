//! What Redis says of itself, and what it lets this user do, for `billrunner doctor`.
//!
//! Rights are found out by asking: each command of a worker is sent once, about a key that is not there, so that it changes
//! nothing. Whether what is found is well is the doctor's to say.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use redis::{RedisResult, Value, aio::MultiplexedConnection};

use super::streams::{GROUP, Streams, is_group_missing};

/// What one master says.
#[derive(Clone, Debug)]
pub struct RedisFacts {
    /// The lines of `INFO`: version, memory, persistence and more. `None` where this user may not ask.
    pub info: Option<BTreeMap<String, String>>,
    /// What time it is there. `None` where this user may not ask.
    pub now: Option<DateTime<Utc>>,
}

/// What this user may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisRights {
    /// Commands of a worker that it is refused.
    pub missing: Vec<String>,
    /// What it may do beyond a worker's work.
    pub surplus: Vec<&'static str>,
}

/// What the lanes' streams hold.
#[derive(Clone, Debug, Default)]
pub struct LaneStreams {
    /// Messages that no worker has read yet.
    pub unread: i64,
    /// Messages that workers hold.
    pub held: i64,
    /// Lanes whose consumer group is not there: no worker has begun, or Redis forgot it.
    pub without_group: Vec<String>,
}

impl Streams {
    /// Asks every master how it is.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn facts(&self) -> RedisResult<Vec<RedisFacts>> {
        let mut found = Vec::new();
        for mut master in self.masters().await? {
            let info: Option<String> = unless_refused(redis::cmd("INFO").query_async(&mut master).await)?;
            let time: Option<(i64, u32)> = unless_refused(redis::cmd("TIME").query_async(&mut master).await)?;
            found.push(RedisFacts {
                info: info.map(|text| parse_info(&text)),
                now: time.and_then(|(seconds, micros)| DateTime::from_timestamp(seconds, micros.saturating_mul(1000))),
            });
        }
        Ok(found)
    }

    /// Finds out what this user may do.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn rights(&self) -> RedisResult<RedisRights> {
        let key = self.probe_key();
        let mut connection = self.connect_to(&key).await?;
        let mut rights = RedisRights::default();
        for words in worker_probes(&key) {
            if !is_allowed(&mut connection, &words).await? {
                let name = words.iter().take_while(|word| **word != key).take(2);
                rights.missing.push(name.copied().collect::<Vec<_>>().join(" "));
            }
        }
        // Of the same slot, so that a cluster does not point elsewhere, and below no prefix.
        let elsewhere = format!("{{{key}}}");
        let mut connection = self.connect_to(&key).await?;
        if is_allowed(&mut connection, &["XLEN", &elsewhere]).await? {
            rights.surplus.push("read keys that are not billrunner's");
        }
        if is_allowed(&mut connection, &["CONFIG", "GET", "maxmemory"]).await? {
            rights.surplus.push("configure the server");
        }
        Ok(rights)
    }

    /// Counts what the streams of lanes hold.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn lane_streams(&self, lanes: &[&str]) -> RedisResult<LaneStreams> {
        let mut masters = self.connect_to_masters().await?;
        let mut found = LaneStreams::default();
        for lane in lanes {
            let key = self.lane_key(lane);
            let connection = masters.of(&key).await?;
            let length: i64 = redis::cmd("XLEN").arg(&key).query_async(&mut *connection).await?;
            let pending: RedisResult<Value> = redis::cmd("XPENDING").arg(&key).arg(GROUP).query_async(connection).await;
            let held = match pending {
                Ok(Value::Array(summary)) => summary.into_iter().next(),
                Ok(_) => None,
                Err(error) if is_group_missing(&error) => {
                    found.without_group.push((*lane).to_owned());
                    None
                }
                Err(error) => return Err(error),
            };
            let held = if let Some(Value::Int(held)) = held { held } else { 0 };
            found.held += held;
            found.unread += length - held;
        }
        Ok(found)
    }
}

/// Returns what a worker sends, about a key that is not there: nothing is read, added or made.
fn worker_probes(key: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["PING"],
        vec!["XADD", key, "NOMKSTREAM", "*", "probe", "1"],
        vec!["XACK", key, GROUP, "0-1"],
        vec!["XCLAIM", key, GROUP, "doctor", "0", "0-1", "JUSTID"],
        vec!["XDEL", key, "0-1"],
        vec!["XLEN", key],
        vec!["XPENDING", key, GROUP],
        vec!["XRANGE", key, "-", "+", "COUNT", "1"],
        vec!["XREADGROUP", "GROUP", GROUP, "doctor", "COUNT", "1", "STREAMS", key, ">"],
        vec!["XGROUP", "CREATE", key, GROUP, "0"],
        vec!["XGROUP", "DELCONSUMER", key, GROUP, "doctor"],
        vec!["XINFO", "CONSUMERS", key, GROUP],
        vec!["XTRIM", key, "MINID", "0"],
        vec!["MULTI"],
        vec!["EXEC"],
    ]
}

/// Tells whether the user may; any answer but a refusal will do.
async fn is_allowed(connection: &mut MultiplexedConnection, words: &[&str]) -> RedisResult<bool> {
    let Some((name, arguments)) = words.split_first() else { return Ok(true) };
    let answer: RedisResult<Value> = redis::cmd(name).arg(arguments).query_async(connection).await;
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("NOPERM") => Ok(false),
        // It was understood, and there is no such key.
        Err(error) if error.code().is_some() => Ok(true),
        Err(error) => Err(error),
    }
}

fn unless_refused<T>(answer: RedisResult<T>) -> RedisResult<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == Some("NOPERM") => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse_info(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect()
}
