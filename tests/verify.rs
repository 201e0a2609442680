//! `billrunner verify`: a healthy site is told nothing; each kind of damage, done as the owner of database or object
//! store, is named with its place.

use anyhow::{Context, Result, ensure};
use billrunner::{
    domain::{document::DocumentKind, invoice_status::InvoiceStatus},
    jobs::{Check, CorrectInvoice, InitialStatus, RenderDocument, Report},
};
use object_store::{ObjectStoreExt, PutPayload, path::Path};
use serde_json::json;
use sqlx::Connection;

use crate::support::{business::database_url, desk::Desk, priced, site::Site, worker::settled};

/// A desk with an invoice of each status, and documents of earlier versions: a draft that was rendered before it opened,
/// a closed one, a void one with the one that replaces it, a discarded one.
async fn desk_of_all_sorts() -> Result<Desk> {
    let desk = Desk::with_drafts(5).await?;
    let draft = desk.live(0).await?;
    // Neither of a draft nor of a view is there an e-invoice.
    for kind in DocumentKind::ALL.into_iter().filter(|kind| *kind != DocumentKind::Ubl) {
        let (reseller_id, invoice_id, version) = (draft.reseller_id, draft.id, draft.version);
        desk.office.done(&RenderDocument { reseller_id, invoice_id, version, kind, currency: None }).await?;
    }
    for customer in 0..3 {
        desk.office.done(&desk.to(desk.id(customer).await?, InvoiceStatus::Open)).await?;
        desk.office.settled().await?;
    }
    desk.office.done(&desk.to(desk.id(1).await?, InvoiceStatus::Closed)).await?;
    desk.office.done(&desk.to(desk.id(1).await?, InvoiceStatus::Open)).await?;
    let open = desk.live(2).await?;
    let correct: CorrectInvoice = serde_json::from_value(serde_json::json!({
        "reseller_id": open.reseller_id, "invoice_id": open.id, "version": open.version, "reason": "a trial",
    }))?;
    desk.office.done(&correct).await?;
    desk.office.done(&desk.to(desk.id(3).await?, InvoiceStatus::Discarded)).await?;
    desk.office.settled().await?;
    Ok(desk)
}

/// Tells whether a finding of this check says this.
fn tells(report: &Report, check: Check, said: &str) -> bool {
    report.findings.iter().any(|finding| finding.check == check && finding.to_string().contains(said))
}

#[tokio::test]
async fn a_healthy_site_has_no_findings_and_its_documents_come_out_the_same() -> Result<()> {
    let desk = desk_of_all_sorts().await?;
    let report = desk.verify(true).await?;
    assert_eq!(report.count(), 0, "{report:#?}");
    let recorded: i64 = sqlx::query_scalar("SELECT count(*) FROM documents").fetch_one(&desk.office.pool).await?;
    assert!(recorded > 20, "{recorded}");
    assert_eq!((report.resellers, report.documents), (1, u64::try_from(recorded)?));
    assert_eq!(report.rendered_again, report.documents, "those of earlier versions too");
    desk.close().await
}

