//! How fast mails go, and when the mail server is left alone: what a process is told, and how long a pause is.

use std::time::Duration;

/// How many mails go to one domain, and what counts as an outage of the mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailFlow {
    /// Mails to one recipient domain that start in a minute, over all workers; `None` is as many as there are.
    pub domain_mails_a_minute: Option<u32>,
    /// So many mails in a row that met trouble with the server are an outage.
    pub failures_in_a_row: i32,
    /// How long the server is left alone first.
    pub first_pause: Duration,
    /// How long it is left alone at most.
    pub longest_pause: Duration,
}

impl Default for MailFlow {
    /// Five mails in a row, as one or two may meet a restart; half a minute, as restarts end by then; at most a quarter of
    /// an hour, so that nobody waits long for a server that is back.
    fn default() -> Self {
        Self {
            domain_mails_a_minute: None,
            failures_in_a_row: 5,
            first_pause: Duration::from_secs(30),
            longest_pause: Duration::from_mins(15),
        }
    }
}

impl MailFlow {
    /// Returns how long the server is left alone after so many pauses in a row: twice as long each time. `chance`, from 0 to
    /// 1, takes away up to half, so that several senders do not come back together.
    pub fn pause(&self, pauses_before: i32, chance: f64) -> Duration {
        let doublings = u32::try_from(pauses_before).unwrap_or(0).min(20);
        let whole = self.first_pause.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest_pause);
        whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_lose_half_at_most() {
        let flow = MailFlow::default();
        for (before, secs) in [(0, 30), (1, 60), (4, 480), (5, 900), (1_000, 900)] {
            assert_eq!(flow.pause(before, 0.0), Duration::from_secs(secs));
            assert_eq!(flow.pause(before, 1.0), Duration::from_secs(secs) / 2);
        }
    }
}
