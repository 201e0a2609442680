//! The cloud providers: what each one's invoices look like, and how charge files are read.
//!
//! A provider is one file here and one line in [`all`]. Every provider accepts FOCUS files, plain or gzip; see
//! [`focus`]. `jobs` call [`check_charge_file`] first, so that a bad file is refused before anything is stored, and then
//! [`read_charges`].

mod aws;
mod charge_file;
pub mod focus;
mod google;
mod ibm;
mod microsoft;
mod microsoft_nce;
mod oracle;
mod rejected_file;

use crate::domain::{document::DocumentKind, invoice::LinesBy};

pub use charge_file::{ChargeFileError, check_charge_file, check_charge_file_while, read_charges};
pub use rejected_file::{Problem, RejectedFile};

/// What sets one provider's invoices apart from another's.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// As written in SQL, JSON and on the command line.
    pub id: &'static str,
    /// As shown to people.
    pub display_name: &'static str,
    /// Documents an invoice of this provider can be rendered as.
    pub documents: &'static [DocumentKind],
    /// What one printed line stands for.
    pub lines_by: LinesBy,
    /// The day of the next month from which on a month is final: nothing more is expected, and it can be billed.
    pub final_on_day: u8,
}

impl Profile {
    /// Tells whether lines are printed per SKU, so that sums must be kept apart by it.
    pub fn needs_sku(&self) -> bool {
        self.lines_by == LinesBy::SkuAndChargeCategory
    }

    /// Checks that a kind of document is offered.
    ///
    /// # Errors
    /// [`DocumentNotOffered`], which lists those that are.
    pub fn require_document(&self, kind: DocumentKind) -> Result<(), DocumentNotOffered> {
        let offered = self.documents;
        if offered.contains(&kind) { Ok(()) } else { Err(DocumentNotOffered { provider: self.id, kind, offered }) }
    }
}

/// Says that a provider's invoices are not rendered as the kind of document asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{provider}` invoices have no {kind}; offered: {offered}", offered = names(offered.iter().map(|kind| kind.as_str())))]
pub struct DocumentNotOffered {
    /// Provider id.
    pub provider: &'static str,
    /// What was asked for.
    pub kind: DocumentKind,
    /// What can be asked for.
    pub offered: &'static [DocumentKind],
}

/// Says that no provider has this id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown provider `{0}`; known: {known}", known = names(all().iter().map(|profile| profile.id)))]
pub struct UnknownProvider(String);

/// Returns every provider, in the order they are listed to people.
pub fn all() -> &'static [&'static Profile] {
    &[
        &aws::PROFILE,
        &google::PROFILE,
        &ibm::PROFILE,
        &microsoft::PROFILE,
        &microsoft_nce::PROFILE,
        &oracle::PROFILE,
        &focus::PROFILE,
    ]
}

/// Finds a provider by its id.
///
/// # Errors
/// [`UnknownProvider`], which lists the known ones.
pub fn find(id: &str) -> Result<&'static Profile, UnknownProvider> {
    let found = all().iter().find(|profile| profile.id == id).copied();
    found.ok_or_else(|| UnknownProvider(id.chars().take(40).collect()))
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// The contract every provider keeps; a new one is covered by being in [`all`].
#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, io::Write};

    use super::*;

    const FILE: &str = "BilledCost,BillingCurrency,BillingAccountId,BillingPeriodStart,BillingPeriodEnd,ChargeCategory,\
                        ChargePeriodStart,ChargePeriodEnd,ServiceName\n\
                        1.5,EUR,payer,2026-10-01,2026-11-01,Usage,2026-10-05T00:00:00Z,2026-10-06T00:00:00Z,Compute\n";

    #[test]
    fn ids_are_unique_and_fit_urls_and_streams() {
        let ids: BTreeSet<_> = all().iter().map(|profile| profile.id).collect();
        assert_eq!(ids.len(), all().len());
        for id in ids {
            assert!(!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{id}");
            assert_eq!(find(id).map(|profile| profile.id), Ok(id));
        }
    }

    #[test]
    fn every_provider_has_a_name_and_offers_pdf_and_csv() {
        for profile in all() {
            assert!(!profile.display_name.is_empty());
            assert_eq!(profile.require_document(DocumentKind::Pdf), Ok(()), "{}", profile.id);
            assert_eq!(profile.require_document(DocumentKind::Csv), Ok(()), "{}", profile.id);
            let distinct: BTreeSet<_> = profile.documents.iter().collect();
            assert_eq!(distinct.len(), profile.documents.len());
        }
    }

    #[test]
    fn every_months_bill_run_has_a_day_in_every_month() {
        for profile in all() {
            assert!((2..=28).contains(&profile.final_on_day), "{}", profile.id);
            assert!(profile.final_on_day <= focus::PROFILE.final_on_day, "{} is later than any", profile.id);
        }
    }

    #[test]
    fn every_provider_reads_a_focus_file() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(FILE.as_bytes()).expect("written");
        for profile in all() {
            let checked = check_charge_file(file.path()).expect("accepted");
            assert_eq!((checked.format, checked.charge_count), ("focus", 1), "{}", profile.id);
        }
    }

    #[test]
    fn an_unknown_provider_is_told_the_known_ones() {
        let error = find("acw").expect_err("unknown").to_string();
        assert_eq!(error, "unknown provider `acw`; known: aws, google, ibm, microsoft, microsoft-nce, oracle, focus");
    }

    #[test]
    fn a_document_that_is_not_offered_is_told_the_offered_ones() {
        let error = find("ibm").expect("known").require_document(DocumentKind::DetailedCsv).expect_err("not offered");
        assert_eq!(error.to_string(), "`ibm` invoices have no detailed_csv; offered: pdf, csv, print");
    }
}
