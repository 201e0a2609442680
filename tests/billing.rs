//! Generation, numbers, guards and corrections, as a finance department would try them.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{
        document::DocumentKind, ids::InvoiceId, invoice::Invoice, invoice_status::InvoiceStatus, money::parse_decimal,
    },
    jobs::{ChangeInvoiceStatus, CorrectInvoice, GenerateInvoice, InitialStatus, RenderDocument, StartBillRun},
    store::{documents, invoices},
};
use object_store::ObjectStoreExt;

use crate::support::{
    TestDatabase,
    business::{Business, PROVIDER, charge_file},
    import::import,
    worker::{Office, until, wait_for},
};

struct Desk {
    office: Office,
    business: Business,
    database: TestDatabase,
}

impl Desk {
    async fn open(customers: usize) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let office = Office::open(&database.pool).await?;
        let business = Business::open(&database.pool, customers).await?;
        Ok(Self { office, business, database })
    }

    async fn close_month(&self) -> Result<()> {
        self.office.done(&self.business.bill_run(InitialStatus::Draft, None)).await?;
        self.office.settled().await
    }

    async fn live(&self, customer: usize) -> Result<Invoice> {
        let sql = "SELECT id FROM invoices WHERE customer_id = $1 AND status NOT IN ('void', 'discarded')";
        let id = sqlx::query_scalar(sql).bind(self.business.customers[customer]).fetch_one(&self.office.pool).await?;
        self.find(id).await
    }

    async fn find(&self, id: InvoiceId) -> Result<Invoice> {
        let found = invoices::find(&mut *self.office.pool.acquire().await?, self.business.reseller_id, id).await?;
        found.context("an invoice")
    }

    fn to_open(&self, invoice: &Invoice) -> ChangeInvoiceStatus {
        ChangeInvoiceStatus {
            reseller_id: self.business.reseller_id,
            invoice_id: invoice.id,
            to: InvoiceStatus::Open,
            version: None,
            reason: None,
            notify: Some(false),
            force: false,
        }
    }

    async fn execute(&self, sql: &'static str) -> Result<()> {
        sqlx::query(sql).execute(&self.database.pool).await?;
        Ok(())
    }
}

fn decimal(text: &str) -> BigDecimal {
    parse_decimal(text).expect("a decimal")
}

#[tokio::test]
async fn generating_again_names_the_invoice_there_is() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.office.done(&desk.business.generate(0)).await?;
    let first = desk.live(0).await?;
    let message = desk.office.done(&desk.business.generate(0)).await?;
    assert_eq!(message, format!("{} exists and is draft", first.document_id));
    desk.office.done(&GenerateInvoice { replace: true, ..desk.business.generate(0) }).await?;
    let second = desk.live(0).await?;
    assert_ne!(second.id, first.id);
    assert_eq!(desk.find(first.id).await?.status, InvoiceStatus::Discarded);
    let (one, other) = (desk.business.generate(0), desk.business.generate(0));
    tokio::try_join!(desk.office.done(&one), desk.office.done(&other))?;
    assert_eq!(desk.live(0).await?.id, second.id);
    desk.office.close().await
}

#[tokio::test]
async fn what_stands_against_opening_is_said_and_consumes_no_number() -> Result<()> {
    let desk = Desk::open(2).await?;
    desk.office.done(&desk.business.generate(0)).await?;
    let draft = desk.live(0).await?;
    let open = desk.to_open(&draft);
    assert!(desk.office.refused(&open).await?.contains("billing period is not closed"));
    desk.close_month().await?;
    desk.execute("UPDATE invoices SET stale = true").await?;
    assert!(desk.office.refused(&open).await?.contains("inputs changed"));
    desk.execute("DELETE FROM provider_accounts WHERE account_id = 'account-1'").await?;
    let forced = ChangeInvoiceStatus { force: true, ..open };
    assert!(desk.office.refused(&forced).await?.contains("these accounts have charges and no customer: account-1"));
    desk.execute(
        "INSERT INTO unassigned_waivers (reseller_id, provider, billing_period_start, account_id, reason, waived_by)
         SELECT id, 'aws', '2026-08-01', 'account-1', 'a trial', 'tester' FROM resellers",
    )
    .await?;
    // Customer 1's draft keeps its charges, which nobody owns any more: both sides count them.
    assert!(desk.office.refused(&forced).await?.contains("do not add up"));
    desk.execute("UPDATE provider_accounts SET account_id = account_id").await?;
    sqlx::query("INSERT INTO provider_accounts (reseller_id, provider, account_id, customer_id) VALUES ($1, 'aws', 'account-1', $2)")
        .bind(desk.business.reseller_id)
        .bind(desk.business.customers[1])
        .execute(&desk.database.pool)
        .await?;
    desk.office.done(&forced).await?;
    let opened = desk.live(0).await?;
    assert!(opened.number.context("a number")?.ends_with("-00001"), "refusals consume no number");
    desk.office.close().await
}

