//! A draft as the generation will store it, reduced to what reconciliation and staleness look at.

use anyhow::Result;
use bigdecimal::BigDecimal;
use billrunner::{
    domain::ids::{CustomerId, InvoiceId},
    store::charge_sums::{ChargeSource, ProviderPeriod},
};
use sqlx::PgPool;

/// Inserts a draft in EUR that takes these sources.
pub async fn insert_draft(
    pool: &PgPool,
    period: ProviderPeriod<'_>,
    customer_id: CustomerId,
    sources: &[ChargeSource],
) -> Result<InvoiceId> {
    let id = InvoiceId::new();
    let total: BigDecimal = sources.iter().map(|source| &source.cost_exact).sum();
    sqlx::query(
        "INSERT INTO invoices (reseller_id, id, customer_id, provider, billing_period_start, billing_period_end,
             currency, kind, status, document_id, language, reseller_details, customer_details, markup_rate,
             exact_subtotal, subtotal, tax, total, rounding_delta, excluded_tax, zero_line_count, charge_count, created_at)
         VALUES ($1, $2, $3, $4, $5, $5 + 31, 'EUR', CASE WHEN $6 < 0 THEN 'credit_note' ELSE 'invoice' END, 'draft',
             $2::text, 'en', '{}', '{}', 0, $6, $6, 0, $6, 0, '{}', 0, 0, now())",
    )
    .bind(period.reseller_id)
    .bind(id)
    .bind(customer_id)
    .bind(period.provider)
    .bind(period.billing_period_start)
    .bind(&total)
    .execute(pool)
    .await?;
    for source in sources {
        sqlx::query(
            "INSERT INTO invoice_sources (reseller_id, invoice_id, charge_scope_id, cost_currency, cost_exact,
                 excluded_tax, charge_count)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(period.reseller_id)
        .bind(id)
        .bind(source.charge_scope_id)
        .bind(source.cost_currency.code())
        .bind(&source.cost_exact)
        .bind(&source.excluded_tax)
        .bind(source.charge_count)
        .execute(pool)
        .await?;
    }
    Ok(id)
}
