//! Drafts: written with all their content, and emptied when they are discarded.
//!
//! Called by generation and by status changes; the database refuses both for anything but a draft.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, types::Json};

use super::{accounts, charge_sums::ChargeSource, directory::Parties, invoices::InvoiceKey};
use crate::domain::{
    ids::{InvoiceId, ResellerId},
    invoice::{Line, LineDetails, PricedInvoice, TaxAmount},
    pricing::{FrozenRules, PriceTerms},
};

/// A draft to be written.
#[derive(Debug)]
pub struct NewDraft<'a> {
    /// Its id.
    pub id: InvoiceId,
    /// What makes it unique.
    pub key: &'a InvoiceKey,
    /// Issuer, receiver and language.
    pub parties: &'a Parties,
    /// Price rules and exchange rates used.
    pub terms: &'a PriceTerms,
    /// The computed content.
    pub priced: &'a PricedInvoice,
    /// Where it comes from.
    pub sources: &'a [ChargeSource],
    /// The void invoice it stands for.
    pub replaces: Option<InvoiceId>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Writes a draft with all its content and returns its document id.
///
/// # Errors
/// When the database fails; a unique violation of `invoices_key` when a live invoice has the key.
pub async fn insert_draft(connection: &mut PgConnection, draft: &NewDraft<'_>) -> sqlx::Result<String> {
    let NewDraft { key, priced, .. } = draft;
    let document_id = sqlx::query_scalar!(
        r#"INSERT INTO invoices (reseller_id, id, customer_id, provider, billing_period_start, billing_period_end, currency,
               kind, status, document_id, language, reseller_details, customer_details, markup_rate, exact_subtotal,
               subtotal, tax, total, rounding_delta, excluded_tax, zero_line_count, charge_count, replaces, created_at,
               price_terms)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'draft', 'D-' || lpad(nextval('document_ids')::text, 8, '0'), $9, $10,
               $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
           RETURNING document_id"#,
        key.reseller_id.0,
        draft.id.0,
        key.customer_id.0,
        key.provider,
        key.billing_period.start(),
        key.billing_period.end(),
        key.currency.code(),
        priced.kind.as_str(),
        draft.parties.language,
        Json(&draft.parties.reseller) as _,
        Json(&draft.parties.customer) as _,
        draft.terms.rules.general_markup(draft.terms.priced_on),
        priced.exact_subtotal,
        priced.subtotal,
        priced.tax,
        priced.total,
        priced.rounding_delta,
        Json(&priced.excluded_tax) as _,
        priced.zero_line_count,
        priced.charge_count,
        draft.replaces.map(|id| id.0),
        draft.created_at,
        Json(FrozenRules { rules: priced.rules.clone(), mirror_markup: draft.terms.mirror_markup }) as _,
    )
    .fetch_one(&mut *connection)
    .await?;
    insert_lines(connection, key.reseller_id, draft.id, &priced.lines).await?;
    insert_taxes(connection, key.reseller_id, draft.id, &priced.taxes).await?;
    insert_sources(connection, key.reseller_id, draft.id, draft.sources).await?;
    insert_exchange_rates(connection, key.reseller_id, draft).await?;
    accounts::remember(connection, key.reseller_id, draft.id).await?;
    Ok(document_id)
}

