//! Microsoft Azure: a section per subscription, a line per meter category (FOCUS `ServiceName`).

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

pub(super) const PROFILE: Profile = Profile {
    id: "microsoft",
    display_name: "Microsoft Azure",
    documents: &[DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::DetailedCsv, DocumentKind::Print],
    lines_by: LinesBy::Service,
};
