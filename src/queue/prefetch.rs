//! How many claimed jobs a lane keeps at hand beside those that run.
//!
//! Where jobs take minutes, as many as run at once: more would keep from other workers what they could run. Where half of
//! what was fetched is gone in no time, more: few claims of many jobs, and handlers that never wait for the next.

use std::time::Duration;

use tokio::time::Instant;

/// Times the concurrency that a lane of quick jobs keeps at hand.
pub(super) const MOST: usize = 4;
/// What counts as no time: a worker that vanishes with what it had at hand holds it up for a hundred times that.
const QUICK: Duration = Duration::from_millis(50);

/// A lane's depth, and when it was last filled to it.
pub(super) struct Prefetch {
    concurrency: usize,
    depth: usize,
    filled_at: Option<Instant>,
    /// How many halves in a row went in no time. The first may have gone to handlers that were idle.
    quick_halves: usize,
}

impl Prefetch {
    /// Starts with as many jobs as run at once.
    pub fn new(concurrency: usize) -> Self {
        Self { concurrency, depth: concurrency, filled_at: None, quick_halves: 0 }
    }

    /// Returns how many jobs are kept at hand.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Says that so many of the jobs there was room for were there. Where fewer are than fit, nothing has to be at hand.
    pub fn fetched(&mut self, count: usize, room: usize, now: Instant) {
        self.filled_at = (count >= room).then_some(now);
        if count < room {
            (self.depth, self.quick_halves) = (self.concurrency, 0);
        }
    }

    /// Says that half of what was at hand has gone to handlers, and sets the depth by how soon that was.
    pub fn is_half_used(&mut self, now: Instant) {
        let Some(filled_at) = self.filled_at.take() else { return };
        if now.duration_since(filled_at) >= QUICK {
            (self.depth, self.quick_halves) = (self.concurrency, 0);
            return;
        }
        self.quick_halves += 1;
        if self.quick_halves > 1 {
            self.depth = (self.depth * 2).min(self.concurrency * MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_jobs_are_kept_at_hand_and_slow_ones_left_to_others() {
        let (start, soon) = (Instant::now(), Duration::from_millis(1));
        let mut prefetch = Prefetch::new(16);
        prefetch.is_half_used(start + soon);
        assert_eq!(prefetch.depth(), 16, "nothing is known yet");
        for expected in [16, 32, 64, 64] {
            prefetch.fetched(16, 16, start);
            prefetch.is_half_used(start + soon);
            assert_eq!(prefetch.depth(), expected);
        }
        prefetch.fetched(32, 32, start);
        prefetch.is_half_used(start + Duration::from_secs(1));
        assert_eq!(prefetch.depth(), 16, "a slow half is enough");
    }

    #[test]
    fn a_lane_without_a_backlog_keeps_little_at_hand() {
        let now = Instant::now();
        let mut prefetch = Prefetch::new(2);
        for expected in [2, 4] {
            prefetch.fetched(2, 2, now);
            prefetch.is_half_used(now);
            assert_eq!(prefetch.depth(), expected);
        }
        prefetch.fetched(1, 4, now);
        prefetch.is_half_used(now);
        assert_eq!(prefetch.depth(), 2);
    }
}
