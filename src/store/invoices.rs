//! Invoices and their content, locked and read whole; `drafts` writes them.
//!
//! Postgres returns NUMERIC at a scale of its own; amounts of money come back at their currency's minor unit.

use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, Zero};
use chrono::NaiveDate;
use sqlx::{PgConnection, types::Json};

use super::{Corrupt, charge_sums::ProviderPeriod};
use crate::domain::{
    billing_period::BillingPeriod,
    ids::{CustomerId, InvoiceId, ResellerId},
    invoice::{Invoice, InvoiceKind, Line, LineDetails, PartyDetails, TaxAmount},
    invoice_status::InvoiceStatus,
    money::Currency,
    price_rules::{PriceRule, PriceRules},
    pricing::{ExchangeRate, FrozenRules},
    taxes::TaxCategory,
};

/// What makes an invoice unique among those that are neither void nor discarded.
#[derive(Clone, Debug)]
pub struct InvoiceKey {
    /// Who issues.
    pub reseller_id: ResellerId,
    /// Who receives.
    pub customer_id: CustomerId,
    /// Provider id.
    pub provider: String,
    /// The provider's month.
    pub billing_period: BillingPeriod,
    /// Its currency.
    pub currency: Currency,
}

/// Where an invoice stands, read under a lock that holds until the transaction ends.
#[derive(Clone, Debug)]
pub struct InvoiceState {
    /// Its id.
    pub id: InvoiceId,
    /// What makes it unique.
    pub key: InvoiceKey,
    /// Invoice or credit note.
    pub kind: InvoiceKind,
    /// Its status.
    pub status: InvoiceStatus,
    /// Its version.
    pub version: i32,
    /// Given at generation.
    pub document_id: String,
    /// What it comes to.
    pub total: BigDecimal,
    /// Whether a draft's inputs changed.
    pub stale: bool,
    /// BCP 47 tag.
    pub language: String,
    /// Whether both parties have a country, as who wants e-invoices gives them, and there is a line to print.
    pub can_be_ubl: bool,
}

struct StateRow {
    id: InvoiceId,
    customer_id: CustomerId,
    provider: String,
    billing_period_start: NaiveDate,
    billing_period_end: NaiveDate,
    currency: String,
    kind: String,
    status: String,
    version: i32,
    document_id: String,
    total: BigDecimal,
    stale: bool,
    language: String,
    can_be_ubl: bool,
}

impl StateRow {
    fn into_state(self, reseller_id: ResellerId) -> sqlx::Result<InvoiceState> {
        Ok(InvoiceState {
            id: self.id,
            key: InvoiceKey {
                reseller_id,
                customer_id: self.customer_id,
                provider: self.provider,
                billing_period: BillingPeriod::new(self.billing_period_start, self.billing_period_end)
                    .corrupt("invoices.billing_period_start")?,
                currency: self.currency.parse().corrupt("invoices.currency")?,
            },
            kind: kind_of(&self.kind),
            status: self.status.parse().corrupt("invoices.status")?,
            version: self.version,
            document_id: self.document_id,
            total: self.total,
            stale: self.stale,
            language: self.language,
            can_be_ubl: self.can_be_ubl,
        })
    }
}

fn kind_of(text: &str) -> InvoiceKind {
    if text == InvoiceKind::CreditNote.as_str() { InvoiceKind::CreditNote } else { InvoiceKind::Invoice }
}

/// Returns what makes an invoice unique, which never changes; `None` when it does not exist.
///
/// # Errors
/// When the database fails.
pub async fn find_key(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    id: InvoiceId,
) -> sqlx::Result<Option<InvoiceKey>> {
    let row = sqlx::query!(
        r#"SELECT customer_id AS "customer_id: CustomerId", provider, billing_period_start, billing_period_end, currency
           FROM invoices WHERE reseller_id = $1 AND id = $2"#,
        reseller_id.0,
        id.0,
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(InvoiceKey {
            reseller_id,
            customer_id: row.customer_id,
            provider: row.provider,
            billing_period: BillingPeriod::new(row.billing_period_start, row.billing_period_end)
                .corrupt("invoices.billing_period_start")?,
            currency: row.currency.parse().corrupt("invoices.currency")?,
        })
    })
    .transpose()
}

