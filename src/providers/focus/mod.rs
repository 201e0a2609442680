//! FOCUS, the `FinOps` Open Cost and Usage Specification, versions 1.0–1.3: the format every provider's charges come in,
//! and the profile of the providers that have none of their own.

mod columns;
mod opening;
mod reader;
mod records;
mod row;
mod timestamp;

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

pub use reader::{ChargeReader, ReadError};

/// As kept in `charge_files.format`.
pub const FORMAT: &str = "focus";

/// The latest of all: whose month a FOCUS file holds is not known here. Our choice.
const FINAL_ON_DAY: u8 = 11;

pub(super) const PROFILE: Profile = Profile {
    id: "focus",
    display_name: "FOCUS",
    documents: &[DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::DetailedCsv, DocumentKind::Print],
    lines_by: LinesBy::ServiceAndChargeCategory,
    final_on_day: FINAL_ON_DAY,
};
