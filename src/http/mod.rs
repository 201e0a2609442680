//! The web process: the HTTP door for jobs, probes and metrics, and the operators' console.
//!
//! `/livez` says that the process answers, `/readyz` that it can accept jobs (Postgres at this release's schema;
//! without Redis they wait). Customers download documents through signed links where those are set up. Documents and
//! mails can be opened without one only in `billrunner demo`, whose data is its own.

mod byte_range;
mod downloads;
mod inbox;
mod intake;
mod metrics;
mod page;
mod schemas;
mod traced;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{from_fn, map_response},
    response::{Html, IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use object_store::{ObjectStore, ObjectStoreExt};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    console::{self, Console},
    domain::{document::DocumentKind, ids::InvoiceId},
    queue::Streams,
    store::{
        database, documents,
        invoice_list::{self, InvoiceFilter},
        invoices,
    },
};

pub use downloads::Downloads;
pub use intake::{Intake, openapi_document};
pub use metrics::{Metrics, serve_metrics};

/// How long a probe waits for a server.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Invoices shown on the demo's page.
const SHOWN_INVOICES: i64 = 200;

/// What the pages are made from.
#[derive(Clone)]
pub struct Web {
    /// Postgres, as the application's role.
    pub pool: PgPool,
    /// Redis.
    pub streams: Streams,
    /// The JSON Schemas by name, as `Registry::schemas` lists them.
    pub schemas: Arc<BTreeMap<String, serde_json::Value>>,
    /// The door for jobs.
    pub intake: Arc<Intake>,
    /// What customers download from; `None` serves no links.
    pub downloads: Option<Arc<Downloads>>,
    /// What `/metrics` is made from; `None` serves none.
    pub metrics: Option<Arc<Metrics>>,
    /// The operators' console; `None` serves none.
    pub console: Option<Arc<Console>>,
    /// What can be opened, in the demo; `None` serves no customer's data.
    pub demo: Option<Arc<DemoFiles>>,
}

/// What the demo lets its visitor open.
pub struct DemoFiles {
    /// Where the documents are.
    pub objects: Arc<dyn ObjectStore>,
    /// Folder of the mails.
    pub mails: PathBuf,
}

/// Serves the pages until told to stop. Returns once the last answer is given.
///
/// # Errors
/// When the listener fails.
pub async fn serve(web: Web, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
    // Answers are small and wanted at once.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    let _watched = crate::metrics::process().watch_pool("pages", &web.pool);
    let console = web.console.as_ref();
    let _watched_too = console.map(|console| crate::metrics::process().watch_pool("console", &console.pool));
    // Who logs in is known by address too.
    let service = router(web).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Opens the address to listen on.
///
/// # Errors
/// When it is taken or not ours.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

fn router(web: Web) -> Router {
    let mut router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .merge(schemas::router());
    if web.demo.is_some() {
        router = router
            .route("/demo", get(papers))
            .route("/documents/{invoice}/{kind}", get(document))
            .merge(inbox::router());
    }
    if web.downloads.is_some() {
        router = router.merge(downloads::router());
    }
    let intake = intake::router(web.intake.clone());
    let pages = web.console.clone().map(console::router).unwrap_or_default();
    let numbers = web.metrics.clone().map(metrics::router).unwrap_or_default();
    router
        .with_state(web)
        .merge(intake)
        .merge(numbers)
        .merge(pages)
        .layer(from_fn(metrics::count))
        .layer(from_fn(traced::request))
        .layer(map_response(secure))
}

/// Adds what keeps a browser from doing more with our pages than showing them.
async fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    // A document's own is stricter, and so is the console's.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    response
}

/// Why a page could not be made. The visitor learns what is away, the log why.
#[derive(Debug, thiserror::Error)]
enum PageError {
    #[error("there is no such page")]
    NotFound,
    #[error("the link has expired; ask for a new one")]
    Expired,
    #[error("Postgres does not answer")]
    Postgres(#[from] sqlx::Error),
    #[error("the object store does not answer")]
    ObjectStore(#[from] object_store::Error),
    #[error("the object store holds other bytes than were recorded")]
    OtherBytes,
    #[error("the file cannot be read")]
    File(#[from] std::io::Error),
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Expired => StatusCode::GONE,
            Self::Postgres(_) | Self::ObjectStore(_) | Self::OtherBytes | Self::File(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        if status == StatusCode::SERVICE_UNAVAILABLE {
            tracing::error!(error = ?self, "a page could not be made");
        }
        (status, format!("{self}\n")).into_response()
    }
}

async fn readyz(State(web): State<Web>) -> Response {
    let postgres = tokio::time::timeout(PROBE_TIMEOUT, database::is_migrated(&web.pool));
    let redis = tokio::time::timeout(PROBE_TIMEOUT, web.streams.ping());
    let (postgres, redis) = tokio::join!(postgres, redis);
    let missing = match postgres {
        Ok(Ok(true)) => None,
        Ok(Ok(false)) => Some("postgres: the schema is older than this release; run `billrunner migrate`\n"),
        Ok(Err(_)) | Err(_) => Some("postgres: no answer\n"),
    };
    match (missing, redis) {
        (Some(missing), _) => (StatusCode::SERVICE_UNAVAILABLE, missing).into_response(),
        (None, Ok(Ok(()))) => "ready\n".into_response(),
        // A job is accepted when its row is committed: a balancer must not close the door for Redis's sake.
        (None, _) => "ready; redis does not answer: jobs are accepted, and wait for it\n".into_response(),
    }
}

async fn papers(State(web): State<Web>) -> Result<Html<String>, PageError> {
    let mut connection = web.pool.acquire().await?;
    let invoices = invoice_list::list(&mut connection, &InvoiceFilter::default(), SHOWN_INVOICES).await?;
    Ok(Html(page::papers(&invoices).into_string()))
}

async fn document(
    State(web): State<Web>,
    Path((invoice, kind)): Path<(InvoiceId, String)>,
) -> Result<Response, PageError> {
    let demo = web.demo.as_ref().ok_or(PageError::NotFound)?;
    let kind: DocumentKind = kind.parse().map_err(|_| PageError::NotFound)?;
    let mut connection = web.pool.acquire().await?;
    let found = invoice_list::find_by_name(&mut connection, &invoice.to_string()).await?;
    let (reseller_id, id) = *found.first().ok_or(PageError::NotFound)?;
    let invoice = invoices::find(&mut connection, reseller_id, id).await?.ok_or(PageError::NotFound)?;
    let language = invoice.language.to_string();
    let rendered = documents::of_version(&mut connection, reseller_id, id, invoice.version, &language).await?;
    let document = rendered.iter().find(|document| document.kind == kind).ok_or(PageError::NotFound)?;
    let bytes = demo.objects.get(&document.location.as_str().into()).await?.bytes().await?;
    // The file name is ours, made of ASCII letters, digits and hyphens.
    let disposition = format!("inline; filename=\"{}\"", document.file_name);
    let headers =
        [(header::CONTENT_TYPE, document.content_type().to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, bytes).into_response())
}
