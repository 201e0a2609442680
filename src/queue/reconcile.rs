//! Postgres against Redis: what Redis lost is sent again, what a vanished worker held runs again.
//!
//! A message sent twice is harmless: both carry the same attempt and only one is claimed.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{backoff::Reconnect, dispatch::Wake, outages::Outages, servers::Masters, streams::Streams};
use crate::{
    domain::ids::WorkerId,
    faults::{self, Mutation},
    metrics,
    store::{
        jobs::{self, Dispatch},
        workers::GONE_AFTER_SECS,
    },
};

/// Rows looked up in one round.
const ROUND: i64 = 500;
/// How long a job may be with Redis before somebody looks.
const AGE_SECS: f64 = 30.0;
const EVERY: Duration = Duration::from_secs(5);

/// Reconciles for a worker until told to stop: every five seconds, and at once when Redis was away or emptied.
pub(super) async fn run(
    (pool, worker): (PgPool, WorkerId),
    streams: Streams,
    outages: Outages,
    wake: Wake,
    stop: CancellationToken,
) {
    let Some(mut redis) = streams.masters_patiently(&stop).await else { return };
    if faults::is_planted(Mutation::ReconcileOff) {
        return stop.cancelled().await;
    }
    loop {
        let age = tokio::select! {
            () = outages.wait() => 0.0,
            () = tokio::time::sleep(EVERY) => AGE_SECS,
            () = stop.cancelled() => return,
        };
        let mut reconnect = Reconnect::new();
        loop {
            if age <= 0.0 {
                outages.look();
            }
            let Err(error) = round((&pool, worker), &streams, &mut redis, age).await else { break };
            if reconnect.is_first() {
                tracing::warn!(%error, "reconciliation waits");
            }
            tokio::select! {
                () = reconnect.pause() => {}
                () = stop.cancelled() => return,
            }
            let Some(masters) = streams.masters_patiently(&stop).await else { return };
            redis = masters;
        }
        wake.now();
    }
}

#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error("postgres: {0}")]
    Postgres(#[from] sqlx::Error),
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
}

async fn round(
    (pool, worker): (&PgPool, WorkerId),
    streams: &Streams,
    redis: &mut Masters,
    age_seconds: f64,
) -> Result<(), ReconcileError> {
    let mut connection = pool.acquire().await?;
    // Fixed for the round, so that it sees every job once and ends.
    let checked_before = jobs::instant_before(&mut connection, age_seconds).await?;
    loop {
        let unchecked = jobs::take_unchecked(&mut connection, checked_before, ROUND).await?;
        let lost = lost(streams, redis, &unchecked).await?;
        if !lost.is_empty() {
            tracing::warn!(count = lost.len(), "redis lost jobs; they are sent again");
            streams.add(redis, &lost).await?;
            for dispatch in &lost {
                metrics::process().jobs_redispatched(&dispatch.queue, 1);
            }
        }
        if i64::try_from(unchecked.len()).unwrap_or(ROUND) < ROUND {
            break;
        }
    }
    let orphans = jobs::attempts_of_lost_workers(&mut connection, worker, GONE_AFTER_SECS, ROUND).await?;
    if !orphans.is_empty() {
        let count = jobs::record_worker_deaths(&mut connection, &orphans).await?;
        metrics::process().jobs_rescued(count);
        tracing::warn!(count, "jobs of vanished workers run again");
    }
    Ok(())
}

/// Returns the dispatches that Redis no longer has. A lane's stream is short, so it is read whole.
async fn lost(streams: &Streams, redis: &mut Masters, dispatches: &[Dispatch]) -> redis::RedisResult<Vec<Dispatch>> {
    let mut present = HashMap::new();
    for lane in dispatches.iter().map(|dispatch| dispatch.queue.as_str()).collect::<HashSet<_>>() {
        present.insert(lane, streams.messages(redis, lane).await?);
    }
    let is_lost = |dispatch: &&Dispatch| {
        present.get(dispatch.queue.as_str()).is_none_or(|sent| !sent.contains(&(dispatch.id, dispatch.attempt)))
    };
    Ok(dispatches.iter().filter(is_lost).cloned().collect())
}
