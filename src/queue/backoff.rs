//! How long to wait before trying again.

use std::time::Duration;

use rand::RngExt;

/// First and longest wait before talking to a server again that did not answer.
const FIRST_RECONNECT: Duration = Duration::from_millis(50);
const MAX_RECONNECT: Duration = Duration::from_secs(2);

/// Returns a random wait up to `base × 2^failures`, at most `longest`: full jitter, so that jobs that failed together do
/// not come back together.
pub fn retry_after(base: Duration, longest: Duration, failed_attempts: i32) -> Duration {
    let doublings = u32::try_from(failed_attempts).unwrap_or(0).min(20);
    let ceiling = base.saturating_mul(2_u32.saturating_pow(doublings)).min(longest);
    ceiling.mul_f64(rand::rng().random_range(0.0..=1.0))
}

/// The growing waits of a loop that talks to a server.
pub struct Reconnect(Duration);

impl Reconnect {
    pub fn new() -> Self {
        Self(FIRST_RECONNECT)
    }

    /// Tells whether this is an outage's first failure: the one that is worth a line in the log.
    pub fn is_first(&self) -> bool {
        self.0 == FIRST_RECONNECT
    }

    /// Waits, longer each time.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(MAX_RECONNECT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_never_pass_the_longest() {
        let (base, longest) = (Duration::from_secs(1), Duration::from_mins(15));
        assert!((0..100).all(|_| retry_after(base, longest, 0) <= base));
        assert!((0..100).all(|_| retry_after(base, longest, 1000) <= longest));
        assert!((0..100).any(|_| retry_after(base, longest, 1000) > Duration::from_mins(5)));
    }
}
