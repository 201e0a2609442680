//! The lifecycle of an invoice: which status follows which, and what is said when one does not.
//!
//! The same table stands in the database's `guard_invoice()`; `tests/invoice_guards.rs` proves the two equal, and
//! `tests/invoice_status.rs` holds both to what was agreed.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::invoice_event::EventName;

/// Where an invoice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// Being prepared: can be regenerated or discarded, the customer never sees it.
    Draft,
    /// Issued: numbered, frozen, shown to the customer.
    Open,
    /// Settled.
    Closed,
    /// Cancelled; its number stays used.
    Void,
    /// The tombstone of a draft; never shown.
    Discarded,
}

impl InvoiceStatus {
    /// All statuses, in the order of the lifecycle.
    pub const ALL: [Self; 5] = [Self::Draft, Self::Open, Self::Closed, Self::Void, Self::Discarded];

    /// Returns the status's name, the same in SQL, JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Void => "void",
            Self::Discarded => "discarded",
        }
    }
}

impl fmt::Display for InvoiceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Says that a text is no invoice status.
#[derive(Debug, thiserror::Error)]
#[error("unknown invoice status `{0}`; known: draft, open, closed, void, discarded")]
pub struct UnknownInvoiceStatus(String);

impl FromStr for InvoiceStatus {
    type Err = UnknownInvoiceStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownInvoiceStatus(text.to_owned()))
    }
}

/// One move between two statuses, as the database accepts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The status the invoice must have.
    pub from: InvoiceStatus,
    /// The status it gets.
    pub to: InvoiceStatus,
    /// What the history calls it.
    pub event: EventName,
}

/// What a requested change comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The invoice is there already: succeed, write nothing, mail nobody.
    NoOp,
    /// The moves to make, in order, in one transaction.
    Steps(&'static [Step]),
}

/// Says which change was refused and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an invoice that is {from} cannot become {to}; {}", way_out(*.from, *.to))]
pub struct RefusedTransition {
    /// The status the invoice has.
    pub from: InvoiceStatus,
    /// The status that was asked for.
    pub to: InvoiceStatus,
}

/// Opens a draft.
pub const OPEN: Step = Step { from: InvoiceStatus::Draft, to: InvoiceStatus::Open, event: EventName::Opened };
const DISCARD: Step = Step { from: InvoiceStatus::Draft, to: InvoiceStatus::Discarded, event: EventName::Discarded };
const CLOSE: Step = Step { from: InvoiceStatus::Open, to: InvoiceStatus::Closed, event: EventName::Closed };
const REOPEN: Step = Step { from: InvoiceStatus::Closed, to: InvoiceStatus::Open, event: EventName::Reopened };
const VOID_OPEN: Step = Step { from: InvoiceStatus::Open, to: InvoiceStatus::Void, event: EventName::Voided };
const VOID_CLOSED: Step = Step { from: InvoiceStatus::Closed, to: InvoiceStatus::Void, event: EventName::Voided };

/// Decides what a change from one status to another comes to.
///
/// # Errors
/// [`RefusedTransition`] for every pair that is neither a no-op nor a way forward; nothing returns to draft.
pub fn plan(from: InvoiceStatus, to: InvoiceStatus) -> Result<Plan, RefusedTransition> {
    use InvoiceStatus::{Closed, Discarded, Draft, Open, Void};
    match (from, to) {
        (Draft, Draft) | (Open, Open) | (Closed, Closed) | (Void, Void) | (Discarded, Discarded) => Ok(Plan::NoOp),
        (Draft, Open) => Ok(Plan::Steps(&[OPEN])),
        (Draft, Closed) => Ok(Plan::Steps(&[OPEN, CLOSE])),
        (Draft, Discarded) => Ok(Plan::Steps(&[DISCARD])),
        (Open, Closed) => Ok(Plan::Steps(&[CLOSE])),
        (Open, Void) => Ok(Plan::Steps(&[VOID_OPEN])),
        (Closed, Open) => Ok(Plan::Steps(&[REOPEN])),
        (Closed, Void) => Ok(Plan::Steps(&[VOID_CLOSED])),
        (Open | Closed | Void | Discarded, Draft)
        | (Draft | Discarded, Void)
        | (Open | Closed | Void, Discarded)
        | (Void | Discarded, Open | Closed) => Err(RefusedTransition { from, to }),
    }
}

/// Returns every step that an invoice can take, as the history records it after the generation.
pub fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (from, to) in InvoiceStatus::ALL.into_iter().flat_map(|from| InvoiceStatus::ALL.map(|to| (from, to))) {
        if let Ok(Plan::Steps(planned)) = plan(from, to) {
            steps.extend(planned.iter().filter(|step| !steps.contains(step)).copied().collect::<Vec<_>>());
        }
    }
    steps
}

/// Tells whether somebody must say why: voiding and reopening do.
pub fn needs_reason(from: InvoiceStatus, to: InvoiceStatus) -> bool {
    use InvoiceStatus::{Closed, Open, Void};
    matches!((from, to), (Open | Closed, Void) | (Closed, Open))
}

fn way_out(from: InvoiceStatus, to: InvoiceStatus) -> &'static str {
    use InvoiceStatus::{Closed, Discarded, Draft, Open, Void};
    match (from, to) {
        (Open | Closed, Draft) => "nothing returns to draft: void it and generate it anew",
        (Draft, Void) => "discard the draft instead",
        (Open | Closed, Discarded) => "void it instead",
        (Void, _) => "void is final: generate the invoice anew",
        (Discarded, _) => "a discarded draft is final: generate the invoice anew",
        (Draft, Draft | Open | Closed | Discarded) | (Open | Closed, Open | Closed | Void) => "ask for another status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_returns_to_draft() {
        for from in InvoiceStatus::ALL.into_iter().filter(|status| *status != InvoiceStatus::Draft) {
            assert_eq!(plan(from, InvoiceStatus::Draft), Err(RefusedTransition { from, to: InvoiceStatus::Draft }));
        }
    }

    #[test]
    fn every_plan_leads_from_the_first_status_to_the_last() {
        for from in InvoiceStatus::ALL {
            for to in InvoiceStatus::ALL {
                let Ok(Plan::Steps(steps)) = plan(from, to) else { continue };
                assert_eq!(steps.first().map(|step| step.from), Some(from));
                assert_eq!(steps.last().map(|step| step.to), Some(to));
                assert!(steps.windows(2).all(|pair| pair[0].to == pair[1].from));
            }
        }
    }

    #[test]
    fn a_refusal_names_both_statuses_and_what_to_do() {
        let refused = plan(InvoiceStatus::Open, InvoiceStatus::Draft).expect_err("refused");
        assert_eq!(
            refused.to_string(),
            "an invoice that is open cannot become draft; nothing returns to draft: void it and generate it anew"
        );
    }
}