#[tokio::test]
async fn thirty_invoices_opened_at_once_are_numbered_without_a_hole() -> Result<()> {
    let desk = Desk::open(30).await?;
    desk.close_month().await?;
    for customer in 0..30 {
        let draft = desk.live(customer).await?;
        desk.office.hand_in(&desk.to_open(&draft)).await?;
    }
    desk.office.settled().await?;
    let numbers: BTreeSet<String> = sqlx::query_scalar("SELECT right(number, 5) FROM invoices")
        .fetch_all(&desk.office.pool)
        .await?
        .into_iter()
        .collect();
    let expected: BTreeSet<String> = (1..=30).map(|n| format!("{n:05}")).collect();
    assert_eq!(numbers, expected);
    desk.office.close().await
}

#[tokio::test]
async fn a_later_file_makes_the_draft_stale_and_the_new_draft_bills_it() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.close_month().await?;
    let file = charge_file(1, "a later file says the same in other words")?;
    import(&desk.office.pool, desk.business.reseller_id, PROVIDER, file.path()).await?;
    assert!(desk.live(0).await?.stale);
    desk.office.done(&GenerateInvoice { replace: true, ..desk.business.generate(0) }).await?;
    let fresh = desk.live(0).await?;
    assert!(!fresh.stale);
    assert_eq!((fresh.charge_count, fresh.total), (2, decimal("13.61")));
    desk.office.close().await
}

#[tokio::test]
async fn a_cost_is_converted_at_a_frozen_rate_or_not_billed_at_all() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.execute("UPDATE customers SET currency = 'JPY'").await?;
    let in_yen = GenerateInvoice { currency: "JPY".parse()?, ..desk.business.generate(0) };
    let error = desk.office.refused(&in_yen).await?;
    assert!(error.contains("no exchange rate from EUR to JPY"), "{error}");
    assert!(desk.office.refused(&desk.business.generate(0)).await?.contains("is invoiced in JPY, not in EUR"));
    desk.execute(
        "INSERT INTO exchange_rates (reseller_id, from_currency, to_currency, rated_on, rate, source)
         SELECT id, 'EUR', 'JPY', day::date, rate, 'test' FROM resellers,
         (VALUES ('2026-08-30', 170.5), ('2026-08-31', 171.25), ('2026-09-01', 999)) AS rates (day, rate)",
    )
    .await?;
    desk.office.done(&in_yen).await?;
    desk.execute("UPDATE exchange_rates SET rate = 1").await?;
    let invoice = desk.live(0).await?;
    // 10.00 EUR × 171.25 × 1.125 = 1926.5625, half-up to whole yen; 21 % of 1927 is 404.67.
    assert_eq!((invoice.subtotal.clone(), invoice.tax.clone()), (decimal("1927"), decimal("405")));
    assert_eq!(invoice.exchange_rates.values().next().map(|rate| rate.rate.clone()), Some(decimal("171.25")));
    desk.office.close().await
}

#[tokio::test]
async fn the_markup_that_names_most_applies() -> Result<()> {
    let desk = Desk::open(2).await?;
    desk.execute("INSERT INTO markups (reseller_id, provider, rate) SELECT id, 'aws', 0.5 FROM resellers").await?;
    sqlx::query("INSERT INTO markups (reseller_id, customer_id, rate) VALUES ($1, $2, 0)")
        .bind(desk.business.reseller_id)
        .bind(desk.business.customers[1])
        .execute(&desk.office.pool)
        .await?;
    desk.close_month().await?;
    assert_eq!(desk.live(0).await?.subtotal, decimal("15"));
    assert_eq!(desk.live(1).await?.subtotal, decimal("20"));
    desk.office.close().await
}

#[tokio::test]
async fn a_month_that_has_not_ended_is_billed_only_provisionally() -> Result<()> {
    let desk = Desk::open(1).await?;
    let future =
        StartBillRun { billing_period: "2999-01".parse()?, ..desk.business.bill_run(InitialStatus::Draft, None) };
    assert!(desk.office.refused(&future).await?.contains("has not ended"));
    let provisional = StartBillRun { provisional: true, ..desk.business.bill_run(InitialStatus::Draft, None) };
    desk.office.done(&provisional).await?;
    desk.office.settled().await?;
    let draft = desk.live(0).await?;
    assert!(desk.office.refused(&desk.to_open(&draft)).await?.contains("billing period is not closed"));
    let unknown = StartBillRun { provider: "acw".into(), ..desk.business.bill_run(InitialStatus::Draft, None) };
    assert!(desk.office.refused(&unknown).await?.starts_with("unknown provider `acw`; known:"));
    desk.office.close().await
}

