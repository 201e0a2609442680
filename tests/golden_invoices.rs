//! Whole invoices, computed by other means, against what the stored charges are priced to: line for line.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::support::TestDatabase;
use crate::support::customer::insert_customer;
use crate::support::fixture::fixture;
use crate::support::import::{import, insert_reseller};
use anyhow::{Context, Result};
use bigdecimal::{BigDecimal, Zero};
use billrunner::{
    domain::{
        charge::ChargeCategory,
        ids::{CustomerId, ResellerId},
        invoice::{InvoiceKind, LinesBy, PricedInvoice, TaxRate, price_invoice},
        money::{Currency, parse_decimal},
        pricing::PriceTerms,
    },
    store::charge_sums::{ProviderPeriod, cost_groups},
};
use chrono::NaiveDate;
use serde::Deserialize;
use sqlx::PgPool;

/// How the golden invoices group their lines, whatever a provider's own invoices do.
const LINES_BY: LinesBy = LinesBy::ServiceAndChargeCategory;

#[derive(Deserialize)]
struct Golden {
    markup: String,
    tax_rate: String,
    invoices: Vec<GoldenInvoice>,
}

#[derive(Deserialize)]
struct GoldenInvoice {
    currency: Currency,
    sub_account: String,
    source_rows: i64,
    lines: Vec<GoldenLine>,
    zero_lines_dropped: i32,
    excluded_provider_tax: String,
    subtotal: String,
    tax: String,
    total: String,
    exact_subtotal: String,
    rounding_delta: String,
    kind: String,
}

#[derive(Deserialize)]
struct GoldenLine {
    service: String,
    category: String,
    rows: i64,
    cost_exact: String,
    net: String,
}

type ComparableLine = (String, String, i64, BigDecimal, BigDecimal);

/// Prices all charges of one customer, whatever their billing period: a golden invoice is of the whole file.
async fn price(
    pool: &PgPool,
    (reseller_id, customer_id): (ResellerId, CustomerId),
    provider: &str,
    golden: &Golden,
    currency: Currency,
) -> Result<PricedInvoice> {
    let starts: Vec<NaiveDate> =
        sqlx::query_scalar("SELECT billing_period_start FROM billing_periods WHERE reseller_id = $1 ORDER BY 1")
            .bind(reseller_id)
            .fetch_all(pool)
            .await?;
    let mut groups = Vec::new();
    for billing_period_start in starts {
        let period = ProviderPeriod { reseller_id, provider, billing_period_start };
        groups.extend(cost_groups(&mut *pool.acquire().await?, period, customer_id, false).await?);
    }
    let terms = PriceTerms::of_markup(currency, parse_decimal(&golden.markup)?);
    let taxes = [TaxRate::new("VAT", parse_decimal(&golden.tax_rate)?)];
    Ok(price_invoice(groups, &terms, &taxes, LINES_BY)?)
}

