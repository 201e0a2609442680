//! billrunner turns cloud usage into invoices, moves them forward (never back to draft), renders them and tells the
//! customer, as background jobs.
//!
//! The map of the building; arrows point down the list:
//!
//! - [`store`]: all SQL, one function per question.
//! - [`providers`]: the cloud providers, their profiles and how their charge files are read.
//! - [`domain`]: the rules, without I/O.

pub mod domain;
pub mod providers;
pub mod store;
