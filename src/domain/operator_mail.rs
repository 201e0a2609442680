//! What operators are told by mail, as it is kept from the occasion until the mail is made.
//!
//! Ids, counts and errors; neither amounts nor names of people. What quotes, back-ticks and addresses hold of an error is
//! left out, as it may be anybody's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    bill_run::FindingKind,
    billing_period::BillingPeriod,
    ids::{BillRunId, ResellerId},
    message::OperatorMessage,
};

/// Reasons in a digest: those one reads.
pub const MAX_REASONS: usize = 10;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Facts {
    /// A bill run ended.
    BillRun(EndedBillRun),
    /// Jobs have failed for good.
    DeadLetters(DeadLetters),
}

/// How a bill run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedBillRun {
    /// Whose.
    pub reseller_id: ResellerId,
    /// The reseller's name.
    pub reseller_name: String,
    /// Which.
    pub id: BillRunId,
    /// The provider's name.
    pub provider: String,
    /// The month.
    pub billing_period: BillingPeriod,
    /// Jobs that did what they were to.
    pub jobs_done: i64,
    /// Jobs that did not.
    pub jobs_failed: i64,
    /// What is missing, by kind; nothing where the month is proved complete.
    pub findings: BTreeMap<FindingKind, i64>,
}

/// Jobs that have failed for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// How many of each kind.
    pub kinds: BTreeMap<String, i64>,
    /// Why, the newest first.
    pub reasons: Vec<DeadReason>,
}

/// Why jobs of a kind failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadReason {
    /// Of which kind.
    pub kind: String,
    /// In words, without anything of anybody's.
    pub reason: String,
}

impl Facts {
    /// Returns the message that tells of them.
    pub fn message(&self) -> OperatorMessage {
        match self {
            Self::BillRun(run) if run.findings.is_empty() && run.jobs_failed == 0 => OperatorMessage::BillRunFinished,
            Self::BillRun(_) => OperatorMessage::BillRunNeedsAttention,
            Self::DeadLetters(_) => OperatorMessage::DeadLetters,
        }
    }
}

/// Leaves out of an error what may be personal: whatever is quoted, and addresses.
pub fn without_values(error: &str) -> String {
    let mut kept = String::with_capacity(error.len());
    let mut until: Option<char> = None;
    for c in error.chars() {
        match until {
            Some(end) if c == end => until = None,
            Some(_) => {}
            None => match closing(c) {
                Some(end) => {
                    kept.push('…');
                    until = Some(end);
                }
                None => kept.push(c),
            },
        }
    }
    let word = |word: &str| if word.contains('@') { "…".to_owned() } else { word.to_owned() };
    kept.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Returns the sign that ends what a sign begins; an apostrophe begins nothing.
fn closing(opening: char) -> Option<char> {
    match opening {
        '`' | '"' => Some(opening),
        '“' => Some('”'),
        '«' => Some('»'),
        '<' => Some('>'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_words_and_loses_its_values() {
        for (error, kept) in [
            ("`ana@acme.example` is not an e-mail address", "… is not an e-mail address"),
            ("mail to ana@acme.example, refused", "mail to … refused"),
            ("customer \"Ana García\" has no tax rate", "customer … has no tax rate"),
            ("no rate from USD to EUR; it's missing", "no rate from USD to EUR; it's missing"),
            ("an open `quote to the end", "an open …"),
        ] {
            assert_eq!(without_values(error), kept);
        }
    }
}
