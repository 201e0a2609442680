//! What the checks share: the resellers to look at, one after the other, and what was found, as one failure or as a list.

use std::{collections::VecDeque, fmt};

use serde::Serialize;
use sqlx::PgPool;

use crate::{domain::ids::ResellerId, queue::JobError, store::checks};

/// Findings that a job's failure names; of more, only how many.
pub const NAMED_IN_A_FAILURE: usize = 20;

/// Which promise does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The hash chain of events.
    Events,
    /// Fiscal numbers and days of issue.
    Numbers,
    /// Statuses, against the history.
    Statuses,
    /// Amounts, from the charges to the total.
    Sums,
    /// Stored documents.
    Documents,
}

impl Check {
    /// Returns the check's name, the same in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Numbers => "numbers",
            Self::Statuses => "statuses",
            Self::Sums => "sums",
            Self::Documents => "documents",
        }
    }
}

/// Something that does not hold.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Which promise.
    pub check: Check,
    /// Whose.
    pub reseller_id: ResellerId,
    /// Where, if not anywhere: provider and month, or an invoice.
    pub place: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub way_out: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.as_ref().map(|place| format!(", {place}")).unwrap_or_default();
        write!(f, "reseller {}{place}: {}", self.reseller_id, self.what)
    }
}

/// What does not hold: so many are named, of more only how many.
#[derive(Debug)]
pub struct Findings {
    named: Vec<Finding>,
    count: usize,
    limit: usize,
}

impl Findings {
    /// Starts a list of at most so many.
    pub fn up_to(limit: usize) -> Self {
        Self { named: Vec::new(), count: 0, limit }
    }

    /// Notes a finding.
    pub fn add(&mut self, finding: Finding) {
        self.count += 1;
        if self.named.len() < self.limit {
            self.named.push(finding);
        }
    }

    /// Returns those that are named.
    pub fn named(&self) -> &[Finding] {
        &self.named
    }

    /// Returns how many there are beside those that are named.
    pub fn more(&self) -> usize {
        self.count - self.named.len()
    }

    /// Fails for good where something was found.
    pub fn into_error(self) -> Result<(), JobError> {
        if self.count == 0 { Ok(()) } else { Err(JobError::permanent(FoundWrong(self))) }
    }
}

#[derive(Debug, thiserror::Error)]
struct FoundWrong(Findings);

impl fmt::Display for FoundWrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> = self.0.named.iter().map(ToString::to_string).collect();
        write!(f, "{} findings: {}", self.0.count, named.join("; "))?;
        match self.0.more() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// The resellers to look at: one, or all, a page at a time.
pub struct Resellers {
    page: VecDeque<ResellerId>,
    last: Option<ResellerId>,
    are_all: bool,
}

impl Resellers {
    pub fn of(only: Option<ResellerId>) -> Self {
        Self { page: only.into_iter().collect(), last: None, are_all: only.is_none() }
    }

    /// Returns the next one that exists.
    pub async fn next(&mut self, pool: &PgPool) -> sqlx::Result<Option<ResellerId>> {
        if self.are_all && self.page.is_empty() {
            self.page = checks::resellers_after(&mut *pool.acquire().await?, self.last).await?.into();
        }
        let Some(next) = self.page.pop_front() else { return Ok(None) };
        self.last = Some(next);
        if !self.are_all && !checks::is_reseller(&mut *pool.acquire().await?, next).await? {
            tracing::warn!(reseller_id = %next, "the reseller does not exist");
            return Ok(None);
        }
        Ok(Some(next))
    }
}
