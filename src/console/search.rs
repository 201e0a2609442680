//! A search for jobs, as addresses, forms and sentences hold it.

use maud::{Markup, html};

use super::{Problem, change::Fields};
use crate::store::job_search::JobSearch;

/// Reads a search from the fields of an address or a form.
///
/// # Errors
/// When the id of a batch does not read.
pub(super) fn read(fields: &Fields) -> Result<JobSearch, Problem> {
    let text = |name: &str| fields.get(name).map(str::to_owned);
    let batch_id = fields.get("batch").map(str::parse).transpose();
    Ok(JobSearch {
        state: text("state"),
        kind: text("kind"),
        queue: text("queue"),
        batch_id: batch_id.map_err(|_| Problem::Invalid("batch: write the id of its completion job".to_owned()))?,
        customer: text("customer"),
        provider: text("provider"),
        billing_period: text("period"),
        invoice: text("invoice"),
        error: text("error"),
        trace_id: text("trace"),
        source: text("source"),
        external_id: text("request"),
    })
}

/// Returns what a search names, as [`read`] reads it.
pub(super) fn pairs(search: &JobSearch) -> Vec<(&'static str, String)> {
    let batch = search.batch_id.map(|id| id.to_string());
    let all = [
        ("state", &search.state),
        ("kind", &search.kind),
        ("queue", &search.queue),
        ("batch", &batch),
        ("customer", &search.customer),
        ("provider", &search.provider),
        ("period", &search.billing_period),
        ("invoice", &search.invoice),
        ("error", &search.error),
        ("trace", &search.trace_id),
        ("source", &search.source),
        ("request", &search.external_id),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
}

/// Returns a page's address with a search and something more in its query.
pub(super) fn address(path: &str, search: &JobSearch, more: &[(&str, &str)]) -> String {
    let pairs = pairs(search);
    let own = pairs.iter().map(|(name, value)| (*name, value.as_str()));
    let query: Vec<(&str, Option<&str>)> =
        own.chain(more.iter().copied()).map(|(name, value)| (name, Some(value))).collect();
    super::elements::address(path, &query)
}

/// Makes hidden fields that take a search along with a form.
pub(super) fn hidden(search: &JobSearch) -> Markup {
    html! { @for (name, value) in pairs(search) { input type="hidden" name=(name) value=(value); } }
}

/// Says a search in words, for the history.
pub(super) fn words(search: &JobSearch) -> String {
    let said: Vec<String> = pairs(search).into_iter().map(|(name, value)| format!("{name} {value}")).collect();
    if said.is_empty() { "all".to_owned() } else { said.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_reads_back_from_its_address() {
        let batch = "0199a000-0000-7000-8000-000000000001";
        let query = format!(
            "state=dead&kind=generate_invoice&queue=billing.aws&batch={batch}&customer=M%C3%BCller+%26+S%C3%B6hne&provider=aws\
             &period=2026-08&invoice=2026-00001&error=no+rate&trace=4bf92f3577b34da6a3ce929d0e0e4736&source=shop&request=a%2Fb"
        );
        let search = read(&Fields::parse(query.as_bytes())).expect("a search");
        assert_eq!(address("/jobs", &search, &[]), format!("/jobs?{query}"));
        assert_eq!(pairs(&search).len(), 12);
        assert!(read(&Fields::parse(b"batch=1")).is_err());
        let nothing = read(&Fields::parse(b"state=&kind=++")).expect("a search");
        assert!(nothing.is_empty() && words(&nothing) == "all");
        assert_eq!(address("/jobs", &nothing, &[("before", "x")]), "/jobs?before=x");
    }
}
