//! Microsoft's cost details: what is billed is read exactly, and what is not a bill is refused.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use bigdecimal::BigDecimal;
use billrunner::domain::{
    charge::{Charge, ChargeCategory},
    money::parse_decimal,
};
use serde::Deserialize;

use crate::support::TestDatabase;
use crate::support::charge_text::{Table, charge, charges, charges_of, rejection, rejection_of, sums};
use crate::support::import::{import, insert_reseller};

const MICROSOFT: &str = "microsoft";

/// What sums are told apart by.
type Key<'a> = &'a dyn Fn(&Charge) -> String;

#[derive(Deserialize)]
struct ExpectedSum {
    sum: String,
    rows: usize,
}

/// Returns where the shared files lie, if they are here.
fn corpus() -> Result<Option<PathBuf>> {
    let corpus = std::env::var_os("BILLRUNNER_CORPUS").map(PathBuf::from);
    if corpus.is_none() {
        writeln!(std::io::stderr(), "left out: BILLRUNNER_CORPUS does not name the folder of real charge files")?;
    }
    Ok(corpus)
}

fn usage() -> Table {
    Table::of(&[
        ("BillingProfileId", "8611537"),
        ("SubscriptionId", "9ec51cfd"),
        ("BillingPeriodStartDate", "9/1/2026"),
        ("BillingPeriodEndDate", "9/30/2026"),
        ("Date", "9/22/2026"),
        ("MeterCategory", "Virtual Machines"),
        ("CostInBillingCurrency", "1.5"),
        ("BillingCurrencyCode", "EUR"),
        ("ChargeType", "Usage"),
        ("PricingModel", "OnDemand"),
    ])
}

fn assert_sums(path: &Path) -> Result<()> {
    let charges = charges_of(MICROSOFT, path)?;
    let expected = std::fs::read(format!("{}.expected.json", path.display()))?;
    let mut expected: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&expected)?;
    let currency = |charge: &Charge| charge.billing_currency.to_string();
    let account = |charge: &Charge| format!("{}|{}", currency(charge), charge.sub_account_id);
    let service = |charge: &Charge| format!("{}|{}", currency(charge), charge.service_name);
    let category = |charge: &Charge| format!("{}|{}", currency(charge), charge.charge_category);
    let both = |charge: &Charge| format!("{}|{}", account(charge), charge.charge_category);
    let keys: [(&str, Key<'_>); 5] = [
        ("by_currency", &currency),
        ("by_currency_subaccount", &account),
        ("by_currency_service", &service),
        ("by_currency_category", &category),
        ("by_currency_subaccount_category", &both),
    ];
    for (name, key) in keys {
        let expected: BTreeMap<String, ExpectedSum> = serde_json::from_value(expected.remove(name).context(name)?)?;
        let rows = |key_value: &String| charges.iter().filter(|charge| key(charge) == *key_value).count();
        let expected_sums = expected.iter().map(|(key, sum)| Ok((key.clone(), parse_decimal(&sum.sum)?)));
        assert_eq!(sums(&charges, key), expected_sums.collect::<Result<_>>()?, "{} {name}", path.display());
        assert!(expected.iter().all(|(key, sum)| rows(key) == sum.rows), "{} {name}", path.display());
    }
    Ok(())
}

#[test]
fn every_shared_azure_file_has_its_exact_sums_or_is_refused_saying_why() -> Result<()> {
    let Some(corpus) = corpus()? else { return Ok(()) };
    for file in [
        "focus-converters-azure/azure_ea_anonymous.csv",
        "nise-synth/azure_cost_202608_USD.csv",
        "finops-toolkit-ea/EA_NoRows.csv",
    ] {
        assert_sums(&corpus.join(file)).with_context(|| file.to_owned())?;
    }
    // The sums that stand beside these are of no use: the files say what they cost, and not in which currency.
    let missing = "line 1, column BillingCurrency: required Azure cost details column is missing";
    for (file, said) in [
        ("finops-toolkit-ea/EA_AmortizedCost_Small.csv", "line 2, column Cost, value `0.493152`: this is an amortized"),
        ("opencost-azure/headersets_BOM.csv", "line 2, column SubscriptionGuid: must not be null where no billing"),
        ("opencost-azure/values_MissingBrackets.csv", missing),
        ("opencost-azure/values_Template.csv", missing),
    ] {
        let shown = rejection_of(MICROSOFT, &corpus.join(file))?.to_string();
        assert!(shown.contains(said), "{file}: {shown}");
    }
    Ok(())
}

