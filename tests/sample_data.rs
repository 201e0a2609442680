//! Samples made of a seed: what the generator says of its files is what the import finds in them.

use std::{io::Read, path::Path, process::Output};

use anyhow::{Context, Result};
use billrunner::{
    domain::directory::Directory,
    store::{
        charge_sums::{ProviderPeriod, customers_with_charges},
        directory,
        waivers::{UnassignedFilter, unassigned_accounts},
    },
};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    charge_files::assert_sums_of_provider_as_expected,
    support::{TestDatabase, import::import},
};

async fn sample_data(folder: &Path, arguments: &str, out: &str) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_billrunner"));
    command.current_dir(folder).args(["sample-data", "--out", out]).args(arguments.split(' '));
    Ok(command.output().await?)
}

async fn make(folder: &Path, arguments: &str, out: &str) -> Result<()> {
    let made = sample_data(folder, arguments, out).await?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

fn json(folder: &Path, name: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(folder.join(name))?)?)
}

#[tokio::test]
async fn a_sample_of_every_provider_is_imported_with_the_exact_sums_it_says() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let focus = ["aws", "google", "ibm", "microsoft", "microsoft-nce", "oracle", "focus"].map(|id| (id, "focus"));
    for (provider, format) in focus.into_iter().chain([("aws", "aws-cur")]) {
        let name = format!("{provider}-{format}.csv");
        make(folder.path(), &format!("--provider {provider} --format {format} --rows 3000 --seed 5"), &name).await?;
        let path = folder.path().join(&name);
        assert_sums_of_provider_as_expected(provider, &path).await.with_context(|| name.clone())?;
        let expected = json(folder.path(), &format!("{name}.expected.json"))?;
        for shape in ["negative", "zero", "correction", "tax", "credit"] {
            assert!(expected["traps"][shape].as_i64() > Some(0), "{name} has no {shape}: {expected}");
        }
        let has_exponents = expected["traps"]["sci_notation"].as_i64() > Some(0);
        assert_eq!(has_exponents, !["ibm", "microsoft-nce"].contains(&provider), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_sample_and_its_directory_leave_no_account_unassigned_and_no_customer_without_charges() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = TestDatabase::new().await?;
    for provider in ["aws", "google"] {
        let arguments = format!(
            "--provider {provider} --rows 500 --seed 9 --customers 60 --billing-period 2026-06 --directory directory.json"
        );
        make(folder.path(), &arguments, &format!("{provider}.csv")).await?;
    }
    let content: Directory = serde_json::from_value(json(folder.path(), "directory.json")?)?;
    let reseller_id = content.reseller.id;
    let mut transaction = database.pool.begin().await?;
    directory::apply(&mut transaction, &content).await?;
    transaction.commit().await?;
    for provider in ["aws", "google"] {
        import(&database.pool, reseller_id, provider, &folder.path().join(format!("{provider}.csv"))).await?;
        let billing_period_start = "2026-06-01".parse()?;
        let period = ProviderPeriod { reseller_id, provider, billing_period_start };
        let mut connection = database.pool.acquire().await?;
        assert_eq!(unassigned_accounts(&mut connection, UnassignedFilter::of_month(period)).await?, [], "{provider}");
        let customers: std::collections::BTreeSet<_> =
            customers_with_charges(&mut connection, period).await?.into_iter().map(|(customer, _)| customer).collect();
        assert_eq!(customers.len(), 60, "{provider}");
    }
    Ok(())
}

#[tokio::test]
async fn a_sample_whose_name_ends_in_gz_is_the_same_file_compressed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let arguments = "--provider oracle --rows 2000 --seed 3";
    make(folder.path(), arguments, "plain.csv").await?;
    make(folder.path(), arguments, "packed.csv.gz").await?;
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(folder.path().join("packed.csv.gz"))?)
        .read_to_end(&mut unpacked)?;
    assert!(unpacked == std::fs::read(folder.path().join("plain.csv"))?);
    let [plain, packed] =
        ["plain.csv", "packed.csv.gz"].map(|name| json(folder.path(), &format!("{name}.expected.json")));
    assert_eq!(plain?["by_currency_subaccount"], packed?["by_currency_subaccount"]);
    Ok(())
}

#[tokio::test]
async fn a_format_of_another_provider_and_an_unknown_provider_are_refused_with_the_way_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (arguments, said) in [
        ("--provider google --format aws-cur", "`aws-cur` is a format of provider `aws`, not of `google`; use `focus`"),
        ("--provider acw", "unknown provider `acw`; known: aws"),
    ] {
        let refused = sample_data(folder.path(), arguments, "charges.csv").await?;
        let shown = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && shown.contains(said), "{shown}");
    }
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0, "a refused sample left a file behind");
    Ok(())
}
