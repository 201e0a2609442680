//! Whether traces are exported, by the variables of OpenTelemetry's specification. All others of them the SDK reads.

use url::Url;

use super::Reader;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
/// The one protocol of OTLP that is spoken.
const HTTP_PROTOBUF: &str = "http/protobuf";

impl Reader<'_> {
    /// Tells whether a collector is named and nobody said that traces are off.
    pub(super) fn exports_traces(&mut self) -> bool {
        let is = |name: &str, value: &str| self.all.get(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return false;
        }
        let Some((name, endpoint)) = ENDPOINTS.iter().find_map(|name| Some((*name, self.all.get(*name)?))) else {
            return false;
        };
        // What is shown as a setting and in errors must hold no secret.
        let is_bare = |url: &Url| url.username().is_empty() && url.password().is_none();
        if !endpoint.parse().is_ok_and(|url: Url| matches!(url.scheme(), "http" | "https") && is_bare(&url)) {
            self.problems.push(format!(
                "{name} must be a URL that starts with http:// or https://; a login belongs into OTEL_EXPORTER_OTLP_HEADERS"
            ));
        }
        if let Some((name, protocol)) = PROTOCOLS.iter().find_map(|name| Some((*name, self.all.get(*name)?)))
            && protocol != HTTP_PROTOBUF
        {
            self.problems
                .push(format!("{name} is `{protocol}`; known: {HTTP_PROTOBUF}, at port 4318 of most collectors"));
        }
        true
    }
}