/// Locks an invoice and returns where it stands; `None` when it does not exist.
///
/// # Errors
/// When the database fails.
pub async fn lock(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    id: InvoiceId,
) -> sqlx::Result<Option<InvoiceState>> {
    let row = sqlx::query_as!(
        StateRow,
        r#"SELECT id AS "id: InvoiceId", customer_id AS "customer_id: CustomerId", provider, billing_period_start,
                  billing_period_end, currency, kind, status, version, document_id, total, stale, language,
                  coalesce(reseller_details ? 'country' AND customer_details ? 'country', false) AND EXISTS (
                      SELECT FROM invoice_lines AS line
                      WHERE (line.reseller_id, line.invoice_id) = (invoices.reseller_id, invoices.id)) AS "can_be_ubl!"
           FROM invoices WHERE reseller_id = $1 AND id = $2 FOR NO KEY UPDATE"#,
        reseller_id.0,
        id.0,
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| row.into_state(reseller_id)).transpose()
}

/// Locks the live invoice of a key; `None` when there is none.
///
/// # Errors
/// When the database fails.
pub async fn lock_live(connection: &mut PgConnection, key: &InvoiceKey) -> sqlx::Result<Option<InvoiceState>> {
    let row = sqlx::query_as!(
        StateRow,
        r#"SELECT id AS "id: InvoiceId", customer_id AS "customer_id: CustomerId", provider, billing_period_start,
                  billing_period_end, currency, kind, status, version, document_id, total, stale, language,
                  coalesce(reseller_details ? 'country' AND customer_details ? 'country', false) AND EXISTS (
                      SELECT FROM invoice_lines AS line
                      WHERE (line.reseller_id, line.invoice_id) = (invoices.reseller_id, invoices.id)) AS "can_be_ubl!"
           FROM invoices
           WHERE reseller_id = $1 AND customer_id = $2 AND provider = $3 AND billing_period_start = $4 AND currency = $5
             AND status NOT IN ('void', 'discarded') FOR NO KEY UPDATE"#,
        key.reseller_id.0,
        key.customer_id.0,
        key.provider,
        key.billing_period.start(),
        key.currency.code(),
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| row.into_state(key.reseller_id)).transpose()
}

/// Locks up to `limit` drafts of a provider's month that come after one, in the order in which they were generated.
///
/// # Errors
/// When the database fails.
pub async fn lock_drafts(
    connection: &mut PgConnection,
    period: ProviderPeriod<'_>,
    after: Option<InvoiceId>,
    limit: i64,
) -> sqlx::Result<Vec<InvoiceState>> {
    let rows = sqlx::query_as!(
        StateRow,
        r#"SELECT id AS "id: InvoiceId", customer_id AS "customer_id: CustomerId", provider, billing_period_start,
                  billing_period_end, currency, kind, status, version, document_id, total, stale, language,
                  coalesce(reseller_details ? 'country' AND customer_details ? 'country', false) AND EXISTS (
                      SELECT FROM invoice_lines AS line
                      WHERE (line.reseller_id, line.invoice_id) = (invoices.reseller_id, invoices.id)) AS "can_be_ubl!"
           FROM invoices
           WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 AND status = 'draft'
             AND id > coalesce($4::uuid, '00000000-0000-0000-0000-000000000000')
           ORDER BY id LIMIT $5 FOR NO KEY UPDATE"#,
        period.reseller_id.0,
        period.provider,
        period.billing_period_start,
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| row.into_state(period.reseller_id)).collect()
}

/// Counts the drafts of a provider's month.
///
/// # Errors
/// When the database fails.
pub async fn count_drafts(connection: &mut PgConnection, period: ProviderPeriod<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM invoices
           WHERE reseller_id = $1 AND provider = $2 AND billing_period_start = $3 AND status = 'draft'"#,
        period.reseller_id.0,
        period.provider,
        period.billing_period_start,
    )
    .fetch_one(connection)
    .await
}

