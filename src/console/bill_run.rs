//! One bill run: how far it has come, what proves its month complete or what needs somebody, and the way to its jobs.

use std::collections::BTreeMap;

use axum::{
    Router,
    extract::{Path, State},
    response::Redirect,
    routing::{get, post},
};
use bigdecimal::Zero;
use maud::{Markup, html};
use sqlx::{Acquire, PgConnection};

use super::{Change, Frame, Problem, Shared, count, elements, instant, page};
use crate::{
    domain::{
        bill_run::{Balance, BillRunState, Finding, plain_text},
        ids::BillRunId,
    },
    queue::cancel_batch,
    store::{
        bill_run_proofs,
        bill_runs::{self, BillRun, BillRunFilter},
        jobs,
    },
};

/// Findings and parts of files shown; `billrunner bill-runs show` has all.
const SHOWN: usize = 40;
/// States of a run's jobs, those that are over first; the others are drawn as what is left.
const OVER: [&str; 3] = ["done", "dead", "discarded"];

/// What the page shows.
struct Data {
    run: BillRun,
    /// Jobs of its last round by state.
    outcomes: BTreeMap<String, i64>,
    balances: Vec<Balance>,
    findings: Vec<Finding>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/bill-runs/{id}", get(show)).route("/bill-runs/{id}/cancel", post(cancel))
}

async fn show(State(console): State<Shared>, Path(id): Path<String>, frame: Frame) -> Result<Markup, Problem> {
    let mut connection = console.pool.acquire().await?;
    let run = find(&mut connection, &id).await?;
    let data = load(&mut connection, run).await?;
    let title = format!("Bill run {} {}", data.run.provider, data.run.billing_period);
    Ok(page(&frame, &title, render(&frame, &data)))
}

async fn find(connection: &mut PgConnection, id: &str) -> Result<BillRun, Problem> {
    let missing = || Problem::NotFound(format!("there is no bill run `{id}`"));
    let id: BillRunId = id.parse().map_err(|_| missing())?;
    let id = id.to_string();
    let filter = BillRunFilter { name: Some(&id), ..BillRunFilter::default() };
    bill_runs::list(connection, &filter, 1).await?.pop().ok_or_else(missing)
}

async fn load(connection: &mut PgConnection, run: BillRun) -> sqlx::Result<Data> {
    let outcomes = match run.batch_id {
        Some(batch_id) => jobs::outcomes_of_batch(&mut *connection, batch_id).await?.into_iter().collect(),
        None => BTreeMap::new(),
    };
    let key = (run.reseller_id, run.id);
    Ok(Data {
        balances: bill_run_proofs::balances_of(&mut *connection, key).await?,
        findings: bill_run_proofs::findings_of(connection, key).await?,
        outcomes,
        run,
    })
}

fn render(frame: &Frame, data: &Data) -> Markup {
    let run = &data.run;
    // What is over moves no more.
    let every = (run.state == BillRunState::Running).then_some("every 2s");
    let own = frame.href(&format!("/bill-runs/{}", run.id));
    html! {
        div id="run" hx-get=[every.map(|_| &own)] hx-trigger=[every] hx-select=[every.map(|_| "#run")]
            hx-swap=[every.map(|_| "outerHTML")] {
            (verdict(data))
            section.panel {
                h2 { "Progress" }
                (progress(data))
                (jobs_by_state(frame, data))
                @if every.is_some() { p { a href=(own) { "Refresh" } } }
            }
        }
        section.panel { h2 { "The run" } (facts(frame, run)) }
        @if run.state == BillRunState::Running && frame.may_act() {
            details {
                summary { "Cancel this run" }
                p.muted { "What is not generated yet never will be by it; invoices that are there stay." }
                (frame.form_to_end(&format!("/bill-runs/{}/cancel", run.id), html! {}, "Cancel it"))
            }
        }
        @if !data.findings.is_empty() { (findings(&data.findings)) }
        @if !data.balances.is_empty() { (balances(&data.balances)) }
    }
}

fn verdict(data: &Data) -> Markup {
    let run = &data.run;
    html! {
        @match run.state {
            BillRunState::Running if run.cancelled_by.is_some() => p.verdict.warn {
                "It is cancelled by " bdi { (run.cancelled_by.as_deref().unwrap_or_default()) } " and ends."
            },
            BillRunState::Running => p.verdict.warn { "It runs; whether the month is complete is proved at its end." },
            BillRunState::Complete => p.verdict {
                "The month is proved complete: every customer with charges has its invoice, and every file adds up."
            },
            BillRunState::NeedsAttention => p.verdict.bad {
                "It needs attention: " (data.findings.len()) " findings below, each with what to do."
            },
            BillRunState::Cancelled => p.verdict.warn {
                "Cancelled by " bdi { (run.cancelled_by.as_deref().unwrap_or("somebody")) } ": "
                bdi { (run.cancel_reason.as_deref().unwrap_or_default()) }
            },
        }
    }
}