#[tokio::test]
async fn dear_and_cheap_services_narrowed_taxes_custom_charges_and_views_are_no_findings() -> Result<()> {
    let rows = [
        (0, "EC2", "Compute", "Usage", "2026-08-05", "100.105"),
        (0, "S3", "Storage", "Usage", "2026-08-05", "50.05"),
        (0, "S3", "Storage", "Credit", "2026-08-06", "-3.333"),
        (0, "S3", "Storage", "Usage", "2026-07-06", "-1.1"),
    ];
    let desk = priced::open(1, &rows).await?;
    let mut terms = desk.terms();
    terms["price_rules"] = json!([
        { "method": "markup", "rate": "0.125" },
        { "method": "margin", "rate": "0.3", "service_name": "S3" },
    ]);
    terms["custom_charges"] = json!([
        { "name": "Support", "provider": "aws", "currency": "EUR", "formula": { "kind": "fixed", "amount": "9.995" } },
        { "name": "Rebate", "is_discount": true, "formula": { "kind": "percent", "basis": "subtotal", "rate": "0.03" } },
    ]);
    terms["customers"][0]["tax_rates"] = json!([
        { "name": "IVA", "rate": "0.21" },
        { "name": "IVA", "rate": "0.10", "services": ["S3"] },
        { "name": "Recargo", "rate": "0.052", "sections": ["custom_charges"] },
    ]);
    terms["exchange_rates"] =
        json!([{ "from": "EUR", "to": "USD", "rated_on": "2026-08-31", "rate": "1.17", "source": "ECB" }]);
    terms["pricing_policy"] = json!({ "max_exchange_rate_age_days": 3650 });
    desk.apply(&terms).await?;
    let draft = desk.draft(0).await?;
    assert_eq!((draft.taxes.len(), draft.lines.iter().filter(|line| line.is_custom_charge()).count()), (3, 2));
    desk.close_month().await?;
    desk.office.done(&desk.to(desk.id(0).await?, InvoiceStatus::Open)).await?;
    desk.office.settled().await?;
    let open = desk.live(0).await?;
    for kind in DocumentKind::ALL.into_iter().filter(|kind| *kind != DocumentKind::Ubl) {
        let (reseller_id, invoice_id, version, currency) =
            (open.reseller_id, open.id, open.version, Some("USD".parse()?));
        desk.office.done(&RenderDocument { reseller_id, invoice_id, version, kind, currency }).await?;
    }
    let report = desk.verify(true).await?;
    assert_eq!(report.count(), 0, "{report:#?}");
    let offered = u64::try_from(DocumentKind::ALL.len())?;
    let stored = 2 * offered - 1;
    assert_eq!((report.documents, report.rendered_again), (stored, stored), "the invoice's, and its view's but one");

    desk.tamper("UPDATE invoice_taxes SET base = base + 1, amount = round((base + 1) * rate, 2) WHERE rate = 0.10")
        .await?;
    let report = desk.verify(false).await?;
    assert!(tells(&report, Check::Sums, "base of tax IVA"), "{report:#?}");
    desk.close().await
}

