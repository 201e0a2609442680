//! A whole bill run by real worker processes, while they are killed and Redis is emptied: the customers notice nothing.

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use billrunner::{
    jobs::{InitialStatus, registry},
    mail::sink::Sink,
    queue::{JobOptions, RequestId},
    store::{invoice_status::find_broken_link, jobs},
};
use sqlx::PgPool;

use crate::support::{
    TestDatabase,
    business::{Business, database_url},
    redis::TestRedis,
    worker::{settled, until},
};

const CUSTOMERS: usize = 40;

/// A business whose bill run is to be done by worker processes.
struct Site {
    database: TestDatabase,
    business: Business,
    redis: TestRedis,
    sink: Sink,
    folder: tempfile::TempDir,
}

/// A worker process that is killed with the value.
struct Process(Child);

impl Process {
    /// Ends it as a power cut would.
    fn kill(mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Site {
    async fn build() -> Result<Self> {
        let database = TestDatabase::new().await?;
        let business = Business::open(&database.pool, CUSTOMERS).await?;
        Ok(Self {
            business,
            redis: TestRedis::start().await?,
            sink: Sink::start(None).await?,
            folder: tempfile::tempdir()?,
            database,
        })
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    async fn start_worker(&self) -> Result<Process> {
        let child = Command::new(env!("CARGO_BIN_EXE_billrunner"))
            .arg("worker")
            .env("DATABASE_URL", database_url(self.pool()).await?)
            .env("REDIS_URL", self.redis.url())
            .env("SMTP_URL", self.sink.url())
            .env("BILLRUNNER_OBJECT_STORE", format!("file://{}", self.folder.path().display()))
            .env("BILLRUNNER_LEASE_SECS", "1")
            .env("BILLRUNNER_RETRY_BASE_MS", "20")
            .env("BILLRUNNER_DATABASE_CONNECTIONS", "10")
            .env("BILLRUNNER_LOG", "error")
            .stdin(Stdio::null())
            .spawn()
            .context("the worker does not start")?;
        Ok(Process(child))
    }

    /// Hands the bill run in, under a request id.
    async fn bill(&self, request: &str) -> Result<()> {
        let run = self.business.bill_run(InitialStatus::Open, Some(true));
        let new = registry().prepare(&run, RequestId::new("test", request), "tester", JobOptions::default())?;
        let mut transaction = self.pool().begin().await?;
        jobs::accept(&mut transaction, &new).await?;
        jobs::notify_dispatchers(&mut transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Waits until the bill run is in its middle: something is open and something is not.
    async fn middle(&self) -> Result<()> {
        until("the first open invoice", || async {
            let open: i64 = sqlx::query_scalar("SELECT count(*) FROM invoices WHERE status = 'open'")
                .fetch_one(self.pool())
                .await?;
            Ok((open > 0).then_some(()))
        })
        .await
    }

    /// Waits for the end and checks all that a customer or an accountant could notice.
    async fn check(&self) -> Result<()> {
        until("the bill run", || async {
            let children: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE kind = 'generate_invoice'")
                .fetch_one(self.pool())
                .await?;
            Ok((children >= i64::try_from(CUSTOMERS)?).then_some(()))
        })
        .await?;
        settled(self.pool()).await?;
        self.check_jobs().await?;
        self.check_invoices().await?;
        self.check_mails().await
    }

    async fn check_jobs(&self) -> Result<()> {
        let dead: Vec<String> = sqlx::query_scalar("SELECT kind || ': ' || last_error FROM jobs WHERE state = 'dead'")
            .fetch_all(self.pool())
            .await?;
        assert_eq!(dead, Vec::<String>::new());
        Ok(())
    }

    async fn check_invoices(&self) -> Result<()> {
        let totals: Vec<String> =
            sqlx::query_scalar("SELECT trim_scale(total)::text FROM invoices WHERE status = 'open' ORDER BY total")
                .fetch_all(self.pool())
                .await?;
        // 10.00 × N, plus 12.5 % markup, plus 21 % tax; each step rounded half-up to the cent.
        let expected: Vec<String> = (1..=CUSTOMERS).map(expected_total).collect();
        assert_eq!(totals, expected);
        let numbers: Vec<String> =
            sqlx::query_scalar("SELECT number FROM invoices ORDER BY number").fetch_all(self.pool()).await?;
        let years: Vec<&str> =
            numbers.iter().filter_map(|number| number.split_once('-')).map(|(year, _)| year).collect();
        let without_hole: Vec<String> = (1..=CUSTOMERS).map(|n| format!("{}-{n:05}", years[0])).collect();
        assert_eq!(numbers, without_hole);
        let broken = find_broken_link(&mut *self.pool().acquire().await?, self.business.reseller_id).await?;
        assert_eq!(broken, None);
        Ok(())
    }

    /// Every customer got one mail and none got two; one that was under way at a kill may be left unsure.
    async fn check_mails(&self) -> Result<()> {
        let states: Vec<(String, i64)> =
            sqlx::query_as("SELECT state, count(*) FROM notifications GROUP BY state").fetch_all(self.pool()).await?;
        let states: BTreeMap<String, i64> = states.into_iter().collect();
        let told = states.get("sent").unwrap_or(&0) + states.get("uncertain").unwrap_or(&0);
        assert_eq!(told, i64::try_from(CUSTOMERS)?, "{states:?}");
        let mut by_recipient: BTreeMap<String, usize> = BTreeMap::new();
        for mail in self.sink.received() {
            *by_recipient.entry(mail.to.join(",")).or_default() += 1;
        }
        assert!(by_recipient.values().all(|count| *count == 1), "a second mail: {by_recipient:?}");
        assert!(by_recipient.len() >= usize::try_from(*states.get("sent").unwrap_or(&0))?);
        Ok(())
    }
}

/// Computes a total in cents: 10.00 × N, marked up, rounded; taxed, rounded.
fn expected_total(n: usize) -> String {
    let net = (1000 * n * 1125 + 500) / 1000;
    let tax = (net * 21 + 50) / 100;
    let text = format!("{}.{:02}", (net + tax) / 100, (net + tax) % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[tokio::test]
async fn a_bill_run_in_peace_bills_every_customer_once() -> Result<()> {
    let site = Site::build().await?;
    let _worker = site.start_worker().await?;
    site.bill("once").await?;
    site.check().await
}

#[tokio::test]
async fn a_bill_run_handed_in_twice_bills_every_customer_once() -> Result<()> {
    let site = Site::build().await?;
    site.bill("once").await?;
    site.bill("once").await?;
    site.bill("and under another id").await?;
    let _workers = (site.start_worker().await?, site.start_worker().await?);
    site.check().await
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_a_bill_run_is_not_noticed() -> Result<()> {
    let site = Site::build().await?;
    let worker = site.start_worker().await?;
    site.bill("once").await?;
    site.middle().await?;
    worker.kill()?;
    let _other = site.start_worker().await?;
    site.check().await
}

#[tokio::test]
async fn a_redis_emptied_in_the_middle_of_a_bill_run_is_not_noticed() -> Result<()> {
    let site = Site::build().await?;
    let _worker = site.start_worker().await?;
    site.bill("once").await?;
    site.middle().await?;
    site.redis.flush_all().await?;
    site.check().await
}
