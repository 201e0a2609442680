//! Amazon Web Services: a section per linked account, a line per service and charge category.

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

pub(super) const PROFILE: Profile = Profile {
    id: "aws",
    display_name: "Amazon Web Services",
    documents: &[DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::DetailedCsv, DocumentKind::Print],
    lines_by: LinesBy::ServiceAndChargeCategory,
};
