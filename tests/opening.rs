//! What stands against opening an invoice, and the number that an opening gives.

use anyhow::Result;
use billrunner::{
    clock::Clock,
    domain::{
        ids::InvoiceId,
        invoice::{Invoice, InvoiceKind},
        invoice_status::InvoiceStatus,
    },
    jobs::{ChangeInvoiceStatus, GenerateInvoice, InitialStatus, StartBillRun},
};

use crate::support::{
    TestDatabase,
    business::{Business, PROVIDER},
    desk::{Desk, decimal},
    fixture::fixture,
    import::import,
    worker::Office,
};

impl Desk {
    /// Has an opening refused, checks that nothing changed, and returns why.
    async fn refused_to_open(&self, request: &ChangeInvoiceStatus) -> Result<String> {
        let before = self.facts(request.invoice_id).await?;
        let error = self.office.refused(request).await?;
        assert_eq!(self.facts(request.invoice_id).await?, before, "{error}");
        Ok(error)
    }

    async fn facts(&self, id: InvoiceId) -> Result<(i32, Option<String>, i64, i64)> {
        let sql =
            "SELECT version, number, (SELECT count(*) FROM invoice_events), (SELECT coalesce(sum(next), 0)::bigint
                   FROM number_series) FROM invoices WHERE id = $1";
        Ok(sqlx::query_as(sql).bind(id).fetch_one(&self.office.pool).await?)
    }

    /// Returns every number given, in order.
    async fn numbers(&self) -> Result<Vec<String>> {
        let sql = "SELECT number FROM invoices WHERE number IS NOT NULL ORDER BY number";
        Ok(sqlx::query_scalar(sql).fetch_all(&self.office.pool).await?)
    }

    async fn issued_on(&self) -> Result<Vec<String>> {
        let sql = "SELECT issued_on::text FROM invoices WHERE number IS NOT NULL ORDER BY number";
        Ok(sqlx::query_scalar(sql).fetch_all(&self.office.pool).await?)
    }
}

fn consecutive(invoice: &Invoice) -> Option<&str> {
    invoice.number.as_deref().and_then(|number| number.rsplit('-').next())
}

#[tokio::test]
async fn an_open_month_stands_against_opening_unless_forced() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.office.done(&desk.business.generate(0)).await?;
    let open = desk.to(desk.id(0).await?, InvoiceStatus::Open);
    let error = desk.refused_to_open(&open).await?;
    assert!(error.contains("its billing period is not closed; run the final bill run, or use `force`"), "{error}");
    desk.office.done(&ChangeInvoiceStatus { force: true, ..open }).await?;
    assert_eq!(consecutive(&desk.live(0).await?), Some("00001"));
    desk.close().await
}

#[tokio::test]
async fn a_stale_draft_is_opened_only_by_force() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.execute("UPDATE invoices SET stale = true").await?;
    let open = desk.to(desk.id(0).await?, InvoiceStatus::Open);
    let error = desk.refused_to_open(&open).await?;
    assert!(error.contains("its inputs changed since it was generated; generate it with `replace`"), "{error}");
    desk.office.done(&ChangeInvoiceStatus { force: true, ..open }).await?;
    assert_eq!(consecutive(&desk.live(0).await?), Some("00001"));
    desk.close().await
}

#[tokio::test]
async fn an_account_that_nobody_owns_stands_against_opening_until_it_is_waived() -> Result<()> {
    let desk = Desk::open(2).await?;
    desk.execute("DELETE FROM provider_accounts WHERE account_id = 'account-1'").await?;
    desk.close_month().await?;
    let open = ChangeInvoiceStatus { force: true, ..desk.to(desk.id(0).await?, InvoiceStatus::Open) };
    let error = desk.refused_to_open(&open).await?;
    assert!(error.contains("these accounts have charges and no customer: account-1; assign them, or waive"), "{error}");
    desk.execute(
        "INSERT INTO unassigned_waivers (reseller_id, provider, billing_period_start, account_id, reason, waived_by)
         SELECT id, 'aws', '2026-08-01', 'account-1', 'a trial', 'tester' FROM resellers",
    )
    .await?;
    desk.office.done(&open).await?;
    assert_eq!(consecutive(&desk.live(0).await?), Some("00001"));
    desk.close().await
}

#[tokio::test]
async fn money_that_does_not_add_up_stands_against_opening_whatever_is_asked() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    desk.tamper("UPDATE charge_totals SET billed_cost = billed_cost + 0.01 WHERE sub_account_id = 'account-1'").await?;
    let open = ChangeInvoiceStatus { force: true, ..desk.to(desk.id(0).await?, InvoiceStatus::Open) };
    let error = desk.refused_to_open(&open).await?;
    assert!(error.contains("do not add up to the charge files"), "{error}");
    assert!(error.contains("billing account `payer` is off by -0.0100 EUR"), "{error}");
    let again = GenerateInvoice { replace: true, ..desk.business.generate(1) };
    let draft = desk.id(1).await?;
    assert!(desk.office.refused(&again).await?.contains("do not add up"));
    assert_eq!(desk.id(1).await?, draft, "a replacement that fails leaves the draft");
    // A generation answers for its own customer; the whole month is asked at the end of its bill run.
    desk.office.done(&GenerateInvoice { replace: true, ..desk.business.generate(0) }).await?;
    let open = ChangeInvoiceStatus { invoice_id: desk.id(0).await?, ..open };
    assert!(desk.refused_to_open(&open).await?.contains("do not add up to the charge files"));
    desk.tamper("UPDATE charge_totals SET billed_cost = billed_cost - 0.01 WHERE sub_account_id = 'account-1'").await?;
    desk.office.done(&open).await?;
    assert_eq!(consecutive(&desk.live(0).await?), Some("00001"), "refusals consume no number");
    desk.close().await
}

