//! The fault harness (tests/faults) as a test of the suite: a minute and a half of one seed.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

#[tokio::test]
async fn ninety_seconds_under_fire_lose_nothing_and_do_nothing_twice() -> Result<()> {
    let ran = Command::new(env!("CARGO_BIN_EXE_billrunner-faults"))
        .args(["--seed", "8", "--minutes", "1.5"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("the fault harness does not start")?;
    let printed = [ran.stdout, ran.stderr].concat();
    ensure!(ran.status.success(), "{}", String::from_utf8_lossy(&printed));
    Ok(())
}
