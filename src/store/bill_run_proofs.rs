//! What proves a provider's month complete, each asked of the whole month in one statement; and the proofs that were kept.
//!
//! Called once at the start and once at the end of a bill run, and by its dry run. None of the lists of a month is cut
//! short: a missing row would be money lost, and each is bounded by the customers and accounts of one month.

use bigdecimal::BigDecimal;
use sqlx::PgConnection;

use super::{Corrupt, charge_sums::ProviderPeriod};
use crate::domain::{
    bill_run::{Balance, Finding},
    ids::{BillRunId, ChargeScopeId, CustomerId, InvoiceId, JobId, ResellerId},
    invoice_status::InvoiceStatus,
    money::Currency,
};

/// A customer's place in a month: what it is to be billed in a currency, or is billed, or both.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The customer.
    pub customer_id: CustomerId,
    /// Its name.
    pub customer_name: String,
    /// Currency of the invoice.
    pub currency: Currency,
    /// Whether it has charges that belong on such an invoice.
    pub has_charges: bool,
    /// The live invoice, where there is one.
    pub invoice: Option<LiveInvoice>,
}

/// An invoice that is neither void nor discarded.
#[derive(Clone, Debug)]
pub struct LiveInvoice {
    /// Its id.
    pub id: InvoiceId,
    /// Its number, or its document id.
    pub name: String,
    /// Where it stands.
    pub status: InvoiceStatus,
    /// Whether its inputs changed.
    pub stale: bool,
}

/// Returns who has charges or a live invoice in a month, by name of the customer.
///
/// # Errors
/// When the database fails.
pub async fn standings(connection: &mut PgConnection, period: ProviderPeriod<'_>) -> sqlx::Result<Vec<Standing>> {
    let rows = sqlx::query!(
        r#"WITH expected AS (
             SELECT DISTINCT total.customer_id, coalesce(customer.currency, total.billing_currency) AS key_currency
             FROM held_charge_totals total
             JOIN customers customer ON customer.reseller_id = total.reseller_id AND customer.id = total.customer_id
             WHERE total.reseller_id = $1 AND total.provider = $2 AND total.billing_period_start = $3
         ), live AS (
             SELECT customer_id, currency AS key_currency, id, coalesce(number, document_id) AS name, status, stale
             FROM invoices
             WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3
               AND status NOT IN ('void', 'discarded')
         )
         SELECT customer.id AS "customer_id: CustomerId", customer.name AS customer_name, key_currency AS "currency!",
             expected.customer_id IS NOT NULL AS "has_charges!", live.id AS "id?: InvoiceId", live.name AS "name?",
             live.status AS "status?", live.stale AS "stale?"
         FROM expected FULL JOIN live USING (customer_id, key_currency)
         JOIN customers customer ON customer.reseller_id = $1 AND customer.id = customer_id
         ORDER BY customer.name, customer.id, key_currency"#,
        period.reseller_id.0,
        period.provider,
        period.billing_period_start,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let invoice = match (row.id, row.name, row.status, row.stale) {
                (Some(id), Some(name), Some(status), Some(stale)) => {
                    Some(LiveInvoice { id, name, status: status.parse().corrupt("invoices.status")?, stale })
                }
                _ => None,
            };
            Ok(Standing {
                customer_id: row.customer_id,
                customer_name: row.customer_name,
                currency: row.currency.parse().corrupt("currency")?,
                has_charges: row.has_charges,
                invoice,
            })
        })
        .collect()
}

struct BalanceRow {
    charge_scope_id: ChargeScopeId,
    billing_account_id: String,
    file_name: String,
    currency: String,
    file_total: BigDecimal,
    invoiced: BigDecimal,
    excluded_tax: BigDecimal,
    unassigned: BigDecimal,
    waived: BigDecimal,
    not_invoiced: BigDecimal,
}

impl BalanceRow {
    fn into_balance(self) -> sqlx::Result<Balance> {
        Ok(Balance {
            charge_scope_id: self.charge_scope_id,
            billing_account_id: self.billing_account_id,
            file_name: self.file_name,
            currency: self.currency.parse().corrupt("charge_totals.billing_currency")?,
            file_total: self.file_total,
            invoiced: self.invoiced,
            excluded_tax: self.excluded_tax,
            unassigned: self.unassigned,
            waived: self.waived,
            not_invoiced: self.not_invoiced,
        })
    }
}

