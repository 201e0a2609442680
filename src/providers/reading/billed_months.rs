//! The months that the bills in a file are for, where no row says it: the latest month among the rows of a payer.
//!
//! Some files hold one bill and date only what each row is about, which may lie months back where it corrects an earlier
//! bill. Were such a row billed in its own month, it would supersede all that was billed then. So the file is read once
//! before, for the dates alone.

use std::collections::BTreeMap;

use chrono::{Datelike, Months, NaiveDate};

use super::{
    header::Column,
    row::{MAX_ID_BYTES, Row},
};
use crate::domain::billing_period::BillingPeriod;

/// Payers that are kept; it bounds the memory. A file of more is refused for it when its rows are read.
const MAX_PAYERS: usize = 10_000;
/// A payer is one id or two; it bounds the memory too. Rows with a longer one are refused when they are read.
const MAX_PAYER_BYTES: usize = 2 * MAX_ID_BYTES + 1;

/// The latest month of each payer.
#[derive(Debug, Default)]
pub struct BilledMonths(BTreeMap<String, BillingPeriod>);

impl BilledMonths {
    /// Takes note of a row's month.
    pub fn see(&mut self, payer: String, month: BillingPeriod) {
        if payer.len() > MAX_PAYER_BYTES || self.0.get(&payer).is_some_and(|latest| *latest >= month) {
            return;
        }
        if self.0.len() < MAX_PAYERS || self.0.contains_key(&payer) {
            self.0.insert(payer, month);
        }
    }

    /// Returns the month that a payer is billed for.
    pub fn of(&self, payer: &str) -> Option<BillingPeriod> {
        self.0.get(payer).copied()
    }
}

/// Returns the calendar month that a day lies in; a day that no bill can be for is refused by its column.
pub fn month_of(row: &mut Row<'_>, column: &Column, day: NaiveDate) -> Option<BillingPeriod> {
    let first_day = day.with_day(1)?;
    let next = first_day.checked_add_months(Months::new(1))?;
    row.billing_period_of((column, first_day), (column, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(text: &str) -> BillingPeriod {
        text.parse().expect("a month")
    }

    #[test]
    fn a_payer_is_billed_for_its_latest_month() {
        let mut months = BilledMonths::default();
        for (payer, text) in [("a", "2026-08"), ("b", "2026-07"), ("a", "2026-06"), ("b", "2026-12")] {
            months.see(payer.to_owned(), month(text));
        }
        assert_eq!(
            (months.of("a"), months.of("b"), months.of("c")),
            (Some(month("2026-08")), Some(month("2026-12")), None)
        );
    }

    #[test]
    fn endlessly_many_payers_are_not_kept_nor_endless_ones() {
        let mut months = BilledMonths::default();
        months.see("x".repeat(MAX_PAYER_BYTES + 1), month("2026-08"));
        assert_eq!(months.0.len(), 0);
        for payer in 0..=MAX_PAYERS {
            months.see(format!("{payer:05}"), month("2026-08"));
        }
        months.see("00000".to_owned(), month("2026-09"));
        assert_eq!((months.0.len(), months.of("00000")), (MAX_PAYERS, Some(month("2026-09"))));
    }
}
