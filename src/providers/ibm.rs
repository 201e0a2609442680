//! IBM Cloud: a section per account, a line per service.

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

pub(super) const PROFILE: Profile = Profile {
    id: "ibm",
    display_name: "IBM Cloud",
    documents: &[DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::Print],
    lines_by: LinesBy::Service,
};
