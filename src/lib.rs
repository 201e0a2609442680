//! billrunner turns cloud usage into invoices, moves them forward (never back to draft), renders them and tells the
//! customer, as background jobs.
//!
//! The map of the building; arrows point down the list:
//!
//! - [`cli`]: the commands, the demo among them.
//! - [`jobs`]: one file per kind of job; [`context`] is what they work with.
//! - [`http`]: the HTTP door for jobs, their schemas, probes and metrics.
//! - [`console`]: the operators' console, as pages of the web process.
//! - [`queue`]: jobs that are neither lost nor done twice (Redis Streams, apalis; the ledger in Postgres).
//! - [`store`]: all SQL.
//! - [`providers`]: the cloud providers, their profiles and how their charge files are read.
//! - [`samples`]: charge files as real months look, made of a seed.
//! - [`documents`]: an invoice as PDF, CSV, detailed CSV and print.
//! - [`mail`]: messages rendered and sent.
//! - [`objects`]: where documents and charge files are kept, a folder or a cloud.
//! - [`config`], [`telemetry`], [`clock`]: what a process is told from outside.
//! - [`metrics`]: what a process counts of itself.
//! - [`traces`]: spans of requests, jobs and mails, and which span work came from.
//! - [`language`]: texts, numbers and dates in the customer's language.
//! - [`faults`]: where the fault harness has a process die; empty in a release.
//! - [`domain`]: the rules, without I/O.

pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod context;
pub mod documents;
pub mod domain;
pub mod faults;
pub mod http;
#[path = "../jobs/mod.rs"]
pub mod jobs;
pub mod language;
pub mod mail;
pub mod metrics;
pub mod objects;
pub mod providers;
pub mod queue;
pub mod samples;
pub mod store;
pub mod telemetry;
pub mod traces;
