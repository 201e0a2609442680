//! What a format of charge files is, and which one a header row has.
//!
//! A file is of the format whose required columns are all there; where several fit, of the one that requires most. So a
//! name that a file is called by, and the order of its columns, mean nothing.

use super::{
    billed_months::BilledMonths,
    header::{Column, Header},
    row::{Charges, Row},
};
use crate::{
    domain::billing_period::BillingPeriod,
    providers::{Problem, RejectedFile, unread_headers},
};

/// A format is near to a header that has at least one in so many of its required columns.
const MIN_SHARE_OF: usize = 4;

/// A format of charge files.
#[derive(Debug)]
pub struct Format {
    /// As kept in `charge_files.format`, such as `aws-cur`.
    pub id: &'static str,
    /// As people call it; it stands in messages, such as "required FOCUS column is missing".
    pub name: &'static str,
    /// Columns without which a row cannot be billed, each by all the names it goes by.
    pub required: &'static [&'static [&'static str]],
    /// Turns a column's name into one that is the same for all its ways of writing that the format takes as the same.
    /// Doing so twice changes nothing more.
    pub to_known_name: fn(&str) -> String,
    /// Finds the columns in a header and returns what reads the rows under it.
    pub read_under: fn(&Header) -> Box<dyn ReadRow>,
    /// A row as the provider writes it, for each way in which its columns are named; the contract is tested on them.
    #[cfg(test)]
    pub samples: &'static [Sample],
}

/// Makes charges of the rows under one header.
pub trait ReadRow: Send {
    /// Returns the column that names the payer, for problems that show only across rows.
    fn billing_account(&self) -> &Column;

    /// Returns the column that names the billing period, or where it ends, for problems that show only across rows.
    fn billing_period(&self) -> &Column;

    /// Adds the charges of a row: one, or more where a row holds its credits. What is wrong with it is told to
    /// [`Row::refuse`], all of it; nothing is taken of a row with problems. The answer serves the `?` operator only.
    fn read(&self, row: &mut Row<'_>, charges: &mut Charges) -> Option<()>;

    /// Tells whether rows do not say in which month they are billed, so that the file is read for [`Self::billed_month`]
    /// before.
    fn is_billed_by_latest_month(&self) -> bool {
        false
    }

    /// Returns the payer of a row and the month that its bill cannot be earlier than; `None` where the row says nothing of
    /// it. What is wrong with the row is told when it is read for its charges.
    fn billed_month(&self, _row: &mut Row<'_>) -> Option<(String, BillingPeriod)> {
        None
    }

    /// Takes the latest of those months of each payer, before any row is read.
    fn bill_in(&mut self, _months: BilledMonths) {}
}

/// A row that a contract can be tested on.
#[cfg(test)]
#[derive(Debug)]
pub struct Sample {
    /// Columns and values.
    pub fields: &'static [(&'static str, &'static str)],
    /// Name of the column that `billed_cost` of the first charge is read from.
    pub cost: &'static str,
    /// Name of the column that holds the currency.
    pub currency: &'static str,
    /// Names of the columns that hold dates or instants.
    pub dates: &'static [&'static str],
}

impl Format {
    /// Returns the format, of those given, that a header row has.
    ///
    /// # Errors
    /// Where there is none: what the file is, if that is known, or the columns that the nearest format misses. A column
    /// named twice.
    pub fn recognise(
        formats: impl Iterator<Item = &'static Self>,
        names: &[String],
        line: u64,
    ) -> Result<(&'static Self, Header), RejectedFile> {
        check_separator(names, line)?;
        let mut nearest: Option<(Fit, &'static Self, Header)> = None;
        for format in formats {
            let header = Header::new(names, format.to_known_name, line);
            let fit = format.fit(&header);
            if nearest.as_ref().is_none_or(|(best, ..)| fit.is_better_than(*best)) {
                nearest = Some((fit, format, header));
            }
        }
        let Some((_, format, header)) = nearest else { return Err(RejectedFile::default()) };
        let mut rejected = RejectedFile::default();
        for problem in format.missing(&header).chain(header.repeated(format.required)) {
            rejected.add(problem);
        }
        if rejected.is_empty() {
            return Ok((format, header));
        }
        Err(unread_headers::explain(names, line).map_or(rejected, RejectedFile::from))
    }

    fn fit(&self, header: &Header) -> Fit {
        let found = self.required.iter().filter(|names| header.has_any(names)).count();
        let similar = self.required.iter().filter(|names| !header.has_any(names) && header.similar(names).is_some());
        Fit { found, near: found + similar.count(), required: self.required.len() }
    }

    fn missing<'a>(&'a self, header: &'a Header) -> impl Iterator<Item = Problem> + 'a {
        self.required.iter().filter(|names| !header.has_any(names)).map(|names| {
            let mut rule = format!("required {} column is missing", self.name);
            if let Some((_, others)) = names.split_first().filter(|(_, others)| !others.is_empty()) {
                rule = format!("{rule}; it may also be called `{}`", others.join("`, `"));
            }
            if let Some(similar) = header.similar(names) {
                rule = format!("{rule}; rename `{similar}`");
            }
            Problem::new(header.line(), names.first().copied(), None, rule)
        })
    }
}

/// How well a header suits a format.
#[derive(Clone, Copy)]
struct Fit {
    found: usize,
    /// Found, or there but for capital letters.
    near: usize,
    required: usize,
}

impl Fit {
    fn is_whole(self) -> bool {
        self.found == self.required
    }

