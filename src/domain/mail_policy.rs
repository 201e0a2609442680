//! How a reseller wants to go on where a mail's fate is unknown, or an address is refused.

use serde::{Deserialize, Serialize};

/// What a reseller chose about lost and refused mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailPolicy {
    /// Whether a mail that may have been delivered is sent once more. Off, a customer never has a mail twice; on, none
    /// waits for a person.
    #[serde(default)]
    pub resend_uncertain: bool,
    /// Whether an address that a mail server says does not exist goes on the suppression list.
    #[serde(default = "suppress_rejected")]
    pub suppress_rejected: bool,
}

fn suppress_rejected() -> bool {
    true
}

impl Default for MailPolicy {
    fn default() -> Self {
        Self { resend_uncertain: false, suppress_rejected: suppress_rejected() }
    }
}
