//! A month's drafts opened all at once: the same rows as one by one, whole blocks under kill -9, and no hole in the numbers.

use std::collections::BTreeSet;

use anyhow::Result;
use billrunner::{
    clock::Clock,
    documents::template_hash,
    domain::{
        document::DocumentKind,
        ids::{InvoiceId, JobId},
        invoice_status::InvoiceStatus,
    },
    jobs::{ChangeInvoiceStatus, OpenInvoices, RenderDocument, registry},
    queue::{JobOptions, RequestId},
    store::{event_chain::find_broken_link, jobs},
};
use sqlx::PgPool;

use crate::support::{
    TestDatabase,
    business::{Business, PERIOD, PROVIDER},
    desk::Desk,
    flow::OPERATOR,
    site::Site,
    worker::{until, wait_for},
};

/// Drafts that the job opens in one transaction.
const BLOCK: usize = 500;

fn open_all(business: &Business) -> OpenInvoices {
    OpenInvoices {
        reseller_id: business.reseller_id,
        provider: PROVIDER.to_owned(),
        billing_period: PERIOD.parse().expect("a month"),
        notify: None,
        force: false,
    }
}

/// Makes a draft of every customer's charges, as far as opening looks at it, and closes the month.
async fn insert_drafts(pool: &PgPool) -> Result<()> {
    sqlx::query(
        "INSERT INTO invoices (reseller_id, id, customer_id, provider, billing_period_start, billing_period_end, currency,
             kind, status, document_id, language, reseller_details, customer_details, markup_rate, exact_subtotal, subtotal,
             tax, total, rounding_delta, excluded_tax, zero_line_count, charge_count, created_at)
         SELECT reseller_id, ('0199b000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, customer_id, 'aws',
             '2026-08-01', '2026-09-01', 'EUR', 'invoice', 'draft', 'D-' || n, 'en', '{}', '{}', 0, amount, amount, 0, amount,
             0, '{}', 0, 2, now()
         FROM (SELECT reseller_id, customer_id, SUM(billed_cost) AS amount, row_number() OVER (ORDER BY customer_id) AS n
               FROM held_charge_totals GROUP BY 1, 2) AS customer",
    )
    .execute(pool)
    .await?;
    sqlx::query(
        "INSERT INTO invoice_sources (reseller_id, invoice_id, charge_scope_id, cost_currency, cost_exact, excluded_tax,
             charge_count)
         SELECT total.reseller_id, invoice.id, charge_scope_id, 'EUR', SUM(billed_cost), 0, 2
         FROM held_charge_totals total JOIN invoices invoice USING (reseller_id, customer_id) GROUP BY 1, 2, 3",
    )
    .execute(pool)
    .await?;
    sqlx::query("UPDATE billing_periods SET state = 'closed'").execute(pool).await?;
    Ok(())
}

/// Returns the id of the Nth draft, from 1.
fn nth(n: usize) -> Result<InvoiceId> {
    Ok(format!("0199b000-0000-7000-8000-{n:012x}").parse()?)
}

async fn count_open(pool: &PgPool) -> Result<usize> {
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM invoices WHERE status = 'open'").fetch_one(pool).await?;
    Ok(usize::try_from(open)?)
}

async fn until_open(pool: &PgPool, wanted: usize) -> Result<()> {
    until(&format!("{wanted} open invoices"), || async { Ok((count_open(pool).await? == wanted).then_some(())) }).await
}

/// Checks that the numbers are 1 to N without a hole, that days of issue never go back, that the chain holds, and that
/// each document is asked for once.
async fn check(pool: &PgPool, business: &Business, count: usize) -> Result<()> {
    let issued: Vec<(String, chrono::NaiveDate)> =
        sqlx::query_as("SELECT number, issued_on FROM invoices WHERE number IS NOT NULL ORDER BY number")
            .fetch_all(pool)
            .await?;
    let numbers: Vec<&str> = issued.iter().filter_map(|(number, _)| number.split_once('-')).map(|(_, n)| n).collect();
    let expected: Vec<String> = (1..=count).map(|n| format!("{n:05}")).collect();
    assert_eq!(numbers, expected);
    assert!(issued.windows(2).all(|pair| pair[0].1 <= pair[1].1), "days of issue go back: {issued:?}");
    let next: i64 = sqlx::query_scalar("SELECT SUM(next)::bigint FROM number_series").fetch_one(pool).await?;
    assert_eq!(usize::try_from(next)?, count + 1);
    assert_eq!(find_broken_link(&mut *pool.acquire().await?, business.reseller_id).await?, None);
    let sql = "SELECT count(*) FROM invoice_events WHERE name = 'opened'";
    let events: i64 = sqlx::query_scalar(sql).fetch_one(pool).await?;
    assert_eq!(usize::try_from(events)?, count);
    let sql = "SELECT count(DISTINCT (payload ->> 'invoice_id', payload ->> 'kind')) || ' of ' || count(*)
               FROM jobs WHERE kind = 'render_document'";
    let documents: String = sqlx::query_scalar(sql).fetch_one(pool).await?;
    // The e-invoice is for those who give their countries; the drafts of large sites give none.
    let sql = "SELECT count(*) FROM invoices
               WHERE number IS NOT NULL AND reseller_details ? 'country' AND customer_details ? 'country'";
    let with_countries: i64 = sqlx::query_scalar(sql).fetch_one(pool).await?;
    let expected = count * (DocumentKind::ALL.len() - 1) + usize::try_from(with_countries)?;
    assert_eq!(documents, format!("{expected} of {expected}"));
    Ok(())
}