/// What is planted, which check says what of it, and how it is mended.
type Damage = (&'static str, &'static [(Check, &'static str)], &'static str);

const NUMBERS_AND_EVENTS: [Damage; 10] = [
    (
        "UPDATE invoice_events SET actor = actor || ' or not' WHERE sequence = 2",
        &[(Check::Events, "broken at event 2: the event is not what its hash was made of")],
        "UPDATE invoice_events SET actor = replace(actor, ' or not', '') WHERE sequence = 2",
    ),
    (
        "UPDATE invoice_events SET previous_hash = hash WHERE sequence = 3",
        &[(Check::Events, "broken at event 3: the event does not follow the one before it")],
        "UPDATE invoice_events SET previous_hash = (SELECT hash FROM invoice_events WHERE sequence = 2) WHERE sequence = 3",
    ),
    (
        "CREATE TABLE aside AS SELECT * FROM invoice_events WHERE sequence = 4; DELETE FROM invoice_events WHERE sequence = 4",
        &[(Check::Events, "broken at event 4: the event is missing")],
        "INSERT INTO invoice_events SELECT * FROM aside; DROP TABLE aside",
    ),
    (
        "CREATE TABLE aside AS SELECT * FROM event_chains; UPDATE event_chains SET last_hash = decode(repeat('00', 32), 'hex')",
        &[(Check::Events, "event_chains names another hash than its last event has")],
        "UPDATE event_chains SET last_hash = (SELECT last_hash FROM aside); DROP TABLE aside",
    ),
    (
        "CREATE TABLE aside AS SELECT * FROM event_chains;
         UPDATE event_chains SET next_sequence = 2, last_hash = (SELECT hash FROM invoice_events WHERE sequence = 1)",
        &[(Check::Events, "broken at event 2: the event stands behind the end that event_chains names")],
        "UPDATE event_chains SET next_sequence = aside.next_sequence, last_hash = aside.last_hash FROM aside; DROP TABLE aside",
    ),
    (
        "UPDATE invoices SET number = replace(number, '-00002', '-00009') WHERE number LIKE '%-00002'",
        &[(Check::Numbers, "-00002 is missing"), (Check::Numbers, "-00009 is beyond the counter of its series")],
        "UPDATE invoices SET number = replace(number, '-00009', '-00002') WHERE number LIKE '%-00009'",
    ),
    (
        "UPDATE invoices SET issued_on = issued_on - 1 WHERE number LIKE '%-00003'",
        &[(Check::Numbers, "-00003 was issued on")],
        "UPDATE invoices SET issued_on = issued_on + 1 WHERE number LIKE '%-00003'",
    ),
    (
        "UPDATE invoices SET number = '1999-00001' WHERE number LIKE '%-00001'",
        &[(Check::Numbers, "number 1999-00001 of"), (Check::Numbers, "-00001 is missing")],
        "UPDATE invoices SET number = to_char(issued_on, 'YYYY') || '-00001' WHERE number LIKE '%-00001'",
    ),
    (
        "UPDATE invoices SET status = 'closed' WHERE number LIKE '%-00001'",
        &[(Check::Statuses, "is closed at version 2, but its last event says open at version 2")],
        "UPDATE invoices SET status = 'open' WHERE number LIKE '%-00001'",
    ),
    (
        "CREATE TABLE aside AS SELECT sequence, to_status FROM invoice_events WHERE name = 'closed';
         UPDATE invoice_events SET to_status = 'draft' WHERE name = 'closed'",
        &[(Check::Statuses, "nothing returns to draft"), (Check::Events, "is not what its hash was made of")],
        "UPDATE invoice_events SET to_status = 'closed' WHERE name = 'closed'; DROP TABLE aside",
    ),
];

const MONEY: [Damage; 11] = [
    (
        "UPDATE invoices SET subtotal = subtotal + 1, total = total + 1, rounding_delta = rounding_delta + 1
         WHERE number LIKE '%-00001'",
        &[(Check::Sums, "subtotal is 12.25, but it comes to 11.25")],
        "UPDATE invoices SET subtotal = subtotal - 1, total = total - 1, rounding_delta = rounding_delta - 1
         WHERE number LIKE '%-00001'",
    ),
    (
        "UPDATE invoices SET exact_subtotal = exact_subtotal + 0.0001, rounding_delta = rounding_delta - 0.0001
         WHERE number LIKE '%-00001'",
        &[(Check::Sums, "exact subtotal is 11.2501, but it comes to 11.25")],
        "UPDATE invoices SET exact_subtotal = exact_subtotal - 0.0001, rounding_delta = rounding_delta + 0.0001
         WHERE number LIKE '%-00001'",
    ),
    (
        "UPDATE invoices SET tax = tax + 0.01, total = total + 0.01 WHERE number LIKE '%-00001'",
        &[(Check::Sums, "tax is 2.37, but it comes to 2.36")],
        "UPDATE invoices SET tax = tax - 0.01, total = total - 0.01 WHERE number LIKE '%-00001'",
    ),
    (
        "UPDATE invoice_taxes SET rate = 0.20 WHERE invoice_id = (SELECT id FROM invoices WHERE number LIKE '%-00001')",
        &[(Check::Sums, "tax IVA is 2.36, but it comes to 2.25")],
        "UPDATE invoice_taxes SET rate = 0.21",
    ),
    (
        "UPDATE invoice_lines SET net = net - 0.01 WHERE invoice_id = (SELECT id FROM invoices WHERE number LIKE '%-00001')",
        &[
            (Check::Sums, "line 1 is 11.24, but it comes to 11.25"),
            (Check::Sums, "subtotal is 11.25"),
            (Check::Sums, "base of tax IVA is 11.25, but it comes to 11.24"),
        ],
        "UPDATE invoice_lines SET net = net + 0.01 WHERE invoice_id = (SELECT id FROM invoices WHERE number LIKE '%-00001')",
    ),
    (
        "UPDATE invoice_lines SET cost_exact = cost_exact + 0.0000001
         WHERE invoice_id = (SELECT id FROM invoices WHERE number LIKE '%-00001')",
        &[(Check::Sums, "cost of the lines in EUR is 10.0000001, but it comes to 10")],
        "UPDATE invoice_lines SET cost_exact = cost_exact - 0.0000001
         WHERE invoice_id = (SELECT id FROM invoices WHERE number LIKE '%-00001')",
    ),
    (
        "UPDATE invoice_sources SET cost_exact = cost_exact - 0.01
         WHERE invoice_id = (SELECT id FROM invoices WHERE number LIKE '%-00001')",
        &[(Check::Sums, "aws 2026-08: billing account `payer` is off by -0.01"), (Check::Sums, "cost of the lines")],
        "UPDATE invoice_sources SET cost_exact = cost_exact + 0.01
         WHERE invoice_id = (SELECT id FROM invoices WHERE number LIKE '%-00001')",
    ),
    (
        "UPDATE invoices SET excluded_tax = '{\"EUR\": \"3\"}' WHERE number LIKE '%-00001'",
        &[(Check::Sums, "excluded tax in EUR is 3, but it comes to 0")],
        "UPDATE invoices SET excluded_tax = '{}' WHERE number LIKE '%-00001'",
    ),
    (
        "UPDATE charge_totals SET billed_cost = billed_cost + 1 WHERE sub_account_id = 'account-4'",
        &[(Check::Sums, "account `account-4` has Usage of 51 EUR in 2 charges, but its charges come to 50 in 2")],
        "UPDATE charge_totals SET billed_cost = billed_cost - 1 WHERE sub_account_id = 'account-4'",
    ),
    (
        "UPDATE charges SET billed_cost = billed_cost + 0.001 WHERE row_number = 1",
        &[(Check::Sums, "account `account-0` has Usage of 10 EUR in 2 charges, but its charges come to 10.001 in 2")],
        "UPDATE charges SET billed_cost = billed_cost - 0.001 WHERE row_number = 1",
    ),
    (
        "CREATE TABLE aside AS SELECT * FROM charges WHERE row_number = 1; DELETE FROM charges WHERE row_number = 1",
        &[(Check::Sums, "10 charges were imported, but there are 9")],
        "INSERT INTO charges SELECT * FROM aside; DROP TABLE aside",
    ),
];

#[tokio::test]
async fn damage_to_numbers_events_and_statuses_is_named() -> Result<()> {
    names_each(&NUMBERS_AND_EVENTS).await
}

#[tokio::test]
async fn damage_to_money_is_named() -> Result<()> {
    names_each(&MONEY).await
}

async fn names_each(damages: &[Damage]) -> Result<()> {
    let desk = desk_of_all_sorts().await?;
    for (plant, said, mend) in damages {
        desk.tamper(plant).await?;
        let report = desk.verify(false).await?;
        for (check, said) in *said {
            assert!(tells(&report, *check, said), "{plant}\nis told as\n{report:#?}");
        }
        assert!(report.findings.iter().all(|finding| !finding.way_out.is_empty()));
        desk.tamper(mend).await?;
        let report = desk.verify(false).await?;
        assert_eq!(report.count(), 0, "{mend}\nleaves\n{report:#?}");
    }
    desk.close().await
}

#[tokio::test]
async fn a_number_without_an_opening_is_named() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    desk.tamper(
        "ALTER TABLE invoices DROP CONSTRAINT invoices_check3;
         UPDATE invoices SET number = to_char(now(), 'YYYY') || '-00001', issued_on = now(), opened_at = now()
         WHERE document_id = (SELECT min(document_id) FROM invoices)",
    )
    .await?;
    let report = desk.verify(false).await?;
    assert!(tells(&report, Check::Numbers, "is draft and has the number"), "{report:#?}");
    desk.tamper("UPDATE invoices SET status = 'open', version = 2 WHERE number IS NOT NULL").await?;
    let report = desk.verify(false).await?;
    assert!(tells(&report, Check::Numbers, "no event tells that invoice"), "{report:#?}");
    desk.close().await
}

#[tokio::test]
async fn damage_to_documents_is_named() -> Result<()> {
    let desk = desk_of_all_sorts().await?;
    let location: String =
        sqlx::query_scalar("SELECT location FROM documents ORDER BY id LIMIT 1").fetch_one(&desk.office.pool).await?;
    let (objects, path) = (&desk.office.context.objects, Path::from(location.as_str()));
    let bytes = objects.get(&path).await?.bytes().await?;

    objects.delete(&path).await?;
    let report = desk.verify(false).await?;
    assert!(tells(&report, Check::Documents, &format!("`{location}` is missing in the object store")), "{report:#?}");
    let mut altered = bytes.to_vec();
    altered[0] ^= 1;
    objects.put(&path, PutPayload::from(altered)).await?;
    let report = desk.verify(false).await?;
    assert!(
        tells(&report, Check::Documents, &format!("`{location}` has {} bytes of sha256 ", bytes.len())),
        "{report:#?}"
    );
    objects.put(&path, PutPayload::from(bytes)).await?;

    // What a customer was told, changed so that every sum still holds: only rendering again shows it.
    desk.tamper(
        "UPDATE invoices SET customer_details = jsonb_set(customer_details, '{name}', '\"Somebody else\"')
         WHERE number LIKE '%-00001'",
    )
    .await?;
    assert_eq!(desk.verify(false).await?.count(), 0);
    let report = desk.verify(true).await?;
    assert!(tells(&report, Check::Documents, "again gives other bytes than were recorded"), "{report:#?}");
    desk.close().await
}

#[tokio::test]
async fn a_login_that_may_only_read_suffices_and_exit_codes_tell() -> Result<()> {
    let site = Site::build(2).await?;
    let reseller = site.business.reseller_id.to_string();
    let worker = site.start_worker().await?;
    let run = ["enqueue", "start_bill_run"];
    let payload = serde_json::to_string(&site.business.bill_run(InitialStatus::Open, Some(false)))?;
    let (code, said) = site.run(&[run[0], run[1], &payload, "--wait"]).await?;
    ensure!(code == Some(0), "{said}");
    settled(site.pool()).await?;
    worker.terminate().await?;

    // Of the auditors' role, and of none but with SELECT granted.
    let mut owner = site.database.connect_as_owner().await?;
    let own = format!("reader_{}", uuid::Uuid::now_v7().simple());
    let granted = format!("granted_{}", uuid::Uuid::now_v7().simple());
    let logins = format!(
        "CREATE ROLE {own} LOGIN IN ROLE billrunner_auditor; CREATE ROLE {granted} LOGIN;
         GRANT USAGE ON SCHEMA billrunner TO {granted}; GRANT SELECT ON ALL TABLES IN SCHEMA billrunner TO {granted}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(logins)).execute(&mut owner).await?;
    let checked = async {
        for login in [&own, &granted] {
            let mut url = url::Url::parse(&database_url(site.pool()).await?)?;
            ensure!(url.set_username(login).is_ok());
            let (code, said) = site.run_on(url.as_str(), &["verify", "--documents", "--reseller", &reseller]).await?;
            let expected = format!("{0} documents, of these {0} rendered again", 2 * DocumentKind::ALL.len());
            ensure!(code == Some(0) && said.contains(&expected), "{login}: {said}");
            let mut reader = sqlx::PgConnection::connect(url.as_str()).await?;
            let written = sqlx::query("UPDATE billrunner.invoices SET stale = true").execute(&mut reader).await;
            ensure!(written.is_err_and(|error| error.to_string().contains("permission denied")), "{login} writes");
            reader.close().await?;
        }
        Ok(())
    };
    let checked = checked.await;
    let logins = format!("DROP OWNED BY {granted}; DROP ROLE {own}; DROP ROLE {granted}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(logins)).execute(&mut owner).await?;
    checked?;

    let nobody = uuid::Uuid::now_v7().to_string();
    assert_eq!(site.run(&["verify", "--reseller", &nobody]).await?.0, Some(3));
    sqlx::raw_sql("SET session_replication_role = replica; UPDATE invoice_lines SET net = net + 1")
        .execute(&mut owner)
        .await?;
    let (code, said) = site.run(&["verify", "--json", "--period", "2026-08"]).await?;
    assert_eq!(code, Some(5), "{said}");
    let report = said.rsplit_once("error: ").context("an error")?.0;
    let report: serde_json::Value = serde_json::from_str(report)?;
    assert_eq!(report["findings"][0]["check"], "sums", "{report}");
    assert_eq!(site.run(&["verify", "--period", "2026-07"]).await?.0, Some(0), "July holds");
    Ok(())
}
