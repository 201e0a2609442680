//! What commands print: tables for people, JSON for machines.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

/// Standard output in the form that was asked for.
#[derive(Clone, Copy)]
pub struct Output {
    is_json: bool,
}

impl Output {
    /// Prints JSON, or else for people.
    pub fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    /// Tells whether JSON was asked for.
    pub fn is_json(self) -> bool {
        self.is_json
    }

    /// Prints values as JSON, or as a table with one row each.
    pub fn rows<T: Serialize>(
        self,
        values: &[T],
        titles: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        if self.is_json {
            return json(&values);
        }
        if values.is_empty() {
            return self.line("none");
        }
        write(&table(values, titles, row))
    }

    /// Prints a value as JSON, or as lines for people.
    pub fn value<T: Serialize>(self, value: &T, lines: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        if self.is_json { json(value) } else { write(&lines(value)) }
    }

    /// Prints a line for people; nothing where JSON was asked for.
    pub fn line(self, text: &str) -> anyhow::Result<()> {
        if self.is_json { Ok(()) } else { write(text) }
    }
}

/// Returns a table with one row for each value.
pub fn table<T>(values: &[T], titles: &[&str], row: impl Fn(&T) -> Vec<String>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(titles.iter().copied());
    for value in values {
        table.add_row(row(value));
    }
    table.to_string()
}

fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    write(&serde_json::to_string_pretty(value)?)
}

/// Writes text and a line feed; a reader that went away (`| head`) is no failure.
fn write(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints an error with its causes, each once.
pub fn error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str("\n  because ");
            text.push_str(&cause);
        }
    }
    let _ = writeln!(io::stderr(), "{text}");
}