fn assert_equal(priced: &PricedInvoice, golden: &GoldenInvoice) -> Result<()> {
    let name = &golden.sub_account;
    let mut lines: Vec<ComparableLine> = Vec::new();
    for line in &priced.lines {
        let category = line.charge_category.map_or("", ChargeCategory::as_str).to_owned();
        assert_eq!(&line.section_id, name);
        let line = line.clone();
        lines.push((line.description, category, line.charge_count, line.cost_exact, line.net));
    }
    lines.sort();
    let expected = golden.lines.iter().map(|line| -> Result<ComparableLine> {
        let (cost_exact, net) = (parse_decimal(&line.cost_exact)?, parse_decimal(&line.net)?);
        Ok((line.service.clone(), line.category.clone(), line.rows, cost_exact, net))
    });
    let mut expected = expected.collect::<Result<Vec<_>>>()?;
    expected.sort();
    assert_eq!(lines, expected, "{name}");
    let excluded_tax = priced.excluded_tax.get(&golden.currency).cloned().unwrap_or_default();
    for (what, priced, golden) in [
        ("subtotal", &priced.subtotal, &golden.subtotal),
        ("tax", &priced.tax, &golden.tax),
        ("total", &priced.total, &golden.total),
        ("exact subtotal", &priced.exact_subtotal, &golden.exact_subtotal),
        ("rounding delta", &priced.rounding_delta, &golden.rounding_delta),
        ("excluded tax", &excluded_tax, &golden.excluded_provider_tax),
    ] {
        assert_eq!(*priced, parse_decimal(golden)?, "{what} of {name}");
    }
    assert_eq!(priced.zero_line_count, golden.zero_lines_dropped, "{name}");
    assert_eq!(priced.charge_count, golden.source_rows, "{name}");
    let kind = match (priced.kind, priced.total.is_zero()) {
        (_, true) => "zero",
        (InvoiceKind::Invoice, false) => "invoice",
        (InvoiceKind::CreditNote, false) => "credit_note",
    };
    assert_eq!(kind, golden.kind, "{name}");
    Ok(())
}

/// Imports a file, gives each sub account to a customer of its own and prices them; returns how many there were.
async fn assert_golden(provider: &str, path: &Path) -> Result<usize> {
    let database = TestDatabase::new().await?;
    let pool = &database.pool;
    let reseller_id = insert_reseller(pool).await?;
    import(pool, reseller_id, provider, path).await?;
    let accounts: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT sub_account_id FROM charge_totals WHERE reseller_id = $1")
            .bind(reseller_id)
            .fetch_all(pool)
            .await?;
    let mut customers = BTreeMap::new();
    for account in accounts {
        let customer_id = insert_customer(pool, reseller_id, provider, &account).await?;
        customers.insert(account, customer_id);
    }
    for terms in ["m0_t0", "m12.5_t21"] {
        let golden = std::fs::read(format!("{}.golden_{terms}.json", path.display()))?;
        let golden: Golden = serde_json::from_slice(&golden)?;
        assert_eq!(golden.invoices.len(), customers.len());
        for invoice in &golden.invoices {
            let customer_id = *customers.get(&invoice.sub_account).context(invoice.sub_account.clone())?;
            let priced = price(pool, (reseller_id, customer_id), provider, &golden, invoice.currency).await?;
            assert_equal(&priced, invoice)?;
        }
    }
    Ok(customers.len())
}

#[tokio::test]
async fn synthetic_files_of_three_providers_become_their_golden_invoices() -> Result<()> {
    for provider in ["aws", "azure", "gcp"] {
        let name = format!("focus-toolkit-synth/dev/focus_1_2_cost_and_usage_{provider}.csv");
        assert_eq!(assert_golden("focus", &fixture(&name)).await?, 4);
    }
    Ok(())
}

/// Returns a file of the shared ones, if they are here.
fn corpus_file(name: &str) -> Result<Option<PathBuf>> {
    use std::io::Write;

    let corpus = std::env::var_os("BILLRUNNER_CORPUS").map(|corpus| Path::new(&corpus).join(name));
    if corpus.is_none() {
        writeln!(std::io::stderr(), "left out: BILLRUNNER_CORPUS does not name the folder of real charge files")?;
    }
    Ok(corpus)
}

#[tokio::test]
async fn the_real_focus_sample_becomes_its_golden_invoices() -> Result<()> {
    let Some(path) = corpus_file("focus-sample-1.0/focus_sample.csv")? else { return Ok(()) };
    assert_eq!(assert_golden("focus", &path).await?, 73);
    Ok(())
}

#[tokio::test]
async fn the_real_azure_export_becomes_its_golden_invoices() -> Result<()> {
    let Some(path) = corpus_file("focus-converters-azure/azure_ea_anonymous.csv")? else { return Ok(()) };
    assert_eq!(assert_golden("microsoft", &path).await?, 18);
    Ok(())
}
