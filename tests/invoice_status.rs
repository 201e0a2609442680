//! The transition table: what the pure function decides, and what comes of asking the queue for every pair.

use anyhow::{Context, Result, ensure};
use billrunner::{
    domain::{
        ids::InvoiceId,
        invoice_status::{InvoiceStatus, Plan, plan},
    },
    jobs::{ChangeInvoiceStatus, DiscardInvoice},
    queue::Job,
    store::job_list::{AttemptRow, JobRow},
};

use crate::support::desk::{Desk, decimal};

/// What comes of asking for a status.
#[derive(Clone, Copy, Debug)]
enum Cell {
    /// Success, and nothing is written.
    NoOp,
    /// Success, with these events in one transaction.
    Events(&'static [&'static str]),
    /// Failure for good, with this advice.
    Refused(&'static str),
}

use Cell::{Events, NoOp, Refused};

const ANEW: Cell = Refused("generate the invoice anew");
const NOTHING_RETURNS: Cell = Refused("nothing returns to draft: void it and generate it anew");

/// The table as it was agreed, from each status (row) to each (column), both in the order of `InvoiceStatus::ALL`.
/// Written out, not computed: the code is held to it.
const TABLE: [[Cell; 5]; 5] = [
    [
        NoOp,
        Events(&["opened"]),
        Events(&["opened", "closed"]),
        Refused("discard the draft instead"),
        Events(&["discarded"]),
    ],
    [NOTHING_RETURNS, NoOp, Events(&["closed"]), Events(&["voided"]), Refused("void it instead")],
    [NOTHING_RETURNS, Events(&["reopened"]), NoOp, Events(&["voided"]), Refused("void it instead")],
    [ANEW, ANEW, ANEW, NoOp, ANEW],
    [ANEW, ANEW, ANEW, ANEW, NoOp],
];

/// Returns every pair with what is to come of it.
fn cells() -> impl Iterator<Item = (InvoiceStatus, InvoiceStatus, Cell)> {
    InvoiceStatus::ALL
        .into_iter()
        .zip(TABLE)
        .flat_map(|(from, row)| InvoiceStatus::ALL.into_iter().zip(row).map(move |(to, cell)| (from, to, cell)))
}

/// An invoice before or after a request: its row (and which transaction wrote it), and its events.
#[derive(Debug, PartialEq)]
struct Seen {
    status: String,
    version: i32,
    written_by: String,
    events: Vec<String>,
}

impl Desk {
    /// Brings the Nth customer's draft to a status.
    pub async fn invoice_in(&self, customer: usize, status: InvoiceStatus) -> Result<InvoiceId> {
        let id = self.id(customer).await?;
        let way: &[InvoiceStatus] = match status {
            InvoiceStatus::Draft => &[],
            InvoiceStatus::Open => &[InvoiceStatus::Open],
            InvoiceStatus::Closed => &[InvoiceStatus::Closed],
            InvoiceStatus::Void => &[InvoiceStatus::Open, InvoiceStatus::Void],
            InvoiceStatus::Discarded => &[InvoiceStatus::Discarded],
        };
        for next in way {
            self.office.done(&self.to(id, *next)).await?;
        }
        Ok(id)
    }

    async fn seen(&self, id: InvoiceId) -> Result<Seen> {
        let sql = "SELECT status, version, xmin::text FROM invoices WHERE id = $1";
        let (status, version, written_by) = sqlx::query_as(sql).bind(id).fetch_one(&self.office.pool).await?;
        let events = self.events(id).await?.into_iter().map(|event| event.name).collect();
        Ok(Seen { status, version, written_by, events })
    }

    /// Hands a request in and compares what comes of it with the table.
    async fn expect<J: Job<Context = billrunner::context::Context>>(
        &self,
        request: &J,
        id: InvoiceId,
        (from, to, cell): (InvoiceStatus, InvoiceStatus, Cell),
    ) -> Result<()> {
        let before = self.seen(id).await?;
        let (job, attempts) = self.office.run(request).await?;
        let after = self.seen(id).await?;
        match cell {
            NoOp | Refused(_) => {
                assert_eq!(after, before, "{from} to {to} writes nothing");
                assert_eq!(self.follow_up_count(&job).await?, 0, "{from} to {to} has no consequences");
            }
            Events(names) => {
                assert_eq!(
                    (after.status.as_str(), after.version),
                    (to.as_str(), before.version + i32::try_from(names.len())?)
                );
                assert_eq!(after.events.strip_prefix(&*before.events).context("a longer history")?, names);
                self.check_history(id, &job, from, names.len()).await?;
            }
        }
        check_outcome(&job, &attempts, (from, to, cell));
        Ok(())
    }

