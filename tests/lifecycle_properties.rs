//! The lifecycle against a reference model: random requests, through the pure function, the queue and the store, and the
//! database's trigger. All say the same, and nothing returns to draft.

use anyhow::{Context, Result, ensure};
use billrunner::{
    domain::{
        ids::InvoiceId,
        invoice_status::{InvoiceStatus, Plan, plan},
    },
    jobs::{ChangeInvoiceStatus, GenerateInvoice, InitialStatus},
};
use proptest::prelude::*;
use sqlx::Connection;
use tokio::runtime::Runtime;

use crate::support::{
    desk::Desk,
    properties::{config, hold, regressions},
};

/// A request as somebody sends it.
#[derive(Clone, Debug)]
struct Request {
    to: InvoiceStatus,
    /// How many versions the sender is behind; `None`: it names none.
    behind: Option<i32>,
    has_reason: bool,
    force: bool,
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    use InvoiceStatus::{Closed, Discarded, Draft, Open, Void};
    // Ends are rarer than ways, or most sequences would end at once.
    let to = prop_oneof![2 => Just(Draft), 5 => Just(Open), 4 => Just(Closed), 1 => Just(Void), 1 => Just(Discarded)];
    let behind = prop_oneof![4 => Just(None), 3 => Just(Some(0)), 1 => Just(Some(1)), 1 => Just(Some(2))];
    let request = (to, behind, prop::bool::weighted(0.8), prop::bool::weighted(0.7));
    let request = request.prop_map(|(to, behind, has_reason, force)| Request { to, behind, has_reason, force });
    proptest::collection::vec(request, 4..10)
}

/// What the model says comes of a request.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    NoOp,
    /// Goes there, in so many steps.
    Goes(i32),
    Refused,
}

/// The reference: each status as a letter, each way as a pair. Written out, not computed.
fn reference(from: InvoiceStatus, request: &Request) -> Verdict {
    if request.behind.is_some_and(|behind| behind > 0) {
        return Verdict::NoOp;
    }
    let letter = |status: InvoiceStatus| status.as_str().chars().next().unwrap_or_default();
    let way: String = match (letter(from), letter(request.to), from == request.to) {
        (.., true) => return Verdict::NoOp,
        // Two begin with a `d`.
        (a, 'd', _) if request.to == InvoiceStatus::Discarded => format!("{a}x"),
        ('d', b, _) if from == InvoiceStatus::Discarded => format!("x{b}"),
        (a, b, _) => format!("{a}{b}"),
    };
    let opens = way.starts_with('d') && way != "dx";
    // The month stays open, so an opening is forced or refused.
    match way.as_str() {
        _ if opens && !request.force && way != "dv" => Verdict::Refused,
        "do" | "dx" | "oc" => Verdict::Goes(1),
        "dc" => Verdict::Goes(2),
        "ov" | "cv" | "co" if request.has_reason => Verdict::Goes(1),
        _ => Verdict::Refused,
    }
}

#[test]
fn pure_function_queue_and_trigger_agree_with_the_reference_over_random_requests() {
    let runtime = Runtime::new().expect("a runtime");
    let desk = runtime.block_on(Desk::open(1)).expect("a desk");
    hold(config(8, regressions!("lifecycle")), &runtime, &requests(), async |requests| {
        let anew = GenerateInvoice { status: InitialStatus::Draft, ..desk.business.generate(0) };
        desk.office.done(&anew).await?;
        let id = desk.id(0).await?;
        for request in &requests {
            desk.answers_as_the_reference(id, request).await?;
        }
        // The key is free for the next case.
        desk.retire(id).await
    });
    runtime.block_on(desk.close()).expect("a worker that stops");
}

