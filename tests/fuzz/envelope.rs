//! Envelopes: what is accepted is the same job when it is sent again in other words, and valid by its kind's schema; what is
//! refused is refused in a few words that name the limit.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use billrunner::{
    jobs::registry,
    queue::{EnvelopeError, MAX_ENVELOPE_BYTES, ReadEnvelope, Refusal},
    store::{job_kinds::JobKind, jobs::NewJob},
};
use jsonschema::Validator;
use serde_json::{Value, json};

/// JSON nested deeper is not read.
const MAX_DEPTH: usize = 127;
/// A refusal repeats a hundred characters of a value, and may list what is known.
const MAX_REFUSAL_CHARS: usize = 1_500;
const WORDS: &[&str] = &[
    "null",
    "true",
    "[]",
    "{}",
    "[",
    "{",
    "]",
    "}",
    ":",
    "\\u0000",
    "\\ud800",
    "\"id\":",
    "\"data\":",
    "\"priority\":",
    "\"runat\":",
    "\"queue\":\"billing.aws\"",
    "\"dedupekey\":\"k\"",
    "1e999",
    "1.0",
    "-0",
    "100",
    "101",
    "2026-09-01T00:00:00Z",
    "2026-13-01",
    "9999-12-31T23:59:60Z",
    "billrunner/x",
    "billrunner.invoices.open.v1",
    "0199a000-0000-7000-8000-000000000001",
    "EUR",
    "2026-08",
];

static READ: LazyLock<ReadEnvelope> = LazyLock::new(|| Arc::new(registry()).envelope_reader());
static KINDS: LazyLock<BTreeMap<&str, (JobKind, Validator)>> = LazyLock::new(|| {
    let checked = |kind: JobKind| {
        let validator = jsonschema::options().should_validate_formats(true).build(&kind.schema);
        (kind.kind, (kind.clone(), validator.expect("a schema")))
    };
    registry().describe().into_iter().map(checked).collect()
});

fn check(input: &[u8]) {
    match READ(input) {
        Ok(job) => {
            let sent: Value = serde_json::from_slice(input).expect("what is accepted is JSON");
            let (_, schema) = &KINDS[job.kind];
            assert!(schema.is_valid(&sent["data"]), "the types accept what the schema refuses: {}", sent["data"]);
            is_the_same_in_other_words(&job);
        }
        Err(error) => is_refused_in_few_words(&error, input),
    }
}

fn is_the_same_in_other_words(job: &NewJob) {
    let (kind, _) = &KINDS[job.kind];
    let mut envelope = json!({
        "specversion": "1.0", "type": kind.event_type, "source": job.source, "id": job.external_id, "data": job.payload,
        "priority": job.priority, "queue": job.queue, "runat": job.run_at, "dedupekey": job.dedupe_key,
        "traceparent": job.traceparent,
    });
    let [canonical, pretty] = [serde_json::to_string(&envelope), serde_json::to_string_pretty(&envelope)];
    for text in [canonical, pretty].map(|text| text.expect("JSON")) {
        // Defaults that are filled in, and blanks, may make it longer than what is read.
        if text.len() <= MAX_ENVELOPE_BYTES {
            let again = READ(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(format!("{:?}", NewJob { id: job.id, ..again }), format!("{job:?}"));
        }
    }
    envelope["id"] = json!("another");
    if let Ok(other) = READ(envelope.to_string().as_bytes()) {
        assert_eq!(other.payload_hash, job.payload_hash, "the hash is of kind and payload alone");
    }
}

fn is_refused_in_few_words(error: &EnvelopeError, input: &[u8]) {
    let said = error.to_string();
    assert!(said.chars().count() <= MAX_REFUSAL_CHARS, "{} characters: {said}", said.chars().count());
    assert_eq!(error.refusal() == Refusal::TooLarge, input.len() > MAX_ENVELOPE_BYTES, "{said}");
    if error.refusal() == Refusal::TooLarge {
        assert!(said.contains(&input.len().to_string()) && said.contains("at most 65536"), "{said}");
    }
    if said.contains("recursion limit") {
        let opened = input.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
        assert!(opened > MAX_DEPTH, "{opened} brackets: {said}");
    }
    // It points into what was sent, and at the top where that is no JSON.
    assert!(error.pointer().is_none_or(|pointer| pointer.starts_with('/')), "{said}");
}

#[test]
fn an_envelope_is_one_job_however_it_is_written_or_refused_in_few_words() {
    fuzz!("envelope", WORDS, check);
}

#[test]
fn an_envelope_at_its_limits_is_read_and_one_beyond_refused_by_their_names() {
    let envelope = |depth: usize, blanks: usize| {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!(
            r#"{{"specversion":"1.0","type":"billrunner.history.check.v1","source":"shop","id":"1","data":{{}},"other":{nested}}}{}"#,
            " ".repeat(blanks)
        )
    };
    // The envelope itself is one level.
    assert!(READ(envelope(MAX_DEPTH - 1, 0).as_bytes()).is_ok());
    let deep = READ(envelope(MAX_DEPTH, 0).as_bytes()).expect_err("too deep");
    assert!(deep.refusal() == Refusal::Unreadable && deep.to_string().contains("recursion limit"), "{deep}");
    let room = MAX_ENVELOPE_BYTES - envelope(1, 0).len();
    assert!(READ(envelope(1, room).as_bytes()).is_ok());
    let large = READ(envelope(1, room + 1).as_bytes()).expect_err("too large").to_string();
    assert_eq!(large, "the envelope has 65537 bytes; at most 65536 are read");
    let long = envelope(1, 0).replace("{}", &format!(r#"{{"{}":1}}"#, "x".repeat(50_000)));
    is_refused_in_few_words(&READ(long.as_bytes()).expect_err("unknown"), long.as_bytes());
}
