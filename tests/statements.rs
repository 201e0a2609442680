//! How many statements billing takes: as many for a long invoice as for a short one, as many for many drafts as for few. And
//! how many rows are read: of what a month end leaves waiting, and of a file with the charges of many.

use std::io::Write;

use anyhow::{Context, Result};
use billrunner::{
    clock::Clock,
    domain::ids::{CustomerId, InvoiceId, ResellerId},
    jobs::{InitialStatus, OpenInvoices},
    queue::Job,
    store::{
        charge_sums::{self, ProviderPeriod},
        detailed_charges, notifications,
    },
    telemetry::StatementCounter,
};
use futures::TryStreamExt;
use sqlx::PgConnection;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{
    TestDatabase,
    business::{Business, PERIOD, PROVIDER},
    desk::Desk,
    import::import,
};

/// More than any generation takes, and less than one per line of a small invoice twice over.
const MOST: u64 = 25;

/// As many as a job, its worker and the test use at once.
const CONNECTIONS: usize = 4;

/// Writes a file in which the Nth account has charges for so many services as its number in the list.
fn file_of_services(counts: &[usize]) -> Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    writeln!(
        file,
        "BilledCost,BillingCurrency,BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,ChargePeriodStart,\
         ChargePeriodEnd,ServiceName,SubAccountId"
    )?;
    for (account, count) in counts.iter().enumerate() {
        for service in 0..*count {
            writeln!(
                file,
                "1,EUR,payer,2026-08-01,2026-09-01,Usage,2026-08-05T00:00:00Z,2026-08-06T00:00:00Z,Service {service},\
                 account-{account}"
            )?;
        }
    }
    file.flush()?;
    Ok(file)
}

impl Desk {
    async fn counted<J: Job<Context = billrunner::context::Context>>(
        &self,
        counter: &StatementCounter,
        job: &J,
    ) -> Result<u64> {
        // A connection that is opened for the job would be told its role in the job's name.
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            open.push(self.office.pool.acquire().await?);
        }
        drop(open);
        counter.take(J::KIND);
        self.office.done(job).await?;
        Ok(counter.take(J::KIND))
    }
}

#[tokio::test]
async fn an_invoice_of_a_thousand_lines_takes_as_many_statements_as_one_of_ten() -> Result<()> {
    let database = TestDatabase::new().await?;
    let business = Business::without_charges(&database.pool, 3).await?;
    let file = file_of_services(&[10, 1000, 1])?;
    import(&database.pool, business.reseller_id, PROVIDER, file.path()).await?;
    let counter = StatementCounter::default();
    let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(counter.clone()));
    let desk = Desk::of(database, business, Clock::System).await?;
    // The first one also begins the reseller's history.
    desk.office.done(&desk.business.generate(2)).await?;
    let short = desk.counted(&counter, &desk.business.generate(0)).await?;
    let long = desk.counted(&counter, &desk.business.generate(1)).await?;
    let lines = (desk.live(0).await?.lines.len(), desk.live(1).await?.lines.len());
    assert_eq!(lines, (10, 1000));
    assert_eq!(short, long);
    assert!((1..=MOST).contains(&short), "{short} statements");
    desk.close().await
}

#[tokio::test]
async fn an_invoice_takes_as_many_statements_in_a_month_of_many_customers() -> Result<()> {
    let mut counts = Vec::new();
    for customers in [2, 60] {
        let database = TestDatabase::new().await?;
        let business = Business::open(&database.pool, customers).await?;
        let counter = StatementCounter::default();
        let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(counter.clone()));
        let desk = Desk::of(database, business, Clock::System).await?;
        desk.office.done(&desk.business.generate(0)).await?;
        counts.push(desk.counted(&counter, &desk.business.generate(1)).await?);
        desk.close().await?;
    }
    assert_eq!(counts[0], counts[1]);
    Ok(())
}

#[tokio::test]
async fn opening_eighty_drafts_takes_as_many_statements_as_opening_three() -> Result<()> {
    let mut counts = Vec::new();
    // Their documents are handed in 500 a statement.
    for customers in [3, 80] {
        let database = TestDatabase::new().await?;
        let business = Business::open(&database.pool, customers).await?;
        let counter = StatementCounter::default();
        let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(counter.clone()));
        let desk = Desk::of(database, business, Clock::System).await?;
        desk.pause("documents").await?;
        let run = desk.business.bill_run(InitialStatus::Draft, None);
        assert_eq!(desk.bill(&run).await?.state(), "complete");
        let open = OpenInvoices {
            reseller_id: desk.business.reseller_id,
            provider: PROVIDER.to_owned(),
            billing_period: PERIOD.parse()?,
            notify: None,
            force: false,
        };
        counts.push(desk.counted(&counter, &open).await?);
        let last: CustomerId = *desk.business.customers.last().context("a customer")?;
        let opened: i64 =
            sqlx::query_scalar("SELECT count(*) FROM invoices WHERE status = 'open' AND customer_id <= $1")
                .bind(last)
                .fetch_one(&desk.office.pool)
                .await?;
        assert_eq!(opened, i64::try_from(customers)?);
        desk.close().await?;
    }
    assert!(counts[0] > 0);
    assert_eq!(counts[0], counts[1]);
    Ok(())
}

