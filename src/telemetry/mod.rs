//! Log lines: for people in a terminal, JSON for everything else; one span per attempt, on standard error.
//!
//! Logged are ids, statuses, times and errors; never amounts, addresses or secrets.

mod statements;

use std::{fs::File, io::IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

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

/// Starts counting statements in place of logging; only errors are said, on standard error.
pub fn start_counting(statements: StatementCounter) {
    let seen = Targets::new()
        .with_target("billrunner", LevelFilter::INFO)
        .with_target(statements::STATEMENTS, LevelFilter::DEBUG);
    let errors = fmt::layer().with_writer(std::io::stderr).with_filter(LevelFilter::ERROR);
    tracing_subscriber::registry().with(statements.with_filter(seen)).with(errors).init();
}
