//! Oracle's cost reports: corrections are billed with the month they came in, and tags are one object.

use std::fs::File;

use anyhow::{Context, Result};
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{charge::Charge, money::parse_decimal},
    providers::{self, ChargeFileError, check_charges_while},
};

use crate::support::TestDatabase;
use crate::support::charge_text::{Table, charges, charges_of, expected, rejection, sums};
use crate::support::fixture::fixture;
use crate::support::import::{import, insert_reseller};

const ORACLE: &str = "oracle";
const SAMPLE: &str = "oci-synth/cost_report_2026_08.csv";

fn sample() -> Result<Table> {
    Table::read(&fixture(SAMPLE))
}

#[test]
fn the_sample_has_its_exact_sums_by_compartment_and_service() -> Result<()> {
    let read = charges_of(ORACLE, &fixture(SAMPLE))?;
    assert_eq!(read.len(), 11);
    let by_compartment = [("production", "0.178842655913978493"), ("test", "4.8065"), ("", "0.5")];
    let name = |charge: &Charge| charge.sub_account_name.clone().unwrap_or_default();
    assert_eq!(sums(&read, name), expected(&by_compartment)?);
    let by_service = [
        ("COMPUTE", "0.17484"),
        ("BLOCK_STORAGE", "0.004002655913978493"),
        ("OBJECTSTORE", "3.5565"),
        ("NETWORK", "0"),
        ("DATABASE", "1.25"),
        ("SUPPORT", "0.5"),
    ];
    assert_eq!(sums(&read, |charge| charge.service_name.clone()), expected(&by_service)?);
    Ok(())
}

#[test]
fn two_time_formats_in_a_row_are_both_read() -> Result<()> {
    let charge = charges(ORACLE, &sample()?.only("lineItem/referenceNo", "V2.u1+aa=="))?.pop().context("a charge")?;
    assert_eq!(charge.charge_period_start.to_string(), "2026-08-01 00:00:00 UTC");
    assert_eq!(charge.charge_period_end.to_string(), "2026-08-01 01:00:00 UTC");
    Ok(())
}

#[test]
fn corrections_of_an_earlier_month_are_billed_with_the_reports_own_in_any_order() -> Result<()> {
    for table in [sample()?, sample()?.reversed()] {
        let read = charges(ORACLE, &table)?;
        assert!(read.iter().all(|charge| charge.billing_period.to_string() == "2026-08"));
        let (corrections, own): (Vec<_>, Vec<_>) = read.into_iter().partition(|charge| charge.is_correction);
        let of_july = |charge: &Charge| charge.charge_period_start.to_string() == "2026-07-30 22:00:00 UTC";
        assert_eq!(corrections.len(), 2);
        assert!(corrections.iter().all(of_july) && !own.iter().any(of_july));
        assert_eq!(sums(&corrections, |_| String::new()), expected(&[("", "-0.0558")])?);
        let references = corrections.iter().flat_map(|charge| &charge.x_columns);
        let references = references.filter(|(name, _)| name == "lineItem/backreferenceNo").count();
        assert_eq!(references, 2);
    }
    Ok(())
}

#[test]
fn a_correction_within_the_month_is_part_of_the_month() -> Result<()> {
    let read = charges_of(ORACLE, &fixture(SAMPLE))?;
    let within = read.iter().find(|charge| charge.billed_cost == parse_decimal("-2.371E-3").expect("a decimal"));
    assert!(!within.context("there")?.is_correction);
    Ok(())
}

#[test]
fn usage_of_an_earlier_month_stays_in_it() -> Result<()> {
    let late = sample()?.only("lineItem/referenceNo", "V2.u1+aa==");
    let late = late.with("lineItem/intervalUsageStart", "2026-07-31T23:00Z");
    let read = charges(ORACLE, &sample()?.and(late))?;
    let last = read.last().context("a charge")?;
    assert_eq!((last.billing_period.to_string(), last.is_correction), ("2026-07".to_owned(), false));
    Ok(())
}

