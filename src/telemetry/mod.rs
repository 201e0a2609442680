//! Log lines: for people in a terminal, JSON for everything else; one span per attempt, on standard error. Traces, where an
//! operator names a collector.
//!
//! Logged are ids, statuses, times and errors; never amounts, addresses or secrets.

mod export;
mod sql_spans;
mod statements;

use std::{fs::File, io::IsTerminal};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, filter::Targets, fmt, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

pub use self::{
    export::{CannotExport, Traces},
    statements::StatementCounter,
};
use crate::{config::LogFormat, traces};

/// What exported spans are said to be made by.
const SCOPE: &str = "billrunner";

/// Starts logging for this process: to standard error, or to a file where the terminal is taken; and has spans exported, where
/// they are to be.
///
/// # Errors
/// When the filter does not read.
pub fn start(
    filter: &str,
    format: LogFormat,
    file: Option<File>,
    traces: Option<&Traces>,
) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    match traces {
        // The filter stands before everything: what is not logged is not made.
        None => tracing_subscriber::registry().with(filter).with(lines(format, file)).init(),
        // What is traced does not depend on what is logged.
        Some(traces) => tracing_subscriber::registry()
            .with(lines(format, file).with_filter(filter))
            .with(trace_layer(traces.provider()))
            .init(),
    }
    Ok(())
}

fn lines<S>(format: LogFormat, file: Option<File>) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if let Some(file) = file {
        return fmt::layer().with_ansi(false).with_writer(file).boxed();
    }
    let is_human = match format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    if is_human {
        fmt::layer().with_writer(std::io::stderr).boxed()
    } else {
        fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
    }
}

/// Returns the layer that gives spans to a provider: those of `traces`, and one for each statement within them.
///
/// Log lines are none of it, nor what the libraries below say of themselves: they were not looked at for what they hold.
pub fn trace_layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let tracer = provider.tracer(SCOPE);
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer.clone())
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    let ours = Targets::new().with_target(traces::TARGET, LevelFilter::DEBUG);
    let executed = Targets::new().with_target(statements::STATEMENTS, LevelFilter::DEBUG);
    spans.with_filter(ours).and_then(sql_spans::SqlSpans::new(tracer).with_filter(executed))
}

/// Starts counting statements in place of logging; only errors are said, on standard error.
pub fn start_counting(statements: StatementCounter) {
    let seen = Targets::new()
        .with_target("billrunner", LevelFilter::INFO)
        .with_target(statements::STATEMENTS, LevelFilter::DEBUG);
    let errors = fmt::layer().with_writer(std::io::stderr).with_filter(LevelFilter::ERROR);
    tracing_subscriber::registry().with(statements.with_filter(seen)).with(errors).init();
}
