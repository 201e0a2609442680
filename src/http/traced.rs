//! Requests as spans of traces: each continues the trace of whoever calls, where the header `traceparent` names one.

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use tracing::{Instrument, Span};

use crate::traces;

/// What machines ask every few seconds: a trace of it tells nobody anything.
const PROBES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Answers a request within its span, and has log lines name its trace, also where nobody exports it.
pub(super) async fn request(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    if route.is_some_and(|route| PROBES.contains(&route)) {
        return next.run(request).await;
    }
    let caller = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let span = traces::request(request.method().as_str(), route, caller.as_deref());
    let traceparent = traces::traceparent_of(&span).or(caller);
    let log_span = traceparent.as_deref().and_then(traces::trace_id_of).map_or_else(Span::none, log_span);
    let response = next.run(request).instrument(log_span).instrument(span.clone()).await;
    traces::answered(&span, response.status().as_u16());
    response
}

fn log_span(trace_id: &str) -> Span {
    tracing::info_span!("request", trace_id)
}
