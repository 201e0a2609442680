//! The cloud providers: what each one's invoices look like, and how charge files are read.
//!
//! A provider is one file here, or a folder, and one line in [`all`]. Every provider accepts FOCUS files, plain or gzip
//! (see [`focus`]), and those in the formats of its own that its profile lists; which format a file has is told by its
//! header row. `jobs` call [`check_charge_file`] first, so that a bad file is refused before anything is stored, and then
//! [`read_charges`].

mod aws;
mod charge_file;
pub mod focus;
mod google;
mod ibm;
mod microsoft;
mod microsoft_dates;
mod microsoft_nce;
mod money_columns;
mod oracle;
mod reading;
mod rejected_file;
mod unread_headers;

#[cfg(test)]
mod contract;

use crate::domain::{document::DocumentKind, invoice::LinesBy};

pub use charge_file::{
    ChargeFileError, FromStart, check_charge_file, check_charges_while, read_charges, read_opened_charges,
};
pub use reading::Format;
pub use rejected_file::{Problem, RejectedFile};

/// What sets one provider's invoices apart from another's.
#[derive(Debug)]
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
    /// Formats of charge files that are this provider's own; FOCUS is accepted besides.
    pub formats: &'static [&'static Format],
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

    /// Returns the formats in which charge files are accepted.
    pub fn accepted_formats(&self) -> impl Iterator<Item = &'static Format> + use<> {
        std::iter::once(&focus::FORMAT).chain(self.formats.iter().copied())
    }

    /// Checks that charge files in a format are accepted.
    ///
    /// # Errors
    /// [`FormatOfAnotherProvider`], which says whose it is.
    pub fn require_format(&self, format: &Format) -> Result<(), FormatOfAnotherProvider> {
        if self.accepted_formats().any(|accepted| accepted.id == format.id) {
            return Ok(());
        }
        let is_its_own = |profile: &&&Profile| profile.formats.iter().any(|own| own.id == format.id);
        let owner = all().iter().find(is_its_own).map_or(focus::PROFILE.id, |owner| owner.id);
        let accepted = names(self.accepted_formats().map(|accepted| accepted.name));
        Err(FormatOfAnotherProvider { provider: self.id, format: format.name, owner, accepted })
    }
}

/// Says that a charge file is in another provider's own format.
#[derive(Debug, thiserror::Error)]
#[error(
    "this is a file of provider `{owner}` ({format}); import it as one of `{owner}`, or send what `{provider}` accepts: \
     {accepted}"
)]
pub struct FormatOfAnotherProvider {
    provider: &'static str,
    format: &'static str,
    owner: &'static str,
    accepted: String,
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

/// Returns every format that charge files are accepted in, by some provider at least.
pub fn formats() -> impl Iterator<Item = &'static Format> {
    std::iter::once(&focus::FORMAT).chain(all().iter().flat_map(|profile| profile.formats.iter().copied()))
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// The contract every provider keeps; a new one is covered by being in [`all`].
#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

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
    fn an_unknown_provider_is_told_the_known_ones() {
        let error = find("acw").expect_err("unknown").to_string();
        assert_eq!(error, "unknown provider `acw`; known: aws, google, ibm, microsoft, microsoft-nce, oracle, focus");
    }

    #[test]
    fn a_document_that_is_not_offered_is_told_the_offered_ones() {
        let error = find("ibm").expect("known").require_document(DocumentKind::DetailedCsv).expect_err("not offered");
        assert_eq!(error.to_string(), "`ibm` invoices have no detailed_csv; offered: pdf, csv, print, ubl");
    }
}
