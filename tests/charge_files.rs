//! Charge files from disk to Postgres: accepted whole with their exact sums, or rejected whole.

use std::{collections::BTreeMap, io::Write, path::Path};

use crate::support::TestDatabase;
use crate::support::fixture::fixture;
use crate::support::import::{import, import_checked, insert_reseller};
use anyhow::{Context, Result};
use bigdecimal::BigDecimal;
use billrunner::{
    domain::{charge_file::ChargeRow, ids::ResellerId, money::parse_decimal},
    providers::{self, ChargeFileError, Profile, RejectedFile, check_charge_file, read_charges},
    store::charges::{
        NewChargeFile, StoreChargeFileError, StoredChargeFile, ensure_charges_partitions, find_charge_file,
        store_charge_file,
    },
};
use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgPool};

/// Sum and number of rows by a key such as `EUR|sub-1|Usage`.
type Sums = BTreeMap<String, (BigDecimal, i64)>;

#[derive(Deserialize)]
struct ExpectedTrap {
    expect: String,
    rows: Option<i64>,
    #[serde(default)]
    sums: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ExpectedSum {
    sum: String,
    rows: i64,
}

/// By what the sums are of, such as `by_currency_subaccount`.
type ExpectedFile = BTreeMap<String, serde_json::Value>;

/// Sums the stored charges of a reseller by a list of columns, in Postgres.
async fn stored_sums(pool: &PgPool, reseller_id: ResellerId, columns: &str) -> Result<Sums> {
    let statement = format!(
        "SELECT concat_ws('|', {columns}), SUM(billed_cost), count(*) FROM charges WHERE reseller_id = $1 GROUP BY 1"
    );
    let rows: Vec<(String, BigDecimal, i64)> =
        sqlx::query_as(AssertSqlSafe(statement)).bind(reseller_id).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(key, sum, count)| (key, (sum, count))).collect())
}

async fn count(pool: &PgPool, table: &str) -> Result<i64> {
    let statement = format!("SELECT count(*) FROM {table}");
    Ok(sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(pool).await?)
}

fn traps() -> Result<BTreeMap<String, ExpectedTrap>> {
    Ok(serde_json::from_slice(&std::fs::read(fixture("traps/expected.json"))?)?)
}

fn focus() -> &'static Profile {
    providers::find("focus").expect("known")
}

fn rejection(path: &Path) -> RejectedFile {
    match check_charge_file(focus(), path) {
        Err(ChargeFileError::Rejected(rejected)) => rejected,
        other => panic!("{}: {other:?}", path.display()),
    }
}

#[tokio::test]
async fn every_trap_is_accepted_or_rejected_as_expected() -> Result<()> {
    let database = TestDatabase::new().await?;
    let traps = traps()?;
    assert_eq!(traps.len(), 19);
    for (name, expected) in traps {
        let path = fixture("traps").join(&name);
        let reseller_id = insert_reseller(&database.pool).await?;
        let imported = import(&database.pool, reseller_id, "focus", &path).await;
        if expected.expect == "reject" {
            let error = imported.err().with_context(|| format!("{name} was accepted"))?;
            assert!(matches!(error.downcast_ref(), Some(ChargeFileError::Rejected(_))), "{name}: {error:?}");
            continue;
        }
        imported.with_context(|| name.clone())?;
        let columns = "billing_currency, sub_account_id, charge_category, coalesce(charge_class, '-')";
        let stored = stored_sums(&database.pool, reseller_id, columns).await?;
        assert_eq!(stored.values().map(|(_, rows)| rows).sum::<i64>(), expected.rows.context("rows")?, "{name}");
        let sums: BTreeMap<_, _> = stored.into_iter().map(|(key, (sum, _))| (key, sum)).collect();
        let expected = expected.sums.into_iter().map(|(key, sum)| Ok((key, parse_decimal(&sum)?)));
        assert_eq!(sums, expected.collect::<Result<BTreeMap<_, _>>>()?, "{name}");
    }
    Ok(())
}

#[test]
fn a_rejected_trap_says_line_column_value_and_rule() -> Result<()> {
    let said = [
        ("t20_semicolon_latin1.csv", "line 1, column BilledCost;BillingAccountId;", "separated by semicolons"),
        ("t21_currency_symbol.csv", "line 2, column BilledCost, value `$1,234.50`", "not a decimal number"),
        ("t23_missing_required_column.csv", "line 1, column BillingCurrency", "required FOCUS column is missing"),
        ("t24_bad_currency.csv", "line 2, column BillingCurrency, value `EURO`", "not an ISO 4217 currency"),
        ("t25_ragged.csv", "line 2, column BillingCurrency", "the row has 3 fields, the header 25"),
    ];
    let rejected = traps()?.into_iter().filter(|(_, trap)| trap.expect == "reject").map(|(name, _)| name);
    assert_eq!(rejected.collect::<Vec<_>>(), said.map(|(name, _, _)| name));
    for (name, place, rule) in said {
        let shown = rejection(&fixture("traps").join(name)).to_string();
        assert!(shown.contains(place) && shown.contains(rule), "{name}: {shown}");
    }
    Ok(())
}

