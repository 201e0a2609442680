//! A reseller's month from the charge file to closed invoices, with what it must come to: whole bill runs under fire.

use std::fmt::Write;

use billrunner::{domain::directory::Directory, jobs::charge_file_location};
use object_store::path::Path;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{doors::Request, schedule::Chance};

pub const PROVIDER: &str = "aws";
pub const PERIOD: &str = "2026-08";
/// Customers of a book: enough for a batch, few enough for many batches.
const CUSTOMERS: usize = 4;
const CHARGES: u64 = 3;

/// A reseller with its customers, and what each is to pay.
#[derive(Clone, Debug)]
pub struct Book {
    pub name: String,
    pub reseller_id: Uuid,
    pub customers: Vec<(Uuid, String)>,
    pub file: String,
    pub sha256: String,
    /// The bill run was accepted, so that every customer must have an invoice in the end.
    pub is_billed: bool,
}

impl Book {
    pub fn draw(name: String, chance: &mut Chance) -> Self {
        let mut file = String::from(
            "BilledCost,BillingCurrency,BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,\
             ChargePeriodStart,ChargePeriodEnd,ServiceName,SubAccountId,SubAccountName,ChargeDescription\n",
        );
        let mut customers = Vec::new();
        for n in 0..CUSTOMERS {
            let mut mills = 0;
            for _ in 0..CHARGES {
                let cost = 1 + chance.below(90_000);
                mills += cost;
                let _infallible = writeln!(
                    file,
                    "{}.{:03},EUR,payer,2026-08-01,2026-09-01,Usage,2026-08-05T00:00:00Z,2026-08-06T00:00:00Z,Compute,\
                     account-{n},Account {n},{name}",
                    cost / 1000,
                    cost % 1000
                );
            }
            customers.push((chance.id(), total(mills)));
        }
        let sha256 = hex::encode(Sha256::digest(&file));
        Self { name, reseller_id: chance.id(), customers, file, sha256, is_billed: false }
    }

    pub fn directory(&self) -> serde_json::Result<Directory> {
        let described = self.customers.iter().enumerate().map(|(n, (id, _))| {
            json!({
                "id": id,
                "name": format!("Customer {n}"),
                "language": if n % 2 == 0 { "es" } else { "en" },
                "currency": null,
                "tax_id": null,
                "country": "ES",
                "contacts": [{ "email": format!("contact-{n}@{}.example", self.name), "name": format!("Contact {n}") }],
                "accounts": [{ "provider": PROVIDER, "account_id": format!("account-{n}") }],
                "tax_rates": [{ "name": "IVA", "rate": "0.21" }],
            })
        });
        serde_json::from_value(json!({
            "reseller": { "id": self.reseller_id, "name": "Reseller", "tax_id": "ESB12345674", "country": "ES",
                "email": "billing@reseller.example" },
            "customers": described.collect::<Vec<_>>(),
            "markups": [{ "customer_id": null, "provider": null, "rate": "0.125" }],
        }))
    }

    pub fn location(&self) -> anyhow::Result<Path> {
        Ok(charge_file_location(&self.sha256)?)
    }

    pub fn import(&self) -> Request {
        let data = json!({ "reseller_id": self.reseller_id, "provider": PROVIDER, "sha256": self.sha256,
            "file_name": "charges.csv" });
        self.request("billrunner.charges.import.v1", "import", data)
    }

    pub fn bill_run(&self) -> Request {
        let data = json!({ "reseller_id": self.reseller_id, "provider": PROVIDER, "billing_period": PERIOD,
            "run_id": "run", "status": "open", "notify": true });
        self.request("billrunner.bill_run.start.v1", "run", data)
    }

    /// Asks for one customer's invoice beside the bill run, which makes it too.
    pub fn generation(&self, customer: usize, twin: &str) -> Request {
        let data = json!({ "reseller_id": self.reseller_id, "customer_id": self.customers[customer].0,
            "provider": PROVIDER, "billing_period": PERIOD, "currency": "EUR", "status": "open", "notify": true,
            "force": true });
        self.request("billrunner.invoice.generate.v1", &format!("generation-{customer}-{twin}"), data)
    }

    pub fn change(&self, invoice: Uuid, to: &str, step: &str) -> Request {
        let data = json!({ "reseller_id": self.reseller_id, "invoice_id": invoice, "to": to, "notify": false,
            "reason": "as agreed" });
        self.request("billrunner.invoice_status.change.v1", &format!("{step}-{invoice}"), data)
    }

    fn request(&self, event_type: &'static str, what: &str, data: Value) -> Request {
        Request { event_type, id: format!("{}-{what}", self.name), data }
    }
}

/// Computes what thousandths of cost come to: marked up by 12.5 % and rounded, taxed with 21 % and rounded, both half-up.
fn total(mills: u64) -> String {
    let net = (mills * 1125 + 5000) / 10_000;
    let tax = (net * 21 + 50) / 100;
    format!("{}.{:02}", (net + tax) / 100, (net + tax) % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_rounded_half_up_twice() {
        // 10.004 × 1.125 = 11.2545, so 11.25; 21 % of it are 2.3625, so 2.36.
        assert_eq!(total(10_004), "13.61");
        // 0.004 × 1.125 = 0.0045, so nothing; 0.005 × 1.125 = 0.005625, so a cent, of which the tax is nothing.
        assert_eq!((total(4), total(5)), ("0.00".to_owned(), "0.01".to_owned()));
    }
}
