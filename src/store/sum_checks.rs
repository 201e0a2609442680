//! Whether money adds up, from the charges to the total: charges, a charge file's totals, an invoice's sources, its lines,
//! subtotal, taxes and total. Nothing here writes.
//!
//! Called by `billrunner verify`. Each question is one statement over a reseller's invoices, or over one part of a charge
//! file, and returns what differs: memory does not grow with what is checked.

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use sqlx::PgConnection;

use crate::domain::{
    ids::{ChargeScopeId, InvoiceId, ResellerId},
    money::Currency,
};

/// Two amounts of an invoice that should be equal.
#[derive(Clone, Debug)]
pub struct InvoiceDifference {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// Its number, or its document id.
    pub invoice_name: String,
    /// What is compared, such as `subtotal`.
    pub what: String,
    /// What is recorded.
    pub recorded: BigDecimal,
    /// What it is computed to.
    pub computed: BigDecimal,
}

/// Returns up to 20 amounts printed on a reseller's invoices, of one month or all, that do not follow from each other: lines
/// rounded half-up, their sum, tax by tax, the total. A tax's base is the sum of the lines that name it; where no line of
/// the invoice names one, as before lines did, it is the subtotal.
///
/// # Errors
/// When the database fails.
pub async fn find_wrong_amounts(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    billing_period_start: Option<NaiveDate>,
) -> sqlx::Result<Vec<InvoiceDifference>> {
    let (codes, minor_units): (Vec<String>, Vec<i32>) = Currency::all()
        .map(|currency| (currency.code().to_owned(), i32::try_from(currency.minor_units()).unwrap_or_default()))
        .unzip();
    sqlx::query_as!(
        InvoiceDifference,
        r#"WITH invoice AS (
             SELECT id, coalesce(number, document_id) AS name, subtotal, exact_subtotal, tax, total, rounding_delta,
                    minor_units
             FROM invoices AS invoice
             JOIN unnest($3::text[], $4::integer[]) AS unit (currency, minor_units) USING (currency)
             WHERE reseller_id = $1 AND status <> 'discarded' AND ($2::date IS NULL OR billing_period_start = $2)
         ), line AS (
             SELECT invoice_id, SUM(net) AS net, SUM(price_exact) AS price_exact,
                    bool_or(details ? 'taxes') AS names_taxes
             FROM invoice_lines WHERE reseller_id = $1 GROUP BY invoice_id
         ), taxed AS (
             SELECT invoice_id, place::integer + 1 AS position, SUM(net) AS net
             FROM invoice_lines CROSS JOIN LATERAL jsonb_array_elements(details -> 'taxes') AS place
             WHERE reseller_id = $1 GROUP BY 1, 2
         ), tax AS (
             SELECT invoice_id, SUM(amount) AS amount FROM invoice_taxes WHERE reseller_id = $1 GROUP BY invoice_id
         ), compared AS (
             SELECT invoice.id, invoice.name, total.*
             FROM invoice LEFT JOIN line ON line.invoice_id = invoice.id LEFT JOIN tax ON tax.invoice_id = invoice.id
             CROSS JOIN LATERAL (VALUES
                 ('subtotal', subtotal, coalesce(line.net, 0)),
                 ('exact subtotal', exact_subtotal, coalesce(line.price_exact, 0)),
                 ('tax', invoice.tax, coalesce(tax.amount, 0)),
                 ('total', total, subtotal + invoice.tax),
                 ('rounding delta', rounding_delta, subtotal - exact_subtotal)) AS total (what, recorded, computed)
             UNION ALL
             SELECT invoice.id, invoice.name, 'line ' || position, net, round(price_exact, invoice.minor_units)
             FROM invoice JOIN invoice_lines ON reseller_id = $1 AND invoice_id = invoice.id
             UNION ALL
             SELECT invoice.id, invoice.name, amount.*
             FROM invoice JOIN invoice_taxes AS tax ON tax.reseller_id = $1 AND tax.invoice_id = invoice.id
             LEFT JOIN line ON line.invoice_id = invoice.id
             LEFT JOIN taxed ON taxed.invoice_id = invoice.id AND taxed.position = tax.position
             CROSS JOIN LATERAL (VALUES
                 ('tax ' || tax.name, tax.amount, round(tax.base * tax.rate, invoice.minor_units)),
                 ('base of tax ' || tax.name, tax.base,
                  CASE WHEN line.names_taxes THEN coalesce(taxed.net, 0) ELSE invoice.subtotal END)) AS amount (what, recorded, computed)
         )
         SELECT id AS "invoice_id!: InvoiceId", name AS "invoice_name!", what AS "what!", recorded AS "recorded!",
                computed AS "computed!"
         FROM compared WHERE recorded <> computed ORDER BY id, what LIMIT 20"#,
        reseller_id.0,
        billing_period_start,
        &codes,
        &minor_units,
    )
    .fetch_all(connection)
    .await
}

