//! What `billrunner bench invoices` and `bench month-end` measure with: customers and charges made by Postgres itself, and
//! the plain statements that are the limit of what can be reached.
//!
//! Needs the owner's login to fill; the caller has made sure that the database is the benchmark's.

use std::time::Duration;

use chrono::NaiveDate;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tracing::log::LevelFilter;
use uuid::Uuid;

use crate::domain::ids::{CustomerId, ResellerId};

/// How much to make.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Customers, each with one account at each provider.
    pub customers: i32,
    /// Customers before the first of them, who have no charges in a month.
    pub after: i32,
    /// Charges of each account.
    pub charges: i32,
    /// Services that the charges are of: lines of an invoice.
    pub services: i32,
}

/// Connects as the owner.
pub(super) async fn connect(url: &SecretString) -> sqlx::Result<PgConnection> {
    let options: PgConnectOptions = url.expose_secret().parse()?;
    options
        .options([("search_path", "billrunner,public")])
        .log_statements(LevelFilter::Off)
        .log_slow_statements(LevelFilter::Off, Duration::ZERO)
        .connect()
        .await
}

/// Returns the Nth customer that is made, from 1.
pub fn customer(n: i32) -> CustomerId {
    CustomerId(Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000 | u128::from(n.unsigned_abs())))
}

/// Makes a reseller with so many customers, all with a contact, a tax and a markup, and closes nothing.
///
/// # Errors
/// When the database fails.
pub async fn fill_directory(url: &SecretString, reseller_id: ResellerId, size: Size) -> sqlx::Result<()> {
    let mut connection = connect(url).await?;
    let statements = [
        "INSERT INTO resellers (id, name, email) SELECT $1, 'Reseller', 'billing@reseller.example' WHERE $2 > 0",
        "INSERT INTO customers (reseller_id, id, name, language)
         SELECT $1, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'Customer ' || n,
             (ARRAY['en', 'es', 'de'])[n % 3 + 1]
         FROM generate_series(1, $2) AS n",
        "INSERT INTO contacts (reseller_id, customer_id, email, name)
         SELECT $1, id, 'contact@' || id || '.example', name FROM customers WHERE $2 > 0",
        "INSERT INTO tax_rates (reseller_id, customer_id, name, rate) SELECT $1, id, 'VAT', 0.21 FROM customers WHERE $2 > 0",
        "INSERT INTO markups (reseller_id, rate) SELECT $1, 0.125 WHERE $2 > 0",
    ];
    for statement in statements {
        sqlx::query(statement).bind(reseller_id.0).bind(size.customers).execute(&mut connection).await?;
    }
    Ok(())
}

