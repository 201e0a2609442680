//! The queues and their lanes: what waits longest first, and what holds it back; paused and resumed from here.

use axum::{
    Router,
    extract::State,
    response::Redirect,
    routing::{get, post},
};
use chrono::{DateTime, NaiveDateTime, Utc};
use maud::{Markup, html};
use sqlx::PgConnection;

use super::{
    Change, Frame, Problem, Shared, age,
    elements::{COUNTED_AT_MOST, address, capped},
    instant, page,
};
use crate::store::{
    jobs,
    queue_controls::{self, QueueControl},
    scrape::{self, LaneStanding},
};

/// What the page shows.
struct Queues {
    lanes: Vec<LaneStanding>,
    controls: Vec<QueueControl>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/queues", get(show)).route("/queues/pause", post(pause)).route("/queues/resume", post(resume))
}

async fn show(State(console): State<Shared>, frame: Frame) -> Result<Markup, Problem> {
    let queues = load(&mut *console.pool.acquire().await?, &console.lanes).await?;
    Ok(page(&frame, "Queues", render(&frame, &queues)))
}

async fn load(connection: &mut PgConnection, names: &[String]) -> sqlx::Result<Queues> {
    let mut lanes = scrape::lanes(&mut *connection, names, COUNTED_AT_MOST).await?;
    lanes.sort_by(|a, b| b.oldest_waiting_age_seconds.total_cmp(&a.oldest_waiting_age_seconds));
    Ok(Queues { lanes, controls: queue_controls::list(connection).await? })
}

fn render(frame: &Frame, queues: &Queues) -> Markup {
    html! {
        p.muted {
            "What has waited longest comes first. Nothing of a paused lane starts, what runs finishes; a queue such as "
            code { "billing" } " stands for all of its lanes."
        }
        div.scroll tabindex="0" {
            table {
                thead {
                    tr {
                        th scope="col" { "Lane" }
                        th scope="col" .number { "Oldest waiting" }
                        @for title in ["Waiting", "Scheduled", "Running", "Dead"] { th scope="col" .number { (title) } }
                        th scope="col" { "Held back by" }
                        @if frame.may_act() { th scope="col" { "Change" } }
                    }
                }
                tbody { @for (place, lane) in queues.lanes.iter().enumerate() { (row(frame, queues, lane, place == 0)) } }
            }
        }
    }
}

fn row(frame: &Frame, queues: &Queues, lane: &LaneStanding, is_first: bool) -> Markup {
    let waits = lane.oldest_waiting_age_seconds;
    let held: Vec<&QueueControl> = queues.controls.iter().filter(|control| control.holds(&lane.queue)).collect();
    let own_pause = held.iter().any(|control| control.queue == lane.queue && control.paused_at.is_some());
    let jobs =
        |state: &str| frame.href(&address("/jobs", &[("queue", Some(lane.queue.as_str())), ("state", Some(state))]));
    html! {
        tr {
            th scope="row" { a href=(frame.href(&address("/jobs", &[("queue", Some(lane.queue.as_str()))]))) { (lane.queue) } }
            td.number.age.worst[is_first && waits > 0.0] { @if waits > 0.0 { (age(waits)) } @else { span.zero { "–" } } }
            (cell(lane.waiting, &jobs("scheduled")))
            (cell(lane.scheduled, &jobs("scheduled")))
            (cell(lane.running, &jobs("running")))
            (cell(lane.dead, &jobs("dead")))
            td { @for control in &held { (describe(control, &lane.queue)) } }
            @if frame.may_act() { td { (change_form(frame, &lane.queue, own_pause)) } }
        }
    }
}

fn cell(jobs: f64, address: &str) -> Markup {
    html! { td.number { @if jobs < 1.0 { span.zero { "0" } } @else { a href=(address) { (capped(jobs)) } } } }
}

fn describe(control: &QueueControl, lane: &str) -> Markup {
    let whose = if control.queue == lane { String::new() } else { format!(" (all of {})", control.queue) };
    html! {
        @if let (Some(since), Some(by), Some(reason)) = (control.paused_at, &control.paused_by, &control.pause_reason) {
            div {
                span.state.state-paused { "paused" } " "
                @if let Some(until) = control.paused_until { "until " (instant(until)) " " }
                "by " (by) " since " (instant(since)) ": " (reason) (whose)
            }
        }
        @if let Some(most) = control.max_running { div { "at most " (most) " at once" (whose) } }
        @if let (Some(starts), Some(seconds)) = (control.rate_limit, control.rate_period_seconds) {
            div { "at most " (starts) " starts in " (age(seconds)) (whose) }
        }
    }
}

fn change_form(frame: &Frame, queue: &str, is_paused: bool) -> Markup {
    let name = html! { input type="hidden" name="queue" value=(queue); };
    html! {
        details {
            @if is_paused {
                summary { "Resume" }
                (frame.form("/queues/resume", name, "Resume"))
            } @else {
                summary { "Pause" }
                (frame.form("/queues/pause", html! { (name) label { "Until (UTC), or for good" input type="datetime-local" name="until"; } }, "Pause"))
            }
        }
    }
}

async fn pause(State(console): State<Shared>, frame: Frame, change: Change) -> Result<Redirect, Problem> {
    let queue = known_queue(&console, &change)?;
    let until = change.field("until").map(read_until).transpose()?;
    if until.is_some_and(|until| until <= console.clock.now()) {
        return Err(Problem::Invalid("until: it is past; name an instant to come, in UTC".to_owned()));
    }
    let mut transaction = console.pool.begin().await?;
    queue_controls::pause(&mut transaction, queue, change.operator(), until).await?;
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Redirect::to(&frame.href("/queues")))
}

async fn resume(State(console): State<Shared>, frame: Frame, change: Change) -> Result<Redirect, Problem> {
    let queue = known_queue(&console, &change)?;
    let mut transaction = console.pool.begin().await?;
    if !queue_controls::resume(&mut transaction, queue, change.operator()).await? {
        return Err(Problem::Refused(format!("{queue} is not paused; somebody may have been faster")));
    }
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Redirect::to(&frame.href("/queues")))
}

/// A name that is neither a queue nor a lane would pause nothing and say that it did.
fn known_queue<'a>(console: &'a Shared, change: &Change) -> Result<&'a str, Problem> {
    let named = change.field("queue").unwrap_or_default();
    let known = console.lanes.iter().find(|lane| *lane == named).map(String::as_str);
    known.ok_or_else(|| Problem::Invalid(format!("queue: `{named}` is neither a queue nor a lane")))
}

/// Reads what a browser sends of a field for date and time: without seconds where they are zero, and without a zone.
fn read_until(text: &str) -> Result<DateTime<Utc>, Problem> {
    let read =
        ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"].iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let read = read.ok_or_else(|| Problem::Invalid("until: write it as 2026-12-31T06:00, in UTC".to_owned()))?;
    Ok(read.and_utc())
}
