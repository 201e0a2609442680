//! What is known of a charge file once all of it was checked, and before any of it is stored.
//!
//! `providers` reads a file and makes these; `store` takes them and compares what Postgres summed with what is said here.

use std::collections::BTreeMap;

use bigdecimal::BigDecimal;

use super::{billing_period::BillingPeriod, charge::Charge, money::Currency};

/// One charge with its place in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct ChargeRow {
    /// 1-based place among the charges of the file. It is the data row, unless rows before it made several charges.
    pub row_number: i64,
    /// 1-based physical line the row starts on.
    pub line: u64,
    /// The charge itself.
    pub charge: Charge,
}

/// A charge file without problems.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedChargeFile {
    /// Of the file as it lies on disk, compressed or not: its identity.
    pub sha256: [u8; 32],
    /// What the rows are written in, such as `focus`.
    pub format: &'static str,
    /// Size on disk.
    pub size_bytes: i64,
    /// How many charges.
    pub charge_count: i64,
    /// By period, then billing account; empty for a file that is only a header.
    pub scopes: Vec<CheckedScope>,
}

/// The part of a file that belongs to one billing account and billing period: the unit a later file supersedes.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedScope {
    /// The payer at the provider.
    pub billing_account_id: String,
    /// The provider's month.
    pub billing_period: BillingPeriod,
    /// How many charges.
    pub charge_count: i64,
    /// Exact sum of `BilledCost` by currency, tax rows included.
    pub billed_cost: BTreeMap<Currency, BigDecimal>,
}
