//! `billrunner bench invoices`: how fast months are billed and opened on this machine, with an empty database.
//!
//! Everything runs as in production but the documents, which are another benchmark's: bill runs start as jobs, real workers
//! generate, `open_invoices` opens. Beside each rate stands the limit, measured in the same run: the one statement that
//! sums the same charges, and the one that writes the same rows. The database is left as it is, for a look.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::Serialize;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Failure, Output,
    bench::{USED, settings},
    enqueue,
    load::processes::{self, Usage},
    setup,
};
use crate::{
    clock::Clock,
    config::Config,
    context::Context,
    domain::{bill_run::BillRunState, billing_period::BillingPeriod, ids::ResellerId, mail_flow::MailFlow},
    jobs::{InitialStatus, OpenInvoices, StartBillRun, registry},
    mail::Mailer,
    objects::ObjectStoreSettings,
    providers,
    queue::{Job, JobOptions, RequestId, StoppedWorking, Streams, Worker},
    store::{
        bench_invoices::{self as bench, Size},
        bill_runs::{self, BillRunFilter},
        database, jobs,
        operator_actions::Operator,
        queue_controls,
    },
    telemetry::StatementCounter,
};

/// How often the end of the bill runs is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Connections beside one for each job that runs.
const CONNECTIONS: u32 = 4;
const OPERATOR: Operator<'_> = Operator { name: "bench", reason: "rendering is measured elsewhere" };

/// Arguments of `bench invoices`.
#[derive(Args)]
pub struct Arguments {
    /// How many customers.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    customers: i32,
    /// At how many providers each has an account.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    providers: u8,
    /// How many charges each account has.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    charges: i32,
    /// How many services they are of: lines of each invoice.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    services: i32,
    /// How many jobs run at once in each lane.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    concurrency: u32,
    /// Counts the statements of the run.
    #[arg(skip)]
    pub statements: StatementCounter,
}

#[derive(Serialize)]
struct Measured {
    customers: i32,
    providers: u8,
    charges: i64,
    fill_seconds: f64,
    generation: Rate,
    lines: i64,
    opening: Rate,
}

/// How fast something went, beside what is possible.
#[derive(Serialize)]
struct Rate {
    invoices: i64,
    seconds: f64,
    invoices_per_second: f64,
    statements_per_invoice: f64,
    /// Cores that Postgres and this process kept busy, of those there are.
    postgres_cores: f64,
    client_cores: f64,
    cores: usize,
    /// Seconds of the plain statement.
    limit_seconds: f64,
    /// Share of the limit's rate that was reached.
    ratio: f64,
}

pub async fn run(arguments: Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let url = config.require("DATABASE_URL", config.database_url.as_ref())?;
    if database::is_used(url).await.context("Postgres cannot be used; check DATABASE_URL")? {
        return Err(Failure::Refused(USED.to_owned()).into());
    }
    setup::migrate(url).await?;
    let reseller_id = ResellerId::new();
    let Arguments { customers, charges, services, .. } = arguments;
    let size = Size { customers, after: 0, charges, services };
    let period: BillingPeriod = "2026-01".parse()?;
    let providers: Vec<&'static str> =
        providers::all().iter().map(|profile| profile.id).take(usize::from(arguments.providers)).collect();
    let begun = Instant::now();
    bench::fill_directory(url, reseller_id, size).await?;
    for provider in &providers {
        bench::fill_month(url, reseller_id, provider, (period.start(), period.end()), size).await?;
    }
    bench::vacuum(url).await?;
    let fill_seconds = begun.elapsed().as_secs_f64();

    let month = Month::prepare(config, &arguments, (reseller_id, period, providers)).await?;
    let stop = CancellationToken::new();
    let worker = month.start_worker(&stop);
    let generation = month.generate().await?;
    bench::vacuum(url).await?;
    let opening = month.open(url).await?;
    stop.cancel();
    worker.await??;
    let (lines, open) = bench::count_results(&mut *month.pool.acquire().await?).await?;
    ensure!(open == month.invoices, "{open} invoices are open instead of {}", month.invoices);
    month.streams.delete_all().await?;
    let charges = month.invoices * i64::from(arguments.charges);
    let measured = Measured {
        customers: arguments.customers,
        providers: arguments.providers,
        charges,
        fill_seconds,
        generation,
        lines,
        opening,
    };
    output.value(&measured, describe)
}

