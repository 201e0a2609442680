//! billrunner turns cloud usage into invoices, moves them forward (never back to draft), renders them and tells the
//! customer, as background jobs.
//!
//! The map of the building; arrows point down the list:
//!
//! - [`documents`]: an invoice as PDF, CSV, detailed CSV and a page to print;
//! - [`language`]: texts, numbers and dates in the customer's language;
//! - [`domain`]: the rules, without I/O.

pub mod documents;
pub mod domain;
pub mod http;
#[path = "../jobs/mod.rs"]
pub mod jobs;
pub mod language;
pub mod mail;
pub mod providers;
pub mod queue;
pub mod store;
pub mod telemetry;
