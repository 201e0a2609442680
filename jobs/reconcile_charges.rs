//! Checks that every cent of the charge files is where it belongs: on an invoice, excluded tax, still to invoice, or
//! unassigned, for every provider and recent month of a reseller, or of all.
//!
//! Idempotent: it only reads. A difference is a permanent failure that names it, so that it lies with the dead letters,
//! where operators look.

use std::{num::NonZeroU8, time::Duration};

use chrono::{Datelike, Months, NaiveDate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::verification::{Findings, NAMED_IN_A_FAILURE, Resellers, check_period};
use crate::{
    context::Context,
    domain::ids::ResellerId,
    queue::{Attempt, Finished, Job, JobError, Queue},
    store::{checks, jobs::Progress},
};

/// Months looked at where the payload does not say: the current one, the one being billed, and one whose late files and
/// corrections may still come.
const MONTHS: NonZeroU8 = NonZeroU8::new(3).expect("not zero");

/// Says where to look.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconcileCharges {
    /// Whose charges; absent: everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reseller_id: Option<ResellerId>,
    /// How many months back, the current one included.
    #[serde(default = "months")]
    pub months: NonZeroU8,
}

fn months() -> NonZeroU8 {
    MONTHS
}

impl Job for ReconcileCharges {
    type Context = Context;
    const KIND: &'static str = "reconcile_charges";
    const EVENT_TYPE: &'static str = "billrunner.charges.reconcile.v1";
    const QUEUE: Queue = Queue::Upkeep;
    const TIMEOUT: Duration = Duration::from_hours(1);

    async fn run(self, context: Context, attempt: Attempt) -> Result<Finished, JobError> {
        let since = first_day(context.clock.now().date_naive(), self.months);
        let mut findings = Findings::up_to(NAMED_IN_A_FAILURE);
        let mut resellers = Resellers::of(self.reseller_id);
        let mut checked = 0;
        while let Some(reseller_id) = resellers.next(&context.pool).await? {
            let periods = checks::charged_periods(&mut *context.pool.acquire().await?, reseller_id, since).await?;
            for period in periods {
                let note = format!("reseller {reseller_id}");
                attempt.report_progress(Progress { done: checked, total: None, note }).await?;
                check_period(&mut *context.pool.acquire().await?, reseller_id, &period, &mut findings).await?;
                checked += 1;
            }
        }
        findings.into_error()?;
        Ok(attempt.complete_without_effects(format!("{checked} months reconcile")))
    }
}

/// Returns the first day of the earliest month.
fn first_day(today: NaiveDate, months: NonZeroU8) -> NaiveDate {
    let this_month = today.with_day(1).unwrap_or(today);
    this_month - Months::new(u32::from(months.get()) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_months_are_this_one_and_two_before() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        assert_eq!(first_day(day("2026-01-31"), MONTHS), day("2025-11-01"));
    }
}
