//! Spans as they are exported: kept in memory, or taken over HTTP by a collector on a loopback port.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result, ensure};
use billrunner::telemetry::trace_layer;
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

/// Who called: a span of another system.
pub const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().expect("not poisoned").extend(batch);
        Ok(())
    }
}

/// Has this test's spans exported into memory, as long as the value lives.
pub struct Traced {
    kept: Kept,
    _provider: SdkTracerProvider,
    _listening: DefaultGuard,
}

impl Traced {
    pub fn start() -> Self {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        let subscriber = tracing_subscriber::registry().with(trace_layer(&provider));
        Self { kept, _listening: tracing::subscriber::set_default(subscriber), _provider: provider }
    }

    /// Returns every span that has ended.
    pub fn spans(&self) -> Vec<SpanData> {
        self.kept.0.lock().expect("not poisoned").clone()
    }

    /// Returns the spans with a name, in the order in which they began.
    pub fn named(&self, name: &str) -> Vec<SpanData> {
        let mut found: Vec<_> = self.spans().into_iter().filter(|span| span.name == name).collect();
        found.sort_by_key(|span| span.start_time);
        found
    }

    /// Returns the one span with a name.
    pub fn only(&self, name: &str) -> Result<SpanData> {
        let mut found = self.named(name);
        let names: Vec<_> = self.spans().into_iter().map(|span| span.name).collect();
        ensure!(found.len() == 1, "{} spans `{name}` among {names:?}", found.len());
        found.pop().context("a span")
    }

    /// Returns the spans right below another, by name.
    pub fn below(&self, parent: &SpanData) -> BTreeMap<String, SpanData> {
        let below = self.spans().into_iter().filter(|span| span.parent_span_id == parent.span_context.span_id());
        below.map(|span| (span.name.to_string(), span)).collect()
    }
}

/// Returns a value of a span as text.
pub fn value(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|found| found.key.as_str() == key).map(|found| found.value.to_string())
}

/// Checks what kind of span it is and which it comes from.
pub fn comes_from(span: &SpanData, kind: &SpanKind, trace: TraceId, parent: SpanId) -> Result<()> {
    let found = (&span.span_kind, span.span_context.trace_id(), span.parent_span_id);
    ensure!(found == (kind, trace, parent), "{} is {found:?}", span.name);
    Ok(())
}

pub fn has_failed(span: &SpanData) -> bool {
    matches!(span.status, Status::Error { .. })
}

/// A collector that keeps what is posted to it, head and body.
pub struct Collector {
    pub address: SocketAddr,
    posted: Arc<Mutex<Vec<Vec<u8>>>>,
    serving: JoinHandle<()>,
}

impl Collector {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, posted) = (listener.local_addr()?, Arc::<Mutex<Vec<Vec<u8>>>>::default());
        let kept = posted.clone();
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(take(connection, kept.clone()));
            }
        });
        Ok(Self { address, posted, serving })
    }

    pub fn posted(&self) -> Vec<Vec<u8>> {
        self.posted.lock().expect("not poisoned").clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Takes requests from a connection, each with its length, and says that all is well.
async fn take(mut connection: TcpStream, posted: Arc<Mutex<Vec<Vec<u8>>>>) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|four: &[u8]| four == b"\r\n\r\n");
        let length = end.and_then(|end| {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
            Some(end + 4 + length)
        });
        match length.filter(|length| bytes.len() >= *length) {
            Some(length) => {
                posted.lock().expect("not poisoned").push(bytes.drain(..length).collect());
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
                connection.write_all(answer.as_bytes()).await.ok()?;
            }
            None if connection.read_buf(&mut bytes).await.ok()? == 0 => return None,
            None => {}
        }
    }
}
