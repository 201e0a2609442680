//! Partner Center's reconciliation files: seats cost what Microsoft's rounding makes them cost, line by line.

use anyhow::{Context, Result};
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{
        charge::{Charge, ChargeCategory},
        invoice::price_invoice,
        money::parse_decimal,
        pricing::PriceTerms,
    },
    providers,
    store::{
        charge_sums::{ProviderPeriod, charge_sources, cost_groups},
        waivers::{UnassignedFilter, unassigned_accounts},
    },
};
use chrono::NaiveDate;

use crate::support::TestDatabase;
use crate::support::charge_text::{Table, charge, charges, charges_of, expected, rejection, sums};
use crate::support::customer::insert_customer;
use crate::support::fixture::fixture;
use crate::support::import::{import, insert_reseller};

const NCE: &str = "microsoft-nce";
const SAMPLE: &str = "nce-synth/reconciliation_2026_08.csv";
const SEATS: &str = "3b9a1f0c-1d5e-4c77-8f21-7a60b1e50001";

fn sample() -> Result<Table> {
    Table::read(&fixture(SAMPLE))
}

fn seats() -> Result<Table> {
    Ok(sample()?.only("ChargeType", "new").only("SubscriptionId", SEATS))
}

fn is_tax(charge: &Charge) -> bool {
    charge.charge_category == ChargeCategory::Tax
}

#[test]
fn the_sample_costs_what_its_subtotals_say_by_subscription() -> Result<()> {
    let (tax, own): (Vec<_>, Vec<_>) = charges_of(NCE, &fixture(SAMPLE))?.into_iter().partition(is_tax);
    let by_account = [
        ("3b9a1f0c-1d5e-4c77-8f21-7a60b1e50001", "275.79"),
        ("3b9a1f0c-1d5e-4c77-8f21-7a60b1e50002", "207.51"),
        ("3b9a1f0c-1d5e-4c77-8f21-7a60b1e50003", "56.10"),
        ("3b9a1f0c-1d5e-4c77-8f21-7a60b1e50004", "12.28"),
        ("b1a7d9e4-3c62-4f0b-8e55-6d1f2a9c3402", "190.40"),
    ];
    assert_eq!(sums(&own, |charge| charge.sub_account_id.clone()), expected(&by_account)?);
    assert_eq!(sums(&tax, |charge| charge.billing_currency.to_string()), expected(&[("EUR", "91.80")])?);
    assert_eq!((own.len(), tax.len()), (9, 4));
    Ok(())
}

#[test]
fn a_tax_total_becomes_a_tax_row_beside_its_charge() -> Result<()> {
    let both = charges(NCE, &seats()?)?;
    let [own, tax] = both.as_slice() else { panic!("{both:?}") };
    assert_eq!((own.charge_category, tax.charge_category), (ChargeCategory::Purchase, ChargeCategory::Tax));
    assert_eq!(tax.billed_cost, parse_decimal("43.32")?);
    assert_eq!((own.consumed_quantity.clone(), tax.consumed_quantity.clone()), (Some(12.into()), None));
    assert_eq!(charges(NCE, &seats()?.with("TaxTotal", "0"))?.len(), 1);
    Ok(())
}

#[test]
fn a_subtotal_of_another_rounding_is_refused_saying_what_it_must_be() -> Result<()> {
    let half_up = seats()?.with("Subtotal", "228.02");
    let shown = rejection(NCE, &half_up)?.to_string();
    assert!(
        shown.contains("line 2, column Subtotal, value `228.02`: must be what Microsoft's rounding makes"),
        "{shown}"
    );
    assert!(shown.contains("228.00 for seats, 228.01 for usage"), "{shown}");
    // Where the file does not say how it was computed, it is taken at its word.
    let unexplained = half_up.without("PCToBCExchangeRate").with("TaxTotal", "0");
    assert_eq!(charge(NCE, &unexplained)?.billed_cost, parse_decimal("228.02")?);
    Ok(())
}

#[test]
fn an_azure_plan_is_usage_and_a_credit_is_a_credit() -> Result<()> {
    let metered: Vec<_> = charges(NCE, &sample()?.only("SubscriptionDescription", "Azure plan"))?
        .into_iter()
        .map(|charge| (charge.charge_category, charge.billed_cost.to_string()))
        .collect();
    assert_eq!(metered, [(ChargeCategory::Usage, "17.28".to_owned()), (ChargeCategory::Credit, "-5.00".to_owned())]);
    Ok(())
}

#[test]
fn every_row_is_billed_in_the_month_of_the_invoices_latest_charge() -> Result<()> {
    for table in [sample()?, sample()?.reversed()] {
        let all = charges(NCE, &table)?;
        assert!(all.iter().all(|charge| charge.billing_period.to_string() == "2026-08"));
        let corrections: Vec<_> = all.iter().filter(|charge| charge.is_correction && !is_tax(charge)).collect();
        let [given_back] = corrections.as_slice() else { panic!("{corrections:?}") };
        assert_eq!(given_back.billed_cost, parse_decimal("-25.80")?);
        assert_eq!(given_back.charge_period_start.to_string(), "2026-07-21 00:00:00 UTC");
        assert_eq!(given_back.charge_period_end.to_string(), "2026-08-03 00:00:00 UTC");
    }
    Ok(())
}

#[test]
fn an_invoice_of_refunds_alone_is_billed_when_they_were_ordered() -> Result<()> {
    let refund = sample()?.only("ChargeType", "removeQuantity").with("TaxTotal", "0").with("OrderDate", "8/2/2026");
    let given_back = charge(NCE, &refund)?;
    assert_eq!((given_back.billing_period.to_string(), given_back.is_correction), ("2026-08".to_owned(), true));
    Ok(())
}

