//! Oracle Cloud: a section per compartment, a line per service.

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

/// Usage statements come by the third of the next month, always
/// (docs.oracle.com/en-us/iaas/Content/Billing/Concepts/usagestatements.htm); that the month is final then is our choice:
/// later rows are corrections, which have a section of their own.
const FINAL_ON_DAY: u8 = 4;

pub(super) const PROFILE: Profile = Profile {
    id: "oracle",
    display_name: "Oracle Cloud",
    documents: &[DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::DetailedCsv, DocumentKind::Print],
    lines_by: LinesBy::Service,
    final_on_day: FINAL_ON_DAY,
    formats: &[],
};
