//! The Redis door: requests read, recorded in the ledger, then removed.
//!
//! A request that is refused goes to `…:intake:rejected` with the reason and holds up nobody.

use std::{sync::Arc, time::Duration};

use redis::{aio::MultiplexedConnection, from_redis_value, streams::StreamId};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{
    admission,
    backoff::Reconnect,
    dispatch::Wake,
    envelope::{Envelope, EnvelopeError, MAX_ENVELOPE_BYTES},
    registry::Registry,
    servers::Masters,
    streams::{self, Streams},
};
use crate::store::jobs::NewJob;

/// Requests recorded in one transaction.
const BATCH: usize = 500;
/// Age at which a request that another process read but did not finish is taken over.
const TAKE_OVER_AFTER: Duration = Duration::from_secs(15);
/// Refused requests that are kept.
const MAX_REJECTED: usize = 10_000;

/// The Redis door, in every worker.
pub(super) struct Intake<C> {
    pub pool: PgPool,
    pub streams: Streams,
    pub registry: Arc<Registry<C>>,
    pub consumer: String,
    pub wake: Wake,
    pub stop: CancellationToken,
}

#[derive(Debug, thiserror::Error)]
enum IntakeError {
    #[error("postgres: {0}")]
    Postgres(#[from] sqlx::Error),
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
}

impl<C: Clone + Send + Sync + 'static> Intake<C> {
    /// Takes requests in until told to stop.
    pub async fn run(self) {
        let key = self.streams.intake_key();
        let mut reconnect = Reconnect::new();
        while let Some(mut masters) = self.streams.masters_patiently(&self.stop).await {
            match self.serve(&mut masters, &key, &mut reconnect).await {
                Ok(()) => return,
                Err(error) if reconnect.is_first() => tracing::warn!(%error, "the intake waits"),
                Err(_) => {}
            }
            self.stop.run_until_cancelled(reconnect.pause()).await;
        }
    }

    async fn serve(&self, masters: &mut Masters, key: &str, reconnect: &mut Reconnect) -> Result<(), IntakeError> {
        let redis = &mut masters.of(key).await?.clone();
        streams::create_group(redis, key).await?;
        streams::remove_idle_consumers(redis, key).await?;
        // What was read before an outage is this worker's still.
        let unfinished = streams::held(redis, key, &self.consumer).await?;
        self.take_in(masters, key, unfinished).await?;
        loop {
            let abandoned = streams::take_over(redis, key, &self.consumer, TAKE_OVER_AFTER, BATCH).await?;
            self.take_in(masters, key, abandoned.into_iter().map(|(_, entry)| entry).collect()).await?;
            *reconnect = Reconnect::new();
            let read = streams::read(redis, key, &self.consumer, BATCH);
            let Some(entries) = self.stop.run_until_cancelled(read).await else { return Ok(()) };
            self.take_in(masters, key, entries?).await?;
        }
    }

    /// Forgets this worker's name. What it read and did not finish keeps the name, and is taken over.
    pub async fn leave(streams: &Streams, redis: &mut MultiplexedConnection, consumer: &str) -> redis::RedisResult<()> {
        let key = streams.intake_key();
        match streams::held(redis, &key, consumer).await {
            Ok(held) if held.is_empty() => streams::remove_consumer(redis, &key, consumer).await,
            Err(error) if !streams::is_group_missing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Records requests, then removes them: a crash in between means reading them twice, which the key makes harmless.
    async fn take_in(&self, masters: &mut Masters, key: &str, entries: Vec<StreamId>) -> Result<(), IntakeError> {
        if entries.is_empty() {
            return Ok(());
        }
        let bytes: Vec<Option<Vec<u8>>> = entries.iter().map(envelope_bytes).collect();
        let mut transaction = self.pool.begin().await?;
        let answers =
            admission::admit(&mut transaction, bytes.iter().map(|bytes| self.prepare(bytes.as_deref())).collect())
                .await?;
        let mut rejected = Vec::new();
        for ((entry, bytes), answer) in entries.iter().zip(&bytes).zip(answers) {
            if let Err(error) = answer {
                tracing::warn!(entry = entry.id, "a request was refused; the rejected stream says why");
                rejected.push((error.to_string(), bytes));
            }
        }
        transaction.commit().await?;
        self.wake.now();

        let mut pipe = redis::pipe();
        for (reason, bytes) in &rejected {
            let bytes = bytes.as_deref().unwrap_or_default();
            let kept = bytes.get(..MAX_ENVELOPE_BYTES).unwrap_or(bytes);
            pipe.cmd("XADD")
                .arg(self.streams.rejected_key())
                .arg("MAXLEN")
                .arg("~")
                .arg(MAX_REJECTED)
                .arg("*")
                .arg("reason")
                .arg(reason)
                .arg("ce")
                .arg(kept)
                .ignore();
        }
        if !rejected.is_empty() {
            pipe.query_async::<()>(masters.of(&self.streams.rejected_key()).await?).await?;
        }
        let ids: Vec<String> = entries.into_iter().map(|entry| entry.id).collect();
        Ok(streams::remove(masters.of(key).await?, key, &ids).await?)
    }

    fn prepare(&self, bytes: Option<&[u8]>) -> Result<NewJob, EnvelopeError> {
        let missing =
            || EnvelopeError::Unreadable("the entry has no field `ce`; send XADD <intake> * ce '<json>'".into());
        Envelope::parse(bytes.ok_or_else(missing)?).and_then(|envelope| self.registry.prepare_envelope(envelope))
    }
}

fn envelope_bytes(entry: &StreamId) -> Option<Vec<u8>> {
    entry.map.get("ce").and_then(|value| from_redis_value(value.clone()).ok())
}
