//! Counts the statements but COMMIT that jobs send to Postgres, by the kind of the job.
//!
//! Used by tests, which compare how many a small and a large invoice take, and by `billrunner bench invoices`. It listens
//! to what sqlx says of each statement; the worker's span around an attempt tells whose it is.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// Where sqlx says that a statement was executed.
pub(super) const STATEMENTS: &str = "sqlx::query";
/// The field with a statement's beginning.
const SUMMARY: &str = "summary";
/// The worker's span around an attempt, and its field that names the job's kind.
const ATTEMPT: &str = "attempt";
const KIND: &str = "kind";

/// A layer for a tracing subscriber; clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct StatementCounter(Arc<Mutex<BTreeMap<String, u64>>>);

impl StatementCounter {
    /// Returns how many statements jobs of a kind sent since this was last asked.
    pub fn take(&self, kind: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(kind).unwrap_or_default()
    }
}

/// Whether a statement commits. That is not counted: a job has ended for everybody before its worker hears so.
struct IsCommit(bool);

impl Visit for IsCommit {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0 |= field.name() == SUMMARY && value == "COMMIT";
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// The kind of an attempt's job, kept with its span.
struct Kind(String);

impl Visit for Kind {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == KIND {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for StatementCounter {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != ATTEMPT {
            return;
        }
        let mut kind = Kind(String::new());
        attributes.record(&mut kind);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(kind);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != STATEMENTS {
            return;
        }
        let Some(mut scope) = context.event_scope(event) else { return };
        let kind = scope.find_map(|span| span.extensions().get::<Kind>().map(|kind| kind.0.clone()));
        let mut is_commit = IsCommit(false);
        event.record(&mut is_commit);
        if let Some(kind) = kind.filter(|_| !is_commit.0) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
        }
    }
}
