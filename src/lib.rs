//! billrunner turns cloud usage into invoices, moves them forward (never back to draft), renders them and tells the
//! customer, as background jobs.
//!
//! The map of the building; arrows point down the list:
//!
//! - [`domain`]: the rules, without I/O.

pub mod domain;