    /// Tells whether it is worth naming what is missing: one column of many says nothing, and a stranger is told of FOCUS.
    fn is_near(self) -> bool {
        self.near * MIN_SHARE_OF >= self.required
    }

    /// Compares shares of the required columns; that of a format which requires more weighs more where both are whole.
    fn is_better_than(self, other: Self) -> bool {
        match (self.is_whole(), other.is_whole()) {
            (true, true) => self.required > other.required,
            (false, false) => self.is_near() && self.near * other.required > other.near * self.required,
            (whole, _) => whole,
        }
    }
}

fn check_separator(names: &[String], line: u64) -> Result<(), RejectedFile> {
    let known = [(';', "semicolons"), ('\t', "tabs"), ('|', "vertical bars")];
    let [only] = names else { return Ok(()) };
    let Some((_, separator)) = known.into_iter().find(|(separator, _)| only.contains(*separator)) else {
        return Ok(());
    };
    let rule = format!("the columns seem to be separated by {separator}; separate them by commas");
    Err(Problem::new(line, Some(only), Some(only), rule).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::formats;

    fn recognise(header: &str) -> Result<&'static str, String> {
        let names: Vec<_> = header.split(',').map(str::to_owned).collect();
        let recognised = Format::recognise(formats(), &names, 1);
        recognised.map(|(format, _)| format.id).map_err(|rejected| rejected.to_string())
    }

    fn required(format: &Format) -> Vec<&'static str> {
        format.required.iter().map(|names| names[0]).collect()
    }

    #[test]
    fn a_header_is_recognised_whatever_the_order_of_its_columns() {
        for format in formats() {
            let mut names = required(format);
            names.reverse();
            assert_eq!(recognise(&format!("x,{},y", names.join(","))).as_deref(), Ok(format.id));
        }
    }

    #[test]
    fn a_header_that_no_format_knows_names_what_the_nearest_one_misses() {
        for format in formats() {
            let (missing, others) =
                required(format).split_first().map(|(first, rest)| (*first, rest.join(","))).unwrap();
            let shown = recognise(&others).expect_err("refused");
            let expected = format!("\n  line 1, column {missing}: required {} column is missing", format.name);
            assert!(shown.contains(&expected) && shown.lines().count() == 2, "{shown}");
        }
    }

    #[test]
    fn a_header_of_nothing_known_names_what_focus_requires() {
        let shown = recognise("when,what,how much").expect_err("refused");
        assert_eq!(shown.matches("required FOCUS column is missing").count(), 9, "{shown}");
    }

    #[test]
    fn a_column_that_many_files_have_makes_no_format_the_nearest() {
        let shown = recognise("ProductName,when,what,how much").expect_err("refused");
        assert_eq!(shown.matches("required FOCUS column is missing").count(), 9, "{shown}");
    }

    #[test]
    fn a_column_that_differs_in_capital_letters_is_shown() {
        let shown = recognise("billedcost,billingCurrency,ChargeCategory").expect_err("refused");
        assert!(shown.contains("rename `billedcost`") && shown.contains("rename `billingCurrency`"), "{shown}");
    }

    #[test]
    fn another_separator_is_named() {
        for (separator, name) in [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")] {
            for format in formats() {
                let shown = recognise(&required(format).join(separator)).expect_err("refused");
                assert!(shown.contains(name), "{shown}");
            }
        }
    }

    #[test]
    fn a_column_named_twice_is_refused() {
        for format in formats() {
            let names = required(format);
            for twice in ["Tags", names[0]] {
                let shown = recognise(&format!("{twice},{},{twice}", names.join(","))).expect_err("refused");
                let expected = format!("line 1, column {twice}: the header names this column twice");
                assert!(shown.contains(&expected), "{shown}");
            }
        }
    }
}
