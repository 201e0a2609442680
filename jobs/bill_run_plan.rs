//! What a bill run sets out to do: decided the same way by the run itself and by its dry run, which changes nothing.
//!
//! A dry run prices every invoice that would be generated, in a transaction that Postgres keeps from writing, and says of
//! each customer what would happen, and why where nothing would.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use super::{InitialStatus, StartBillRun, generate_invoice::compute};
use crate::{
    domain::{
        billing_period::BillingPeriod,
        ids::{CustomerId, ResellerId},
        invoice_status::InvoiceStatus,
        money::Currency,
    },
    queue::JobError,
    store::{
        bill_run_proofs::{self, Standing},
        bill_runs::{self, BillRunFilter},
        invoice_status,
        invoices::InvoiceKey,
        waivers::{UnassignedAccount, UnassignedFilter, unassigned_accounts},
    },
};

/// What a run does about one customer and currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A draft is generated.
    NewDraft,
    /// A draft is discarded and generated anew.
    Replace,
    /// The invoice that is there is left alone.
    Existing,
    /// So is a draft whose inputs changed: only `replace` makes it anew.
    Stale,
    /// Nothing is generated, for a reason.
    Refused,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NewDraft => "new draft",
            Self::Replace => "replace",
            Self::Existing => "existing",
            Self::Stale => "stale",
            Self::Refused => "refused",
        })
    }
}

/// Decides what to do about a customer with charges; `None` where it has none. A later round of a run goes on with what is
/// missing, and does not replace once more what an earlier round made.
pub(super) fn decide(standing: &Standing, replaces: bool, is_first_round: bool) -> Option<Action> {
    if !standing.has_charges {
        return None;
    }
    let Some(invoice) = &standing.invoice else { return Some(Action::NewDraft) };
    Some(match (invoice.status, invoice.stale) {
        (InvoiceStatus::Draft, stale) if replaces && (stale || is_first_round) => Action::Replace,
        (InvoiceStatus::Draft, true) => Action::Stale,
        _ => Action::Existing,
    })
}

/// What a run would do.
#[derive(Debug, Serialize)]
pub struct BillRunPlan {
    /// For whom.
    pub reseller_id: ResellerId,
    /// For which provider.
    pub provider: String,
    /// For which month.
    pub billing_period: BillingPeriod,
    /// Why the run as a whole would be refused.
    pub refused: Option<String>,
    /// By name of the customer.
    pub invoices: Vec<PlannedInvoice>,
    /// Accounts with charges that belong to no customer.
    pub unassigned: Vec<UnassignedAccount>,
    /// Months of the provider that are not closed.
    pub provisional_months: Vec<ProvisionalMonth>,
}

/// What a run would do about one customer and currency.
#[derive(Debug, Serialize)]
pub struct PlannedInvoice {
    /// The customer.
    pub customer_id: CustomerId,
    /// Its name.
    pub customer_name: String,
    /// Currency of the invoice.
    pub currency: Currency,
    /// What would happen.
    pub action: Action,
    /// The invoice that is there: its number, or its document id.
    pub invoice: Option<String>,
    /// Where it stands.
    pub status: Option<InvoiceStatus>,
    /// What the generated invoice would come to.
    pub total: Option<String>,
    /// Why nothing would be generated.
    pub reason: Option<String>,
}

impl PlannedInvoice {
    fn refused(self, reason: String) -> Self {
        Self { action: Action::Refused, reason: Some(reason), ..self }
    }
}

/// A month that is not closed.
#[derive(Debug, Serialize)]
pub struct ProvisionalMonth {
    /// Its first day.
    pub billing_period_start: NaiveDate,
    /// Drafts that wait in it.
    pub drafts: i64,
}

impl BillRunPlan {
    /// Says in a few lines what would happen.
    pub fn summary(&self) -> String {
        let count = |action: Action| self.invoices.iter().filter(|planned| planned.action == action).count();
        let mut text = format!(
            "dry run of {} {}: {} new drafts, {} replaced, {} existing, {} stale, {} refused, {} accounts unassigned",
            self.provider,
            self.billing_period,
            count(Action::NewDraft),
            count(Action::Replace),
            count(Action::Existing),
            count(Action::Stale),
            count(Action::Refused),
            self.unassigned.iter().filter(|account| account.blocks).count(),
        );
        let whole = self.refused.iter().cloned();
        let each = self.invoices.iter().filter_map(|planned| {
            planned.reason.as_ref().map(|reason| format!("{} {}: {reason}", planned.customer_name, planned.currency))
        });
        for reason in whole.chain(each).take(20) {
            text.push_str("\n  ");
            text.push_str(&reason);
        }
        text
    }
}

