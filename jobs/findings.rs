//! What the checks share: the resellers to look at, one after the other, and what was found, as one failure.

use std::{collections::VecDeque, fmt};

use sqlx::PgPool;

use crate::{domain::ids::ResellerId, queue::JobError, store::checks};

/// Findings that are named; of more, only how many.
const NAMED: usize = 20;

/// What does not hold.
#[derive(Debug, Default)]
pub(super) struct Findings {
    named: Vec<String>,
    count: usize,
}

impl Findings {
    /// Notes a finding.
    pub fn add(&mut self, finding: String) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(finding);
        }
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
        let Findings { named, count } = &self.0;
        write!(f, "{count} findings: {}", named.join("; "))?;
        match count - named.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// The resellers to look at: one, or all, a page at a time.
pub(super) struct Resellers {
    page: VecDeque<ResellerId>,
    last: Option<ResellerId>,
    are_all: bool,
}

impl Resellers {
    pub fn of(only: Option<ResellerId>) -> Self {
        Self { page: only.into_iter().collect(), last: None, are_all: only.is_none() }
    }

    /// Returns the next one that exists.
    pub async fn next(&mut self, pool: &PgPool) -> Result<Option<ResellerId>, JobError> {
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
