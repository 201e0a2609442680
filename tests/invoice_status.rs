//! The transition table, held in three places: the pure function, the queue's jobs, the database's trigger.

use std::process::Stdio;

use crate::support::TestDatabase;
use crate::support::business::{Business, database_url};
use crate::support::worker::Office;
use anyhow::{Context, Result, ensure};
use billrunner::{
    domain::{
        ids::{InvoiceId, ResellerId},
        invoice_status::{InvoiceStatus, Plan, RefusedTransition, plan},
    },
    jobs::{ChangeInvoiceStatus, DiscardInvoice, InitialStatus},
    store::{
        invoice_status::{events, find_broken_link},
        invoices,
    },
};
use sqlx::PgPool;
use tokio::process::Command;

/// Everything that can be asked of every status.
fn pairs() -> impl Iterator<Item = (InvoiceStatus, InvoiceStatus)> {
    InvoiceStatus::ALL.into_iter().flat_map(|from| InvoiceStatus::ALL.into_iter().map(move |to| (from, to)))
}

fn to(reseller_id: ResellerId, invoice_id: InvoiceId, to: InvoiceStatus) -> ChangeInvoiceStatus {
    let reason = Some("because the test says so".to_owned());
    ChangeInvoiceStatus { reseller_id, invoice_id, to, version: None, reason, notify: Some(false), force: false }
}

/// Makes an invoice of the Nth customer and brings it to a status.
async fn invoice_in(office: &Office, business: &Business, customer: usize, status: InvoiceStatus) -> Result<InvoiceId> {
    office.done(&business.generate(customer)).await?;
    let id: InvoiceId =
        sqlx::query_scalar("SELECT id FROM invoices WHERE customer_id = $1 AND status NOT IN ('void', 'discarded')")
            .bind(business.customers[customer])
            .fetch_one(&office.pool)
            .await?;
    let way: &[InvoiceStatus] = match status {
        InvoiceStatus::Draft => &[],
        InvoiceStatus::Open => &[InvoiceStatus::Open],
        InvoiceStatus::Closed => &[InvoiceStatus::Closed],
        InvoiceStatus::Void => &[InvoiceStatus::Open, InvoiceStatus::Void],
        InvoiceStatus::Discarded => &[InvoiceStatus::Discarded],
    };
    for next in way {
        office.done(&to(business.reseller_id, id, *next)).await?;
    }
    Ok(id)
}

/// Opens a business whose month is closed.
async fn office_with(database: &TestDatabase, customers: usize) -> Result<(Office, Business)> {
    let office = Office::open(&database.pool).await?;
    let business = Business::open(&database.pool, customers).await?;
    // A bill run closes the month; its drafts are those that the tests ask for again.
    office.done(&business.bill_run(InitialStatus::Draft, None)).await?;
    office.settled().await?;
    Ok((office, business))
}

async fn status_of(pool: &PgPool, reseller_id: ResellerId, id: InvoiceId) -> Result<(InvoiceStatus, i32)> {
    let row: (String, i32) = sqlx::query_as("SELECT status, version FROM invoices WHERE reseller_id = $1 AND id = $2")
        .bind(reseller_id)
        .bind(id)
        .fetch_one(pool)
        .await?;
    Ok((row.0.parse()?, row.1))
}

#[tokio::test]
async fn every_pair_ends_through_the_queue_as_the_table_says() -> Result<()> {
    let database = TestDatabase::new().await?;
    let (office, business) = office_with(&database, pairs().count()).await?;
    for (customer, (from, target)) in pairs().enumerate() {
        let id = invoice_in(&office, &business, customer, from).await?;
        let before = status_of(&office.pool, business.reseller_id, id).await?;
        let count_before = event_count(&office, business.reseller_id, id).await?;
        let request = to(business.reseller_id, id, target);
        let expected = plan(from, target);
        match expected {
            Ok(Plan::NoOp) => {
                office.done(&request).await?;
                assert_eq!(status_of(&office.pool, business.reseller_id, id).await?, before, "{from} to {target}");
                assert_eq!(event_count(&office, business.reseller_id, id).await?, count_before);
            }
            Ok(Plan::Steps(steps)) => {
                office.done(&request).await?;
                let version = before.1 + i32::try_from(steps.len())?;
                assert_eq!(status_of(&office.pool, business.reseller_id, id).await?, (target, version));
                assert_eq!(event_count(&office, business.reseller_id, id).await?, count_before + steps.len());
            }
            Err(refused) => {
                assert_eq!(refused, RefusedTransition { from, to: target });
                let error = office.refused(&request).await?;
                assert_eq!(error, refused.to_string());
                assert_eq!(status_of(&office.pool, business.reseller_id, id).await?, before, "{from} to {target}");
                assert_eq!(event_count(&office, business.reseller_id, id).await?, count_before);
            }
        }
    }
    office.settled().await?;
    let broken = find_broken_link(&mut *office.pool.acquire().await?, business.reseller_id).await?;
    assert_eq!(broken, None, "the chain of events is whole");
    office.close().await
}

