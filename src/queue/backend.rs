//! The apalis [`Backend`] over one lane's stream, and the three tasks that do its I/O.
//!
//! `poll_next` only receives from a channel; Redis and Postgres are spoken to elsewhere, where their absence is waited
//! out, because any error a backend returns would end the worker. The reader claims what it fetched before handing it
//! on, the keeper renews leases and rescues what dead workers held, the acker removes what is settled, in batches.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder},
    worker::context::WorkerContext,
};
use redis::aio::MultiplexedConnection;
use sqlx::PgPool;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Reconnect,
    dispatch::Wake,
    in_hand::{Held, InHand},
    outages::Outages,
    prefetch::{self, Prefetch},
    settle::{SettleLayer, Settled, Verdict},
    streams::{self, Message, Streams},
};
use crate::{
    domain::ids::{JobId, WorkerId},
    faults::{self, Mutation, Point},
    metrics,
    store::jobs::{self, ClaimedJob},
};

/// Outcomes written and entries removed in one go.
const ACK_BATCH: usize = 512;
/// Entries renewed in one command, and taken over in one round.
const KEEPER_BATCH: usize = 100;

/// How often in a lease the keeper looks: a dead worker's jobs wait for a lease and one look, so at most seven sixths of
/// a lease.
const KEEPER_ROUNDS: u32 = 6;

/// A claimed job and the entry it came with.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub entry_id: String,
    pub job: ClaimedJob,
    pub held: Arc<Held>,
}

/// What the tasks of one lane share.
#[derive(Clone)]
pub(super) struct Lane {
    pub name: String,
    pub key: String,
    pub consumer: String,
    pub worker_id: WorkerId,
    pub lease: Duration,
    pub pool: PgPool,
    pub flow: PgPool,
    pub streams: Streams,
    pub leases: Leases,
    pub in_hand: InHand,
    pub outages: Outages,
    pub wake: Wake,
    /// Nothing more is fetched.
    pub stop: CancellationToken,
    /// Nothing runs any more.
    pub drained: CancellationToken,
}

/// The entries this worker holds in a lane.
#[derive(Clone, Default)]
pub(super) struct Leases(Arc<Mutex<HashMap<String, (JobId, i32)>>>);

impl Leases {
    fn add(&self, messages: &[Message]) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(messages.iter().map(|message| (message.entry_id.clone(), (message.job, message.attempt))));
    }

    fn remove(&self, entry_ids: &[String]) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for entry_id in entry_ids {
            held.remove(entry_id);
        }
    }

    fn entry_ids(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    fn holds(&self, entry_id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(entry_id)
    }
}

/// Feeds one apalis worker from one lane.
pub(super) struct StreamBackend {
    jobs: mpsc::Receiver<Claimed>,
    layer: SettleLayer,
}

impl StreamBackend {
    pub fn new(jobs: mpsc::Receiver<Claimed>, layer: SettleLayer) -> Self {
        Self { jobs, layer }
    }
}

