//! Generation, bill runs and corrections, as a finance department would try them.

use anyhow::Result;
use billrunner::{
    clock::Clock,
    domain::{
        invoice::{Invoice, InvoiceKind},
        invoice_status::InvoiceStatus,
    },
    jobs::{ChangeInvoiceStatus, CorrectInvoice, GenerateInvoice, InitialStatus, StartBillRun},
    store::directory,
};

use crate::support::{
    TestDatabase,
    business::{Business, PROVIDER, charge_file, directory_of},
    desk::{Desk, decimal},
    fixture::fixture,
    import::import,
    worker::{until, wait_for},
};

/// Waits until a transaction in this database waits for another, or has made an invoice without waiting.
async fn someone_waits(desk: &Desk) -> Result<()> {
    until("a transaction to wait for another", || async {
        let sql = "SELECT (SELECT count(*) FROM invoices WHERE version = 1)
                        + (SELECT count(*) FROM pg_locks AS waiting JOIN pg_locks AS held USING (pid)
                           WHERE NOT waiting.granted AND held.database = (SELECT oid FROM pg_database
                                                                          WHERE datname = current_database()))";
        let seen: i64 = sqlx::query_scalar(sql).fetch_one(&desk.office.pool).await?;
        Ok((seen > 0).then_some(()))
    })
    .await
}

#[tokio::test]
async fn generating_again_names_the_invoice_there_is_and_replaces_only_a_draft() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let first = desk.live(0).await?;
    let message = desk.office.done(&desk.business.generate(0)).await?;
    assert_eq!(message, format!("{} exists and is draft", first.document_id));
    let replace = GenerateInvoice { replace: true, ..desk.business.generate(0) };
    desk.office.done(&replace).await?;
    let second = desk.live(0).await?;
    assert_eq!((second.status, desk.find(first.id).await?.status), (InvoiceStatus::Draft, InvoiceStatus::Discarded));
    assert_ne!(second.id, first.id);
    desk.office.done(&desk.to(second.id, InvoiceStatus::Open)).await?;
    for to in [InvoiceStatus::Open, InvoiceStatus::Closed] {
        desk.office.done(&desk.to(second.id, to)).await?;
        let before = desk.live(0).await?;
        let message = desk.office.done(&replace).await?;
        assert_eq!(message, format!("{} exists and is {to}", second.document_id));
        assert_eq!((desk.live(0).await?.id, desk.live(0).await?.version), (second.id, before.version));
    }
    desk.close().await
}

#[tokio::test]
async fn two_generations_at_once_make_one_invoice() -> Result<()> {
    let desk = Desk::open(8).await?;
    let second_worker = desk.office.hire();
    for customer in 0..8 {
        let generate = desk.business.generate(customer);
        tokio::try_join!(desk.office.done(&generate), desk.office.done(&generate))?;
        assert_eq!(desk.live(customer).await?.status, InvoiceStatus::Draft);
    }
    let made: i64 = sqlx::query_scalar("SELECT count(*) FROM invoices").fetch_one(&desk.office.pool).await?;
    assert_eq!(made, 8);
    second_worker.stop().await?;
    desk.close().await
}

#[tokio::test]
async fn nobody_is_billed_for_a_file_of_headers_and_unknown_names_are_refused() -> Result<()> {
    let database = TestDatabase::new().await?;
    let business = Business::without_charges(&database.pool, 1).await?;
    import(&database.pool, business.reseller_id, PROVIDER, &fixture("traps/t19_header_only.csv")).await?;
    let desk = Desk::of(database, business, Clock::System).await?;
    let run = desk.business.bill_run(InitialStatus::Open, Some(true));
    assert_eq!(desk.office.done(&run).await?, "0 invoices to generate");
    assert!(desk.office.refused(&desk.business.generate(0)).await?.contains("has no charges in EUR"));
    let known = "unknown provider `acw`; known: aws, google";
    let unknown = StartBillRun { provider: "acw".into(), run_id: "other".into(), ..run };
    assert!(desk.office.refused(&unknown).await?.starts_with(known));
    let unknown = GenerateInvoice { provider: "acw".into(), ..desk.business.generate(0) };
    assert!(desk.office.refused(&unknown).await?.starts_with(known));
    let stranger =
        GenerateInvoice { customer_id: billrunner::domain::ids::CustomerId::new(), ..desk.business.generate(0) };
    assert!(desk.office.refused(&stranger).await?.contains("add it to the directory"));
    desk.close().await
}

