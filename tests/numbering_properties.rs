//! Fiscal numbers on a real Postgres, whatever happens at once: openings, rollbacks, backends that die, voids, days that
//! go back. The numbers are 1 to N of what was committed, and days of issue never go back.

use anyhow::{Context, Result, ensure};
use billrunner::{
    domain::{
        ids::{CustomerId, InvoiceId, ResellerId},
        invoice_event::Cause,
        invoice_status::{InvoiceStatus, Plan, plan},
    },
    store::{checks, event_chain::find_broken_link, invoice_status::take_step, invoices},
};
use chrono::{DateTime, Days, Utc};
use futures::future::try_join_all;
use proptest::prelude::*;
use sqlx::{PgConnection, PgPool};
use tokio::{runtime::Runtime, sync::Mutex};

use crate::support::{
    TestDatabase,
    import::insert_reseller,
    properties::{config, hold, regressions},
};

const WORKERS: usize = 4;
const INVOICES: usize = 8;

/// How a transaction that has taken its steps ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Commit,
    RollBack,
    /// Its backend is ended, as a crash does.
    Die,
}

/// What a worker does: one invoice, one status, on one day.
#[derive(Clone, Debug)]
struct Act {
    worker: usize,
    invoice: usize,
    to: InvoiceStatus,
    end: End,
    day: u64,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let to =
        prop_oneof![6 => Just(InvoiceStatus::Open), 1 => Just(InvoiceStatus::Void), 1 => Just(InvoiceStatus::Closed)];
    let end = prop_oneof![3 => Just(End::Commit), 1 => Just(End::RollBack), 1 => Just(End::Die)];
    let act = (0..WORKERS, 0..INVOICES, to, end, 0_u64..8);
    let act = act.prop_map(|(worker, invoice, to, end, day)| Act { worker, invoice, to, end, day });
    proptest::collection::vec(act, 10..30)
}

struct Office {
    pool: PgPool,
    /// Ends backends, which the application's role may not.
    owner: Mutex<PgConnection>,
}

#[test]
fn numbers_run_from_one_without_a_hole_whatever_happens() {
    let runtime = Runtime::new().expect("a runtime");
    let database = runtime.block_on(TestDatabase::new()).expect("a database");
    let owner = runtime.block_on(database.connect_as_owner()).expect("the owner");
    let office = Office { pool: database.pool.clone(), owner: Mutex::new(owner) };
    hold(config(12, regressions!("numbering")), &runtime, &acts(), async |acts| {
        let reseller_id = insert_reseller(&office.pool).await?;
        let mut ids = Vec::new();
        for n in 0..INVOICES {
            // Every third is a credit note, which has a series of its own.
            ids.push(insert_draft(&office.pool, reseller_id, if n % 3 == 2 { -10 } else { 10 }).await?);
        }
        let workers = (0..WORKERS).map(|worker| {
            let (office, ids) = (&office, &ids);
            let own: Vec<&Act> = acts.iter().filter(|act| act.worker == worker).collect();
            async move {
                let mut opened = 0;
                for act in own {
                    opened += office.perform(reseller_id, ids[act.invoice], act).await?;
                }
                Ok::<_, anyhow::Error>(opened)
            }
        });
        let opened = try_join_all(workers).await?.into_iter().sum();
        office.check(reseller_id, opened).await
    });
}