async fn event_count(office: &Office, reseller_id: ResellerId, id: InvoiceId) -> Result<usize> {
    Ok(events(&mut *office.pool.acquire().await?, reseller_id, id).await?.len())
}

/// Runs statements through psql, all or nothing, and returns whether they were accepted and what was said.
async fn psql(url: &str, statements: &str) -> Result<(bool, String)> {
    let output = Command::new("psql")
        .args([url, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statements])
        .env("PGOPTIONS", "-c search_path=billrunner")
        .stdin(Stdio::null())
        .output()
        .await
        .context("psql does not start; run bin/setup")?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[tokio::test]
async fn the_database_accepts_from_any_client_exactly_the_single_steps() -> Result<()> {
    let database = TestDatabase::new().await?;
    let (office, business) = office_with(&database, InvoiceStatus::ALL.len()).await?;
    let url = database_url(&database.pool).await?;
    for (customer, from) in InvoiceStatus::ALL.into_iter().enumerate() {
        let id = invoice_in(&office, &business, customer, from).await?;
        for target in InvoiceStatus::ALL.into_iter().filter(|target| *target != from) {
            let issue = match (from, target) {
                (InvoiceStatus::Draft, InvoiceStatus::Open) => {
                    ", number = 'T-1', issued_on = current_date, opened_at = now()"
                }
                _ => "",
            };
            let update =
                format!("UPDATE invoices SET status = '{target}', version = version + 1{issue} WHERE id = '{id}'");
            let as_app = format!("BEGIN; SET LOCAL ROLE billrunner_app; {update}; ROLLBACK");
            let (accepted, said) = psql(&url, &as_app).await?;
            let is_one_step = matches!(plan(from, target), Ok(Plan::Steps(steps)) if steps.len() == 1);
            assert_eq!(accepted, is_one_step, "{from} to {target}: {said}");
            if target == InvoiceStatus::Draft {
                let (accepted, said) = psql(&url, &format!("BEGIN; {update}; ROLLBACK")).await?;
                assert!(!accepted && said.contains("never returns to draft"), "as owner, from {from}: {said}");
            }
        }
    }
    office.close().await
}

#[tokio::test]
async fn an_issued_invoice_is_frozen_for_every_client() -> Result<()> {
    let database = TestDatabase::new().await?;
    let (office, business) = office_with(&database, 1).await?;
    let id = invoice_in(&office, &business, 0, InvoiceStatus::Open).await?;
    let url = database_url(&database.pool).await?;
    let refused = [
        format!("UPDATE invoices SET subtotal = 0, total = tax, rounding_delta = -exact_subtotal WHERE id = '{id}'"),
        format!("UPDATE invoices SET number = '2026-99999' WHERE id = '{id}'"),
        format!("UPDATE invoices SET issued_on = issued_on - 1 WHERE id = '{id}'"),
        format!("UPDATE invoices SET language = 'fr' WHERE id = '{id}'"),
        format!("UPDATE invoices SET currency = 'USD' WHERE id = '{id}'"),
        format!("UPDATE invoices SET status = 'closed' WHERE id = '{id}'"),
        format!("UPDATE invoice_lines SET net = net + 1 WHERE invoice_id = '{id}'"),
        format!("DELETE FROM invoice_lines WHERE invoice_id = '{id}'"),
        format!("DELETE FROM invoice_taxes WHERE invoice_id = '{id}'"),
        format!("DELETE FROM invoice_sources WHERE invoice_id = '{id}'"),
        format!("DELETE FROM invoices WHERE id = '{id}'"),
        "UPDATE invoice_events SET actor = 'nobody'".to_owned(),
        "DELETE FROM invoice_events".to_owned(),
        "TRUNCATE invoice_events".to_owned(),
    ];
    for statement in refused {
        for role in ["SET LOCAL ROLE billrunner_app", "SELECT 'as the owner'"] {
            let (accepted, _) = psql(&url, &format!("BEGIN; {role}; {statement}; ROLLBACK")).await?;
            assert!(!accepted, "{role}: {statement} was accepted");
        }
    }
    let inserted = format!(
        "INSERT INTO invoices SELECT (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid(), \
                            'number', 'T-2', 'document_id', 'T-2'))).* FROM invoices i WHERE id = '{id}'"
    );
    let (accepted, said) = psql(&url, &format!("BEGIN; {inserted}; ROLLBACK")).await?;
    assert!(!accepted && said.contains("starts as draft"), "{said}");
    office.close().await
}

#[tokio::test]
async fn a_message_for_an_earlier_version_is_recorded_and_changes_nothing() -> Result<()> {
    let database = TestDatabase::new().await?;
    let (office, business) = office_with(&database, 1).await?;
    let id = invoice_in(&office, &business, 0, InvoiceStatus::Void).await?;
    let late = ChangeInvoiceStatus { version: Some(1), ..to(business.reseller_id, id, InvoiceStatus::Open) };
    let message = office.done(&late).await?;
    ensure!(message.starts_with("stale:"), "{message}");
    assert_eq!(status_of(&office.pool, business.reseller_id, id).await?.0, InvoiceStatus::Void);
    office.close().await
}

#[tokio::test]
async fn voiding_and_reopening_need_a_reason() -> Result<()> {
    let database = TestDatabase::new().await?;
    let (office, business) = office_with(&database, 2).await?;
    for (customer, (from, target)) in
        [(InvoiceStatus::Open, InvoiceStatus::Void), (InvoiceStatus::Closed, InvoiceStatus::Open)]
            .into_iter()
            .enumerate()
    {
        let id = invoice_in(&office, &business, customer, from).await?;
        let silent = ChangeInvoiceStatus { reason: Some("  ".into()), ..to(business.reseller_id, id, target) };
        let error = office.refused(&silent).await?;
        assert!(error.contains("without a reason"), "{error}");
    }
    office.close().await
}

#[tokio::test]
async fn a_vanished_invoice_is_skipped() -> Result<()> {
    let database = TestDatabase::new().await?;
    let (office, business) = office_with(&database, 0).await?;
    let message = office.done(&to(business.reseller_id, InvoiceId::new(), InvoiceStatus::Open)).await?;
    assert!(message.ends_with("does not exist"), "{message}");
    office.close().await
}

#[tokio::test]
async fn discarding_twice_succeeds_and_leaves_a_tombstone_whose_key_is_free() -> Result<()> {
    let database = TestDatabase::new().await?;
    let (office, business) = office_with(&database, 1).await?;
    let id = invoice_in(&office, &business, 0, InvoiceStatus::Draft).await?;
    let discard = DiscardInvoice { reseller_id: business.reseller_id, invoice_id: id, reason: Some("a trial".into()) };
    office.done(&discard).await?;
    assert!(office.done(&discard).await?.ends_with("discarded already"));
    let tombstone = invoices::find(&mut *office.pool.acquire().await?, business.reseller_id, id).await?;
    let tombstone = tombstone.context("the row is kept")?;
    assert!(tombstone.lines.is_empty() && tombstone.taxes.is_empty());
    assert_eq!(tombstone.total.to_plain_string(), "13.61");
    let again = invoice_in(&office, &business, 0, InvoiceStatus::Open).await?;
    assert_ne!(again, id);
    let of_issued = DiscardInvoice { reseller_id: business.reseller_id, invoice_id: again, reason: None };
    assert!(office.refused(&of_issued).await?.contains("void it instead"));
    office.close().await
}
