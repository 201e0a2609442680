//! Why a charge file was rejected: where each problem is and which rule it breaks.
//!
//! A file is accepted whole or rejected whole, so the reader goes on after a problem and its author can mend all of
//! them at once.

use std::fmt;

use serde::Serialize;

/// Problems that are kept; the others are counted.
const MAX_KEPT: usize = 20;
/// Characters of a bad value that are shown.
const MAX_VALUE_CHARS: usize = 60;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// 1-based physical line on which the row starts.
    pub line: u64,
    /// Name of the column, where the problem is in one.
    pub column: Option<String>,
    /// What stands there, shortened.
    pub value: Option<String>,
    /// What should stand there.
    pub rule: String,
}

impl Problem {
    pub(super) fn new(line: u64, column: Option<&str>, value: Option<&str>, rule: impl Into<String>) -> Self {
        Self { line, column: column.map(shorten), value: value.map(shorten), rule: rule.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        if let Some(value) = &self.value {
            write!(f, ", value `{value}`")?;
        }
        write!(f, ": {}", self.rule)
    }
}

/// All that is wrong with a file: the first 20 problems, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct RejectedFile {
    /// In file order.
    pub problems: Vec<Problem>,
    /// How many were found beyond those listed.
    pub more: u64,
}

impl RejectedFile {
    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn add(&mut self, problem: Problem) {
        if self.problems.len() < MAX_KEPT {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }
}

impl From<Problem> for RejectedFile {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem], more: 0 }
    }
}

impl fmt::Display for RejectedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("charge file rejected; nothing of it was stored")?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        if self.more > 0 {
            write!(f, "\n  and {} more", self.more)?;
        }
        Ok(())
    }
}

/// Shortens to what fits a line and shows control characters escaped, so that a log stays readable.
fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_VALUE_CHARS).flat_map(visible).collect();
    if text.chars().nth(MAX_VALUE_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

fn visible(character: char) -> impl Iterator<Item = char> {
    let escaped = character.is_control().then(|| character.escape_default());
    let plain = (!character.is_control()).then_some(character);
    escaped.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lists_twenty_problems_and_counts_the_rest() {
        let mut rejected = RejectedFile::default();
        for line in 2..30 {
            rejected.add(Problem::new(line, Some("BilledCost"), Some("$1"), "not a decimal number"));
        }
        let shown = rejected.to_string();
        assert_eq!(shown.lines().count(), 22);
        assert!(shown.contains("\n  line 2, column BilledCost, value `$1`: not a decimal number\n"), "{shown}");
        assert!(shown.ends_with("\n  and 8 more"), "{shown}");
    }

    #[test]
    fn a_long_value_is_cut_and_a_line_break_is_escaped() {
        let problem = Problem::new(2, None, Some(&format!("a\n{}", "é".repeat(100))), "too long");
        let value = problem.value.expect("a value");
        assert!(value.starts_with("a\\né") && value.ends_with('…') && value.chars().count() == 62, "{value}");
    }
}
