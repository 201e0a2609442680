//! Terms that hold from a day to a day: which of them overlap, and which days a change of them touches.
//!
//! Price rules, custom charges and tax rates are compared in this one form, when a directory is applied. A billing period
//! is touched by a change if its first day is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use chrono::NaiveDate;

use super::ids::CustomerId;

/// Days on which something holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// First day; `None` is since ever.
    pub from: Option<NaiveDate>,
    /// Exclusive end; `None` is until further notice.
    pub to: Option<NaiveDate>,
}

impl Validity {
    /// Tells whether a day is one of them.
    pub fn contains(self, day: NaiveDate) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day < to)
    }

    /// Tells whether there is no such day.
    pub fn is_empty(self) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if to <= from)
    }

    /// Tells whether both have a day in common.
    pub fn overlaps(self, other: Self) -> bool {
        let starts_before_end = |a: Self, b: Self| match (a.from, b.to) {
            (Some(from), Some(to)) => from < to,
            _ => true,
        };
        starts_before_end(self, other) && starts_before_end(other, self)
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.to) {
            (None, None) => f.write_str("always"),
            (Some(from), None) => write!(f, "from {from}"),
            (None, Some(to)) => write!(f, "until {to}"),
            (Some(from), Some(to)) => write!(f, "from {from} until {to}"),
        }
    }
}

/// One term, whatever it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatedTerm {
    /// Whom it is for; `None` is everybody.
    pub customer_id: Option<CustomerId>,
    /// Which provider's invoices it is for; `None` is all.
    pub provider: Option<String>,
    /// What it is, with all that tells it from others: of one name, one holds at a time.
    pub name: String,
    /// What it says.
    pub value: String,
    /// When.
    pub validity: Validity,
}

/// Days on which a term says something else than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedSpan {
    /// Whom it touches; `None` is everybody.
    pub customer_id: Option<CustomerId>,
    /// Which provider's invoices it touches; `None` is all.
    pub provider: Option<String>,
    /// What changed.
    pub name: String,
    /// The days.
    pub validity: Validity,
}

/// Returns two terms of one name that hold on the same day.
pub fn find_overlap(terms: &[DatedTerm]) -> Option<(&DatedTerm, &DatedTerm)> {
    let mut sorted: Vec<&DatedTerm> = terms.iter().collect();
    sorted.sort_by(|a, b| (&a.name, a.validity.from).cmp(&(&b.name, b.validity.from)));
    let mut pairs = sorted.iter().zip(sorted.iter().skip(1));
    pairs.find(|(a, b)| a.name == b.name && a.validity.overlaps(b.validity)).map(|(a, b)| (*a, *b))
}

/// Returns the days on which terms differ, by name; neither list overlaps in itself.
pub fn changed_spans(before: &[DatedTerm], after: &[DatedTerm]) -> Vec<ChangedSpan> {
    let mut names: BTreeMap<&str, (Vec<&DatedTerm>, Vec<&DatedTerm>)> = BTreeMap::new();
    for term in before {
        names.entry(&term.name).or_default().0.push(term);
    }
    for term in after {
        names.entry(&term.name).or_default().1.push(term);
    }
    names.values().flat_map(|(before, after)| changed_days(before, after)).collect()
}

fn changed_days(before: &[&DatedTerm], after: &[&DatedTerm]) -> Vec<ChangedSpan> {
    let Some(any) = before.first().or_else(|| after.first()) else { return Vec::new() };
    let all = || before.iter().chain(after).map(|term| term.validity);
    let days: BTreeSet<NaiveDate> = all().flat_map(|validity| [validity.from, validity.to]).flatten().collect();
    let starts = std::iter::once(None).chain(days.iter().copied().map(Some));
    let ends = days.iter().copied().map(Some).chain(std::iter::once(None));
    let differs = |validity: &Validity| {
        // Nothing changes between two neighbouring days of the set, so one day stands for all of them.
        let day = validity.from.unwrap_or(NaiveDate::MIN);
        value_on(before, day) != value_on(after, day)
    };
    starts
        .zip(ends)
        .map(|(from, to)| Validity { from, to })
        .filter(differs)
        .map(|validity| ChangedSpan {
            customer_id: any.customer_id,
            provider: any.provider.clone(),
            name: any.name.clone(),
            validity,
        })
        .collect()
}

fn value_on<'a>(terms: &[&'a DatedTerm], day: NaiveDate) -> Option<&'a str> {
    terms.iter().find(|term| term.validity.contains(day)).map(|term| term.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Option<NaiveDate> {
        (!text.is_empty()).then(|| text.parse().expect("a day"))
    }

    fn term(name: &str, value: &str, from: &str, to: &str) -> DatedTerm {
        let validity = Validity { from: day(from), to: day(to) };
        DatedTerm { customer_id: None, provider: None, name: name.to_owned(), value: value.to_owned(), validity }
    }

    fn changed(before: &[DatedTerm], after: &[DatedTerm]) -> Vec<String> {
        changed_spans(before, after).iter().map(|span| format!("{} {}", span.name, span.validity)).collect()
    }

    #[test]
    fn ending_a_rule_and_starting_another_touches_only_the_days_from_then_on() {
        let before = [term("a", "10", "", ""), term("b", "1", "", "")];
        let after = [
            term("a", "10", "", "2026-09-01"),
            term("a", "20", "2026-09-01", ""),
            term("b", "1", "", "2026-01-01"),
            term("b", "1", "2026-01-01", ""),
        ];
        assert_eq!(changed(&before, &after), ["a from 2026-09-01"]);
        assert_eq!(changed(&after, &before), ["a from 2026-09-01"]);
        assert!(changed(&after, &after).is_empty());
    }

    #[test]
    fn a_term_that_comes_goes_or_says_something_else_touches_its_own_days() {
        let august = term("a", "10", "2026-08-01", "2026-09-01");
        assert_eq!(changed(&[], std::slice::from_ref(&august)), ["a from 2026-08-01 until 2026-09-01"]);
        assert_eq!(changed(std::slice::from_ref(&august), &[]), ["a from 2026-08-01 until 2026-09-01"]);
        assert_eq!(changed(&[term("a", "1", "", "")], &[term("a", "2", "", "")]), ["a always"]);
    }

    #[test]
    fn two_terms_of_one_name_overlap_on_a_common_day_only() {
        let first = term("a", "1", "", "2026-09-01");
        for (from, to, expected) in
            [("2026-09-01", "", false), ("2026-08-31", "", true), ("", "", true), ("2020-01-01", "2020-02-01", true)]
        {
            let terms = [first.clone(), term("a", "1", from, to), term("b", "1", "", "")];
            assert_eq!(find_overlap(&terms).is_some(), expected, "{from} {to}");
        }
    }
}
