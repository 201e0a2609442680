//! Promises broken on purpose: each must turn an invariant red in a short run, or the checker is worth nothing.

use std::time::Duration;

use billrunner::{
    faults::{Mutation, Point},
    mail::sink,
};

use crate::{
    checker::Invariant,
    schedule::{Fault, Link, Planned, Trouble},
};

/// A promise that is broken, by the workers or in the database, and what happens meanwhile.
pub struct Planted {
    pub name: &'static str,
    pub by_workers: Option<Mutation>,
    pub sql: Option<&'static str>,
    /// In turn, until the time is over.
    pub processes: &'static [(Fault, u64)],
    pub network: &'static [(Fault, u64)],
    /// One of these must be told of; where there is none, nothing may be.
    pub breaks: &'static [Invariant],
}

const CALM: &[(Fault, u64)] = &[];
/// Mails that take longer than a lease.
const SLOW_MAILS: &[(Fault, u64)] = &[
    (Fault::Network(0, Link::Mail, Trouble::BlackHole), 8_000),
    (Fault::Network(1, Link::Mail, Trouble::BlackHole), 8_000),
    (Fault::Mail(sink::Fault::RefuseRecipient), 0),
];
const FLUSHES: &[(Fault, u64)] = &[(Fault::RedisFlushed, 0)];
const DEATHS_AT_COMMIT: &[(Fault, u64)] =
    &[(Fault::WorkerDies(0, Point::BeforeCommit), 0), (Fault::WorkerDies(1, Point::BeforeCommit), 0)];

/// All of them, after one that breaks nothing: what the others do to the servers is not what the checker tells of.
pub static ALL: [Planted; 11] = [
    Planted {
        name: "none",
        by_workers: None,
        sql: None,
        processes: &[(Fault::RedisFlushed, 0), (Fault::WorkerFrozen(0), 8_000)],
        network: SLOW_MAILS,
        breaks: &[],
    },
    in_database(
        "request-key-dropped",
        "ALTER TABLE billrunner.jobs DROP CONSTRAINT jobs_source_external_id_key",
        CALM,
        &[Invariant::OneJobPerRequest],
    ),
    in_database(
        "invoice-key-dropped",
        "DROP INDEX billrunner.invoices_key",
        CALM,
        &[Invariant::OneInvoicePerKey, Invariant::EndsAsItShould, Invariant::Verified],
    ),
    in_database(
        "trigger-dropped",
        "DROP TRIGGER guard_invoice ON billrunner.invoices",
        CALM,
        &[Invariant::NoStatusBack],
    ),
    by_workers(Mutation::NumbersByMax, CALM, &[Invariant::NumbersWhole, Invariant::Verified]),
    by_workers(Mutation::ClaimGuardSkipped, FLUSHES, &[Invariant::DoneOnce]),
    by_workers(
        Mutation::SendBeforeCommit,
        &[(Fault::WorkerDies(0, Point::AfterData), 0), (Fault::WorkerDies(1, Point::AfterData), 0)],
        &[Invariant::MailAsPromised],
    ),
    by_workers(Mutation::ReconcileOff, FLUSHES, &[Invariant::NothingLost]),
    Planted { network: SLOW_MAILS, ..by_workers(Mutation::RenewalOff, CALM, &[Invariant::NoDeathUnseen]) },
    by_workers(
        Mutation::AckBeforeCommit,
        DEATHS_AT_COMMIT,
        &[Invariant::EffectsWithOutcome, Invariant::OneInvoicePerKey],
    ),
    by_workers(
        Mutation::FencingSkipped,
        &[(Fault::WorkerFrozen(0), 8_000), (Fault::WorkerFrozen(1), 8_000), (Fault::WorkerFrozen(2), 8_000)],
        &[Invariant::EffectsWithOutcome],
    ),
];

const fn in_database(
    name: &'static str,
    sql: &'static str,
    processes: &'static [(Fault, u64)],
    breaks: &'static [Invariant],
) -> Planted {
    Planted { name, by_workers: None, sql: Some(sql), processes, network: CALM, breaks }
}

const fn by_workers(mutation: Mutation, processes: &'static [(Fault, u64)], breaks: &'static [Invariant]) -> Planted {
    Planted { name: mutation.as_str(), by_workers: Some(mutation), sql: None, processes, network: CALM, breaks }
}

/// Plans faults in turn, without an end; none where there are none.
pub fn in_turn(faults: &'static [(Fault, u64)]) -> impl Iterator<Item = Planned> {
    let planned = |(fault, millis): &(Fault, u64)| Planned {
        after: Duration::from_secs(1),
        fault: *fault,
        lasts: Duration::from_millis(*millis),
    };
    faults.iter().cycle().map(planned)
}

pub fn find(name: &str) -> Option<&'static Planted> {
    ALL.iter().find(|planted| planted.name == name)
}