impl Site {
    /// A business of so many drafts whose documents nobody renders.
    async fn with_drafts(count: usize) -> Result<Self> {
        let site = Self::build(count).await?;
        insert_drafts(site.pool()).await?;
        let (code, said) = site.run(&["queues", "pause", "documents", "--reason", "not these", "--by", "ana"]).await?;
        anyhow::ensure!(code == Some(0), "{said}");
        Ok(site)
    }

    async fn open_all(&self) -> Result<JobId> {
        let job = OpenInvoices { notify: Some(false), ..open_all(&self.business) };
        let new = registry().prepare(&job, RequestId::new("test", "open"), "tester", JobOptions::default())?;
        let mut transaction = self.pool().begin().await?;
        let accepted = jobs::accept(&mut transaction, &new).await?;
        jobs::notify_dispatchers(&mut transaction).await?;
        transaction.commit().await?;
        Ok(accepted.id())
    }

    async fn until_somebody_waits_for_a_lock(&self) -> Result<()> {
        let owner = tokio::sync::Mutex::new(self.database.connect_as_owner().await?);
        until("somebody to wait for a lock", || async {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *owner.lock().await).await?;
            Ok((waiting > 0).then_some(()))
        })
        .await
    }
}

#[tokio::test]
async fn a_worker_killed_between_two_blocks_leaves_whole_blocks_and_another_goes_on() -> Result<()> {
    let count = 2 * BLOCK + 100;
    let site = Site::with_drafts(count).await?;
    let mut holder = site.pool().begin().await?;
    sqlx::query("SELECT 1 FROM invoices WHERE id = $1 FOR UPDATE")
        .bind(nth(2 * BLOCK + 50)?)
        .execute(&mut *holder)
        .await?;
    let worker = site.start_worker().await?;
    let job = site.open_all().await?;
    until_open(site.pool(), 2 * BLOCK).await?;
    site.until_somebody_waits_for_a_lock().await?;
    worker.kill().await?;
    assert_eq!(count_open(site.pool()).await?, 2 * BLOCK);
    holder.rollback().await?;
    let _other = site.start_worker().await?;
    let (row, attempts) = wait_for(site.pool(), job).await?;
    assert_eq!((row.state.as_str(), row.attempt > 1), ("done", true));
    let said = attempts.last().and_then(|attempt| attempt.message.clone()).unwrap_or_default();
    assert_eq!(said, "100 opened, 0 left as drafts");
    check(site.pool(), &site.business, count).await
}

#[tokio::test]
async fn a_worker_killed_when_a_block_has_its_numbers_and_is_not_committed_leaves_no_hole() -> Result<()> {
    let count = BLOCK + 100;
    let site = Site::with_drafts(count).await?;
    // Whoever asks for this document too waits for this transaction: numbers, statuses and events are written by then.
    let document = RenderDocument {
        reseller_id: site.business.reseller_id,
        invoice_id: nth(BLOCK + 60)?,
        version: 2,
        kind: DocumentKind::Pdf,
        currency: None,
    };
    let mut holder = site.pool().begin().await?;
    sqlx::query(
        "INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, max_attempts, run_at, requested_by)
         VALUES ($1, 'render_document', 'documents', '{}', 'billrunner/render_document', $2, '', 1, now(), 'tester')",
    )
    .bind(JobId::new())
    .bind(document.key(&template_hash(document.kind, None)))
    .execute(&mut *holder)
    .await?;
    let worker = site.start_worker().await?;
    let job = site.open_all().await?;
    until_open(site.pool(), BLOCK).await?;
    site.until_somebody_waits_for_a_lock().await?;
    worker.kill().await?;
    holder.rollback().await?;
    let _other = site.start_worker().await?;
    assert_eq!(wait_for(site.pool(), job).await?.0.state, "done");
    check(site.pool(), &site.business, count).await
}

