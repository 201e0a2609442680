//! A reseller with customers, and a charge file for their accounts: one account `account-N` per customer.

use std::io::Write;

use anyhow::Result;
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{
        directory::Directory,
        ids::{CustomerId, ResellerId},
        money::Currency,
    },
    jobs::{GenerateInvoice, InitialStatus, StartBillRun},
    store::directory,
};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::import::import;

/// Provider and month of every charge here.
pub const PROVIDER: &str = "aws";
pub const PERIOD: &str = "2026-08";

pub struct Business {
    pub reseller_id: ResellerId,
    pub customers: Vec<CustomerId>,
}

impl Business {
    /// Applies a directory of so many customers, each with a contact, and imports charges of 10.00 × N EUR for the Nth.
    pub async fn open(pool: &PgPool, customer_count: usize) -> Result<Self> {
        let business = Self::without_charges(pool, customer_count).await?;
        let file = charge_file(customer_count, &business.reseller_id.to_string())?;
        import(pool, business.reseller_id, PROVIDER, file.path()).await?;
        Ok(business)
    }

    pub async fn without_charges(pool: &PgPool, customer_count: usize) -> Result<Self> {
        let reseller_id = ResellerId::new();
        let customers: Vec<CustomerId> = (0..customer_count).map(|_| CustomerId::new()).collect();
        let directory: Directory = serde_json::from_value(directory_of(reseller_id, &customers))?;
        let mut transaction = pool.begin().await?;
        directory::apply(&mut transaction, &directory).await?;
        transaction.commit().await?;
        Ok(Self { reseller_id, customers })
    }

    /// Opens a business whose Nth customer has one charge of the Nth cost, in EUR.
    pub async fn with_costs(pool: &PgPool, costs: &[&str]) -> Result<Self> {
        let business = Self::without_charges(pool, costs.len()).await?;
        let charges: Vec<(usize, String)> = costs.iter().map(|cost| (*cost).to_owned()).enumerate().collect();
        let file = file_of(&charges, &business.reseller_id.to_string())?;
        import(pool, business.reseller_id, PROVIDER, file.path()).await?;
        Ok(business)
    }

    /// Asks for the Nth customer's invoice.
    pub fn generate(&self, customer: usize) -> GenerateInvoice {
        GenerateInvoice {
            reseller_id: self.reseller_id,
            customer_id: self.customers[customer],
            provider: PROVIDER.to_owned(),
            billing_period: PERIOD.parse().expect("a month"),
            currency: euro(),
            status: InitialStatus::Draft,
            notify: None,
            replace: false,
            force: false,
        }
    }

    /// Asks for all invoices; this also closes the month.
    pub fn bill_run(&self, status: InitialStatus, notify: Option<bool>) -> StartBillRun {
        StartBillRun {
            reseller_id: self.reseller_id,
            provider: PROVIDER.to_owned(),
            billing_period: PERIOD.parse().expect("a month"),
            run_id: "run".to_owned(),
            status,
            notify,
            provisional: false,
            replace: false,
            dry_run: false,
        }
    }
}

pub fn euro() -> Currency {
    "EUR".parse().expect("a currency")
}

/// Returns a directory in which the Nth customer has the account `account-N` and the contact `contact-N@example.com`.
pub fn directory_of(reseller_id: ResellerId, customers: &[CustomerId]) -> Value {
    let described = customers.iter().enumerate().map(|(n, id)| {
        json!({
            "id": id,
            "name": format!("Customer {n:03}"),
            "language": if n % 2 == 0 { "es" } else { "en" },
            "currency": null,
            "tax_id": null,
            "country": "ES",
            "contacts": [{ "email": format!("contact-{n}@example.com"), "name": format!("Contact {n}") }],
            "accounts": [{ "provider": PROVIDER, "account_id": format!("account-{n}") }],
            "tax_rates": [{ "name": "IVA", "rate": "0.21" }],
        })
    });
    json!({
        "reseller": { "id": reseller_id, "name": "Reseller", "tax_id": "ESB12345674", "country": "ES",
            "email": "billing@reseller.example" },
        "customers": described.collect::<Vec<_>>(),
        "markups": [{ "customer_id": null, "provider": null, "rate": "0.125" }],
    })
}

/// Writes a FOCUS file with two charges per account; the salt keeps files of different tests apart.
pub fn charge_file(account_count: usize, salt: &str) -> Result<tempfile::NamedTempFile> {
    let mut charges = Vec::new();
    for n in 0..account_count {
        for share in ["9.995", "0.005"] {
            let cost = share.parse::<BigDecimal>()? * BigDecimal::from(u64::try_from(n + 1)?);
            charges.push((n, cost.to_plain_string()));
        }
    }
    file_of(&charges, salt)
}

/// Writes a FOCUS file of charges, each with the number of its account and its cost.
pub fn file_of(charges: &[(usize, String)], salt: &str) -> Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    writeln!(
        file,
        "BilledCost,BillingCurrency,BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,ChargePeriodStart,\
         ChargePeriodEnd,ServiceName,SubAccountId,SubAccountName,ChargeDescription"
    )?;
    for (n, cost) in charges {
        writeln!(
            file,
            "{cost},EUR,payer,2026-08-01,2026-09-01,Usage,2026-08-05T00:00:00Z,2026-08-06T00:00:00Z,Compute,account-{n},\
             Account {n},{salt}"
        )?;
    }
    file.flush()?;
    Ok(file)
}

/// Returns the database's URL for a program other than the test.
pub async fn database_url(pool: &PgPool) -> Result<String> {
    let name: String = sqlx::query_scalar("SELECT current_database()::text").fetch_one(pool).await?;
    let url = std::env::var("DATABASE_URL")?;
    let mut url = url::Url::parse(&url)?;
    url.set_path(&name);
    Ok(url.into())
}
