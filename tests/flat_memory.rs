//! Memory of the commands that read everything: it does not grow with the number of invoices. And what keeps that of a
//! worker flat, as Linux shows it: it lays documents out in few threads, and takes no huge pages.

use std::{fs, thread::available_parallelism};

use anyhow::{Context, Result, ensure};
use billrunner::{
    domain::{
        ids::{CustomerId, InvoiceId, ResellerId},
        invoice_event::{CHAIN_START, Cause, Event, EventName},
        invoice_status::InvoiceStatus,
    },
    jobs::InitialStatus,
};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::support::{
    import::insert_reseller,
    site::Site,
    worker::{settled, until_jobs},
};

const FEW: i32 = 1_000;
const MANY: i32 = 20_000;
/// What memory may differ by; the many are a hundred megabytes in Postgres.
const TOLERATED_KILOBYTES: u64 = 6_000;

#[tokio::test]
async fn verifying_and_exporting_twenty_thousand_invoices_takes_no_more_memory_than_a_thousand() -> Result<()> {
    let site = Site::build(0).await?;
    let mut peaks = Vec::new();
    for count in [FEW, MANY] {
        let reseller_id = insert_reseller(site.pool()).await?;
        fill(site.pool(), reseller_id, count).await?;
        // As autovacuum does within minutes.
        sqlx::raw_sql("ANALYZE").execute(&mut site.database.connect_as_owner().await?).await?;
        println!("{count} invoices are made");
        let reseller = reseller_id.to_string();
        let (verify, said) = site.peak_kilobytes(&["verify", "--reseller", &reseller]).await?;
        ensure!(said.contains("verified: 1 resellers"), "{said}");
        let export =
            ["invoices", "export-focus", "--reseller", &reseller, "--payment-terms", "Net 30", "--status", "draft"];
        let (export, said) = site.peak_kilobytes(&export).await?;
        ensure!(said.matches("\r\n").count() == usize::try_from(count)? * 4 + 1, "three lines and a tax each");
        println!("{count} invoices: verify {verify} kB, export {export} kB");
        peaks.push((verify, export));
    }
    let [few, many] = peaks[..] else { panic!("{peaks:?}") };
    assert!(many.0 < few.0 + TOLERATED_KILOBYTES && many.1 < few.1 + TOLERATED_KILOBYTES, "{peaks:?}");
    Ok(())
}

#[tokio::test]
async fn a_worker_lays_documents_out_in_a_thread_a_core_however_many_are_due() -> Result<()> {
    let site = Site::build(20).await?;
    let worker = site.start_worker().await?;
    // All are due at once.
    ensure!(site.run(&["queues", "pause", "documents", "--by", "ana", "--reason", "a heap"]).await?.0 == Some(0));
    site.hand_in(&site.business.bill_run(InitialStatus::Open, None), "month").await?;
    until_jobs(site.pool(), "the end of all that is no document", || async {
        let waiting = "SELECT count(DISTINCT payload->>'invoice_id') = 20 AND bool_and(queue = 'documents') FROM jobs
                       WHERE finished_at IS NULL";
        let only_documents: Option<bool> = sqlx::query_scalar(waiting).fetch_one(site.pool()).await?;
        Ok(only_documents.filter(|only| *only))
    })
    .await?;
    ensure!(site.run(&["queues", "resume", "documents", "--by", "ana"]).await?.0 == Some(0));
    settled(site.pool()).await?;
    let names = fs::read_dir(format!("/proc/{}/task", worker.id()?))?
        .map(|thread| fs::read_to_string(thread?.path().join("comm")))
        .collect::<std::io::Result<Vec<_>>>()?;
    let renderers = names.iter().filter(|name| name.trim_end() == "render").count();
    assert!((1..=available_parallelism()?.get()).contains(&renderers), "{names:?}");
    Ok(())
}

#[tokio::test]
async fn a_worker_takes_no_huge_pages() -> Result<()> {
    let site = Site::build(1).await?;
    let worker = site.start_worker().await?;
    // Once it has worked, it has begun.
    site.hand_in(&site.business.generate(0), "first").await?;
    settled(site.pool()).await?;
    let status = fs::read_to_string(format!("/proc/{}/status", worker.id()?))?;
    assert!(status.lines().any(|line| line == "THP_enabled:\t0"), "{status}");
    Ok(())
}

