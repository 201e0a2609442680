//! The search for jobs. Each value in the list is a link that narrows the search down to it; lists go on by id, so that a page
//! stays what it was while jobs come in.

use axum::{
    Router,
    extract::{RawQuery, State},
    routing::get,
};
use maud::{Markup, html};
use sqlx::PgConnection;

use super::{
    Console, Frame, Problem, Shared, bulk,
    change::Fields,
    count,
    elements::{choice, pages, state, text_field},
    instant, page, search,
};
use crate::{
    domain::{ids::JobId, job_action::JobAction},
    store::{
        job_details::{self, JobSummary},
        job_search::{self, JobSearch, Part},
    },
};

/// Jobs on a page.
const ON_A_PAGE: usize = 25;
/// Longest search that every value in the list is narrowed down from; from a longer one they would fill the page.
const CARRIED_BYTES: usize = 100;
/// Jobs that are counted at most.
pub(super) const COUNTED_AT_MOST: usize = 1000;

/// All states, in the order of a job's life.
const STATES: [&str; 7] = ["awaiting", "scheduled", "dispatched", "running", "done", "dead", "discarded"];

/// What the page shows.
struct Found {
    search: JobSearch,
    /// Where the page begins; `None` is at the newest.
    before: Option<JobId>,
    jobs: Vec<JobSummary>,
    has_more: bool,
    /// How many match, or one more than are counted.
    total: usize,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/jobs", get(show))
}

async fn show(State(console): State<Shared>, frame: Frame, RawQuery(query): RawQuery) -> Result<Markup, Problem> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let before = fields.get("before").map(str::parse).transpose();
    let before = before.map_err(|_| Problem::Invalid("before: write the id of a job".to_owned()))?;
    let found = load(&mut *console.pool.acquire().await?, search::read(&fields)?, before).await?;
    Ok(page(&frame, "Jobs", render(&console, &frame, &found)))
}

async fn load(connection: &mut PgConnection, search: JobSearch, before: Option<JobId>) -> sqlx::Result<Found> {
    let counted = Part { limit: limit(COUNTED_AT_MOST), ..Part::default() };
    let newest = job_search::matching(&mut *connection, &search, counted).await?;
    let total = newest.len();
    let mut ids = if before.is_some() {
        let part = Part { before, limit: limit(ON_A_PAGE), ..Part::default() };
        job_search::matching(&mut *connection, &search, part).await?
    } else {
        newest
    };
    let has_more = ids.len() > ON_A_PAGE;
    ids.truncate(ON_A_PAGE);
    Ok(Found { jobs: job_details::summaries(connection, &ids).await?, search, before, has_more, total })
}

/// One more than is shown tells that there is more.
pub(super) fn limit(shown: usize) -> i64 {
    i64::try_from(shown).unwrap_or(i64::MAX).saturating_add(1)
}

fn render(console: &Console, frame: &Frame, found: &Found) -> Markup {
    html! {
        (filter(console, frame, &found.search))
        (chips(frame, &found.search))
        div.actions {
            span.muted { (how_many(found.total)) }
            @if frame.may_act() && found.total > 0 {
                @for action in JobAction::ALL {
                    a.button.quiet href=(frame.href(&search::address("/bulk/new", &found.search, &[("action", action.as_str())]))) {
                        (bulk::title(action)) " all…"
                    }
                }
            }
        }
        @if found.jobs.is_empty() {
            p { "No job matches." }
        } @else {
            (table(frame, &found.jobs, &carried(&found.search)))
        }
        (pages(frame, found.before.map(|_| search::address("/jobs", &found.search, &[])).as_deref(), next(found).as_deref()))
    }
}

/// Says how many match, as far as was counted.
pub(super) fn how_many(total: usize) -> String {
    let most = i64::try_from(COUNTED_AT_MOST).unwrap_or(i64::MAX);
    match i64::try_from(total).unwrap_or(i64::MAX) {
        1 => "1 job matches".to_owned(),
        total if total > most => format!("at least {} jobs match", count(most)),
        total => format!("{} jobs match", count(total)),
    }
}

fn next(found: &Found) -> Option<String> {
    let last = found.jobs.last().filter(|_| found.has_more)?;
    Some(search::address("/jobs", &found.search, &[("before", &last.id.to_string())]))
}

fn carried(search: &JobSearch) -> JobSearch {
    if search::address("", search, &[]).len() <= CARRIED_BYTES { search.clone() } else { JobSearch::default() }
}

