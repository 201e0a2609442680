//! Who did what, when and why: people's actions on queues, jobs and all else, and what became of invoices.
//!
//! Two lists, each newest first and a page at a time: the record of operators, and the events of invoices, which are a hash
//! chain (`billrunner verify` proves it unbroken).

use axum::{
    Router,
    extract::{Query, State},
    routing::get,
};
use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Frame, Problem, Shared, elements, instant, page};
use crate::{
    domain::ids::ResellerId,
    store::{
        event_list::{self, EventFilter, EventPlace, EventSummary},
        operator_actions::{self, ActionFilter, OperatorAction},
    },
};

/// Entries on a page.
const ON_A_PAGE: usize = 50;
/// What becomes of invoices.
const EVENTS: [&str; 6] = ["generated", "opened", "reopened", "closed", "voided", "discarded"];

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    by: Option<String>,
    what: Option<String>,
    on: Option<String>,
    job: Option<String>,
    before: Option<String>,
}

impl Asked {
    fn address(&self, path: &str, before: Option<&str>) -> String {
        let query = [
            ("by", self.by.as_deref()),
            ("what", self.what.as_deref()),
            ("on", self.on.as_deref()),
            ("job", self.job.as_deref()),
            ("before", before),
        ];
        elements::address(path, &query)
    }
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/audit", get(show_actions)).route("/audit/invoices", get(show_events))
}

async fn show_actions(
    State(console): State<Shared>,
    Query(asked): Query<Asked>,
    frame: Frame,
) -> Result<Markup, Problem> {
    let found = load_actions(&mut *console.pool.acquire().await?, &asked).await?;
    Ok(page(&frame, "Audit", render_actions(&frame, &asked, &found)))
}

