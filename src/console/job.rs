//! One job: what it was told, how each attempt ended, what belongs to it; retried, discarded and cancelled from here.
//!
//! The page shows the beginning of what is long, so that it stays small; `/jobs/{id}/raw` holds all of it.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::Redirect,
    routing::{get, post},
};
use maud::{Markup, html};
use serde_json::Value;
use sqlx::PgConnection;

use super::{
    Change, Frame, Problem, Shared, age, count,
    elements::{address, state},
    instant, jobs as list, page,
};
use crate::{
    domain::ids::JobId,
    store::{
        job_details::{self, AttemptDetail, JobSummary, Origin},
        job_list::{self, JobRow},
        job_search::JobSearch,
        jobs::{self, NotDead},
        operator_actions::{self, OperatorAction},
    },
};

/// Attempts shown: as many as most kinds have.
const SHOWN_ATTEMPTS: i64 = 15;
/// Jobs shown that belong to this one.
const SHOWN_RELATED: i64 = 6;
/// How much of the payload is shown.
const SHOWN_PAYLOAD_CHARS: usize = 3000;
/// How much of the error is shown.
const SHOWN_ERROR_CHARS: usize = 1000;

/// What the page shows.
struct Shown {
    job: JobRow,
    summary: JobSummary,
    origin: Origin,
    attempts: Vec<AttemptDetail>,
    actions: Vec<OperatorAction>,
    related: Vec<JobSummary>,
    /// Of the batch that it completes: how many are in which state.
    outcomes: Vec<(String, i64)>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/jobs/{id}", get(show))
        .route("/jobs/{id}/raw", get(raw))
        .route("/jobs/{id}/retry", post(retry))
        .route("/jobs/{id}/discard", post(discard))
        .route("/jobs/{id}/cancel", post(cancel))
}

async fn show(State(console): State<Shared>, frame: Frame, Path(id): Path<String>) -> Result<Markup, Problem> {
    let id = read_id(&id)?;
    let shown = load(&mut *console.pool.acquire().await?, id).await?.ok_or_else(|| missing(id))?;
    Ok(page(&frame, &format!("{} {}", shown.job.kind, list::short(id)), render(&frame, &shown)))
}

async fn raw(State(console): State<Shared>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let id = read_id(&id)?;
    let mut connection = console.pool.acquire().await?;
    let (job, attempts) = job_list::find(&mut connection, id).await?.ok_or_else(|| missing(id))?;
    let actions = operator_actions::of_job(&mut connection, id).await?;
    Ok(Json(serde_json::json!({ "job": job, "attempts": attempts, "actions": actions })))
}

fn read_id(text: &str) -> Result<JobId, Problem> {
    text.parse().map_err(|_| Problem::NotFound("this address names no job".to_owned()))
}

fn missing(id: JobId) -> Problem {
    Problem::NotFound(format!("job {id} does not exist; it may have been deleted when its time was over"))
}

async fn load(connection: &mut PgConnection, id: JobId) -> sqlx::Result<Option<Shown>> {
    let Some(job) = job_list::list_these(&mut *connection, &[id]).await?.pop() else { return Ok(None) };
    let (Some(summary), Some(origin)) = (
        job_details::summaries(&mut *connection, &[id]).await?.pop(),
        job_details::origin(&mut *connection, id).await?,
    ) else {
        return Ok(None);
    };
    let related = job_details::related(&mut *connection, id, origin.subject.as_deref(), SHOWN_RELATED).await?;
    let outcomes = if job.completes_batch { jobs::outcomes_of_batch(&mut *connection, id).await? } else { Vec::new() };
    Ok(Some(Shown {
        attempts: job_details::attempts(&mut *connection, id, SHOWN_ATTEMPTS).await?,
        actions: operator_actions::of_job(&mut *connection, id).await?,
        related: job_details::summaries(connection, &related).await?,
        job,
        summary,
        origin,
        outcomes,
    }))
}

fn render(frame: &Frame, shown: &Shown) -> Markup {
    let job = &shown.job;
    html! {
        div.actions {
            (state(&job.state))
            span.muted { (job.failed_attempts) " of " (job.max_attempts) " attempts failed" }
        }
        @if let Some(error) = &job.last_error {
            p.problem { bdi { (beginning(error, SHOWN_ERROR_CHARS)) } }
        }
        (progress(job))
        (changes(frame, job))
        div.split {
            div {
                (attempts(shown))
                section.panel {
                    h2 { "Payload" }
                    pre { code { (payload(job)) } }
                    p { a href=(frame.href(&format!("/jobs/{}/raw", job.id))) { "All of it, with every attempt, as JSON" } }
                }
                (related(frame, shown))
            }
            div {
                section.panel { h2 { "Facts" } (facts(frame, shown)) }
                (actions(&shown.actions))
            }
        }
    }
}

