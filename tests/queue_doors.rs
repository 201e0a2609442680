//! The doors: the same request is one job, a bad one is refused with its reason and holds up nobody.

use anyhow::Result;
use billrunner::{
    domain::ids::JobId,
    store::jobs::{AcceptError, Accepted},
};

use crate::support::{
    bench::{Bench, Does, Entries, GROUP, request, task},
    worker::{settings, settled, until, wait_for},
};

const TASK: &str = "test.task.run.v1";

fn work(id: &str) -> Vec<u8> {
    request(id, TASK, r#"{"does":"work"}"#).into_bytes()
}

async fn rejected(bench: &Bench, count: usize) -> Result<Entries> {
    let key = bench.streams.rejected_key();
    until("the rejected requests", || async {
        let entries = bench.entries(&key).await?;
        Ok((entries.len() >= count).then_some(entries))
    })
    .await
}

#[tokio::test]
async fn the_same_job_handed_in_twice_is_one_job() -> Result<()> {
    let bench = Bench::new().await?;
    let first = bench.accept("1", &task(Does::Work, 0)).await?;
    let second = bench.accept("1", &task(Does::Work, 0)).await?;
    assert_eq!(second, Accepted::Repeated(first.id()));
    let other = bench.accept("1", &task(Does::Nothing, 0)).await;
    assert!(matches!(other, Err(AcceptError::Conflict { .. })), "another payload under the same id");
    let worker = bench.start_worker(settings());
    settled(bench.pool()).await?;
    assert_eq!(bench.effects().await?, 1);
    worker.stop().await
}

#[tokio::test]
async fn the_same_request_at_the_redis_door_twice_is_one_job() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    bench.add_request("ce", &work("a")).await?;
    bench.until_count("the first request", "SELECT count(*) FROM suppressed_addresses", 1).await?;
    bench.add_request("ce", &work("a")).await?;
    bench.add_request("ce", request("a", TASK, r#"{"does":"nothing"}"#).as_bytes()).await?;
    let (_, fields) = rejected(&bench, 1).await?.remove(0);
    assert!(fields[1].contains("id `a` of source `shop` was used for another task"), "{}", fields[1]);
    settled(bench.pool()).await?;
    assert_eq!((bench.count("SELECT count(*) FROM jobs").await?, bench.effects().await?), (1, 1));
    worker.stop().await
}

#[tokio::test]
async fn the_same_request_on_the_command_line_twice_is_one_job() -> Result<()> {
    let bench = Bench::new().await?;
    let discard = |invoice: JobId| format!(r#"{{"reseller_id":"{invoice}","invoice_id":"{invoice}"}}"#);
    let payload = discard(JobId::new());
    let arguments = ["enqueue", "discard_invoice", &payload, "--id", "1", "--json"];
    let mut answers = Vec::new();
    for _ in 0..2 {
        let handed_in = bench.billrunner(&arguments).await?;
        assert!(handed_in.status.success(), "{}", String::from_utf8_lossy(&handed_in.stderr));
        answers.push(serde_json::from_slice::<serde_json::Value>(&handed_in.stdout)?);
    }
    assert_eq!((&answers[0]["repeated"], &answers[1]["repeated"]), (&false.into(), &true.into()));
    assert_eq!(answers[0]["job_id"], answers[1]["job_id"]);
    let other = bench.billrunner(&["enqueue", "discard_invoice", &discard(JobId::new()), "--id", "1"]).await?;
    assert_eq!(other.status.code(), Some(4), "another payload under the same id");
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_malformed_request_is_rejected_with_its_reason_and_holds_up_nobody() -> Result<()> {
    let bench = Bench::new().await?;
    bench.add_request("ce", &work("a")).await?;
    let text = |id, kind, data: &str| request(id, kind, data).into_bytes();
    let unknown = "unknown job `test.task.unknown.v1`; known: test.hold.run.v1, test.task.run.v1";
    let nul_in_trace = r#"{"specversion":"1.0","id":"g","source":"shop","type":"test.task.run.v1",
                           "traceparent":"\u0000","data":{"does":"work"}}"#;
    let bad: [(&str, Vec<u8>, &str); 10] = [
        ("ce", b"{not json".to_vec(), "not a CloudEvents JSON envelope"),
        ("ce", vec![0, 159, 146, 150, 255], "not a CloudEvents JSON envelope"),
        ("other", work("x"), "no field `ce`"),
        ("ce", text("b", "test.task.unknown.v1", "{}"), unknown),
        ("ce", text("c", TASK, r#"{"does":"work","colour":"red"}"#), "unknown field `colour`"),
        ("ce", text("d", TASK, r#"{"does":"dance"}"#), "unknown variant `dance`"),
        ("ce", text("", TASK, r#"{"does":"work"}"#), "attribute `id`"),
        ("ce", text("e", TASK, &"x".repeat(70_000)), "at most 65536 are read"),
        ("ce", text("f", TASK, r#"{"does":"work","note":"\u0000"}"#), "the ledger does not take a value of it"),
        ("ce", nul_in_trace.into(), "attribute `traceparent`"),
    ];
    for (field, envelope, _) in &bad {
        bench.add_request(field, envelope).await?;
    }
    bench.add_request("ce", &work("z")).await?;
    let worker = bench.start_worker(settings());
    bench.until_count("both good requests", "SELECT count(*) FROM suppressed_addresses", 2).await?;
    let seen = raw_reasons(&bench, bad.len()).await?;
    for (reason, (_, _, expected)) in seen.iter().zip(&bad) {
        assert!(reason.contains(expected), "{reason} does not say {expected}");
    }
    until("an empty intake", || async {
        Ok(bench.entries(&bench.streams.intake_key()).await?.is_empty().then_some(()))
    })
    .await?;
    worker.stop().await
}

/// Returns the reasons of the rejected requests; what was sent need not be text.
async fn raw_reasons(bench: &Bench, count: usize) -> Result<Vec<String>> {
    type Raw = Vec<(String, Vec<Vec<u8>>)>;
    let key = bench.streams.rejected_key();
    until("the rejected requests", || async {
        let mut redis = bench.streams.connect().await?;
        let entries: Raw = redis::cmd("XRANGE").arg(&key).arg("-").arg("+").query_async(&mut redis).await?;
        let reasons = entries.iter().map(|(_, fields)| String::from_utf8_lossy(&fields[1]).into_owned());
        Ok((entries.len() >= count).then(|| reasons.collect()))
    })
    .await
}

#[tokio::test]
async fn an_entry_that_is_no_job_stops_nobody() -> Result<()> {
    let bench = Bench::new().await?;
    let mut redis = bench.streams.connect().await?;
    let key = bench.streams.lane_key("status");
    for (field, value) in [("job", "no uuid"), ("x", "y")] {
        let _: String = redis::cmd("XADD").arg(&key).arg("*").arg(field).arg(value).query_async(&mut redis).await?;
    }
    let id = bench.hand_in("1", Does::Work, 0).await?;
    let worker = bench.start_worker(settings());
    assert_eq!(wait_for(bench.pool(), id).await?.0.state, "done");
    until("an empty stream", || async { Ok(bench.entries(&key).await?.is_empty().then_some(())) }).await?;
    worker.stop().await
}

#[tokio::test]
async fn a_worker_that_stopped_leaves_no_name_behind() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    bench.add_request("ce", &work("a")).await?;
    bench.until_count("the request", "SELECT count(*) FROM suppressed_addresses", 1).await?;
    worker.stop().await?;
    let mut redis = bench.streams.connect().await?;
    for key in [bench.streams.intake_key(), bench.streams.lane_key("status")] {
        let left: Vec<redis::Value> =
            redis::cmd("XINFO").arg("CONSUMERS").arg(&key).arg(GROUP).query_async(&mut redis).await?;
        assert!(left.is_empty(), "{key}: {left:?}");
    }
    assert_eq!(bench.count("SELECT count(*) FROM workers").await?, 0);
    Ok(())
}