    async fn follow_up_count(&self, job: &JobRow) -> Result<i64> {
        let sql = "SELECT count(*) FROM jobs WHERE parent_id = $1";
        Ok(sqlx::query_scalar(sql).bind(job.id).fetch_one(&self.office.pool).await?)
    }

    /// Checks that the last events lead on from a status, say who and why, and came with the invoice, all at once.
    async fn check_history(&self, id: InvoiceId, job: &JobRow, from: InvoiceStatus, count: usize) -> Result<()> {
        let events = self.events(id).await?;
        let mut status = from.to_string();
        for event in &events[events.len() - count..] {
            assert_eq!(event.from_status.as_deref(), Some(status.as_str()));
            assert_eq!((event.job_id, event.actor.as_str()), (Some(job.id), "tester"));
            assert_eq!(event.reason.as_deref(), Some("because the test says so"));
            status.clone_from(&event.to_status);
        }
        let sql = "SELECT count(DISTINCT writer) FROM (
                       SELECT xmin::text AS writer FROM invoices WHERE id = $1
                       UNION ALL SELECT xmin::text FROM invoice_events WHERE job_id = $2
                       UNION ALL SELECT xmin::text FROM jobs WHERE id = $2) AS writers";
        let writers: i64 = sqlx::query_scalar(sql).bind(id).bind(job.id).fetch_one(&self.office.pool).await?;
        assert_eq!(writers, 1, "invoice, events and outcome are written by one transaction");
        Ok(())
    }
}

fn check_outcome(job: &JobRow, attempts: &[AttemptRow], (from, to, cell): (InvoiceStatus, InvoiceStatus, Cell)) {
    assert_eq!(attempts.len(), 1, "{from} to {to} is decided at the first attempt: {attempts:?}");
    match cell {
        NoOp | Events(_) => assert_eq!(job.state, "done", "{from} to {to}: {:?}", job.last_error),
        Refused(advice) => {
            assert_eq!(job.state, "dead", "{from} to {to}");
            let error = job.last_error.as_deref().unwrap_or_default();
            assert!(error.starts_with(&format!("an invoice that is {from} cannot become {to}; ")), "{error}");
            assert!(error.ends_with(advice), "{error}");
        }
    }
}

#[test]
fn the_pure_function_is_the_agreed_table() {
    for (from, to, cell) in cells() {
        match (plan(from, to), cell) {
            (Ok(Plan::NoOp), NoOp) => {}
            (Ok(Plan::Steps(steps)), Events(names)) => {
                assert!(steps.iter().map(|step| step.event.as_str()).eq(names.iter().copied()), "{from} to {to}");
            }
            (Err(refused), Refused(advice)) => assert!(refused.to_string().ends_with(advice), "{refused}"),
            (planned, cell) => panic!("{from} to {to} is {planned:?}, agreed was {cell:?}"),
        }
    }
}

#[tokio::test]
async fn every_pair_ends_through_the_queue_as_the_table_says() -> Result<()> {
    let desk = Desk::with_drafts(cells().count()).await?;
    for (customer, (from, to, cell)) in cells().enumerate() {
        let id = desk.invoice_in(customer, from).await?;
        desk.expect(&desk.to(id, to), id, (from, to, cell)).await?;
    }
    desk.office.settled().await?;
    assert_eq!(desk.broken_link().await?, None, "the chain of events is whole");
    desk.close().await
}

#[tokio::test]
async fn every_status_meets_a_discard_as_the_table_says() -> Result<()> {
    let desk = Desk::with_drafts(InvoiceStatus::ALL.len()).await?;
    let discards = cells().filter(|(_, to, _)| *to == InvoiceStatus::Discarded);
    for (customer, (from, to, cell)) in discards.enumerate() {
        let id = desk.invoice_in(customer, from).await?;
        let reason = Some("because the test says so".to_owned());
        let discard = DiscardInvoice { reseller_id: desk.business.reseller_id, invoice_id: id, reason };
        desk.expect(&discard, id, (from, to, cell)).await?;
    }
    desk.close().await
}

#[tokio::test]
async fn a_message_for_an_earlier_version_is_recorded_and_changes_nothing() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let id = desk.invoice_in(0, InvoiceStatus::Void).await?;
    let before = desk.seen(id).await?;
    for to in InvoiceStatus::ALL {
        let late = ChangeInvoiceStatus { version: Some(1), ..desk.to(id, to) };
        let message = desk.office.done(&late).await?;
        ensure!(message.starts_with("stale:") && message.contains("is void at version 3"), "{message}");
    }
    assert_eq!(desk.seen(id).await?, before);
    desk.close().await
}