/// Returns where each active part of a charge file went, by payer and currency.
///
/// # Errors
/// When the database fails.
pub async fn balances(connection: &mut PgConnection, period: ProviderPeriod<'_>) -> sqlx::Result<Vec<Balance>> {
    let rows = sqlx::query_as!(
        BalanceRow,
        r#"WITH total AS (
             SELECT total.charge_scope_id, total.billing_currency AS currency, total.customer_id,
                 total.customer_id IS NULL AND waiver.account_id IS NOT NULL AS is_waived, SUM(total.billed_cost) AS amount
             FROM held_charge_totals total
             LEFT JOIN unassigned_waivers waiver ON waiver.reseller_id = total.reseller_id
                 AND waiver.provider = total.provider AND waiver.billing_period_start = total.billing_period_start
                 AND waiver.account_id = total.sub_account_id
             WHERE total.reseller_id = $1 AND total.provider = $2 AND total.billing_period_start = $3
             GROUP BY 1, 2, 3, 4
         ), invoiced AS (
             SELECT scope.id AS charge_scope_id, source.cost_currency AS currency, invoice.customer_id,
                 SUM(source.cost_exact) AS cost, SUM(source.excluded_tax) AS tax
             FROM charge_scopes scope
             JOIN invoice_sources source ON source.reseller_id = scope.reseller_id AND source.charge_scope_id = scope.id
             JOIN invoices invoice ON invoice.reseller_id = source.reseller_id AND invoice.id = source.invoice_id
             WHERE scope.reseller_id = $1 AND scope.provider = $2 AND scope.billing_period_start = $3
                 AND scope.superseded_by IS NULL AND invoice.status NOT IN ('void', 'discarded')
             GROUP BY 1, 2, 3
         ), side AS (
             SELECT charge_scope_id, currency,
                 coalesce(SUM(total.amount), 0) AS file_total,
                 coalesce(SUM(invoiced.cost), 0) AS invoiced,
                 coalesce(SUM(invoiced.tax), 0) AS excluded_tax,
                 coalesce(SUM(total.amount) FILTER (WHERE total.customer_id IS NULL AND NOT is_waived), 0) AS unassigned,
                 coalesce(SUM(total.amount) FILTER (WHERE total.customer_id IS NULL AND is_waived), 0) AS waived,
                 coalesce(SUM(total.amount) FILTER (
                     WHERE total.customer_id IS NOT NULL AND invoiced.customer_id IS NULL), 0) AS not_invoiced
             FROM total FULL JOIN invoiced USING (charge_scope_id, currency, customer_id)
             GROUP BY charge_scope_id, currency
         )
         SELECT scope.id AS "charge_scope_id: ChargeScopeId", scope.billing_account_id, file.file_name,
             side.currency AS "currency!", side.file_total AS "file_total!", side.invoiced AS "invoiced!",
             side.excluded_tax AS "excluded_tax!", side.unassigned AS "unassigned!", side.waived AS "waived!",
             side.not_invoiced AS "not_invoiced!"
         FROM side
         JOIN charge_scopes scope ON scope.reseller_id = $1 AND scope.id = side.charge_scope_id
         JOIN charge_files file ON file.reseller_id = $1 AND file.id = scope.charge_file_id
         ORDER BY scope.billing_account_id, side.currency"#,
        period.reseller_id.0,
        period.provider,
        period.billing_period_start,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(BalanceRow::into_balance).collect()
}

/// What an issued invoice bills, and what the charges that count now come to.
#[derive(Clone, Debug)]
pub struct LateCharges {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// Its number.
    pub number: String,
    /// The customer.
    pub customer_id: CustomerId,
    /// Its name.
    pub customer_name: String,
    /// Currency of the invoice.
    pub invoice_currency: Currency,
    /// What its total is.
    pub total: BigDecimal,
    /// Currency of both sums.
    pub currency: Currency,
    /// Exact cost that the invoice was made of.
    pub billed: BigDecimal,
    /// Exact cost of the charges that count now.
    pub now: BigDecimal,
}

/// Returns the issued invoices that a later file, or an account that changed hands, would have made otherwise.
///
/// # Errors
/// When the database fails.
pub async fn late_charges(connection: &mut PgConnection, period: ProviderPeriod<'_>) -> sqlx::Result<Vec<LateCharges>> {
    let rows = sqlx::query!(
        r#"WITH issued AS (
             SELECT invoice.id, invoice.number, invoice.customer_id,
                 invoice.currency AS invoice_currency, invoice.total, customer.name, customer.currency IS NOT NULL AS takes_all
             FROM invoices invoice
             JOIN customers customer ON customer.reseller_id = invoice.reseller_id AND customer.id = invoice.customer_id
             WHERE invoice.reseller_id = $1 AND invoice.provider = $2 AND invoice.billing_period_start = $3
                 AND invoice.status IN ('open', 'closed')
         ), billed AS (
             SELECT issued.id, source.cost_currency AS currency, SUM(source.cost_exact) AS amount
             FROM issued JOIN invoice_sources source ON source.reseller_id = $1 AND source.invoice_id = issued.id
             GROUP BY 1, 2
         ), charged AS (
             SELECT customer_id, billing_currency, SUM(billed_cost) AS amount FROM held_charge_totals
             WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 AND charge_category <> 'Tax'
             GROUP BY 1, 2
         ), current AS (
             SELECT issued.id, charged.billing_currency AS currency, charged.amount
             FROM issued JOIN charged ON charged.customer_id = issued.customer_id
                 AND (issued.takes_all OR charged.billing_currency = issued.invoice_currency)
         )
         SELECT issued.id AS "invoice_id: InvoiceId", issued.number AS "number!", issued.customer_id AS "customer_id: CustomerId",
             issued.name AS customer_name, issued.invoice_currency, issued.total, currency AS "currency!",
             coalesce(billed.amount, 0) AS "billed!", coalesce(current.amount, 0) AS "now!"
         FROM billed FULL JOIN current USING (id, currency) JOIN issued USING (id)
         WHERE coalesce(billed.amount, 0) <> coalesce(current.amount, 0)
         ORDER BY issued.name, issued.id, currency"#,
        period.reseller_id.0,
        period.provider,
        period.billing_period_start,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let invoice_currency: Currency = row.invoice_currency.parse().corrupt("invoices.currency")?;
            Ok(LateCharges {
                invoice_id: row.invoice_id,
                number: row.number,
                customer_id: row.customer_id,
                customer_name: row.customer_name,
                total: invoice_currency.round(&row.total),
                invoice_currency,
                currency: row.currency.parse().corrupt("invoice_sources.cost_currency")?,
                billed: row.billed,
                now: row.now,
            })
        })
        .collect()
}