fn filter(console: &Console, frame: &Frame, search: &JobSearch) -> Markup {
    let lanes: Vec<&str> = console.lanes.iter().map(String::as_str).collect();
    let kinds: Vec<&str> = console.kinds.iter().map(String::as_str).collect();
    let batch = search.batch_id.map(|id| id.to_string());
    let seldom =
        batch.is_some() || search.trace_id.is_some() || search.source.is_some() || search.external_id.is_some();
    html! {
        form.filter.panel method="get" action=(frame.href("/jobs")) role="search" {
            (choice("State", "state", search.state.as_deref(), &STATES))
            (choice("Kind", "kind", search.kind.as_deref(), &kinds))
            (choice("Queue or lane", "queue", search.queue.as_deref(), &lanes))
            (text_field("Customer", "customer", search.customer.as_deref()))
            (text_field("Provider", "provider", search.provider.as_deref()))
            (text_field("Billing period", "period", search.billing_period.as_deref()))
            (text_field("Invoice number", "invoice", search.invoice.as_deref()))
            (text_field("Error contains", "error", search.error.as_deref()))
            details open[seldom] {
                summary { "Trace, request, batch" }
                (text_field("Trace id", "trace", search.trace_id.as_deref()))
                (text_field("Source", "source", search.source.as_deref()))
                (text_field("Request id", "request", search.external_id.as_deref()))
                (text_field("Batch", "batch", batch.as_deref()))
            }
            div.actions {
                button type="submit" { "Search" }
                @if !search.is_empty() { a.button.quiet href=(frame.href("/jobs")) { "Clear" } }
            }
        }
    }
}

/// Lists what narrows the search down, each with the way to leave it out.
fn chips(frame: &Frame, search: &JobSearch) -> Markup {
    let all = search::pairs(search);
    let without = |left_out: &str| {
        let rest: Vec<(&str, Option<&str>)> = all
            .iter()
            .filter(|(name, _)| *name != left_out)
            .map(|(name, value)| (*name, Some(value.as_str())))
            .collect();
        frame.href(&super::elements::address("/jobs", &rest))
    };
    html! {
        @if !all.is_empty() {
            ul.chips aria-label="Filters; follow one to leave it out" {
                @for (name, value) in &all { li { a.chip href=(without(name)) { (name) ": " bdi { (value) } " ×" } } }
            }
        }
    }
}

/// Makes the list of jobs; its values narrow a search down further.
pub(super) fn table(frame: &Frame, jobs: &[JobSummary], search: &JobSearch) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table {
                thead {
                    tr {
                        @for title in ["Job", "Kind", "State", "About", "Lane"] { th scope="col" { (title) } }
                        th scope="col" .number { "Failed" }
                        @for title in ["Accepted", "Ended", "Last error"] { th scope="col" { (title) } }
                    }
                }
                tbody { @for job in jobs { (row(frame, job, search)) } }
            }
        }
    }
}

fn row(frame: &Frame, job: &JobSummary, search: &JobSearch) -> Markup {
    let narrowed = |search: JobSearch| frame.href(&search::address("/jobs", &search, &[]));
    let by_kind = narrowed(JobSearch { kind: Some(job.kind.clone()), ..search.clone() });
    let by_state = narrowed(JobSearch { state: Some(job.state.clone()), ..search.clone() });
    let by_queue = narrowed(JobSearch { queue: Some(job.queue.clone()), ..search.clone() });
    html! {
        tr {
            th scope="row" .nowrap.mono { a href=(frame.href(&format!("/jobs/{}", job.id))) { (short(job.id)) } }
            td.nowrap { a href=(by_kind) { (job.kind) } }
            td { a href=(by_state) { (state(&job.state)) } }
            td { (about(frame, job, search)) }
            td.nowrap { a href=(by_queue) { (job.queue) } }
            td.number { (job.failed_attempts) " of " (job.max_attempts) }
            td { (instant(job.created_at)) }
            td { @if let Some(at) = job.finished_at { (instant(at)) } }
            td.long { @if let Some(error) = &job.error { bdi { (error) } } }
        }
    }
}

/// Writes the end of an id, which differs between jobs that were handed in together.
pub(super) fn short(id: JobId) -> String {
    let text = id.to_string();
    format!("…{}", text.get(text.len().saturating_sub(8)..).unwrap_or_default())
}

/// Names what a job is about, each part a link that narrows the search down to it.
pub(super) fn about(frame: &Frame, job: &JobSummary, search: &JobSearch) -> Markup {
    let narrowed = |search: JobSearch| frame.href(&search::address("/jobs", &search, &[]));
    html! {
        @if let Some(customer) = &job.customer {
            a href=(narrowed(JobSearch { customer: job.customer_id.map(|id| id.to_string()), ..search.clone() })) { bdi { (customer) } } " "
        }
        @if let Some(invoice) = &job.invoice {
            a href=(narrowed(JobSearch { invoice: Some(invoice.clone()), ..search.clone() })) { (invoice) } " "
        }
        @if let Some(provider) = &job.provider {
            a href=(narrowed(JobSearch { provider: Some(provider.clone()), ..search.clone() })) { bdi { (provider) } } " "
        }
        @if let Some(period) = &job.billing_period {
            a href=(narrowed(JobSearch { billing_period: Some(period.clone()), ..search.clone() })) { bdi { (period) } }
        }
    }
}
