//! Dead jobs by what they died of: how many, since when, one of them to look at, and a decision on all of a group.
//!
//! A decision is a job of its own (`jobs/clear_dead_letters.rs`), handed in with the record of who asked, so that any
//! number of dead jobs is decided on and what dies later is not.

use axum::{
    Router,
    extract::{Query, State},
    response::Redirect,
    routing::{get, post},
};
use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use sqlx::PgConnection;

use super::{Change, Frame, Problem, Shared, count, elements, instant, page};
use crate::store::{
    dead_letters::{self, DeadFilter, DeadGroup},
    operator_actions::record_on_subject,
};

/// Dead jobs that are looked at, the newest: more are grouped as these are.
const LOOKED_AT: i64 = 10_000;
/// Groups shown.
const SHOWN_GROUPS: usize = 20;

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    kind: Option<String>,
    queue: Option<String>,
}

/// What the page shows.
struct Data {
    groups: Vec<DeadGroup>,
    seen_at: DateTime<Utc>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/dead", get(show)).route("/dead/decide", post(decide))
}

async fn show(State(console): State<Shared>, Query(asked): Query<Asked>, frame: Frame) -> Result<Markup, Problem> {
    let filter = DeadFilter {
        kind: asked.kind.filter(|kind| !kind.is_empty()),
        queue: asked.queue.filter(|queue| !queue.is_empty()),
        ..DeadFilter::default()
    };
    let data = load(&mut *console.pool.acquire().await?, &filter).await?;
    Ok(page(&frame, "Dead letters", render(&frame, &data)))
}

async fn load(connection: &mut PgConnection, filter: &DeadFilter) -> sqlx::Result<Data> {
    Ok(Data {
        seen_at: dead_letters::now(&mut *connection).await?,
        groups: dead_letters::group(connection, filter, Some(LOOKED_AT)).await?,
    })
}

fn render(frame: &Frame, data: &Data) -> Markup {
    let total: i64 = data.groups.iter().map(|group| group.count).sum();
    html! {
        @if data.groups.is_empty() {
            p.muted { "No job is dead. A job is dead once its attempts are spent, or a failure is for good." }
        } @else {
            p {
                @if total >= LOOKED_AT { "The newest " } (count(total))
                " dead jobs, by kind and by what they died of. Ids and numbers in errors are folded."
            }
            @for group in data.groups.iter().take(SHOWN_GROUPS) { (card(frame, group, data.seen_at)) }
            @if data.groups.len() > SHOWN_GROUPS {
                p.muted { "And " (data.groups.len() - SHOWN_GROUPS) " smaller groups: decide on these first." }
            }
        }
    }
}

fn card(frame: &Frame, group: &DeadGroup, seen_at: DateTime<Utc>) -> Markup {
    let sample = frame.href(&format!("/jobs/{}", group.sample_job_id));
    html! {
        section.panel {
            h2 { span.number { (count(group.count)) } " × " code { bdi { (group.kind) } } }
            pre { bdi { (if group.error.is_empty() { "no error was recorded" } else { &group.error }) } }
            p.muted {
                "Died from " (instant(group.first_died_at)) " to " (instant(group.last_died_at)) ". "
                a href=(sample) { "Look at one" } " or " a href=(frame.href(&search(group))) { "at all of them" } "."
            }
            @if frame.may_act() {
                details {
                    summary { "Decide on " @if group.count == 1 { "it" } @else { "all " (count(group.count)) } }
                    (frame.form("/dead/decide", fields(group, seen_at), "Do it"))
                }
            }
        }
    }
}

/// Says which jobs a form is about: those of the group that were dead when the page was made.
fn fields(group: &DeadGroup, seen_at: DateTime<Utc>) -> Markup {
    html! {
        input type="hidden" name="kind" value=(group.kind);
        input type="hidden" name="error" value=(group.error);
        input type="hidden" name="until" value=(seen_at.to_rfc3339_opts(SecondsFormat::Micros, true));
        label {
            "Decision"
            select name="decision" required {
                option value="retry" { "retry: due again, with all attempts ahead" }
                option value="discard" { "discard: never run again" }
            }
        }
    }
}

/// Returns where the search shows the group's jobs: by the longest piece of their error that they share.
fn search(group: &DeadGroup) -> String {
    let pieces = group.error.split("<id>").flat_map(|piece| piece.split('#'));
    let piece = pieces.map(str::trim).max_by_key(|piece| piece.len()).unwrap_or_default();
    elements::address("/jobs", &[("state", Some("dead")), ("kind", Some(&group.kind)), ("error", Some(piece))])
}

async fn decide(State(console): State<Shared>, frame: Frame, change: Change) -> Result<Redirect, Problem> {
    let decision = change.field("decision").filter(|word| matches!(*word, "retry" | "discard"));
    let decision = decision.ok_or_else(|| Problem::Invalid("decision: retry or discard".to_owned()))?;
    let kind: String = change.require("kind")?;
    let filter = DeadFilter {
        kind: Some(kind.clone()),
        folded_error: Some(change.field("error").unwrap_or_default().to_owned()),
        until: Some(change.require("until")?),
        ..DeadFilter::default()
    };
    let operator = change.operator();
    let payload = json!({ "decision": decision, "filter": filter, "reason": operator.reason });
    let mut transaction = console.pool.begin().await?;
    let dead = dead_letters::count(&mut transaction, &filter).await?;
    if dead == 0 {
        return Err(Problem::Refused("none of these jobs is dead any more; somebody was faster".to_owned()));
    }
    let id = console.hand_in(&mut transaction, "clear_dead_letters", payload, operator).await?;
    let detail = format!("{dead} jobs that died of: {}", filter.folded_error.as_deref().unwrap_or_default());
    record_on_subject(&mut transaction, operator, decision, &format!("dead_letters/{kind}"), Some(&detail)).await?;
    transaction.commit().await?;
    Ok(Redirect::to(&frame.href(&format!("/bulk/{id}"))))
}
