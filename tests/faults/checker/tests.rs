use super::*;
use crate::{
    books::Book,
    doors::Door,
    observed::{Ended, InvoiceSeen, JobSeen, NotificationSeen},
    producer::{Accepted, HandedIn},
    schedule::Chance,
};

const JOB: Uuid = Uuid::from_u128(1);
const INVOICE: Uuid = Uuid::from_u128(2);
const MAIL: &str = "<1@test.example>";

fn job(state: &str) -> JobSeen {
    JobSeen {
        id: JOB,
        kind: "change_invoice_status".to_owned(),
        state: state.to_owned(),
        failed_attempts: 0,
        max_attempts: 15,
        last_error: None,
    }
}

/// A job that was done, a billed book, and a mail that arrived.
fn all_is_well() -> Observed {
    let mut book = Book::draw("book".to_owned(), &mut Chance::of(1));
    book.is_billed = true;
    let invoices = book.customers.iter().zip(1..).map(|((customer, total), place)| InvoiceSeen {
        reseller_id: book.reseller_id,
        customer_id: *customer,
        status: "open".to_owned(),
        number: Some(format!("2026-{place:05}")),
        total: total.clone(),
    });
    let told =
        NotificationSeen { message_id: MAIL.to_owned(), state: "sent".to_owned(), told_status: "open".to_owned() };
    let accepted = Accepted { id: JOB, request: "1".to_owned(), door: Door::Sql, ends: Ends::Done };
    Observed {
        invoices: invoices.collect(),
        handed_in: HandedIn { accepted: vec![accepted], books: vec![book], ..HandedIn::default() },
        jobs: HashMap::from([(JOB, job("done"))]),
        ended: HashMap::from([(JOB, Ended { done: 1, undone: 0 })]),
        steps: vec![(INVOICE, "draft".to_owned(), "open".to_owned())],
        notifications: vec![told],
        mails: BTreeMap::from([(MAIL.to_owned(), 1)]),
        ..Observed::default()
    }
}

/// Does some damage and returns which invariants are broken.
fn broken_by(damage: impl FnOnce(&mut Observed)) -> Vec<Invariant> {
    let mut observed = all_is_well();
    damage(&mut observed);
    check(&observed).into_iter().map(|violation| violation.invariant).collect()
}

#[test]
fn where_all_is_well_nothing_is_broken() {
    assert_eq!(check(&all_is_well()), []);
}

#[test]
fn a_job_that_is_gone_or_never_ends_is_lost() {
    assert_eq!(broken_by(|seen| seen.jobs.clear()), [Invariant::NothingLost]);
    for state in ["scheduled", "dispatched", "running", "awaiting"] {
        let broken = broken_by(|seen| drop(seen.jobs.insert(JOB, job(state))));
        assert_eq!(broken, [Invariant::NothingLost], "{state}");
    }
}

#[test]
fn a_job_that_died_or_should_have_ends_otherwise_than_it_should() {
    assert_eq!(broken_by(|seen| drop(seen.jobs.insert(JOB, job("dead")))), [Invariant::EndsAsItShould]);
    assert_eq!(broken_by(|seen| drop(seen.jobs.insert(JOB, job("discarded")))), [Invariant::EndsAsItShould]);
    assert_eq!(broken_by(|seen| seen.handed_in.accepted[0].ends = Ends::Dead), [Invariant::EndsAsItShould]);
}

#[test]
fn a_job_that_is_done_twice_or_undone_or_by_nobody_is_not_done_once() {
    for (done, undone) in [(2, 0), (1, 1), (0, 0)] {
        let broken = broken_by(|seen| {
            seen.ended.insert(JOB, Ended { done, undone });
        });
        assert_eq!(broken, [Invariant::DoneOnce], "{done} {undone}");
    }
}

#[test]
fn a_request_with_two_jobs_is_seen_by_its_sender_and_in_the_ledger() {
    assert_eq!(broken_by(|seen| seen.handed_in.repeated_as_another.push("1".into())), [Invariant::OneJobPerRequest]);
    assert_eq!(broken_by(|seen| seen.requests_of_several_jobs.push("shop 1".into())), [Invariant::OneJobPerRequest]);
}