async fn assert_sums_as_expected(path: &Path) -> Result<()> {
    assert_sums_of_provider_as_expected("focus", path).await
}

pub async fn assert_sums_of_provider_as_expected(provider: &str, path: &Path) -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    import(&database.pool, reseller_id, provider, path).await?;
    let expected = std::fs::read(format!("{}.expected.json", path.display()))?;
    let mut expected: ExpectedFile = serde_json::from_slice(&expected)?;
    for (columns, name) in [
        ("billing_currency", "by_currency"),
        ("billing_currency, sub_account_id", "by_currency_subaccount"),
        ("billing_currency, service_name", "by_currency_service"),
        ("billing_currency, charge_category", "by_currency_category"),
        ("billing_currency, sub_account_id, charge_category", "by_currency_subaccount_category"),
    ] {
        let expected: BTreeMap<String, ExpectedSum> = serde_json::from_value(expected.remove(name).context(name)?)?;
        let expected = expected.into_iter().map(|(key, sum)| Ok((key, (parse_decimal(&sum.sum)?, sum.rows))));
        let stored = stored_sums(&database.pool, reseller_id, columns).await?;
        assert_eq!(stored, expected.collect::<Result<Sums>>()?, "{} {name}", path.display());
    }
    Ok(())
}

#[tokio::test]
async fn synthetic_files_of_three_providers_have_their_exact_sums() -> Result<()> {
    for provider in ["aws", "azure", "gcp"] {
        let name = format!("focus-toolkit-synth/dev/focus_1_2_cost_and_usage_{provider}.csv");
        assert_sums_as_expected(&fixture(&name)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_real_focus_sample_has_its_exact_sums() -> Result<()> {
    let Some(corpus) = std::env::var_os("BILLRUNNER_CORPUS") else {
        writeln!(std::io::stderr(), "left out: BILLRUNNER_CORPUS does not name the folder of real charge files")?;
        return Ok(());
    };
    assert_sums_as_expected(&Path::new(&corpus).join("focus-sample-1.0/focus_sample.csv")).await
}

#[tokio::test]
async fn gzip_in_several_members_reads_like_the_plain_file() -> Result<()> {
    let plain = std::fs::read(fixture("traps/t02_quoted_newline_and_quotes.csv"))?;
    let mut file = tempfile::NamedTempFile::new()?;
    for part in plain.chunks(100) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(part)?;
        file.write_all(&encoder.finish()?)?;
    }
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    import(&database.pool, reseller_id, "focus", file.path()).await?;
    let sums = stored_sums(&database.pool, reseller_id, "billing_currency").await?;
    assert_eq!(sums, Sums::from([("EUR".to_owned(), (parse_decimal("3.3")?, 2))]));
    Ok(())
}

#[tokio::test]
async fn the_same_file_again_changes_nothing() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let path = fixture("traps/t05_negative_credit_refund.csv");
    let (one, two) = tokio::join!(
        import(&database.pool, reseller_id, "focus", &path),
        import(&database.pool, reseller_id, "focus", &path)
    );
    let outcomes = [one?, two?, import(&database.pool, reseller_id, "focus", &path).await?];
    let new = outcomes.iter().filter(|outcome| matches!(outcome, StoredChargeFile::New { .. })).count();
    assert_eq!(new, 1, "{outcomes:?}");
    let counts = (count(&database.pool, "charge_files").await?, count(&database.pool, "charges").await?);
    assert_eq!(counts, (1, 4));

    let sha256 = check_charge_file(focus(), &path)?.sha256;
    let known = find_charge_file(&mut *database.pool.acquire().await?, reseller_id, &sha256).await?;
    assert_eq!(known.context("known")?.provider, "focus");
    Ok(())
}

#[tokio::test]
async fn the_same_file_of_another_provider_is_refused() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let path = fixture("traps/t01_bom_crlf.csv");
    import(&database.pool, reseller_id, "aws", &path).await?;
    let error = import(&database.pool, reseller_id, "google", &path).await.err().context("refused")?;
    assert!(
        matches!(error.downcast_ref(), Some(StoreChargeFileError::OtherProvider(known)) if known.provider == "aws")
    );
    assert_eq!(count(&database.pool, "charge_files").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_header_only_file_is_accepted_without_scopes() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    import(&database.pool, reseller_id, "focus", &fixture("traps/t19_header_only.csv")).await?;
    let counts = (count(&database.pool, "charge_files").await?, count(&database.pool, "charge_scopes").await?);
    assert_eq!(counts, (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_later_file_supersedes_the_same_account_and_period_only() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    // acc-1 in October and November 2026.
    import(&database.pool, reseller_id, "focus", &fixture("traps/t12_end_exclusive_boundary.csv")).await?;
    // acc-1 in October 2026.
    let later = fixture("traps/t17_duplicate_rows.csv");
    let stored = import(&database.pool, reseller_id, "focus", &later).await?;
    assert!(matches!(stored, StoredChargeFile::New { superseded_scope_count: 1, .. }), "{stored:?}");
    // The same account of another provider is another account.
    import(&database.pool, reseller_id, "aws", &fixture("traps/t01_bom_crlf.csv")).await?;
    let active: Vec<(String, String, BigDecimal)> = sqlx::query_as(
        "SELECT scope.provider, scope.billing_period_start::text, SUM(total.billed_cost)
         FROM charge_scopes scope JOIN charge_totals total ON total.charge_scope_id = scope.id
         WHERE scope.superseded_by IS NULL GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .fetch_all(&database.pool)
    .await?;
    let expected = [("aws", "2026-10-01", "20.01"), ("focus", "2026-10-01", "19.98"), ("focus", "2026-11-01", "2")];
    let expected = expected.map(|(provider, start, sum)| Ok((provider.into(), start.into(), parse_decimal(sum)?)));
    assert_eq!(active, expected.into_iter().collect::<Result<Vec<_>>>()?);
    assert_eq!(count(&database.pool, "charges").await?, 6);
    Ok(())
}

#[tokio::test]
async fn a_billing_period_keeps_its_end() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let path = fixture("traps/t01_bom_crlf.csv");
    import(&database.pool, reseller_id, "focus", &path).await?;
    let mut other = tempfile::NamedTempFile::new()?;
    other.write_all(std::fs::read_to_string(&path)?.replace("2026-11-01", "2026-11-02").as_bytes())?;
    let error = import(&database.pool, reseller_id, "focus", other.path()).await.err().context("refused")?;
    assert!(matches!(error.downcast_ref(), Some(StoreChargeFileError::OtherPeriodEnd { .. })), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_file_that_fails_on_the_way_leaves_nothing_behind() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let path = fixture("traps/t05_negative_credit_refund.csv");
    let checked = check_charge_file(focus(), &path)?;
    import_checked(&database.pool, reseller_id, "aws", &fixture("traps/t19_header_only.csv"), &checked)
        .await
        .expect_err("fewer rows than were checked");

    let mut transaction = database.pool.begin().await?;
    let broken = read_charges(&path)?.chain([Err::<ChargeRow, _>(std::io::Error::other("the disk is gone").into())]);
    let file = NewChargeFile { reseller_id, provider: "focus", file_name: "charges.csv", checked: &checked };
    let error = store_charge_file(&mut transaction, file, broken).await.err().context("refused")?;
    assert!(matches!(error, StoreChargeFileError::Rows(_)), "{error:?}");
    transaction.rollback().await?;

    for table in ["charge_files", "charge_scopes", "charge_totals", "charges", "billing_periods"] {
        assert_eq!(count(&database.pool, table).await?, 0, "{table}");
    }
    import(&database.pool, reseller_id, "focus", &path).await?;
    Ok(())
}

#[tokio::test]
async fn a_row_lost_between_the_passes_fails_the_import_even_if_it_costs_nothing() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let path = fixture("traps/t08_zero_and_empty.csv");
    let checked = check_charge_file(focus(), &path)?;
    ensure_charges_partitions(&mut *database.pool.acquire().await?, &checked).await?;
    let mut transaction = database.pool.begin().await?;
    let file = NewChargeFile { reseller_id, provider: "focus", file_name: "charges.csv", checked: &checked };
    let error =
        store_charge_file(&mut transaction, file, read_charges(&path)?.skip(1)).await.err().context("refused")?;
    assert!(matches!(error, StoreChargeFileError::FileChanged), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_sum_that_differs_by_the_smallest_amount_fails_the_import() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let path = fixture("traps/t03_sci_notation.csv");
    let mut checked = check_charge_file(focus(), &path)?;
    for sum in checked.scopes.iter_mut().flat_map(|scope| scope.billed_cost.values_mut()) {
        *sum += parse_decimal("1E-28")?;
    }
    let error = import_checked(&database.pool, reseller_id, "focus", &path, &checked).await.err().context("refused")?;
    let Some(StoreChargeFileError::SumsDiffer(difference)) = error.downcast_ref() else { panic!("{error:?}") };
    assert_eq!(&difference.checked - &difference.stored, parse_decimal("1E-28")?);
    assert_eq!(count(&database.pool, "charges").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_new_month_does_not_wait_for_a_running_import() -> Result<()> {
    let database = TestDatabase::new().await?;
    let reseller_id = insert_reseller(&database.pool).await?;
    let running_path = fixture("traps/t01_bom_crlf.csv");
    let checked = check_charge_file(focus(), &running_path)?;
    ensure_charges_partitions(&mut *database.pool.acquire().await?, &checked).await?;
    let mut running = database.pool.begin().await?;
    let file = NewChargeFile { reseller_id, provider: "focus", file_name: "charges.csv", checked: &checked };
    store_charge_file(&mut running, file, read_charges(&running_path)?).await?;

    let checked = check_charge_file(focus(), &fixture("traps/t12_end_exclusive_boundary.csv"))?;
    let mut conn = database.pool.acquire().await?;
    sqlx::query("SET lock_timeout = '2s'").execute(&mut *conn).await?;
    ensure_charges_partitions(&mut conn, &checked).await.context("the new month waited")?;
    running.commit().await?;
    assert_eq!(count(&database.pool, "charges").await?, 2);
    Ok(())
}