/// Makes a provider's month: an account for each of its customers, one file of one payer, its charges and their sums.
///
/// # Errors
/// When the database fails.
pub async fn fill_month(
    url: &SecretString,
    reseller_id: ResellerId,
    provider: &str,
    (start, end): (NaiveDate, NaiveDate),
    size: Size,
) -> sqlx::Result<()> {
    let mut connection = connect(url).await?;
    sqlx::query("SELECT ensure_charges_partition($1)").bind(start).execute(&mut connection).await?;
    sqlx::query(
        "INSERT INTO provider_accounts (reseller_id, provider, account_id, customer_id)
         SELECT $1, $2, 'account-' || id, id FROM customers WHERE reseller_id = $1 AND id > $3 ORDER BY id LIMIT $4",
    )
    .bind(reseller_id.0)
    .bind(provider)
    .bind(customer(size.after).0)
    .bind(size.customers)
    .execute(&mut connection)
    .await?;
    let statements = [
        "INSERT INTO charge_files (reseller_id, id, sha256, provider, file_name, format, size_bytes, charge_count)
         SELECT $1, md5($2)::uuid, sha256($2::bytea), $2, 'bench.csv', 'focus', 0, 0
         WHERE $3 < $4::date AND $5 > 0 AND $6 > 0",
        "INSERT INTO charge_scopes (reseller_id, id, charge_file_id, provider, billing_account_id, billing_period_start,
             billing_period_end, charge_count)
         SELECT $1, md5($2)::uuid, md5($2)::uuid, $2, 'payer', $3, $4, $5 * $6",
        "INSERT INTO billing_periods (reseller_id, provider, billing_period_start, billing_period_end)
         SELECT $1, $2, $3, $4 WHERE $5 > 0 AND $6 > 0",
        // Of one account the charges lie together, as in the files of providers.
        "INSERT INTO charges (reseller_id, billing_period_start, charge_scope_id, row_number, billed_cost, billing_currency,
             charge_category, charge_period_start, charge_period_end, consumed_quantity, region_id, resource_id, service_name,
             sku_id, sub_account_id)
         SELECT $1, $3, md5($2)::uuid, row_number() OVER (), ((row_number() OVER ()) * 7919 % 1000003) / 10007.0, 'EUR',
             'Usage', $3::timestamptz + interval '1 hour' * (n % 700), $3::timestamptz + interval '1 hour' * (n % 700 + 1),
             n, 'region-' || n % 20, 'resource-' || n, 'Service ' || n % $6, 'sku-' || n % 50, account_id
         FROM (SELECT account_id FROM provider_accounts WHERE provider = $2 ORDER BY account_id) AS account,
             generate_series(1, $5) AS n WHERE $3 < $4::date",
        "INSERT INTO charge_totals (reseller_id, charge_scope_id, billing_currency, sub_account_id, charge_category,
             charge_count, billed_cost)
         SELECT reseller_id, charge_scope_id, billing_currency, sub_account_id, charge_category, count(*), SUM(billed_cost)
         FROM charges
         WHERE reseller_id = $1 AND charge_scope_id = md5($2)::uuid AND billing_period_start = $3 AND $3 < $4::date
             AND $5 > 0 AND $6 > 0
         GROUP BY 1, 2, 3, 4, 5",
    ];
    for statement in statements {
        sqlx::query(statement)
            .bind(reseller_id.0)
            .bind(provider)
            .bind(start)
            .bind(end)
            .bind(size.charges)
            .bind(size.services)
            .execute(&mut connection)
            .await?;
    }
    Ok(())
}

/// Has the planner know what was made.
///
/// # Errors
/// When the database fails.
pub async fn vacuum(url: &SecretString) -> sqlx::Result<()> {
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connect(url).await?).await.map(drop)
}

/// Sums all charges by customer and line, once and for all customers: no bill run can be faster. Returns how many lines.
///
/// # Errors
/// When the database fails.
pub async fn sum_all(connection: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(cost) FROM (
             SELECT account.customer_id, charges.sub_account_id, charges.service_name, charges.charge_category,
                 charges.billing_currency, SUM(charges.billed_cost) AS cost, count(*) AS charge_count
             FROM charge_scopes scope
             JOIN charges ON charges.reseller_id = scope.reseller_id AND charges.charge_scope_id = scope.id
             JOIN provider_accounts account ON account.reseller_id = scope.reseller_id
                 AND account.provider = scope.provider AND account.account_id = charges.sub_account_id
             WHERE scope.superseded_by IS NULL
             GROUP BY 1, 2, 3, 4, 5, scope.provider) AS lines",
    )
    .fetch_one(connection)
    .await
}

/// Writes every draft's row once, in one statement: no opening can be faster. The caller rolls it back.
///
/// # Errors
/// When the database fails.
pub async fn update_all_drafts(connection: &mut PgConnection) -> sqlx::Result<u64> {
    let updated = sqlx::query("UPDATE invoices SET stale = true WHERE status = 'draft'").execute(connection).await?;
    Ok(updated.rows_affected())
}

/// Returns how many lines and open invoices there are.
///
/// # Errors
/// When the database fails.
pub async fn count_results(connection: &mut PgConnection) -> sqlx::Result<(i64, i64)> {
    sqlx::query_as("SELECT (SELECT count(*) FROM invoice_lines), (SELECT count(*) FROM invoices WHERE status = 'open')")
        .fetch_one(connection)
        .await
}

/// Returns the id of the process that serves the caller.
///
/// # Errors
/// When the database fails.
pub async fn backend_process(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await
}
