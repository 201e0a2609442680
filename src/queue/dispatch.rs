//! From the ledger to Redis: due jobs become messages.
//!
//! Every worker runs this loop; `FOR UPDATE SKIP LOCKED` keeps them apart, so there is no leader. It wakes when a
//! handler completed, when another process says so over LISTEN/NOTIFY, and when the next waiting job is due.

use std::{sync::Arc, time::Duration};

use redis::aio::MultiplexedConnection;
use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{backoff::Reconnect, streams::Streams};
use crate::store::jobs;

/// Jobs taken in one round: one pipeline, one short transaction.
const ROUND: i64 = 500;
/// Longest sleep: what a lost notification can cost.
const MAX_SLEEP: Duration = Duration::from_secs(5);

/// Dispatches until told to stop, outliving both servers' absences.
pub(super) async fn run(pool: PgPool, streams: Streams, wake: Arc<Notify>, stop: CancellationToken) {
    let Some(mut redis) = streams.connect_patiently(&stop).await else { return };
    let mut reconnect = Reconnect::new();
    while !stop.is_cancelled() {
        match round(&pool, &streams, &mut redis).await {
            Ok(Round::Full) => reconnect = Reconnect::new(),
            Ok(Round::Drained(sleep)) => {
                reconnect = Reconnect::new();
                tokio::select! {
                    () = wake.notified() => {}
                    () = tokio::time::sleep(sleep) => {}
                    () = stop.cancelled() => return,
                }
            }
            Err(error) => {
                if reconnect.is_first() {
                    tracing::warn!(%error, "dispatch waits");
                }
                tokio::select! {
                    () = reconnect.pause() => {}
                    () = stop.cancelled() => return,
                }
                if matches!(error, DispatchError::Redis(_)) {
                    let Some(connection) = streams.connect_patiently(&stop).await else { return };
                    redis = connection;
                }
            }
        }
    }
}

enum Round {
    /// There may be more.
    Full,
    /// Nothing more is due for this long.
    Drained(Duration),
}

#[derive(Debug, thiserror::Error)]
enum DispatchError {
    #[error("postgres: {0}")]
    Postgres(#[from] sqlx::Error),
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
}

async fn round(pool: &PgPool, streams: &Streams, redis: &mut MultiplexedConnection) -> Result<Round, DispatchError> {
    let mut connection = pool.acquire().await?;
    let dispatches = jobs::take_due(&mut connection, ROUND).await?;
    if dispatches.is_empty() {
        let seconds = jobs::seconds_until_due(&mut connection).await?;
        let sleep = seconds.map_or(MAX_SLEEP, |seconds| {
            Duration::try_from_secs_f64(seconds + 0.001).unwrap_or(MAX_SLEEP).min(MAX_SLEEP)
        });
        return Ok(Round::Drained(sleep));
    }
    match streams.add(redis, &dispatches).await {
        Ok(entry_ids) => jobs::record_stream_ids(&mut connection, &dispatches, &entry_ids).await?,
        Err(error) => {
            jobs::undo_dispatch(&mut connection, &dispatches).await?;
            return Err(error.into());
        }
    }
    Ok(Round::Full)
}

/// Wakes the dispatch loop when a process outside this one enqueued.
pub(super) async fn listen(pool: PgPool, wake: Arc<Notify>, stop: CancellationToken) {
    let mut reconnect = Reconnect::new();
    while !stop.is_cancelled() {
        let listened = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(jobs::NOTIFY_CHANNEL).await?;
            wake.notify_one();
            loop {
                // `None` says that the connection broke and what was sent meanwhile is lost: a reason to look, too.
                listener.try_recv().await?;
                reconnect = Reconnect::new();
                wake.notify_one();
            }
        };
        let listened: Result<(), sqlx::Error> = tokio::select! {
            ended = listened => ended,
            () = stop.cancelled() => return,
        };
        if let Err(error) = listened
            && reconnect.is_first()
        {
            tracing::warn!(%error, "the notification channel broke");
        }
        reconnect.pause().await;
    }
}