#[tokio::test]
async fn a_customer_whose_charges_cost_nothing_gets_an_invoice_of_nothing() -> Result<()> {
    let desk = Desk::with_costs(&["0"]).await?;
    desk.close_month().await?;
    let draft = desk.live(0).await?;
    assert_eq!((draft.kind, &draft.total, draft.charge_count), (InvoiceKind::Invoice, &decimal("0"), 1));
    assert_eq!((draft.lines.len(), draft.zero_line_count), (0, 1), "zero lines are counted, not printed");
    desk.office.done(&desk.to(draft.id, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    assert!(desk.live(0).await?.number.is_some());
    desk.close().await
}

#[tokio::test]
async fn each_tax_is_rounded_on_the_subtotal() -> Result<()> {
    let desk = Desk::with_costs(&["0.10"]).await?;
    desk.execute("INSERT INTO tax_rates SELECT reseller_id, id, 'Recargo', 0.052 FROM customers").await?;
    desk.close_month().await?;
    let draft = desk.live(0).await?;
    let taxes: Vec<_> =
        draft.taxes.iter().map(|tax| (tax.name.as_str(), tax.base.clone(), tax.amount.clone())).collect();
    // 0.10 × 1.125 = 0.1125, printed 0.11; 21 % of it is 0.0231, 5.2 % is 0.00572.
    let base = decimal("0.11");
    assert_eq!(taxes, [("IVA", base.clone(), decimal("0.02")), ("Recargo", base, decimal("0.01"))]);
    assert_eq!((draft.tax, draft.total), (decimal("0.03"), decimal("0.14")));
    desk.close().await
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
    desk.close().await
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
    desk.close().await
}

#[tokio::test]
async fn charges_that_a_live_invoice_bills_are_not_billed_a_second_time_in_another_currency() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    desk.execute("UPDATE customers SET currency = 'JPY'").await?;
    desk.execute(
        "INSERT INTO exchange_rates (reseller_id, from_currency, to_currency, rated_on, rate, source)
         SELECT id, 'EUR', 'JPY', '2026-08-31', 171.25, 'ECB' FROM resellers",
    )
    .await?;
    let in_yen = GenerateInvoice { currency: "JPY".parse()?, ..desk.business.generate(0) };
    let refused = desk.office.refused(&in_yen).await?;
    assert!(refused.contains("billing account `payer` charged 10 EUR, invoiced are 20"), "{refused}");
    assert!(refused.ends_with("void or discard the invoice that bills them already"), "{refused}");
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Discarded)).await?;
    desk.office.done(&in_yen).await?;
    desk.close().await
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
    desk.close().await
}

#[tokio::test]
async fn a_generation_waits_for_a_file_that_is_being_imported() -> Result<()> {
    let desk = Desk::open(1).await?;
    let mut import = desk.office.pool.begin().await?;
    sqlx::query("SELECT 1 FROM billing_periods FOR UPDATE").execute(&mut *import).await?;
    let id = desk.office.hand_in(&desk.business.generate(0)).await?;
    someone_waits(&desk).await?;
    let made: i64 = sqlx::query_scalar("SELECT count(*) FROM invoices").fetch_one(&desk.office.pool).await?;
    assert_eq!(made, 0);
    import.commit().await?;
    assert_eq!(wait_for(&desk.office.pool, id).await?.0.state, "done");
    desk.close().await
}

#[tokio::test]
async fn a_correction_that_waits_for_an_import_holds_up_nobody_else() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let open = desk.live(0).await?;
    let mut import = desk.office.pool.begin().await?;
    sqlx::query("SELECT 1 FROM billing_periods FOR UPDATE").execute(&mut *import).await?;
    let id = desk.office.hand_in(&correct(&open)).await?;
    someone_waits(&desk).await?;
    let mut other = desk.office.pool.begin().await?;
    sqlx::query("SELECT 1 FROM invoices FOR UPDATE NOWAIT").execute(&mut *other).await?;
    sqlx::query("SELECT 1 FROM event_chains FOR UPDATE NOWAIT").execute(&mut *other).await?;
    other.rollback().await?;
    import.commit().await?;
    assert_eq!(wait_for(&desk.office.pool, id).await?.0.state, "done");
    desk.close().await
}

#[tokio::test]
async fn a_generation_waits_for_terms_that_are_being_changed() -> Result<()> {
    let desk = Desk::open(1).await?;
    let mut terms = directory_of(desk.business.reseller_id, &desk.business.customers);
    terms["markups"][0]["rate"] = "0.5".into();
    let mut change = desk.office.pool.begin().await?;
    directory::apply(&mut change, &serde_json::from_value(terms)?).await?;
    let id = desk.office.hand_in(&desk.business.generate(0)).await?;
    someone_waits(&desk).await?;
    change.commit().await?;
    assert_eq!(wait_for(&desk.office.pool, id).await?.0.state, "done");
    let draft = desk.live(0).await?;
    assert!(draft.stale || draft.subtotal == decimal("15"), "no draft of old terms passes for a fresh one");
    desk.close().await
}