impl StartBillRun {
    /// Finds out what the run would do if it were started now. Writes nothing; the caller's transaction may be read only.
    ///
    /// # Errors
    /// When the provider is unknown, or the database fails.
    pub async fn plan(&self, connection: &mut PgConnection, now: DateTime<Utc>) -> Result<BillRunPlan, JobError> {
        self.profile()?;
        let name = BillRunFilter {
            reseller_id: Some(self.reseller_id),
            provider: Some(&self.provider),
            billing_period_start: Some(self.billing_period.start()),
            name: Some(&self.run_id),
            ..BillRunFilter::default()
        };
        let is_first_round = bill_runs::list(connection, &name, 1).await?.is_empty();
        let unassigned = unassigned_accounts(connection, UnassignedFilter::of_month(self.period())).await?;
        let cannot_open = self.why_not_opened(connection, &unassigned).await?;
        let mut invoices = Vec::new();
        for standing in bill_run_proofs::standings(connection, self.period()).await? {
            let Some(action) = decide(&standing, self.replace, is_first_round) else { continue };
            invoices.push(self.plan_invoice(connection, standing, action, cannot_open.as_deref()).await?);
        }
        let months = bill_run_proofs::provisional_months(connection, self.reseller_id, &self.provider).await?;
        let month = |(billing_period_start, drafts)| ProvisionalMonth { billing_period_start, drafts };
        Ok(BillRunPlan {
            reseller_id: self.reseller_id,
            provider: self.provider.clone(),
            billing_period: self.billing_period,
            refused: self.check_end(now).err().map(|error| error.to_string()),
            invoices,
            unassigned,
            provisional_months: months.into_iter().map(month).collect(),
        })
    }

    /// Says why no invoice of the run could be opened with its generation, where it is to be.
    async fn why_not_opened(
        &self,
        connection: &mut PgConnection,
        unassigned: &[UnassignedAccount],
    ) -> Result<Option<String>, JobError> {
        if self.status == InitialStatus::Draft {
            return Ok(None);
        }
        let period = self.billing_period;
        let facts = invoice_status::opening_facts(connection, self.reseller_id, &self.provider, period).await?;
        if self.provisional && !facts.is_period_closed {
            return Ok(Some("a provisional draft is not opened; ask for drafts".to_owned()));
        }
        let open = unassigned.iter().filter(|account| account.blocks);
        let accounts: Vec<&str> = open.map(|account| account.account_id.as_str()).take(20).collect();
        let why =
            || format!("these accounts have charges and no customer: {}; assign or waive them", accounts.join(", "));
        Ok((!accounts.is_empty()).then(why))
    }

    async fn plan_invoice(
        &self,
        connection: &mut PgConnection,
        standing: Standing,
        action: Action,
        cannot_open: Option<&str>,
    ) -> Result<PlannedInvoice, JobError> {
        let Standing { customer_id, customer_name, currency, invoice, .. } = standing;
        let status = invoice.as_ref().map(|invoice| invoice.status);
        let invoice = invoice.map(|invoice| invoice.name);
        let planned =
            PlannedInvoice { customer_id, customer_name, currency, action, invoice, status, total: None, reason: None };
        if !matches!(action, Action::NewDraft | Action::Replace) {
            return Ok(planned);
        }
        let key = InvoiceKey {
            reseller_id: self.reseller_id,
            customer_id,
            provider: self.provider.clone(),
            billing_period: self.billing_period,
            currency,
        };
        match (compute(connection, &key).await, cannot_open) {
            (Ok(_), Some(reason)) => Ok(planned.refused(reason.to_owned())),
            (Ok(computed), None) => {
                Ok(PlannedInvoice { total: Some(computed.priced.total.to_plain_string()), ..planned })
            }
            (Err(JobError::Permanent(reason)), _) => Ok(planned.refused(reason.to_string())),
            (Err(other), _) => Err(other),
        }
    }
}
