//! Files in providers' own formats, from disk to Postgres; and the rules of charge files that hold for every format.

use std::{collections::BTreeMap, io::Write, path::Path};

use anyhow::{Context, Result};
use bigdecimal::BigDecimal;
use billrunner::{
    domain::money::parse_decimal,
    providers::{ChargeFileError, RejectedFile},
};
use sqlx::PgPool;
use tempfile::NamedTempFile;

use crate::support::{
    TestDatabase,
    fixture::fixture,
    import::{import, insert_reseller},
};

const GOOGLE: &str = "\
billing_account_id,invoice.month,cost_type,service.description,usage_start_time,usage_end_time,project.id,cost,currency,credits
01A2B3,202608,regular,Compute Engine,2026-07-31 23:00:00 UTC,2026-08-01 00:00:00 UTC,shop,10.0000000000000000000000000001,EUR,\"[{\"\"name\"\":\"\"Free trial\"\",\"\"amount\"\":-3.5},{\"\"name\"\":\"\"CUD\"\",\"\"amount\"\":-0.0000000000000000000000000001}]\"
01A2B3,202608,tax,Invoice,2026-08-01 00:00:00 UTC,2026-09-01 00:00:00 UTC,,1.24,EUR,[]
01A2B3,202608,regular,Support,2026-08-01 00:00:00 UTC,2026-09-01 00:00:00 UTC,,29,EUR,[]
";

fn file(text: &str) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// Returns what the database summed by account and category, and the format of the one file.
async fn stored(pool: &PgPool) -> Result<(String, BTreeMap<String, BigDecimal>)> {
    let format = sqlx::query_scalar("SELECT format FROM charge_files").fetch_one(pool).await?;
    let sums: Vec<(String, BigDecimal)> = sqlx::query_as(
        "SELECT concat_ws('|', to_char(billing_period_start, 'YYYY-MM'), sub_account_id, charge_category),
                SUM(billed_cost)
         FROM charges GROUP BY 1",
    )
    .fetch_all(pool)
    .await?;
    Ok((format, sums.into_iter().collect()))
}

async fn rejection(provider: &str, path: &Path) -> Result<RejectedFile> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let error = import(&database.pool, reseller_id, provider, path).await.err().context("accepted")?;
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM charge_files").fetch_one(&database.pool).await?;
    assert_eq!(stored, 0);
    match error.downcast()? {
        ChargeFileError::Rejected(rejected) => Ok(rejected),
        ChargeFileError::Io(error) => Err(error.into()),
    }
}

#[tokio::test]
async fn a_google_export_becomes_what_google_bills_by_project_and_category() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    import(&database.pool, reseller_id, "google", file(GOOGLE)?.path()).await?;
    let (format, sums) = stored(&database.pool).await?;
    assert_eq!(format, "google-billing");
    let expected = [
        ("2026-08|01A2B3|Tax", "1.24"),
        ("2026-08|01A2B3|Usage", "29"),
        ("2026-08|shop|Credit", "-3.5000000000000000000000000001"),
        ("2026-08|shop|Usage", "10.0000000000000000000000000001"),
    ];
    let expected = expected.map(|(key, sum)| Ok((key.to_owned(), parse_decimal(sum)?)));
    assert_eq!(sums, expected.into_iter().collect::<Result<_>>()?);
    let numbers: Vec<i64> =
        sqlx::query_scalar("SELECT row_number FROM charges ORDER BY 1").fetch_all(&database.pool).await?;
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    Ok(())
}

#[tokio::test]
async fn the_synthetic_cur_file_has_its_exact_sums() -> Result<()> {
    let Some(corpus) = std::env::var_os("BILLRUNNER_CORPUS") else {
        writeln!(std::io::stderr(), "left out: BILLRUNNER_CORPUS does not name the folder of real charge files")?;
        return Ok(());
    };
    let path = Path::new(&corpus).join("nise-synth/aws_cur_202608_15k.csv.gz");
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(format!("{}.expected.json", path.display()))?)?;
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    import(&database.pool, reseller_id, "aws", &path).await?;
    let (format, sums) = stored(&database.pool).await?;
    assert_eq!(format, "aws-cur");
    let expected = expected["by_currency_subaccount_category"].as_object().context("sums")?;
    let expected = expected.iter().map(|(key, sum)| {
        let sum = parse_decimal(sum["sum"].as_str().context("a sum")?)?;
        Ok((key.replacen("USD|", "2026-08|", 1), sum))
    });
    assert_eq!(sums, expected.collect::<Result<_>>()?);
    Ok(())
}

#[tokio::test]
async fn a_file_of_another_provider_is_refused_with_whose_it_is() -> Result<()> {
    let shown = rejection("aws", file(GOOGLE)?.path()).await?.to_string();
    let expected = "line 1: this is a file of provider `google` (Google billing export); import it as one of `google`, \
                    or send what `aws` accepts: FOCUS, AWS CUR";
    assert!(shown.contains(expected), "{shown}");
    Ok(())
}

#[tokio::test]
async fn one_bad_row_rejects_the_whole_file() -> Result<()> {
    let shown = rejection("google", file(&GOOGLE.replace(",29,", ",29 €,"))?.path()).await?.to_string();
    assert!(shown.contains("line 4, column cost, value `29 €`: not a decimal number"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn two_equal_rows_are_two_charges() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let support = GOOGLE.lines().last().context("a row")?;
    import(&database.pool, reseller_id, "google", file(&format!("{GOOGLE}{support}\n"))?.path()).await?;
    let (_, sums) = stored(&database.pool).await?;
    assert_eq!(sums["2026-08|01A2B3|Usage"], parse_decimal("58")?);
    Ok(())
}

#[tokio::test]
async fn a_later_file_in_another_format_supersedes_and_never_adds() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    import(&database.pool, reseller_id, "google", file(GOOGLE)?.path()).await?;
    let header = "BilledCost,BillingCurrency,BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,\
                  ChargePeriodStart,ChargePeriodEnd,ServiceName";
    let focus = format!("{header}\n7,EUR,01A2B3,2026-08-01,2026-09-01,Usage,2026-08-01,2026-08-02,Compute Engine\n");
    import(&database.pool, reseller_id, "google", file(&focus)?.path()).await?;
    let active: BigDecimal = sqlx::query_scalar(
        "SELECT SUM(total.billed_cost) FROM charge_scopes scope
         JOIN charge_totals total ON total.charge_scope_id = scope.id WHERE scope.superseded_by IS NULL",
    )
    .fetch_one(&database.pool)
    .await?;
    assert_eq!(active, parse_decimal("7")?);
    Ok(())
}

#[tokio::test]
async fn the_name_of_a_file_means_nothing() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let folder = tempfile::tempdir()?;
    let misnamed = folder.path().join("aws_cur_2026-08.csv.gz");
    std::fs::copy(fixture("traps/t01_bom_crlf.csv"), &misnamed)?;
    import(&database.pool, reseller_id, "aws", &misnamed).await?;
    assert_eq!(stored(&database.pool).await?.0, "focus");
    Ok(())
}