#[tokio::test]
async fn a_correction_voids_and_replaces_in_one_go_and_only_once() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.close_month().await?;
    let draft = desk.live(0).await?;
    let correct = |invoice: &Invoice| CorrectInvoice {
        reseller_id: invoice.reseller_id,
        invoice_id: invoice.id,
        version: invoice.version,
        reason: "wrong address".to_owned(),
        status: InitialStatus::Open,
        notify: Some(false),
    };
    assert!(desk.office.refused(&correct(&draft)).await?.contains("only an open or closed invoice"));
    desk.office.done(&desk.to_open(&draft)).await?;
    let old = desk.live(0).await?;
    desk.office.done(&correct(&old)).await?;
    let new = desk.live(0).await?;
    assert_eq!((new.replaces, new.status), (Some(old.id), InvoiceStatus::Open));
    assert!(new.number.as_deref().is_some_and(|number| number.ends_with("-00002")));
    let void = desk.find(old.id).await?;
    assert_eq!((void.status, void.number), (InvoiceStatus::Void, old.number.clone()));
    assert!(desk.office.done(&correct(&old)).await?.starts_with("stale:"));
    assert_eq!(desk.live(0).await?.id, new.id);
    desk.office.close().await
}

#[tokio::test]
async fn documents_are_offered_by_provider_and_come_out_the_same_twice() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.close_month().await?;
    let draft = desk.live(0).await?;
    let render = |kind| RenderDocument { reseller_id: draft.reseller_id, invoice_id: draft.id, version: 1, kind };
    for kind in DocumentKind::ALL {
        desk.office.done(&render(kind)).await?;
    }
    let mut connection = desk.office.pool.acquire().await?;
    let stored = documents::of_version(&mut connection, draft.reseller_id, draft.id, 1, "es").await?;
    assert_eq!(stored.len(), DocumentKind::ALL.len());
    for document in &stored {
        let location = document.location.as_str().into();
        let before = desk.office.context.objects.get(&location).await?.bytes().await?;
        desk.office.done(&render(document.kind)).await?;
        assert_eq!(desk.office.context.objects.get(&location).await?.bytes().await?, before, "{}", document.kind);
    }
    let detail = stored.iter().find(|document| document.kind == DocumentKind::DetailedCsv).context("a detail")?;
    let bytes = desk.office.context.objects.get(&detail.location.as_str().into()).await?.bytes().await?;
    let text = String::from_utf8(bytes.to_vec())?;
    let prices =
        text.lines().skip(1).filter_map(|line| line.split(';').rev().nth(1).map(|price| price.replace(',', ".")));
    let sum: BigDecimal = prices.map(|price| decimal(&price)).sum();
    assert_eq!(sum, draft.exact_subtotal, "{text}");
    sqlx::query("UPDATE invoices SET provider = 'ibm'").execute(&desk.office.pool).await?;
    let error = desk.office.refused(&render(DocumentKind::DetailedCsv)).await?;
    assert!(error.contains("offered: pdf, csv, print"), "{error}");
    desk.office.close().await
}

#[tokio::test]
async fn a_generation_waits_for_a_file_that_is_being_imported() -> Result<()> {
    let desk = Desk::open(1).await?;
    let mut import = desk.office.pool.begin().await?;
    sqlx::query("SELECT 1 FROM billing_periods FOR UPDATE").execute(&mut *import).await?;
    let id = desk.office.hand_in(&desk.business.generate(0)).await?;
    until("the generation to wait for the import", || async {
        let sql = "SELECT count(*) FROM pg_locks AS waiting JOIN pg_locks AS held USING (pid)
                   WHERE NOT waiting.granted AND held.database = (SELECT oid FROM pg_database
                                                                  WHERE datname = current_database())";
        let waiting: i64 = sqlx::query_scalar(sql).fetch_one(&desk.office.pool).await?;
        Ok((waiting > 0).then_some(()))
    })
    .await?;
    let made: i64 = sqlx::query_scalar("SELECT count(*) FROM invoices").fetch_one(&desk.office.pool).await?;
    assert_eq!(made, 0);
    import.commit().await?;
    assert_eq!(wait_for(&desk.office.pool, id).await?.0.state, "done");
    desk.office.close().await
}
