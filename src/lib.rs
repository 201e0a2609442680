//! billrunner turns cloud usage into invoices, moves them forward (never back to draft), renders them and tells the
//! customer, as background jobs.
//!
//! The map of the building; arrows point down the list:
//!
//! - [`queue`]: jobs that are neither lost nor done twice (Redis Streams, apalis; the ledger in Postgres).
//! - [`store`]: all SQL.
//! - [`providers`]: the cloud providers, their profiles and how their charge files are read.
//! - [`config`], [`telemetry`], [`clock`]: what a process is told from outside.
//! - [`language`]: texts, numbers and dates in the customer's language.
//! - [`domain`]: the rules, without I/O.

pub mod clock;
pub mod config;
pub mod domain;
pub mod language;
pub mod providers;
pub mod queue;
pub mod store;
pub mod telemetry;
