//! What the loops that talk to Redis tell reconciliation: Redis was away, and may have lost what it was given.
//!
//! A failover to a replica that lagged, or a restart, loses the last writes and shows nothing of it. One outage is seen
//! by every loop and asks for one look, which may start as soon as the first of them is connected again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{sync::Notify, time::Instant};

/// The outages of one worker's Redis.
#[derive(Clone, Default)]
pub(super) struct Outages(Arc<State>);

#[derive(Default)]
struct State {
    is_over: Notify,
    looked_at: Mutex<Option<Instant>>,
}

impl Outages {
    /// Says that an outage which began at this moment, or was seen then, is over.
    pub fn over(&self, seen_at: Instant) {
        if self.looked_at().is_none_or(|looked_at| looked_at < seen_at) {
            self.0.is_over.notify_one();
        }
    }

    /// Waits until an outage is over.
    pub async fn wait(&self) {
        self.0.is_over.notified().await;
    }

    /// Says that all of Redis is looked through from now on, which does for every outage seen before.
    pub fn look(&self) {
        *self.looked_at() = Some(Instant::now());
    }

    fn looked_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.looked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn one_look_does_for_all_who_saw_the_outage() {
        let outages = Outages::default();
        let seen_at = Instant::now();
        outages.over(seen_at);
        outages.over(seen_at);
        assert!(outages.wait().now_or_never().is_some());
        outages.look();
        outages.over(seen_at);
        assert!(outages.wait().now_or_never().is_none(), "looked through already");
        outages.over(Instant::now());
        assert!(outages.wait().now_or_never().is_some(), "another outage");
    }
}
