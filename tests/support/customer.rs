//! Customers of a test's reseller.

use anyhow::Result;
use billrunner::domain::ids::{CustomerId, ResellerId};
use sqlx::PgPool;

/// Inserts a customer to whom one provider account is assigned.
pub async fn insert_customer(
    pool: &PgPool,
    reseller_id: ResellerId,
    provider: &str,
    account_id: &str,
) -> Result<CustomerId> {
    let id = CustomerId::new();
    sqlx::query("INSERT INTO customers (reseller_id, id, name, language) VALUES ($1, $2, $3, 'en')")
        .bind(reseller_id)
        .bind(id)
        .bind(account_id)
        .execute(pool)
        .await?;
    sqlx::query(
        "INSERT INTO provider_accounts (reseller_id, provider, account_id, customer_id) VALUES ($1, $2, $3, $4)",
    )
    .bind(reseller_id)
    .bind(provider)
    .bind(account_id)
    .bind(id)
    .execute(pool)
    .await?;
    Ok(id)
}
