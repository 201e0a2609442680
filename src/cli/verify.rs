//! `billrunner verify`: whether everything that was promised holds.
//!
//! Reads only: the session refuses to write, and a login that may only read suffices. What does not hold is listed with
//! what to do, and the exit code is 5.

use anyhow::Context as _;
use clap::Args;

use super::{Failure, Output, setup};
use crate::{
    config::Config,
    domain::{billing_period::BillingPeriod, ids::ResellerId},
    jobs::{Finding, Report, Verification},
    store::database,
};

/// One for the statement that streams, one for what is looked up beside it.
const CONNECTIONS: u32 = 2;

/// Arguments of `billrunner verify`.
#[derive(Args)]
pub struct Arguments {
    /// Whose invoices; all by default.
    #[arg(long)]
    reseller: Option<ResellerId>,
    /// Of this month, such as 2026-08; all by default. Events and numbers are verified whole in any case.
    #[arg(long)]
    period: Option<BillingPeriod>,
    /// Also render each document again and compare the bytes.
    #[arg(long)]
    documents: bool,
}

pub async fn run(arguments: &Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let url = config.require("DATABASE_URL", config.database_url.as_ref())?;
    let settings = config.require("BILLRUNNER_OBJECT_STORE", config.object_store.as_ref())?;
    // Opening it would make it, and then nothing would be missing but everything.
    if settings.is_missing() {
        let message = format!("there is no object store at {settings}; check BILLRUNNER_OBJECT_STORE");
        return Err(Failure::NotFound(message).into());
    }
    let pool = database::connect_to_read(url, CONNECTIONS).await;
    let verification = Verification {
        pool: pool.context("Postgres cannot be used; check DATABASE_URL")?,
        objects: setup::objects(config)?,
        reseller_id: arguments.reseller,
        billing_period: arguments.period,
        renders_again: arguments.documents,
    };
    let report = verification.run().await?;
    if let (Some(reseller_id), 0) = (arguments.reseller, report.resellers) {
        return Err(Failure::NotFound(format!("reseller {reseller_id} does not exist")).into());
    }
    output.value(&report, describe)?;
    match report.count() {
        0 => Ok(()),
        count => Err(Failure::DoesNotHold(format!("{count} things do not hold")).into()),
    }
}

fn describe(report: &Report) -> String {
    let Report { resellers, charge_scopes, documents, rendered_again, .. } = report;
    let mut lines: Vec<String> = report.findings.iter().map(describe_finding).collect();
    if report.more_findings > 0 {
        lines.push(format!("and {} more", report.more_findings));
    }
    lines.push(format!(
        "verified: {resellers} resellers, {charge_scopes} parts of charge files, {documents} documents, of these \
         {rendered_again} rendered again"
    ));
    lines.join("\n")
}

fn describe_finding(finding: &Finding) -> String {
    format!("{}: {finding}\n  {}", finding.check.as_str(), finding.way_out)
}
