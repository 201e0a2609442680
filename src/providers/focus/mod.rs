//! FOCUS, the `FinOps` Open Cost and Usage Specification, versions 1.0–1.3: the format every provider's charges come in,
//! and the profile of the providers that have none of their own.

mod columns;
mod row;

use super::{
    Profile,
    reading::{Format, Header, ReadRow},
};
use crate::domain::{document::DocumentKind, invoice::LinesBy};

/// The format, which every provider accepts.
pub const FORMAT: Format = Format {
    id: "focus",
    name: "FOCUS",
    required: columns::REQUIRED,
    to_known_name: str::to_owned,
    read_under: |header: &Header| -> Box<dyn ReadRow> { Box::new(columns::Columns::find(header)) },
    #[cfg(test)]
    samples: &[SAMPLE],
};

/// The latest of all: whose month a FOCUS file holds is not known here. Our choice.
const FINAL_ON_DAY: u8 = 11;

pub(super) const PROFILE: Profile = Profile {
    id: "focus",
    display_name: "FOCUS",
    documents: &DocumentKind::ALL,
    lines_by: LinesBy::ServiceAndChargeCategory,
    final_on_day: FINAL_ON_DAY,
    formats: &[],
};

#[cfg(test)]
const SAMPLE: super::reading::Sample = super::reading::Sample {
    fields: &[
        ("BilledCost", "1.5"),
        ("BillingCurrency", "EUR"),
        ("BillingAccountId", "payer"),
        ("BillingPeriodStart", "2026-10-01T00:00:00Z"),
        ("BillingPeriodEnd", "2026-11-01T00:00:00Z"),
        ("ChargeCategory", "Usage"),
        ("ChargePeriodStart", "2026-10-05T00:00:00Z"),
        ("ChargePeriodEnd", "2026-10-06T00:00:00Z"),
        ("ServiceName", "Compute"),
        ("SubAccountId", "000123456789"),
    ],
    cost: "BilledCost",
    currency: "BillingCurrency",
    dates: &["BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"],
};
