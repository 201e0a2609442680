//! A reseller's suppression list: addresses that are never written to, who put them there, and putting on and taking off.

use axum::{
    Router,
    extract::{Query, State},
    response::Redirect,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Change, Frame, Problem, Shared, elements, instant, page};
use crate::{
    domain::{ids::ResellerId, mail_settings::is_address},
    store::{
        resellers::{self, ResellerName},
        suppressions::{self, Suppression, SuppressionAction},
    },
};

/// Addresses shown; `billrunner suppressions list` has all.
const SHOWN: i64 = 40;
/// Changes shown, the newest.
const SHOWN_CHANGES: i64 = 20;

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    reseller: Option<String>,
}

/// What the page shows.
struct Data {
    resellers: Vec<ResellerName>,
    /// Whose list it is; `None` where there is no reseller.
    reseller: Option<ResellerId>,
    addresses: Vec<Suppression>,
    changes: Vec<SuppressionAction>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/notifications/suppressions", get(show))
        .route("/notifications/suppressions/add", post(add))
        .route("/notifications/suppressions/remove", post(remove))
}

async fn show(State(console): State<Shared>, Query(asked): Query<Asked>, frame: Frame) -> Result<Markup, Problem> {
    let reseller = elements::read("reseller", asked.reseller.as_deref())?;
    let data = load(&mut *console.pool.acquire().await?, reseller).await?;
    Ok(page(&frame, "Suppression list", render(&frame, &data)))
}

async fn load(connection: &mut PgConnection, asked: Option<ResellerId>) -> sqlx::Result<Data> {
    let resellers = resellers::names(&mut *connection).await?;
    let reseller = asked.or_else(|| resellers.first().map(|reseller| reseller.id));
    let Some(id) = reseller else {
        return Ok(Data { resellers, reseller, addresses: Vec::new(), changes: Vec::new() });
    };
    Ok(Data {
        resellers,
        reseller,
        addresses: suppressions::list(&mut *connection, id, SHOWN).await?,
        changes: suppressions::actions(connection, id, SHOWN_CHANGES).await?,
    })
}

fn render(frame: &Frame, data: &Data) -> Markup {
    let Some(reseller) = data.reseller else {
        return html! { p.muted { "There is no reseller yet; " code { "billrunner directory FILE" } " makes one." } };
    };
    html! {
        p { "Addresses that are never written to: they were refused by their mail server, or somebody asked for it." }
        @if data.resellers.len() > 1 { (choice(frame, data, reseller)) }
        @if frame.may_act() {
            details {
                summary { "Never write to an address" }
                (frame.form("/notifications/suppressions/add", html! {
                    input type="hidden" name="reseller" value=(reseller);
                    label { "Address" input name="address" type="email" required autocomplete="off"; }
                }, "Put it on the list"))
            }
        }
        @if data.addresses.is_empty() {
            p.muted { "The list is empty." }
        } @else {
            (table(frame, reseller, &data.addresses))
        }
        @if !data.changes.is_empty() { (changes(&data.changes)) }
    }
}

fn choice(frame: &Frame, data: &Data, chosen: ResellerId) -> Markup {
    html! {
        form.filter method="get" action=(frame.href("/notifications/suppressions")) {
            label {
                "Reseller"
                select name="reseller" {
                    @for reseller in &data.resellers {
                        option value=(reseller.id) selected[reseller.id == chosen] { (reseller.name) }
                    }
                }
            }
            div { button type="submit" { "Show" } }
        }
    }
}

fn table(frame: &Frame, reseller: ResellerId, addresses: &[Suppression]) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table {
                thead {
                    tr {
                        @for title in ["address", "since", "by", "why"] { th scope="col" { (title) } }
                        @if frame.may_act() { th scope="col" { "change" } }
                    }
                }
                tbody {
                    @for listed in addresses {
                        tr {
                            th scope="row" { bdi { (listed.email) } }
                            td { (instant(listed.created_at)) }
                            td { bdi { (listed.added_by.as_deref().unwrap_or("the directory")) } }
                            td.long { bdi { (listed.reason) } }
                            @if frame.may_act() { td { (take_off(frame, reseller, listed)) } }
                        }
                    }
                }
            }
        }
    }
}

fn take_off(frame: &Frame, reseller: ResellerId, listed: &Suppression) -> Markup {
    html! {
        details {
            summary { "Take it off" }
            (frame.form("/notifications/suppressions/remove", html! {
                input type="hidden" name="reseller" value=(reseller);
                input type="hidden" name="address" value=(listed.email);
            }, "Write to it again"))
        }
    }
}

fn changes(changes: &[SuppressionAction]) -> Markup {
    html! {
        h2 { "What was changed" }
        div.scroll tabindex="0" {
            table {
                thead { tr { @for title in ["when", "who", "what", "address", "why"] { th scope="col" { (title) } } } }
                tbody {
                    @for change in changes {
                        tr {
                            th scope="row" { (instant(change.done_at)) }
                            td { bdi { (change.done_by) } }
                            td { (change.action) }
                            td { bdi { (change.email) } }
                            td.long { bdi { (change.reason) } }
                        }
                    }
                }
            }
        }
    }
}

/// Reads whose list is to change, and the address.
async fn asked(connection: &mut PgConnection, change: &Change) -> Result<(ResellerId, String), Problem> {
    let reseller: ResellerId = change.require("reseller")?;
    if !suppressions::is_reseller(connection, reseller).await? {
        return Err(Problem::NotFound(format!("there is no reseller {reseller}")));
    }
    Ok((reseller, change.require("address")?))
}

async fn add(State(console): State<Shared>, frame: Frame, change: Change) -> Result<Redirect, Problem> {
    let mut connection = console.pool.acquire().await?;
    let (reseller, address) = asked(&mut connection, &change).await?;
    if !is_address(&address) {
        return Err(Problem::Invalid("address: write one such as billing@example.com".to_owned()));
    }
    if !suppressions::add(&mut connection, reseller, &address, change.operator()).await? {
        return Err(Problem::Refused(format!("`{address}` is on the list already")));
    }
    Ok(back(&frame, reseller))
}

async fn remove(State(console): State<Shared>, frame: Frame, change: Change) -> Result<Redirect, Problem> {
    let mut connection = console.pool.acquire().await?;
    let (reseller, address) = asked(&mut connection, &change).await?;
    if !suppressions::remove(&mut connection, reseller, &address, change.operator()).await? {
        return Err(Problem::Refused(format!("`{address}` is not on the list")));
    }
    Ok(back(&frame, reseller))
}

fn back(frame: &Frame, reseller: ResellerId) -> Redirect {
    Redirect::to(&frame.href(&format!("/notifications/suppressions?reseller={reseller}")))
}
