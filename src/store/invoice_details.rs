//! Lines and taxes of many invoices, streamed in one statement for the FOCUS export: the price side only.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, Utc};
use futures::{Stream, StreamExt};
use sqlx::PgConnection;

use super::Corrupt;
use crate::domain::{
    billing_period::BillingPeriod,
    ids::{CustomerId, ResellerId},
    invoice_detail::{DetailItem, InvoiceDetail},
    invoice_status::InvoiceStatus,
};

/// Which invoices to export; an absent filter lets all pass.
#[derive(Clone, Debug)]
pub struct DetailFilter {
    /// Of this reseller.
    pub reseller_id: ResellerId,
    /// Of this customer.
    pub customer_id: Option<CustomerId>,
    /// Of this provider.
    pub provider: Option<String>,
    /// Of months that begin on this day or later.
    pub from: Option<NaiveDate>,
    /// Of months that begin before this day.
    pub until: Option<NaiveDate>,
    /// In one of these statuses.
    pub statuses: Vec<InvoiceStatus>,
}

struct Row {
    invoice_id: String,
    status: String,
    issuer_name: String,
    customer_id: CustomerId,
    provider: String,
    billing_period_start: NaiveDate,
    billing_period_end: NaiveDate,
    currency: String,
    issued_on: Option<NaiveDate>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    replaced: Option<String>,
    position: i32,
    amount: BigDecimal,
    description: String,
    charge_category: Option<String>,
    section_id: Option<String>,
    correction_of: Option<NaiveDate>,
    charge_count: Option<i64>,
    rate: Option<BigDecimal>,
    base: Option<BigDecimal>,
}

/// Streams lines and taxes by month, provider, customer and invoice, the lines of each first: the same order every time.
pub fn invoice_details<'c>(
    connection: &'c mut PgConnection,
    filter: &DetailFilter,
) -> impl Stream<Item = sqlx::Result<InvoiceDetail>> + Send + 'c {
    let statuses: Vec<String> = filter.statuses.iter().map(ToString::to_string).collect();
    sqlx::query_as!(
        Row,
        r#"SELECT coalesce(invoice.number, invoice.document_id) AS "invoice_id!", invoice.status,
               invoice.reseller_details ->> 'name' AS "issuer_name!", invoice.customer_id AS "customer_id: CustomerId",
               invoice.provider, invoice.billing_period_start, invoice.billing_period_end, invoice.currency,
               invoice.issued_on, invoice.created_at,
               greatest(invoice.created_at, invoice.opened_at, invoice.closed_at, invoice.voided_at) AS "updated_at!",
               coalesce(replaced.number, replaced.document_id) AS replaced,
               item.position AS "position!", item.amount AS "amount!", item.description AS "description!",
               item.charge_category, item.section_id, item.correction_of, item.charge_count, item.rate, item.base
           FROM invoices invoice
           LEFT JOIN invoices replaced ON replaced.reseller_id = invoice.reseller_id AND replaced.id = invoice.replaces
           CROSS JOIN LATERAL (
               SELECT false AS is_tax, position, net AS amount, description, charge_category, section_id, correction_of,
                   charge_count, NULL::numeric AS rate, NULL::numeric AS base
               FROM invoice_lines WHERE reseller_id = invoice.reseller_id AND invoice_id = invoice.id
               UNION ALL
               SELECT true, position, amount, name, NULL, NULL, NULL, NULL, rate, base
               FROM invoice_taxes WHERE reseller_id = invoice.reseller_id AND invoice_id = invoice.id
           ) item
           WHERE invoice.reseller_id = $1 AND ($2::uuid IS NULL OR invoice.customer_id = $2)
             AND ($3::text IS NULL OR invoice.provider = $3)
             AND ($4::date IS NULL OR invoice.billing_period_start >= $4)
             AND ($5::date IS NULL OR invoice.billing_period_start < $5) AND invoice.status = ANY($6)
           ORDER BY invoice.billing_period_start, invoice.provider, invoice.customer_id, invoice.id, item.is_tax,
               item.position"#,
        filter.reseller_id.0,
        filter.customer_id.map(|id| id.0),
        filter.provider.clone(),
        filter.from,
        filter.until,
        &statuses,
    )
    .fetch(connection)
    .map(|row| to_detail(row?))
}

fn to_detail(row: Row) -> sqlx::Result<InvoiceDetail> {
    let item = match (row.section_id, row.rate, row.base) {
        (None, Some(rate), Some(base)) => DetailItem::Tax { name: row.description, rate, base },
        (section_id, ..) => DetailItem::Line {
            description: row.description,
            charge_category: row
                .charge_category
                .map(|text| text.parse().corrupt("invoice_lines.charge_category"))
                .transpose()?,
            sub_account_id: section_id.unwrap_or_default(),
            correction_of: row.correction_of,
            charge_count: row.charge_count.unwrap_or_default(),
        },
    };
    Ok(InvoiceDetail {
        invoice_id: row.invoice_id,
        status: row.status.parse().corrupt("invoices.status")?,
        invoice_issuer_name: row.issuer_name,
        billing_account_id: row.customer_id,
        provider: row.provider,
        billing_period: BillingPeriod::new(row.billing_period_start, row.billing_period_end)
            .corrupt("invoices.billing_period_start")?,
        billing_currency: row.currency.parse().corrupt("invoices.currency")?,
        issued_on: row.issued_on,
        created_at: row.created_at,
        updated_at: row.updated_at,
        replaced_invoice_id: row.replaced,
        position: row.position,
        billed_cost: row.amount,
        item,
    })
}