impl Desk {
    async fn answers_as_the_reference(&self, id: InvoiceId, request: &Request) -> Result<()> {
        let before = self.find(id).await?;
        let expected = reference(before.status, request);

        let planned = plan(before.status, request.to);
        let is_known = match (&planned, &expected) {
            (Ok(Plan::Steps(steps)), Verdict::Goes(count)) => i32::try_from(steps.len())? == *count,
            // Only the queue knows of versions, reasons and open months.
            (Ok(Plan::Steps(_)), Verdict::NoOp) => request.behind.is_some_and(|behind| behind > 0),
            (Ok(Plan::Steps(_)), Verdict::Refused) => !request.has_reason || !request.force,
            (Ok(Plan::NoOp), verdict) => *verdict == Verdict::NoOp,
            (Err(_), verdict) => *verdict == Verdict::Refused || request.behind.is_some_and(|behind| behind > 0),
        };
        ensure!(is_known, "{} to {}: planned {planned:?}, the reference says {expected:?}", before.status, request.to);
        self.trigger_agrees(id, before.status, request.to).await?;

        let job = ChangeInvoiceStatus {
            version: request.behind.map(|behind| before.version - behind),
            reason: request.has_reason.then(|| "at random".to_owned()),
            force: request.force,
            ..self.to(id, request.to)
        };
        let (row, attempts) = self.office.run(&job).await?;
        let after = self.find(id).await?;
        let (steps, state) = match expected {
            Verdict::NoOp => (0, "done"),
            Verdict::Goes(steps) => (steps, "done"),
            Verdict::Refused => (0, "dead"),
        };
        let status = if steps > 0 { request.to } else { before.status };
        ensure!(
            (row.state.as_str(), attempts.len(), after.status, after.version)
                == (state, 1, status, before.version + steps),
            "{request:?} of {} at version {}: {} ({:?}), now {} at version {}",
            before.status,
            before.version,
            row.state,
            row.last_error,
            after.status,
            after.version
        );
        ensure!(before.status == InvoiceStatus::Draft || after.status != InvoiceStatus::Draft, "back to draft");
        Ok(())
    }

    /// Asks the database itself, as its owner with the triggers on, and takes it back.
    async fn trigger_agrees(&self, id: InvoiceId, from: InvoiceStatus, to: InvoiceStatus) -> Result<()> {
        let mut owner = self.database.connect_as_owner().await?;
        let mut transaction = owner.begin().await?;
        // With what an issued invoice must have besides its status, so that only the trigger stands in the way.
        let moved = sqlx::query(
            "UPDATE invoices SET status = $2, version = version + 1,
                 number = CASE WHEN status = 'draft' AND $2 <> 'discarded' THEN id::text ELSE number END,
                 issued_on = CASE WHEN status = 'draft' AND $2 <> 'discarded' THEN current_date ELSE issued_on END,
                 opened_at = CASE WHEN status = 'draft' AND $2 <> 'discarded' THEN now() ELSE opened_at END
             WHERE id = $1 AND status <> $2",
        )
        .bind(id)
        .bind(to.as_str())
        .execute(&mut *transaction)
        .await;
        transaction.rollback().await?;
        let is_a_step = matches!(plan(from, to), Ok(Plan::Steps([_])));
        match moved {
            Ok(done) if from == to => ensure!(done.rows_affected() == 0),
            Ok(_) => ensure!(is_a_step, "the trigger lets {from} to {to} pass"),
            Err(error) => {
                let error = error.to_string();
                let is_of_the_trigger = error.contains("never returns to draft") || error.contains("cannot go from");
                ensure!(!is_a_step && is_of_the_trigger, "{from} to {to}: {error}");
            }
        }
        Ok(())
    }

    /// Ends an invoice in whatever way it can end.
    async fn retire(&self, id: InvoiceId) -> Result<()> {
        let to = match self.find(id).await?.status {
            InvoiceStatus::Draft => InvoiceStatus::Discarded,
            InvoiceStatus::Open | InvoiceStatus::Closed => InvoiceStatus::Void,
            InvoiceStatus::Void | InvoiceStatus::Discarded => return Ok(()),
        };
        self.office.done(&self.to(id, to)).await.context("the end of a case").map(drop)
    }
}
