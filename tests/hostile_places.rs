//! What a payload says never becomes a path, nor an address that somebody is called at.

use std::collections::BTreeSet;

use anyhow::Result;
use billrunner::{
    clock::Clock,
    domain::ids::ResellerId,
    jobs::{ImportCharges, RecordBounce, charge_file_location},
    queue::{JobOptions, RequestId},
    store::jobs,
};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::support::{
    TestDatabase,
    payloads::samples,
    worker::{Office, until},
};

/// Texts of payloads that no pattern bounds, and what is made of each: a look-up, a line of history, a name that people read. A
/// new one stands here once somebody has seen that it becomes neither path nor address.
const FREE_TEXTS: [(&str, &str); 12] = [
    ("bill_run.start", "provider"),
    ("bill_run.start", "run_id"),
    ("charges.import", "file_name"),
    ("charges.import", "provider"),
    // Checked before it is part of a path.
    ("charges.import", "sha256"),
    ("invoice.correct", "reason"),
    ("invoice.discard", "reason"),
    ("invoice.generate", "provider"),
    ("invoice_status.change", "reason"),
    ("invoices.open", "provider"),
    // Read as a mail, of which the Message-ID is looked up.
    ("mail.bounce", "message"),
    ("mail.bounce", "sha256"),
];
const NO_SHA256: [&str; 8] = [
    "",
    "../../../etc/passwd",
    "%2e%2e%2fetc%2fpasswd",
    "/etc/passwd",
    "http://127.0.0.1/latest/meta-data",
    "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/..",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85\0",
];

async fn office() -> Result<(TestDatabase, Office)> {
    let database = TestDatabase::new().await?;
    let office = Office::open_at(&database.pool, Clock::System).await?;
    Ok((database, office))
}

/// Returns the fields of a payload that hold any text.
fn free_texts(schema: &Value) -> Vec<String> {
    let is_free = |field: &Value| {
        let is_text =
            field["type"] == "string" || field["type"].as_array().is_some_and(|kinds| kinds.contains(&"string".into()));
        is_text && ["format", "pattern", "enum"].iter().all(|bound| field.get(bound).is_none())
    };
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields.filter(|(_, field)| is_free(field)).map(|(name, _)| name.clone()).collect()
}

#[test]
fn each_text_of_a_payload_is_bounded_or_known_to_be_no_place() {
    let found: BTreeSet<(String, String)> = samples()
        .into_iter()
        .flat_map(|sample| {
            let kind = sample.kind.event_type.trim_start_matches("billrunner.").trim_end_matches(".v1").to_owned();
            free_texts(&sample.kind.schema).into_iter().map(move |field| (kind.clone(), field))
        })
        .collect();
    let known = FREE_TEXTS.map(|(kind, field)| (kind.to_owned(), field.to_owned()));
    assert_eq!(found, BTreeSet::from(known));
}

#[test]
fn nothing_but_a_sha256_becomes_part_of_a_path() {
    for text in NO_SHA256 {
        let refused = charge_file_location(text).expect_err(text).to_string();
        assert!(refused.ends_with("is not a sha256; write 64 lower-case hexadecimal digits"), "{refused}");
    }
    let sha256 = "0".repeat(64);
    assert_eq!(charge_file_location(&sha256).ok().map(String::from), Some(format!("charge-files/{sha256}")));
}

#[tokio::test]
async fn a_job_that_names_a_place_elsewhere_is_refused_for_good() -> Result<()> {
    let (_database, office) = office().await?;
    let reseller_id = ResellerId(Uuid::now_v7());
    for text in NO_SHA256.into_iter().filter(|text| !text.contains('\0')) {
        let (sha256, provider) = (text.to_owned(), "aws".to_owned());
        let import = ImportCharges { reseller_id, provider, sha256: sha256.clone(), file_name: text.to_owned() };
        assert!(office.refused(&import).await?.contains("is not a sha256"));
        let bounce = RecordBounce { reseller_id, message: None, sha256: Some(sha256) };
        assert!(office.refused(&bounce).await?.contains("is not a sha256"));
    }
    office.close().await
}

#[tokio::test]
async fn no_job_calls_an_address_that_its_payload_names() -> Result<()> {
    let (_database, office) = office().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/latest/meta-data", listener.local_addr()?);
    for sample in samples() {
        for field in free_texts(&sample.kind.schema) {
            let payload = sample.with(&field, &address.as_str().into());
            let request = RequestId::new("test", Uuid::now_v7());
            let job = office.registry.prepare_kind(
                sample.kind.kind,
                payload,
                request,
                "test".into(),
                JobOptions::default(),
            )?;
            let mut transaction = office.pool.begin().await?;
            let id = jobs::accept(&mut transaction, &job).await?.id();
            jobs::notify_dispatchers(&mut transaction).await?;
            transaction.commit().await?;
            until("an attempt", || async {
                let ended = "SELECT 1 FROM job_attempts WHERE job_id = $1 AND finished_at IS NOT NULL LIMIT 1";
                Ok(sqlx::query_scalar::<_, i32>(ended).bind(id).fetch_optional(&office.pool).await?)
            })
            .await?;
        }
    }
    // Whoever called before would be first.
    let own = TcpStream::connect(listener.local_addr()?).await?;
    let (_, caller) = listener.accept().await?;
    assert_eq!(caller, own.local_addr()?, "somebody called");
    office.close().await
}
