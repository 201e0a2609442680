//! All SQL: one function per question, named for it, on a connection the caller owns.
//!
//! Called by `jobs`, `queue`, `cli` and `http`. Tables live in the schema `billrunner`, which the connection's search
//! path names. Queries are checked against the migrations at compile time (`bin/prepare` renews the offline data).

pub mod jobs;
