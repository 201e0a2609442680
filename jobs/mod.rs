//! The kinds of job: one file each. This is their table of contents.
//!
//! | kind | what it does | idempotent by |
//! |---|---|---|
//! | `import_charges` | reads a charge file into Postgres | reseller and sha256 |
//! | `start_bill_run` | fans a month out into one generation per customer and currency | reseller, provider, period, run id |
//! | `finish_bill_run` | proves a month complete, or names what is missing, once no generation is left | the run |
//! | `generate_invoice` | prices a customer's charges into a draft, and opens it if asked | the invoice's unique key |
//! | `open_invoices` | opens all drafts of a month that nothing stands against | what is open is no draft |
//! | `change_invoice_status` | moves an invoice forward | invoice, target, version |
//! | `discard_invoice` | throws a draft away | invoice |
//! | `correct_invoice` | voids an invoice and generates it anew | invoice and version |
//! | `render_document` | renders one export into the object store | invoice, version, kind, language, template, view, CSV options |
//! | `send_notification` | sends one mail, at most once | notification |
//! | `record_bounce` | records what a mail server says later of a mail | what is noted is not noted again |
//! | `announce_document` | tells a customer's contacts of a document somebody had rendered | the job |
//! | `send_operator_mail` | sends one mail to an operator, at most once | the mail |
//! | `report_dead_letters` | tells operators of dead jobs, at most once an hour | the hour |
//! | `prune_jobs` | forgets finished jobs, refused requests and half-written files that are old | what is gone is not found |
//! | `reconcile_charges` | checks that invoices and charge files add up | it only reads |
//! | `check_history` | checks events, fiscal numbers and statuses against each other | it only reads |
//! | `clear_dead_letters` | makes all dead jobs that match due again, or discards them | a decided job is dead no more |
//! | `change_jobs` | retries, discards or cancels all jobs that a search finds | a changed job is in another state |

mod announce_document;
mod bill_run_plan;
mod bill_run_proof;
mod change_invoice_status;
mod change_jobs;
mod check_history;
mod clear_dead_letters;
mod correct_invoice;
mod customer_message;
mod detailed_parts;
mod discard_invoice;
mod finish_bill_run;
mod generate_invoice;
mod import_charges;
mod mail_gate;
mod open_invoices;
mod price_terms;
mod prune_jobs;
mod reconcile_charges;
mod record_bounce;
mod render_document;
mod report_dead_letters;
mod send_notification;
mod send_operator_mail;
mod start_bill_run;
mod verification;

pub use announce_document::AnnounceDocument;
pub use bill_run_plan::{Action, BillRunPlan, PlannedInvoice, ProvisionalMonth};
pub use change_invoice_status::ChangeInvoiceStatus;
pub use change_jobs::ChangeJobs;
pub use check_history::CheckHistory;
pub use clear_dead_letters::{ClearDeadLetters, Decision};
pub use correct_invoice::CorrectInvoice;
pub use discard_invoice::DiscardInvoice;
pub use finish_bill_run::FinishBillRun;
pub use generate_invoice::{GenerateInvoice, InitialStatus};
pub use import_charges::{ImportCharges, charge_file_location};
pub use open_invoices::OpenInvoices;
pub use prune_jobs::PruneJobs;
pub use reconcile_charges::ReconcileCharges;
pub use record_bounce::{RecordBounce, bounce_location};
pub use render_document::RenderDocument;
pub use report_dead_letters::ReportDeadLetters;
pub use send_notification::SendNotification;
pub use send_operator_mail::SendOperatorMail;
pub use start_bill_run::StartBillRun;
pub use verification::{Check, Finding, Report, Verification};

use crate::{context::Context, providers, queue::Registry};

/// Returns every kind, ready to run.
pub fn registry() -> Registry<Context> {
    Registry::new(providers::all().iter().map(|profile| profile.id))
        .with::<ImportCharges>()
        .with::<StartBillRun>()
        .with::<FinishBillRun>()
        .with::<GenerateInvoice>()
        .with::<OpenInvoices>()
        .with::<ChangeInvoiceStatus>()
        .with::<DiscardInvoice>()
        .with::<CorrectInvoice>()
        .with::<RenderDocument>()
        .with::<SendNotification>()
        .with::<RecordBounce>()
        .with::<AnnounceDocument>()
        .with::<SendOperatorMail>()
        .with::<ReportDeadLetters>()
        .with::<PruneJobs>()
        .with::<ReconcileCharges>()
        .with::<CheckHistory>()
        .with::<ClearDeadLetters>()
        .with::<ChangeJobs>()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::queue::Job;

    /// Returns how long a kind goes on trying on average, from a base of a second.
    fn patience<J: Job>() -> Duration {
        (0..J::MAX_ATTEMPTS - 1)
            .map(|failures| {
                Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(failures.cast_unsigned().min(20)))
            })
            .map(|ceiling| ceiling.min(J::MAX_BACKOFF) / 2)
            .sum()
    }

    #[test]
    fn every_kind_outlives_an_outage_of_what_it_talks_to() {
        let half_an_hour = Duration::from_mins(30);
        assert!(patience::<ImportCharges>() > half_an_hour);
        assert!(patience::<StartBillRun>() > half_an_hour);
        assert!(patience::<FinishBillRun>() > half_an_hour);
        assert!(patience::<GenerateInvoice>() > half_an_hour);
        assert!(patience::<OpenInvoices>() > half_an_hour);
        assert!(patience::<ChangeInvoiceStatus>() > half_an_hour);
        assert!(patience::<DiscardInvoice>() > half_an_hour);
        assert!(patience::<CorrectInvoice>() > half_an_hour);
        assert!(patience::<RenderDocument>() > half_an_hour);
        assert!(patience::<RecordBounce>() > half_an_hour);
        assert!(patience::<ClearDeadLetters>() > half_an_hour);
        assert!(patience::<ChangeJobs>() > half_an_hour);
        assert!(patience::<AnnounceDocument>() > half_an_hour);
        assert!(patience::<ReportDeadLetters>() > half_an_hour);
        for patience in [patience::<SendNotification>(), patience::<SendOperatorMail>()] {
            let days = patience.as_secs_f64() / 86_400.0;
            assert!((3.5..5.0).contains(&days), "a mail server may be away for {days} days");
        }
    }
}
