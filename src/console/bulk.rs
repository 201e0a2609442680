//! One change of all jobs that a search finds: how many match is shown first, a job does it (`change_jobs`), and its page
//! says how far it is.
//!
//! What is meant is what stood so when the page was shown; jobs that die or come in later are left alone.

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    response::Redirect,
    routing::get,
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    Change, Frame, Problem, Shared, change::Fields, elements::state, instant, job, jobs as list, page, search,
};
use crate::{
    domain::{ids::JobId, job_action::JobAction},
    store::{
        dead_letters, job_details,
        job_list::{self, AttemptRow, JobRow},
        job_search::{self, JobSearch, Part},
        operator_actions,
    },
};

/// The kind of job that does it.
const KIND: &str = "change_jobs";
/// What decided on dead jobs before there was a console, and still does for the command line.
const KIND_FOR_DEAD: &str = "clear_dead_letters";
/// Jobs shown of those that match.
const SAMPLE: usize = 10;
/// Bulk actions listed.
const LISTED: usize = 30;

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/bulk", get(index).post(start)).route("/bulk/new", get(confirm)).route("/bulk/{id}", get(show))
}

/// Returns what pages call an action.
pub(super) fn title(action: JobAction) -> &'static str {
    match action {
        JobAction::Retry => "Retry",
        JobAction::Discard => "Discard",
        JobAction::Cancel => "Cancel",
    }
}

async fn confirm(State(console): State<Shared>, frame: Frame, RawQuery(query): RawQuery) -> Result<Markup, Problem> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let action: JobAction = fields.read("action")?.ok_or_else(|| Problem::Invalid("action: say which".to_owned()))?;
    let search = search::read(&fields)?;
    let states = action.states(search.state.as_deref());
    let mut connection = console.pool.acquire().await?;
    let until = dead_letters::now(&mut connection).await?;
    let part = Part { limit: list::limit(list::COUNTED_AT_MOST), until: Some(until), before: None };
    let mut found = job_search::matching_in(&mut connection, &search, &states, part).await?;
    let total = found.len();
    found.truncate(SAMPLE);
    let sample = job_details::summaries(&mut connection, &found).await?;
    let body = html! {
        p { strong { (list::how_many(total)) } ", as things stood at " (instant(until)) ": " bdi { (search::words(&search)) } "." }
        @if states.is_empty() {
            p.notice { "No job in this state can be changed so." }
        } @else if total == 0 {
            p.notice { "There is nothing to do." }
        } @else {
            p.muted { "A job does it in the background, one by one, and leaves alone what has changed until then." }
            (form(&frame, action, &search, until))
            h2 { "The newest of them" }
            (list::table(&frame, &sample, &JobSearch::default()))
        }
        p { a href=(frame.href(&search::address("/jobs", &search, &[]))) { "Back to the search" } }
    };
    Ok(page(&frame, &format!("{} all that match", title(action)), body))
}

fn form(frame: &Frame, action: JobAction, search: &JobSearch, until: DateTime<Utc>) -> Markup {
    let fields = html! {
        input type="hidden" name="action" value=(action);
        input type="hidden" name="until" value=(until.to_rfc3339());
        (search::hidden(search))
    };
    let button = format!("{} them", title(action));
    match action {
        JobAction::Retry => frame.form("/bulk", fields, &button),
        JobAction::Discard | JobAction::Cancel => frame.form_to_end("/bulk", fields, &button),
    }
}

async fn start(State(console): State<Shared>, frame: Frame, change: Change) -> Result<Redirect, Problem> {
    let (action, search) = (change.require::<JobAction>("action")?, search::read(change.fields())?);
    let until = change.require::<DateTime<Utc>>("until")?;
    if action.states(search.state.as_deref()).is_empty() {
        return Err(Problem::Invalid(format!("no job in the state {} can be changed so", search::words(&search))));
    }
    let operator = change.operator();
    let payload = serde_json::json!({ "action": action, "search": search, "until": until, "reason": operator.reason });
    let mut transaction = console.pool.begin().await?;
    let id = console.hand_in(&mut transaction, KIND, payload, operator).await?;
    let detail = format!("{action}: {}", search::words(&search));
    operator_actions::record_bulk_change(&mut transaction, operator, id, &detail).await?;
    transaction.commit().await?;
    Ok(Redirect::to(&frame.href(&format!("/bulk/{id}"))))
}

