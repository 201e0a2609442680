//! The time of day, passed in rather than read, so that documents and tests can be told what time it is.

use chrono::{DateTime, SubsecRound, Utc};

/// Where "now" comes from.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's.
    System,
    /// Standing still.
    Fixed(DateTime<Utc>),
}

impl Clock {
    /// Returns the instant, to the microsecond that Postgres keeps.
    pub fn now(self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
        match self {
            Self::System => Utc::now().trunc_subsecs(6),
            Self::Fixed(instant) => instant,
        }
    }
}
