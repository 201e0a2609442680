//! `billrunner demo`.

use clap::Args;

use super::Output;
use crate::config::Config;

/// Arguments of `demo`.
#[derive(Args)]
pub struct Arguments {}

pub async fn run(_: Arguments, _: &Config, _: Output) -> anyhow::Result<()> {
    Ok(())
}
