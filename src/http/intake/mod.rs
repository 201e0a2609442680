//! The HTTP door: `POST /v1/jobs` hands jobs in, `GET /v1/jobs/{id}` tells how one stands.
//!
//! A job is accepted once its row is committed; then the workers are told. Redis plays no part in it and may be away. Every
//! wait for Postgres is short: a client is told to come back rather than kept hanging. A client sees only jobs whose source
//! is its own, and its dedupe keys are its own, so that no two disturb each other.

mod access;
mod answer;
mod body;
mod openapi;
mod problem;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use sqlx::PgPool;

use crate::{
    domain::ids::JobId,
    metrics::{self, WatchedPool},
    queue::{self, Envelope, EnvelopeError, ReadEnvelope},
    store::{
        database, job_status,
        jobs::{self, Accepted, NewJob},
    },
};
use access::{Access, Caller};
use answer::{BatchAnswer, JobView, OkBody, Outcome, Receipt};
use body::Sent;
pub use openapi::document as openapi_document;
use problem::Problem;

/// Longest wait for Postgres before a client is told to come back.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(2);

/// The HTTP door.
pub struct Intake {
    ledger: PgPool,
    _watched: WatchedPool,
    read: ReadEnvelope,
    access: Access,
}

impl Intake {
    /// Opens the door onto a ledger, with connections of its own; `read` knows the kinds of job.
    pub fn new(pool: &PgPool, read: ReadEnvelope) -> Self {
        let ledger = database::ledger_pool(pool);
        let watched = metrics::process().watch_pool("door", &ledger);
        Self { read, access: Access::new(ledger.clone()), ledger, _watched: watched }
    }

    /// Reads an envelope and checks that the client may send it.
    fn prepare(&self, caller: &Caller, bytes: &[u8]) -> Result<NewJob, Problem> {
        let mut job = (self.read)(bytes)?;
        let client = &caller.client;
        if !client.may_send(job.kind) {
            let kinds = client.kinds.as_deref().unwrap_or_default().join(", ");
            let detail = format!("client `{}` may not send {}; it may send {kinds}", client.name, job.kind);
            return Err(Problem::forbidden("/type", detail));
        }
        if !client.owns(&job.source) {
            let sources = client.sources.iter().map(|own| format!("`{own}` or `{own}/…`")).collect::<Vec<_>>();
            let detail = format!("source `{}` is not the client's; write {}", job.source, sources.join(" or "));
            return Err(Problem::forbidden("/source", detail));
        }
        job.dedupe_key = job.dedupe_key.map(|key| format!("{}/{key}", client.name));
        Ok(job)
    }

    /// Records what is fit to be, in one transaction, and answers each in its place.
    async fn record(&self, prepared: Vec<Result<NewJob, Problem>>) -> Result<Vec<Result<Receipt, Problem>>, Problem> {
        let jobs: Vec<NewJob> = prepared.iter().filter_map(|job| job.as_ref().ok().cloned()).collect();
        let receipts = if jobs.is_empty() { Vec::new() } else { within_time(self.admit(&jobs)).await? };
        let mut receipts = receipts.into_iter();
        let place = |job: Result<NewJob, Problem>| {
            job.and_then(|_| receipts.next().unwrap_or_else(|| Err(Problem::unavailable())))
        };
        Ok(prepared.into_iter().map(place).collect())
    }

    async fn admit(&self, jobs: &[NewJob]) -> sqlx::Result<Vec<Result<Receipt, Problem>>> {
        let mut transaction = self.ledger.begin().await?;
        let answers = queue::admit(&mut transaction, jobs.iter().cloned().map(Ok).collect()).await?;
        let accepted = || answers.iter().filter_map(|answer| answer.as_ref().ok());
        if accepted().any(|accepted| matches!(accepted, Accepted::New(_))) {
            jobs::notify_dispatchers(&mut transaction).await?;
        }
        let earlier = accepted().filter(|accepted| !matches!(accepted, Accepted::New(_)));
        let earlier: Vec<JobId> = earlier.map(|accepted| accepted.id()).collect();
        let earlier =
            if earlier.is_empty() { Vec::new() } else { job_status::find(&mut transaction, &earlier).await? };
        transaction.commit().await?;
        let find = |id: JobId, outcome| {
            let found = earlier.iter().find(|job| job.id == id);
            found.map(|job| Receipt::of_earlier(job, outcome)).ok_or_else(Problem::unavailable)
        };
        let receipt = |(answer, job): (Result<Accepted, EnvelopeError>, &NewJob)| match answer? {
            Accepted::New(_) => Ok(Receipt::of_new(job)),
            Accepted::Repeated(id) => find(id, Outcome::Repeated),
            Accepted::Folded(id) => find(id, Outcome::Folded),
        };
        Ok(answers.into_iter().zip(jobs).map(receipt).collect())
    }
}

/// Waits a short while for Postgres.
async fn within_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, Problem> {
    let error = match tokio::time::timeout(LEDGER_TIMEOUT, work).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {LEDGER_TIMEOUT:?}"),
    };
    tracing::error!(error, "the HTTP door cannot reach the ledger");
    Err(Problem::unavailable())
}

