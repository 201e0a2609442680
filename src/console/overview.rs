//! The first page: what waits longest, whether all is well, and if not what is wrong and where it is mended.
//!
//! Below that queues, charts and mails of a window, and months by status. All of it is asked through indexes and counted
//! minutes, so that it is as quick with a million jobs as with none. What moves is fetched anew by the script.

use axum::{
    Router,
    extract::{Query, State},
    routing::get,
};
use chrono::{DateTime, Months, NaiveDate, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{
    Frame, Problem, Shared, age, chart, count, elements, instant, page,
    rates::{self, Point, Window},
};
use crate::{
    domain::verdict::{self, LaneFacts, Trouble},
    store::{
        billed_months::{self, BilledMonth},
        job_rates,
        mail_outcomes::{self, MailOutcome},
        scrape::LaneStanding,
        standing::{self, Standing},
    },
};

/// Months shown, this one and those before it.
const MONTHS: u32 = 4;

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    window: Option<String>,
}

/// What the page shows.
pub(super) struct Data {
    window: Window,
    standing: Standing,
    counted_until: DateTime<Utc>,
    points: Vec<Point>,
    mails: Vec<MailOutcome>,
    months: Vec<BilledMonth>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/", get(show))
}

async fn show(State(console): State<Shared>, Query(asked): Query<Asked>, frame: Frame) -> Result<Markup, Problem> {
    let window = Window::of(asked.window.as_deref());
    let today = console.clock.now().date_naive();
    let data = load(&mut *console.pool.acquire().await?, &console.lanes, window, today).await?;
    Ok(page(&frame, "Overview", render(&frame, &data)))
}

/// Asks for everything on the page.
async fn load(connection: &mut PgConnection, lanes: &[String], window: Window, today: NaiveDate) -> sqlx::Result<Data> {
    let standing = standing::look(&mut *connection, lanes, elements::COUNTED_AT_MOST).await?;
    let (minutes, steps) = window.steps();
    let counted = job_rates::since(&mut *connection, minutes, steps).await?;
    Ok(Data {
        window,
        standing,
        counted_until: counted.counted_until,
        points: rates::points(window, &counted),
        mails: mail_outcomes::of_last_hours(&mut *connection, window.hours()).await?,
        months: billed_months::since(connection, today - Months::new(MONTHS)).await?,
    })
}

fn render(frame: &Frame, data: &Data) -> Markup {
    let own = frame.href(&format!("/?window={}", data.window.as_str()));
    html! {
        div id="standing" hx-get=(own) hx-trigger="every 10s" hx-select="#standing" hx-swap="outerHTML" {
            (oldest(frame, &data.standing))
            (queues(frame, &data.standing.lanes))
        }
        section aria-labelledby="traffic" {
            div.heading { h2 id="traffic" { "The last " (data.window.title()) } (windows(frame, data.window)) }
            div.charts {
                div.panel {
                    h3 { "Jobs that ended" }
                    (chart::ended(data.window, &data.points))
                }
                div.panel {
                    h3 { "Wait from due to start" }
                    (chart::waits(data.window, &data.points))
                }
            }
            p.muted { "Counted until " (instant(data.counted_until)) " UTC: a minute is counted once it has been over for a minute." }
            (mails(frame, data))
        }
        (months(frame, &data.months))
    }
}

/// The oldest waiting job, large, and the verdict.
fn oldest(frame: &Frame, standing: &Standing) -> Markup {
    let age_of = |lane: &&LaneFacts| lane.oldest_waiting_seconds;
    let waiting = standing.facts.lanes.iter().filter(|lane| lane.waiting > 0);
    let oldest = waiting.max_by(|a, b| age_of(a).total_cmp(&age_of(b)));
    let troubles = verdict::troubles(&standing.facts);
    html! {
        section.standing aria-labelledby="verdict" {
            div.oldest {
                p.label { "Oldest waiting job" }
                @match oldest {
                    Some(lane) => {
                        p.age { (age(lane.oldest_waiting_seconds)) }
                        p.muted { "in " a href=(frame.href(&jobs_in(&lane.queue, "scheduled"))) { (lane.queue) } }
                    }
                    None => { p.age { "0s" } p.muted { "no job waits" } }
                }
            }
            div.said.well[troubles.is_empty()] {
                h2 id="verdict" { @if troubles.is_empty() { "All is well" } @else { "Needs somebody" } }
                @if troubles.is_empty() {
                    p { (alive(standing)) ". No job waits for long, none for a decision." }
                } @else {
                    ul { @for trouble in &troubles { li { (told(frame, trouble)) } } }
                }
            }
        }
    }
}

fn jobs_in(queue: &str, state: &str) -> String {
    elements::address("/jobs", &[("state", Some(state)), ("queue", Some(queue))])
}

fn alive(standing: &Standing) -> String {
    match standing.facts.live_workers {
        1 => "1 worker is alive".to_owned(),
        count => format!("{count} workers are alive"),
    }
}

