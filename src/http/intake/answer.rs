//! What the HTTP door answers when it accepts, and how it shows a job to the client that owns it.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::Problem;
use crate::{
    domain::{customer_side::without_amounts, ids::JobId},
    store::{job_status::JobStatus, jobs::NewJob},
};

/// Says that an answer is that of an earlier request.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Kinds whose failures name amounts of the charge files: what the reseller pays. A client may be a customer's own, so it
/// learns where something does not add up and not by how much; `billrunner jobs show` tells the reseller.
const KINDS_THAT_NAME_COSTS: [&str; 4] =
    ["generate_invoice", "correct_invoice", "change_invoice_status", "reconcile_charges"];

/// What became of a job that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is recorded and will run.
    Accepted,
    /// The same request was accepted before; this is that job.
    Repeated,
    /// A job that is not final holds the dedupe key and stands for this one, which is not recorded.
    Folded,
}

/// A job that was handed in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Receipt {
    /// The job.
    #[schema(value_type = String, format = "uuid")]
    pub id: JobId,
    /// Which kind of job.
    #[schema(example = "start_bill_run")]
    pub kind: String,
    /// The lane it waits in.
    #[schema(example = "billing")]
    pub queue: String,
    /// Where it stands.
    #[schema(example = "scheduled")]
    pub state: String,
    /// What became of this request.
    pub outcome: Outcome,
    /// Where to ask for it.
    #[schema(example = "/v1/jobs/0199a000-0000-7000-8000-000000000001")]
    pub location: String,
}

impl Receipt {
    /// Makes the receipt of a job that was recorded now.
    pub fn of_new(job: &NewJob) -> Self {
        Self {
            id: job.id,
            kind: job.kind.to_owned(),
            queue: job.queue.clone(),
            state: "scheduled".to_owned(),
            outcome: Outcome::Accepted,
            location: location(job.id),
        }
    }

    /// Makes the receipt of a job that was there before.
    pub fn of_earlier(job: &JobStatus, outcome: Outcome) -> Self {
        let location = location(job.id);
        let (kind, queue, state) = (job.kind.clone(), job.queue.clone(), job.state.clone());
        Self { id: job.id, kind, queue, state, outcome, location }
    }

    fn status(&self) -> StatusCode {
        match self.outcome {
            Outcome::Accepted => StatusCode::ACCEPTED,
            Outcome::Repeated | Outcome::Folded => StatusCode::OK,
        }
    }
}

impl IntoResponse for Receipt {
    fn into_response(self) -> Response {
        let location = HeaderValue::from_str(&self.location).ok();
        let is_replayed = self.outcome != Outcome::Accepted;
        let mut response = (self.status(), Json(self)).into_response();
        let headers = response.headers_mut();
        headers.extend(location.map(|location| (header::LOCATION, location)));
        headers.extend(is_replayed.then(|| (REPLAYED, HeaderValue::from_static("true"))));
        response
    }
}

fn location(id: JobId) -> String {
    format!("/v1/jobs/{id}")
}

/// What became of a batch: a result for each item, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// One for each item.
    pub results: Vec<BatchResult>,
}

/// What became of an item of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchResult {
    /// The status it would have been answered with alone.
    #[schema(example = 202)]
    status: u16,
    /// The job, where it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Receipt>,
    /// The problem, where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

impl From<Result<Receipt, Problem>> for BatchResult {
    fn from(result: Result<Receipt, Problem>) -> Self {
        match result {
            Ok(job) => Self { status: job.status().as_u16(), job: Some(job), problem: None },
            Err(problem) => Self { status: problem.status().as_u16(), job: None, problem: Some(problem) },
        }
    }
}

/// The body of a 200: a job that was handed in before, or the results of a batch.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the two bodies of one status for the OpenAPI document")]
pub enum OkBody {
    /// For one envelope.
    Job(Receipt),
    /// For a batch.
    Batch(BatchAnswer),
}

/// How a job stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobView {
    /// The job.
    #[schema(value_type = String, format = "uuid")]
    id: JobId,
    /// Which kind of job.
    #[schema(example = "start_bill_run")]
    kind: String,
    /// The lane.
    #[schema(example = "billing")]
    queue: String,
    /// Where it stands: awaiting, scheduled, dispatched, running; or at its end done, dead, discarded.
    #[schema(example = "running")]
    state: String,
    /// Who sent it.
    source: String,
    /// The `id` it was sent with.
    external_id: String,
    /// Attempts so far, the running one included.
    attempts: i32,
    /// How many of them failed.
    failed_attempts: i32,
    /// How many may fail before the job is dead.
    max_attempts: i32,
    /// How far a long job has come; null where it has not said.
    progress: Option<ProgressView>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    created_at: DateTime<Utc>,
    /// When it is due, or was.
    #[schema(value_type = String, format = DateTime)]
    run_at: DateTime<Utc>,
    /// When its latest attempt began.
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<DateTime<Utc>>,
    /// What went wrong last, without amounts of the charge files; null where nothing did, or it is done.
    last_error: Option<String>,
}

/// How far a long job has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressView {
    /// What is done, in the job's own unit: rows, invoices, jobs.
    done: i64,
    /// Out of how many, where that is known.
    total: Option<i64>,
    /// What it is at, in a few words.
    note: Option<String>,
}

impl From<JobStatus> for JobView {
    fn from(job: JobStatus) -> Self {
        let (total, note) = (job.progress_total, job.progress_note);
        let may_name_costs = KINDS_THAT_NAME_COSTS.contains(&job.kind.as_str());
        Self {
            id: job.id,
            kind: job.kind,
            queue: job.queue,
            state: job.state,
            source: job.source,
            external_id: job.external_id,
            attempts: job.attempts,
            failed_attempts: job.failed_attempts,
            max_attempts: job.max_attempts,
            progress: job.progress_done.map(|done| ProgressView { done, total, note }),
            created_at: job.created_at,
            run_at: job.run_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            last_error: job.last_error.map(|error| if may_name_costs { without_amounts(&error) } else { error }),
        }
    }
}
