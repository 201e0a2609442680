//! Provisional months, superseding files, corrections and credit notes, from the file to the invoice and its bill run.

use anyhow::Result;
use billrunner::{
    clock::Clock,
    documents::DocumentModel,
    domain::{
        invoice::{Invoice, InvoiceKind},
        invoice_status::InvoiceStatus,
    },
    jobs::{CorrectInvoice, InitialStatus, OpenInvoices, StartBillRun},
    language::Language,
};
use sqlx::PgPool;

use crate::support::{
    TestDatabase,
    business::{Business, PERIOD, PROVIDER},
    desk::{Desk, decimal},
};

const FIRST: [&str; 2] = ["payer account-0 10 EUR Usage", "payer account-1 20 EUR Usage"];

async fn desk(customers: usize, rows: &[&str]) -> Result<Desk> {
    let database = TestDatabase::new().await?;
    let business = Business::without_charges(&database.pool, customers).await?;
    let desk = Desk::of(database, business, Clock::Fixed("2026-09-10T10:00:00Z".parse()?)).await?;
    desk.import_month(rows, "first").await?;
    Ok(desk)
}

fn open_all(desk: &Desk) -> OpenInvoices {
    OpenInvoices {
        reseller_id: desk.business.reseller_id,
        provider: PROVIDER.to_owned(),
        billing_period: PERIOD.parse().expect("a month"),
        notify: Some(false),
        force: false,
    }
}

/// Returns all of an invoice's rows as text.
async fn rows_of(pool: &PgPool, invoice: &Invoice) -> Result<Vec<String>> {
    let sql = "SELECT to_jsonb(row)::text FROM invoices AS row WHERE id = $1
               UNION ALL SELECT to_jsonb(row)::text FROM invoice_lines AS row WHERE invoice_id = $1
               UNION ALL SELECT to_jsonb(row)::text FROM invoice_taxes AS row WHERE invoice_id = $1
               UNION ALL SELECT to_jsonb(row)::text FROM invoice_sources AS row WHERE invoice_id = $1
               UNION ALL SELECT to_jsonb(row)::text FROM invoice_events AS row WHERE invoice_id = $1 ORDER BY 1";
    Ok(sqlx::query_scalar(sql).bind(invoice.id).fetch_all(pool).await?)
}

#[tokio::test]
async fn a_provisional_month_makes_drafts_that_wait_and_a_final_run_makes_them_anew() -> Result<()> {
    let desk = desk(2, &FIRST).await?;
    let drafts = desk.business.bill_run(InitialStatus::Draft, None);
    let provisional = StartBillRun { provisional: true, run_id: "provisional".into(), ..drafts.clone() };
    assert_eq!(desk.bill(&provisional).await?.state(), "complete");
    let refused = desk.office.refused(&open_all(&desk)).await?;
    assert!(refused.contains("the billing period is not closed; run the final bill run, or use `force`"), "{refused}");
    let first = desk.live(0).await?;

    desk.import_month(&["payer account-0 12 EUR Usage", "payer account-1 20 EUR Usage"], "final").await?;
    assert!(desk.live(0).await?.stale, "the final file makes provisional drafts stale");
    let ended = desk.bill(&drafts).await?;
    assert_eq!(ended.state(), "needs_attention");
    assert!(ended.findings.iter().all(|finding| finding.kind.as_str() == "stale_draft"), "{:#?}", ended.findings);
    assert_eq!(ended.findings.len(), 2);

    let ended = desk.bill(&StartBillRun { replace: true, ..drafts }).await?;
    assert_eq!((ended.state(), ended.run.generation_count), ("complete", 2));
    let anew = desk.live(0).await?;
    assert_eq!((anew.stale, anew.subtotal), (false, decimal("13.50")));
    assert_eq!(desk.find(first.id).await?.status, InvoiceStatus::Discarded);
    assert!(desk.office.done(&open_all(&desk)).await?.starts_with("2 opened, 0 left"));
    desk.close().await
}