/// Months of several providers that are to be billed.
struct Month {
    pool: PgPool,
    streams: Streams,
    context: Context,
    statements: StatementCounter,
    concurrency: usize,
    reseller_id: ResellerId,
    period: BillingPeriod,
    providers: Vec<&'static str>,
    invoices: i64,
    _folder: tempfile::TempDir,
}

impl Month {
    async fn prepare(
        config: &Config,
        arguments: &Arguments,
        (reseller_id, period, providers): (ResellerId, BillingPeriod, Vec<&'static str>),
    ) -> anyhow::Result<Self> {
        let lanes = u32::from(arguments.providers) + 1;
        let pool = setup::connect_with(config, arguments.concurrency * lanes + CONNECTIONS).await?;
        let folder = tempfile::tempdir()?;
        let context = Context {
            pool: pool.clone(),
            objects: ObjectStoreSettings::folder(folder.path()).open()?,
            objects_folder: Some(folder.path().into()),
            mailer: Arc::new(Mailer::from_url("smtp://127.0.0.1:9")?),
            mail_domain: "bench.example".into(),
            download_links: None,
            attach_up_to_bytes: config.attach_up_to_bytes,
            mail_flow: MailFlow::default(),
            operators: None,
            clock: Clock::System,
        };
        let mut transaction = pool.begin().await?;
        for queue in ["documents", "mail"] {
            queue_controls::pause(&mut transaction, queue, OPERATOR, None).await?;
        }
        transaction.commit().await?;
        Ok(Self {
            streams: setup::streams_with_prefix(config, &format!("bench-{}", Uuid::now_v7().simple()))?,
            pool,
            context,
            statements: arguments.statements.clone(),
            concurrency: arguments.concurrency as usize,
            reseller_id,
            period,
            invoices: i64::from(arguments.customers) * i64::try_from(providers.len())?,
            providers,
            _folder: folder,
        })
    }

    fn start_worker(&self, stop: &CancellationToken) -> JoinHandle<Result<(), StoppedWorking>> {
        let worker = Worker {
            pool: self.pool.clone(),
            streams: self.streams.clone(),
            registry: Arc::new(registry()),
            context: self.context.clone(),
            settings: settings(self.concurrency),
        };
        tokio::spawn(worker.run(stop.clone()))
    }

    async fn hand_in<J: Job<Context = Context>>(&self, job: &J) -> anyhow::Result<crate::domain::ids::JobId> {
        let request = RequestId::new("bench", Uuid::now_v7());
        let new = registry().prepare(job, request, "bench", JobOptions::default())?;
        let mut transaction = self.pool.begin().await?;
        let accepted = jobs::accept(&mut transaction, &new).await?;
        jobs::notify_dispatchers(&mut transaction).await?;
        transaction.commit().await?;
        Ok(accepted.id())
    }

    /// Bills all months at once, from the request to the proof.
    async fn generate(&self) -> anyhow::Result<Rate> {
        let begun = Instant::now();
        bench::sum_all(&mut *self.pool.acquire().await?).await?;
        let limit_seconds = begun.elapsed().as_secs_f64();
        let before = Processor::look(&self.pool).await?;
        let begun = Instant::now();
        for provider in &self.providers {
            let run = StartBillRun {
                reseller_id: self.reseller_id,
                provider: (*provider).to_owned(),
                billing_period: self.period,
                run_id: "bench".to_owned(),
                status: InitialStatus::Draft,
                notify: None,
                provisional: false,
                replace: false,
                dry_run: false,
            };
            self.hand_in(&run).await?;
        }
        self.until_complete().await?;
        let seconds = begun.elapsed().as_secs_f64();
        let after = Processor::look(&self.pool).await?;
        Ok(self.rate("generate_invoice", seconds, limit_seconds, after.since(&before, seconds)))
    }

    async fn until_complete(&self) -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let mut connection = self.pool.acquire().await?;
            let runs = bill_runs::list(&mut connection, &BillRunFilter::default(), 100).await?;
            if runs.len() < self.providers.len() || runs.iter().any(|run| run.state == BillRunState::Running) {
                continue;
            }
            let states: BTreeMap<&str, &str> =
                runs.iter().map(|run| (run.provider.as_str(), run.state.as_str())).collect();
            let is_complete = runs.iter().all(|run| run.state == BillRunState::Complete);
            ensure!(is_complete, "not every bill run is complete: {states:?}");
            return Ok(());
        }
    }

    /// Opens all drafts, one month after the other.
    async fn open(&self, url: &secrecy::SecretString) -> anyhow::Result<Rate> {
        let mut transaction = self.pool.begin().await?;
        let begun = Instant::now();
        bench::update_all_drafts(&mut transaction).await?;
        let limit_seconds = begun.elapsed().as_secs_f64();
        transaction.rollback().await?;
        bench::vacuum(url).await?;
        let before = Processor::look(&self.pool).await?;
        let begun = Instant::now();
        for provider in &self.providers {
            let open = OpenInvoices {
                reseller_id: self.reseller_id,
                provider: (*provider).to_owned(),
                billing_period: self.period,
                notify: None,
                force: false,
            };
            let id = self.hand_in(&open).await?;
            let (job, _) = enqueue::wait_for(&self.pool, id).await?;
            ensure!(job.state == "done", "{} is {}: {:?}", job.kind, job.state, job.last_error);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let after = Processor::look(&self.pool).await?;
        Ok(self.rate("open_invoices", seconds, limit_seconds, after.since(&before, seconds)))
    }

    fn rate(&self, kind: &str, seconds: f64, limit_seconds: f64, (postgres, client): (f64, f64)) -> Rate {
        let invoices = i32::try_from(self.invoices).map_or(f64::INFINITY, f64::from);
        let statements = u32::try_from(self.statements.take(kind)).map_or(f64::INFINITY, f64::from);
        Rate {
            invoices: self.invoices,
            seconds,
            invoices_per_second: invoices / seconds,
            statements_per_invoice: statements / invoices,
            postgres_cores: postgres,
            client_cores: client,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            limit_seconds,
            ratio: limit_seconds / seconds,
        }
    }
}

