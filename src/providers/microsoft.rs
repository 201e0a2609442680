//! Microsoft Azure: a section per subscription, a line per meter category (FOCUS `ServiceName`).

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

/// Partner Center has invoice and reconciliation file by the end of the eighth of the next month, UTC
/// (learn.microsoft.com/en-us/partner-center/billing, new commerce).
const FINAL_ON_DAY: u8 = 9;

pub(super) const PROFILE: Profile = Profile {
    id: "microsoft",
    display_name: "Microsoft Azure",
    documents: &[DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::DetailedCsv, DocumentKind::Print],
    lines_by: LinesBy::Service,
    final_on_day: FINAL_ON_DAY,
    formats: &[],
};