/// A bar of what is over, by how it ended, and what is left.
fn progress(data: &Data) -> Markup {
    let total: i64 = data.outcomes.values().sum();
    let of = |state: &str| data.outcomes.get(state).copied().unwrap_or_default();
    let over: i64 = OVER.iter().map(|state| of(state)).sum();
    html! {
        @if total == 0 {
            p.muted { "This round had no invoice to generate." }
        } @else {
            svg.outcomes viewBox=(format!("0 0 {total} 1")) preserveAspectRatio="none" role="img"
                aria-label=(format!("{over} of {total} jobs are over: {}", describe(&data.outcomes))) {
                rect class="bar good" x="0" y="0" width=(of("done")) height="1" {}
                rect class="bar bad" x=(of("done")) y="0" width=(of("dead")) height="1" {}
                rect class="bar warn" x=(of("done") + of("dead")) y="0" width=(of("discarded")) height="1" {}
            }
            p { strong.number { (count(over)) } " of " (count(total)) " jobs are over" }
        }
    }
}

fn describe(outcomes: &BTreeMap<String, i64>) -> String {
    outcomes.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

fn jobs_by_state(frame: &Frame, data: &Data) -> Markup {
    let batch = data.run.batch_id.map(|id| id.to_string());
    html! {
        ul.chips {
            @for (state, jobs) in &data.outcomes {
                @let query = [("batch", batch.as_deref()), ("state", Some(state.as_str()))];
                li { a.chip href=(frame.href(&elements::address("/jobs", &query))) { (elements::state(state)) " " (count(*jobs)) } }
            }
        }
    }
}

fn facts(frame: &Frame, run: &BillRun) -> Markup {
    html! {
        dl.facts {
            dt { "Name" } dd { bdi { (run.run_id) } ", round " (run.round) }
            dt { "Reseller" } dd { code { (run.reseller_id) } }
            dt { "Started" } dd { (instant(run.started_at)) " by " bdi { (run.started_by) } }
            dt { "Ended" } dd { @match run.finished_at { Some(at) => (instant(at)), None => "not yet" } }
            dt { "Invoices" } dd { (count(run.generation_count)) " to generate, " (count(run.existing_count)) " left alone" }
            dt { "Options" } dd { code { (run.options) } }
            @if let Some(batch_id) = run.batch_id {
                dt { "Proof" } dd { a href=(frame.href(&format!("/jobs/{batch_id}"))) { "the job that proves it" } }
            }
        }
    }
}

fn findings(findings: &[Finding]) -> Markup {
    html! {
        h2 { "Needs attention" }
        div.scroll tabindex="0" {
            table {
                thead {
                    tr { @for title in ["what", "customer", "invoice"] { th scope="col" { (title) } }
                        th.number scope="col" { "amount" } th scope="col" { "what to do" } }
                }
                tbody {
                    @for finding in findings.iter().take(SHOWN) {
                        tr {
                            th.long scope="row" { (elements::state(finding.kind.as_str())) " " bdi { (finding.what) } }
                            td { bdi { (finding.customer_name.as_deref().unwrap_or("–")) } }
                            td { bdi { (finding.invoice.as_deref().unwrap_or("–")) } }
                            td.number { @if let Some(amount) = &finding.amount { (plain_text(amount)) " " (finding.currency) } }
                            td.long { (finding.kind.way_out()) }
                        }
                    }
                }
            }
        }
        @if findings.len() > SHOWN {
            p.muted { "And " (findings.len() - SHOWN) " more; " code { "billrunner bill-runs show" } " has all." }
        }
    }
}

fn balances(balances: &[Balance]) -> Markup {
    html! {
        h2 { "Where each file's money went" }
        div.scroll tabindex="0" {
            table {
                thead {
                    tr {
                        th scope="col" { "file" }
                        th scope="col" { "payer" }
                        th scope="col" { "adds up" }
                        @for title in ["invoiced", "excluded tax", "unassigned", "waived", "not invoiced", "file"] {
                            th.number scope="col" { (title) }
                        }
                    }
                }
                tbody {
                    @for balance in balances.iter().take(SHOWN) {
                        tr {
                            th.long scope="row" { bdi { (balance.file_name) } }
                            td { bdi { (balance.billing_account_id) } }
                            td.nowrap {
                                @if balance.difference().is_zero() { span.good { "yes" } " " (balance.currency) }
                                @else { span.bad { (plain_text(&balance.difference())) } " " (balance.currency) }
                            }
                            @for amount in sides(balance) { td.number { (plain_text(amount)) } }
                        }
                    }
                }
            }
        }
    }
}

fn sides(balance: &Balance) -> [&bigdecimal::BigDecimal; 6] {
    let Balance { invoiced, excluded_tax, unassigned, waived, not_invoiced, file_total, .. } = balance;
    [invoiced, excluded_tax, unassigned, waived, not_invoiced, file_total]
}

async fn cancel(
    State(console): State<Shared>,
    Path(id): Path<String>,
    frame: Frame,
    change: Change,
) -> Result<Redirect, Problem> {
    let mut connection = console.pool.acquire().await?;
    let run = find(&mut connection, &id).await?;
    let mut transaction = connection.begin().await?;
    let is_noted = bill_runs::cancel(&mut transaction, (run.reseller_id, run.id), change.operator()).await?;
    transaction.commit().await?;
    let (true, Some(batch_id)) = (is_noted, run.batch_id) else {
        return Err(Problem::Refused(format!("the run is {}; only one that is running is cancelled", run.state)));
    };
    cancel_batch(&mut connection, batch_id, change.operator()).await?;
    Ok(Redirect::to(&frame.href(&format!("/bill-runs/{}", run.id))))
}
