//! What a row says is what Postgres holds, value for value: charges travel in COPY's binary form.

use std::io::Write;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::support::{
    TestDatabase,
    import::{import, insert_reseller},
};

const HEADER: &str = "BilledCost,BillingCurrency,BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,\
    ChargeClass,ChargeDescription,ChargeFrequency,ChargePeriodStart,ChargePeriodEnd,ConsumedQuantity,ConsumedUnit,RegionId,\
    ResourceId,ResourceName,ServiceCategory,ServiceName,SkuId,SubAccountId,SubAccountName,Tags,x_b,x_a";

/// Every number a file may hold, and how Postgres writes it.
const NUMBERS: [(&str, &str); 16] = [
    ("0", "0"),
    ("0.0000000000", "0.0000000000"),
    ("-0.00", "0.00"),
    ("1", "1"),
    ("10000", "10000"),
    ("123456.7", "123456.7"),
    ("-0.05", "-0.05"),
    ("0.00001", "0.00001"),
    ("-1234567890.1234567890", "-1234567890.1234567890"),
    ("922337203685477580.7", "922337203685477580.7"),
    ("9223372036854775808", "9223372036854775808"),
    ("0.0000000000000000000000000001", "0.0000000000000000000000000001"),
    ("12345678901234567890.1234567890123456789012345678", "12345678901234567890.1234567890123456789012345678"),
    ("1.5E+2", "150"),
    ("-7.30E-7", "-0.000000730"),
    ("35.2e2", "3520"),
];

async fn stored(rows: &str, columns: &str) -> Result<Vec<Value>> {
    let mut file = tempfile::NamedTempFile::new()?;
    write!(file, "{HEADER}\n{rows}")?;
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    import(&database.pool, reseller_id, "focus", file.path()).await?;
    let statement = format!("SELECT to_jsonb(c) FROM (SELECT {columns} FROM charges ORDER BY row_number) AS c");
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(&database.pool).await?)
}

#[tokio::test]
async fn every_number_is_stored_with_all_its_digits_and_decimals() -> Result<()> {
    let row = |(number, _): &(&str, &str)| {
        format!("{number},EUR,payer,2026-10-01,2026-11-01,Usage,,,,2026-10-05,2026-10-06,{number},,,,,,Compute,,,,,,\n")
    };
    let rows: String = NUMBERS.iter().map(row).collect();
    let stored = stored(&rows, "billed_cost::text, consumed_quantity::text").await?;
    let expected = NUMBERS.map(|(_, text)| json!({ "billed_cost": text, "consumed_quantity": text }));
    assert_eq!(stored, expected);
    Ok(())
}

#[tokio::test]
async fn every_value_of_a_row_is_stored_as_it_stands_in_the_file() -> Result<()> {
    let full = "1.5,EUR,payer,2026-09-30T22:00:00Z,2026-11-01,Credit,Correction,\"tab\there, \\N and\n\"\"quotes\"\"\",Recurring,\
        1999-12-31T23:59:59.999999Z,2026-10-06T01:02:03.000001+02:00,-2,Größe,eu-1,res\\ource,n,sc,データ,sku,sub,name,\
        \"{\"\"a\"\":\"\"b\"\"}\",\"x\"\"\\ü\n\",1\n";
    let empty = "1,EUR,payer,2026-09-30,2026-11-01,Usage,,,,2026-10-05,2026-10-06,,,,,,,Compute,,,,,,\n";
    let columns = "billing_period_start, row_number, billing_currency, charge_category, charge_class, charge_description, \
        charge_frequency, charge_period_start AT TIME ZONE 'UTC' AS starts, charge_period_end AT TIME ZONE 'UTC' AS ends, \
        consumed_quantity, consumed_unit, region_id, resource_id, resource_name, service_category, service_name, sku_id, \
        sub_account_id, sub_account_name, tags, x_columns";
    let stored = stored(&format!("{full}{empty}"), columns).await?;
    let [first, second] = stored.as_slice() else { panic!("{stored:?}") };
    let expected = json!({
        "billing_period_start": "2026-09-30", "row_number": 1, "billing_currency": "EUR", "charge_category": "Credit",
        "charge_class": "Correction", "charge_description": "tab\there, \\N and\n\"quotes\"",
        "charge_frequency": "Recurring", "starts": "1999-12-31T23:59:59.999999", "ends": "2026-10-05T23:02:03.000001",
        "consumed_quantity": -2, "consumed_unit": "Größe", "region_id": "eu-1", "resource_id": "res\\ource",
        "resource_name": "n", "service_category": "sc", "service_name": "データ", "sku_id": "sku", "sub_account_id": "sub",
        "sub_account_name": "name", "tags": "{\"a\":\"b\"}", "x_columns": { "x_a": "1", "x_b": "x\"\\ü\n" },
    });
    assert_eq!(first, &expected);
    let nulls = second.as_object().context("an object")?.iter().filter(|(_, value)| value.is_null());
    assert_eq!(nulls.count(), 13, "{second}");
    assert_eq!(second["sub_account_id"], "payer");
    Ok(())
}
