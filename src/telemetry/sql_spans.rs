//! Makes a client span of each statement that is sent to Postgres within a trace, after what sqlx says of it.
//!
//! A statement's text holds placeholders for what it is about; still only its verbs and the tables after them are exported.
//! Statements outside any trace, as the queue's own loops send them, make no spans.

use std::{fmt::Debug, time::Duration};

use opentelemetry::{
    Context, KeyValue,
    trace::{Span, SpanBuilder, SpanKind, TraceContextExt},
};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer};

/// Longest that is exported; `db.query.summary` should not be longer.
const MAX_SUMMARY: usize = 255;

/// A layer for a tracing subscriber.
pub(super) struct SqlSpans(SdkTracer);

impl SqlSpans {
    pub(super) fn new(tracer: SdkTracer) -> Self {
        Self(tracer)
    }
}

impl<S: Subscriber> Layer<S> for SqlSpans {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        let around = Context::current();
        if !around.span().is_recording() {
            return;
        }
        let mut executed = Executed::default();
        event.record(&mut executed);
        let ended_at = opentelemetry::time::now();
        let Summary { operation, text } = Summary::of(executed.sql());
        let span = SpanBuilder::from_name(text.clone())
            .with_kind(SpanKind::Client)
            .with_start_time(ended_at.checked_sub(executed.took).unwrap_or(ended_at))
            .with_attributes([
                KeyValue::new("db.system.name", "postgresql"),
                KeyValue::new("db.operation.name", operation),
                KeyValue::new("db.query.summary", text),
            ]);
        span.start_with_context(&self.0, &around).end_with_timestamp(ended_at);
    }
}

/// What sqlx says of a statement: its first words, the whole where that is more, and how long it took.
#[derive(Default)]
struct Executed {
    beginning: String,
    whole: String,
    took: Duration,
}

impl Executed {
    fn sql(&self) -> &str {
        if self.whole.is_empty() { &self.beginning } else { &self.whole }
    }
}

impl Visit for Executed {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.beginning),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.took = Duration::try_from_secs_f64(value).unwrap_or_default();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// A statement in a few words: `SELECT jobs`, `UPDATE jobs INSERT job_attempts SELECT finished`.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    /// The verb of the statement itself, whatever stands in the common table expressions before it.
    operation: String,
    /// All verbs, each with the tables after it.
    text: String,
}

impl Summary {
    fn of(sql: &str) -> Self {
        let words: Vec<&str> = sql.split_whitespace().collect();
        let first = words.first().map(|word| keyword(word)).unwrap_or_default();
        let (mut operation, mut summary, mut depth) = (None, Vec::new(), 0_usize);
        let mut before = String::new();
        for (place, word) in words.iter().enumerate() {
            let bare = keyword(word);
            let opened = word.len() - word.trim_start_matches('(').len();
            // `FOR UPDATE` locks, and `ON CONFLICT … DO UPDATE` is part of an insert.
            let is_part = matches!(before.as_str(), "FOR" | "KEY" | "DO");
            let is_verb = matches!(bare.as_str(), "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "COPY") && !is_part;
            if is_verb {
                if depth + opened == 0 {
                    operation.get_or_insert_with(|| bare.clone());
                }
                summary.push(bare.clone());
            }
            let is_from = bare == "FROM" && before != "DISTINCT" && !before.starts_with("EXTRACT");
            if is_from
                || matches!(bare.as_str(), "INTO" | "JOIN")
                || is_verb && matches!(bare.as_str(), "UPDATE" | "COPY")
            {
                summary.extend(words.get(place + 1).and_then(|word| table(word)));
            }
            depth = (depth + word.matches('(').count()).saturating_sub(word.matches(')').count());
            before = bare;
        }
        let text = if summary.is_empty() { first.clone() } else { summary.join(" ") };
        Self { operation: operation.unwrap_or(first), text: text.chars().take(MAX_SUMMARY).collect() }
    }
}

/// Returns a word as a keyword, without what stands around it; text is none.
fn keyword(word: &str) -> String {
    if word.contains('\'') {
        return String::new();
    }
    word.trim_matches(|c: char| !c.is_ascii_alphabetic()).to_ascii_uppercase()
}

/// Returns a word as the name of a table; a function, a subquery or a text is none.
fn table(word: &str) -> Option<String> {
    let name = word.trim_end_matches([',', ';', ')']);
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte));
    (is_name && name.starts_with(|c: char| c.is_ascii_lowercase())).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_summed_up_by_its_verbs_and_tables() {
        for (sql, operation, text) in [
            ("SELECT id FROM jobs WHERE id = $1 FOR UPDATE SKIP LOCKED", "SELECT", "SELECT jobs"),
            (
                "INSERT INTO jobs (id) SELECT id FROM unnest($1::uuid[])\n ON CONFLICT DO NOTHING",
                "INSERT",
                "INSERT jobs SELECT",
            ),
            (
                "WITH gone AS (\n DELETE FROM a.jobs RETURNING id)\nUPDATE t SET n = 0 FROM gone",
                "UPDATE",
                "DELETE a.jobs UPDATE t gone",
            ),
            ("INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = 'from Ann'", "INSERT", "INSERT t"),
            ("SELECT a IS DISTINCT FROM b FROM t, LATERAL (SELECT 1 FROM u) AS x", "SELECT", "SELECT t SELECT u"),
            ("COPY charges FROM STDIN (FORMAT binary)", "COPY", "COPY charges"),
            ("commit", "COMMIT", "COMMIT"),
            ("SELECT 1 FROM 'ana@acme.example'", "SELECT", "SELECT"),
            ("", "", ""),
        ] {
            let expected = Summary { operation: operation.to_owned(), text: text.to_owned() };
            assert_eq!(Summary::of(sql), expected, "{sql}");
        }
    }

    #[test]
    fn a_long_statement_is_summed_up_in_a_few_words() {
        let sql = "SELECT a FROM some_table ".repeat(100);
        assert_eq!(Summary::of(&sql).text.len(), MAX_SUMMARY);
    }
}
