//! The rules of billing, without I/O: what an invoice is, how it is priced, where it may go next.
//!
//! Everything else depends on this module and this module depends on nothing of ours. A rule that code, database,
//! documents and mails must all obey is written here once, named after the field's standard (FOCUS, ISO 4217, EN 16931).

pub mod age;
pub mod api_key;
pub mod bill_run;
pub mod billing_period;
pub mod branding;
pub mod charge;
pub mod charge_file;
pub mod console_access;
pub mod console_url;
pub mod country;
pub mod csv_options;
pub mod currency_view;
pub mod custom_charges;
pub mod custom_field;
pub mod customer_side;
pub mod dated_terms;
pub mod directory;
pub mod directory_check;
pub mod document;
pub mod download_link;
pub mod enhanced_status;
pub mod exact_sum;
pub mod ids;
pub mod invoice;
pub mod invoice_detail;
pub mod invoice_event;
pub mod invoice_status;
pub mod job_action;
pub mod language_tag;
pub mod lines;
pub mod mail_flow;
pub mod mail_policy;
pub mod mail_settings;
pub mod message;
pub mod message_text;
pub mod money;
pub mod notification;
pub mod numbering;
pub mod operator_mail;
pub mod payload_template;
pub mod price_rules;
pub mod pricing;
pub mod schedule;
pub mod taxes;
pub mod time_zone;
pub mod verdict;
pub mod worker_name;