/// Reads an invoice whole; `None` when it does not exist.
///
/// # Errors
/// When the database fails.
pub async fn find(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    id: InvoiceId,
) -> sqlx::Result<Option<Invoice>> {
    let row = sqlx::query!(
        r#"SELECT customer_id AS "customer_id: CustomerId", provider, billing_period_start, billing_period_end, currency,
                  kind, status, version, document_id, number, issued_on, language,
                  reseller_details AS "reseller_details: Json<PartyDetails>",
                  customer_details AS "customer_details: Json<PartyDetails>", markup_rate, exact_subtotal, subtotal, tax,
                  total, rounding_delta, excluded_tax AS "excluded_tax: Json<BTreeMap<Currency, BigDecimal>>",
                  zero_line_count, charge_count, stale, replaces AS "replaces: InvoiceId", created_at, opened_at,
                  price_terms AS "price_terms: Json<FrozenRules>"
           FROM invoices WHERE reseller_id = $1 AND id = $2"#,
        reseller_id.0,
        id.0,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let currency: Currency = row.currency.parse().corrupt("invoices.currency")?;
    Ok(Some(Invoice {
        reseller_id,
        id,
        customer_id: row.customer_id,
        provider: row.provider,
        billing_period: BillingPeriod::new(row.billing_period_start, row.billing_period_end)
            .corrupt("invoices.billing_period_start")?,
        currency,
        kind: kind_of(&row.kind),
        status: row.status.parse().corrupt("invoices.status")?,
        version: row.version,
        document_id: row.document_id,
        number: row.number,
        issued_on: row.issued_on,
        language: row.language.parse().corrupt("invoices.language")?,
        reseller: row.reseller_details.0,
        customer: row.customer_details.0,
        frozen_rules: row.price_terms.map_or_else(|| rules_of_markup(row.markup_rate), |Json(rules)| rules),
        exact_subtotal: row.exact_subtotal,
        subtotal: currency.round(&row.subtotal),
        tax: currency.round(&row.tax),
        total: currency.round(&row.total),
        rounding_delta: row.rounding_delta,
        excluded_tax: row.excluded_tax.0,
        zero_line_count: row.zero_line_count,
        charge_count: row.charge_count,
        stale: row.stale,
        replaces: row.replaces,
        created_at: row.created_at,
        opened_at: row.opened_at,
        lines: lines(connection, reseller_id, id, currency).await?,
        taxes: taxes(connection, reseller_id, id, currency).await?,
        exchange_rates: exchange_rates(connection, reseller_id, id).await?,
    }))
}

/// Returns the rules of an invoice that the previous release generated.
fn rules_of_markup(rate: BigDecimal) -> FrozenRules {
    let rules = PriceRules::new(vec![PriceRule::markup(None, None, rate)]);
    FrozenRules { rules, mirror_markup: false }
}

async fn lines(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    id: InvoiceId,
    currency: Currency,
) -> sqlx::Result<Vec<Line>> {
    // Bounded by what one invoice holds: its line count is the number of (account, service, category) triples.
    let rows = sqlx::query!(
        r#"SELECT section_id, section_name, description, charge_category, correction_of, cost_currency, cost_exact,
                  exchange_rate, price_exact, net, charge_count, details AS "details: Json<LineDetails>"
           FROM invoice_lines WHERE reseller_id = $1 AND invoice_id = $2 ORDER BY position"#,
        reseller_id.0,
        id.0,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Line {
                section_id: row.section_id,
                section_name: row.section_name,
                description: row.description,
                charge_category: row
                    .charge_category
                    .map(|text| text.parse().corrupt("invoice_lines.charge_category"))
                    .transpose()?,
                correction_of: row.correction_of,
                cost_currency: row.cost_currency.parse().corrupt("invoice_lines.cost_currency")?,
                cost_exact: row.cost_exact,
                exchange_rate: row.exchange_rate,
                price_exact: row.price_exact,
                net: currency.round(&row.net),
                charge_count: row.charge_count,
                details: row.details.0,
            })
        })
        .collect()
}

async fn taxes(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    id: InvoiceId,
    currency: Currency,
) -> sqlx::Result<Vec<TaxAmount>> {
    let rows = sqlx::query!(
        "SELECT name, rate, base, amount, category, exemption_code, exemption_reason FROM invoice_taxes
         WHERE reseller_id = $1 AND invoice_id = $2 ORDER BY position LIMIT 100",
        reseller_id.0,
        id.0,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            // The previous release writes none.
            let by_rate = if row.rate.is_zero() { TaxCategory::ZeroRated } else { TaxCategory::Standard };
            let category = row.category.map(|code| code.parse().corrupt("invoice_taxes.category")).transpose()?;
            Ok(TaxAmount {
                name: row.name,
                category: category.unwrap_or(by_rate),
                rate: row.rate,
                base: currency.round(&row.base),
                amount: currency.round(&row.amount),
                exemption_code: row.exemption_code,
                exemption_reason: row.exemption_reason,
            })
        })
        .collect()
}

async fn exchange_rates(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    id: InvoiceId,
) -> sqlx::Result<BTreeMap<Currency, ExchangeRate>> {
    let rows = sqlx::query!(
        "SELECT from_currency, rate, source, rated_on FROM invoice_exchange_rates
         WHERE reseller_id = $1 AND invoice_id = $2 LIMIT 200",
        reseller_id.0,
        id.0,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let from = row.from_currency.parse().corrupt("invoice_exchange_rates.from_currency")?;
            Ok((from, ExchangeRate { rate: row.rate, source: row.source, rated_on: row.rated_on }))
        })
        .collect()
}
