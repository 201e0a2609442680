//! All SQL: one function per question, named for it, on a connection the caller owns.
//!
//! Called by `jobs`, `queue`, `cli`, `console` and `http`. Tables live in the schema `billrunner`, which the connection's search
//! path names. Queries are checked against the migrations at compile time (`bin/prepare` renews the offline data).

use std::error::Error;

pub mod accounts;
pub mod api_clients;
pub mod api_keys;
pub mod bench;
pub mod bench_drafts;
pub mod bench_invoices;
pub mod bench_load;
pub mod bill_run_proofs;
pub mod bill_runs;
pub mod billed_months;
mod binary_copy;
pub mod branding;
mod charge_rows;
pub mod charge_sums;
pub mod charges;
pub mod checks;
pub mod console_sessions;
pub mod console_tokens;
pub mod csv_options;
pub mod custom_fields;
pub mod database;
pub mod dead_letters;
pub mod detailed_charges;
pub mod directory;
pub mod directory_export;
pub mod documents;
pub mod drafts;
pub mod event_chain;
pub mod event_list;
pub mod frozen_documents;
pub mod invoice_details;
pub mod invoice_list;
pub mod invoice_status;
pub mod invoices;
pub mod job_details;
pub mod job_kinds;
pub mod job_list;
pub mod job_rates;
pub mod job_search;
pub mod job_status;
pub mod jobs;
pub mod login_attempts;
pub mod mail_flow;
pub mod mail_outcomes;
pub mod mail_policies;
pub mod mail_settings;
#[cfg(feature = "faults")]
mod mutations;
pub mod notification_list;
pub mod notifications;
pub mod opening;
pub mod operator_actions;
pub mod operator_mails;
pub mod price_book;
pub mod price_terms;
pub mod queue_controls;
pub mod reconciliation;
pub mod resellers;
pub mod resend;
pub mod schedules;
pub mod scrape;
pub mod server_facts;
pub mod stale_drafts;
pub mod standing;
pub mod sum_checks;
pub mod suppressions;
pub mod users;
pub mod waivers;
pub mod workers;

/// Turns a stored value that no longer reads into the database error it is.
trait Corrupt<T> {
    fn corrupt(self, column: &str) -> sqlx::Result<T>;
}

impl<T, E: Error + Send + Sync + 'static> Corrupt<T> for Result<T, E> {
    fn corrupt(self, column: &str) -> sqlx::Result<T> {
        self.map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
    }
}
