//! Every test that needs Postgres or Redis, in one program: it links once, and what tests share is written once.
//!
//! `bin/test` runs it; `bin/test TEXT` runs the tests whose names hold the text.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test ends where what it expects does not hold")]

mod bill_run_under_fire;
mod bill_runs;
mod bill_runs_late_files;
mod billing;
mod charge_files;
mod charge_sums;
mod command_line;
mod demo;
mod directory;
mod golden_invoices;
mod http_access;
mod http_door;
mod http_openapi;
mod invoice_documents;
mod invoice_guards;
mod invoice_status;
mod long_jobs;
mod notifications;
mod opening;
mod opening_in_blocks;
mod operator_commands;
mod producers;
mod producers_sql_redis;
mod queue;
mod queue_batches;
mod queue_cancellation;
mod queue_cluster;
mod queue_doors;
mod queue_flow;
mod queue_leases;
mod queue_order;
mod queue_outages;
mod queue_policies;
mod queue_processes;
mod queue_rates;
mod queue_sentinel;
mod queue_tls;
mod queue_uniqueness;
mod redis_acl;
mod schedules;
mod schedules_command;
mod schemas;
mod sql_door;
mod statements;
mod support;
mod upkeep;
