//! A desk whose charges differ in service, category and month, and whose prices a test sets.

use std::io::Write;

use anyhow::Result;
use billrunner::{clock::Clock, domain::invoice::Invoice, jobs::GenerateInvoice};
use serde_json::Value;

use super::{
    TestDatabase,
    business::{Business, PROVIDER, database_url, directory_of},
    desk::Desk,
    import::import,
};

/// One charge: account, service, service category, charge category, first day, cost in EUR.
pub type Row<'a> = (usize, &'a str, &'a str, &'a str, &'a str, &'a str);

/// Opens a business with these charges of August 2026; those of an earlier day are corrections.
pub async fn open(customers: usize, rows: &[Row<'_>]) -> Result<Desk> {
    let database = TestDatabase::new().await?;
    let business = Business::without_charges(&database.pool, customers).await?;
    let mut file = tempfile::NamedTempFile::new()?;
    writeln!(
        file,
        "BilledCost,BillingCurrency,BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,ChargeClass,\
         ChargePeriodStart,ChargePeriodEnd,ServiceName,ServiceCategory,SubAccountId,ChargeDescription"
    )?;
    for (account, service, service_category, category, day, cost) in rows {
        let class = if *day < "2026-08-01" { "Correction" } else { "" };
        writeln!(
            file,
            "{cost},EUR,payer,2026-08-01,2026-09-01,{category},{class},{day}T00:00:00Z,{day}T01:00:00Z,{service},\
             {service_category},account-{account},{}",
            business.reseller_id
        )?;
    }
    file.flush()?;
    import(&database.pool, business.reseller_id, PROVIDER, file.path()).await?;
    Desk::of(database, business, Clock::System).await
}

impl Desk {
    /// Returns the directory of this desk, without any markup.
    pub fn terms(&self) -> Value {
        let mut terms = directory_of(self.business.reseller_id, &self.business.customers);
        terms["markups"] = Value::Array(Vec::new());
        terms
    }

    /// Generates the Nth customer's draft anew and returns it.
    pub async fn draft(&self, customer: usize) -> Result<Invoice> {
        self.office.done(&GenerateInvoice { replace: true, ..self.business.generate(customer) }).await?;
        self.live(customer).await
    }
}

/// Returns description and printed amount of each line.
pub fn nets(invoice: &Invoice) -> Vec<(String, String)> {
    let lines = invoice.lines.iter();
    lines.map(|line| (line.description.clone(), line.net.to_plain_string())).collect()
}

/// Returns what `billrunner invoices show` prints of an invoice.
pub async fn show(desk: &Desk, invoice: &Invoice) -> Result<String> {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_billrunner"))
        .args(["invoices", "show", &invoice.document_id])
        .env("DATABASE_URL", database_url(&desk.office.pool).await?)
        .output()
        .await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