/// Returns the beginning of a text, and says where something is left out.
fn beginning(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}… (shortened)", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn payload(job: &JobRow) -> String {
    beginning(&serde_json::to_string_pretty(&job.payload.0).unwrap_or_default(), SHOWN_PAYLOAD_CHARS)
}

/// Shows how far a job has come.
pub(super) fn progress(job: &JobRow) -> Markup {
    let is_final = job.finished_at.is_some();
    html! {
        @if let (Some(done), false) = (job.progress_done, is_final) {
            div.panel {
                @if let Some(total) = job.progress_total {
                    progress max=(total.max(1)) value=(done) aria-label="Progress" {}
                    p { (count(done)) " of " (count(total)) " " (job.progress_note.as_deref().unwrap_or_default()) }
                } @else {
                    p { (count(done)) " " (job.progress_note.as_deref().unwrap_or_default()) }
                }
            }
        }
    }
}

/// Offers what can be done about a job as it stands.
fn changes(frame: &Frame, job: &JobRow) -> Markup {
    let to = |change: &str| format!("/jobs/{}/{change}", job.id);
    let waits = matches!(job.state.as_str(), "scheduled" | "dispatched" | "running") && !job.completes_batch;
    html! {
        @if matches!(job.state.as_str(), "dead" | "discarded") { (frame.form(&to("retry"), html! {}, "Retry")) }
        @if job.state == "dead" { (frame.form_to_end(&to("discard"), html! {}, "Discard")) }
        @if waits && job.cancel_requested_at.is_none() { (frame.form_to_end(&to("cancel"), html! {}, "Cancel")) }
        @if let (Some(by), Some(at), None) = (&job.cancel_requested_by, job.cancel_requested_at, job.finished_at) {
            p.notice { (by) " asked for its end at " (instant(at)) "; it ends where nothing is half done." }
        }
    }
}

fn attempts(shown: &Shown) -> Markup {
    html! {
        section {
            h2 { "Attempts" }
            @if shown.attempts.is_empty() && shown.job.state != "running" { p.muted { "It has not been tried." } }
            @else {
                div.scroll tabindex="0" {
                    table {
                        thead {
                            tr {
                                th scope="col" .number { "Attempt" }
                                @for title in ["Outcome", "Started", "Worker"] { th scope="col" { (title) } }
                                th scope="col" .number { "Took" }
                                th scope="col" { "Message" }
                            }
                        }
                        tbody {
                            @for attempt in &shown.attempts { (attempt_row(attempt)) }
                            (running_row(shown))
                        }
                    }
                }
            }
        }
    }
}

fn attempt_row(attempt: &AttemptDetail) -> Markup {
    html! {
        tr {
            th scope="row" .number { (attempt.attempt) }
            td { (state(&attempt.outcome)) }
            td { (instant(attempt.started_at)) }
            td { bdi { (attempt.worker.as_deref().unwrap_or("–")) } }
            td.number title=(format!("{:.3} s", attempt.seconds)) { (age(attempt.seconds)) }
            td.long { @if let Some(message) = &attempt.message { bdi { (message) } } }
        }
    }
}

fn running_row(shown: &Shown) -> Markup {
    html! {
        @if shown.job.state == "running" {
            tr {
                th scope="row" .number { (shown.job.attempt) }
                td { (state("running")) }
                td { @if let Some(at) = shown.job.started_at { (instant(at)) } }
                td { bdi { (shown.origin.worker.as_deref().unwrap_or("–")) } }
                td.number { "–" }
                td {}
            }
        }
    }
}

