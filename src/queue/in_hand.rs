//! The jobs a worker runs, each with the token that tells its handler to end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::domain::ids::JobId;

/// What one worker has in hand.
#[derive(Clone, Default)]
pub(super) struct InHand(Arc<Mutex<HashMap<JobId, CancellationToken>>>);

/// A job in hand as long as the value.
pub(super) struct Held {
    job: JobId,
    all: InHand,
    pub cancelled: CancellationToken,
}

impl InHand {
    /// Takes a job in hand.
    pub fn take(&self, job: JobId) -> Held {
        let cancelled = CancellationToken::new();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job, cancelled.clone());
        Held { job, all: self.clone(), cancelled }
    }

    /// Tells the handlers of these jobs to end, where they are in hand.
    pub fn cancel(&self, jobs: impl Iterator<Item = JobId>) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for token in jobs.filter_map(|job| held.get(&job)) {
            token.cancel();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.job);
    }
}
