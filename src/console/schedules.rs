//! What starts by the clock: when, what became of the last tick, and the buttons to start, pause and resume.

use axum::{
    Router,
    extract::{Path, Query, State},
    response::Redirect,
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Change, Frame, Problem, Shared, age, elements, instant, page};
use crate::{
    queue::{ScheduleError, next_tick, run_schedule_now},
    store::{
        schedules::{self, Schedule},
        standing,
    },
};

/// Schedules on a page.
const ON_A_PAGE: usize = 20;

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    after: Option<String>,
}

/// What the page shows.
struct Data {
    /// Those of the page and those after it.
    schedules: Vec<Schedule>,
    now: DateTime<Utc>,
}

pub(super) fn router() -> Router<Shared> {
    // Names hold slashes, so what is to be done stands before them.
    Router::new()
        .route("/schedules", get(show))
        .route("/schedules/run/{*name}", post(run))
        .route("/schedules/pause/{*name}", post(pause))
        .route("/schedules/resume/{*name}", post(resume))
}

async fn show(State(console): State<Shared>, Query(asked): Query<Asked>, frame: Frame) -> Result<Markup, Problem> {
    let data = load(&mut *console.pool.acquire().await?, asked.after.as_deref()).await?;
    Ok(page(&frame, "Schedules", render(&frame, &data)))
}

async fn load(connection: &mut PgConnection, after: Option<&str>) -> sqlx::Result<Data> {
    let now = schedules::now(&mut *connection).await?;
    let mut schedules = schedules::list(connection).await?;
    // In the database's order, which is not that of bytes everywhere.
    let before = schedules.iter().position(|schedule| Some(schedule.name.as_str()) == after);
    schedules.drain(..before.map_or(0, |place| place + 1));
    Ok(Data { schedules, now })
}

fn render(frame: &Frame, data: &Data) -> Markup {
    html! {
        p { "Instants are UTC. " code { "billrunner schedules set" } " makes one or changes what it starts." }
        @for schedule in data.schedules.iter().take(ON_A_PAGE) { (card(frame, schedule, data.now)) }
        @if data.schedules.is_empty() { p.muted { "There is no schedule." } }
        @if let Some(last) = data.schedules.get(ON_A_PAGE - 1).filter(|_| data.schedules.len() > ON_A_PAGE) {
            p { a href=(frame.href(&elements::address("/schedules", &[("after", Some(&last.name))]))) { "More schedules" } }
        }
    }
}

fn card(frame: &Frame, schedule: &Schedule, now: DateTime<Utc>) -> Markup {
    html! {
        section.panel {
            h2 { code { (schedule.name) } " " (standing_of(schedule, now)) }
            dl.facts {
                dt { "Starts" } dd { code { (schedule.kind) } }
                dt { "When" } dd { code { (schedule.cron) } " in " (schedule.time_zone) }
                dt { "Next" } dd { (next(schedule, now)) }
                dt { "Last tick" } dd { @match schedule.last_tick_at { Some(at) => (instant(at)), None => "none yet" } }
                dt { "Last job" } dd { (last_job(frame, schedule)) }
            }
            @if let Some(error) = &schedule.last_error { pre { bdi { (error) } } }
            @if let (Some(by), Some(reason)) = (&schedule.paused_by, &schedule.pause_reason) {
                p.muted { "Paused by " bdi { (by) } ": " bdi { (reason) } }
            }
            @if frame.may_act() { (acts(frame, schedule)) }
        }
    }
}

fn standing_of(schedule: &Schedule, now: DateTime<Utc>) -> Markup {
    html! {
        @if schedule.paused_at.is_some() { (elements::state("paused")) }
        @else if standing::is_failing(schedule, now) { (elements::state("failed")) }
        @else { span.state.state-done { "in time" } }
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a few years")]
fn next(schedule: &Schedule, now: DateTime<Utc>) -> Markup {
    html! {
        @match schedule.next_run_at {
            _ if schedule.paused_at.is_some() => "when it is resumed",
            Some(at) if at > now => { (instant(at)) " (in " (age((at - now).num_seconds() as f64)) ")" }
            Some(at) => { (instant(at)) " (due)" }
            None => "never; save it anew",
        }
    }
}

fn last_job(frame: &Frame, schedule: &Schedule) -> Markup {
    html! {
        @match (schedule.last_job_id, schedule.last_job_state.as_deref()) {
            (Some(id), Some(state)) => {
                a href=(frame.href(&format!("/jobs/{id}"))) { (elements::state(state)) }
            }
            (Some(_), None) => "forgotten, as it is old",
            (None, _) => "none yet",
        }
    }
}

fn acts(frame: &Frame, schedule: &Schedule) -> Markup {
    let name = &schedule.name;
    html! {
        div.choices {
            details {
                summary { "Run now" }
                (frame.form(&format!("/schedules/run/{name}"), html! {}, "Start its job"))
            }
            @if schedule.paused_at.is_some() {
                details {
                    summary { "Resume" }
                    (frame.form(&format!("/schedules/resume/{name}"), html! {}, "Let it go on"))
                }
            } @else {
                details {
                    summary { "Pause" }
                    (frame.form_to_end(&format!("/schedules/pause/{name}"), html! {}, "Pause it"))
                }
            }
        }
    }
}

async fn find(connection: &mut PgConnection, name: &str) -> Result<Schedule, Problem> {
    let found = schedules::find(connection, name).await?;
    found.ok_or_else(|| Problem::NotFound(format!("there is no schedule `{name}`")))
}

async fn run(
    State(console): State<Shared>,
    Path(name): Path<String>,
    frame: Frame,
    change: Change,
) -> Result<Redirect, Problem> {
    let mut connection = console.pool.acquire().await?;
    let schedule = find(&mut connection, &name).await?;
    let id = run_schedule_now(&mut connection, &console.prepare, &schedule, change.operator()).await?;
    Ok(Redirect::to(&frame.href(&format!("/jobs/{id}"))))
}

async fn pause(
    State(console): State<Shared>,
    Path(name): Path<String>,
    frame: Frame,
    change: Change,
) -> Result<Redirect, Problem> {
    let mut connection = console.pool.acquire().await?;
    find(&mut connection, &name).await?;
    if !schedules::pause(&mut connection, &name, change.operator()).await? {
        return Err(Problem::Refused(format!("schedule `{name}` is paused already")));
    }
    Ok(Redirect::to(&frame.href("/schedules")))
}

async fn resume(
    State(console): State<Shared>,
    Path(name): Path<String>,
    frame: Frame,
    change: Change,
) -> Result<Redirect, Problem> {
    let mut connection = console.pool.acquire().await?;
    let schedule = find(&mut connection, &name).await?;
    let next = next_tick(&mut connection, &schedule).await?;
    if !schedules::resume(&mut connection, &name, change.operator(), next).await? {
        return Err(Problem::Refused(format!("schedule `{name}` is not paused")));
    }
    Ok(Redirect::to(&frame.href("/schedules")))
}

impl From<ScheduleError> for Problem {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::Database(error) => error.into(),
            refused => Self::Refused(refused.to_string()),
        }
    }
}
