//! Every test that needs Postgres or Redis, in one program: it links once, and what tests share is written once.
//!
//! `bin/test` runs it; `bin/test TEXT` runs the tests whose names hold the text.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test ends where what it expects does not hold")]

mod azure_files;
mod bill_run_under_fire;
mod billing;
mod charge_files;
mod charge_files_page;
mod charge_sums;
mod command_line;
mod customer_side;
mod demo;
mod directory;
mod flat_memory;
mod focus_export;
mod golden_invoices;
mod http_access;
mod http_door;
mod http_openapi;
mod invoice_documents;
mod invoice_guards;
mod invoice_status;
mod lifecycle_properties;
mod long_jobs;
mod money_properties;
mod nce_files;
mod notifications;
mod numbering_properties;
mod opening;
mod operator_commands;
mod oracle_files;
mod parallel_properties;
mod price_changes;
mod prices;
mod producers;
mod producers_sql_redis;
mod provider_files;
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
mod sample_data;
mod schedules;
mod schedules_command;
mod schemas;
mod sql_door;
mod stored_charges;
mod support;
mod taxes_and_views;
mod upkeep;
mod verify;