#[tokio::test]
async fn cancelled_between_blocks_it_keeps_what_is_open_and_goes_on_when_asked_again() -> Result<()> {
    let count = BLOCK + 100;
    let database = TestDatabase::new().await?;
    let business = Business::open(&database.pool, count).await?;
    insert_drafts(&database.pool).await?;
    let desk = Desk::of(database, business, Clock::System).await?;
    desk.pause("documents").await?;
    let mut holder = desk.office.pool.begin().await?;
    sqlx::query("SELECT 1 FROM invoices WHERE id = $1 FOR UPDATE").bind(nth(BLOCK + 50)?).execute(&mut *holder).await?;
    let open = OpenInvoices { notify: Some(false), ..open_all(&desk.business) };
    let job = desk.office.hand_in(&open).await?;
    until_open(&desk.office.pool, BLOCK).await?;
    let row =
        billrunner::store::job_list::find(&mut *desk.office.pool.acquire().await?, job).await?.expect("the job").0;
    assert_eq!((row.progress_done, row.progress_total), (Some(500), Some(600)), "it says how far it has come");
    let mut transaction = desk.office.pool.begin().await?;
    jobs::cancel(&mut transaction, job, OPERATOR).await?;
    transaction.commit().await?;
    holder.rollback().await?;
    assert_eq!(wait_for(&desk.office.pool, job).await?.0.state, "discarded");
    assert_eq!(count_open(&desk.office.pool).await?, BLOCK);
    assert_eq!(desk.office.done(&open).await?, "100 opened, 0 left as drafts");
    check(&desk.office.pool, &desk.business, count).await?;
    desk.close().await
}

#[tokio::test]
async fn what_the_guards_refuse_is_left_with_the_reason_and_the_rest_is_opened() -> Result<()> {
    let desk = Desk::with_drafts(5).await?;
    desk.execute(
        "UPDATE invoices SET stale = true WHERE customer_id = (SELECT id FROM customers WHERE name = 'Customer 002')",
    )
    .await?;
    let open = open_all(&desk.business);
    let said = desk.office.done(&open).await?;
    assert!(said.starts_with("4 opened, 1 left as drafts\n"), "{said}");
    let left = desk.live(2).await?;
    assert!(said.contains(&format!("{} is not opened: its inputs changed", left.document_id)), "{said}");
    assert_eq!((left.status, left.number), (InvoiceStatus::Draft, None));
    assert_eq!(desk.office.done(&OpenInvoices { force: true, ..open.clone() }).await?, "1 opened, 0 left as drafts");
    assert_eq!(desk.office.done(&open).await?, "0 opened, 0 left as drafts", "what is open is no draft");
    desk.office.settled().await?;
    check(&desk.office.pool, &desk.business, 5).await?;
    desk.close().await
}

#[tokio::test]
async fn a_month_with_what_stands_against_every_draft_is_refused_as_a_whole() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    let open = open_all(&desk.business);
    desk.execute("UPDATE billing_periods SET state = 'open'").await?;
    let refused = desk.office.refused(&open).await?;
    assert!(refused.contains("nothing of 2026-08 is opened: the billing period is not closed"), "{refused}");
    desk.execute("UPDATE billing_periods SET state = 'closed'").await?;
    desk.tamper("UPDATE charge_totals SET billed_cost = billed_cost + 0.01 WHERE sub_account_id = 'account-1'").await?;
    let refused = desk.office.refused(&OpenInvoices { force: true, ..open.clone() }).await?;
    assert!(refused.contains("do not add up to the charge files"), "{refused}");
    desk.tamper("UPDATE charge_totals SET billed_cost = billed_cost - 0.01 WHERE sub_account_id = 'account-1'").await?;
    desk.import_month(&["payer-2 nobody 5 EUR Usage"], "nobody's").await?;
    let refused = desk.office.refused(&OpenInvoices { force: true, ..open.clone() }).await?;
    assert!(
        refused.contains("these accounts have charges and no customer: nobody; assign them, or waive"),
        "{refused}"
    );
    assert_eq!(count_open(&desk.office.pool).await?, 0);
    let series: i64 = sqlx::query_scalar("SELECT count(*) FROM number_series").fetch_one(&desk.office.pool).await?;
    assert_eq!(series, 0, "refusals consume no number");
    desk.close().await
}

