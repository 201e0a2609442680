//! The benchmarks of a whole billrunner: what they make is what generation makes, what they count is right, and they leave
//! nothing behind.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use billrunner::{
    clock::Clock,
    domain::{billing_period::BillingPeriod, ids::ResellerId},
    jobs::{GenerateInvoice, InitialStatus},
    store::{
        bench_drafts,
        bench_invoices::{self, Size},
        bench_load, database, event_chain,
    },
};
use serde_json::Value;
use sqlx::PgPool;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

use crate::support::{
    TestDatabase,
    business::{PERIOD, PROVIDER, database_url, euro},
    redis::TestRedis,
    site::send_signal,
    worker::{DEADLINE, Office},
};

const CUSTOMERS: i32 = 4;

fn generation(reseller_id: ResellerId, customer: i32, replace: bool) -> Result<GenerateInvoice> {
    Ok(GenerateInvoice {
        reseller_id,
        customer_id: bench_invoices::customer(customer),
        provider: PROVIDER.to_owned(),
        billing_period: PERIOD.parse()?,
        currency: euro(),
        status: InitialStatus::Draft,
        notify: None,
        replace,
        force: false,
    })
}

/// Returns a customer's draft with all that hangs on it, without what differs from one generation to the next.
async fn draft(pool: &PgPool, customer: i32) -> Result<Value> {
    let draft = sqlx::query_scalar(
        "SELECT jsonb_build_object(
             'invoice', to_jsonb(draft) - ARRAY['id', 'document_id', 'created_at'],
             'lines', (SELECT jsonb_agg(to_jsonb(part) - 'invoice_id' ORDER BY position) FROM invoice_lines part
                       WHERE part.reseller_id = draft.reseller_id AND part.invoice_id = draft.id),
             'taxes', (SELECT jsonb_agg(to_jsonb(part) - 'invoice_id') FROM invoice_taxes part
                       WHERE part.reseller_id = draft.reseller_id AND part.invoice_id = draft.id),
             'sources', (SELECT jsonb_agg(to_jsonb(part) - 'invoice_id') FROM invoice_sources part
                         WHERE part.reseller_id = draft.reseller_id AND part.invoice_id = draft.id),
             'accounts', (SELECT jsonb_agg(to_jsonb(part) - 'invoice_id') FROM invoice_accounts part
                          WHERE part.reseller_id = draft.reseller_id AND part.invoice_id = draft.id),
             'rates', (SELECT count(*) FROM invoice_exchange_rates part
                       WHERE part.reseller_id = draft.reseller_id AND part.invoice_id = draft.id))
         FROM invoices draft WHERE customer_id = $1 AND status = 'draft'",
    );
    Ok(draft.bind(bench_invoices::customer(customer)).fetch_one(pool).await?)
}

#[tokio::test]
async fn drafts_made_at_once_are_those_that_generation_makes() -> Result<()> {
    let database = TestDatabase::new().await?;
    let url = database_url(&database.pool).await?.into();
    let (reseller_id, period) = (ResellerId::new(), PERIOD.parse::<BillingPeriod>()?);
    // The first customer has no charges.
    let size = |customers, after| Size { customers, after, charges: 7, services: 3 };
    bench_invoices::fill_directory(&url, reseller_id, size(CUSTOMERS + 1, 0)).await?;
    let days = (period.start(), period.end());
    bench_invoices::fill_month(&url, reseller_id, PROVIDER, days, size(CUSTOMERS, 1)).await?;
    let office = Office::open_at(&database.pool, Clock::System).await?;
    office.done(&generation(reseller_id, 2, false)?).await?;
    let mut owner = database.connect_as_owner().await?;
    let made = bench_load::invoices(&mut owner, reseller_id, PROVIDER).await?;
    assert_eq!(bench_drafts::copy(&url, reseller_id, made[0].0).await?, 3);
    assert_eq!(event_chain::find_broken_link(&mut owner, reseller_id).await?, None);
    for customer in 3..=CUSTOMERS + 1 {
        let at_once = draft(&database.pool, customer).await?;
        office.done(&generation(reseller_id, customer, true)?).await?;
        assert_eq!(at_once, draft(&database.pool, customer).await?);
    }
    office.close().await
}

