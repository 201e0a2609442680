//! One worker process: every lane's reader, keeper, acker and apalis worker, and the loops beside them.
//!
//! All workers are alike; more of them means starting this again elsewhere. Stopping fetches nothing more, lets what
//! runs finish within the grace, and hands the rest back so that another worker starts it at once.

use std::{sync::Arc, time::Duration};

use apalis::layers::WorkerBuilderExt;
use apalis::prelude::{WorkerBuilder, WorkerError};
use futures::{FutureExt, future::join_all};
use sqlx::PgPool;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Attempt, Finished, Surroundings},
    backend::{Claimed, KeepError, Lane, Leases, StreamBackend},
    backoff::Reconnect,
    dispatch::{Dispatcher, Wake},
    in_hand::InHand,
    intake::Intake,
    job::{JobError, Queue},
    notices,
    outages::Outages,
    prefetch, rates, reconcile,
    registry::Registry,
    schedules::Ticking,
    settle::SettleLayer,
    streams::Streams,
};
use crate::{
    domain::ids::WorkerId,
    metrics::{self, WatchedPool},
    store::{database, jobs, workers},
};

/// How often a worker says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a claim or an outcome may be on its way before the job counts as forgotten: longer than an outage of Postgres
/// that nobody notices.
const FORGOTTEN_SECS: f64 = 30.0;
/// How long the last acknowledgements may take when stopping.
const FLUSH: Duration = Duration::from_secs(3);

/// What operators may set about a worker.
pub struct WorkerSettings {
    /// Shown to operators: host and process.
    pub name: String,
    /// Jobs of one lane that run at once, by queue.
    pub concurrency: Box<dyn Fn(Queue) -> usize + Send + Sync>,
    /// How long a silent worker keeps its jobs.
    pub lease: Duration,
    /// How long running jobs may finish after a stop.
    pub grace: Duration,
    /// First wait before a retry; it doubles with each failure.
    pub retry_base: Duration,
}

/// A worker, ready to run.
pub struct Worker<C> {
    /// Where the ledger is.
    pub pool: PgPool,
    /// Where the queue is.
    pub streams: Streams,
    /// What can be run.
    pub registry: Arc<Registry<C>>,
    /// What handlers work with.
    pub context: C,
    /// What operators set.
    pub settings: WorkerSettings,
}

/// What all lanes and loops of one worker share.
struct Running<C> {
    worker: Worker<C>,
    /// The queue's own ways to the ledger: for all that must last, and for dispatches and claims.
    ledger: PgPool,
    flow: PgPool,
    id: WorkerId,
    wake: Wake,
    in_hand: InHand,
    outages: Outages,
    /// Nothing more is fetched: somebody said so, or a loop broke.
    stop: CancellationToken,
    /// Nothing runs any more.
    drained: CancellationToken,
    loops: JoinSet<()>,
    _watched: [WatchedPool; 3],
}

/// Says why a worker ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum StoppedWorking {
    /// The database could not be reached at the start.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A worker with a loop missing would look alive and do half of its work.
    #[error("a part of the worker broke, the log says which; what ran was finished or handed back: start it again")]
    Broken,
}

impl<C: Clone + Send + Sync + 'static> Worker<C> {
    /// Works until `stop` is cancelled, then drains.
    ///
    /// # Errors
    /// When the database cannot be reached at the start (later absences are waited out), or a loop broke.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StoppedWorking> {
        let id = WorkerId::new();
        workers::record_heartbeat(&mut *self.pool.acquire().await?, id, &self.settings.name).await?;
        tracing::info!(worker_id = %id, name = self.settings.name, "the worker started");
        let (ledger, flow) = (database::ledger_pool(&self.pool), database::flow_pool(&self.pool));
        let pools = [("handlers", &self.pool), ("ledger", &ledger), ("flow", &flow)];
        let mut running = Running {
            id,
            _watched: pools.map(|(kind, pool)| metrics::process().watch_pool(kind, pool)),
            ledger,
            flow,
            worker: self,
            wake: Wake::default(),
            in_hand: InHand::default(),
            outages: Outages::default(),
            stop: stop.child_token(),
            drained: CancellationToken::new(),
            loops: JoinSet::new(),
        };
        running.start_loops();
        running.work().await;
        if stop.is_cancelled() { Ok(()) } else { Err(StoppedWorking::Broken) }
    }
}

