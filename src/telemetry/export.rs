//! Sends spans to a collector over OTLP (http/protobuf), where `OTEL_EXPORTER_OTLP_ENDPOINT` names one.
//!
//! The SDK collects spans in a bounded queue and sends them from a thread of its own; what it reads from the environment
//! is in docs/OPERATING.md. Work never waits for it: while the collector is away, spans are dropped, which is said once.

use std::{
    fmt::{Debug, Formatter},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use axum::http::{Request, Response};
use bytes::Bytes;
use opentelemetry::{Key, Value};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter as OtlpExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter},
};
use reqwest::redirect::Policy;
use tokio::runtime::Handle;

use super::SCOPE;

/// Longest wait for the collector's answer.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for the last spans when a process stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Exports spans as long as the process runs.
pub struct Traces(SdkTracerProvider);

/// Says why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum CannotExport {
    /// A variable of OpenTelemetry does not read.
    #[error("traces cannot be exported; check the variables OTEL_EXPORTER_OTLP_…, docs/OPERATING.md lists them")]
    Settings(#[from] ExporterBuildError),
    /// There is no client for HTTP to be had.
    #[error("traces cannot be exported; check the authorities that this machine trusts, or SSL_CERT_FILE")]
    Client(#[from] reqwest::Error),
}

impl Traces {
    /// Starts exporting as the environment says; requests are made on the runtime.
    ///
    /// # Errors
    /// [`CannotExport`].
    pub fn start(runtime: &Handle) -> Result<Self, CannotExport> {
        // The first of several wins, and they are all this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Spans, and the collector's key, go where the environment says and are sent nowhere on.
        let client = reqwest::Client::builder().timeout(EXPORT_TIMEOUT).redirect(Policy::none()).build()?;
        let client = Client { client, runtime: runtime.clone() };
        let exporter = OtlpExporter::builder().with_http().with_http_client(client).build()?;
        let processor = BatchSpanProcessor::builder(Said::new(exporter)).build();
        let provider = SdkTracerProvider::builder().with_resource(resource()).with_span_processor(processor).build();
        Ok(Self(provider))
    }

    pub(super) fn provider(&self) -> &SdkTracerProvider {
        &self.0
    }

    /// Sends what has not been sent, as far as that is quick; the runtime must run still.
    pub fn flush(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH_TIMEOUT) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Names this process, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` does.
fn resource() -> Resource {
    let told = Resource::builder().build();
    let is_named = told
        .get(&Key::from_static_str("service.name"))
        .is_some_and(|name| matches!(&name, Value::String(name) if !name.as_str().starts_with("unknown_service")));
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    if is_named { builder.build() } else { builder.with_service_name(SCOPE).build() }
}

/// Makes the exporter's requests on the process's runtime, as the SDK's thread has none.
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl Debug for Client {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let client = self.client.clone();
        let answer = self.runtime.spawn(async move {
            let answer = client.execute(request).await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?))
        });
        let (status, headers, body) = answer.await??;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// An exporter whose failures are said, once for as long as they last.
#[derive(Debug)]
struct Said<E> {
    exporter: E,
    is_failing: AtomicBool,
}

impl<E> Said<E> {
    fn new(exporter: E) -> Self {
        Self { exporter, is_failing: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for Said<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        let was_failing = self.is_failing.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !was_failing => {
                tracing::warn!(%error, "the collector takes no spans; they are dropped until it does");
            }
            Ok(()) if was_failing => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