/// Returns what stands in a field of the address; `None` where it is empty.
fn text(field: Option<&String>) -> Option<String> {
    field.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Returns a page's entries and one more, where there is one.
fn limit() -> i64 {
    i64::try_from(ON_A_PAGE + 1).unwrap_or(i64::MAX)
}

async fn load_actions(connection: &mut PgConnection, asked: &Asked) -> Result<Vec<OperatorAction>, Problem> {
    let filter = ActionFilter {
        done_by: text(asked.by.as_ref()),
        action: text(asked.what.as_ref()),
        on: text(asked.on.as_ref()),
        job_id: elements::read("job", asked.job.as_deref())?,
        before: elements::read("before", asked.before.as_deref())?,
    };
    Ok(operator_actions::list(connection, &filter, limit()).await?)
}

fn render_actions(frame: &Frame, asked: &Asked, found: &[OperatorAction]) -> Markup {
    let shown = found.get(..ON_A_PAGE).unwrap_or(found);
    let last = shown.last().filter(|_| found.len() > ON_A_PAGE).map(|action| action.id.to_string());
    let next = last.map(|last| asked.address("/audit", Some(&last)));
    let first = asked.before.as_ref().map(|_| asked.address("/audit", None));
    html! {
        (lists(frame, "/audit"))
        form.filter method="get" action=(frame.href("/audit")) {
            (elements::text_field("Who", "by", asked.by.as_deref()))
            (elements::text_field("What", "what", asked.what.as_deref()))
            (elements::text_field("On", "on", asked.on.as_deref()))
            (elements::text_field("Job", "job", asked.job.as_deref()))
            div { button type="submit" { "Search" } }
        }
        @if shown.is_empty() {
            p.muted { "Nothing was recorded that matches." }
        } @else {
            div.scroll tabindex="0" {
                table {
                    thead { tr { @for title in ["when", "who", "what", "on", "why"] { th scope="col" { (title) } } } }
                    tbody { @for action in shown { (action_row(frame, action)) } }
                }
            }
        }
        (elements::pages(frame, first.as_deref(), next.as_deref()))
    }
}

fn lists(frame: &Frame, shown: &str) -> Markup {
    html! {
        nav.tabs aria-label="Lists" {
            @for (path, title) in [("/audit", "What people did"), ("/audit/invoices", "What became of invoices")] {
                a href=(frame.href(path)) aria-current=[(path == shown).then_some("page")] { (title) }
            }
        }
    }
}

fn action_row(frame: &Frame, action: &OperatorAction) -> Markup {
    let by = elements::address("/audit", &[("by", Some(&action.done_by))]);
    let what = elements::address("/audit", &[("what", Some(&action.action))]);
    html! {
        tr {
            th scope="row" { (instant(action.done_at)) }
            td { a href=(frame.href(&by)) { bdi { (action.done_by) } } }
            td { a href=(frame.href(&what)) { (action.action.replace('_', " ")) } }
            td { (thing(frame, action)) }
            td.long {
                bdi { (action.reason) }
                @if let Some(detail) = &action.detail { p.muted { bdi { (detail) } } }
            }
        }
    }
}

/// What was acted on, with the way to its page where it has one.
fn thing(frame: &Frame, action: &OperatorAction) -> Markup {
    if let Some(id) = action.job_id {
        return html! { a href=(frame.href(&format!("/jobs/{id}"))) { "job " (id) } };
    }
    if let Some(queue) = &action.queue {
        return html! { a href=(frame.href("/queues")) { "queue " (queue) } };
    }
    let subject = action.subject.as_deref().or(action.access_name.as_deref()).unwrap_or_default();
    let path = match subject.split_once('/') {
        Some(("schedule", _)) => Some("/schedules".to_owned()),
        Some(("bill_run", id)) => Some(format!("/bill-runs/{id}")),
        Some(("notification", id)) => Some(format!("/notifications/{id}")),
        Some(("dead_letters", _)) => Some("/dead".to_owned()),
        _ => None,
    };
    let words = subject.replacen('/', " ", 1).replace('_', " ");
    html! { @if let Some(path) = path { a href=(frame.href(&path)) { bdi { (words) } } } @else { bdi { (words) } } }
}

async fn show_events(
    State(console): State<Shared>,
    Query(asked): Query<Asked>,
    frame: Frame,
) -> Result<Markup, Problem> {
    let found = load_events(&mut *console.pool.acquire().await?, &asked).await?;
    Ok(page(&frame, "Audit", render_events(&frame, &asked, &found)))
}

async fn load_events(connection: &mut PgConnection, asked: &Asked) -> Result<Vec<EventSummary>, Problem> {
    let before = text(asked.before.as_ref()).map(|text| read_place(&text)).transpose()?;
    let filter = EventFilter {
        actor: text(asked.by.as_ref()),
        name: text(asked.what.as_ref()),
        job_id: elements::read("job", asked.job.as_deref())?,
        before,
    };
    Ok(event_list::list(connection, &filter, limit()).await?)
}

fn render_events(frame: &Frame, asked: &Asked, found: &[EventSummary]) -> Markup {
    let path = "/audit/invoices";
    let shown = found.get(..ON_A_PAGE).unwrap_or(found);
    let last = shown.last().filter(|_| found.len() > ON_A_PAGE).map(|event| write_place(event.place));
    let next = last.map(|last| asked.address(path, Some(&last)));
    let first = asked.before.as_ref().map(|_| asked.address(path, None));
    html! {
        (lists(frame, path))
        form.filter method="get" action=(frame.href(path)) {
            (elements::text_field("Who", "by", asked.by.as_deref()))
            (elements::choice("What", "what", asked.what.as_deref(), &EVENTS))
            (elements::text_field("Job", "job", asked.job.as_deref()))
            div { button type="submit" { "Search" } }
        }
        @if shown.is_empty() {
            p.muted { "No event matches." }
        } @else {
            div.scroll tabindex="0" {
                table {
                    thead {
                        tr { @for title in ["when", "invoice", "customer", "what", "who", "why"] { th scope="col" { (title) } } }
                    }
                    tbody { @for event in shown { (event_row(frame, event)) } }
                }
            }
        }
        (elements::pages(frame, first.as_deref(), next.as_deref()))
    }
}

fn event_row(frame: &Frame, event: &EventSummary) -> Markup {
    let jobs = elements::address("/jobs", &[("invoice", Some(&event.invoice_id.to_string()))]);
    html! {
        tr {
            th scope="row" { (instant(event.place.occurred_at)) }
            td { a href=(frame.href(&jobs)) { bdi { (event.invoice_name) } } }
            td { bdi { (event.customer_name) } }
            td.nowrap {
                (elements::state(&event.name)) " "
                span.muted { (event.from_status.as_deref().unwrap_or("none")) " → " (event.to_status) }
            }
            td {
                bdi { (event.actor) }
                @if let Some(id) = event.job_id { " " a href=(frame.href(&format!("/jobs/{id}"))) { "job" } }
            }
            td.long { bdi { (event.reason.as_deref().unwrap_or_default()) } }
        }
    }
}

/// Writes where the next page begins, so that an address can hold it.
fn write_place(place: EventPlace) -> String {
    let at = place.occurred_at.to_rfc3339_opts(SecondsFormat::Micros, true);
    format!("{at}_{}_{}", place.reseller_id, place.sequence)
}

fn read_place(text: &str) -> Result<EventPlace, Problem> {
    let read = |mut parts: std::str::Split<'_, char>| -> Option<EventPlace> {
        let occurred_at = DateTime::parse_from_rfc3339(parts.next()?).ok()?.with_timezone(&Utc);
        let reseller_id: ResellerId = parts.next()?.parse().ok()?;
        Some(EventPlace { occurred_at, reseller_id, sequence: parts.next()?.parse().ok()? })
    };
    read(text.split('_')).ok_or_else(|| Problem::Invalid("before: take the link to older events".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_page_begins_reads_back_to_the_microsecond() {
        let occurred_at = DateTime::from_timestamp_micros(1_788_300_000_123_456).expect("a time");
        let place = EventPlace { occurred_at, reseller_id: ResellerId::new(), sequence: 7 };
        assert_eq!(read_place(&write_place(place)).expect("a place"), place);
        for wrong in ["", "now", "2026-08-01T00:00:00Z_x_1", "2026-08-01T00:00:00Z"] {
            assert!(read_place(wrong).is_err(), "{wrong}");
        }
    }
}