#[tokio::test]
async fn voiding_and_reopening_need_a_reason() -> Result<()> {
    let desk = Desk::with_drafts(3).await?;
    let cases = [
        (InvoiceStatus::Open, InvoiceStatus::Void),
        (InvoiceStatus::Closed, InvoiceStatus::Void),
        (InvoiceStatus::Closed, InvoiceStatus::Open),
    ];
    for (customer, (from, to)) in cases.into_iter().enumerate() {
        let id = desk.invoice_in(customer, from).await?;
        let before = desk.seen(id).await?;
        for reason in [None, Some("  ".to_owned())] {
            let error = desk.office.refused(&ChangeInvoiceStatus { reason, ..desk.to(id, to) }).await?;
            assert!(error.contains(&format!("cannot become {to} without a reason")), "{error}");
        }
        assert_eq!(desk.seen(id).await?, before);
    }
    desk.close().await
}

#[tokio::test]
async fn reopening_changes_neither_content_nor_number() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let id = desk.invoice_in(0, InvoiceStatus::Closed).await?;
    let closed = desk.find(id).await?;
    desk.office.done(&desk.to(id, InvoiceStatus::Open)).await?;
    let open = desk.find(id).await?;
    assert_eq!((open.status, open.version), (InvoiceStatus::Open, closed.version + 1));
    assert_eq!((&open.number, open.issued_on, open.opened_at), (&closed.number, closed.issued_on, closed.opened_at));
    assert_eq!((&open.lines, &open.taxes, &open.total), (&closed.lines, &closed.taxes, &closed.total));
    desk.close().await
}

#[tokio::test]
async fn a_vanished_invoice_is_skipped() -> Result<()> {
    let desk = Desk::open(0).await?;
    let id = InvoiceId::new();
    let discard = DiscardInvoice { reseller_id: desk.business.reseller_id, invoice_id: id, reason: None };
    for message in [desk.office.done(&desk.to(id, InvoiceStatus::Open)).await?, desk.office.done(&discard).await?] {
        assert_eq!(message, format!("invoice {id} does not exist"));
    }
    desk.close().await
}

#[tokio::test]
async fn discarding_twice_succeeds_and_leaves_a_tombstone_whose_key_is_free() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let draft = desk.live(0).await?;
    let reason = Some("a trial".to_owned());
    let discard = DiscardInvoice { reseller_id: desk.business.reseller_id, invoice_id: draft.id, reason };
    desk.office.done(&discard).await?;
    assert!(desk.office.done(&discard).await?.ends_with("discarded already"));
    let tombstone = desk.find(draft.id).await?;
    assert_eq!((&tombstone.document_id, &tombstone.total), (&draft.document_id, &decimal("13.61")));
    assert!(tombstone.lines.is_empty() && tombstone.taxes.is_empty() && tombstone.number.is_none());
    let events = desk.events(draft.id).await?;
    let last = events.last().context("an event")?;
    assert_eq!(
        (last.name.as_str(), last.actor.as_str(), last.reason.as_deref()),
        ("discarded", "tester", Some("a trial"))
    );
    desk.office.done(&desk.business.generate(0)).await?;
    assert_ne!(desk.live(0).await?.id, draft.id);
    desk.close().await
}

/// Each tampering, and the link at which the chain no longer holds.
const TAMPERINGS: [(&str, i64); 7] = [
    ("UPDATE invoice_events SET actor = 'somebody else' WHERE sequence = 2", 2),
    ("UPDATE invoice_events SET reason = NULL WHERE sequence = 3", 3),
    ("UPDATE invoice_events SET from_status = 'nonsense' WHERE sequence = 1", 1),
    ("UPDATE invoice_events SET previous_hash = hash WHERE sequence = 2", 2),
    ("DELETE FROM invoice_events WHERE sequence = 2", 2),
    ("DELETE FROM invoice_events WHERE sequence = 4", 4),
    ("UPDATE event_chains SET last_hash = decode(repeat('00', 32), 'hex')", 4),
];

#[tokio::test]
async fn tampering_with_the_history_is_found() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    desk.invoice_in(0, InvoiceStatus::Void).await?;
    desk.office.done(&desk.business.generate(0)).await?;
    assert_eq!(desk.broken_link().await?, None);
    desk.tamper("CREATE TABLE kept AS TABLE invoice_events; CREATE TABLE kept_chains AS TABLE event_chains").await?;
    for (tampering, link) in TAMPERINGS {
        desk.tamper(tampering).await?;
        assert_eq!(desk.broken_link().await?, Some(link), "{tampering}");
        desk.tamper(
            "DELETE FROM invoice_events; INSERT INTO invoice_events TABLE kept;
             DELETE FROM event_chains; INSERT INTO event_chains TABLE kept_chains",
        )
        .await?;
    }
    assert_eq!(desk.broken_link().await?, None);
    desk.close().await
}