/// A generation that did not come to an invoice.
#[derive(Clone, Debug)]
pub struct FailedGeneration {
    /// For whom.
    pub customer_id: CustomerId,
    /// In which currency.
    pub currency: String,
    /// Why.
    pub reason: String,
}

/// Returns up to 10,000 generations of a batch that are dead or were discarded, each with the reason.
///
/// # Errors
/// When the database fails.
pub async fn failed_generations(connection: &mut PgConnection, batch_id: JobId) -> sqlx::Result<Vec<FailedGeneration>> {
    sqlx::query_as!(
        FailedGeneration,
        r#"SELECT (payload ->> 'customer_id')::uuid AS "customer_id!: CustomerId", payload ->> 'currency' AS "currency!",
               coalesce(last_error, state) AS "reason!"
         FROM jobs WHERE batch_id = $1 AND state IN ('dead', 'discarded') AND kind = 'generate_invoice'
         ORDER BY id LIMIT 10000"#,
        batch_id.0,
    )
    .fetch_all(connection)
    .await
}

/// Returns a provider's months with charges that are not closed, and how many drafts wait in each.
///
/// # Errors
/// When the database fails.
pub async fn provisional_months(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    provider: &str,
) -> sqlx::Result<Vec<(chrono::NaiveDate, i64)>> {
    let rows = sqlx::query!(
        r#"SELECT billing_period_start,
               (SELECT count(*) FROM invoices WHERE invoices.reseller_id = $1 AND invoices.provider = $2
                   AND invoices.billing_period_start = billing_periods.billing_period_start
                   AND invoices.status = 'draft') AS "drafts!"
         FROM billing_periods WHERE reseller_id = $1 AND provider = $2 AND state <> 'closed'
         ORDER BY billing_period_start DESC LIMIT 100"#,
        reseller_id.0,
        provider,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.billing_period_start, row.drafts)).collect())
}

/// Returns where the money of a finished run went.
///
/// # Errors
/// When the database fails.
pub async fn balances_of(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, BillRunId),
) -> sqlx::Result<Vec<Balance>> {
    let rows = sqlx::query_as!(
        BalanceRow,
        r#"SELECT charge_scope_id AS "charge_scope_id: ChargeScopeId", billing_account_id, file_name, currency, file_total,
                  invoiced, excluded_tax, unassigned, waived, not_invoiced
           FROM bill_run_balances WHERE reseller_id = $1 AND bill_run_id = $2
           ORDER BY billing_account_id, currency LIMIT 100000"#,
        reseller_id.0,
        id.0,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(BalanceRow::into_balance).collect()
}

/// Returns what a finished run found missing.
///
/// # Errors
/// When the database fails.
pub async fn findings_of(
    connection: &mut PgConnection,
    (reseller_id, id): (ResellerId, BillRunId),
) -> sqlx::Result<Vec<Finding>> {
    let rows = sqlx::query!(
        r#"SELECT kind, customer_id AS "customer_id: CustomerId", customer_name, invoice, currency, amount, what
           FROM bill_run_findings WHERE reseller_id = $1 AND bill_run_id = $2 ORDER BY position LIMIT 100000"#,
        reseller_id.0,
        id.0,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Finding {
                kind: row.kind.parse().corrupt("bill_run_findings.kind")?,
                customer_id: row.customer_id,
                customer_name: row.customer_name,
                invoice: row.invoice,
                currency: row.currency.parse().corrupt("bill_run_findings.currency")?,
                amount: row.amount,
                what: row.what,
            })
        })
        .collect()
}
