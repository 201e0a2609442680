//! The schemas: committed as they are, never narrower than released, at one with the types that read the payloads.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use billrunner::{
    documents,
    http::{self, Intake, Web},
    jobs::registry,
    store::job_kinds::JobKind,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use crate::support::{bench::Bench, compatibility::breaking_changes, payloads::samples, worker::streams};

fn committed(folder: &str) -> Result<BTreeMap<String, Value>> {
    let mut schemas = BTreeMap::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            schemas.insert(name, serde_json::from_slice(&fs::read(path)?)?);
        }
    }
    Ok(schemas)
}

#[test]
fn the_committed_schemas_are_those_of_the_code() -> Result<()> {
    let (committed, now) = (committed("schemas")?, registry().schemas());
    let names: Vec<_> = committed.keys().collect();
    assert_eq!(
        names,
        now.keys().collect::<Vec<_>>(),
        "run `billrunner schema --into schemas`, and remove what is gone"
    );
    for (name, schema) in now {
        assert_eq!(committed[&name], schema, "{name} changed; run `billrunner schema --into schemas`");
    }
    Ok(())
}

#[tokio::test]
async fn the_schema_of_the_invoice_as_json_is_committed_and_printed() -> Result<()> {
    let schema = documents::json_schema();
    let committed = committed("schemas/documents")?;
    assert_eq!(committed.keys().collect::<Vec<_>>(), [documents::FORMAT]);
    assert_eq!(committed[documents::FORMAT], schema, "it changed; run `billrunner schema --into schemas`");
    let printed = Bench::new().await?.billrunner(&["schema", "document"]).await?;
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout)?, schema);
    Ok(())
}

#[test]
fn no_schema_takes_anything_away_from_senders_of_a_released_one() -> Result<()> {
    let now = registry().schemas();
    for (name, released) in committed("schemas/released")? {
        let way_out = "a breaking change is a new version (.v2) beside this one; what is added is optional";
        let schema = now.get(&name).unwrap_or_else(|| panic!("{name} was released and is gone; {way_out}"));
        let broken = breaking_changes(&released, schema);
        assert!(broken.is_empty(), "{name} breaks its senders: {}; {way_out}", broken.join(", "));
    }
    Ok(())
}

#[test]
fn every_kind_of_breaking_change_is_named() {
    let old = json!({
        "type": "object", "additionalProperties": true, "required": ["a"],
        "properties": {
            "a": { "type": ["string", "null"], "pattern": "^x", "minLength": 1, "maxLength": 9 },
            "b": { "type": "string", "enum": ["x", "y"], "default": "x" },
            "c": { "type": "integer", "minimum": 0, "maximum": 9 },
            "d": { "type": "array", "items": { "type": "string" } },
            "e": { "type": "object", "properties": { "f": { "type": "string" } } },
        },
    });
    let cases: [(&str, Value, &str); 19] = [
        ("/properties", json!({}), "/a: removed"),
        ("/properties/e/properties", json!({}), "/e/f: removed"),
        ("/required", json!(["a", "c"]), "/required: a field more"),
        ("/required", json!(["a", "new"]), "/required: a field more"),
        ("/additionalProperties", json!(false), "/additionalProperties: closed"),
        ("/properties/a/type", json!("string"), "/a/type: a value less"),
        ("/properties/a/type", json!("integer"), "/a/type: a value less"),
        ("/properties/a/pattern", json!("^xy"), "/a/pattern: other words"),
        ("/properties/a/format", json!("uuid"), "/a/format: other words"),
        ("/properties/a/minLength", json!(2), "/a/minLength: raised"),
        ("/properties/a/maxLength", json!(8), "/a/maxLength: lowered"),
        ("/properties/b/enum", json!(["x"]), "/b/enum: a value less"),
        ("/properties/b/default", json!("y"), "/b/default: another meaning"),
        ("/properties/b/pattern", json!("^x"), "/b/pattern: other words"),
        ("/properties/c/enum", json!([1, 2]), "/c/enum: a value less"),
        ("/properties/c/minimum", json!(1), "/c/minimum: raised"),
        ("/properties/c/maximum", json!(8), "/c/maximum: lowered"),
        ("/properties/c/multipleOf", json!(2), "/c/multipleOf: other words"),
        ("/properties/d/items/type", json!("integer"), "/d/items/type: a value less"),
    ];
    for (at, value, expected) in cases {
        let broken = breaking_changes(&old, &changed(&old, at, value.clone()));
        assert!(broken.iter().any(|change| change.starts_with(expected)), "{at} = {value}: {broken:?}");
    }
}

#[test]
fn what_widens_a_schema_breaks_nobody() {
    let old = json!({
        "type": "object", "additionalProperties": false, "required": ["a"], "description": "old",
        "properties": { "a": { "type": "string", "enum": ["x"], "pattern": "^x" }, "c": { "type": "integer", "maximum": 9 } },
    });
    let cases = [
        ("/properties/new", json!({ "type": "string" })),
        ("/required", json!([])),
        ("/additionalProperties", json!(true)),
        ("/description", json!("new")),
        ("/properties/a/type", json!(["string", "null"])),
        ("/properties/a/enum", json!(["x", "y"])),
        ("/properties/a", json!({ "type": "string" })),
        ("/properties/c/maximum", json!(10)),
        ("/properties/c", json!({})),
    ];
    for (at, value) in cases {
        let broken = breaking_changes(&old, &changed(&old, at, value.clone()));
        assert!(broken.is_empty(), "{at} = {value}: {broken:?}");
    }
}

