//! `billrunner bench queue`: how fast the queue is on this machine, with an empty database and a Redis of one's own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand, ValueEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Failure, Output, bench_http::HttpDoor, bench_import, setup};
use crate::{
    config::Config,
    queue::{
        Attempt, Finished, Job, JobError, JobOptions, Queue, Registry, RequestId, StoppedWorking, Streams, Worker,
        WorkerSettings,
    },
    store::{
        bench, database,
        job_list::{self, JobFilter},
        jobs,
    },
};

/// Jobs accepted in one statement, and how many tasks do so.
const ACCEPTED_AT_ONCE: usize = 500;
const PRODUCERS: usize = 2;
/// How often the last outcomes are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Jobs of the history that are listed, and that are pruned in one step; half of it is older than the retention.
const SHOWN: i64 = 50;
const PRUNED: i64 = 1000;
const RETENTION_DAYS: i32 = 90;
/// Connections for those who hand jobs in and look for the end, beside one for each job that runs.
const CONNECTIONS: u32 = 2;

pub(super) const USED: &str = "the database that DATABASE_URL names holds customers or jobs already, and the benchmark would empty it; \
                    name a new one, for example: bin/with-servers billrunner bench queue";

/// What is measured.
#[derive(Subcommand)]
pub enum Command {
    /// The queue: jobs a second through the whole ledger, and the time from accepting a job to its start.
    Queue(Arguments),
    /// The import of charge files: rows a second beside `psql \copy` of the same file.
    Import(bench_import::Arguments),
}

/// Arguments of `bench queue`.
#[derive(Args)]
pub struct Arguments {
    /// What the jobs do.
    #[arg(long, value_enum, default_value = "noop")]
    scenario: Scenario,
    /// How many jobs.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    jobs: u32,
    /// Finished jobs that the ledger holds already: what years of work do to its tables.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=100_000_000))]
    history: i64,
    /// How many run at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    concurrency: u32,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Scenario {
    /// Nothing; measured from the first job accepted to the last one recorded as done.
    Noop,
    /// Read a row, insert a row, and the outcome, in one transaction; accepted beforehand.
    Realistic,
    /// Nothing, one at a time at the Redis door: from the request to the start of its handler.
    Latency,
    /// The same at the HTTP door, over a connection that is kept.
    LatencyHttp,
}

/// Where requests are sent.
enum Door {
    Redis(redis::aio::MultiplexedConnection),
    Http(HttpDoor),
}

/// What the jobs work with.
#[derive(Clone)]
struct Bench {
    expected: usize,
    ended: Arc<AtomicUsize>,
    all_ended: Arc<Notify>,
    started: mpsc::UnboundedSender<Instant>,
}