/// A trouble with the link to where it is mended.
fn told(frame: &Frame, trouble: &Trouble) -> Markup {
    let (path, link) = match trouble {
        Trouble::NoWorker => ("/workers".to_owned(), "workers"),
        Trouble::LongWait { .. } => ("/workers".to_owned(), "what workers do"),
        Trouble::Dead { .. } => ("/dead".to_owned(), "decide"),
        Trouble::BillRuns { .. } => ("/bill-runs?state=needs_attention".to_owned(), "what is missing"),
        Trouble::Schedules { .. } => ("/schedules".to_owned(), "schedules"),
        Trouble::Mails { .. } => ("/notifications?state=failed,uncertain".to_owned(), "which mails"),
        Trouble::Paused { .. } => ("/queues".to_owned(), "let it go on"),
    };
    html! { (trouble) " " a href=(frame.href(&path)) { (link) } }
}

fn queues(frame: &Frame, lanes: &[LaneStanding]) -> Markup {
    let mut lanes: Vec<&LaneStanding> = lanes.iter().collect();
    lanes.sort_by(|a, b| b.oldest_waiting_age_seconds.total_cmp(&a.oldest_waiting_age_seconds));
    html! {
        section aria-labelledby="queues" {
            h2 id="queues" { "Queues" }
            div.scroll tabindex="0" {
                table {
                    thead {
                        tr {
                            th scope="col" { "queue" }
                            @for title in ["oldest waiting", "waiting", "scheduled", "running", "dead"] {
                                th.number scope="col" { (title) }
                            }
                        }
                    }
                    tbody { @for lane in lanes { (queue(frame, lane)) } }
                }
            }
        }
    }
}

fn queue(frame: &Frame, lane: &LaneStanding) -> Markup {
    let name = lane.queue.as_str();
    // What waits is scheduled, and due.
    let counts =
        [("scheduled", lane.waiting), ("scheduled", lane.scheduled), ("running", lane.running), ("dead", lane.dead)];
    html! {
        tr {
            th scope="row" {
                a href=(frame.href("/queues")) { (name) }
                @if lane.is_paused { " " (elements::state("paused")) }
            }
            td.number.zero[lane.oldest_waiting_age_seconds <= 0.0] {
                @if lane.oldest_waiting_age_seconds > 0.0 { strong { (age(lane.oldest_waiting_age_seconds)) } } @else { "–" }
            }
            @for (state, count) in counts {
                td.number.zero[count < 1.0] {
                    @if count < 1.0 { "0" } @else {
                        a.bad[state == "dead"] href=(frame.href(&jobs_in(name, state))) { (elements::capped(count)) }
                    }
                }
            }
        }
    }
}

fn windows(frame: &Frame, shown: Window) -> Markup {
    html! {
        nav.windows aria-label="Window" {
            @for window in Window::ALL {
                a href=(frame.href(&format!("/?window={}#traffic", window.as_str())))
                    aria-current=[(window == shown).then_some("true")] { (window.as_str()) }
            }
        }
    }
}

fn mails(frame: &Frame, data: &Data) -> Markup {
    html! {
        h3 { "Mails" }
        @if data.mails.is_empty() {
            p.muted { "No mail was to be sent in the last " (data.window.title()) "." }
        } @else {
            div.figures {
                @for mail in &data.mails {
                    div.figure {
                        span.label { (mail.state) }
                        a.value href=(frame.href(&elements::address("/notifications", &[("state", Some(&mail.state))]))) {
                            (count(mail.count))
                        }
                    }
                }
            }
        }
    }
}

fn months(frame: &Frame, months: &[BilledMonth]) -> Markup {
    html! {
        section aria-labelledby="months" {
            h2 id="months" { "Invoices" }
            @if months.is_empty() {
                p.muted { "No charges of the last months are imported. " code { "billrunner import" } " takes a charge file." }
            } @else {
                div.scroll tabindex="0" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "month" }
                                th scope="col" { "provider" }
                                @for title in ["draft", "open", "closed", "void"] { th.number scope="col" { (title) } }
                                th scope="col" { "missing" }
                            }
                        }
                        tbody { @for month in months { (billed_month(frame, month)) } }
                    }
                }
            }
        }
    }
}

fn billed_month(frame: &Frame, month: &BilledMonth) -> Markup {
    let period = month.billing_period_start.format("%Y-%m").to_string();
    let runs = elements::address("/bill-runs", &[("provider", Some(&month.provider)), ("period", Some(&period))]);
    let runs = frame.href(&runs);
    html! {
        tr {
            th scope="row" { (period) }
            td { a href=(runs) { (month.provider) } }
            @for invoices in [month.draft, month.open, month.closed, month.void] {
                td.number.zero[invoices == 0] { (count(invoices)) }
            }
            td { (missing(&runs, month)) }
        }
    }
}

/// What keeps a month from being complete, in a few words.
fn missing(runs: &str, month: &BilledMonth) -> Markup {
    html! {
        @if month.running > 0 {
            (elements::state("running"))
        } @else if month.missing_invoices > 0 {
            a.bad href=(runs) { (count(month.missing_invoices)) " without an invoice" }
        } @else if month.needing_attention > 0 {
            a href=(runs) { "needs attention" }
        } @else if month.unbilled_resellers > 0 {
            "no bill run yet"
        } @else {
            (elements::state("complete"))
        }
    }
}
