//! Which drafts no longer say what their inputs say.
//!
//! Called by whatever changes an input: the directory compares what each draft is made of before and after, an import looks
//! for the holders of its charges. A draft is marked when its own inputs changed, whatever else did; it is never unmarked,
//! only generated anew.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::ids::{InvoiceId, ResellerId};

/// A hash of what a draft is made of, by draft; stale ones are left out.
pub type InputHashes = BTreeMap<InvoiceId, String>;

/// Hashes what each of a reseller's drafts would be made of now: what is printed of the parties, and the charges.
/// `price_book` compares prices, taxes and rates.
///
/// Not cut short: a draft that is not looked at would be opened although it is wrong.
///
/// # Errors
/// When the database fails.
pub async fn input_hashes(connection: &mut PgConnection, reseller_id: ResellerId) -> sqlx::Result<InputHashes> {
    let rows = sqlx::query!(
        r#"WITH draft AS (
             SELECT id, customer_id, provider, billing_period_start, billing_period_end, currency FROM invoices
             WHERE reseller_id = $1 AND status = 'draft' AND NOT stale
         ), held AS (
             SELECT customer_id, provider, billing_period_start, billing_currency,
                 md5(string_agg(jsonb_build_array(charge_scope_id, sub_account_id, charge_category, day, charge_count,
                     billed_cost)::text, chr(10) ORDER BY charge_scope_id, sub_account_id, charge_category, day)) AS charges
             FROM held_charge_totals
             WHERE reseller_id = $1 AND customer_id IS NOT NULL
                 AND (provider, billing_period_start) IN (SELECT provider, billing_period_start FROM draft)
             GROUP BY 1, 2, 3, 4
         ), charged AS (
             SELECT draft.id, jsonb_agg(jsonb_build_array(billing_currency, charges) ORDER BY billing_currency) AS charges
             FROM draft
             JOIN customers customer ON customer.reseller_id = $1 AND customer.id = draft.customer_id
             JOIN held USING (customer_id, provider, billing_period_start)
             WHERE customer.currency IS NOT NULL OR billing_currency = draft.currency
             GROUP BY draft.id
         )
         SELECT draft.id AS "id: InvoiceId", md5(jsonb_build_array(
             reseller.name, reseller.tax_id, reseller.address, reseller.country, reseller.branding,
             customer.name, customer.language, customer.currency, customer.tax_id, customer.address, customer.country,
             customer.time_zone, customer.purchase_order, printed_fields($1, customer.id),
             charged.charges
         )::text) AS "hash!"
         FROM draft
         JOIN resellers reseller ON reseller.id = $1
         JOIN customers customer ON customer.reseller_id = $1 AND customer.id = draft.customer_id
         LEFT JOIN charged ON charged.id = draft.id"#,
        reseller_id.0,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.hash)).collect())
}

/// Marks the drafts that would be made of something else than before, and returns how many.
///
/// # Errors
/// When the database fails.
pub async fn mark_changed(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    before: &InputHashes,
) -> sqlx::Result<u64> {
    let now = input_hashes(connection, reseller_id).await?;
    let changed: Vec<Uuid> = before.iter().filter(|(id, hash)| now.get(id) != Some(hash)).map(|(id, _)| id.0).collect();
    let marked = sqlx::query!(
        "UPDATE invoices SET stale = true
         WHERE reseller_id = $1 AND id = ANY ($2) AND status = 'draft' AND NOT stale",
        reseller_id.0,
        &changed,
    )
    .execute(connection)
    .await?;
    Ok(marked.rows_affected())
}

/// Marks the drafts that new scopes of charges add to or take from, and returns how many: those made of what the scopes
/// supersede, and those of customers who hold an account in them.
///
/// # Errors
/// When the database fails.
pub async fn mark_charged(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    provider: &str,
    new_scope_ids: &[Uuid],
) -> sqlx::Result<u64> {
    let marked = sqlx::query!(
        "WITH touched AS (
             SELECT source.invoice_id AS id
             FROM charge_scopes scope
             JOIN invoice_sources source ON source.reseller_id = scope.reseller_id AND source.charge_scope_id = scope.id
             WHERE scope.reseller_id = $1 AND scope.provider = $2 AND scope.superseded_by = ANY ($3)
             UNION
             SELECT invoice.id
             FROM held_charge_totals held
             JOIN customers customer ON customer.reseller_id = held.reseller_id AND customer.id = held.customer_id
             JOIN invoices invoice ON invoice.reseller_id = held.reseller_id AND invoice.customer_id = held.customer_id
                 AND invoice.provider = held.provider AND invoice.billing_period_start = held.billing_period_start
                 AND (customer.currency IS NOT NULL OR invoice.currency = held.billing_currency)
             WHERE held.reseller_id = $1 AND held.charge_scope_id = ANY ($3)
         )
         UPDATE invoices SET stale = true FROM touched
         WHERE invoices.reseller_id = $1 AND invoices.id = touched.id AND status = 'draft' AND NOT stale",
        reseller_id.0,
        provider,
        new_scope_ids,
    )
    .execute(connection)
    .await?;
    Ok(marked.rows_affected())
}