#[test]
fn a_customer_with_no_invoice_or_two_or_a_wrong_one_is_named() {
    assert_eq!(broken_by(|seen| drop(seen.invoices.pop())), [Invariant::OneInvoicePerKey]);
    assert_eq!(broken_by(|seen| seen.invoices[0].total = "0.01".into()), [Invariant::OneInvoicePerKey]);
    let second = |seen: &mut Observed| {
        let twin = InvoiceSeen { number: None, ..seen.invoices[0].clone() };
        seen.invoices.push(twin);
    };
    assert_eq!(broken_by(second), [Invariant::OneInvoicePerKey]);
    let not_billed = |seen: &mut Observed| {
        seen.handed_in.books[0].is_billed = false;
        seen.invoices.clear();
    };
    assert_eq!(broken_by(not_billed), []);
}

#[test]
fn a_status_that_goes_back_is_named() {
    for (from, to) in [("open", "draft"), ("closed", "draft"), ("void", "open"), ("discarded", "draft")] {
        let broken = broken_by(|seen| seen.steps.push((INVOICE, from.into(), to.into())));
        assert_eq!(broken, [Invariant::NoStatusBack], "{from} {to}");
    }
    assert_eq!(broken_by(|seen| seen.handed_in.returned_to_draft.push(INVOICE)), [Invariant::NoStatusBack]);
}

#[test]
fn a_mail_about_a_draft_is_named() {
    assert_eq!(broken_by(|seen| seen.notifications[0].told_status = "draft".into()), [Invariant::NoMailOfADraft]);
}

#[test]
fn a_mail_that_arrived_more_or_less_often_than_its_notification_says_is_named() {
    let wrong =
        [("sent", 0), ("sent", 2), ("uncertain", 2), ("failed", 1), ("suppressed", 1), ("queued", 0), ("sending", 1)];
    for (state, arrived) in wrong {
        let broken = broken_by(|seen| {
            seen.notifications[0].state = state.into();
            seen.mails.insert(MAIL.into(), arrived);
        });
        assert_eq!(broken, [Invariant::MailAsPromised], "{state} {arrived}");
    }
    let of_nobody = broken_by(|seen| {
        seen.mails.insert("<2@test.example>".into(), 1);
    });
    assert_eq!(of_nobody, [Invariant::MailAsPromised]);
}

#[test]
fn a_number_that_is_missing_or_given_twice_is_named() {
    for number in ["2026-00002", "2026-00009", "2026-00000"] {
        assert_eq!(
            broken_by(|seen| seen.invoices[0].number = Some(number.into())),
            [Invariant::NumbersWhole],
            "{number}"
        );
    }
}

#[test]
fn an_effect_without_its_outcome_is_named() {
    assert_eq!(broken_by(|seen| seen.loose_effects.push((JOB, 1))), [Invariant::EffectsWithOutcome]);
}

#[test]
fn a_job_that_failed_too_often_is_named() {
    let broken = broken_by(|seen| drop(seen.jobs.insert(JOB, JobSeen { failed_attempts: 16, ..job("done") })));
    assert_eq!(broken, [Invariant::AttemptsWithinLimits]);
}

#[test]
fn the_death_of_a_worker_that_nobody_touched_is_named() {
    assert_eq!(broken_by(|seen| seen.worker_deaths = 1), [Invariant::NoDeathUnseen]);
    let touched = |seen: &mut Observed| (seen.worker_deaths, seen.may_workers_die) = (1, true);
    assert_eq!(broken_by(touched), []);
}

#[test]
fn what_verify_finds_and_what_is_left_behind_is_passed_on() {
    assert_eq!(broken_by(|seen| seen.findings.push("sums".into())), [Invariant::Verified]);
    assert_eq!(broken_by(|seen| seen.left_behind.push("a lock".into())), [Invariant::NothingLeftBehind]);
}
