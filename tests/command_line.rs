//! Charge files at the command line: known by their content, refused with their reason.

use anyhow::Result;

use crate::support::{
    fixture::fixture,
    site::{Process, Site},
};

async fn counter() -> Result<(Site, Process)> {
    let site = Site::build(1).await?;
    let worker = site.start_worker().await?;
    Ok((site, worker))
}

async fn import(site: &Site, path: &std::path::Path, provider: &str) -> Result<(Option<i32>, String)> {
    let reseller = site.business.reseller_id.to_string();
    let path = path.to_string_lossy();
    site.run(&["import", &path, "--reseller", &reseller, "--provider", provider, "--wait"]).await
}

#[tokio::test]
async fn a_file_is_known_by_its_content_whatever_it_is_called() -> Result<()> {
    let (site, _worker) = counter().await?;
    let file = fixture("traps/t01_bom_crlf.csv");
    let folder = tempfile::tempdir()?;
    let renamed = folder.path().join("another name.csv");
    std::fs::copy(&file, &renamed)?;
    let (code, said) = import(&site, &file, "focus").await?;
    assert!(code == Some(0) && said.contains("2 charges"), "{said}");
    let (code, said) = import(&site, &renamed, "focus").await?;
    assert!(code == Some(0) && said.contains("is known already"), "{said}");
    let (code, said) = import(&site, &renamed, "aws").await?;
    assert!(code == Some(4) && said.contains("already stored as a charge file of provider `focus`"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_rejected_file_says_line_column_and_value_and_can_be_handed_in_again() -> Result<()> {
    let (site, _worker) = counter().await?;
    for _ in 0..2 {
        let (code, said) = import(&site, &fixture("traps/t21_currency_symbol.csv"), "focus").await?;
        assert_eq!(code, Some(4));
        assert!(said.contains("line 2, column BilledCost, value `$1,234.50`"), "{said}");
    }
    Ok(())
}
