//! What proves a month complete at the end of its bill run, and what is missing where it is not.
//!
//! Called by `finish_bill_run` while the month's inputs are held, so that a file which came in during the run is either
//! seen whole or not there yet. It only reads.

use std::collections::HashMap;

use bigdecimal::Zero;
use sqlx::PgConnection;

use super::generate_invoice::compute;
use crate::{
    domain::{
        bill_run::{Balance, Finding, FindingKind, plain_text},
        billing_period::BillingPeriod,
        ids::{CustomerId, JobId},
        invoice_status::InvoiceStatus,
    },
    queue::JobError,
    store::{
        bill_run_proofs::{self, LateCharges, Standing},
        charge_sums::ProviderPeriod,
        invoices::InvoiceKey,
        waivers::{UnassignedAccount, UnassignedFilter, unassigned_accounts},
    },
};

/// What was found.
pub(super) struct Proof {
    pub balances: Vec<Balance>,
    pub findings: Vec<Finding>,
}

/// Looks at the whole month, once. `batch_id` names the generations whose failures are the reason where one is missing.
pub(super) async fn examine(
    connection: &mut PgConnection,
    period: ProviderPeriod<'_>,
    billing_period: BillingPeriod,
    batch_id: JobId,
) -> Result<Proof, JobError> {
    let standings = bill_run_proofs::standings(connection, period).await?;
    let failed = bill_run_proofs::failed_generations(connection, batch_id).await?;
    let reasons: HashMap<(CustomerId, String), String> =
        failed.into_iter().map(|failed| ((failed.customer_id, failed.currency), failed.reason)).collect();
    let mut findings: Vec<Finding> =
        standings.iter().filter_map(|standing| find_in_standing(standing, &reasons)).collect();
    let blocking = UnassignedFilter { only_blocking: true, ..UnassignedFilter::of_month(period) };
    findings.extend(unassigned_accounts(connection, blocking).await?.into_iter().map(unassigned));
    let surplus: Vec<CustomerId> =
        standings.iter().filter(|standing| !standing.has_charges).map(|standing| standing.customer_id).collect();
    for late in bill_run_proofs::late_charges(connection, period).await? {
        // Whose charges are gone altogether is not corrected, it is voided: that is said already.
        if !surplus.contains(&late.customer_id) {
            findings.push(find_late(connection, (period, billing_period), late).await?);
        }
    }
    let balances = bill_run_proofs::balances(connection, period).await?;
    findings.extend(balances.iter().filter(|balance| !balance.difference().is_zero()).map(difference));
    findings.sort_by_key(|finding| finding.kind);
    Ok(Proof { balances, findings })
}

fn find_in_standing(standing: &Standing, reasons: &HashMap<(CustomerId, String), String>) -> Option<Finding> {
    let Standing { customer_id, customer_name, currency, has_charges, invoice } = standing;
    let (kind, what) = match (has_charges, invoice) {
        (true, None) => {
            let reason = reasons.get(&(*customer_id, currency.to_string())).map_or_else(
                || "they came in, or were assigned to it, after the run had started".to_owned(),
                |reason| format!("its generation failed: {reason}"),
            );
            (
                FindingKind::MissingInvoice,
                format!("`{customer_name}` has charges and no invoice in {currency}: {reason}"),
            )
        }
        (true, Some(invoice)) if invoice.stale && invoice.status == InvoiceStatus::Draft => {
            (FindingKind::StaleDraft, format!("{} of `{customer_name}`: its inputs changed since", invoice.name))
        }
        (false, Some(invoice)) => (
            FindingKind::SurplusInvoice,
            format!("{} of `{customer_name}` is {}, and no charges belong on it", invoice.name, invoice.status),
        ),
        (true, Some(_)) | (false, None) => return None,
    };
    Some(Finding {
        kind,
        customer_id: Some(*customer_id),
        customer_name: Some(customer_name.clone()),
        invoice: invoice.as_ref().map(|invoice| invoice.name.clone()),
        currency: *currency,
        amount: None,
        what,
    })
}

fn unassigned(account: UnassignedAccount) -> Finding {
    let UnassignedAccount { account_id, currency, cost_exact, .. } = account;
    let amount = plain_text(&cost_exact);
    Finding {
        kind: FindingKind::UnassignedAccount,
        customer_id: None,
        customer_name: None,
        invoice: None,
        currency,
        what: format!("account `{account_id}` has charges of {amount} {currency} and no customer"),
        amount: Some(cost_exact),
    }
}

/// Says what an issued invoice, which nothing touches, would come to if it were corrected today.
async fn find_late(
    connection: &mut PgConnection,
    (period, billing_period): (ProviderPeriod<'_>, BillingPeriod),
    late: LateCharges,
) -> Result<Finding, JobError> {
    let key = InvoiceKey {
        reseller_id: period.reseller_id,
        customer_id: late.customer_id,
        provider: period.provider.to_owned(),
        billing_period,
        currency: late.invoice_currency,
    };
    let corrected = match compute(connection, &key).await {
        Ok(computed) => {
            let (was, now) = (late.total.to_plain_string(), computed.priced.total.to_plain_string());
            format!("a correction would come to {now} {} instead of {was}", late.invoice_currency)
        }
        Err(JobError::Permanent(why)) => format!("a correction would be refused: {why}"),
        Err(other) => return Err(other),
    };
    let amount = &late.now - &late.billed;
    let what = format!(
        "{} of `{}` bills a cost of {} {currency}, the charges that count now cost {}: {} {currency} of difference; {corrected}",
        late.number,
        late.customer_name,
        plain_text(&late.billed),
        plain_text(&late.now),
        plain_text(&amount),
        currency = late.currency,
    );
    Ok(Finding {
        kind: FindingKind::LateFile,
        customer_id: Some(late.customer_id),
        customer_name: Some(late.customer_name),
        invoice: Some(late.number),
        currency: late.currency,
        amount: Some(amount),
        what,
    })
}

fn difference(balance: &Balance) -> Finding {
    let amount = balance.difference();
    let what = format!(
        "file `{}`, billing account `{}`: {} {} are accounted for beyond its total of {}",
        balance.file_name,
        balance.billing_account_id,
        plain_text(&amount),
        balance.currency,
        plain_text(&balance.file_total),
    );
    Finding {
        kind: FindingKind::Difference,
        customer_id: None,
        customer_name: None,
        invoice: None,
        currency: balance.currency,
        amount: Some(amount),
        what,
    }
}
