//! Who holds which provider account on which days.
//!
//! Assigned when a directory is applied, in its transaction. The database refuses two holders of one account on one day,
//! to every client; what is said here comes before, so that it can name both.

use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;

use super::directory::ApplyError;
use crate::domain::{
    directory::{Customer, Directory, ProviderAccount},
    ids::{InvoiceId, ResellerId},
};

/// Replaces the accounts of the directory's customers; they may change hands between them.
///
/// # Errors
/// [`ApplyError::HeldByAnother`] when a customer whom the directory does not name holds one of them on one of the days.
pub(super) async fn assign(connection: &mut PgConnection, directory: &Directory) -> Result<(), ApplyError> {
    let reseller = directory.reseller.id.0;
    let customers: Vec<Uuid> = directory.customers.iter().map(|customer| customer.id.0).collect();
    // All first: the database looks at each row for itself, and an account may go from the last to the first.
    sqlx::query!(
        "DELETE FROM provider_accounts WHERE reseller_id = $1 AND customer_id = ANY ($2)",
        reseller,
        &customers
    )
    .execute(&mut *connection)
    .await?;
    let new = Columns::of(&directory.customers);
    let held = sqlx::query!(
        r#"SELECT new.provider AS "provider!", new.account_id AS "account_id!", customer.name,
               account.valid_from, account.valid_to
         FROM unnest($2::text[], $3::text[], $4::date[], $5::date[]) AS new (provider, account_id, valid_from, valid_to)
         JOIN provider_accounts account ON account.reseller_id = $1 AND account.provider = new.provider
             AND account.account_id = new.account_id AND account.days && daterange(new.valid_from, new.valid_to)
         JOIN customers customer ON customer.reseller_id = account.reseller_id AND customer.id = account.customer_id
         ORDER BY 1, 2, account.days LIMIT 1"#,
        reseller,
        &new.providers,
        &new.account_ids,
        &new.valid_from as &[Option<NaiveDate>],
        &new.valid_to as &[Option<NaiveDate>],
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(held) = held {
        let account =
            ProviderAccount { provider: held.provider, account_id: held.account_id, valid_from: None, valid_to: None };
        let days = days(held.valid_from, held.valid_to);
        return Err(ApplyError::HeldByAnother { account: account.name(), customer: held.name, days });
    }
    sqlx::query!(
        "INSERT INTO provider_accounts (reseller_id, customer_id, provider, account_id, valid_from, valid_to)
         SELECT $1, new.* FROM unnest($2::uuid[], $3::text[], $4::text[], $5::date[], $6::date[]) AS new",
        reseller,
        &new.customer_ids,
        &new.providers,
        &new.account_ids,
        &new.valid_from as &[Option<NaiveDate>],
        &new.valid_to as &[Option<NaiveDate>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Says in words for which days an account is held; `valid_to` is the day after the last.
fn days(valid_from: Option<NaiveDate>, valid_to: Option<NaiveDate>) -> String {
    match (valid_from, valid_to) {
        (None, None) => "without dates".to_owned(),
        (Some(from), None) => format!("from {from} on"),
        (None, Some(to)) => format!("until before {to}"),
        (Some(from), Some(to)) => format!("from {from} until before {to}"),
    }
}

/// Assignments as arrays, one per column of a statement.
#[derive(Default)]
struct Columns {
    customer_ids: Vec<Uuid>,
    providers: Vec<String>,
    account_ids: Vec<String>,
    valid_from: Vec<Option<NaiveDate>>,
    valid_to: Vec<Option<NaiveDate>>,
}

impl Columns {
    fn of(customers: &[Customer]) -> Self {
        let mut columns = Self::default();
        for customer in customers {
            for account in &customer.accounts {
                columns.customer_ids.push(customer.id.0);
                columns.providers.push(account.provider.clone());
                columns.account_ids.push(account.account_id.clone());
                columns.valid_from.push(account.valid_from);
                columns.valid_to.push(account.valid_to);
            }
        }
        columns
    }
}

/// Remembers on a draft which accounts its customer holds at its provider, and when: its detail follows them from now on.
///
/// # Errors
/// When the database fails.
pub(super) async fn remember(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    invoice_id: InvoiceId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO invoice_accounts (reseller_id, invoice_id, account_id, days)
         SELECT invoice.reseller_id, invoice.id, account.account_id, account.days
         FROM invoices invoice
         JOIN provider_accounts account ON account.reseller_id = invoice.reseller_id
             AND account.customer_id = invoice.customer_id AND account.provider = invoice.provider
         WHERE invoice.reseller_id = $1 AND invoice.id = $2",
        reseller_id.0,
        invoice_id.0,
    )
    .execute(connection)
    .await
    .map(drop)
}