/// Returns up to 20 places where the lines of a reseller's invoices, of one month or all, do not come from their sources:
/// exact cost and excluded tax in each currency, and how many charges.
///
/// # Errors
/// When the database fails.
pub async fn find_wrong_sources(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    billing_period_start: Option<NaiveDate>,
) -> sqlx::Result<Vec<InvoiceDifference>> {
    sqlx::query_as!(
        InvoiceDifference,
        r#"WITH invoice AS (
             SELECT id, coalesce(number, document_id) AS name, excluded_tax, charge_count FROM invoices
             WHERE reseller_id = $1 AND status <> 'discarded' AND ($2::date IS NULL OR billing_period_start = $2)
         ), line AS (
             SELECT invoice_id, cost_currency AS currency, SUM(cost_exact) AS cost
             FROM invoice_lines WHERE reseller_id = $1 GROUP BY 1, 2
         ), source AS (
             SELECT invoice_id, cost_currency AS currency, SUM(cost_exact) AS cost, SUM(excluded_tax) AS tax,
                    SUM(charge_count) AS charge_count
             FROM invoice_sources WHERE reseller_id = $1 GROUP BY 1, 2
         ), excluded AS (
             SELECT invoice.id AS invoice_id, key AS currency, value::numeric AS tax
             FROM invoice CROSS JOIN LATERAL jsonb_each_text(excluded_tax)
         ), compared AS (
             SELECT invoice_id, 'cost of the lines in ' || currency AS what, coalesce(line.cost, 0) AS recorded,
                    coalesce(source.cost, 0) AS computed
             FROM line FULL JOIN source USING (invoice_id, currency)
             UNION ALL
             SELECT invoice_id, 'excluded tax in ' || currency, coalesce(excluded.tax, 0), coalesce(source.tax, 0)
             FROM excluded FULL JOIN source USING (invoice_id, currency)
             UNION ALL
             SELECT invoice.id, 'number of charges', invoice.charge_count,
                    coalesce((SELECT SUM(charge_count) FROM source WHERE invoice_id = invoice.id), 0)
             FROM invoice
         )
         SELECT invoice.id AS "invoice_id: InvoiceId", name AS "invoice_name!", what AS "what!", recorded AS "recorded!",
                computed AS "computed!"
         FROM compared JOIN invoice ON invoice.id = compared.invoice_id
         WHERE recorded <> computed ORDER BY invoice.id, what LIMIT 20"#,
        reseller_id.0,
        billing_period_start,
    )
    .fetch_all(connection)
    .await
}

/// A part of a charge file whose totals can be compared with its charges.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Its id.
    pub id: ChargeScopeId,
    /// Provider id.
    pub provider: String,
    /// The payer at the provider.
    pub billing_account_id: String,
    /// First day of its month.
    pub billing_period_start: NaiveDate,
    /// Name of the charge file.
    pub file_name: String,
}

/// Returns up to 1,000 parts of a reseller's charge files after one, of one month or all, by id.
///
/// # Errors
/// When the database fails.
pub async fn scopes_after(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    billing_period_start: Option<NaiveDate>,
    after: Option<ChargeScopeId>,
) -> sqlx::Result<Vec<Scope>> {
    sqlx::query_as!(
        Scope,
        r#"SELECT scope.id AS "id: ChargeScopeId", scope.provider, billing_account_id, billing_period_start, file_name
         FROM charge_scopes AS scope
         JOIN charge_files AS file ON file.reseller_id = scope.reseller_id AND file.id = scope.charge_file_id
         WHERE scope.reseller_id = $1 AND ($2::date IS NULL OR billing_period_start = $2)
           AND ($3::uuid IS NULL OR scope.id > $3)
         ORDER BY scope.id LIMIT 1000"#,
        reseller_id.0,
        billing_period_start,
        after.map(|id| id.0),
    )
    .fetch_all(connection)
    .await
}

/// A total of a charge file that is not the sum of its charges.
#[derive(Clone, Debug)]
pub struct TotalDifference {
    /// The provider account; empty for the number of charges of the whole part.
    pub account_id: String,
    /// FOCUS `ChargeCategory`.
    pub charge_category: String,
    /// Currency of the amounts.
    pub currency: String,
    /// What the total says.
    pub recorded: BigDecimal,
    /// What the charges sum up to.
    pub computed: BigDecimal,
    /// Charges as the total says.
    pub recorded_count: i64,
    /// Charges that there are.
    pub computed_count: i64,
}

/// Returns up to 20 totals of a part of a charge file that are not the sums of its charges.
///
/// # Errors
/// When the database fails.
pub async fn find_wrong_totals(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    scope: &Scope,
) -> sqlx::Result<Vec<TotalDifference>> {
    sqlx::query_as!(
        TotalDifference,
        r#"WITH charge AS (
             SELECT billing_currency AS currency, sub_account_id, charge_category, SUM(billed_cost) AS cost,
                    count(*) AS charge_count
             FROM charges WHERE reseller_id = $1 AND charge_scope_id = $2 AND billing_period_start = $3 GROUP BY 1, 2, 3
         ), total AS (
             SELECT billing_currency AS currency, sub_account_id, charge_category, billed_cost AS cost, charge_count
             FROM charge_totals WHERE reseller_id = $1 AND charge_scope_id = $2
         ), compared AS (
             SELECT sub_account_id, charge_category, currency, coalesce(total.cost, 0) AS recorded,
                    coalesce(charge.cost, 0) AS computed, coalesce(total.charge_count, 0) AS recorded_count,
                    coalesce(charge.charge_count, 0) AS computed_count
             FROM total FULL JOIN charge USING (currency, sub_account_id, charge_category)
             UNION ALL
             SELECT '', '', '', 0, 0, scope.charge_count, (SELECT coalesce(SUM(charge_count), 0)::bigint FROM charge)
             FROM charge_scopes AS scope WHERE reseller_id = $1 AND id = $2
         )
         SELECT sub_account_id AS "account_id!", charge_category AS "charge_category!", currency AS "currency!",
                recorded AS "recorded!", computed AS "computed!", recorded_count AS "recorded_count!",
                computed_count AS "computed_count!"
         FROM compared WHERE (recorded, recorded_count) <> (computed, computed_count)
         ORDER BY sub_account_id, charge_category, currency LIMIT 20"#,
        reseller_id.0,
        scope.id.0,
        scope.billing_period_start,
    )
    .fetch_all(connection)
    .await
}
