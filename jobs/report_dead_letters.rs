//! Tells operators of dead jobs: how many of each kind and the newest reasons, at most once an hour while there are some.
//!
//! Started by the schedule `report-dead-letters`. It tells when a job has died since it last did, and once a day while dead
//! jobs wait for a decision. Idempotent by the hour, under which the mails are recorded.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::send_operator_mail::tell;
use crate::{
    context::Context,
    domain::operator_mail::{DeadLetters, DeadReason, Facts, MAX_REASONS, without_values},
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{
        dead_letters::{self, DeadFilter, DeadGroup},
        operator_mails,
    },
};

/// How often dead jobs that everybody knows of are told of again.
const REMIND_AFTER: TimeDelta = TimeDelta::hours(24);

/// Names nothing: it looks at all dead jobs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportDeadLetters {}

impl Job for ReportDeadLetters {
    type Context = Context;
    const KIND: &'static str = "report_dead_letters";
    const EVENT_TYPE: &'static str = "billrunner.dead_letters.report.v1";
    const IS_AT_THE_DOORS: bool = false;
    const QUEUE: Queue = Queue::Upkeep;
    const TIMEOUT: Duration = Duration::from_mins(5);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut effects = attempt.begin().await?;
        let connection = effects.connection();
        let groups = dead_letters::group(connection, &DeadFilter::default(), None).await?;
        let now = dead_letters::now(connection).await?;
        let told_at = operator_mails::dead_letters_told_at(connection).await?;
        if !is_news(&groups, told_at, now) {
            return Ok(attempt.complete_without_effects("nothing new to tell of dead jobs"));
        }
        let occasion = format!("dead_letters/{}", now.format("%Y-%m-%dT%H"));
        let facts = digest(groups);
        let count: i64 = facts.kinds.values().sum();
        tell(&mut effects, &context, &occasion, &Facts::DeadLetters(facts)).await?;
        effects.complete(format!("operators are told of {count} dead jobs")).await
    }
}

fn is_news(groups: &[DeadGroup], told_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    let Some(newest) = groups.iter().map(|group| group.last_died_at).max() else { return false };
    told_at.is_none_or(|told_at| newest > told_at || now - told_at >= REMIND_AFTER)
}

/// Counts by kind, and takes the newest reasons without anything of anybody's.
fn digest(mut groups: Vec<DeadGroup>) -> DeadLetters {
    let mut kinds = BTreeMap::new();
    for group in &groups {
        *kinds.entry(group.kind.clone()).or_default() += group.count;
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.last_died_at));
    let mut reasons: Vec<DeadReason> = Vec::new();
    for group in groups {
        let reason = DeadReason { reason: without_values(&group.error), kind: group.kind };
        if reasons.len() < MAX_REASONS && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    DeadLetters { kinds, reasons }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::JobId;

    fn group(kind: &str, error: &str, count: i64, died: i64) -> DeadGroup {
        let died_at = DateTime::from_timestamp(died, 0).expect("a time");
        let (kind, error) = (kind.to_owned(), error.to_owned());
        DeadGroup { kind, error, count, first_died_at: died_at, last_died_at: died_at, sample_job_id: JobId::new() }
    }

    #[test]
    fn a_digest_counts_kinds_and_names_each_reason_once_the_newest_first() {
        let digest = digest(vec![
            group("send_notification", "`ana@acme.example` is no address", 2, 100),
            group("send_notification", "`eva@acme.example` is no address", 1, 300),
            group("render_document", "the object store does not answer", 5, 200),
        ]);
        assert_eq!(
            digest.kinds.into_iter().collect::<Vec<_>>(),
            [("render_document".to_owned(), 5), ("send_notification".to_owned(), 3)]
        );
        let reasons: Vec<_> = digest.reasons.iter().map(|dead| dead.reason.as_str()).collect();
        assert_eq!(reasons, ["… is no address", "the object store does not answer"]);
    }

    #[test]
    fn old_news_is_told_again_after_a_day() {
        let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).expect("a time");
        let dead = [group("a", "b", 1, 1_000)];
        assert!(is_news(&dead, None, at(2_000)) && is_news(&dead, Some(at(999)), at(2_000)));
        assert!(!is_news(&dead, Some(at(1_001)), at(2_000)) && !is_news(&[], None, at(2_000)));
        assert!(is_news(&dead, Some(at(1_001)), at(1_001 + 86_400)));
    }
}
