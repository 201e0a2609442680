//! A provider's month made of rows: payers, accounts, taxes, credits and corrections, as a test writes them down.

use std::io::Write;

use anyhow::{Context, Result};
use billrunner::{
    domain::bill_run::{Balance, Finding},
    jobs::StartBillRun,
    store::{
        bill_run_proofs::{balances_of, findings_of},
        bill_runs::{self, BillRun, BillRunFilter},
        jobs, queue_controls,
    },
};

use super::{business::PROVIDER, desk::Desk, flow::OPERATOR, import::import, worker::until_jobs};

const HEADER: &str = "BillingAccountId,SubAccountId,BilledCost,BillingCurrency,ChargeCategory,ChargeClass,ChargePeriodStart,\
    ChargePeriodEnd,BillingPeriodStart,BillingPeriodEnd,ServiceName,ChargeDescription";

/// Writes a file of August. A row is payer, account, cost, currency, category and, for a correction, the day it is of.
pub fn month_file(rows: &[&str], salt: &str) -> Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    writeln!(file, "{HEADER}")?;
    for row in rows {
        let fields: Vec<&str> = row.split(' ').collect();
        let [payer, account, cost, currency, category, correction @ ..] = fields.as_slice() else {
            anyhow::bail!("not a row: {row}")
        };
        let class = if correction.is_empty() { "" } else { "Correction" };
        let day = correction.first().unwrap_or(&"2026-08-05");
        writeln!(
            file,
            "{payer},{account},{cost},{currency},{category},{class},{day}T00:00:00Z,{day}T01:00:00Z,2026-08-01,2026-09-01,\
             Compute,{salt}"
        )?;
    }
    file.flush()?;
    Ok(file)
}

impl Desk {
    /// Imports a file of August.
    pub async fn import_month(&self, rows: &[&str], salt: &str) -> Result<()> {
        let file = month_file(rows, &format!("{salt} of {}", self.business.reseller_id))?;
        import(&self.office.pool, self.business.reseller_id, PROVIDER, file.path()).await.map(drop)
    }

    /// Starts a run, waits for its end and returns how it ended.
    pub async fn bill(&self, run: &StartBillRun) -> Result<Ended> {
        self.office.done(run).await?;
        self.end_of(run).await
    }

    /// Waits for the end of a run's last round.
    pub async fn end_of(&self, run: &StartBillRun) -> Result<Ended> {
        until_jobs(&self.office.pool, "the end of the bill run", || async {
            Ok(self.run_of(run).await?.finished_at.map(drop))
        })
        .await?;
        let run = self.run_of(run).await?;
        let mut connection = self.office.pool.acquire().await?;
        let key = (run.reseller_id, run.id);
        let balances = balances_of(&mut connection, key).await?;
        let findings = findings_of(&mut connection, key).await?;
        Ok(Ended { run, balances, findings })
    }

    pub async fn run_of(&self, run: &StartBillRun) -> Result<BillRun> {
        let filter = BillRunFilter { name: Some(&run.run_id), ..BillRunFilter::default() };
        let found = bill_runs::list(&mut *self.office.pool.acquire().await?, &filter, 10).await?;
        found.into_iter().next().context("a bill run")
    }

    /// Holds up all generations.
    pub async fn pause(&self, lane: &str) -> Result<()> {
        let mut transaction = self.office.pool.begin().await?;
        queue_controls::pause(&mut transaction, lane, OPERATOR, None).await?;
        Ok(transaction.commit().await?)
    }

    pub async fn resume(&self, lane: &str) -> Result<()> {
        let mut transaction = self.office.pool.begin().await?;
        queue_controls::resume(&mut transaction, lane, OPERATOR).await?;
        jobs::notify_dispatchers(&mut transaction).await?;
        Ok(transaction.commit().await?)
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub run: BillRun,
    pub balances: Vec<Balance>,
    pub findings: Vec<Finding>,
}

impl Ended {
    pub fn state(&self) -> &'static str {
        self.run.state.as_str()
    }

    /// Returns kind, amount and words of the only finding.
    pub fn only_finding(&self) -> (&'static str, Option<String>, &str) {
        let [finding] = self.findings.as_slice() else { panic!("{:#?}", self.findings) };
        let amount = finding.amount.as_ref().map(billrunner::domain::bill_run::plain_text);
        (finding.kind.as_str(), amount, &finding.what)
    }

    /// Returns each balance in one line: sides, total, currency.
    pub fn shown(&self) -> Vec<String> {
        let text = billrunner::domain::bill_run::plain_text;
        let line = |balance: &Balance| {
            let Balance { invoiced, excluded_tax, unassigned, waived, not_invoiced, file_total, currency, .. } =
                balance;
            let sides = [invoiced, excluded_tax, unassigned, waived, not_invoiced].map(text).join(" + ");
            format!("{}: {sides} = {} {currency}", balance.billing_account_id, text(file_total))
        };
        self.balances.iter().map(line).collect()
    }
}
