//! Bill runs, newest first, found by provider, month and state; one of them is `bill_run`'s.

use axum::{
    Router,
    extract::{Query, State},
    routing::get,
};
use maud::{Markup, html};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Frame, Problem, Shared, count, elements, instant, page};
use crate::{
    domain::{bill_run::BillRunState, billing_period::BillingPeriod, ids::JobId},
    store::{
        bill_runs::{self, BillRun, BillRunFilter},
        job_list::{self, JobRow},
        job_search::{self, JobSearch, Part},
    },
};

/// Runs shown; a filter finds older ones.
const SHOWN: i64 = 50;
/// Starts of runs that are looked through for those that only said what they would do.
const STARTS: i64 = 20;

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    provider: Option<String>,
    period: Option<String>,
    state: Option<String>,
}

/// What the page shows.
struct Data {
    runs: Vec<BillRun>,
    dry_runs: Vec<JobRow>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/bill-runs", get(show))
}

async fn show(State(console): State<Shared>, Query(asked): Query<Asked>, frame: Frame) -> Result<Markup, Problem> {
    let data = load(&mut *console.pool.acquire().await?, &asked).await?;
    Ok(page(&frame, "Bill runs", render(&frame, &asked, &data)))
}

async fn load(connection: &mut PgConnection, asked: &Asked) -> Result<Data, Problem> {
    let period: Option<BillingPeriod> = elements::read("period", asked.period.as_deref())?;
    let state: Option<BillRunState> = elements::read("state", asked.state.as_deref())?;
    let filter = BillRunFilter {
        provider: asked.provider.as_deref().filter(|provider| !provider.is_empty()),
        billing_period_start: period.map(BillingPeriod::start),
        state,
        ..BillRunFilter::default()
    };
    let starts = JobSearch { kind: Some("start_bill_run".to_owned()), ..JobSearch::default() };
    let starts = job_search::matching(&mut *connection, &starts, Part { limit: STARTS, ..Part::default() }).await?;
    let starts = job_list::list_these(&mut *connection, &starts).await?;
    let is_dry = |job: &JobRow| job.payload.0.get("dry_run").and_then(serde_json::Value::as_bool) == Some(true);
    Ok(Data {
        runs: bill_runs::list(connection, &filter, SHOWN).await?,
        dry_runs: starts.into_iter().filter(is_dry).collect(),
    })
}

fn render(frame: &Frame, asked: &Asked, data: &Data) -> Markup {
    html! {
        form.filter method="get" action=(frame.href("/bill-runs")) {
            label { "Provider" input name="provider" value=(asked.provider.as_deref().unwrap_or_default()); }
            label { "Month" input name="period" placeholder="2026-08" value=(asked.period.as_deref().unwrap_or_default()); }
            (elements::choice("State", "state", asked.state.as_deref(), &BillRunState::ALL.map(BillRunState::as_str)))
            div { button type="submit" { "Show" } }
        }
        @if data.runs.is_empty() {
            p.muted { "No bill run. " code { "billrunner bill-runs start" } " bills a month, or a schedule does." }
        } @else {
            (table(frame, &data.runs))
        }
        @if !data.dry_runs.is_empty() { (dry_runs(frame, &data.dry_runs)) }
    }
}

fn table(frame: &Frame, runs: &[BillRun]) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table {
                thead {
                    tr {
                        @for title in ["month", "provider", "run", "state"] { th scope="col" { (title) } }
                        th.number scope="col" { "to generate" }
                        th.number scope="col" { "left alone" }
                        th scope="col" { "started" }
                        th scope="col" { "by" }
                    }
                }
                tbody {
                    @for run in runs {
                        tr {
                            th scope="row" { a href=(frame.href(&format!("/bill-runs/{}", run.id))) { (run.billing_period) } }
                            td { bdi { (run.provider) } }
                            td { bdi { (run.run_id) } @if run.round > 1 { span.muted { " round " (run.round) } } }
                            td { (elements::state(run.state.as_str())) }
                            td.number { (count(run.generation_count)) }
                            td.number { (count(run.existing_count)) }
                            td { (instant(run.started_at)) }
                            td { bdi { (run.started_by) } }
                        }
                    }
                }
            }
        }
    }
}

/// Runs that changed nothing: what each would have done is the word of its attempt, on the job's own page.
fn dry_runs(frame: &Frame, jobs: &[JobRow]) -> Markup {
    let text = |job: &JobRow, name: &str| {
        job.payload.0.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    html! {
        h2 { "Dry runs" }
        div.scroll tabindex="0" {
            table {
                thead { tr { @for title in ["month", "provider", "state", "asked by", "when"] { th scope="col" { (title) } } } }
                tbody {
                    @for job in jobs {
                        tr {
                            th scope="row" { (job_link(frame, job.id, &text(job, "billing_period"))) }
                            td { bdi { (text(job, "provider")) } }
                            td { (elements::state(&job.state)) }
                            td { bdi { (job.requested_by) } }
                            td { (instant(job.created_at)) }
                        }
                    }
                }
            }
        }
    }
}

fn job_link(frame: &Frame, id: JobId, text: &str) -> Markup {
    html! { a href=(frame.href(&format!("/jobs/{id}"))) { (text) } }
}