#[tokio::test]
async fn a_late_file_never_touches_an_issued_invoice_and_the_run_says_what_it_would_have_changed() -> Result<()> {
    let desk = desk(3, &[FIRST[0], FIRST[1], "payer account-2 30 EUR Usage"]).await?;
    let drafts = desk.business.bill_run(InitialStatus::Draft, None);
    desk.bill(&drafts).await?;
    desk.office.done(&open_all(&desk)).await?;
    desk.office.done(&desk.to(desk.id(1).await?, InvoiceStatus::Closed)).await?;
    desk.office.settled().await?;
    let issued = [desk.live(0).await?, desk.live(1).await?, desk.live(2).await?];
    let mut before = Vec::new();
    for invoice in &issued {
        before.push(rows_of(&desk.office.pool, invoice).await?);
    }
    let late = ["payer account-0 12.345 EUR Usage", "payer account-1 15 EUR Usage", "payer account-2 30 EUR Usage"];
    desk.import_month(&late, "late").await?;
    let ended = desk.bill(&StartBillRun { replace: true, ..drafts.clone() }).await?;
    assert_eq!((ended.state(), ended.run.generation_count, ended.run.existing_count), ("needs_attention", 0, 3));
    for (invoice, before) in issued.iter().zip(before) {
        assert_eq!(rows_of(&desk.office.pool, invoice).await?, before, "{:?}", invoice.number);
    }
    let found: Vec<_> = ended
        .findings
        .iter()
        .map(|found| {
            let amount = found.amount.as_ref().map(billrunner::domain::bill_run::plain_text);
            (found.kind.as_str(), found.customer_name.clone().unwrap_or_default(), amount.unwrap_or_default())
        })
        .collect();
    let expected = [("late_file", "Customer 000", "2.345"), ("late_file", "Customer 001", "-5")];
    assert_eq!(found, expected.map(|(kind, name, amount)| (kind, name.to_owned(), amount.to_owned())));
    let what = &ended.findings[0].what;
    // 12.345 × 1.125 = 13.888125, printed 13.89; with 21 % 16.81. It was 11.25 + 2.36.
    assert!(what.contains("bills a cost of 10 EUR, the charges that count now cost 12.345"), "{what}");
    assert!(what.ends_with("a correction would come to 16.81 EUR instead of 13.61"), "{what}");

    for customer in [0, 1] {
        let invoice = desk.live(customer).await?;
        let correct = CorrectInvoice {
            reseller_id: invoice.reseller_id,
            invoice_id: invoice.id,
            version: invoice.version,
            reason: "a late file".to_owned(),
            status: InitialStatus::Open,
            notify: Some(false),
        };
        desk.office.done(&correct).await?;
    }
    assert_eq!(desk.live(0).await?.total, decimal("16.81"));
    let ended = desk.bill(&drafts).await?;
    assert_eq!((ended.state(), ended.findings.len()), ("complete", 0), "{:#?}", ended.findings);
    desk.close().await
}

#[tokio::test]
async fn a_negative_month_is_a_credit_note_in_a_series_of_its_own_also_when_all_are_opened_at_once() -> Result<()> {
    let rows = ["payer account-0 10 EUR Usage", "payer account-1 -20 EUR Credit", "payer account-2 30 EUR Usage"];
    let desk = desk(3, &rows).await?;
    assert_eq!(desk.bill(&desk.business.bill_run(InitialStatus::Draft, None)).await?.state(), "complete");
    desk.office.done(&open_all(&desk)).await?;
    let sql = "SELECT number FROM invoices ORDER BY number";
    let numbers: Vec<String> = sqlx::query_scalar(sql).fetch_all(&desk.office.pool).await?;
    assert_eq!(numbers, ["2026-00001", "2026-00002", "CN-2026-00001"]);
    let note = desk.live(1).await?;
    assert_eq!(
        (note.kind, &note.subtotal, &note.total),
        (InvoiceKind::CreditNote, &decimal("-20"), &decimal("-24.20"))
    );
    let model = DocumentModel::new(&note, &Language::for_tag(&note.language)?)?;
    assert!(!format!("{model:?}").contains("-24"), "amounts of a credit note are printed positive: {model:#?}");
    desk.close().await
}

#[tokio::test]
async fn a_correction_of_an_earlier_month_stands_in_a_section_of_its_own_with_that_month() -> Result<()> {
    let rows = [
        "payer account-1 10 EUR Usage",
        "payer account-1 -4 EUR Usage 2026-06-15",
        "payer account-1 3 EUR Usage 2026-07-31",
    ];
    let desk = desk(2, &rows).await?;
    assert_eq!(desk.bill(&desk.business.bill_run(InitialStatus::Draft, None)).await?.state(), "complete");
    let invoice = desk.live(1).await?;
    let lines: Vec<_> = invoice
        .lines
        .iter()
        .map(|line| (line.correction_of.map(|day| day.to_string()).unwrap_or_default(), line.net.to_plain_string()))
        .collect();
    let line = |month: &str, net: &str| (month.to_owned(), net.to_owned());
    assert_eq!(lines, [line("", "11.25"), line("2026-06-01", "-4.50"), line("2026-07-01", "3.38")]);
    let model = DocumentModel::new(&invoice, &Language::for_tag(&invoice.language)?)?;
    let months: Vec<_> =
        model.sections.iter().map(|section| section.corrected_month.as_deref().unwrap_or("")).collect();
    assert_eq!(months, ["", "2026-06", "2026-07"]);
    desk.close().await
}
