//! Spans of traces, and which span work came from: a request, a job handed in, dispatched and run, a mail.
//!
//! Spans are those of `tracing`, under a target of their own, started where the work is, by `http`, `queue` and `mail`;
//! `telemetry` exports them where an operator wants them. Where nobody does, no span is made: asking whether one is wanted
//! reads one static. What they hold is named here alone, by the semantic conventions of OpenTelemetry: names of ours, ids,
//! codes and counts, never an address, an amount or anything of a payload.

mod conventions;
mod traceparent;

use opentelemetry::{Context, trace::TraceContextExt};
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub use conventions::{
    Message, Run, answered, dispatch, fail, is_of, mail, mail_answered, process, request, run_ended, send,
};
pub use traceparent::{FORM, is_valid};

/// The target of all spans that are exported.
pub const TARGET: &str = "traces";

/// Tells whether anybody wants spans, for where making one takes preparations.
pub fn are_wanted() -> bool {
    tracing::span_enabled!(target: TARGET, Level::DEBUG)
}

/// Returns what those carry that this span sends on its way; `None` where nobody wants spans.
pub fn traceparent_of(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    traceparent::write(span.context().span().span_context())
}

/// Returns the trace that a `traceparent` names, for log lines; `None` where it is not valid.
pub fn trace_id_of(traceparent: &str) -> Option<&str> {
    is_valid(traceparent).then(|| traceparent.split('-').nth(1))?
}

/// Has a span that has not begun continue the trace of another process.
fn continue_trace(span: &Span, traceparent: Option<&str>) {
    if let Some(before) = traceparent.filter(|_| !span.is_disabled()).and_then(traceparent::read) {
        // Refused where the span has begun or is not exported; then there is nothing to continue.
        let _ = span.set_parent(Context::new().with_remote_span_context(before));
    }
}

/// Has a span that has not begun name others without being part of their traces.
fn link<'a>(span: &Span, traceparents: impl Iterator<Item = &'a str>) {
    if !span.is_disabled() {
        traceparents.filter_map(traceparent::read).for_each(|other| span.add_link(other));
    }
}
