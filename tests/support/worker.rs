//! A billrunner at work on a test's own database: an in-process worker, its folder of objects, its mail server.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use billrunner::{
    clock::Clock,
    context::Context,
    domain::{ids::JobId, mail_flow::MailFlow},
    jobs::registry,
    mail::{Mailer, sink::Sink},
    objects::ObjectStoreSettings,
    queue::{Job, JobOptions, Registry, RequestId, StoppedWorking, Streams, Worker, WorkerSettings},
    store::{
        job_list::{self, AttemptRow, JobRow},
        jobs,
    },
};
use sqlx::{PgPool, postgres::PgListener};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::JOB_ENDED;

/// Longest wait for anything; a test that needs it has failed. Below the limit at which the runner ends a test unheard.
pub const DEADLINE: Duration = Duration::from_secs(50);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Names the Redis server of the run, under keys of the test's own.
pub fn streams() -> Result<Streams> {
    let Ok(url) = std::env::var("REDIS_URL") else { panic!("REDIS_URL is not set; run bin/test") };
    Ok(Streams::new(&url, &format!("t{}", Uuid::now_v7().simple()))?)
}

/// Settings that make a test's worker quick to retry and to rescue.
pub fn settings() -> WorkerSettings {
    WorkerSettings {
        name: "test".to_owned(),
        concurrency: Box::new(|_| 4),
        lease: Duration::from_secs(2),
        grace: Duration::from_secs(10),
        retry_base: Duration::from_millis(10),
    }
}

/// A flow of mail that leaves a server alone for a moment only.
pub fn quick_to_return() -> MailFlow {
    MailFlow {
        first_pause: Duration::from_millis(100),
        longest_pause: Duration::from_millis(400),
        ..MailFlow::default()
    }
}

/// A worker that runs as long as the value.
pub struct Running {
    stop: CancellationToken,
    worker: Option<JoinHandle<Result<(), StoppedWorking>>>,
}

impl Running {
    pub fn start<C: Clone + Send + Sync + 'static>(worker: Worker<C>) -> Self {
        let stop = CancellationToken::new();
        Self { worker: Some(tokio::spawn(worker.run(stop.clone()))), stop }
    }

    /// Stops in good order.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        if let Some(worker) = self.worker.take() {
            tokio::time::timeout(DEADLINE, worker).await.context("the worker does not stop")???;
        }
        Ok(())
    }
}

impl Running {
    /// Ends as a power cut would: nothing is handed back, nothing said.
    pub async fn vanish(mut self) {
        if let Some(worker) = self.worker.take() {
            worker.abort();
            let _ = worker.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// All that a job of billrunner meets, on a test's own database.
pub struct Office {
    pub pool: PgPool,
    pub context: Context,
    pub sink: Sink,
    pub registry: Arc<Registry<Context>>,
    pub streams: Streams,
    _folder: tempfile::TempDir,
    running: Running,
}

impl Office {
    pub async fn open_at(pool: &PgPool, clock: Clock) -> Result<Self> {
        Self::open_on(pool, clock, streams()?).await
    }

    pub async fn open_on(pool: &PgPool, clock: Clock, streams: Streams) -> Result<Self> {
        Self::open_with(pool, clock, streams, |context| context).await
    }

    /// Opens with a context that differs from what tests have.
    pub async fn open_with(
        pool: &PgPool,
        clock: Clock,
        streams: Streams,
        change: impl FnOnce(Context) -> Context,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let sink = Sink::start(None).await?;
        let context = change(Context {
            pool: pool.clone(),
            objects: ObjectStoreSettings::folder(folder.path()).open()?,
            objects_folder: Some(folder.path().into()),
            mailer: Arc::new(Mailer::from_url(&sink.url())?),
            mail_domain: "test.example".into(),
            download_links: None,
            attach_up_to_bytes: i64::MAX,
            mail_flow: quick_to_return(),
            operators: None,
            clock,
        });
        let registry = Arc::new(registry());
        let running = start_worker(&context, &streams, &registry);
        Ok(Self { pool: pool.clone(), context, sink, registry, streams, _folder: folder, running })
    }

    /// Starts another worker beside the first, on the same queue.
    pub fn hire(&self) -> Running {
        start_worker(&self.context, &self.streams, &self.registry)
    }

    /// Hands a job in and waits for its end.
    pub async fn run<J: Job<Context = Context>>(&self, job: &J) -> Result<(JobRow, Vec<AttemptRow>)> {
        let id = self.hand_in(job).await?;
        wait_for(&self.pool, id).await
    }

    /// Hands a job in and waits for it to be done.
    pub async fn done<J: Job<Context = Context>>(&self, job: &J) -> Result<String> {
        let (row, attempts) = self.run(job).await?;
        if row.state != "done" {
            bail!("{} is {}: {:?}", row.kind, row.state, row.last_error);
        }
        Ok(attempts.last().and_then(|attempt| attempt.message.clone()).unwrap_or_default())
    }

    /// Hands a job in that is refused for good, at its first attempt, and returns why.
    pub async fn refused<J: Job<Context = Context>>(&self, job: &J) -> Result<String> {
        let (row, attempts) = self.run(job).await?;
        if row.state != "dead" || attempts.len() != 1 {
            bail!("{} is {} after {} attempts: {:?}", row.kind, row.state, attempts.len(), row.last_error);
        }
        row.last_error.context("a dead job says why")
    }

    pub async fn hand_in<J: Job<Context = Context>>(&self, job: &J) -> Result<JobId> {
        let request = RequestId::new("test", Uuid::now_v7());
        let new = self.registry.prepare(job, request, "tester", JobOptions::default())?;
        let mut transaction = self.pool.begin().await?;
        let accepted = jobs::accept(&mut transaction, &new).await?;
        jobs::notify_dispatchers(&mut transaction).await?;
        transaction.commit().await?;
        Ok(accepted.id())
    }

    /// Waits until no job waits or runs.
    pub async fn settled(&self) -> Result<()> {
        settled(&self.pool).await
    }

    pub async fn close(self) -> Result<()> {
        self.running.stop().await
    }
}

fn start_worker(context: &Context, streams: &Streams, registry: &Arc<Registry<Context>>) -> Running {
    Running::start(Worker {
        pool: context.pool.clone(),
        streams: streams.clone(),
        registry: registry.clone(),
        context: context.clone(),
        settings: settings(),
    })
}

/// Waits for a job's end.
pub async fn wait_for(pool: &PgPool, id: JobId) -> Result<(JobRow, Vec<AttemptRow>)> {
    until_jobs(pool, &format!("the end of job {id}"), || async {
        let found = job_list::find(&mut *pool.acquire().await?, id).await?;
        Ok(found.filter(|(job, _)| job.finished_at.is_some()))
    })
    .await
}

/// Waits until no job waits or runs.
pub async fn settled(pool: &PgPool) -> Result<()> {
    until_jobs(pool, "the end of all jobs", || async {
        let waiting: i64 =
            sqlx::query_scalar("SELECT count(*) FROM jobs WHERE finished_at IS NULL").fetch_one(pool).await?;
        Ok((waiting == 0).then_some(()))
    })
    .await
}

/// Looks now and whenever a job has ended, until there is something to see.
pub async fn until_jobs<T, F>(pool: &PgPool, what: &str, look: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let looking = async {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(JOB_ENDED).await?;
        loop {
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
            listener.recv().await?;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.with_context(|| format!("waited in vain for {what}"))?
}

/// Looks until there is something to see.
pub async fn until<T, F>(what: &str, look: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let looking = async {
        loop {
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.with_context(|| format!("waited in vain for {what}"))?
}