#[tokio::test]
async fn changed_terms_make_drafts_stale_and_leave_issued_invoices_alone() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    let open = desk.id(0).await?;
    desk.office.done(&desk.to(open, InvoiceStatus::Open)).await?;
    let mut terms = directory_of(desk.business.reseller_id, &desk.business.customers);
    let mut apply = desk.office.pool.begin().await?;
    directory::apply(&mut apply, &serde_json::from_value(terms.clone())?).await?;
    apply.commit().await?;
    assert!(!desk.live(1).await?.stale, "the same terms again change nothing");
    let of_second = serde_json::json!({ "customer_id": desk.business.customers[1], "rate": "0.5" });
    terms["markups"].as_array_mut().expect("markups").push(of_second);
    let mut apply = desk.office.pool.begin().await?;
    directory::apply(&mut apply, &serde_json::from_value(terms)?).await?;
    apply.commit().await?;
    assert!(desk.live(1).await?.stale && !desk.live(0).await?.stale);
    desk.close().await
}

#[tokio::test]
async fn a_month_that_has_not_ended_is_billed_only_provisionally() -> Result<()> {
    let database = TestDatabase::new().await?;
    let business = Business::open(&database.pool, 1).await?;
    let last_evening = Clock::Fixed("2026-08-31T23:59:59Z".parse()?);
    let desk = Desk::of(database, business, last_evening).await?;
    let run = desk.business.bill_run(InitialStatus::Draft, None);
    assert!(desk.office.refused(&run).await?.contains("billing period 2026-08 has not ended; wait for 2026-09-01"));
    let provisional = StartBillRun { provisional: true, run_id: "provisional".into(), ..run };
    desk.office.done(&provisional).await?;
    desk.office.settled().await?;
    let open = desk.to(desk.id(0).await?, InvoiceStatus::Open);
    assert!(desk.office.refused(&open).await?.contains("billing period is not closed"));
    desk.office.done(&ChangeInvoiceStatus { force: true, ..open }).await?;
    assert_eq!(desk.live(0).await?.status, InvoiceStatus::Open);
    desk.close().await
}

fn correct(invoice: &Invoice) -> CorrectInvoice {
    CorrectInvoice {
        reseller_id: invoice.reseller_id,
        invoice_id: invoice.id,
        version: invoice.version,
        reason: "wrong address".to_owned(),
        status: InitialStatus::Open,
        notify: Some(false),
    }
}

#[tokio::test]
async fn a_correction_voids_and_replaces_in_one_go_and_only_once() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Closed)).await?;
    let old = desk.live(0).await?;
    desk.office.done(&correct(&old)).await?;
    let new = desk.live(0).await?;
    assert_eq!((new.replaces, new.status), (Some(old.id), InvoiceStatus::Open));
    assert!(new.number.as_deref().is_some_and(|number| number.ends_with("-00002")));
    let void = desk.find(old.id).await?;
    assert_eq!((void.status, &void.number), (InvoiceStatus::Void, &old.number));
    let sql = "SELECT count(DISTINCT xmin::text) FROM invoices";
    let writers: i64 = sqlx::query_scalar(sql).fetch_one(&desk.office.pool).await?;
    assert_eq!(writers, 1, "both are written by one transaction");
    assert!(desk.office.done(&correct(&old)).await?.starts_with("stale:"));
    assert_eq!(desk.live(0).await?.id, new.id);
    desk.close().await
}

#[tokio::test]
async fn only_an_issued_invoice_is_corrected_and_only_with_a_reason() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let draft = desk.live(0).await?;
    assert!(desk.office.refused(&correct(&draft)).await?.contains("only an open or closed invoice"));
    desk.office.done(&desk.to(draft.id, InvoiceStatus::Open)).await?;
    let open = desk.live(0).await?;
    let silent = CorrectInvoice { reason: " ".to_owned(), ..correct(&open) };
    assert!(desk.office.refused(&silent).await?.contains("without a reason"));
    assert_eq!(desk.live(0).await?.version, open.version);
    desk.office.done(&desk.to(open.id, InvoiceStatus::Void)).await?;
    let void = desk.find(open.id).await?;
    assert!(desk.office.refused(&correct(&void)).await?.contains("is void and is not corrected"));
    let unknown = CorrectInvoice { invoice_id: billrunner::domain::ids::InvoiceId::new(), ..correct(&void) };
    assert!(desk.office.done(&unknown).await?.ends_with("does not exist"));
    desk.close().await
}

#[tokio::test]
async fn a_correction_that_cannot_be_generated_leaves_the_invoice_as_it_is() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    let open = desk.live(0).await?;
    desk.execute("UPDATE customers SET currency = 'JPY'").await?;
    assert!(desk.office.refused(&correct(&open)).await?.contains("is invoiced in JPY, not in EUR"));
    let after = desk.live(0).await?;
    assert_eq!((after.id, after.status, after.version), (open.id, InvoiceStatus::Open, open.version));
    desk.close().await
}
