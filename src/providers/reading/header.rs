//! A header row, by the names as the file writes them and as a format knows them.

use std::collections::HashSet;

use crate::providers::Problem;

/// The header row of a file, read as one format reads it.
#[derive(Debug)]
pub struct Header {
    line: u64,
    to_known_name: fn(&str) -> String,
    names: Vec<HeaderName>,
}

#[derive(Debug)]
struct HeaderName {
    written: String,
    known: String,
}

/// A column that a format knows: how problems name it, and where it is, if it is there.
#[derive(Clone, Debug)]
pub struct Column {
    name: String,
    position: Option<usize>,
}

impl Column {
    /// Returns the name as the file writes it, or as the format does where the file has no such column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its 0-based place, if the file has the column.
    pub fn position(&self) -> Option<usize> {
        self.position
    }
}

impl Header {
    pub(super) fn new(names: &[String], to_known_name: fn(&str) -> String, line: u64) -> Self {
        let names = names.iter().map(|name| HeaderName { written: name.clone(), known: to_known_name(name) });
        Self { line, to_known_name, names: names.collect() }
    }

    /// Returns the 1-based physical line it starts on.
    pub fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn column_count(&self) -> usize {
        self.names.len()
    }

    pub(super) fn written(&self, position: usize) -> Option<&str> {
        self.names.get(position).map(|name| name.written.as_str())
    }

    /// Finds a column by any way of writing its name that the format takes as the same.
    pub fn column(&self, name: &str) -> Column {
        self.first_column(&[name])
    }

    /// Finds the first of several columns that is there.
    pub fn first_column(&self, names: &[&str]) -> Column {
        let found = names.iter().find_map(|name| self.position(name));
        let name = found.and_then(|position| self.written(position)).or(names.first().copied()).unwrap_or_default();
        Column { name: name.to_owned(), position: found }
    }

    fn position(&self, name: &str) -> Option<usize> {
        let known = (self.to_known_name)(name);
        self.names.iter().position(|name| name.known == known)
    }

    /// Returns the columns whose known names pass, in file order; those without a name never do.
    pub fn columns_where(&self, passes: impl Fn(&str) -> bool) -> Vec<Column> {
        let named = self.names.iter().enumerate().filter(|(_, name)| !name.written.is_empty() && passes(&name.known));
        named.map(|(position, name)| Column { name: name.written.clone(), position: Some(position) }).collect()
    }

    /// Returns the columns whose names, as the file writes them, pass; in file order, those without a name left out.
    pub fn columns_written(&self, passes: impl Fn(&str) -> bool) -> Vec<Column> {
        let named = self.names.iter().enumerate().filter(|(_, name)| !name.written.is_empty() && passes(&name.written));
        named.map(|(position, name)| Column { name: name.written.clone(), position: Some(position) }).collect()
    }

    pub(super) fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.position(name).is_some())
    }

    /// Returns the name, as written, that would be one of these but for its capital letters.
    pub(super) fn similar(&self, names: &[&str]) -> Option<&str> {
        let known: Vec<String> = names.iter().map(|name| (self.to_known_name)(name)).collect();
        let is_similar = |name: &&HeaderName| known.iter().any(|known| name.known.eq_ignore_ascii_case(known));
        self.names.iter().find(is_similar).map(|name| name.written.as_str())
    }

    /// Returns a problem for each name that stands there before: as written, or where it is required, as known.
    pub(super) fn repeated(&self, required: &[&[&str]]) -> Vec<Problem> {
        let required: Vec<String> =
            required.iter().flat_map(|names| names.iter().copied()).map(self.to_known_name).collect();
        let (mut written, mut known) = (HashSet::new(), HashSet::new());
        let mut problems = Vec::new();
        for name in self.names.iter().filter(|name| !name.written.is_empty()) {
            let is_written_again = !written.insert(name.written.as_str());
            let is_known_again = required.contains(&name.known) && !known.insert(name.known.as_str());
            if is_written_again || is_known_again {
                let rule = "the header names this column twice";
                problems.push(Problem::new(self.line, Some(&name.written), None, rule));
            }
        }
        problems
    }
}
