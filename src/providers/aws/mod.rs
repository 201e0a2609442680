//! Amazon Web Services: a section per linked account, a line per service and charge category.

mod cur;

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

/// Support charges, which AWS works out of the final usage, come on the sixth or seventh of the next month
/// (docs.aws.amazon.com/cur/latest/userguide/view-finalized-cur.html): the month is final once the seventh is over.
const FINAL_ON_DAY: u8 = 8;

pub(super) const PROFILE: Profile = Profile {
    id: "aws",
    display_name: "Amazon Web Services",
    documents: &DocumentKind::ALL,
    lines_by: LinesBy::ServiceAndChargeCategory,
    final_on_day: FINAL_ON_DAY,
    formats: &[&cur::FORMAT],
};
