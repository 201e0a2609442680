//! The charges behind one invoice, one by one and streamed, for the detailed CSV.
//!
//! They come from the scopes the invoice was made of, also after a later file superseded those, and from the accounts that
//! its customer held when it was generated, whoever holds them since: an issued invoice keeps its detail. The provider's
//! tax rows are left out, as they are not resold.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use chrono::{DateTime, Datelike, Utc};
use futures::{Stream, StreamExt};
use sqlx::{PgConnection, types::Json};

use super::charge_sums::decode;
use crate::domain::{
    charge::ChargeCategory,
    customer_side::{CustomerColumns, ResellerSide, shown_text, shown_value},
    ids::{InvoiceId, ResellerId},
    invoice::DetailedCharge,
    money::Currency,
    price_rules::PricedBy,
};

/// One charge with its cost, which only the reseller may see.
#[derive(Clone, Debug, PartialEq)]
pub struct CostedCharge {
    /// What the provider billed, exactly.
    pub billed_cost: BigDecimal,
    /// Currency of `billed_cost`.
    pub billing_currency: Currency,
    /// Decides how the charge is priced.
    pub charge_category: ChargeCategory,
    detail: Detail,
}

impl CostedCharge {
    /// Returns what decides which rule prices it.
    pub fn priced_by(&self) -> PricedBy<'_> {
        let start = self.detail.charge_period_start.date_naive();
        PricedBy {
            service_name: &self.detail.service_name,
            service_category: self.detail.service_category.as_deref(),
            charge_category: self.charge_category,
            correction_of: if self.detail.is_correction { start.with_day(1) } else { None },
        }
    }

    /// Turns it into what the customer may see: the price, and texts without what the reseller pays.
    pub fn priced(self, price_exact: BigDecimal, shown: &CustomerColumns) -> DetailedCharge {
        let Self { charge_category, billed_cost, detail, .. } = self;
        let columns = detail.x_columns.map(|Json(x_columns)| x_columns).unwrap_or_default();
        let (for_customers, hidden): (Vec<_>, Vec<_>) = columns.into_iter().partition(|(name, _)| shown.contains(name));
        let reseller_side = ResellerSide::new(&billed_cost, hidden.iter().map(|(_, value)| value.as_str()));
        let shown = for_customers.into_iter().filter_map(|(name, value)| {
            let value = shown_value(&name, &value, &reseller_side)?;
            Some((name, value))
        });
        let x_columns = shown.collect();
        DetailedCharge {
            sub_account_id: detail.sub_account_id,
            sub_account_name: detail.sub_account_name,
            service_name: detail.service_name,
            service_category: detail.service_category,
            charge_category,
            is_correction: detail.is_correction,
            charge_description: detail.charge_description.map(|text| shown_text(&text, &reseller_side)),
            charge_period_start: detail.charge_period_start,
            charge_period_end: detail.charge_period_end,
            consumed_quantity: detail.consumed_quantity,
            consumed_unit: detail.consumed_unit,
            region_id: detail.region_id,
            resource_id: detail.resource_id,
            resource_name: detail.resource_name,
            sku_id: detail.sku_id,
            tags: detail.tags,
            x_columns,
            price_exact,
        }
    }
}

/// A row of `charges`.
#[derive(Clone, Debug, PartialEq)]
struct Detail {
    billed_cost: BigDecimal,
    billing_currency: String,
    charge_category: String,
    sub_account_id: String,
    sub_account_name: Option<String>,
    service_name: String,
    service_category: Option<String>,
    is_correction: bool,
    charge_description: Option<String>,
    charge_period_start: DateTime<Utc>,
    charge_period_end: DateTime<Utc>,
    consumed_quantity: Option<BigDecimal>,
    consumed_unit: Option<String>,
    region_id: Option<String>,
    resource_id: Option<String>,
    resource_name: Option<String>,
    sku_id: Option<String>,
    tags: Option<String>,
    x_columns: Option<Json<BTreeMap<String, String>>>,
}