async fn show(State(console): State<Shared>, frame: Frame, Path(id): Path<String>) -> Result<Markup, Problem> {
    let missing = || Problem::NotFound("this address names no bulk action".to_owned());
    let id: JobId = id.parse().map_err(|_| missing())?;
    let found = job_list::find(&mut *console.pool.acquire().await?, id).await?;
    let (row, attempts) = found.filter(|(row, _)| is_bulk(&row.kind)).ok_or_else(missing)?;
    Ok(page(&frame, &title_of(&row), render(&frame, &row, &attempts)))
}

fn is_bulk(kind: &str) -> bool {
    kind == KIND || kind == KIND_FOR_DEAD
}

fn title_of(row: &JobRow) -> String {
    let action = row.payload.0.get("action").or_else(|| row.payload.0.get("decision"));
    let action = action.and_then(|action| action.as_str()?.parse().ok());
    format!("{} jobs", action.map_or("Change", title))
}

/// Fetches itself again until the job has ended.
fn render(frame: &Frame, row: &JobRow, attempts: &[AttemptRow]) -> Markup {
    let own = frame.href(&format!("/bulk/{}", row.id));
    let moves = row.finished_at.is_none();
    let message = attempts.last().and_then(|attempt| attempt.message.as_deref());
    html! {
        section id="bulk" hx-get=[moves.then_some(&own)] hx-trigger=[moves.then_some("every 2s")]
            hx-select=[moves.then_some("#bulk")] hx-swap=[moves.then_some("outerHTML")] aria-live="polite" {
            div.actions {
                (state(&row.state))
                @if moves { a href=(own) { "Refresh" } }
            }
            (job::progress(row))
            @if let Some(message) = message { p { bdi { (message) } } }
            @if let Some(error) = &row.last_error { p.problem { bdi { (error) } } }
        }
        dl.facts {
            dt { "Which" } dd { bdi { (described(row)) } }
            dt { "Why" } dd { bdi { (row.payload.0.get("reason").and_then(|reason| reason.as_str()).unwrap_or_default()) } }
            dt { "Asked by" } dd { bdi { (row.requested_by) } " at " (instant(row.created_at)) }
            dt { "Done by" } dd { a.mono href=(frame.href(&format!("/jobs/{}", row.id))) { "job " (list::short(row.id)) } }
        }
    }
}

/// Says which jobs were meant.
fn described(row: &JobRow) -> String {
    let search = row.payload.0.get("search").cloned().map(serde_json::from_value::<JobSearch>);
    match search {
        Some(Ok(search)) => search::words(&search),
        Some(Err(_)) | None => row.payload.0.get("filter").map(ToString::to_string).unwrap_or_default(),
    }
}

async fn index(State(console): State<Shared>, frame: Frame) -> Result<Markup, Problem> {
    let mut connection = console.pool.acquire().await?;
    let mut ids = Vec::new();
    for kind in [KIND, KIND_FOR_DEAD] {
        let search = JobSearch { kind: Some(kind.to_owned()), ..JobSearch::default() };
        let part = Part { limit: list::limit(LISTED), ..Part::default() };
        ids.extend(job_search::matching(&mut connection, &search, part).await?);
    }
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids.truncate(LISTED);
    let rows = job_list::list_these(&mut connection, &ids).await?;
    let body = html! {
        p.muted { "One change of all jobs that match is asked for from the " a href=(frame.href("/jobs")) { "search for jobs" } "." }
        @if rows.is_empty() { p { "None yet." } } @else {
            div.scroll tabindex="0" {
                table {
                    thead { tr { @for title in ["What", "State", "Which", "Asked by", "Asked at"] { th scope="col" { (title) } } } }
                    tbody { @for row in &rows { (index_row(&frame, row)) } }
                }
            }
        }
    };
    Ok(page(&frame, "Bulk actions", body))
}

fn index_row(frame: &Frame, row: &JobRow) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(frame.href(&format!("/bulk/{}", row.id))) { (title_of(row)) } }
            td { (state(&row.state)) }
            td.long { bdi { (described(row)) } }
            td { bdi { (row.requested_by) } }
            td { (instant(row.created_at)) }
        }
    }
}
