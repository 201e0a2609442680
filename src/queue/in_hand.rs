//! The attempts a worker has in hand, from their claim until their outcome is recorded, each with the token that tells its
//! handler to end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::domain::ids::JobId;

/// What one worker has in hand.
#[derive(Clone, Default)]
pub(super) struct InHand(Arc<Mutex<HashMap<(JobId, i32), CancellationToken>>>);

/// An attempt in hand as long as the value.
#[derive(Debug)]
pub(super) struct Held {
    attempt: (JobId, i32),
    all: InHand,
    pub cancelled: CancellationToken,
}

impl InHand {
    /// Takes an attempt in hand.
    pub fn take(&self, job: JobId, number: i32) -> Held {
        let (attempt, cancelled) = ((job, number), CancellationToken::new());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt, cancelled.clone());
        Held { attempt, all: self.clone(), cancelled }
    }

    /// Tells the handlers of these jobs to end, where they are in hand.
    pub fn cancel(&self, jobs: &[JobId]) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, token) in held.iter().filter(|((job, _), _)| jobs.contains(job)) {
            token.cancel();
        }
    }

    /// Returns the jobs in hand.
    pub fn jobs(&self) -> Vec<JobId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().map(|(job, _)| *job).collect()
    }
}

impl std::fmt::Debug for InHand {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("InHand")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.attempt);
    }
}