/// Streams an invoice's charges by sub account, then time, then place in the file. They are looked up account by account, as
/// [`cost_groups`](super::charge_sums::cost_groups) says why.
pub fn detailed_charges(
    conn: &mut PgConnection,
    reseller_id: ResellerId,
    invoice_id: InvoiceId,
) -> impl Stream<Item = sqlx::Result<CostedCharge>> + Send {
    sqlx::query_as!(
        Detail,
        r#"SELECT charges.billed_cost, charges.billing_currency, charges.charge_category, charges.sub_account_id,
               charges.sub_account_name, charges.service_name, charges.service_category,
               charges.charge_class IS NOT DISTINCT FROM 'Correction' AS "is_correction!", charges.charge_description,
               charges.charge_period_start, charges.charge_period_end, charges.consumed_quantity,
               charges.consumed_unit, charges.region_id, charges.resource_id, charges.resource_name, charges.sku_id,
               charges.tags, charges.x_columns AS "x_columns: Json<BTreeMap<String, String>>"
         FROM invoices invoice
         JOIN invoice_sources source ON source.reseller_id = invoice.reseller_id AND source.invoice_id = invoice.id
         CROSS JOIN LATERAL (
             SELECT account_id, days FROM accounts_of_invoices
             WHERE reseller_id = invoice.reseller_id AND invoice_id = invoice.id OFFSET 0) AS account
         CROSS JOIN LATERAL (
             SELECT * FROM charges
             WHERE reseller_id = source.reseller_id AND charge_scope_id = source.charge_scope_id
               AND billing_period_start = invoice.billing_period_start AND billing_currency = source.cost_currency
               AND sub_account_id = account.account_id AND charge_category <> 'Tax'
               AND account.days @> (charge_period_start AT TIME ZONE 'UTC')::date
             OFFSET 0) AS charges
         WHERE invoice.reseller_id = $1 AND invoice.id = $2
         ORDER BY charges.sub_account_id, charges.charge_period_start, charges.charge_scope_id, charges.row_number"#,
        reseller_id.0,
        invoice_id.0
    )
    .fetch(conn)
    .map(|row| {
        let detail = row?;
        Ok(CostedCharge {
            billed_cost: detail.billed_cost.clone(),
            billing_currency: detail.billing_currency.parse().map_err(decode)?,
            charge_category: detail.charge_category.parse().map_err(decode)?,
            detail,
        })
    })
}

/// Returns the names of the columns outside FOCUS that an invoice's charges have, in alphabetical order.
///
/// # Errors
/// When Postgres fails.
pub async fn x_column_names(
    conn: &mut PgConnection,
    reseller_id: ResellerId,
    invoice_id: InvoiceId,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT DISTINCT jsonb_object_keys(charges.x_columns) AS "name!"
         FROM invoices invoice
         JOIN invoice_sources source ON source.reseller_id = invoice.reseller_id AND source.invoice_id = invoice.id
         CROSS JOIN LATERAL (
             SELECT account_id, days FROM accounts_of_invoices
             WHERE reseller_id = invoice.reseller_id AND invoice_id = invoice.id OFFSET 0) AS account
         CROSS JOIN LATERAL (
             SELECT x_columns FROM charges
             WHERE reseller_id = source.reseller_id AND charge_scope_id = source.charge_scope_id
               AND billing_period_start = invoice.billing_period_start AND sub_account_id = account.account_id
               AND account.days @> (charge_period_start AT TIME ZONE 'UTC')::date AND x_columns IS NOT NULL
             OFFSET 0) AS charges
         WHERE invoice.reseller_id = $1 AND invoice.id = $2
         ORDER BY 1 LIMIT 1000"#,
        reseller_id.0,
        invoice_id.0
    )
    .fetch_all(conn)
    .await
}
