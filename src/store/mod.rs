//! What Postgres remembers: all SQL of billrunner, one function per question.
//!
//! Functions take a connection, so that the caller owns the transaction. Statements are checked against the migrations
//! when billrunner is compiled; table names are unqualified and found through the connection's `search_path`.

mod charge_rows;
pub mod charge_sums;
pub mod charges;
pub mod detailed_charges;
pub mod reconciliation;