impl Bench {
    fn job_ended(&self) {
        if self.ended.fetch_add(1, Ordering::Relaxed) + 1 == self.expected {
            self.all_ended.notify_one();
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Noop {}

impl Job for Noop {
    type Context = Bench;
    const KIND: &'static str = "noop";
    const EVENT_TYPE: &'static str = "billrunner.bench.noop.v1";
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_mins(1);

    async fn run(self, bench: Bench, attempt: Attempt) -> Result<Finished, JobError> {
        let _ = bench.started.send(Instant::now());
        bench.job_ended();
        Ok(attempt.complete_without_effects(""))
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Realistic {
    account_id: i32,
}

impl Job for Realistic {
    type Context = Bench;
    const KIND: &'static str = "realistic";
    const EVENT_TYPE: &'static str = "billrunner.bench.realistic.v1";
    const QUEUE: Queue = Queue::Status;
    const TIMEOUT: Duration = Duration::from_mins(1);

    async fn run(self, bench: Bench, attempt: Attempt) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        bench::read_and_write(effects.connection(), self.account_id).await?;
        let finished = effects.complete("").await?;
        bench.job_ended();
        Ok(finished)
    }
}

#[derive(Serialize)]
struct Measured {
    scenario: Scenario,
    jobs: u32,
    concurrency: u32,
    seconds: f64,
    jobs_per_second: f64,
    history: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    accept_to_start_ms: Option<Percentiles>,
    #[serde(flatten)]
    asked: Option<Asked>,
}

/// How long it takes to ask a long history, and to forget some of it.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "their unit shows in the JSON")]
struct Asked {
    newest_jobs_ms: f64,
    dead_jobs_ms: f64,
    prune_1000_ms: f64,
}

#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
    max: f64,
}

pub async fn run(command: Command, config: &Config, output: Output) -> anyhow::Result<()> {
    match command {
        Command::Queue(arguments) => measure_queue(arguments, config, output).await,
        Command::Import(arguments) => bench_import::run(arguments, config, output).await,
    }
}

async fn measure_queue(arguments: Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let url = config.require("DATABASE_URL", config.database_url.as_ref())?;
    if database::is_used(url).await.context("Postgres cannot be used; check DATABASE_URL")? {
        return Err(Failure::Refused(USED.to_owned()).into());
    }
    setup::migrate(url).await?;
    bench::create(url).await?;
    bench::fill_history(url, arguments.history).await?;
    let course = Course::prepare(config, &arguments).await?;
    let measured = course.run(&arguments).await;
    let asked = match arguments.history {
        0 => None,
        _ => Some(course.ask_history().await?),
    };
    course.streams.delete_all().await?;
    course.pool.close().await;
    bench::clear(url).await?;
    let measured = Measured { asked, ..measured? };
    output.value(&measured, |_| describe(&measured))
}

/// A queue of the benchmark's own.
struct Course {
    pool: PgPool,
    streams: Streams,
    registry: Arc<Registry<Bench>>,
    bench: Bench,
    started: tokio::sync::Mutex<mpsc::UnboundedReceiver<Instant>>,
    concurrency: usize,
}

impl Course {
    async fn prepare(config: &Config, arguments: &Arguments) -> anyhow::Result<Self> {
        let pool = setup::connect_with(config, arguments.concurrency + CONNECTIONS).await?;
        let streams = setup::streams_with_prefix(config, &format!("bench-{}", Uuid::now_v7().simple()))?;
        let (started, receiver) = mpsc::unbounded_channel();
        let bench =
            Bench { expected: arguments.jobs as usize, ended: Arc::default(), all_ended: Arc::default(), started };
        let registry = Arc::new(Registry::new(std::iter::empty()).with::<Noop>().with::<Realistic>());
        let concurrency = arguments.concurrency as usize;
        Ok(Self { pool, streams, registry, bench, started: receiver.into(), concurrency })
    }

    async fn run(&self, arguments: &Arguments) -> anyhow::Result<Measured> {
        let stop = CancellationToken::new();
        let (seconds, latencies) = match arguments.scenario {
            Scenario::Noop => {
                let worker = self.start_worker(&stop);
                let started = Instant::now();
                self.accept(arguments.jobs, |_| Noop {}).await?;
                self.until_done(worker, &stop, started).await?
            }
            Scenario::Realistic => {
                self.accept(arguments.jobs, |n| Realistic { account_id: n % bench::ACCOUNTS }).await?;
                let started = Instant::now();
                let worker = self.start_worker(&stop);
                self.until_done(worker, &stop, started).await?
            }
            Scenario::Latency => self.knock(Door::Redis(self.streams.connect().await?), arguments.jobs, &stop).await?,
            Scenario::LatencyHttp => {
                let door = HttpDoor::open(&self.pool, &self.streams, self.registry.envelope_reader()).await?;
                self.knock(Door::Http(door), arguments.jobs, &stop).await?
            }
        };
        Ok(Measured {
            scenario: arguments.scenario,
            jobs: arguments.jobs,
            concurrency: arguments.concurrency,
            history: arguments.history,
            asked: None,
            seconds,
            jobs_per_second: f64::from(arguments.jobs) / seconds,
            accept_to_start_ms: latencies,
        })
    }

    async fn ask_history(&self) -> anyhow::Result<Asked> {
        let mut connection = self.pool.acquire().await?;
        let milliseconds = |begun: Instant| begun.elapsed().as_secs_f64() * 1000.0;
        let begun = Instant::now();
        job_list::list(&mut connection, &JobFilter::default(), SHOWN).await?;
        let newest_jobs_ms = milliseconds(begun);
        let dead = JobFilter { state: Some("dead".to_owned()), ..JobFilter::default() };
        let begun = Instant::now();
        job_list::list(&mut connection, &dead, SHOWN).await?;
        let dead_jobs_ms = milliseconds(begun);
        let begun = Instant::now();
        let pruned = jobs::prune(&mut connection, RETENTION_DAYS, PRUNED).await?;
        ensure!(pruned == PRUNED, "{pruned} old jobs were pruned instead of {PRUNED}");
        Ok(Asked { newest_jobs_ms, dead_jobs_ms, prune_1000_ms: milliseconds(begun) })
    }

    fn start_worker(&self, stop: &CancellationToken) -> JoinHandle<Result<(), StoppedWorking>> {
        let concurrency = self.concurrency;
        let worker = Worker {
            pool: self.pool.clone(),
            streams: self.streams.clone(),
            registry: self.registry.clone(),
            context: self.bench.clone(),
            settings: WorkerSettings {
                name: "bench".to_owned(),
                concurrency: Box::new(move |_| concurrency),
                lease: Duration::from_secs(15),
                grace: Duration::from_secs(5),
                retry_base: Duration::from_secs(1),
            },
        };
        tokio::spawn(worker.run(stop.clone()))
    }

    /// Accepts jobs in several transactions at once.
    async fn accept<J: Job<Context = Bench>>(&self, count: u32, job: fn(i32) -> J) -> anyhow::Result<()> {
        let numbers: Vec<i32> = (0..i32::try_from(count)?).collect();
        let share = numbers.len().div_ceil(PRODUCERS).max(1);
        let producers = numbers.chunks(share).map(|numbers| self.produce(numbers, job));
        futures::future::try_join_all(producers).await?;
        Ok(())
    }

    async fn produce<J: Job<Context = Bench>>(&self, numbers: &[i32], job: fn(i32) -> J) -> anyhow::Result<()> {
        for some in numbers.chunks(ACCEPTED_AT_ONCE) {
            let new = some.iter().map(|n| {
                let request = RequestId::new("bench", Uuid::now_v7());
                self.registry.prepare(&job(*n), request, "bench", JobOptions::default())
            });
            let new = new.collect::<Result<Vec<_>, _>>()?;
            let mut transaction = self.pool.begin().await?;
            jobs::accept_all(&mut transaction, &new).await?;
            jobs::notify_dispatchers(&mut transaction).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Waits for the last outcome to be recorded, and counts.
    async fn until_done(
        &self,
        worker: JoinHandle<Result<(), StoppedWorking>>,
        stop: &CancellationToken,
        started: Instant,
    ) -> anyhow::Result<(f64, Option<Percentiles>)> {
        self.bench.all_ended.notified().await;
        let mut connection = self.pool.acquire().await?;
        let (seconds, recorded) = loop {
            let seconds = started.elapsed().as_secs_f64();
            if let Some(recorded) = bench::count_done(&mut connection).await? {
                break (seconds, recorded);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        drop(connection);
        stop.cancel();
        worker.await??;
        let ended = self.bench.ended.load(Ordering::Relaxed);
        let expected = self.bench.expected;
        ensure!(ended == expected, "{ended} jobs ran instead of {expected}");
        ensure!(recorded == i64::try_from(expected)?, "{recorded} jobs are recorded as done instead of {expected}");
        Ok((seconds, None))
    }

    /// Sends one request at a time through a door and waits for its start.
    async fn knock(
        &self,
        mut door: Door,
        count: u32,
        stop: &CancellationToken,
    ) -> anyhow::Result<(f64, Option<Percentiles>)> {
        let worker = self.start_worker(stop);
        let mut receiver = self.started.lock().await;
        let mut latencies = Vec::new();
        let begun = Instant::now();
        for n in 0..count {
            let event = serde_json::json!({
                "specversion": "1.0", "id": n.to_string(), "source": "bench", "type": Noop::EVENT_TYPE, "data": {},
            });
            let event = event.to_string();
            let sent = Instant::now();
            match &mut door {
                Door::Redis(redis) => self.streams.add_request(redis, &event).await?,
                Door::Http(http) => http.hand_in(event).await?,
            }
            let started = receiver.recv().await.context("the worker ended")?;
            latencies.push(started.duration_since(sent).as_secs_f64() * 1000.0);
        }
        let seconds = begun.elapsed().as_secs_f64();
        stop.cancel();
        worker.await??;
        if let Door::Http(http) = door {
            http.close().await?;
        }
        latencies.sort_by(f64::total_cmp);
        let at = |share: usize| latencies.get((latencies.len() - 1) * share / 100).copied().unwrap_or_default();
        Ok((seconds, Some(Percentiles { p50: at(50), p99: at(99), max: at(100) })))
    }
}

fn describe(measured: &Measured) -> String {
    let rate = format!(
        "{} jobs in {:.2} s with {} at once: {:.0} a second",
        measured.jobs, measured.seconds, measured.concurrency, measured.jobs_per_second
    );
    let latency = measured
        .accept_to_start_ms
        .as_ref()
        .map(|ms| format!("from request to start: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", ms.p50, ms.p99, ms.max));
    let asked = measured.asked.as_ref().map(|asked| {
        let Asked { newest_jobs_ms, dead_jobs_ms, prune_1000_ms } = asked;
        format!(
            "newest jobs {newest_jobs_ms:.1} ms, dead jobs {dead_jobs_ms:.1} ms, pruning 1,000 {prune_1000_ms:.1} ms"
        )
    });
    [Some(rate), latency, asked].into_iter().flatten().collect::<Vec<_>>().join("\n")
}
