//! What customers were told and what became of it, found by outcome, reseller, customer, invoice and message.
//!
//! The address of a recipient is shown to whoever may look, as the command line does; it is in no log.

use axum::{
    Router,
    extract::{Query, State},
    routing::get,
};
use maud::{Markup, html};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Frame, Problem, Shared, elements, instant, page};
use crate::{
    domain::notification::NotificationState,
    store::{
        invoice_list,
        notification_list::{self, NotificationFilter, NotificationSummary},
    },
};

/// Notifications on a page.
const ON_A_PAGE: usize = 50;

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    state: Option<String>,
    reseller: Option<String>,
    customer: Option<String>,
    invoice: Option<String>,
    message: Option<String>,
    before: Option<String>,
}

impl Asked {
    /// Returns the address of the page that goes on before a notification; without one, of the first page.
    fn address(&self, before: Option<&str>) -> String {
        let query = [
            ("state", self.state.as_deref()),
            ("reseller", self.reseller.as_deref()),
            ("customer", self.customer.as_deref()),
            ("invoice", self.invoice.as_deref()),
            ("message", self.message.as_deref()),
            ("before", before),
        ];
        elements::address("/notifications", &query)
    }

    /// Reads what is asked for; `None` where an invoice is that does not exist.
    async fn filter(&self, connection: &mut PgConnection) -> Result<Option<NotificationFilter>, Problem> {
        let states = self.state.as_deref().unwrap_or_default().split(',').filter(|word| !word.is_empty());
        let states: Result<Vec<NotificationState>, _> = states.map(str::parse).collect();
        let text =
            |field: &Option<String>| field.clone().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let mut filter = NotificationFilter {
            states: states.map_err(|error| Problem::Invalid(format!("state: {error}")))?,
            reseller_id: elements::read("reseller", self.reseller.as_deref())?,
            customer: text(&self.customer),
            message_id: text(&self.message),
            before: elements::read("before", self.before.as_deref())?,
            ..NotificationFilter::default()
        };
        if let Some(name) = text(&self.invoice) {
            let Some((_, id)) = invoice_list::find_by_name(connection, &name).await?.first().copied() else {
                return Ok(None);
            };
            filter.invoice_id = Some(id);
        }
        Ok(Some(filter))
    }
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/notifications", get(show))
}

async fn show(State(console): State<Shared>, Query(asked): Query<Asked>, frame: Frame) -> Result<Markup, Problem> {
    let found = load(&mut *console.pool.acquire().await?, &asked).await?;
    Ok(page(&frame, "Notifications", render(&frame, &asked, &found)))
}

/// Returns the notifications of a page and one more, where there is one.
async fn load(connection: &mut PgConnection, asked: &Asked) -> Result<Vec<NotificationSummary>, Problem> {
    let Some(filter) = asked.filter(&mut *connection).await? else { return Ok(Vec::new()) };
    let limit = i64::try_from(ON_A_PAGE + 1).unwrap_or(i64::MAX);
    Ok(notification_list::list(connection, &filter, limit).await?)
}

fn render(frame: &Frame, asked: &Asked, found: &[NotificationSummary]) -> Markup {
    let shown = found.get(..ON_A_PAGE).unwrap_or(found);
    let last = shown.last().filter(|_| found.len() > ON_A_PAGE).map(|told| told.id.to_string());
    let next = last.map(|last| asked.address(Some(&last)));
    let first = asked.before.as_ref().map(|_| asked.address(None));
    html! {
        p.actions { a.button.quiet href=(frame.href("/notifications/suppressions")) { "Suppression list" } }
        (search(frame, asked))
        @if shown.is_empty() { p.muted { "No notification matches." } } @else { (table(frame, shown)) }
        (elements::pages(frame, first.as_deref(), next.as_deref()))
    }
}

fn search(frame: &Frame, asked: &Asked) -> Markup {
    let states = NotificationState::ALL.map(NotificationState::as_str);
    html! {
        form.filter method="get" action=(frame.href("/notifications")) {
            (elements::choice("Outcome", "state", asked.state.as_deref(), &states))
            (elements::text_field("Customer", "customer", asked.customer.as_deref()))
            (elements::text_field("Invoice", "invoice", asked.invoice.as_deref()))
            (elements::text_field("Reseller id", "reseller", asked.reseller.as_deref()))
            (elements::text_field("Message-ID", "message", asked.message.as_deref()))
            div { button type="submit" { "Search" } }
        }
    }
}

fn table(frame: &Frame, found: &[NotificationSummary]) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table {
                thead {
                    tr {
                        @for title in ["since", "outcome", "customer", "recipient", "invoice", "event", "why"] {
                            th scope="col" { (title) }
                        }
                    }
                }
                tbody { @for told in found { (row(frame, told)) } }
            }
        }
    }
}

fn row(frame: &Frame, told: &NotificationSummary) -> Markup {
    let since = told.finished_at.or(told.sending_at).unwrap_or(told.created_at);
    html! {
        tr {
            th scope="row" { a href=(frame.href(&format!("/notifications/{}", told.id))) { (instant(since)) } }
            td { (elements::state(&told.state)) }
            td { bdi { (told.customer_name) } }
            td { bdi { (told.recipient) } }
            td { bdi { (told.invoice_name) } }
            td { (told.event) }
            td.long { bdi { (told.reason.as_deref().unwrap_or_default()) } }
        }
    }
}
