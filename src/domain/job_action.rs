//! What people have done to many jobs at once, and to which of them that can be done.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobAction {
    /// A dead one is due again, and so is a discarded one where such are looked for.
    Retry,
    /// A dead one never runs again.
    Discard,
    /// One that waits never runs, one that runs ends where nothing is half done.
    Cancel,
}

impl JobAction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Retry, Self::Discard, Self::Cancel];

    /// Returns the action's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
            Self::Cancel => "cancel",
        }
    }

    /// Returns the states whose jobs it changes, of those that are looked for; `None` looks for all.
    pub fn states(self, wanted: Option<&str>) -> Vec<&'static str> {
        let all: &[&str] = match self {
            Self::Retry if wanted == Some("discarded") => &["discarded"],
            Self::Retry | Self::Discard => &["dead"],
            Self::Cancel => &["scheduled", "dispatched", "running"],
        };
        all.iter().copied().filter(|state| wanted.is_none_or(|wanted| wanted == *state)).collect()
    }
}

impl fmt::Display for JobAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says that a text names no action.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown action `{0}`; known: retry, discard, cancel")]
pub struct UnknownAction(String);

impl FromStr for JobAction {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL.into_iter().find(|action| action.as_str() == text).ok_or_else(|| UnknownAction(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_changes_jobs_in_its_own_states_only() {
        for (action, wanted, states) in [
            (JobAction::Retry, None, vec!["dead"]),
            (JobAction::Retry, Some("discarded"), vec!["discarded"]),
            (JobAction::Retry, Some("done"), vec![]),
            (JobAction::Discard, Some("discarded"), vec![]),
            (JobAction::Cancel, None, vec!["scheduled", "dispatched", "running"]),
            (JobAction::Cancel, Some("running"), vec!["running"]),
            (JobAction::Cancel, Some("dead"), vec![]),
        ] {
            assert_eq!(action.states(wanted), states, "{action} {wanted:?}");
            assert_eq!(action.as_str().parse(), Ok(action));
        }
    }
}