#[tokio::test]
async fn two_workers_number_forty_openings_without_a_hole_though_some_are_refused() -> Result<()> {
    let database = TestDatabase::new().await?;
    let business = Business::open(&database.pool, 45).await?;
    let desk = Desk::of(database, business, Clock::Fixed("2026-09-10T10:00:00Z".parse()?)).await?;
    desk.close_month().await?;
    let second_worker = desk.office.hire();
    desk.execute(
        "UPDATE invoices SET stale = true WHERE customer_id IN (SELECT id FROM customers ORDER BY name LIMIT 5)",
    )
    .await?;
    for customer in 0..45 {
        desk.office.hand_in(&desk.to(desk.id(customer).await?, InvoiceStatus::Open)).await?;
    }
    desk.office.settled().await?;
    let expected: Vec<String> = (1..=40).map(|n| format!("2026-{n:05}")).collect();
    assert_eq!(desk.numbers().await?, expected);
    assert_eq!(desk.broken_link().await?, None);
    second_worker.stop().await?;
    desk.close().await
}

#[tokio::test]
async fn openings_of_every_kind_at_once_never_wait_for_each_other_in_a_circle() -> Result<()> {
    let desk = Desk::open(60).await?;
    let second_worker = desk.office.hire();
    let provisional = StartBillRun { provisional: true, ..desk.business.bill_run(InitialStatus::Draft, None) };
    desk.office.done(&provisional).await?;
    desk.office.settled().await?;
    for customer in 0..60 {
        let open = ChangeInvoiceStatus { force: true, ..desk.to(desk.id(customer).await?, InvoiceStatus::Open) };
        let anew = GenerateInvoice {
            status: InitialStatus::Open,
            replace: true,
            force: true,
            ..desk.business.generate(customer)
        };
        if customer % 2 == 0 {
            desk.office.hand_in(&open).await?
        } else {
            desk.office.hand_in(&anew).await?
        };
    }
    desk.office.settled().await?;
    let failed: Vec<String> = sqlx::query_scalar("SELECT message FROM job_attempts WHERE outcome = 'failed'")
        .fetch_all(&desk.office.pool)
        .await?;
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!(desk.numbers().await?.len(), 60);
    second_worker.stop().await?;
    desk.close().await
}

#[tokio::test]
async fn credit_notes_are_numbered_in_a_series_of_their_own() -> Result<()> {
    let database = TestDatabase::new().await?;
    let business = Business::open(&database.pool, 1).await?;
    import(&database.pool, business.reseller_id, PROVIDER, &fixture("traps/t05_negative_credit_refund.csv")).await?;
    let desk = Desk::of(database, business, Clock::Fixed("2026-11-02T10:00:00Z".parse()?)).await?;
    desk.execute("INSERT INTO provider_accounts SELECT reseller_id, 'aws', 'sub-1', id FROM customers").await?;
    for (month, run_id) in [("2026-10", "october"), ("2026-08", "august")] {
        let run = StartBillRun {
            billing_period: month.parse()?,
            run_id: run_id.to_owned(),
            ..desk.business.bill_run(InitialStatus::Open, None)
        };
        desk.office.done(&run).await?;
    }
    desk.office.settled().await?;
    assert_eq!(desk.numbers().await?, ["2026-00001", "CN-2026-00001"]);
    let sql = "SELECT id FROM invoices WHERE number LIKE 'CN-%'";
    let note = desk.find(sqlx::query_scalar(sql).fetch_one(&desk.office.pool).await?).await?;
    // Usage 88.00 × 1.125 = 99.00; credit −30.55 and adjustment −70 pass at cost; 21 % of −1.55 is −0.3255.
    let amounts = (note.kind, note.subtotal, note.tax, note.total);
    assert_eq!(amounts, (InvoiceKind::CreditNote, decimal("-1.55"), decimal("-0.33"), decimal("-1.88")));
    desk.close().await
}

#[tokio::test]
async fn days_of_issue_never_go_back_whatever_a_workers_clock_says() -> Result<()> {
    let database = TestDatabase::new().await?;
    let business = Business::open(&database.pool, 3).await?;
    let clock = |day: &str| -> Result<Clock> { Ok(Clock::Fixed(format!("{day}T10:00:00Z").parse()?)) };
    let mut desk = Desk::of(database, business, clock("2026-09-10")?).await?;
    desk.close_month().await?;
    for (customer, day) in ["2026-09-10", "2026-09-05", "2026-09-11"].into_iter().enumerate() {
        let next = Office::open_at(&desk.database.pool, clock(day)?).await?;
        std::mem::replace(&mut desk.office, next).close().await?;
        desk.office.done(&desk.to(desk.id(customer).await?, InvoiceStatus::Open)).await?;
        desk.office.settled().await?;
    }
    assert_eq!(desk.numbers().await?, ["2026-00001", "2026-00002", "2026-00003"]);
    assert_eq!(desk.issued_on().await?, ["2026-09-10", "2026-09-10", "2026-09-11"]);
    desk.close().await
}