impl<C: Clone + Send + Sync + 'static> Running<C> {
    fn start_loops(&mut self) {
        let Worker { streams, registry, settings, .. } = &self.worker;
        let (pool, streams, wake) = (self.ledger.clone(), streams.clone(), self.wake.clone());
        let intake = Intake {
            pool: pool.clone(),
            streams: streams.clone(),
            registry: registry.clone(),
            consumer: self.id.to_string(),
            wake: wake.clone(),
            stop: self.stop.clone(),
        };
        let reconcile = reconcile::run(
            (pool.clone(), self.id),
            streams.clone(),
            self.outages.clone(),
            wake.clone(),
            self.stop.clone(),
        );
        let beats = heartbeat(pool.clone(), self.id, settings.name.clone(), self.in_hand.clone(), self.drained.clone());
        // What running jobs leave behind when they finish is sent to whoever works on.
        let ticking = Ticking {
            pool: pool.clone(),
            registry: registry.clone(),
            wake: wake.clone(),
            changed: Arc::default(),
            stop: self.stop.clone(),
        };
        let flow = (self.flow.clone(), wake.clone());
        let dispatcher = Dispatcher::new(flow, streams, self.outages.clone(), registry.lanes(), self.drained.clone());
        self.spawn_loop(intake.run());
        self.spawn_loop(reconcile);
        self.spawn_loop(rates::run(self.ledger.clone(), self.stop.clone()));
        self.spawn_loop(beats);
        let notices = notices::listen(pool, wake, self.in_hand.clone(), ticking.changed.clone(), self.stop.clone());
        self.spawn_loop(notices);
        self.spawn_loop(ticking.run());
        self.spawn_loop(dispatcher.run());
    }

    /// Starts a loop that ends when told to; should it end otherwise, a panic included, the worker stops.
    fn spawn_loop(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let ended = self.stop.clone().drop_guard();
        self.loops.spawn(async move {
            work.await;
            drop(ended);
        });
    }

    async fn work(mut self) {
        let mut lanes = Vec::new();
        let mut ackers = JoinSet::new();
        let mut workers = Vec::new();
        let max_backoffs = Arc::new(self.worker.registry.max_backoffs());
        let attempts = metrics::process().attempts(self.worker.registry.kinds());
        for (queue, name) in self.worker.registry.lanes().clone().iter() {
            metrics::process().jobs_redispatched(name, 0);
            let lane = self.lane(name);
            let (settled, settled_receiver) = mpsc::unbounded_channel();
            let concurrency = (self.worker.settings.concurrency)(*queue).max(1);
            let (jobs, jobs_receiver) = mpsc::channel(concurrency * prefetch::MOST);
            self.spawn_loop(lane.clone().read(jobs, settled.clone()));
            self.spawn_loop(lane.clone().keep());
            ackers.spawn(lane.clone().acknowledge(settled_receiver));
            let layer = SettleLayer {
                pool: self.ledger.clone(),
                worker_id: self.id,
                settled,
                wake: self.wake.clone(),
                retry_base: self.worker.settings.retry_base,
                max_backoffs: max_backoffs.clone(),
                attempts: attempts.clone(),
            };
            workers.push(self.run_lane(name, StreamBackend::new(jobs_receiver, layer), concurrency));
            lanes.push(lane);
        }
        self.drain(join_all(workers).map(drop), ackers).await;
        self.hand_back(&lanes).await;
        tracing::info!(worker_id = %self.id, "the worker stopped");
    }

    /// Works until told to stop, lets what runs finish within the grace, and ends the loops: nothing is claimed, renewed
    /// or sent after this.
    async fn drain(&mut self, working: impl Future<Output = ()>, mut ackers: JoinSet<()>) {
        {
            let mut working = Box::pin(working);
            tokio::select! {
                () = &mut working => {}
                () = self.stop.cancelled() => {
                    tracing::info!(grace = ?self.worker.settings.grace, "stopping: no more jobs are fetched");
                    if tokio::time::timeout(self.worker.settings.grace, working).await.is_err() {
                        tracing::warn!("the grace is over; running jobs are handed back");
                    }
                }
            }
        }
        let flushed = tokio::time::timeout(FLUSH, async {
            while ackers.join_next().await.is_some() {}
            self.drained.cancel();
            while self.loops.join_next().await.is_some() {}
        });
        if flushed.await.is_err() {
            tracing::warn!("a server did not take the last words; stale copies are dropped later");
        }
        self.drained.cancel();
        ackers.shutdown().await;
        self.loops.shutdown().await;
    }

    fn lane(&self, name: &str) -> Lane {
        Lane {
            name: name.to_owned(),
            key: self.worker.streams.lane_key(name),
            consumer: self.id.to_string(),
            worker_id: self.id,
            lease: self.worker.settings.lease,
            pool: self.ledger.clone(),
            flow: self.flow.clone(),
            streams: self.worker.streams.clone(),
            leases: Leases::default(),
            in_hand: self.in_hand.clone(),
            outages: self.outages.clone(),
            wake: self.wake.clone(),
            stop: self.stop.clone(),
            drained: self.drained.clone(),
        }
    }

    fn run_lane(
        &self,
        name: &str,
        backend: StreamBackend,
        concurrency: usize,
    ) -> impl Future<Output = Result<(), WorkerError>> + use<C> {
        let stopped = self.stop.clone().cancelled_owned().map(Ok::<(), WorkerError>);
        let ended = self.stop.clone().drop_guard();
        let execution = Arc::new(Execution {
            registry: self.worker.registry.clone(),
            context: self.worker.context.clone(),
            surroundings: Surroundings {
                worker_id: self.id,
                pool: self.worker.pool.clone(),
                streams: self.worker.streams.clone(),
                lanes: self.worker.registry.lanes().clone(),
                wake: self.wake.clone(),
            },
        });
        WorkerBuilder::new(format!("{name}@{}", self.id).as_str())
            .backend(backend)
            .concurrency(concurrency)
            .catch_panic()
            .build(move |claimed: Claimed| {
                let execution = execution.clone();
                async move { execution.run(claimed).await }
            })
            .run_until(stopped)
            .inspect(move |_| drop(ended))
    }

    /// Gives everything still held back: to the ledger first, then as fresh copies to Redis.
    async fn hand_back(&self, lanes: &[Lane]) {
        let given_back = async {
            let mut connection = self.ledger.acquire().await?;
            jobs::hand_back(&mut connection, self.id).await?;
            workers::remove_worker(&mut connection, self.id).await?;
            Ok::<_, sqlx::Error>(())
        };
        match tokio::time::timeout(FLUSH, given_back).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "running jobs could not be handed back; they are rescued later");
                return;
            }
            Err(_) => {
                tracing::warn!("postgres did not take the running jobs back; they are rescued later");
                return;
            }
        }
        let resent = async {
            let streams = &self.worker.streams;
            let mut masters = streams.connect_to_masters().await?;
            let mut count = 0;
            for lane in lanes {
                count += lane.hand_back(masters.of(&lane.key).await?).await?;
            }
            let intake = masters.of(&streams.intake_key()).await?;
            Intake::<C>::leave(streams, intake, &self.id.to_string()).await?;
            Ok::<_, KeepError>(count)
        };
        match tokio::time::timeout(FLUSH, resent).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!(count, "unfinished jobs were handed back"),
            Ok(Err(error)) => tracing::warn!(%error, "redis did not take the jobs back; they are sent again later"),
            Err(_) => tracing::warn!("redis did not take the jobs back; they are sent again later"),
        }
    }
}

