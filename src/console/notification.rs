//! One notification with all that became of it, and having its mail sent again.

use axum::{
    Router,
    extract::{Path, State},
    response::Redirect,
    routing::{get, post},
};
use maud::{Markup, html};
use serde_json::json;
use sqlx::PgConnection;

use super::{Change, Frame, Problem, Shared, elements, instant, page};
use crate::{
    domain::ids::NotificationId,
    store::{
        directory::{self, Recipient},
        notification_list::{self, HistoryEntry, NotificationSummary},
        resend::{self, NotResent},
    },
};

/// What the page shows.
struct Data {
    told: NotificationSummary,
    history: Vec<HistoryEntry>,
    contacts: Vec<Recipient>,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/notifications/{id}", get(show)).route("/notifications/{id}/resend", post(send_again))
}

async fn show(State(console): State<Shared>, Path(id): Path<String>, frame: Frame) -> Result<Markup, Problem> {
    let data = load(&mut *console.pool.acquire().await?, &id).await?;
    let title = format!("Mail to {}", data.told.customer_name);
    Ok(page(&frame, &title, render(&frame, &data)))
}

async fn find(connection: &mut PgConnection, id: &str) -> Result<NotificationSummary, Problem> {
    let missing = || Problem::NotFound(format!("there is no notification `{id}`"));
    let known: NotificationId = id.parse().map_err(|_| missing())?;
    notification_list::find(connection, known).await?.ok_or_else(missing)
}

async fn load(connection: &mut PgConnection, id: &str) -> Result<Data, Problem> {
    let told = find(&mut *connection, id).await?;
    Ok(Data {
        history: notification_list::history(&mut *connection, (told.reseller_id, told.id)).await?,
        contacts: directory::recipients(connection, told.reseller_id, told.customer_id).await?,
        told,
    })
}

fn render(frame: &Frame, Data { told, history, contacts }: &Data) -> Markup {
    let of_invoice = elements::address("/notifications", &[("invoice", Some(&told.invoice_id.to_string()))]);
    html! {
        section.panel {
            dl.facts {
                dt { "Outcome" } dd { (elements::state(&told.state)) " " bdi { (told.reason.as_deref().unwrap_or_default()) } }
                dt { "Recipient" } dd { bdi { (told.recipient) } }
                dt { "About" } dd { (told.event) ": invoice " a href=(frame.href(&of_invoice)) { bdi { (told.invoice_name) } } }
                dt { "Intent" } dd { (told.intent) }
                dt { "Language" } dd { (told.language) }
                dt { "Message-ID" } dd { code { (told.message_id) } }
            }
        }
        h2 { "What became of it" }
        (entries(history))
        @if frame.may_act() && !contacts.is_empty() {
            details {
                summary { "Send it again" }
                p.muted { "As a new notification; the same customer may then have the mail twice." }
                (frame.form(&format!("/notifications/{}/resend", told.id), recipient(told, contacts), "Send again"))
            }
        }
    }
}

fn entries(history: &[HistoryEntry]) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table {
                thead { tr { @for title in ["when", "what", "by", "why"] { th scope="col" { (title) } } } }
                tbody {
                    @for entry in history {
                        tr {
                            th scope="row" { (instant(entry.noted_at)) }
                            td { (elements::state(&entry.what)) }
                            td { bdi { (entry.noted_by.as_deref().unwrap_or_default()) } }
                            td.long { bdi { (entry.reason.as_deref().unwrap_or_default()) } }
                        }
                    }
                }
            }
        }
    }
}

/// A choice of the customer's contacts: an invoice must not go to a mistyped address.
fn recipient(told: &NotificationSummary, contacts: &[Recipient]) -> Markup {
    html! {
        label {
            "To"
            select name="to" {
                @for Recipient { contact, suppressed_because } in contacts {
                    option value=(contact.email) selected[contact.email == told.recipient] disabled[suppressed_because.is_some()] {
                        (contact.email) @if let Some(why) = suppressed_because { " (" (why) ")" }
                    }
                }
            }
        }
    }
}

async fn send_again(
    State(console): State<Shared>,
    Path(id): Path<String>,
    frame: Frame,
    change: Change,
) -> Result<Redirect, Problem> {
    let mut transaction = console.pool.begin().await?;
    let earlier = find(&mut transaction, &id).await?;
    let to = change.field("to").unwrap_or(&earlier.recipient);
    let operator = change.operator();
    let again = resend::record(&mut transaction, &earlier, to, operator, &console.mail_domain).await?;
    let payload = json!({ "reseller_id": earlier.reseller_id, "notification_id": again.id });
    console.hand_in(&mut transaction, "send_notification", payload, operator).await?;
    transaction.commit().await?;
    Ok(Redirect::to(&frame.href(&format!("/notifications/{}", again.id))))
}

impl From<NotResent> for Problem {
    fn from(error: NotResent) -> Self {
        match error {
            NotResent::UnderWay { .. } | NotResent::NoContact { .. } | NotResent::Suppressed { .. } => {
                Self::Refused(error.to_string())
            }
            NotResent::Database(error) => error.into(),
        }
    }
}
