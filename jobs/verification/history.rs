//! The history: the chain of events, the fiscal numbers, and statuses against what the events tell.

use chrono::NaiveDate;
use sqlx::PgConnection;

use super::findings::{Check, Finding, Findings};
use crate::{
    domain::{ids::ResellerId, numbering},
    store::{
        checks::{self, Contradiction, NumberFault, SeriesBreak, WrongStep},
        event_chain::{BrokenLink, find_broken_links},
    },
};

const MEND_EVENTS: &str = "history is never mended in place: find out who wrote to the database as its owner, and compare \
                           with a backup of before";
const MEND_NUMBERS: &str = "keep the database as it is for the auditor, and restore the invoice from a backup; a number is \
                            never given anew";
const MEND_STATUS: &str = "the invoice was changed behind the application's back: the events are what happened; restore \
                           the row from a backup";

/// Checks a reseller's chain and numbers whole, and statuses of one month or all.
pub async fn check_history(
    connection: &mut PgConnection,
    reseller_id: ResellerId,
    month: Option<NaiveDate>,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    let mut add = |check, what, way_out| findings.add(Finding { check, reseller_id, place: None, what, way_out });
    for link in find_broken_links(connection, reseller_id).await? {
        add(Check::Events, describe_link(link), MEND_EVENTS);
    }
    for found in checks::find_series_breaks(connection, reseller_id).await? {
        add(Check::Numbers, describe_break(&found), MEND_NUMBERS);
    }
    for found in checks::find_number_faults(connection, reseller_id).await? {
        add(Check::Numbers, describe_fault(&found), MEND_NUMBERS);
    }
    for found in checks::find_contradictions(connection, reseller_id, month).await? {
        add(Check::Statuses, describe_contradiction(&found), MEND_STATUS);
    }
    for found in checks::find_wrong_steps(connection, reseller_id, month).await? {
        add(Check::Statuses, describe_step(&found), MEND_EVENTS);
    }
    Ok(())
}

fn describe_link(link: BrokenLink) -> String {
    format!("the chain of events is broken at event {}: {}", link.sequence, link.damage)
}

fn describe_break(found: &SeriesBreak) -> String {
    let number = |consecutive| numbering::number(&found.series, consecutive);
    let Some(consecutive) = found.consecutive else { return format!("number {} is missing", number(1)) };
    let previous = found.previous;
    if consecutive >= found.next {
        return format!("number {} is beyond the counter of its series", number(consecutive));
    }
    if consecutive > previous + 1 {
        return format!("number {} is missing", number(previous + 1));
    }
    if consecutive <= previous {
        return format!("number {} is used twice, or is none", number(consecutive));
    }
    match (found.issued_on, found.previous_issued_on) {
        (Some(day), Some(before)) if day < before => {
            format!("number {} was issued on {day}, before {} on {before}", number(consecutive), number(previous))
        }
        _ => format!("number {} is missing", number(consecutive + 1)),
    }
}

fn describe_fault(found: &NumberFault) -> String {
    let NumberFault { invoice_id, number, status, issued_on, was_opened } = found;
    match (number, issued_on) {
        (Some(number), _) if matches!(status.as_str(), "draft" | "discarded") => {
            format!("invoice {invoice_id} is {status} and has the number {number}")
        }
        (Some(number), _) if !was_opened => {
            format!("no event tells that invoice {invoice_id} with the number {number} was opened")
        }
        (Some(number), Some(day)) => format!("number {number} of {day} is not of a series of its year and kind"),
        (Some(number), None) => format!("number {number} has no day of issue"),
        (None, _) => format!("invoice {invoice_id} is {status} and has no number"),
    }
}

fn describe_contradiction(found: &Contradiction) -> String {
    let Contradiction { invoice_id, status, version, last_status, last_version } = found;
    match (last_status, last_version) {
        (Some(last_status), Some(last_version)) => format!(
            "invoice {invoice_id} is {status} at version {version}, but its last event says {last_status} at version \
             {last_version}"
        ),
        _ => format!("invoice {invoice_id} is {status}, but has no event"),
    }
}

fn describe_step(found: &WrongStep) -> String {
    let WrongStep { invoice_id, sequence, name, to_status, version, .. } = found;
    let from = found.from_status.as_deref().unwrap_or("nothing");
    let step = format!(
        "event {sequence} takes invoice {invoice_id} from {from} to {to_status} at version {version} as `{name}`"
    );
    match (&found.previous_status, found.previous_version) {
        (Some(_), Some(_)) if to_status == "draft" => format!("{step}; nothing returns to draft"),
        (Some(status), Some(version)) => {
            format!("{step}, but it was {status} at version {version}, or there is no such step")
        }
        _ => format!("{step}, but a history begins with a draft that is generated"),
    }
}