#[test]
fn every_shared_set_of_azure_column_names_is_read_alike() -> Result<()> {
    let Some(corpus) = corpus()? else { return Ok(()) };
    for (file, account, service, cost) in [
        ("EnterpriseCamel", "11111111-1111-1111-1111-123456789012", "Virtual Network", "0.012"),
        ("German", "11111111-12ab-34dc-56ef-123456abcdef", "Load Balancer", "0.075"),
        ("PayAsYouGo", "11111111-12ab-34dc-56ef-123456abcdef", "Load Balancer", "0.075"),
        ("YA", "11111111-12ab-34dc-56ef-123456abcdef", "Load Balancer", "0.075"),
    ] {
        let read = charges_of(MICROSOFT, &corpus.join(format!("opencost-azure/headersets_{file}.csv")))?;
        let [charge] = read.as_slice() else { panic!("{file}: {read:?}") };
        assert_eq!((charge.sub_account_id.as_str(), charge.service_name.as_str()), (account, service), "{file}");
        assert_eq!((&charge.billed_cost, charge.billing_currency.code()), (&parse_decimal(cost)?, "USD"), "{file}");
        assert_eq!(
            (charge.charge_category, charge.billing_period.to_string()),
            (ChargeCategory::Usage, "2021-02".into())
        );
    }
    Ok(())
}

#[test]
fn the_last_day_of_a_billing_period_is_counted_in() -> Result<()> {
    let whole = charge(MICROSOFT, &usage())?;
    assert_eq!(whole.billing_period.to_string(), "2026-09");
    assert_eq!(whole.charge_period_start.to_string(), "2026-09-22 00:00:00 UTC");
    assert_eq!(whole.charge_period_end.to_string(), "2026-09-23 00:00:00 UTC");
    let own = usage().with("BillingPeriodStartDate", "2026-09-15").with("BillingPeriodEndDate", "2026-10-14");
    assert_eq!(charge(MICROSOFT, &own)?.billing_period.to_string(), "2026-09-15/2026-10-15");
    Ok(())
}

#[test]
fn a_file_without_a_billing_period_is_billed_in_the_month_of_each_charge() -> Result<()> {
    let without = usage().without("BillingPeriodStartDate").without("BillingPeriodEndDate");
    let both = without.clone().and(without.with("Date", "12/31/2026"));
    let periods: Vec<_> = charges(MICROSOFT, &both)?.iter().map(|charge| charge.billing_period.to_string()).collect();
    assert_eq!(periods, ["2026-09", "2026-12"]);
    let half = rejection(MICROSOFT, &usage().with("BillingPeriodEndDate", ""))?.to_string();
    assert!(half.contains("line 2, column BillingPeriodEndDate: must not be null where the other end"), "{half}");
    Ok(())
}

#[test]
fn every_charge_type_of_actual_cost_has_its_focus_category() -> Result<()> {
    for (charge_type, category) in [
        ("Usage", ChargeCategory::Usage),
        ("purchase", ChargeCategory::Purchase),
        ("Refund", ChargeCategory::Purchase),
        ("Tax", ChargeCategory::Tax),
        ("Credit", ChargeCategory::Credit),
        ("RoundingAdjustment", ChargeCategory::Adjustment),
    ] {
        let charge = charge(MICROSOFT, &usage().with("ChargeType", charge_type))?;
        assert_eq!((charge.charge_category, charge.is_correction), (category, false), "{charge_type}");
    }
    let shown = rejection(MICROSOFT, &usage().with("ChargeType", "Gift"))?.to_string();
    assert!(
        shown.contains("line 2, column ChargeType, value `Gift`: not a charge type; Cost Management knows"),
        "{shown}"
    );
    Ok(())
}

#[test]
fn a_refund_dated_before_the_billing_period_corrects_that_month() -> Result<()> {
    let refund = usage().with("ChargeType", "Refund").with("CostInBillingCurrency", "-9").with("Date", "8/3/2026");
    let charge = charge(MICROSOFT, &refund)?;
    assert!(charge.is_correction);
    assert_eq!(charge.billing_period.to_string(), "2026-09");
    assert_eq!(charge.charge_period_start.to_string(), "2026-08-03 00:00:00 UTC");
    Ok(())
}

