//! Google Cloud: a section per project, a line per service.

mod billing_export;
mod credits;

use super::Profile;
use crate::domain::{document::DocumentKind, invoice::LinesBy};

/// The invoice comes by the fifth business day of the next month (cloud.google.com/billing/docs/how-to/billing-cycle). A
/// weekend and a bank holiday at its start make that the tenth, and no calendar of holidays is kept here: our choice.
const FINAL_ON_DAY: u8 = 11;

pub(super) const PROFILE: Profile = Profile {
    id: "google",
    display_name: "Google Cloud",
    documents: &DocumentKind::ALL,
    lines_by: LinesBy::Service,
    final_on_day: FINAL_ON_DAY,
    formats: &[&billing_export::FORMAT],
};