#[test]
fn corrections_alone_are_refused_with_the_way_out() -> Result<()> {
    let shown = rejection(ORACLE, &sample()?.only("lineItem/isCorrection", "true"))?.to_string();
    assert!(
        shown.contains("line 2, column lineItem/isCorrection, value `true`: the file holds corrections"),
        "{shown}"
    );
    assert!(shown.contains("send both as one file") && shown.lines().count() == 4, "{shown}");
    Ok(())
}

#[test]
fn whether_a_row_corrects_is_not_guessed() -> Result<()> {
    let shown = rejection(ORACLE, &sample()?.with("lineItem/isCorrection", "maybe"))?.to_string();
    assert!(shown.contains("value `maybe`: must be true, false or null"), "{shown}");
    Ok(())
}

#[test]
fn the_tags_of_a_row_are_one_json_object_whatever_the_columns() -> Result<()> {
    let row = sample()?.only("lineItem/referenceNo", "V2.u1+aa==").with("tags/Late-Tags.New", "a \"b\"");
    let charge = charges(ORACLE, &row)?.pop().context("a charge")?;
    let tags: serde_json::Value = serde_json::from_str(&charge.tags.context("tags")?)?;
    let expected = serde_json::json!({
        "Oracle-Tags.CreatedBy": "default/ops@reseller.example",
        "Oracle-Tags.CreatedOn": "2026-05-02T08:11:09.000Z",
        "CostCenter.team": "search",
        "Late-Tags.New": "a \"b\"",
    });
    assert_eq!(tags, expected);
    assert!(charge.x_columns.iter().all(|(name, _)| !name.starts_with("tags/")));
    Ok(())
}

#[test]
fn no_cost_or_price_of_oracles_is_kept_for_the_detail() -> Result<()> {
    let money = ["cost/unitPrice", "cost/myCost", "cost/myCostOverage", "cost/unitPriceOverage", "cost/attributedCost"];
    for charge in charges(ORACLE, &sample()?.with("cost/unitPriceOverage", "1").with("cost/myCostOverage", "2"))? {
        assert!(charge.x_columns.iter().all(|(name, _)| !money.contains(&name.as_str())), "{:?}", charge.x_columns);
        assert!(charge.x_columns.iter().any(|(name, _)| name == "cost/subscriptionId"));
    }
    Ok(())
}

#[test]
fn a_usage_report_is_refused_naming_the_cost_it_lacks() -> Result<()> {
    let shown = rejection(ORACLE, &sample()?.without("cost/myCost").without("cost/currencyCode"))?.to_string();
    assert!(shown.contains("column cost/myCost: required OCI cost report column is missing"), "{shown}");
    Ok(())
}

#[test]
fn a_check_nobody_waits_for_any_more_ends_while_it_looks_for_the_month() -> Result<()> {
    let profile = providers::find(ORACLE)?;
    let stopped = check_charges_while(profile, || File::open(fixture(SAMPLE)), |rows| rows != 0);
    assert!(matches!(stopped, Err(ChargeFileError::Io(_))), "{stopped:?}");
    Ok(())
}

#[tokio::test]
async fn a_correction_leaves_the_month_it_corrects_as_it_was() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let july = sample()?
        .only("lineItem/referenceNo", "V2.u1+aa==")
        .with("lineItem/intervalUsageStart", "2026-07-30T22:00Z")
        .with("lineItem/intervalUsageEnd", "2026-07-30T23:00Z");
    import(&database.pool, reseller_id, ORACLE, july.to_file()?.path()).await?;
    import(&database.pool, reseller_id, ORACLE, &fixture(SAMPLE)).await?;
    let active: Vec<(String, BigDecimal)> = sqlx::query_as(
        "SELECT scope.billing_period_start::text, SUM(total.billed_cost)
         FROM charge_scopes scope JOIN charge_totals total ON total.charge_scope_id = scope.id
         WHERE scope.superseded_by IS NULL GROUP BY 1 ORDER BY 1",
    )
    .fetch_all(&database.pool)
    .await?;
    let expected = [("2026-07-01", "0.1116"), ("2026-08-01", "5.485342655913978493")];
    let expected = expected.map(|(start, sum)| Ok((start.to_owned(), parse_decimal(sum)?)));
    assert_eq!(active, expected.into_iter().collect::<Result<Vec<_>>>()?);
    Ok(())
}
