//! Whether everything that was promised holds: events, numbers, statuses, sums, documents.
//!
//! `check_history` and `reconcile_charges` run parts of it by night, `billrunner verify` all of it. It only reads, in
//! statements of their own, so it can run beside the work and as a role that may only read; memory does not grow with
//! the number of invoices.

mod documents;
mod findings;
mod history;
mod sums;

use std::sync::Arc;

use chrono::NaiveDate;
use object_store::ObjectStore;
use serde::Serialize;
use sqlx::PgPool;

pub use self::findings::{Check, Finding};
pub(super) use self::{
    findings::{Findings, NAMED_IN_A_FAILURE, Resellers},
    history::check_history,
    sums::check_period,
};
use crate::{
    domain::{billing_period::BillingPeriod, ids::ResellerId},
    queue::JobError,
};

/// Findings that are named; of more, only how many. Whoever has that many needs no list but a backup.
const NAMED: usize = 1_000;

/// What to verify.
pub struct Verification {
    /// Where invoices are.
    pub pool: PgPool,
    /// Where documents are.
    pub objects: Arc<dyn ObjectStore>,
    /// Whose; absent: everybody's.
    pub reseller_id: Option<ResellerId>,
    /// Of which month; absent: all. Events and numbers are one chain and one series, and always verified whole.
    pub billing_period: Option<BillingPeriod>,
    /// Whether documents are rendered again and compared, byte by byte.
    pub renders_again: bool,
}

/// What was verified and what was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Resellers that were looked at.
    pub resellers: u64,
    /// Parts of charge files that were summed up.
    pub charge_scopes: u64,
    /// Documents whose bytes were read.
    pub documents: u64,
    /// Of these, how many were rendered again.
    pub rendered_again: u64,
    /// What does not hold.
    pub findings: Vec<Finding>,
    /// How many findings there are beside those named.
    pub more_findings: usize,
}

impl Report {
    /// Returns how many things do not hold.
    pub fn count(&self) -> usize {
        self.findings.len() + self.more_findings
    }
}

impl Verification {
    /// Verifies all that was asked for.
    ///
    /// # Errors
    /// When the database or the object store fails; what does not hold is in the report.
    pub async fn run(&self) -> Result<Report, JobError> {
        let mut findings = Findings::up_to(NAMED);
        let mut report = Report {
            resellers: 0,
            charge_scopes: 0,
            documents: 0,
            rendered_again: 0,
            findings: Vec::new(),
            more_findings: 0,
        };
        let mut resellers = Resellers::of(self.reseller_id);
        while let Some(reseller_id) = resellers.next(&self.pool).await? {
            report.resellers += 1;
            let month = self.month();
            check_history(&mut *self.pool.acquire().await?, reseller_id, month, &mut findings).await?;
            report.charge_scopes += sums::check_sums(&self.pool, reseller_id, month, &mut findings).await?;
            documents::check_documents(self, reseller_id, &mut report, &mut findings).await?;
        }
        report.findings = findings.named().to_vec();
        report.more_findings = findings.more();
        Ok(report)
    }

    fn month(&self) -> Option<NaiveDate> {
        self.billing_period.map(BillingPeriod::start)
    }
}
