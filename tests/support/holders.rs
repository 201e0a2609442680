//! Charges on single days, and directories that say who holds their accounts when.

use std::io::Write;

use anyhow::Result;
use billrunner::{
    domain::directory::Directory,
    store::{charges::StoredChargeFile, directory},
};
use serde_json::{Value, json};
use sqlx::{Postgres, Transaction};
use tokio::sync::Mutex;

use super::{
    TestDatabase,
    business::{PROVIDER, directory_of},
    desk::Desk,
    import::import,
    worker::until,
};

/// One charge in EUR of August 2026: payer, account, start, cost.
pub type Charge<'a> = (&'a str, &'a str, &'a str, &'a str);

impl Desk {
    /// Returns the directory of the business as it was opened, to be changed.
    pub fn directory(&self) -> Value {
        directory_of(self.business.reseller_id, &self.business.customers)
    }

    /// Applies a directory as `billrunner directory` does.
    pub async fn apply(&self, directory: &Value) -> Result<()> {
        let directory: Directory = serde_json::from_value(directory.clone())?;
        let mut transaction = self.office.pool.begin().await?;
        directory::apply(&mut transaction, &directory).await?;
        Ok(transaction.commit().await?)
    }

    /// Imports a file of charges; those of July are corrections.
    pub async fn import(&self, charges: &[Charge<'_>]) -> Result<StoredChargeFile> {
        let file = file_of_charges(charges)?;
        import(&self.office.pool, self.business.reseller_id, PROVIDER, file.path()).await
    }
}

/// Starts something that has to wait for another transaction, ends that one once it waits, and returns what became of it.
///
/// What does not wait has ended before; the other transaction is ended then.
pub async fn meanwhile<T>(
    database: &TestDatabase,
    waiting: impl Future<Output = T>,
    other: Transaction<'_, Postgres>,
) -> Result<T> {
    let mut waiting = std::pin::pin!(waiting);
    // Only the owner sees who waits.
    let owner = Mutex::new(database.connect_as_owner().await?);
    let waits = until("a transaction to wait for another", || async {
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let seen: i64 = sqlx::query_scalar(sql).fetch_one(&mut *owner.lock().await).await?;
        Ok((seen > 0).then_some(()))
    });
    let early = tokio::select! {
        ended = &mut waiting => Some(ended),
        waits = waits => {
            waits?;
            None
        }
    };
    other.commit().await?;
    match early {
        Some(ended) => Ok(ended),
        None => Ok(waiting.await),
    }
}

/// Writes a FOCUS file.
pub fn file_of_charges(charges: &[Charge<'_>]) -> Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    writeln!(
        file,
        "BilledCost,BillingCurrency,BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,ChargeClass,\
         ChargePeriodStart,ChargePeriodEnd,ServiceName,SubAccountId"
    )?;
    for (payer, account, start, cost) in charges {
        let class = if start.starts_with("2026-07") { "Correction" } else { "" };
        writeln!(
            file,
            "{cost},EUR,{payer},2026-08-01,2026-09-01,Usage,{class},{start},2026-09-01T00:00:00Z,Compute,{account}"
        )?;
    }
    file.flush()?;
    Ok(file)
}

/// Gives the Nth customer these accounts: account, first day, the day after the last.
pub fn hold(directory: &mut Value, customer: usize, accounts: &[(&str, Option<&str>, Option<&str>)]) {
    let accounts = accounts.iter().map(|(account, from, to)| {
        json!({ "provider": PROVIDER, "account_id": account, "valid_from": from, "valid_to": to })
    });
    directory["customers"][customer]["accounts"] = accounts.collect();
}