fn facts(frame: &Frame, shown: &Shown) -> Markup {
    let (job, origin) = (&shown.job, &shown.origin);
    let jobs = |name: &str, value: &str| frame.href(&address("/jobs", &[(name, Some(value))]));
    html! {
        dl.facts {
            dt { "Id" } dd.mono { (job.id) }
            dt { "Kind" } dd { a href=(jobs("kind", &job.kind)) { (job.kind) } }
            dt { "Lane" } dd { a href=(jobs("queue", &job.queue)) { (job.queue) } @if job.priority != 0 { " (priority " (job.priority) ")" } }
            dt { "About" } dd { (list::about(frame, &shown.summary, &JobSearch::default())) }
            @if let Some(invoice) = &shown.summary.invoice {
                dt { "Invoice" }
                dd {
                    a href=(jobs("invoice", invoice)) { "its jobs" } ", "
                    a href=(frame.href(&address("/notifications", &[("invoice", Some(invoice.as_str()))]))) { "its mails" }
                }
            }
            dt { "Accepted" } dd { (instant(job.created_at)) }
            dt { "Due" } dd { (instant(job.run_at)) }
            @if let Some(at) = job.started_at { dt { "Started" } dd { (instant(at)) } }
            @if let Some(at) = job.finished_at { dt { "Ended" } dd { (instant(at)) } }
            dt { "Asked by" } dd { bdi { (job.requested_by) } }
            dt { "Source" } dd { a href=(jobs("source", &job.source)) { bdi { (job.source) } } }
            dt { "Request" } dd { bdi { (job.external_id) } }
            @if let Some(key) = &job.dedupe_key { dt { "Dedupe key" } dd { bdi { (key) } } }
            @if let Some(trace) = &origin.trace_id { dt { "Trace" } dd.mono { a href=(jobs("trace", trace)) { (trace) } } }
            @if let Some(parent) = origin.parent_id { dt { "Made by" } dd { a.mono href=(frame.href(&format!("/jobs/{parent}"))) { (list::short(parent)) } } }
            @if let Some(batch) = job.batch_id {
                dt { "Batch" }
                dd { a.mono href=(frame.href(&format!("/jobs/{batch}"))) { (list::short(batch)) } ", " a href=(jobs("batch", &batch.to_string())) { "its jobs" } }
            }
            @if job.completes_batch {
                dt { "Its batch" }
                dd {
                    a href=(jobs("batch", &job.id.to_string())) { "jobs" } ": "
                    @for (state, number) in &shown.outcomes { (count(*number)) " " (state) " " }
                }
            }
        }
    }
}

fn actions(actions: &[OperatorAction]) -> Markup {
    html! {
        @if !actions.is_empty() {
            section.panel {
                h2 { "What was done" }
                dl.facts {
                    @for action in actions.iter().rev().take(20) {
                        dt { (action.action) }
                        dd { bdi { (action.done_by) } " at " (instant(action.done_at)) ": " bdi { (action.reason) } }
                    }
                }
            }
        }
    }
}

fn related(frame: &Frame, shown: &Shown) -> Markup {
    html! {
        @if !shown.related.is_empty() {
            section {
                h2 { "Jobs that belong to it" }
                (list::table(frame, &shown.related, &JobSearch::default()))
            }
        }
    }
}

async fn retry(
    State(console): State<Shared>,
    frame: Frame,
    Path(id): Path<String>,
    change: Change,
) -> Result<Redirect, Problem> {
    let id = read_id(&id)?;
    let mut transaction = console.pool.begin().await?;
    jobs::revive(&mut transaction, id, change.operator()).await?;
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(back_to(&frame, id))
}

async fn discard(
    State(console): State<Shared>,
    frame: Frame,
    Path(id): Path<String>,
    change: Change,
) -> Result<Redirect, Problem> {
    let id = read_id(&id)?;
    jobs::discard(&mut *console.pool.acquire().await?, id, change.operator()).await?;
    Ok(back_to(&frame, id))
}

async fn cancel(
    State(console): State<Shared>,
    frame: Frame,
    Path(id): Path<String>,
    change: Change,
) -> Result<Redirect, Problem> {
    let id = read_id(&id)?;
    let mut transaction = console.pool.begin().await?;
    if jobs::cancel(&mut transaction, id, change.operator()).await?.is_none() {
        let job = job_list::list_these(&mut transaction, &[id]).await?.pop().ok_or_else(|| missing(id))?;
        let why = format!(
            "job {id} is {}; a job that ended, was cancelled before or completes a batch is not cancelled",
            job.state
        );
        return Err(Problem::Refused(why));
    }
    // Its batch may have no other job left.
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(back_to(&frame, id))
}

fn back_to(frame: &Frame, id: JobId) -> Redirect {
    Redirect::to(&frame.href(&format!("/jobs/{id}")))
}

impl From<NotDead> for Problem {
    fn from(error: NotDead) -> Self {
        match error {
            NotDead::Missing(id) => missing(id),
            NotDead::OtherState { .. } | NotDead::KeyHeld { .. } | NotDead::BatchCompletes { .. } => {
                Self::Refused(error.to_string())
            }
            NotDead::Database(error) => error.into(),
        }
    }
}
