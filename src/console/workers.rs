//! Who works: each process with its version and heartbeat, and what each does at this moment.

use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use sqlx::PgConnection;

use super::{Frame, Problem, Shared, age, count, elements, instant, page};
use crate::{
    domain::worker_name::WorkerName,
    store::workers::{self, GONE_AFTER_SECS, RunningJob, WorkerRow},
};

/// Jobs of a worker that are named; the rest is counted.
const NAMED_JOBS: usize = 5;
/// Workers shown; those that are gone come last.
const SHOWN_WORKERS: usize = 25;

/// What the page shows.
struct Data {
    workers: Vec<WorkerRow>,
    running: Vec<RunningJob>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/workers", get(show))
}

async fn show(State(console): State<Shared>, frame: Frame) -> Result<Markup, Problem> {
    let data = load(&mut *console.pool.acquire().await?).await?;
    Ok(page(&frame, "Workers", render(&frame, &data)))
}

async fn load(connection: &mut PgConnection) -> sqlx::Result<Data> {
    Ok(Data { workers: workers::list(&mut *connection).await?, running: workers::running_jobs(connection).await? })
}

fn render(frame: &Frame, data: &Data) -> Markup {
    let alive = data.workers.iter().filter(|worker| worker.seen_seconds_ago < GONE_AFTER_SECS).count();
    let named = data.workers.len().min(SHOWN_WORKERS);
    html! {
        div id="workers" hx-get=(frame.href("/workers")) hx-trigger="every 10s" hx-select="#workers" hx-swap="outerHTML" {
            p { (alive) " alive, " (data.running.len()) " jobs run. " a href=(frame.href("/workers")) { "Refresh" } }
            @if data.workers.is_empty() {
                p.muted { "No worker was here in the last day. Start " code { "billrunner worker" } "." }
            }
            @for worker in data.workers.iter().take(SHOWN_WORKERS) {
                (card(frame, worker, &data.running))
            }
            @if data.workers.len() > named { p.muted { "And " (data.workers.len() - named) " more that were seen earlier." } }
        }
    }
}

fn card(frame: &Frame, worker: &WorkerRow, running_jobs: &[RunningJob]) -> Markup {
    let runs: Vec<&RunningJob> = running_jobs.iter().filter(|job| job.worker_id == worker.id).collect();
    let name = WorkerName::read(&worker.name);
    let is_alive = worker.seen_seconds_ago < GONE_AFTER_SECS;
    let mut lanes: Vec<&str> = runs.iter().map(|job| job.queue.as_str()).collect();
    lanes.sort_unstable();
    lanes.dedup();
    html! {
        section.panel.gone[!is_alive] {
            h2 {
                bdi { (if name.host.is_empty() { "unknown host" } else { name.host }) }
                " " @if is_alive { (elements::state("alive")) } @else { span.state.state-dead { "gone" } }
            }
            dl.facts {
                dt { "Process" } dd { bdi { (name.process) } ", version " bdi { (name.version) } }
                dt { "Started" } dd { (instant(worker.started_at)) }
                dt { "Heartbeat" } dd { (age(worker.seen_seconds_ago)) " ago" }
                dt { "Lanes at work" } dd { @if lanes.is_empty() { "none" } @else { (lanes.join(", ")) } }
            }
            @if runs.is_empty() {
                p.muted { "Runs nothing at this moment." }
            } @else {
                div.scroll tabindex="0" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "job" }
                                th scope="col" { "queue" }
                                th.number scope="col" { "runs for" }
                                th scope="col" { "progress" }
                            }
                        }
                        tbody { @for job in runs.iter().take(NAMED_JOBS) { (running(frame, job)) } }
                    }
                }
                @if runs.len() > NAMED_JOBS { p.muted { "And " (runs.len() - NAMED_JOBS) " more." } }
            }
        }
    }
}

fn running(frame: &Frame, job: &RunningJob) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(frame.href(&format!("/jobs/{}", job.job_id))) { bdi { (job.kind) } } }
            td { (job.queue) }
            td.number { (age(job.running_seconds)) }
            td { (progress(job)) }
        }
    }
}

fn progress(job: &RunningJob) -> Markup {
    let note = job.progress_note.as_deref().unwrap_or_default();
    html! {
        @match (job.progress_done, job.progress_total) {
            (Some(done), Some(total)) if total > 0 => {
                progress max=(total) value=(done.clamp(0, total)) aria-label="progress" {} " " (count(done)) " of " (count(total)) " " bdi { (note) }
            }
            (Some(done), _) => { (count(done)) " " bdi { (note) } }
            (None, _) => "–",
        }
    }
}