impl Office {
    /// Takes an invoice as far as asked and returns how many openings were committed.
    async fn perform(&self, reseller_id: ResellerId, id: InvoiceId, act: &Act) -> Result<u64> {
        let mut transaction = self.pool.begin().await?;
        let mut state = invoices::lock(&mut transaction, reseller_id, id).await?.context("an invoice")?;
        let Ok(Plan::Steps(steps)) = plan(state.status, act.to) else { return Ok(0) };
        let opens = state.status == InvoiceStatus::Draft;
        let cause = Cause {
            actor: "tester".to_owned(),
            reason: Some("at random".to_owned()),
            job_id: None,
            correlation: "test".to_owned(),
        };
        for step in steps {
            take_step(&mut transaction, &mut state, *step, &cause, day(act.day)).await?;
        }
        match act.end {
            End::Commit => {
                transaction.commit().await?;
                Ok(u64::from(opens))
            }
            End::RollBack => {
                transaction.rollback().await?;
                Ok(0)
            }
            End::Die => {
                let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *transaction).await?;
                let end = sqlx::query("SELECT pg_terminate_backend($1, 5000)").bind(pid);
                end.execute(&mut *self.owner.lock().await).await?;
                ensure!(transaction.commit().await.is_err(), "a dead backend commits nothing");
                Ok(0)
            }
        }
    }

    async fn check(&self, reseller_id: ResellerId, opened: u64) -> Result<()> {
        let numbers = "SELECT regexp_replace(number, '-[0-9]+$', ''), substring(number FROM '[0-9]+$')::bigint,
                              issued_on::text
                       FROM invoices WHERE reseller_id = $1 AND number IS NOT NULL ORDER BY 1, 2";
        let numbers: Vec<(String, i64, String)> =
            sqlx::query_as(numbers).bind(reseller_id).fetch_all(&self.pool).await?;
        ensure!(numbers.len() as u64 == opened, "{opened} openings were committed, these are numbered: {numbers:?}");
        for series in numbers.chunk_by(|a, b| a.0 == b.0) {
            let consecutive: Vec<i64> = series.iter().map(|(_, number, _)| *number).collect();
            let expected: Vec<i64> = (1..).take(series.len()).collect();
            ensure!(consecutive == expected, "{series:?}");
            ensure!(series.is_sorted_by_key(|(.., day)| day), "days of issue go back: {series:?}");
        }
        let mut connection = self.pool.acquire().await?;
        let breaks = checks::find_series_breaks(&mut connection, reseller_id).await?;
        ensure!(breaks.is_empty(), "{breaks:?}");
        let faults = checks::find_number_faults(&mut connection, reseller_id).await?;
        ensure!(faults.iter().all(|fault| fault.number.is_none() || fault.was_opened), "{faults:?}");
        ensure!(find_broken_link(&mut connection, reseller_id).await?.is_none(), "the chain of events is whole");
        Ok(())
    }
}

/// Days around a new year, so that two years' series are in play.
fn day(n: u64) -> DateTime<Utc> {
    let first: DateTime<Utc> = "2026-12-28T12:00:00Z".parse().expect("an instant");
    first + Days::new(n)
}

/// Inserts a draft of a customer of its own.
pub async fn insert_draft(pool: &PgPool, reseller_id: ResellerId, total: i32) -> Result<InvoiceId> {
    let (customer_id, id) = (CustomerId::new(), InvoiceId::new());
    sqlx::query("INSERT INTO customers (reseller_id, id, name, language) VALUES ($1, $2, 'Customer', 'en')")
        .bind(reseller_id)
        .bind(customer_id)
        .execute(pool)
        .await?;
    sqlx::query(
        "INSERT INTO invoices (reseller_id, id, customer_id, provider, billing_period_start, billing_period_end,
             currency, kind, status, document_id, language, reseller_details, customer_details, markup_rate,
             exact_subtotal, subtotal, tax, total, rounding_delta, excluded_tax, zero_line_count, charge_count, created_at)
         VALUES ($1, $2, $3, 'aws', '2026-08-01', '2026-09-01', 'EUR',
             CASE WHEN $4 < 0 THEN 'credit_note' ELSE 'invoice' END, 'draft', $2::text, 'en', '{}', '{}', 0,
             $4, $4, 0, $4, 0, '{}', 0, 0, now())",
    )
    .bind(reseller_id)
    .bind(id)
    .bind(customer_id)
    .bind(total)
    .execute(pool)
    .await?;
    Ok(id)
}