/// Sets what a JSON Pointer names.
fn changed(schema: &Value, at: &str, value: Value) -> Value {
    let mut schema = schema.clone();
    let (parent, name) = at.rsplit_once('/').expect("a pointer");
    schema.pointer_mut(parent).expect("a parent")[name] = value;
    schema
}

#[test]
fn old_payloads_stay_readable() -> Result<()> {
    let samples = samples();
    for sample in &samples {
        let (name, payload) = (sample.kind.event_type, &sample.payload);
        assert!(sample.is_valid(payload), "{name}: the fixture is not valid");
        let read = sample.read_by_type(payload).map(|job| job.payload);
        assert_eq!(read.as_ref(), Some(payload), "{name}: the fixture has every field");
    }
    let fixtures = committed("tests/fixtures/payloads")?;
    let known: Vec<&str> = samples.iter().map(|sample| sample.kind.event_type).collect();
    for name in fixtures.keys() {
        assert!(
            known.contains(&name.as_str()),
            "{name} has a fixture and no handler: its payloads are in the ledger still"
        );
    }
    Ok(())
}

#[test]
fn types_and_schemas_accept_and_refuse_the_same_payloads() {
    for sample in samples() {
        let (mut accepted, mut refused) = (0, 0);
        for tried in sample.variants() {
            let is_read = sample.read_by_type(&tried.payload).is_some();
            let is_valid = sample.is_valid(&tried.payload) && (is_read || !tried.is_beyond_schema);
            assert_eq!(is_read, is_valid, "{}: {}", sample.kind.kind, tried.payload);
            if is_read { accepted += 1 } else { refused += 1 }
        }
        assert!(accepted > 3 && refused > 50, "{}: {accepted} accepted, {refused} refused", sample.kind.kind);
    }
}

#[test]
fn the_sql_door_takes_every_kind_that_the_others_take() {
    let names = |kinds: Vec<JobKind>| kinds.iter().map(|kind| kind.kind).collect::<Vec<_>>();
    let (taken, known) = (names(registry().kinds_at_the_sql_door()), names(registry().describe()));
    assert_eq!(taken, known, "a schema says what read_job_field in the database does not check");
}

#[test]
fn what_ends_the_work_of_others_or_follows_from_other_jobs_alone_is_at_no_door() {
    let known: Vec<&str> = registry().describe().iter().map(|kind| kind.kind).collect();
    let inside: Vec<&str> = registry().kinds().filter(|kind| !known.contains(kind)).collect();
    assert_eq!(
        inside,
        [
            "announce_document",
            "change_jobs",
            "clear_dead_letters",
            "finish_bill_run",
            "prune_jobs",
            "report_dead_letters",
            "send_operator_mail"
        ]
    );
}

/// A web process of billrunner's kinds.
struct Pages {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    _bench: Bench,
}

impl Pages {
    async fn serve() -> Result<Self> {
        let bench = Bench::new().await?;
        let registry = Arc::new(registry());
        let schemas = Arc::new(registry.schemas());
        let intake = Arc::new(Intake::new(bench.pool(), registry.envelope_reader()));
        let web = Web {
            pool: bench.pool().clone(),
            streams: streams()?,
            intake,
            schemas,
            downloads: None,
            metrics: None,
            console: None,
            demo: None,
        };
        let listener = http::listen(([127, 0, 0, 1], 0).into()).await?;
        let (address, stop) = (listener.local_addr()?, CancellationToken::new());
        tokio::spawn(http::serve(web, listener, stop.clone()));
        Ok(Self { address, stop, _bench: bench })
    }

    /// Returns head and body of an answer.
    async fn get(&self, path: &str) -> Result<(String, String)> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
        Ok((head.to_owned(), body.to_owned()))
    }
}

#[tokio::test]
async fn every_schema_is_served_where_its_id_says() -> Result<()> {
    let pages = Pages::serve().await?;
    let index: Value = serde_json::from_str(&pages.get("/schemas/").await?.1)?;
    let listed = index["schemas"].as_array().context("a list")?;
    assert_eq!(listed.len(), registry().schemas().len());
    for (entry, schema) in listed.iter().zip(registry().schemas().into_values()) {
        let (head, body) = pages.get(entry["$id"].as_str().context("an id")?).await?;
        assert!(head.starts_with("HTTP/1.0 200") && head.contains("application/schema+json"), "{head}");
        assert_eq!(serde_json::from_str::<Value>(&body)?, schema);
    }
    for unknown in ["/schemas/x.json", "/schemas/envelope", "/schemas/..%2fCargo.toml"] {
        assert!(pages.get(unknown).await?.0.starts_with("HTTP/1.0 404"), "{unknown}");
    }
    pages.stop.cancel();
    Ok(())
}

#[tokio::test]
async fn the_command_prints_a_schema_by_kind_and_by_type() -> Result<()> {
    let bench = Bench::new().await?;
    for name in ["generate_invoice", "billrunner.invoice.generate.v1"] {
        let printed = bench.billrunner(&["schema", name]).await?;
        let schema: Value = serde_json::from_slice(&printed.stdout)?;
        assert_eq!(schema, registry().schemas()["billrunner.invoice.generate.v1"]);
    }
    let all = bench.billrunner(&["schema", "--json"]).await?;
    let all: Vec<Value> = serde_json::from_slice(&all.stdout)?;
    assert_eq!(all, registry().schemas().into_values().collect::<Vec<_>>());
    assert_eq!(bench.billrunner(&["schema", "unknown"]).await?.status.code(), Some(3));
    Ok(())
}