#[test]
fn a_licence_without_a_subscription_is_the_customers() -> Result<()> {
    let licence = charge(NCE, &sample()?.only("SubscriptionId", ""))?;
    assert_eq!(licence.sub_account_id, "b1a7d9e4-3c62-4f0b-8e55-6d1f2a9c3402");
    let ordered = sample()?.only("SubscriptionId", "").with("ChargeStartDate", "").with("ChargeEndDate", "");
    assert_eq!(charge(NCE, &ordered)?.charge_period_end.to_string(), "2026-08-10 00:00:00 UTC");
    Ok(())
}

#[test]
fn numbers_behind_an_apostrophe_are_numbers() -> Result<()> {
    let quoted =
        seats()?.with("Subtotal", "'228.00").with("EffectiveUnitPrice", "'22.00").with("BillableQuantity", "'12");
    assert_eq!(charges(NCE, &quoted)?, charges(NCE, &seats()?)?);
    let shown = rejection(NCE, &seats()?.with("Subtotal", "''228"))?.to_string();
    assert!(shown.contains("line 2, column Subtotal, value `''228`: not a decimal number"), "{shown}");
    Ok(())
}

#[test]
fn unbilled_charges_are_refused() -> Result<()> {
    let shown = rejection(NCE, &seats()?.with("InvoiceNumber", ""))?.to_string();
    assert!(
        shown.contains("line 2, column InvoiceNumber: must not be null; import the file of the invoice"),
        "{shown}"
    );
    Ok(())
}

#[test]
fn a_charge_cannot_end_before_it_starts() -> Result<()> {
    let shown = rejection(NCE, &seats()?.with("ChargeEndDate", "8/14/2026"))?.to_string();
    assert!(shown.contains("value `8/14/2026`: must not be before ChargeStartDate, 2026-08-15"), "{shown}");
    Ok(())
}

#[test]
fn no_price_or_rate_of_microsofts_is_kept_for_the_detail() -> Result<()> {
    let money = ["UnitPrice", "EffectiveUnitPrice", "Subtotal", "TaxTotal", "Total", "PCToBCExchangeRate"];
    for charge in charges_of(NCE, &fixture(SAMPLE))? {
        assert!(charge.x_columns.iter().all(|(name, _)| !money.contains(&name.as_str())), "{:?}", charge.x_columns);
        assert!(charge.x_columns.iter().any(|(name, _)| name == "SkuId"));
    }
    Ok(())
}

#[tokio::test]
async fn two_invoices_of_a_month_stand_beside_each_other_and_the_same_again_supersedes() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let first = seats()?;
    let second = seats()?.with("InvoiceNumber", "G048120012");
    let second_again = second.clone().and(second.clone());
    for table in [first, second, second_again] {
        import(&database.pool, reseller_id, NCE, table.to_file()?.path()).await?;
    }
    let active: Vec<(String, BigDecimal)> = sqlx::query_as(
        "SELECT split_part(scope.billing_account_id, '/', 2), total.billed_cost
         FROM charge_scopes scope JOIN charge_totals total ON total.charge_scope_id = scope.id
         WHERE scope.superseded_by IS NULL AND total.charge_category = 'Purchase' ORDER BY 1",
    )
    .fetch_all(&database.pool)
    .await?;
    assert_eq!(active, [("G048120011".to_owned(), 228.into()), ("G048120012".to_owned(), 456.into())]);
    Ok(())
}

#[tokio::test]
async fn lines_are_by_sku_and_charge_type_and_every_cent_is_accounted_for() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    import(&database.pool, reseller_id, NCE, &fixture(SAMPLE)).await?;
    let customer_id = insert_customer(&database.pool, reseller_id, NCE, SEATS).await?;
    let billing_period_start = NaiveDate::from_ymd_opt(2026, 8, 1).context("a date")?;
    let period = ProviderPeriod { reseller_id, provider: NCE, billing_period_start };
    let mut connection = database.pool.acquire().await?;
    let profile = providers::find(NCE)?;

    let groups = cost_groups(&mut connection, period, customer_id, profile.needs_sku()).await?;
    let terms = PriceTerms::of_markup("EUR".parse()?, parse_decimal("0.1")?);
    let priced = price_invoice(groups, &terms, &[], profile.lines_by)?;
    let lines: Vec<_> = priced.lines.iter().map(|line| (line.description.as_str(), line.net.to_string())).collect();
    let sku = "Microsoft 365 Business Premium (CFQ7TTC0LCHC:0002)";
    let (new, added) = (format!("{sku}, new"), format!("{sku}, addQuantity"));
    assert_eq!(lines, [(added.as_str(), "52.57".to_owned()), (new.as_str(), "250.80".to_owned())]);
    assert!(priced.lines.iter().all(|line| line.section_name == "Microsoft 365 Business Premium"));
    assert_eq!(priced.excluded_tax.values().sum::<BigDecimal>(), parse_decimal("52.37")?);

    let sources = charge_sources(&mut connection, period, customer_id).await?;
    let invoiced: BigDecimal = sources.iter().map(|source| &source.cost_exact + &source.excluded_tax).sum();
    let left = unassigned_accounts(&mut connection, UnassignedFilter::of_month(period)).await?;
    let left: BigDecimal = left.iter().map(|account| &account.cost_exact + &account.excluded_tax).sum();
    assert_eq!(invoiced + left, parse_decimal("742.08")? + parse_decimal("91.80")?);
    Ok(())
}
