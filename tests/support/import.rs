//! What tests of charges share: a reseller, and a file imported as the job will do it.

use std::path::Path;

use anyhow::Result;
use billrunner::{
    domain::{charge_file::CheckedChargeFile, ids::ResellerId},
    providers::{self, check_charge_file, read_charges},
    store::charges::{NewChargeFile, StoredChargeFile, ensure_charges_partitions, store_charge_file},
};
use sqlx::PgPool;

pub async fn insert_reseller(pool: &PgPool) -> Result<ResellerId> {
    let id = ResellerId::new();
    sqlx::query("INSERT INTO resellers (id, name, email) VALUES ($1, 'Reseller', 'billing@reseller.example')")
        .bind(id)
        .execute(pool)
        .await?;
    Ok(id)
}

/// Checks and stores a file; the error is the typed one, to downcast to.
pub async fn import(pool: &PgPool, reseller_id: ResellerId, provider: &str, path: &Path) -> Result<StoredChargeFile> {
    let checked = check_charge_file(providers::find(provider)?, path)?;
    import_checked(pool, reseller_id, provider, path, &checked).await
}

pub async fn import_checked(
    pool: &PgPool,
    reseller_id: ResellerId,
    provider: &str,
    path: &Path,
    checked: &CheckedChargeFile,
) -> Result<StoredChargeFile> {
    ensure_charges_partitions(&mut *pool.acquire().await?, checked).await?;
    let mut transaction = pool.begin().await?;
    let file = NewChargeFile { reseller_id, provider, file_name: "charges.csv", checked };
    let stored = store_charge_file(&mut transaction, file, read_charges(path)?).await?;
    transaction.commit().await?;
    Ok(stored)
}
