//! Microsoft New Commerce Experience (seats): a line per SKU and charge type.

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

/// Seats are on the same invoice date as Azure: by the end of the eighth of the next month, UTC
/// (learn.microsoft.com/en-us/partner-center/billing, new commerce).
const FINAL_ON_DAY: u8 = 9;

pub(super) const PROFILE: Profile = Profile {
    id: "microsoft-nce",
    display_name: "Microsoft NCE",
    documents: &[DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::Print],
    lines_by: LinesBy::SkuAndChargeCategory,
    final_on_day: FINAL_ON_DAY,
    formats: &[],
};
