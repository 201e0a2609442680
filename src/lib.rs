//! billrunner turns cloud usage into invoices, moves them forward (never back to draft), renders them and tells the
//! customer, as background jobs.
//!
//! The map of the building; arrows point down the list:
//!
//! - [`queue`]: jobs that are neither lost nor done twice (Redis Streams, apalis; the ledger in Postgres).
//! - [`store`]: all SQL.
//! - [`domain`]: the rules, without I/O.

pub mod domain;
pub mod queue;
pub mod store;