async fn insert_lines(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    invoice_id: InvoiceId,
    lines: &[Line],
) -> sqlx::Result<()> {
    let text = |column: fn(&Line) -> String| lines.iter().map(column).collect::<Vec<_>>();
    let amount = |column: fn(&Line) -> BigDecimal| lines.iter().map(column).collect::<Vec<_>>();
    let categories: Vec<Option<String>> =
        lines.iter().map(|line| line.charge_category.map(|category| category.to_string())).collect();
    let corrections: Vec<Option<NaiveDate>> = lines.iter().map(|line| line.correction_of).collect();
    let details: Vec<Json<&LineDetails>> = lines.iter().map(|line| Json(&line.details)).collect();
    let counts: Vec<i64> = lines.iter().map(|line| line.charge_count).collect();
    sqlx::query!(
        "INSERT INTO invoice_lines (reseller_id, invoice_id, position, section_id, section_name, description, charge_category,
             correction_of, cost_currency, cost_exact, exchange_rate, price_exact, net, charge_count, details)
         SELECT $1, $2, line.position, line.section_id, line.section_name, line.description, line.charge_category,
             line.correction_of, line.cost_currency, line.cost_exact, line.exchange_rate, line.price_exact, line.net,
             line.charge_count, line.details
         FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::date[], $8::text[], $9::numeric[], $10::numeric[],
                     $11::numeric[], $12::numeric[], $13::bigint[], $14::jsonb[])
              WITH ORDINALITY AS line (section_id, section_name, description, charge_category, correction_of, cost_currency,
                     cost_exact, exchange_rate, price_exact, net, charge_count, details, position)",
        reseller_id.0,
        invoice_id.0,
        &text(|line| line.section_id.clone()),
        &text(|line| line.section_name.clone()),
        &text(|line| line.description.clone()),
        &categories as &[Option<String>],
        &corrections as &[Option<NaiveDate>],
        &text(|line| line.cost_currency.to_string()),
        &amount(|line| line.cost_exact.clone()),
        &amount(|line| line.exchange_rate.clone()),
        &amount(|line| line.price_exact.clone()),
        &amount(|line| line.net.clone()),
        &counts,
        &details as &[Json<&LineDetails>],
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn insert_taxes(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    invoice_id: InvoiceId,
    taxes: &[TaxAmount],
) -> sqlx::Result<()> {
    for (position, tax) in (1..).zip(taxes) {
        sqlx::query!(
            "INSERT INTO invoice_taxes (reseller_id, invoice_id, position, name, rate, base, amount, category, exemption_code,
                 exemption_reason)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            reseller_id.0,
            invoice_id.0,
            position,
            tax.name,
            tax.rate,
            tax.base,
            tax.amount,
            tax.category.as_str(),
            tax.exemption_code,
            tax.exemption_reason,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn insert_sources(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    invoice_id: InvoiceId,
    sources: &[ChargeSource],
) -> sqlx::Result<()> {
    let amount = |column: fn(&ChargeSource) -> &BigDecimal| sources.iter().map(column).cloned().collect::<Vec<_>>();
    sqlx::query!(
        "INSERT INTO invoice_sources (reseller_id, invoice_id, charge_scope_id, cost_currency, cost_exact, excluded_tax,
             charge_count)
         SELECT $1, $2, source.*
         FROM unnest($3::uuid[], $4::text[], $5::numeric[], $6::numeric[], $7::bigint[]) AS source",
        reseller_id.0,
        invoice_id.0,
        &sources.iter().map(|source| source.charge_scope_id.0).collect::<Vec<_>>(),
        &sources.iter().map(|source| source.cost_currency.to_string()).collect::<Vec<_>>(),
        &amount(|source| &source.cost_exact),
        &amount(|source| &source.excluded_tax),
        &sources.iter().map(|source| source.charge_count).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await
    .map(drop)
}

async fn insert_exchange_rates(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    draft: &NewDraft<'_>,
) -> sqlx::Result<()> {
    for (from, rate) in &draft.terms.exchange_rates {
        sqlx::query!(
            "INSERT INTO invoice_exchange_rates (reseller_id, invoice_id, from_currency, to_currency, rate, source, rated_on)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            reseller_id.0,
            draft.id.0,
            from.code(),
            draft.key.currency.code(),
            rate.rate,
            rate.source,
            rate.rated_on,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Removes the content of a draft that is being discarded; the row stays as tombstone.
///
/// # Errors
/// When the database fails, or the invoice is no draft.
pub async fn delete_content(connection: &mut PgConnection, reseller_id: ResellerId, id: InvoiceId) -> sqlx::Result<()> {
    let (reseller, id) = (reseller_id.0, id.0);
    sqlx::query!("DELETE FROM invoice_lines WHERE reseller_id = $1 AND invoice_id = $2", reseller, id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM invoice_taxes WHERE reseller_id = $1 AND invoice_id = $2", reseller, id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM invoice_sources WHERE reseller_id = $1 AND invoice_id = $2", reseller, id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM invoice_accounts WHERE reseller_id = $1 AND invoice_id = $2", reseller, id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM invoice_exchange_rates WHERE reseller_id = $1 AND invoice_id = $2", reseller, id)
        .execute(connection)
        .await
        .map(drop)
}