/// Seconds of processor time that Postgres, where it runs on this machine, and this process have used.
struct Processor {
    postgres: f64,
    client: f64,
}

impl Processor {
    async fn look(pool: &PgPool) -> anyhow::Result<Self> {
        let backend = bench::backend_process(&mut *pool.acquire().await?).await?;
        let client = Usage::read(std::process::id()).map_or(0.0, |usage| usage.own);
        Ok(Self { postgres: processes::seconds_of_postgres(backend)?.unwrap_or(f64::NAN), client })
    }

    /// Returns how many cores each kept busy meanwhile.
    fn since(&self, before: &Self, seconds: f64) -> (f64, f64) {
        ((self.postgres - before.postgres) / seconds, (self.client - before.client) / seconds)
    }
}

fn describe(measured: &Measured) -> String {
    let rate = |what: &str, limit: &str, rate: &Rate| {
        format!(
            "{what}: {} invoices in {:.2} s, {:.0} a second, {:.2} statements each; of {} cores Postgres kept {:.2} busy and \
             this process {:.2}; {limit} takes {:.2} s: {:.1} % of its rate",
            rate.invoices,
            rate.seconds,
            rate.invoices_per_second,
            rate.statements_per_invoice,
            rate.cores,
            rate.postgres_cores,
            rate.client_cores,
            rate.limit_seconds,
            rate.ratio * 100.0,
        )
    };
    format!(
        "{} customers at {} providers with {} charges, made in {:.1} s; {} lines\n{}\n{}",
        measured.customers,
        measured.providers,
        measured.charges,
        measured.fill_seconds,
        measured.lines,
        rate("generated", "the one statement that sums these charges", &measured.generation),
        rate("opened", "the one statement that writes these rows", &measured.opening),
    )
}
