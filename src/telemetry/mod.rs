//! Log lines: for people in a terminal, JSON for everything else; one span per attempt, on standard error.
//!
//! Logged are ids, statuses, times and errors; never amounts, addresses or secrets.

mod statements;

use std::{fs::File, io::IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

pub use self::statements::StatementCounter;
use crate::config::LogFormat;

/// Starts logging for this process: to standard error, or to a file where the terminal is taken.
///
/// # Errors
/// When the filter does not read.
pub fn start(
    filter: &str,
    format: LogFormat,
    file: Option<File>,
) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    if let Some(file) = file {
        tracing_subscriber::registry().with(filter).with(fmt::layer().with_ansi(false).with_writer(file)).init();
        return Ok(());
    }
    let is_human = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let registry = tracing_subscriber::registry().with(filter);
    if is_human {
        registry.with(fmt::layer().with_writer(std::io::stderr)).init();
    } else {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).init();
    }
    Ok(())
}
