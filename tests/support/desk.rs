//! A reseller's desk: a business, the billrunner that works for it, and what is asked of both again and again.

use anyhow::{Context, Result, ensure};
use bigdecimal::BigDecimal;
use billrunner::{
    clock::Clock,
    domain::{
        document::DocumentKind, ids::InvoiceId, invoice::Invoice, invoice_status::InvoiceStatus, money::parse_decimal,
    },
    jobs::{ChangeInvoiceStatus, InitialStatus, RenderDocument, Report, Verification},
    store::{
        event_chain::find_broken_link,
        invoice_status::{self, EventRow},
        invoices,
    },
};

use super::{TestDatabase, business::Business, worker::Office};

pub struct Desk {
    pub office: Office,
    pub business: Business,
    pub database: TestDatabase,
}

/// Names the rendering of a document of an invoice as it stands.
pub fn rendering(invoice: &Invoice, kind: DocumentKind) -> RenderDocument {
    let (reseller_id, invoice_id, version) = (invoice.reseller_id, invoice.id, invoice.version);
    RenderDocument { reseller_id, invoice_id, version, kind, currency: None }
}

impl Desk {
    /// Opens a business with charges, whose month is still open.
    pub async fn open(customers: usize) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let business = Business::open(&database.pool, customers).await?;
        Self::of(database, business, Clock::System).await
    }

    /// Opens a business whose Nth customer has one charge of the Nth cost.
    pub async fn with_costs(costs: &[&str]) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let business = Business::with_costs(&database.pool, costs).await?;
        Self::of(database, business, Clock::System).await
    }

    /// Opens a business whose month is closed and whose drafts are there.
    pub async fn with_drafts(customers: usize) -> Result<Self> {
        let desk = Self::open(customers).await?;
        desk.close_month().await?;
        Ok(desk)
    }

    pub async fn of(database: TestDatabase, business: Business, clock: Clock) -> Result<Self> {
        let office = Office::open_at(&database.pool, clock).await?;
        Ok(Self { office, business, database })
    }

    /// Closes the month, which makes a draft for everybody.
    pub async fn close_month(&self) -> Result<()> {
        self.office.done(&self.business.bill_run(InitialStatus::Draft, None)).await?;
        self.office.settled().await
    }

    /// Returns the id of the Nth customer's invoice that is neither void nor discarded.
    pub async fn id(&self, customer: usize) -> Result<InvoiceId> {
        let sql = "SELECT id FROM invoices WHERE customer_id = $1 AND status NOT IN ('void', 'discarded')";
        Ok(sqlx::query_scalar(sql).bind(self.business.customers[customer]).fetch_one(&self.office.pool).await?)
    }

    pub async fn live(&self, customer: usize) -> Result<Invoice> {
        self.find(self.id(customer).await?).await
    }

    pub async fn find(&self, id: InvoiceId) -> Result<Invoice> {
        let found = invoices::find(&mut *self.office.pool.acquire().await?, self.business.reseller_id, id).await?;
        found.context("an invoice")
    }

    pub async fn events(&self, id: InvoiceId) -> Result<Vec<EventRow>> {
        Ok(invoice_status::events(&mut *self.office.pool.acquire().await?, self.business.reseller_id, id).await?)
    }

    pub async fn broken_link(&self) -> Result<Option<i64>> {
        Ok(find_broken_link(&mut *self.office.pool.acquire().await?, self.business.reseller_id).await?)
    }

    /// Verifies everything, and renders documents again if asked.
    pub async fn verify(&self, renders_again: bool) -> Result<Report> {
        let verification = Verification {
            pool: self.office.pool.clone(),
            objects: self.office.context.objects.clone(),
            reseller_id: None,
            billing_period: None,
            renders_again,
        };
        Ok(verification.run().await?)
    }

    /// Verifies everything and fails where something does not hold.
    pub async fn verified(&self) -> Result<()> {
        let report = self.verify(true).await?;
        ensure!(report.count() == 0, "{report:#?}");
        Ok(())
    }

    /// Asks for another status, with a reason and without a word to the customer.
    pub fn to(&self, invoice_id: InvoiceId, to: InvoiceStatus) -> ChangeInvoiceStatus {
        ChangeInvoiceStatus {
            reseller_id: self.business.reseller_id,
            invoice_id,
            to,
            version: None,
            reason: Some("because the test says so".to_owned()),
            notify: Some(false),
            force: false,
        }
    }

    /// Acts as the application.
    pub async fn execute(&self, sql: &'static str) -> Result<()> {
        sqlx::raw_sql(sql).execute(&self.office.pool).await?;
        Ok(())
    }

    /// Acts as the database's owner, with its triggers off: nothing is refused.
    pub async fn tamper(&self, sql: &'static str) -> Result<()> {
        let mut owner = self.database.connect_as_owner().await?;
        sqlx::raw_sql("SET session_replication_role = replica").execute(&mut owner).await?;
        sqlx::raw_sql(sql).execute(&mut owner).await?;
        Ok(())
    }

    pub async fn close(self) -> Result<()> {
        self.office.close().await
    }
}

pub fn decimal(text: &str) -> BigDecimal {
    parse_decimal(text).expect("a decimal")
}