/// Returns the routes.
pub fn router(intake: Arc<Intake>) -> Router {
    let wrong_method = || async { Problem::method_not_allowed() };
    Router::new()
        .route("/v1/jobs", post(hand_in).fallback(wrong_method))
        .route("/v1/jobs/{id}", get(show).fallback(wrong_method))
        .route(
            "/v1/{*rest}",
            any(|request: Request| async move { Problem::not_found(request.uri().path().to_owned()) }),
        )
        .route("/openapi.json", get(|| async { Json(openapi_document()) }))
        .with_state(intake)
}

/// Hand in a job, or a batch of up to 500.
///
/// The same `source` and `id` with the same payload again is the same job, so a request whose answer was lost is simply sent
/// again. The items of a batch are independent of one another: each has a result of its own.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    operation_id = "handIn",
    tag = "jobs",
    security(("api_key" = [])),
    request_body(
        description = "One event of at most 65,536 bytes, or an array of at most 500 of them and 4,194,304 bytes.",
        content(
            (Envelope = "application/cloudevents+json"),
            (Vec<Envelope> = "application/cloudevents-batch+json"),
            (openapi::OneOrMany = "application/json"),
        ),
    ),
    responses(
        (status = 202, description = "It is recorded and will run.", body = Receipt, content_type = "application/json",
            headers(("Location" = String, description = "Where to ask for the job."))),
        (status = 200, description = "It was accepted before, or is folded into the job that holds its dedupe key. A batch: \
                the results, one for each item.", body = OkBody, content_type = "application/json",
            headers(("Location" = String, description = "Where to ask for the job; not for a batch."),
                ("Idempotency-Replayed" = String, description = "`true`; not for a batch."))),
        (status = 400, description = "The body cannot be read.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No API key that is active.", body = Problem, content_type = "application/problem+json",
            headers(("WWW-Authenticate" = String))),
        (status = 403, description = "The client may not send this kind, or not from this source.", body = Problem,
            content_type = "application/problem+json"),
        (status = 405, description = "The resource has no such method.", body = Problem,
            content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time.", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "The id was used for another payload.", body = Problem,
            content_type = "application/problem+json"),
        (status = 413, description = "The envelope, the body or the batch is too large.", body = Problem,
            content_type = "application/problem+json"),
        (status = 415, description = "The body is in a form that is not read.", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "A value of the envelope is not valid; `errors` points at it.", body = Problem,
            content_type = "application/problem+json"),
        (status = 429, description = "The client sends too fast.", body = Problem, content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait."))),
        (status = 503, description = "The ledger does not answer. Sending the same request again is safe.", body = Problem,
            content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds to wait."))),
    ),
)]
async fn hand_in(State(intake): State<Arc<Intake>>, request: Request) -> Result<Response, Problem> {
    let caller = intake.access.authenticate(request.headers()).await?;
    caller.spend(1)?;
    match body::read(request).await? {
        Sent::One(bytes) => {
            let prepared = intake.prepare(&caller, &bytes);
            let receipt = intake.record(vec![prepared]).await?.pop();
            receipt.unwrap_or_else(|| Err(Problem::unavailable())).map(IntoResponse::into_response)
        }
        Sent::Batch(items) => {
            caller.spend(items.len().saturating_sub(1))?;
            let door = intake.clone();
            // Megabytes of JSON take longer than a runtime's thread may be held.
            let reading = tokio::task::spawn_blocking(move || {
                items.iter().map(|item| door.prepare(&caller, item.get().as_bytes())).collect()
            });
            let prepared = reading.await.map_err(|_| Problem::unavailable())?;
            let results = intake.record(prepared).await?.into_iter().map(Into::into).collect();
            Ok(Json(BatchAnswer { results }).into_response())
        }
    }
}

/// Ask how a job stands.
///
/// Only jobs whose source is the client's own are shown. Finished jobs are kept for as long as the operator says, by default
/// 90 days.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    operation_id = "showJob",
    tag = "jobs",
    security(("api_key" = [])),
    params(("id" = String, Path, description = "The job's id.", format = "uuid")),
    responses(
        (status = 200, description = "How it stands.", body = JobView, content_type = "application/json"),
        (status = 401, description = "No API key that is active.", body = Problem, content_type = "application/problem+json",
            headers(("WWW-Authenticate" = String))),
        (status = 404, description = "No job of this client has this id.", body = Problem,
            content_type = "application/problem+json"),
        (status = 405, description = "The resource has no such method.", body = Problem,
            content_type = "application/problem+json"),
        (status = 429, description = "The client sends too fast.", body = Problem, content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait."))),
        (status = 503, description = "The ledger does not answer.", body = Problem,
            content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds to wait."))),
    ),
)]
async fn show(
    State(intake): State<Arc<Intake>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<JobView>, Problem> {
    let caller = intake.access.authenticate(&headers).await?;
    caller.spend(1)?;
    let not_found = || Problem::not_found(format!("/v1/jobs/{id}"));
    let wanted: JobId = id.parse().map_err(|_| not_found())?;
    let found = within_time(async {
        let mut connection = intake.ledger.acquire().await?;
        job_status::find(&mut connection, &[wanted]).await
    });
    let job = found.await?.pop().filter(|job| caller.client.owns(&job.source));
    job.map(|job| Json(job.into())).ok_or_else(not_found)
}
