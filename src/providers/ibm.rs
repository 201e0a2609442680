//! IBM Cloud: a section per account, a line per service.

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

/// One invoice for a month of usage is issued on the eighth of the next
/// (cloud.ibm.com/docs/account?topic=account-migrate-to-simple).
const FINAL_ON_DAY: u8 = 9;

pub(super) const PROFILE: Profile = Profile {
    id: "ibm",
    display_name: "IBM Cloud",
    documents: &[DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::Print, DocumentKind::Ubl],
    lines_by: LinesBy::Service,
    final_on_day: FINAL_ON_DAY,
    formats: &[],
};
