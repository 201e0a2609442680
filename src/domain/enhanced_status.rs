//! Enhanced mail system status codes (RFC 3463): what a mail server means, in numbers.

use std::{fmt, str::FromStr};

/// A code such as `5.1.1`: class, subject and detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnhancedStatus {
    class: u16,
    subject: u16,
    detail: u16,
}

/// Says that a text is no such code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an enhanced status code; write one such as 5.1.1 (RFC 3463)")]
pub struct NotAnEnhancedStatus;

impl EnhancedStatus {
    /// Reads the code that a reply or a report begins with, such as `5.1.1 no such mailbox`.
    pub fn at_start_of(text: &str) -> Option<Self> {
        text.split_whitespace().next()?.parse().ok()
    }

    /// Tells whether it says that the recipient's address itself leads nowhere, for good: 5.1.1 (mailbox), 5.1.2 (domain),
    /// 5.1.3 (syntax), 5.1.6 (moved) and 5.1.10 (the domain takes no mail, RFC 7505).
    ///
    /// The others of 5.1 speak of the sender's address (5.1.7, 5.1.8), of one that is ambiguous or even valid, or of
    /// nothing in particular (5.1.0); what is about policy or content is 5.7 and 5.6.
    pub fn says_the_address_does_not_exist(self) -> bool {
        self.class == 5 && self.subject == 1 && matches!(self.detail, 1 | 2 | 3 | 6 | 10)
    }
}

impl FromStr for EnhancedStatus {
    type Err = NotAnEnhancedStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split('.').map(|digits| {
            let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten()
        });
        let mut next = || numbers.next().flatten().ok_or(NotAnEnhancedStatus);
        let status = Self { class: next()?, subject: next()?, detail: next()? };
        let is_whole = matches!(status.class, 2 | 4 | 5) && numbers.next().is_none();
        is_whole.then_some(status).ok_or(NotAnEnhancedStatus)
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_written() {
        for text in ["2.0.0", "4.4.7", "5.1.10", "5.7.999"] {
            assert_eq!(text.parse::<EnhancedStatus>().expect(text).to_string(), text);
        }
        for wrong in ["", "5", "5.1", "5.1.", "5.1.1.1", "3.1.1", "5.1.1000", "5.+1.1", "5.1.x", " 5.1.1", "٥.1.1"] {
            assert_eq!(wrong.parse::<EnhancedStatus>(), Err(NotAnEnhancedStatus), "{wrong}");
        }
        assert_eq!(EnhancedStatus::at_start_of("5.1.1 no such mailbox"), "5.1.1".parse().ok());
        assert_eq!(EnhancedStatus::at_start_of("no such mailbox"), None);
    }

    #[test]
    fn only_an_address_that_does_not_exist_is_one() {
        let says = |text: &str| text.parse::<EnhancedStatus>().expect(text).says_the_address_does_not_exist();
        assert!(["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"].into_iter().all(says));
        let others =
            ["5.1.0", "5.1.4", "5.1.5", "5.1.7", "5.1.8", "5.2.1", "5.2.2", "5.6.0", "5.7.1", "4.1.1", "2.1.5"];
        assert!(!others.into_iter().any(says));
    }
}
