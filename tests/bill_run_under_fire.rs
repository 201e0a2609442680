//! A whole bill run by real worker processes, while they are killed and Redis is emptied: the customers notice nothing.

use std::collections::BTreeMap;

use anyhow::Result;
use billrunner::{jobs::InitialStatus, store::event_chain::find_broken_link};
use sqlx::PgPool;

use crate::support::{
    site::Site,
    worker::{settled, until},
};

const CUSTOMERS: usize = 40;

/// A site with a bill run to do.
struct BillRun(Site);

impl BillRun {
    async fn prepare() -> Result<Self> {
        Ok(Self(Site::build(CUSTOMERS).await?))
    }

    fn pool(&self) -> &PgPool {
        self.0.pool()
    }

    /// Hands the bill run in, under a request id.
    async fn bill(&self, request: &str) -> Result<()> {
        self.0.hand_in(&self.0.business.bill_run(InitialStatus::Open, Some(true)), request).await
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
        let broken = find_broken_link(&mut *self.pool().acquire().await?, self.0.business.reseller_id).await?;
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
        for mail in self.0.sink.received() {
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
    let run = BillRun::prepare().await?;
    let _worker = run.0.start_worker().await?;
    run.bill("once").await?;
    run.check().await
}

#[tokio::test]
async fn a_bill_run_handed_in_twice_bills_every_customer_once() -> Result<()> {
    let run = BillRun::prepare().await?;
    run.bill("once").await?;
    run.bill("once").await?;
    run.bill("and under another id").await?;
    let _workers = (run.0.start_worker().await?, run.0.start_worker().await?);
    run.check().await
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_a_bill_run_is_not_noticed() -> Result<()> {
    let run = BillRun::prepare().await?;
    let worker = run.0.start_worker().await?;
    run.bill("once").await?;
    run.middle().await?;
    worker.kill().await?;
    let _other = run.0.start_worker().await?;
    run.check().await
}

#[tokio::test]
async fn a_redis_emptied_in_the_middle_of_a_bill_run_is_not_noticed() -> Result<()> {
    let run = BillRun::prepare().await?;
    let _worker = run.0.start_worker().await?;
    run.bill("once").await?;
    run.middle().await?;
    run.0.redis.flush_all().await?;
    run.check().await
}
