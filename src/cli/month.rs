//! A provider's month of a reseller, as commands are told of it.

use clap::Args;

use crate::domain::{billing_period::BillingPeriod, ids::ResellerId};

/// Names the month.
#[derive(Args)]
pub struct Month {
    /// Of this reseller.
    #[arg(long)]
    pub reseller: ResellerId,
    /// Of this provider, such as aws.
    #[arg(long)]
    pub provider: String,
    /// This month, such as 2026-08.
    #[arg(long)]
    pub period: BillingPeriod,
}
