//! The ledger of jobs: accepted, dispatched, claimed, finished, failed, rescued.
//!
//! Called by `queue` and the command line. Every write of an outcome demands the attempt's number (the fencing token)
//! and counts its rows: a worker that slept past its lease finds its attempt gone and changes nothing.

mod accept;
mod attempts;
mod dispatch;
mod operate;

pub use accept::{AcceptError, Accepted, NOTIFY_CHANNEL, NewJob, accept, accept_all, notify_dispatchers};
pub use attempts::{
    ClaimedJob, NextStep, Progress, Standing, attempts_of_lost_workers, cancelled_on, claim, fail, finish, finish_all,
    forgotten_on, hand_back, hand_back_forgotten, record_progress, record_worker_deaths,
};
pub use dispatch::{
    Dispatch, Room, instant_before, release_batches, seconds_until_due, take_due, take_unchecked, undo_dispatch,
};
pub use operate::{
    CANCEL_CHANNEL, CancelledAs, NotDead, cancel, cancellable_of_batch, discard, names_delivery_report,
    outcomes_of_batch, prune, revive,
};

use crate::domain::ids::JobId;

fn unzip(attempts: impl Iterator<Item = (JobId, i32)>) -> (Vec<uuid::Uuid>, Vec<i32>) {
    attempts.map(|(id, attempt)| (id.0, attempt)).unzip()
}