/// What running one claimed job takes.
struct Execution<C> {
    registry: Arc<Registry<C>>,
    context: C,
    surroundings: Surroundings,
}

impl<C: Clone + Send + Sync + 'static> Execution<C> {
    async fn run(&self, claimed: Claimed) -> Result<Finished, JobError> {
        let Some(handler) = self.registry.find(&claimed.job.kind) else {
            // While an update rolls out, a worker of the next release may know it.
            return Err(JobError::transient(format!("this release knows no job `{}`", claimed.job.kind)));
        };
        let attempt = Attempt::new(&claimed.job, self.surroundings.clone(), claimed.held.cancelled.clone());
        let run = (handler.run)(self.context.clone(), attempt, claimed.job.payload);
        tokio::time::timeout(handler.timeout, run).await.unwrap_or_else(|_| {
            Err(JobError::transient(format!("{} took longer than {:?}", handler.kind, handler.timeout)))
        })
    }
}

/// Says that the worker lives, on a connection of its own: jobs that use up the pool must not make it look dead.
async fn heartbeat(pool: PgPool, id: WorkerId, name: String, in_hand: InHand, drained: CancellationToken) {
    let mut reconnect = Reconnect::new();
    while !drained.is_cancelled() {
        let beats = async {
            let mut connection = pool.acquire().await?;
            loop {
                workers::record_heartbeat(&mut connection, id, &name).await?;
                // A cancellation whose notice was lost is heard of here.
                in_hand.cancel(&jobs::cancelled_on(&mut connection, id).await?);
                // Only looked at: a lock on what it would write must not make a worker seem dead.
                let forgotten = jobs::forgotten_on(&mut connection, id, &in_hand.jobs(), FORGOTTEN_SECS).await?;
                if !forgotten.is_empty() {
                    let count = jobs::hand_back_forgotten(&mut connection, id, &forgotten, FORGOTTEN_SECS).await?;
                    tracing::warn!(count, "jobs that this worker claimed without hearing so run again");
                }
                reconnect = Reconnect::new();
                tokio::time::sleep(HEARTBEAT).await;
            }
        };
        let beats: Option<sqlx::Result<()>> = drained.run_until_cancelled(beats).await;
        if let Some(Err(error)) = beats
            && reconnect.is_first()
        {
            tracing::warn!(%error, "the heartbeat was not recorded");
        }
        drained.run_until_cancelled(reconnect.pause()).await;
    }
}