/// Makes so many drafts, each of its own month and customer, with three lines, a tax and its event.
async fn fill(pool: &PgPool, reseller_id: ResellerId, count: i32) -> Result<()> {
    let (customer_ids, ids): (Vec<_>, Vec<_>) = (0..count).map(|_| (CustomerId::new().0, InvoiceId::new().0)).unzip();
    sqlx::query(
        "INSERT INTO customers (reseller_id, id, name, language) SELECT $1, unnest($2::uuid[]), 'Customer', 'en'",
    )
    .bind(reseller_id)
    .bind(&customer_ids)
    .execute(pool)
    .await?;
    sqlx::query(
        "INSERT INTO invoices (reseller_id, id, customer_id, provider, billing_period_start, billing_period_end,
             currency, kind, status, document_id, language, reseller_details, customer_details, markup_rate,
             exact_subtotal, subtotal, tax, total, rounding_delta, excluded_tax, zero_line_count, charge_count, created_at)
         SELECT $1, made.id, made.customer_id, 'aws', '2026-08-01', '2026-09-01', 'EUR', 'invoice', 'draft', made.id::text,
             'en', '{\"name\": \"Reseller\"}', '{\"name\": \"Customer\"}', 0, 30, 30, 6.3, 36.3, 0, '{}', 0, 0, now()
         FROM unnest($2::uuid[], $3::uuid[]) AS made (id, customer_id)",
    )
    .bind(reseller_id)
    .bind(&ids)
    .bind(&customer_ids)
    .execute(pool)
    .await?;
    sqlx::query(
        "INSERT INTO invoice_lines (reseller_id, invoice_id, position, section_id, section_name, description,
             charge_category, cost_currency, cost_exact, exchange_rate, price_exact, net, charge_count)
         SELECT $1, id, position, 'account', 'Account', 'Service ' || position, 'Usage', 'EUR', 0, 1, 10, 10, 0
         FROM unnest($2::uuid[]) AS id, generate_series(1, 3) AS position",
    )
    .bind(reseller_id)
    .bind(&ids)
    .execute(pool)
    .await?;
    sqlx::query(
        "INSERT INTO invoice_taxes (reseller_id, invoice_id, position, name, rate, base, amount)
         SELECT $1, unnest($2::uuid[]), 1, 'IVA', 0.21, 30, 6.3",
    )
    .bind(reseller_id)
    .bind(&ids)
    .execute(pool)
    .await?;
    append_events(pool, reseller_id, &ids.into_iter().map(InvoiceId).collect::<Vec<_>>()).await
}

async fn append_events(pool: &PgPool, reseller_id: ResellerId, ids: &[InvoiceId]) -> Result<()> {
    let cause = Cause { actor: "tester".to_owned(), reason: None, job_id: None, correlation: "test".to_owned() };
    let occurred_at: DateTime<Utc> = "2026-09-01T00:00:00Z".parse()?;
    let mut hashes = vec![CHAIN_START.to_vec()];
    for (sequence, invoice_id) in (1..).zip(ids) {
        let event = Event {
            reseller_id,
            sequence,
            invoice_id: *invoice_id,
            invoice_version: 1,
            name: EventName::Generated,
            from_status: None,
            to_status: InvoiceStatus::Draft,
            cause: &cause,
            occurred_at,
        };
        let hash = event.hash(hashes.last().context("a hash before")?).to_vec();
        hashes.push(hash);
    }
    sqlx::query(
        "INSERT INTO invoice_events (reseller_id, sequence, invoice_id, invoice_version, name, to_status, actor, correlation,
             occurred_at, previous_hash, hash)
         SELECT $1, place, id, 1, 'generated', 'draft', 'tester', 'test', $2, previous_hash, hash
         FROM unnest($3::uuid[], $4::bytea[], $5::bytea[]) WITH ORDINALITY AS event (id, previous_hash, hash, place)",
    )
    .bind(reseller_id)
    .bind(occurred_at)
    .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
    .bind(&hashes[..ids.len()])
    .bind(&hashes[1..])
    .execute(pool)
    .await?;
    sqlx::query("INSERT INTO event_chains (reseller_id, next_sequence, last_hash) VALUES ($1, $2, $3)")
        .bind(reseller_id)
        .bind(i64::try_from(ids.len())? + 1)
        .bind(hashes.last())
        .execute(pool)
        .await?;
    Ok(())
}
