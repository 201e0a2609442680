//! Microsoft New Commerce Experience (seats): a line per SKU and charge type.

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

pub(super) const PROFILE: Profile = Profile {
    id: "microsoft-nce",
    display_name: "Microsoft NCE",
    documents: &[DocumentKind::Pdf, DocumentKind::Csv, DocumentKind::Print],
    lines_by: LinesBy::SkuAndChargeCategory,
};
