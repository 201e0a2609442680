//! A header row, by the names as the file writes them and as a format knows them.

use crate::providers::Problem;

/// The header row of a file, read as one format reads it.
#[derive(Debug)]
pub struct Header {
    line: u64,
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
        Self { line, names: names.collect() }
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

    /// Finds a column by the name the format knows it by.
    pub fn column(&self, known: &str) -> Column {
        self.first_column(&[known])
    }

    /// Finds the first of several columns that is there.
    pub fn first_column(&self, known: &[&str]) -> Column {
        let found = known.iter().find_map(|known| self.names.iter().position(|name| name.known == *known));
        let name = found.and_then(|position| self.written(position)).or(known.first().copied()).unwrap_or_default();
        Column { name: name.to_owned(), position: found }
    }

    /// Returns the columns whose known names pass, in file order; those without a name never do.
    pub fn columns_where(&self, passes: impl Fn(&str) -> bool) -> Vec<Column> {
        let named = self.names.iter().enumerate().filter(|(_, name)| !name.written.is_empty() && passes(&name.known));
        named.map(|(position, name)| Column { name: name.written.clone(), position: Some(position) }).collect()
    }

    pub(super) fn has_any(&self, known: &[&str]) -> bool {
        self.names.iter().any(|name| known.contains(&name.known.as_str()))
    }

    /// Returns the name, as written, that would be one of these but for its capital letters.
    pub(super) fn similar(&self, known: &[&str]) -> Option<&str> {
        let is_similar = |name: &&HeaderName| known.iter().any(|known| name.known.eq_ignore_ascii_case(known));
        self.names.iter().find(is_similar).map(|name| name.written.as_str())
    }

    /// Returns a problem for each name that stands there before: as written, or where it is required, as known.
    pub(super) fn repeated<'a>(&'a self, required: &'a [&'a [&'a str]]) -> impl Iterator<Item = Problem> + 'a {
        let is_required =
            |name: &HeaderName| required.iter().flat_map(|names| names.iter()).any(|known| *known == name.known);
        let is_repeated = move |at: usize, name: &HeaderName| {
            let by_known_name = is_required(name);
            let same = |earlier: &HeaderName| {
                earlier.written == name.written || (by_known_name && earlier.known == name.known)
            };
            !name.written.is_empty() && self.names.iter().take(at).any(same)
        };
        let repeated = self.names.iter().enumerate().filter(move |(at, name)| is_repeated(*at, name));
        repeated
            .map(|(_, name)| Problem::new(self.line, Some(&name.written), None, "the header names this column twice"))
    }
}
