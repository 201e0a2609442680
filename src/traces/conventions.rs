//! The spans there are, each with what the semantic conventions of OpenTelemetry ask of it.
//!
//! HTTP server spans (stable), messaging spans and database client spans, semantic-conventions 1.37. What no convention
//! knows begins with `billrunner.`.

use std::fmt::Display;

use tracing::{
    Span,
    field::{Empty, display},
};

use super::{TARGET, continue_trace, link};

/// `messaging.system` of the queue, and the consumer group of its streams.
const SYSTEM: &str = "billrunner";
/// `otel.status_code` of what failed.
const ERROR: &str = "ERROR";

/// A job as a message: what is known of it wherever it goes.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    lane: &'a str,
    traceparent: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// Names the lane it goes to, and the span that made it.
    pub fn new(lane: &'a str, traceparent: Option<&'a str>) -> Self {
        Self { lane, traceparent }
    }
}

/// An attempt at a job.
pub struct Run<'a> {
    /// The job.
    pub id: &'a dyn Display,
    /// As a message.
    pub message: Message<'a>,
    /// Its kind.
    pub kind: &'a str,
    /// The number of the attempt.
    pub attempt: i32,
    /// Whether it is one of a batch.
    pub is_in_batch: bool,
    /// The worker that runs it.
    pub worker: &'a dyn Display,
}

/// Starts the span of a request to the web process; it continues the caller's trace, where the caller has one.
///
/// A path may be a download link, which is a secret: only one without parameters is named.
pub fn request(method: &str, route: Option<&str>, traceparent: Option<&str>) -> Span {
    let method = known_method(method);
    let verb = method.unwrap_or("HTTP");
    let span = tracing::debug_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.name = route.map_or_else(|| verb.to_owned(), |route| format!("{verb} {route}")),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method.unwrap_or("_OTHER"),
        http.response.status_code = Empty,
        http.route = route,
        url.path = route.filter(|route| !route.contains('{')),
        url.scheme = "http",
        "error.type" = Empty,
    );
    continue_trace(&span, traceparent);
    span
}

/// Says how a request was answered: what is the client's fault is no error of ours.
pub fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        fail(span, &status.to_string());
    }
}

/// Starts the span of recording jobs in the ledger; those that bring no span of their own carry this one.
pub fn send(messages: &[Message<'_>]) -> Span {
    hand_on("send", "producer", messages)
}

/// Starts the span of sending recorded jobs to Redis: of the trace of a job that goes alone, linked to those of several.
pub fn dispatch(messages: &[Message<'_>]) -> Span {
    hand_on("dispatch", "client", messages)
}

fn hand_on(operation: &'static str, kind: &'static str, messages: &[Message<'_>]) -> Span {
    let lane = messages.first().map(|message| message.lane);
    let lane = lane.filter(|lane| messages.iter().all(|message| message.lane == *lane));
    let alone = if let [alone] = messages { Some(alone) } else { None };
    let span = tracing::debug_span!(
        target: TARGET,
        "hand_on",
        otel.name = lane.map_or_else(|| operation.to_owned(), |lane| format!("{operation} {lane}")),
        otel.kind = kind,
        otel.status_code = Empty,
        messaging.system = SYSTEM,
        messaging.operation.name = operation,
        "messaging.operation.type" = "send",
        messaging.destination.name = lane,
        messaging.message.id = Empty,
        messaging.batch.message_count = if alone.is_some() { None } else { i64::try_from(messages.len()).ok() },
        "error.type" = Empty,
    );
    match (operation, alone) {
        ("dispatch", Some(alone)) => continue_trace(&span, alone.traceparent),
        _ => link(&span, messages.iter().filter_map(|message| message.traceparent)),
    }
    span
}

/// Says which job it is that went alone: one that was handed in before keeps its id.
pub fn is_of(span: &Span, job: &dyn Display) {
    span.record("messaging.message.id", display(job));
}

/// Starts the span of an attempt at a job. It continues the trace of the span that made the job; one of a batch has a trace of
/// its own, linked to that span, as a bill run of all customers would be one trace that nothing can show.
pub fn process(run: &Run<'_>) -> Span {
    let Message { lane, traceparent } = run.message;
    let span = tracing::debug_span!(
        target: TARGET,
        parent: None,
        "process",
        otel.name = format!("process {lane}"),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = SYSTEM,
        messaging.operation.name = "process",
        "messaging.operation.type" = "process",
        messaging.destination.name = lane,
        messaging.message.id = %run.id,
        messaging.consumer.group.name = SYSTEM,
        messaging.client.id = %run.worker,
        billrunner.job.kind = run.kind,
        billrunner.job.attempt = i64::from(run.attempt),
        billrunner.job.outcome = Empty,
        "error.type" = Empty,
    );
    if run.is_in_batch {
        link(&span, traceparent.into_iter());
    } else {
        continue_trace(&span, traceparent);
    }
    span
}

/// Says what became of an attempt.
pub fn run_ended(span: &Span, outcome: &'static str) {
    span.record("billrunner.job.outcome", outcome);
}

/// Starts the span of one mail's conversation with the mail server.
pub fn mail(host: &str, port: u16) -> Span {
    tracing::debug_span!(
        target: TARGET,
        "mail",
        otel.name = "smtp send",
        otel.kind = "client",
        otel.status_code = Empty,
        server.address = host,
        server.port = i64::from(port),
        network.protocol.name = "smtp",
        billrunner.mail.reply_code = Empty,
        "error.type" = Empty,
    )
}

/// Says with which code the mail server took or refused the mail.
pub fn mail_answered(span: &Span, reply_code: u16) {
    span.record("billrunner.mail.reply_code", i64::from(reply_code));
}

/// Says that what a span stands for failed, by the kind of error.
pub fn fail(span: &Span, error_type: &str) {
    span.record("otel.status_code", ERROR);
    span.record("error.type", error_type);
}

/// Returns a method of HTTP that is known: what a stranger makes up is no name of a span.
fn known_method(method: &str) -> Option<&'static str> {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    known.into_iter().find(|known| *known == method)
}