impl Backend for StreamBackend {
    type Task = Task<Claimed>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Infallible>>> {
        self.jobs.poll_recv(cx).map(|job| job.map(|claimed| Ok(TaskBuilder::new(claimed).build())))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for StreamBackend {
    type Args = Claimed;
    type Id = String;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = SettleLayer;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> SettleLayer {
        self.layer.clone()
    }
}

impl Lane {
    /// Fetches and claims, as much as there is room for, until told to stop. What is no work goes to the acker at once.
    pub async fn read(self, jobs: mpsc::Sender<Claimed>, settled: mpsc::UnboundedSender<Settled>) {
        let Some(mut redis) = self.streams.connect_patiently(&self.key, &self.stop).await else { return };
        let mut reconnect = Reconnect::new();
        let mut prefetch = Prefetch::new(jobs.max_capacity() / prefetch::MOST);
        while !self.stop.is_cancelled() {
            // Waiting for room before fetching keeps a busy worker from hoarding what another could run.
            let kept = prefetch.depth();
            let room = tokio::select! {
                permits = jobs.reserve_many(jobs.max_capacity() - kept / 2) => match permits {
                    Ok(permits) => { drop(permits); (kept + jobs.capacity()).saturating_sub(jobs.max_capacity()).max(1) }
                    Err(_) => return,
                },
                () = self.stop.cancelled() => return,
            };
            prefetch.is_half_used(Instant::now());
            let entries = tokio::select! {
                entries = streams::read(&mut redis, &self.key, &self.consumer, room) => entries,
                () = self.stop.cancelled() => return,
            };
            match entries {
                Ok(entries) => {
                    reconnect = Reconnect::new();
                    let count = entries.len();
                    if count > 0 {
                        faults::reached(Point::AfterFetch);
                    }
                    let messages = self.accept_messages(entries, &settled);
                    for claimed in self.claim(messages, &settled).await {
                        let sent = self.stop.run_until_cancelled(jobs.send(claimed)).await;
                        if !matches!(sent, Some(Ok(()))) {
                            return;
                        }
                    }
                    prefetch.fetched(count, room, Instant::now());
                }
                Err(error) => {
                    let seen_at = Instant::now();
                    if streams::is_group_missing(&error) && self.restore_group(&mut redis, seen_at).await {
                        continue;
                    }
                    if reconnect.is_first() {
                        tracing::warn!(lane = self.name, %error, "the reader lost redis");
                    }
                    self.stop.run_until_cancelled(reconnect.pause()).await;
                    let Some(connection) = self.streams.connect_patiently(&self.key, &self.stop).await else { return };
                    redis = connection;
                    self.restore_group(&mut redis, seen_at).await;
                }
            }
        }
    }

    /// Goes on after Redis was away or emptied, as seen at this moment: the group is there again, and what may be lost is
    /// looked for. Returns whether Redis took it.
    async fn restore_group(&self, redis: &mut MultiplexedConnection, seen_at: Instant) -> bool {
        let created = streams::create_group(redis, &self.key).await;
        if created.is_ok() {
            self.outages.over(seen_at);
        }
        created.is_ok()
    }

    /// Decodes entries; one that is no message is said and settled, and stops nobody.
    fn accept_messages(
        &self,
        entries: Vec<redis::streams::StreamId>,
        settled: &mpsc::UnboundedSender<Settled>,
    ) -> Vec<Message> {
        let mut messages = Vec::with_capacity(entries.len());
        let mut poison = Vec::new();
        for entry in entries {
            match streams::decode(entry) {
                Ok(message) => messages.push(message),
                Err(unreadable) => poison.push(unreadable.entry_id),
            }
        }
        if !poison.is_empty() {
            tracing::error!(lane = self.name, entries = ?poison, "entries that are no jobs are removed");
        }
        for entry_id in poison {
            let _ = settled.send(Settled::without_outcome(entry_id));
        }
        self.leases.add(&messages);
        messages
    }

    /// Claims messages in the ledger; stale copies are settled: the lease on one holds until it is removed, as nobody may
    /// take it for the trace of a worker that died at the job.
    async fn claim(&self, messages: Vec<Message>, settled: &mpsc::UnboundedSender<Settled>) -> Vec<Claimed> {
        if messages.is_empty() {
            return Vec::new();
        }
        let wanted: Vec<(JobId, i32)> = messages.iter().map(|message| (message.job, message.attempt)).collect();
        let mut reconnect = Reconnect::new();
        let claimed = loop {
            let outcome = async {
                let mut connection = self.flow.acquire().await?;
                jobs::claim(&mut connection, self.worker_id, &wanted).await
            };
            match outcome.await {
                Ok(claimed) => break claimed,
                Err(error) if reconnect.is_first() => {
                    tracing::warn!(lane = self.name, %error, "jobs wait to be claimed");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = reconnect.pause() => {}
                () = self.stop.cancelled() => return Vec::new(),
            }
        };
        let mut by_job: HashMap<JobId, ClaimedJob> = claimed.into_iter().map(|job| (job.id, job)).collect();
        let mut jobs = Vec::with_capacity(by_job.len());
        for Message { entry_id, job, .. } in messages {
            match by_job.remove(&job) {
                Some(job) => {
                    let held = Arc::new(self.in_hand.take(job.id, job.attempt));
                    jobs.push(Claimed { entry_id, job, held });
                }
                None => drop(settled.send(Settled::without_outcome(entry_id))),
            }
        }
        jobs
    }

    /// Renews what this worker holds and rescues what others left, several times a lease. Renews until all is drained:
    /// what still runs after a stop is nobody else's.
    pub async fn keep(self) {
        let Some(mut redis) = self.streams.connect_patiently(&self.key, &self.drained).await else { return };
        let mut connected_at = Instant::now();
        let mut reconnect = Reconnect::new();
        if let Err(error) = streams::remove_idle_consumers(&mut redis, &self.key).await {
            tracing::debug!(lane = self.name, %error, "no old consumers to remove");
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.lease / KEEPER_ROUNDS) => {}
                () = self.drained.cancelled() => return,
            }
            // After Redis was away everybody's leases look old: others get the time to renew theirs first.
            let may_rescue = connected_at.elapsed() >= self.lease && !self.stop.is_cancelled();
            let error = match self.keep_once(&mut redis, may_rescue).await {
                Ok(()) => {
                    reconnect = Reconnect::new();
                    continue;
                }
                Err(KeepError::Redis(error))
                    if streams::is_group_missing(&error) && self.restore_group(&mut redis, Instant::now()).await =>
                {
                    continue;
                }
                Err(error) => error,
            };
            if reconnect.is_first() {
                tracing::warn!(lane = self.name, %error, "the keeper waits");
            }
            self.drained.run_until_cancelled(reconnect.pause()).await;
            if matches!(error, KeepError::Redis(_)) {
                let Some(connection) = self.streams.connect_patiently(&self.key, &self.drained).await else { return };
                (redis, connected_at) = (connection, Instant::now());
            }
        }
    }

    async fn keep_once(&self, redis: &mut MultiplexedConnection, may_rescue: bool) -> Result<(), KeepError> {
        let held = if faults::is_planted(Mutation::RenewalOff) { Vec::new() } else { self.leases.entry_ids() };
        for entry_ids in held.chunks(KEEPER_BATCH) {
            streams::renew(redis, &self.key, &self.consumer, entry_ids).await?;
        }
        if !may_rescue {
            return Ok(());
        }
        let entries = streams::take_over(redis, &self.key, &self.consumer, self.lease, KEEPER_BATCH).await?;
        let (mut left, mut attempts, mut old) = (Vec::new(), Vec::new(), Vec::new());
        for (holder, entry) in entries.into_iter().filter(|(_, entry)| !self.leases.holds(&entry.id)) {
            old.push(entry.id.clone());
            let Ok(message) = streams::decode(entry) else { continue };
            // An entry of this worker's own that is no lease was lost on its way here: nobody died.
            if holder != self.consumer {
                attempts.extend(holder.parse().ok().map(|worker| (message.job, message.attempt, worker)));
            }
            left.push(message);
        }
        if old.is_empty() {
            return Ok(());
        }
        // Renewing must not wait for a pool that is used up.
        let acquired = tokio::time::timeout(self.lease / KEEPER_ROUNDS, self.pool.acquire()).await;
        let mut connection = acquired.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        let deaths = jobs::record_worker_deaths(&mut connection, &attempts).await?;
        metrics::process().jobs_rescued(deaths);
        tracing::warn!(lane = self.name, entries = left.len(), deaths, "jobs of a vanished worker were rescued");
        // What the dead worker had fetched but not started is still claimable: a fresh copy brings it to whoever is free.
        self.send_again(redis, &left).await?;
        streams::remove(redis, &self.key, &old).await?;
        self.wake.now();
        Ok(())
    }

    /// Sends what this worker still holds on to others, as fresh copies. Returns how many.
    pub async fn hand_back(&self, redis: &mut MultiplexedConnection) -> Result<usize, KeepError> {
        let held = match streams::held(redis, &self.key, &self.consumer).await {
            Err(error) if streams::is_group_missing(&error) => return Ok(0),
            held => held?,
        };
        let messages: Vec<Message> = held.into_iter().filter_map(|entry| streams::decode(entry).ok()).collect();
        if !messages.is_empty() {
            self.send_again(redis, &messages).await?;
            let old: Vec<String> = messages.iter().map(|message| message.entry_id.clone()).collect();
            streams::remove(redis, &self.key, &old).await?;
        }
        streams::remove_consumer(redis, &self.key, &self.consumer).await?;
        Ok(messages.len())
    }

    async fn send_again(&self, redis: &mut MultiplexedConnection, messages: &[Message]) -> Result<(), KeepError> {
        let copies = messages.iter().map(|message| (self.key.as_str(), message.job, message.attempt));
        Ok(streams::add(redis, copies).await?)
    }

    /// Writes outcomes that stand alone and removes settled entries, until no handler is left to send any.
    pub async fn acknowledge(self, mut settled: mpsc::UnboundedReceiver<Settled>) {
        let Some(mut redis) = self.streams.connect_patiently(&self.key, &self.drained).await else { return };
        let mut batch = Vec::with_capacity(ACK_BATCH);
        while settled.recv_many(&mut batch, ACK_BATCH).await > 0 {
            let superseded = self.record(&batch).await;
            if batch.iter().any(|settled| settled.is_in_batch) {
                self.wake.now();
            } else {
                self.wake.job_ended();
            }
            let entry_ids: Vec<String> = batch.drain(..).map(|settled| settled.entry_id).collect();
            let mut reconnect = Reconnect::new();
            while let Err(error) = self.replace(&mut redis, &entry_ids, &superseded).await {
                if reconnect.is_first() {
                    tracing::warn!(lane = self.name, %error, "settled jobs wait to be removed from redis");
                }
                reconnect.pause().await;
                let Some(connection) = self.streams.connect_patiently(&self.key, &self.drained).await else { return };
                redis = connection;
            }
            self.leases.remove(&entry_ids);
        }
    }

    /// Removes entries, and sends copies of those whose attempt was not this worker's: whoever fetches one asks the ledger
    /// again, which gives the job to them if it is nobody's and refuses it otherwise.
    async fn replace(
        &self,
        redis: &mut MultiplexedConnection,
        entry_ids: &[String],
        superseded: &[(JobId, i32)],
    ) -> redis::RedisResult<()> {
        if !superseded.is_empty() {
            let copies = superseded.iter().map(|(job, attempt)| (self.key.as_str(), *job, *attempt));
            streams::add(redis, copies).await?;
        }
        streams::remove(redis, &self.key, entry_ids).await
    }

    /// Writes that attempts are done. Returns those that may not be this worker's any more.
    async fn record(&self, settled: &[Settled]) -> Vec<(JobId, i32)> {
        let (mut finished, mut superseded) = (Vec::new(), Vec::new());
        for settled in settled {
            match &settled.verdict {
                Verdict::Recorded => {}
                Verdict::Done(job, attempt, message) => finished.push((*job, *attempt, message.clone())),
                Verdict::Superseded(job, attempt) => superseded.push((*job, *attempt)),
            }
        }
        if finished.is_empty() {
            return superseded;
        }
        let mut reconnect = Reconnect::new();
        loop {
            let written = async {
                let mut connection = self.pool.acquire().await?;
                jobs::finish_all(&mut connection, self.worker_id, &finished).await
            };
            match written.await {
                Ok(count) if usize::try_from(count).is_ok_and(|count| count == finished.len()) => break,
                // Which of them is not asked: a copy of one that is recorded is refused like any other.
                Ok(_) => {
                    superseded.extend(finished.iter().map(|(job, attempt, _)| (*job, *attempt)));
                    break;
                }
                Err(error) if reconnect.is_first() => {
                    tracing::warn!(lane = self.name, %error, "outcomes wait to be recorded");
                }
                Err(_) => {}
            }
            reconnect.pause().await;
        }
        superseded
    }
}

/// Which server failed the keeper.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    #[error("postgres: {0}")]
    Postgres(#[from] sqlx::Error),
}
