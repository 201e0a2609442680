//! Money: from the charges to the totals of their files, to sources and lines, to what the invoice says.

use chrono::NaiveDate;
use sqlx::{PgConnection, PgPool};

use super::findings::{Check, Finding, Findings};
use crate::{
    domain::ids::ResellerId,
    store::{
        charge_sums::ProviderPeriod,
        checks::{self, ChargedPeriod},
        reconciliation::{ReconcileError, reconcile},
        sum_checks::{self, InvoiceDifference, Scope, TotalDifference},
    },
};

const MEND_INVOICE: &str = "discard the draft, or correct the invoice (`billrunner enqueue correct_invoice`), so that it is \
                            computed anew; and find out who wrote to the database as its owner";
const MEND_PERIOD: &str = "generate the month's drafts anew with `replace`, and correct what was issued (`billrunner \
                           enqueue correct_invoice`)";
const MEND_CHARGES: &str = "restore charges and totals from a backup; the file itself is in the object store under \
                            `charge-files/` and its sha256";
/// Before every month that a provider bills: a check of all months begins here.
const BEGINNING: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a day");

/// Checks a reseller's sums, of one month or all, and returns how many parts of charge files were summed up.
pub async fn check_sums(
    pool: &PgPool,
    reseller_id: ResellerId,
    month: Option<NaiveDate>,
    findings: &mut Findings,
) -> sqlx::Result<u64> {
    let mut connection = pool.acquire().await?;
    let wrong_amounts = sum_checks::find_wrong_amounts(&mut connection, reseller_id, month).await?;
    let wrong_sources = sum_checks::find_wrong_sources(&mut connection, reseller_id, month).await?;
    for found in wrong_amounts.iter().chain(&wrong_sources) {
        findings.add(of_invoice(reseller_id, found));
    }
    for period in checks::charged_periods(&mut connection, reseller_id, month.unwrap_or(BEGINNING)).await? {
        if month.is_none_or(|month| month == period.billing_period_start) {
            check_period(&mut connection, reseller_id, &period, findings).await?;
        }
    }
    check_totals(&mut connection, reseller_id, month, findings).await
}

/// Checks that a month's invoices, what is still to invoice and what nobody owns make up its charge files.
pub async fn check_period(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    period: &ChargedPeriod,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    let ChargedPeriod { provider, billing_period_start } = period;
    let wanted = ProviderPeriod { reseller_id, provider, billing_period_start: *billing_period_start };
    match reconcile(connection, wanted).await {
        Ok(()) => Ok(()),
        Err(ReconcileError::Differences(differences)) => {
            let place = format!("{provider} {}", billing_period_start.format("%Y-%m"));
            for difference in differences {
                let (place, what) = (Some(place.clone()), difference.to_string());
                findings.add(Finding { check: Check::Sums, reseller_id, place, what, way_out: MEND_PERIOD });
            }
            Ok(())
        }
        Err(ReconcileError::Database(error)) => Err(error),
    }
}

async fn check_totals(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    month: Option<NaiveDate>,
    findings: &mut Findings,
) -> sqlx::Result<u64> {
    let (mut checked, mut last) = (0, None);
    loop {
        let page = sum_checks::scopes_after(connection, reseller_id, month, last).await?;
        let Some(end) = page.last() else { return Ok(checked) };
        last = Some(end.id);
        for scope in page {
            checked += 1;
            for found in sum_checks::find_wrong_totals(connection, reseller_id, &scope).await? {
                findings.add(of_scope(reseller_id, &scope, &found));
            }
        }
    }
}

fn of_invoice(reseller_id: ResellerId, found: &InvoiceDifference) -> Finding {
    let InvoiceDifference { invoice_id, invoice_name, what, recorded, computed } = found;
    Finding {
        check: Check::Sums,
        reseller_id,
        place: Some(format!("{invoice_name} ({invoice_id})")),
        what: format!(
            "{what} is {}, but it comes to {}",
            recorded.normalized().to_plain_string(),
            computed.normalized().to_plain_string()
        ),
        way_out: MEND_INVOICE,
    }
}

fn of_scope(reseller_id: ResellerId, scope: &Scope, found: &TotalDifference) -> Finding {
    let TotalDifference { account_id, charge_category, currency, recorded_count, computed_count, .. } = found;
    let file = format!("charge file `{}`, billing account `{}`", scope.file_name, scope.billing_account_id);
    let what = if account_id.is_empty() {
        format!("{file}: {recorded_count} charges were imported, but there are {computed_count}")
    } else {
        let (recorded, computed) = (found.recorded.normalized(), found.computed.normalized());
        format!(
            "{file}: account `{account_id}` has {charge_category} of {} {currency} in {recorded_count} charges, but its \
             charges come to {} in {computed_count}",
            recorded.to_plain_string(),
            computed.to_plain_string(),
        )
    };
    let place = Some(format!("{} {}", scope.provider, scope.billing_period_start.format("%Y-%m")));
    Finding { check: Check::Sums, reseller_id, place, what, way_out: MEND_CHARGES }
}