/// A benchmark that runs on the server of the tests, with a Redis and a folder of its own.
struct Course {
    redis: TestRedis,
    folder: tempfile::TempDir,
    program: Child,
    said: BufReader<tokio::process::ChildStderr>,
    database: String,
}

impl Course {
    async fn start(arguments: &[&str]) -> Result<Self> {
        let (redis, folder) = (TestRedis::start().await?, tempfile::tempdir()?);
        let mut program = Command::new(env!("CARGO_BIN_EXE_billrunner"))
            .args(arguments)
            .env("REDIS_URL", redis.url())
            .env("TMPDIR", folder.path())
            .env("BILLRUNNER_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut said = BufReader::new(program.stderr.take().context("what it says")?);
        let first = line_with(&mut said, "working in database").await?;
        let database = first.rsplit(' ').next().context("a name")?.to_owned();
        Ok(Self { redis, folder, program, said, database })
    }

    async fn until_it_says(&mut self, text: &str) -> Result<()> {
        line_with(&mut self.said, text).await.map(drop)
    }

    /// Waits for its end, checks that nothing of it is left, and returns whether it went well and what it printed.
    async fn end(mut self) -> Result<(bool, String)> {
        let mut said = String::new();
        let mut out = self.program.stdout.take().context("what it prints")?;
        let mut printed = String::new();
        let read = async { tokio::try_join!(out.read_to_string(&mut printed), self.said.read_to_string(&mut said)) };
        tokio::time::timeout(DEADLINE, read).await.context("waited in vain for its end")??;
        let status = self.program.wait().await?;
        let url = std::env::var("DATABASE_URL")?.into();
        let is_there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&self.database)
            .fetch_one(&mut database::connect_as_login(&url).await?)
            .await?;
        ensure!(!is_there, "database {} is left", self.database);
        let left: Vec<_> = std::fs::read_dir(self.folder.path())?.collect();
        ensure!(left.is_empty(), "files are left: {left:?}");
        let keys: Vec<String> = self.redis.ask("KEYS", "*").await?;
        ensure!(keys.is_empty(), "keys are left: {keys:?}");
        Ok((status.success(), printed + &said))
    }
}

async fn line_with(said: &mut BufReader<tokio::process::ChildStderr>, text: &str) -> Result<String> {
    let reading = async {
        let mut all = String::new();
        loop {
            let from = all.len();
            ensure!(said.read_line(&mut all).await? > 0, "it ended and had said only: {all}");
            let line = all.get(from..).unwrap_or_default().trim_end();
            if line.contains(text) {
                return Ok(line.to_owned());
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.with_context(|| format!("waited in vain for `{text}`"))?
}

#[tokio::test]
async fn a_small_month_end_has_every_mail_and_document_once_and_leaves_nothing_behind() -> Result<()> {
    let arguments = ["bench", "month-end", "--invoices", "30", "--urgent-per-second", "10", "--workers", "1", "--json"];
    let (went_well, printed) = Course::start(&arguments).await?.end().await?;
    assert!(went_well, "{printed}");
    let report = printed.find('{').and_then(|from| printed.get(from..)).context("a report")?;
    let report: Value = serde_json::Deserializer::from_str(report).into_iter().next().context("a report")??;
    assert_eq!((&report["documents"]["jobs"], &report["mails"]["jobs"]), (&Value::from(150), &Value::from(30)));
    let mails = &report["mail_check"];
    assert!(mails["promised"].as_i64() > Some(30), "nobody is told of urgent changes: {mails}");
    assert_eq!(mails["once"], mails["promised"], "{mails}");
    assert_eq!(report["incomplete_invoices"], 0);
    Ok(())
}

#[tokio::test]
async fn a_soak_that_is_interrupted_leaves_nothing_behind() -> Result<()> {
    let mut course = Course::start(&["bench", "soak", "--minutes", "1", "--workers", "1"]).await?;
    course.until_it_says("measuring what the machine can do").await?;
    send_signal("INT", &course.program.id().context("it runs")?.to_string())?;
    let (went_well, said) = course.end().await?;
    assert!(!went_well && said.contains("interrupted"), "{said}");
    Ok(())
}
