//! What must hold after a run, whatever happened in it: each invariant is a question to what was observed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;
use uuid::Uuid;

use crate::{observed::Observed, producer::Ends};

#[cfg(test)]
mod tests;

/// What a violation breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Invariant {
    /// Each accepted job is there and has ended.
    NothingLost,
    /// Each job ended as it was to: done, or dead where it was made to fail.
    EndsAsItShould,
    /// No job is done twice, or anything but done afterwards.
    DoneOnce,
    /// The same request is one job.
    OneJobPerRequest,
    /// A bill run leaves one invoice for each customer, with the total that its charges come to.
    OneInvoicePerKey,
    /// No invoice goes back to draft.
    NoStatusBack,
    /// Nobody is told of a draft.
    NoMailOfADraft,
    /// A mail arrives at most once, and its notification says what became of it.
    MailAsPromised,
    /// Numbers are 1 to N without a hole.
    NumbersWhole,
    /// Effects and outcome are one transaction, under an attempt that is held.
    EffectsWithOutcome,
    /// No job failed more often than it may.
    AttemptsWithinLimits,
    /// A worker is written off only after something took its jobs away.
    NoDeathUnseen,
    /// What `verify` checks: events, numbers, statuses, sums, stored documents.
    Verified,
    /// No process, lock, transaction, message or file is left.
    NothingLeftBehind,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Violation {
    pub invariant: Invariant,
    pub what: String,
}

type Check = fn(&Observed) -> Vec<String>;

const CHECKS: [(Invariant, Check); 14] = [
    (Invariant::NothingLost, nothing_lost),
    (Invariant::EndsAsItShould, ends_as_it_should),
    (Invariant::DoneOnce, done_once),
    (Invariant::OneJobPerRequest, one_job_per_request),
    (Invariant::OneInvoicePerKey, one_invoice_per_key),
    (Invariant::NoStatusBack, no_status_back),
    (Invariant::NoMailOfADraft, no_mail_of_a_draft),
    (Invariant::MailAsPromised, mail_as_promised),
    (Invariant::NumbersWhole, numbers_whole),
    (Invariant::EffectsWithOutcome, effects_with_outcome),
    (Invariant::AttemptsWithinLimits, attempts_within_limits),
    (Invariant::NoDeathUnseen, no_death_unseen),
    (Invariant::Verified, |observed| observed.findings.clone()),
    (Invariant::NothingLeftBehind, |observed| observed.left_behind.clone()),
];

/// Returns all that does not hold.
pub fn check(observed: &Observed) -> Vec<Violation> {
    let violations = CHECKS.iter().flat_map(|(invariant, check)| {
        check(observed).into_iter().map(|what| Violation { invariant: *invariant, what })
    });
    violations.collect()
}

fn is_final(state: &str) -> bool {
    matches!(state, "done" | "dead" | "discarded")
}

fn nothing_lost(observed: &Observed) -> Vec<String> {
    let lost = observed.handed_in.accepted.iter().filter(|accepted| !observed.jobs.contains_key(&accepted.id));
    let lost = lost.map(|accepted| format!("job {} of request {} is gone", accepted.id, accepted.request));
    let open = observed.jobs.values().filter(|job| !is_final(&job.state));
    lost.chain(open.map(|job| format!("{} {} is {} for ever", job.kind, job.id, job.state))).collect()
}

fn ends_as_it_should(observed: &Observed) -> Vec<String> {
    let accepted = &observed.handed_in.accepted;
    let to_die: HashSet<Uuid> = accepted.iter().filter(|one| one.ends == Ends::Dead).map(|one| one.id).collect();
    let wrong = observed
        .jobs
        .values()
        .filter(|job| is_final(&job.state) && (job.state != if to_die.contains(&job.id) { "dead" } else { "done" }));
    wrong
        .map(|job| {
            let why = job.last_error.as_deref().unwrap_or("no error");
            format!("{} {} is {}: {why}", job.kind, job.id, job.state)
        })
        .collect()
}

fn done_once(observed: &Observed) -> Vec<String> {
    let mut wrong = Vec::new();
    for job in observed.jobs.values() {
        let ended = observed.ended.get(&job.id).copied().unwrap_or_default();
        // A completion job whose batch was opened again is the one that may be done anew.
        let is_reopened = job.kind == "finish_bill_run";
        if (ended.done > 1 || ended.undone > 0) && !is_reopened {
            wrong.push(format!("{} {} was done {} times", job.kind, job.id, ended.done));
        }
        if job.state == "done" && ended.done == 0 {
            wrong.push(format!("{} {} is done, and no transaction says so", job.kind, job.id));
        }
    }
    wrong
}

