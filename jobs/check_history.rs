//! Checks what must never be otherwise: the hash chain of events is whole, fiscal numbers run 1 to N without a hole and
//! days of issue never go back, and each invoice is what its last event says, for a reseller or for all.
//!
//! Idempotent: it only reads. What does not hold is a permanent failure that names it, so that it lies with the dead
//! letters, where operators look.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::findings::{Findings, Resellers};
use crate::{
    context::Context,
    domain::{ids::ResellerId, numbering},
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{
        checks::{self, Contradiction, SeriesBreak},
        invoice_status::find_broken_link,
        jobs::Progress,
    },
};

/// Says where to look.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckHistory {
    /// Whose history; absent: everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reseller_id: Option<ResellerId>,
}

impl Job for CheckHistory {
    type Context = Context;
    const KIND: &'static str = "check_history";
    const EVENT_TYPE: &'static str = "billrunner.history.check.v1";
    const QUEUE: Queue = Queue::Upkeep;
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let mut findings = Findings::default();
        let mut resellers = Resellers::of(self.reseller_id);
        let mut checked = 0;
        while let Some(reseller_id) = resellers.next(&context.pool).await? {
            let note = format!("reseller {reseller_id}");
            attempt.report_progress(Progress { done: checked, total: None, note }).await?;
            check(&context, reseller_id, &mut findings).await?;
            checked += 1;
        }
        findings.into_error()?;
        Ok(attempt.complete_without_effects(format!("the history of {checked} resellers holds")))
    }
}

async fn check(context: &Context, reseller_id: ResellerId, findings: &mut Findings) -> Result<(), JobError> {
    let mut connection = context.pool.acquire().await?;
    let mut add = |what: String| findings.add(format!("reseller {reseller_id}: {what}"));
    if let Some(sequence) = find_broken_link(&mut connection, reseller_id).await? {
        add(format!("the chain of events is broken at event {sequence}"));
    }
    checks::find_series_breaks(&mut connection, reseller_id).await?.iter().map(describe_break).for_each(&mut add);
    checks::find_contradictions(&mut connection, reseller_id).await?.iter().map(describe_contradiction).for_each(add);
    Ok(())
}

fn describe_break(found: &SeriesBreak) -> String {
    let number = |consecutive| numbering::number(&found.series, consecutive);
    let Some(consecutive) = found.consecutive else { return format!("number {} is missing", number(1)) };
    let previous = found.previous;
    if consecutive >= found.next {
        return format!("number {} is beyond the counter of its series", number(consecutive));
    }
    if consecutive > previous + 1 {
        return format!("number {} is missing", number(previous + 1));
    }
    if consecutive <= previous {
        return format!("number {} is used twice, or is none", number(consecutive));
    }
    match (found.issued_on, found.previous_issued_on) {
        (Some(day), Some(before)) if day < before => {
            format!("number {} was issued on {day}, before {} on {before}", number(consecutive), number(previous))
        }
        _ => format!("number {} is missing", number(consecutive + 1)),
    }
}

fn describe_contradiction(found: &Contradiction) -> String {
    let Contradiction { invoice_id, status, version, last_status, last_version } = found;
    match (last_status, last_version) {
        (Some(last_status), Some(last_version)) => format!(
            "invoice {invoice_id} is {status} at version {version}, but its last event says {last_status} at version \
             {last_version}"
        ),
        _ => format!("invoice {invoice_id} is {status}, but has no event"),
    }
}