/// What two ways of opening must leave alike: everything but ids and hashes.
const ROWS: [&str; 5] = [
    "SELECT jsonb_build_array(customer.name, number, kind, status, version, issued_on, opened_at, total, stale)::text
     FROM invoices JOIN customers customer ON customer.id = customer_id ORDER BY customer.name",
    "SELECT jsonb_build_array(sequence, customer.name, invoice_version, event.name, from_status, to_status, actor, reason,
         occurred_at, job_id IS NOT NULL, correlation = job_id::text)::text
     FROM invoice_events event JOIN invoices ON invoices.id = invoice_id JOIN customers customer ON customer.id = customer_id
     ORDER BY sequence",
    "SELECT jsonb_build_array(series, next, last_issued_on)::text FROM number_series ORDER BY series",
    "SELECT jsonb_build_array(customer.name, event_sequence, recipient, recipient_name, intent, notification.language, state,
         reason, message_id = '<' || notification.id || '@test.example>')::text
     FROM notifications notification JOIN invoices ON invoices.id = invoice_id
     JOIN customers customer ON customer.id = customer_id ORDER BY event_sequence, recipient",
    "SELECT jsonb_build_array(customer.name, jobs.kind, queue, priority, payload - '{reseller_id,invoice_id}'::text[], source,
         replace(external_id, invoices.id::text, ''), requested_by, max_attempts, state)::text
     FROM jobs JOIN invoices ON invoices.id = (payload ->> 'invoice_id')::uuid
     JOIN customers customer ON customer.id = customer_id WHERE jobs.kind = 'render_document' ORDER BY 1",
];

/// Opens drafts of every sort, in one of two ways, and returns the rows that are left.
async fn opened(all_at_once: bool) -> Result<Vec<Vec<String>>> {
    let costs = ["10", "-5", "0", "30", "40", "50"];
    let database = TestDatabase::new().await?;
    let business = Business::with_costs(&database.pool, &costs).await?;
    let desk = Desk::of(database, business, Clock::Fixed("2026-09-10T10:00:00Z".parse()?)).await?;
    desk.execute("UPDATE contacts SET enabled = false WHERE email = 'contact-3@example.com'").await?;
    desk.execute("DELETE FROM contacts WHERE email = 'contact-4@example.com'").await?;
    desk.execute("INSERT INTO contacts SELECT reseller_id, customer_id, 'also@example.com' FROM contacts WHERE email = 'contact-5@example.com'")
        .await?;
    for customer in 0..costs.len() {
        desk.office.done(&desk.business.generate(customer)).await?;
    }
    desk.execute("UPDATE billing_periods SET state = 'closed'").await?;
    if all_at_once {
        desk.office.done(&open_all(&desk.business)).await?;
    } else {
        for customer in 0..costs.len() {
            let open = desk.to(desk.id(customer).await?, InvoiceStatus::Open);
            desk.office.done(&ChangeInvoiceStatus { reason: None, notify: None, ..open }).await?;
        }
    }
    desk.office.settled().await?;
    assert_eq!(desk.broken_link().await?, None);
    let mut rows = Vec::new();
    for sql in ROWS {
        rows.push(sqlx::query_scalar(sql).fetch_all(&desk.office.pool).await?);
    }
    desk.close().await?;
    Ok(rows)
}

#[tokio::test]
async fn opening_all_at_once_leaves_the_rows_that_opening_one_by_one_leaves() -> Result<()> {
    let (at_once, one_by_one) = (opened(true).await?, opened(false).await?);
    for (at_once, one_by_one) in at_once.iter().zip(&one_by_one) {
        assert!(!at_once.is_empty());
        assert_eq!(at_once, one_by_one);
    }
    Ok(())
}

#[tokio::test]
async fn documents_that_are_rendered_at_the_same_time_are_of_different_invoices() -> Result<()> {
    let count = 6;
    let desk = Desk::with_drafts(count).await?;
    desk.pause("documents").await?;
    desk.office.done(&open_all(&desk.business)).await?;
    let invoices: Vec<String> = sqlx::query_scalar(
        "SELECT payload ->> 'invoice_id' FROM jobs WHERE kind = 'render_document'
         ORDER BY dispatch_rank(run_at, priority), id",
    )
    .fetch_all(&desk.office.pool)
    .await?;
    assert_eq!(invoices.len(), count * DocumentKind::ALL.len());
    let are_different = |some: &[String]| some.iter().collect::<BTreeSet<_>>().len() == some.len();
    assert!(invoices.windows(count).all(are_different), "{invoices:#?}");
    desk.close().await
}