/// Returns how many rows of a table, or of its partitions, this session has read: since it told Postgres last, which it does
/// not in the middle of a transaction.
async fn rows_read(transaction: &mut PgConnection, table: &str) -> Result<i64> {
    let sql = "SELECT SUM(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables
               WHERE relname ~ ('^' || $1 || '(_[0-9_]+)?$')";
    Ok(sqlx::query_scalar(sql).bind(table).fetch_one(transaction).await?)
}

#[tokio::test]
async fn whether_mails_of_an_invoice_wait_is_asked_of_that_invoice_however_many_others_do() -> Result<()> {
    let database = TestDatabase::new().await?;
    let mut owner = database.connect_as_owner().await?;
    // When Postgres last looked, all mails were sent; now those of a month wait.
    let history = "
        SET session_replication_role = replica;
        CREATE FUNCTION mails(first integer, last integer, state text) RETURNS void LANGUAGE sql
            SET search_path = billrunner AS $$
            INSERT INTO notifications (reseller_id, id, invoice_id, event_sequence, recipient, intent, language, state, message_id)
            SELECT md5('reseller')::uuid, md5('mail ' || n)::uuid, md5('invoice ' || n)::uuid, n, 'a@example.com', 'opened', 'en',
                state, '<' || n || '@example.com>'
            FROM generate_series(first, last) AS n $$;
        SELECT mails(1, 1000, 'sent');
        ANALYZE notifications;
        SELECT mails(1001, 21000, 'queued');
        INSERT INTO invoice_events (reseller_id, sequence, invoice_id, invoice_version, name, to_status, actor, correlation,
            occurred_at, hash, previous_hash)
        SELECT md5('reseller')::uuid, 20000, md5('invoice 20000')::uuid, 2, 'opened', 'open', 'a test', '', now(), sha256(''), sha256('')";
    sqlx::raw_sql(history).execute(&mut owner).await?;
    let ids = "SELECT md5('reseller')::uuid, md5('invoice 20000')::uuid";
    let (reseller_id, invoice_id) = sqlx::query_as(ids).fetch_one(&mut owner).await?;
    let mut transaction = database.pool.begin().await?;
    let before = rows_read(&mut transaction, "notifications").await?;
    let queued =
        notifications::queued_up_to(&mut transaction, ResellerId(reseller_id), InvoiceId(invoice_id), 2).await?;
    assert_eq!(queued.len(), 1);
    assert_eq!(rows_read(&mut transaction, "notifications").await? - before, 1, "of 20,000 that wait");
    Ok(())
}

#[tokio::test]
async fn an_invoice_reads_its_own_charges_whatever_is_usual_for_other_resellers() -> Result<()> {
    let database = TestDatabase::new().await?;
    let business = Business::without_charges(&database.pool, 2).await?;
    let file = file_of_services(&[10, 3000])?;
    import(&database.pool, business.reseller_id, PROVIDER, file.path()).await?;
    // What Postgres then expects of a reseller and a scope is a charge or none.
    let others = "
        SET session_replication_role = replica;
        INSERT INTO charges (reseller_id, billing_period_start, charge_scope_id, row_number, billed_cost, billing_currency,
            charge_category, charge_period_start, charge_period_end, service_name, sub_account_id)
        SELECT md5('reseller ' || n)::uuid, '2026-08-01', md5('scope ' || n)::uuid, row, 1, 'EUR', 'Usage', '2026-08-05',
            '2026-08-06', 'Service', 'account-0'
        FROM generate_series(1, 300) AS n, generate_series(1, 10) AS row;
        ANALYZE charges";
    sqlx::raw_sql(others).execute(&mut database.connect_as_owner().await?).await?;
    let desk = Desk::of(database, business, Clock::System).await?;
    let generate = desk.business.generate(0);
    desk.office.done(&generate).await?;
    let invoice_id = desk.id(0).await?;

    let mut transaction = desk.office.pool.begin().await?;
    // As for a statement that was asked a few times.
    sqlx::raw_sql("SET LOCAL plan_cache_mode = force_generic_plan").execute(&mut *transaction).await?;
    let period = ProviderPeriod {
        reseller_id: generate.reseller_id,
        provider: PROVIDER,
        billing_period_start: generate.billing_period.start(),
    };
    let before = rows_read(&mut transaction, "charges").await?;
    let groups = charge_sums::cost_groups(&mut transaction, period, generate.customer_id, false).await?;
    let billed = rows_read(&mut transaction, "charges").await?;
    assert_eq!((groups.len(), billed - before), (10, 10));
    let charges = detailed_charges::detailed_charges(&mut transaction, generate.reseller_id, invoice_id);
    let charges: Vec<_> = charges.try_collect().await?;
    assert_eq!((charges.len(), rows_read(&mut transaction, "charges").await? - billed), (10, 10));
    Ok(())
}