fn one_job_per_request(observed: &Observed) -> Vec<String> {
    let repeated = observed.handed_in.repeated_as_another.iter();
    let repeated =
        repeated.map(|request| format!("request {request} was answered with another job when it came again"));
    let several = observed.requests_of_several_jobs.iter();
    repeated.chain(several.map(|request| format!("request {request} is several jobs"))).collect()
}

fn one_invoice_per_key(observed: &Observed) -> Vec<String> {
    let mut live: HashMap<Uuid, Vec<&str>> = HashMap::new();
    for invoice in observed.invoices.iter().filter(|invoice| !matches!(invoice.status.as_str(), "void" | "discarded")) {
        live.entry(invoice.customer_id).or_default().push(&invoice.total);
    }
    let mut wrong = Vec::new();
    for book in &observed.handed_in.books {
        for (customer, total) in &book.customers {
            let invoiced = live.get(customer).map(Vec::as_slice).unwrap_or_default();
            let is_right = invoiced == [total.as_str()] || (invoiced.is_empty() && !book.is_billed);
            if !is_right {
                wrong.push(format!("customer {customer} of {} owes {total} and has {invoiced:?}", book.name));
            }
        }
    }
    wrong
}

fn no_status_back(observed: &Observed) -> Vec<String> {
    let returned = observed.handed_in.returned_to_draft.iter();
    let returned = returned.map(|invoice| format!("somebody was let put invoice {invoice} back to draft"));
    let back = observed.steps.iter().filter(|(_, from, to)| {
        to == "draft" || matches!(from.as_str(), "void" | "discarded") || (from == "open" && to == "discarded")
    });
    returned.chain(back.map(|(invoice, from, to)| format!("invoice {invoice} went from {from} to {to}"))).collect()
}

fn no_mail_of_a_draft(observed: &Observed) -> Vec<String> {
    let told = observed.notifications.iter().filter(|told| matches!(told.told_status.as_str(), "draft" | "discarded"));
    told.map(|told| format!("notification {} tells of a {}", told.message_id, told.told_status)).collect()
}

fn mail_as_promised(observed: &Observed) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for told in &observed.notifications {
        known.insert(told.message_id.as_str());
        let arrived = observed.mails.get(&told.message_id).copied().unwrap_or(0);
        let is_kept = match told.state.as_str() {
            "sent" => arrived == 1,
            "uncertain" => arrived <= 1,
            "failed" | "suppressed" => arrived == 0,
            _ => false,
        };
        if !is_kept {
            wrong.push(format!("mail {} is {} and arrived {arrived} times", told.message_id, told.state));
        }
    }
    let unknown = observed.mails.keys().filter(|id| !known.contains(id.as_str()));
    wrong.extend(unknown.map(|id| format!("mail {id} arrived, and no notification is about it")));
    wrong
}

fn numbers_whole(observed: &Observed) -> Vec<String> {
    let mut series: BTreeMap<(Uuid, &str), Vec<u64>> = BTreeMap::new();
    for invoice in &observed.invoices {
        let Some((name, place)) = invoice.number.as_deref().and_then(|number| number.rsplit_once('-')) else {
            continue;
        };
        series.entry((invoice.reseller_id, name)).or_default().push(place.parse().unwrap_or(0));
    }
    let mut wrong = Vec::new();
    for ((reseller, name), mut places) in series {
        places.sort_unstable();
        let whole: Vec<u64> = (1..=places.len() as u64).collect();
        if places != whole {
            wrong.push(format!("series {name} of reseller {reseller} is {places:?}"));
        }
    }
    wrong
}

fn effects_with_outcome(observed: &Observed) -> Vec<String> {
    let loose = observed.loose_effects.iter();
    loose.map(|(job, event)| format!("event {event} of job {job} was committed without the job's outcome")).collect()
}

fn attempts_within_limits(observed: &Observed) -> Vec<String> {
    let over = observed.jobs.values().filter(|job| job.failed_attempts > job.max_attempts);
    over.map(|job| format!("{} {} failed {} times of {}", job.kind, job.id, job.failed_attempts, job.max_attempts))
        .collect()
}

fn no_death_unseen(observed: &Observed) -> Vec<String> {
    if observed.may_workers_die || observed.worker_deaths == 0 {
        return Vec::new();
    }
    vec![format!("{} attempts ended as the death of a worker that lives", observed.worker_deaths)]
}
