//! Google Cloud: a section per project, a line per service.

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

pub(super) const PROFILE: Profile = Profile {
    id: "google",
    display_name: "Google Cloud",
    documents: &[DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::DetailedCsv, DocumentKind::Print],
    lines_by: LinesBy::Service,
};
