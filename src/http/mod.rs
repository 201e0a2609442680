//! The web process: the HTTP door for jobs, probes and metrics, and one plain page that says how the queues stand.
//!
//! `/livez` says that the process answers, `/readyz` that it can accept jobs (Postgres at this release's schema;
//! without Redis they wait). Customers download documents through signed links where those are set up. Documents and
//! mails can be opened without one only in `billrunner demo`, whose data is its own.

mod byte_range;
mod downloads;
mod intake;
mod metrics;
mod page;
mod schemas;
mod traced;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
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
    domain::{document::DocumentKind, ids::InvoiceId},
    queue::Streams,
    store::{
        database, documents,
        invoice_list::{self, InvoiceFilter},
        invoices, job_list,
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
    axum::serve(listener, router(web)).with_graceful_shutdown(stop.cancelled_owned()).await
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
        .route("/", get(overview))
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .merge(schemas::router());
    if web.demo.is_some() {
        router = router.route("/documents/{invoice}/{kind}", get(document)).route("/mails/{name}", get(mail));
    }
    if web.downloads.is_some() {
        router = router.merge(downloads::router());
    }
    let intake = intake::router(web.intake.clone());
    let numbers = web.metrics.clone().map(metrics::router).unwrap_or_default();
    router
        .with_state(web)
        .merge(intake)
        .merge(numbers)
        .layer(from_fn(metrics::count))
        .layer(from_fn(traced::request))
        .layer(map_response(secure))
}

/// Adds what keeps a browser from doing more with our pages than showing them.
async fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    // A document's own is stricter.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
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

async fn overview(State(web): State<Web>) -> Result<Html<String>, PageError> {
    let mut connection = web.pool.acquire().await?;
    let counts = job_list::count_by_queue(&mut connection).await?;
    let Some(demo) = &web.demo else { return Ok(Html(page::overview(&counts, None).into_string())) };
    let invoices = invoice_list::list(&mut connection, &InvoiceFilter::default(), SHOWN_INVOICES).await?;
    let mut mails = Vec::new();
    let mut entries = tokio::fs::read_dir(&demo.mails).await?;
    while let Some(entry) = entries.next_entry().await? {
        mails.extend(entry.file_name().into_string());
    }
    mails.sort();
    Ok(Html(page::overview(&counts, Some((&invoices, &mails))).into_string()))
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

async fn mail(State(web): State<Web>, Path(name): Path<String>) -> Result<Response, PageError> {
    let demo = web.demo.as_ref().ok_or(PageError::NotFound)?;
    let is_ours = name.strip_suffix(".eml").is_some() && !name.contains(['/', '\\']);
    if !is_ours {
        return Err(PageError::NotFound);
    }
    let bytes = tokio::fs::read(demo.mails.join(&name)).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => PageError::NotFound,
        _ => PageError::File(error),
    })?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], bytes).into_response())
}