#[test]
fn an_amortized_file_is_no_source_of_invoices() -> Result<()> {
    for (charge_type, pricing_model) in [
        ("Usage", "Reservation"),
        ("usage", "SavingsPlan"),
        ("UnusedReservation", "Reservation"),
        ("UnusedSavingsPlan", "SavingsPlan"),
    ] {
        let row = usage().with("ChargeType", charge_type).with("PricingModel", pricing_model);
        let shown = rejection(MICROSOFT, &row)?.to_string();
        assert!(shown.contains("this is an amortized cost file") && shown.contains("export actual cost"), "{shown}");
    }
    // In actual cost the same usage is free, and the commitment is bought.
    let free = usage().with("PricingModel", "Reservation").with("CostInBillingCurrency", "0");
    let bought = usage().with("PricingModel", "Reservation").with("ChargeType", "Purchase");
    assert_eq!(sums(&charges(MICROSOFT, &free.and(bought))?, |_| String::new())[""], parse_decimal("1.5")?);
    Ok(())
}

#[test]
fn a_purchase_for_a_whole_enrollment_is_the_payers_own() -> Result<()> {
    let charge = charge(MICROSOFT, &usage().with("ChargeType", "Purchase").with("SubscriptionId", ""))?;
    assert_eq!((charge.billing_account_id.as_str(), charge.sub_account_id.as_str()), ("8611537", "8611537"));
    Ok(())
}

#[test]
fn what_has_no_meter_is_named_by_what_was_bought_or_what_it_is() -> Result<()> {
    let bare = usage().with("MeterCategory", "").with("ChargeType", "RoundingAdjustment");
    assert_eq!(charge(MICROSOFT, &bare)?.service_name, "RoundingAdjustment");
    let bought = bare.with("ProductOrderName", "Reserved VM Instance, 1 Year").with("ChargeType", "Purchase");
    assert_eq!(charge(MICROSOFT, &bought)?.service_name, "Reserved VM Instance, 1 Year");
    Ok(())
}

#[test]
fn no_price_cost_or_rate_of_microsofts_is_kept_for_the_detail() -> Result<()> {
    let mut table = usage().with("MeterId", "kept").with("CostCenter", "kept").with("IsAzureCreditEligible", "kept");
    let money = "EffectivePrice,UnitPrice,PayGPrice,costInUsd,paygCostInBillingCurrency,exchangeRatePricingToBilling,\
                 ResourceRate,PreTaxCost,partnerEarnedCreditRate,pricingCurrency";
    for name in money.split(',') {
        table = table.with(name, "0.123456789");
    }
    let kept = charge(MICROSOFT, &table)?.x_columns;
    assert!(kept.iter().all(|(_, value)| value != "0.123456789"), "{kept:?}");
    assert_eq!(kept.iter().filter(|(_, value)| value == "kept").count(), 3);
    Ok(())
}

#[test]
fn a_header_in_german_without_english_names_is_refused_naming_the_language() -> Result<()> {
    let german =
        Table::of(&[("Abonnement-ID", "1"), ("Ressourcengruppe", "a"), ("Datum", "1.9.2026"), ("Kosten", "1,5")]);
    let shown = rejection(MICROSOFT, &german)?.to_string();
    assert!(shown.contains("line 1, column Ressourcengruppe: ") && shown.contains("header in German"), "{shown}");
    Ok(())
}

#[test]
fn a_native_file_of_ibm_is_refused_with_the_way_out() -> Result<()> {
    let report =
        Table::of(&[("Account ID", "a"), ("Billable Cost", "1"), ("Non Billable Cost", "0"), ("Month", "2026-09")]);
    let shown = rejection("ibm", &report)?.to_string();
    assert!(shown.contains("IBM's charges are read as FOCUS only: send the FOCUS export"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn files_of_two_billing_profiles_stand_beside_each_other() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let of_account = usage().with("BillingAccountId", "one account");
    for (profile, cost) in [("first", "1"), ("second", "2"), ("second", "4")] {
        let table = of_account.clone().with("BillingProfileId", profile).with("CostInBillingCurrency", cost);
        import(&database.pool, reseller_id, MICROSOFT, table.to_file()?.path()).await?;
    }
    let active: Vec<(String, BigDecimal)> = sqlx::query_as(
        "SELECT scope.billing_account_id, total.billed_cost
         FROM charge_scopes scope JOIN charge_totals total ON total.charge_scope_id = scope.id
         WHERE scope.superseded_by IS NULL ORDER BY 1",
    )
    .fetch_all(&database.pool)
    .await?;
    assert_eq!(active, [("first".to_owned(), 1.into()), ("second".to_owned(), 4.into())]);
    Ok(())
}
