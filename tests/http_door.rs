//! The HTTP door: what is accepted, repeated, folded and refused, alone and in batches.

use anyhow::{Context, Result};
use billrunner::{domain::ids::JobId, store::jobs::NOTIFY_CHANNEL};
use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use crate::support::{
    bench::{Bench, Does},
    http::{BATCH, Client, Door, EVENT, PROBLEM},
    redis::TestRedis,
    worker::{DEADLINE, settings, settled, wait_for},
};

/// A door, a client that may send everything, and what is behind both.
struct Shop {
    bench: Bench,
    client: Client,
    _door: Door,
}

impl Shop {
    async fn open() -> Result<Self> {
        Self::on(Bench::new().await?).await
    }

    async fn on(bench: Bench) -> Result<Self> {
        let door = Door::open(&bench).await?;
        let client = door.new_client(bench.pool(), "shop").await?;
        Ok(Self { bench, client, _door: door })
    }

    async fn jobs(&self) -> Result<i64> {
        self.bench.count("SELECT count(*) FROM jobs").await
    }
}

fn event(id: &str, does: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "shop", "type": "test.task.run.v1", "data": {"does": does}})
}

fn event_with(id: &str, changes: Value) -> Value {
    let mut event = event(id, "work");
    let (Some(event_members), Value::Object(changes)) = (event.as_object_mut(), changes) else { panic!("objects") };
    event_members.extend(changes);
    event
}

fn id_of(body: &Value) -> Result<JobId> {
    Ok(body["id"].as_str().context("an id")?.parse()?)
}

#[tokio::test]
async fn a_job_handed_in_over_http_is_accepted_runs_and_can_be_asked_for() -> Result<()> {
    let shop = Shop::open().await?;
    let accepted = shop.client.hand_in(&event("1", "work")).await?;
    assert_eq!((accepted.status, accepted.content_type()), (202, "application/json"), "{accepted:?}");
    let body = &accepted.body;
    assert_eq!(
        [&body["kind"], &body["state"], &body["outcome"], &body["queue"]],
        ["task", "scheduled", "accepted", "status"]
    );
    let location = accepted.header("location").context("a location")?;
    assert_eq!(location, format!("/v1/jobs/{}", id_of(body)?));
    assert_eq!(accepted.header("idempotency-replayed"), None);
    let waiting = shop.client.get(location).await?;
    assert_eq!(
        (waiting.status, &waiting.body["state"], &waiting.body["attempts"]),
        (200, &json!("scheduled"), &json!(0))
    );
    let worker = shop.bench.start_worker(settings());
    wait_for(shop.bench.pool(), id_of(body)?).await?;
    let done = shop.client.get(location).await?;
    let body = &done.body;
    assert_eq!([&body["state"], &body["external_id"], &body["source"]], ["done", "1", "shop"], "{body}");
    assert_eq!(
        [&body["attempts"], &body["failed_attempts"], &body["max_attempts"]],
        [1, 0, 3].map(|n| json!(n)).each_ref()
    );
    assert!(
        body["finished_at"].is_string() && body["started_at"].is_string() && body["last_error"].is_null(),
        "{body}"
    );
    assert_eq!(shop.bench.effects().await?, 1);
    worker.stop().await
}

#[tokio::test]
async fn a_job_that_failed_says_so_to_its_owner() -> Result<()> {
    let shop = Shop::open().await?;
    let accepted = shop.client.hand_in(&event("1", "fail_permanently")).await?;
    let worker = shop.bench.start_worker(settings());
    wait_for(shop.bench.pool(), id_of(&accepted.body)?).await?;
    let dead = shop.client.get(accepted.header("location").context("a location")?).await?.body;
    assert_eq!([&dead["state"], &dead["last_error"]], ["dead", "it never will"]);
    worker.stop().await
}

#[tokio::test]
async fn progress_is_shown_to_the_owner() -> Result<()> {
    let shop = Shop::open().await?;
    let accepted = shop.client.hand_in(&event("1", "work")).await?;
    let report = "UPDATE jobs SET progress_done = 3, progress_total = 9, progress_note = 'invoices' WHERE id = $1";
    sqlx::query(report).bind(id_of(&accepted.body)?).execute(shop.bench.pool()).await?;
    let shown = shop.client.get(accepted.header("location").context("a location")?).await?.body;
    assert_eq!(shown["progress"], json!({"done": 3, "total": 9, "note": "invoices"}));
    Ok(())
}

#[tokio::test]
async fn the_same_request_again_is_the_same_job_and_another_payload_a_conflict() -> Result<()> {
    let shop = Shop::open().await?;
    let first = shop.client.hand_in(&event("1", "work")).await?;
    let again = shop.client.hand_in(&event_with("1", json!({"time": "2026-08-31T00:00:00Z", "priority": 3}))).await?;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!((&again.body["id"], &again.body["outcome"]), (&first.body["id"], &json!("repeated")));
    assert_eq!(again.header("location"), first.header("location"));
    let other = shop.client.hand_in(&event("1", "nothing")).await?;
    assert_eq!((other.status, other.content_type(), other.pointers()), (409, PROBLEM, vec!["/id"]));
    assert!(other.detail().contains("id `1` of source `shop` was used for another task"), "{}", other.detail());
    assert_eq!(shop.jobs().await?, 1);
    let worker = shop.bench.start_worker(settings());
    settled(shop.bench.pool()).await?;
    let late = shop.client.hand_in(&event("1", "work")).await?;
    assert_eq!((late.status, &late.body["state"]), (200, &json!("done")), "a repeat says how the job stands now");
    worker.stop().await
}

#[tokio::test]
async fn a_job_is_folded_into_the_holder_of_its_dedupe_key_and_told_so() -> Result<()> {
    let shop = Shop::open().await?;
    let holder = shop.client.hand_in(&event_with("1", json!({"dedupekey": "k".repeat(200)}))).await?;
    let folded = shop
        .client
        .hand_in(&event_with("2", json!({"dedupekey": "k".repeat(200), "data": {"does": "nothing"}})))
        .await?;
    assert_eq!((folded.status, folded.header("idempotency-replayed")), (200, Some("true")), "{folded:?}");
    assert_eq!((&folded.body["id"], &folded.body["outcome"]), (&holder.body["id"], &json!("folded")));
    assert_eq!(shop.jobs().await?, 1);
    Ok(())
}

#[tokio::test]
async fn every_attribute_reaches_the_ledger() -> Result<()> {
    let shop = Shop::open().await?;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let event = event_with(
        "1",
        json!({"source": "shop/till 3", "runat": "2199-01-01T00:00:00+01:00", "priority": -100, "dedupekey": "k",
               "queue": "billing.aws", "traceparent": traceparent, "subject": "x", "anything": 1}),
    );
    assert_eq!(shop.client.hand_in(&event).await?.status, 202);
    let query =
        "SELECT concat_ws(' ', source, run_at AT TIME ZONE 'UTC', priority, dedupe_key, queue, traceparent) FROM jobs";
    let recorded: String = sqlx::query_scalar(query).fetch_one(shop.bench.pool()).await?;
    assert_eq!(recorded, format!("shop/till 3 2198-12-31 23:00:00 -100 shop/k billing.aws {traceparent}"));
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_a_status_a_pointer_and_the_way_out() -> Result<()> {
    let shop = Shop::open().await?;
    let wrong = |changes| event_with("1", changes).to_string().into_bytes();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let cases: [(&str, Vec<u8>, u16, &str, &str); 22] = [
        (EVENT, b"{".to_vec(), 400, "", "EOF while parsing"),
        (EVENT, b"".to_vec(), 400, "", "EOF while parsing"),
        (EVENT, vec![0, 159, 146, 150, 255], 400, "", "not a CloudEvents JSON envelope"),
        (EVENT, br#"{"specversion":"1.0","id":"\u00"}"#.to_vec(), 400, "", "invalid escape"),
        (EVENT, [br#"{"specversion":"1.0","id":""#.as_slice(), &[0xc3, 0x28], b"\"}"].concat(), 400, "", "unicode"),
        (EVENT, deep.clone().into_bytes(), 400, "", "invalid type: sequence"),
        (EVENT, format!(r#"{{"specversion":"1.0","data":{deep}}}"#).into_bytes(), 400, "", "recursion limit exceeded"),
        (EVENT, br#"{"specversion":"1.0","priority":1e999}"#.to_vec(), 400, "", "number out of range"),
        (EVENT, b"[]".to_vec(), 400, "", "not a CloudEvents JSON envelope"),
        (EVENT, wrong(json!({"data": {"does": "x".repeat(65_536)}})), 413, "", "at most 65536 are read"),
        (
            "text/plain",
            b"{}".to_vec(),
            415,
            "",
            "content-type `text/plain` is not read; known: application/cloudevents+json",
        ),
        ("application/json; charset=latin1", b"{}".to_vec(), 415, "", "all in utf-8"),
        (EVENT, wrong(json!({"data": {"does": "dance"}})), 422, "/data/does", "unknown variant `dance`"),
        (EVENT, wrong(json!({"data": {"does": "work", "times": "3"}})), 422, "/data/times", "string \"3\""),
        (EVENT, wrong(json!({"data": {"does": "work", "times": 1e18}})), 422, "/data/times", "1e"),
        (EVENT, wrong(json!({"data": {}})), 422, "/data", "missing field `does`"),
        (EVENT, wrong(json!({"data": {"does": "work", "note": "\u{0}"}})), 422, "/data", "the ledger does not take"),
        (EVENT, wrong(json!({"id": "1\r\nlocation: http://elsewhere"})), 422, "/id", "none of them control"),
        (EVENT, wrong(json!({"priority": 200})), 422, "/priority", "is 200; it goes from -100 to 100"),
        (EVENT, wrong(json!({"type": "test.task.run.v2"})), 422, "/type", "known: test.hold.run.v1, test.task.run.v1"),
        (
            EVENT,
            wrong(json!({"queue": "billing.azure"})),
            422,
            "/queue",
            "known: billing, status, documents, mail, upkeep, billing.aws",
        ),
        (EVENT, wrong(json!({"traceparent": "\u{0}"})), 422, "/traceparent", "no W3C trace context"),
    ];
    for (media_type, body, status, pointer, words) in cases {
        let refused = shop.client.post(media_type, &body).await?;
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        assert_eq!((refused.status, refused.content_type()), (status, PROBLEM), "{shown}: {refused:?}");
        assert_eq!(refused.pointers(), if pointer.is_empty() { vec![] } else { vec![pointer] }, "{shown}");
        assert!(refused.detail().contains(words), "{shown}: {}", refused.detail());
        assert_eq!(refused.body["status"], status);
        assert!(refused.body["type"].as_str().is_some_and(|name| name.starts_with("urn:billrunner:problem:")));
    }
    let gzip = shop
        .client
        .send("POST", "/v1/jobs", &format!("content-type: {EVENT}\r\ncontent-encoding: gzip\r\n"), b"x")
        .await?;
    assert_eq!(gzip.status, 415);
    assert_eq!(shop.jobs().await?, 0);
    Ok(())
}

#[tokio::test]
async fn each_item_of_a_batch_is_answered_as_it_would_be_alone() -> Result<()> {
    let shop = Shop::open().await?;
    assert_eq!(shop.client.hand_in(&event("earlier", "work")).await?.status, 202);
    let items = json!([
        event("a", "work"),
        event("a", "work"),
        event("a", "nothing"),
        event("b", "dance"),
        event_with("c", json!({"data": {"does": "work", "note": "\u{0}"}})),
        event("earlier", "work"),
        7,
        event_with("d", json!({"source": "other"})),
        event_with("e", json!({"data": {"does": "work", "note": "x".repeat(65_536)}})),
        event_with("f", json!({"dedupekey": "k"})),
        event_with("g", json!({"dedupekey": "k"})),
        event("h", "work"),
    ]);
    for media_type in [BATCH, "Application/JSON; charset=\"UTF-8\""] {
        let answer = shop.client.post(media_type, items.to_string()).await?;
        assert_eq!((answer.status, answer.content_type()), (200, "application/json"), "{answer:?}");
        let results = answer.body["results"].as_array().context("results")?;
        let statuses: Vec<i64> = results.iter().filter_map(|result| result["status"].as_i64()).collect();
        let first_time = media_type == BATCH;
        let new = if first_time { 202 } else { 200 };
        assert_eq!(statuses, [new, 200, 409, 422, 422, 200, 400, 403, 413, new, 200, new]);
        assert_eq!(results[1]["job"]["id"], results[0]["job"]["id"]);
        assert_eq!(results[10]["job"]["outcome"], "folded");
        assert_eq!(results[3]["problem"]["errors"][0]["pointer"], "/data/does");
        assert_eq!(results[5]["job"]["outcome"], "repeated");
        assert!(results[4]["job"].is_null() && results[0]["problem"].is_null());
    }
    assert_eq!(shop.jobs().await?, 4);
    Ok(())
}

#[tokio::test]
async fn a_batch_has_500_items_at_most_and_is_recorded_whole() -> Result<()> {
    let shop = Shop::open().await?;
    let batch = |count: usize| Value::Array((0..count).map(|n| event(&n.to_string(), "nothing")).collect()).to_string();
    let refused = shop.client.post(BATCH, batch(501)).await?;
    assert_eq!((refused.status, refused.content_type()), (413, PROBLEM));
    assert!(refused.detail().contains("the batch has 501 items; send 500 at most"), "{}", refused.detail());
    assert_eq!(shop.jobs().await?, 0);
    let accepted = shop.client.post(BATCH, batch(500)).await?;
    let results = accepted.body["results"].as_array().context("results")?;
    assert!(results.len() == 500 && results.iter().all(|result| result["status"] == 202), "{results:?}");
    assert_eq!(shop.client.post(BATCH, "[]").await?.body, json!({"results": []}));
    assert_eq!(shop.client.post(BATCH, "{}").await?.status, 400);
    assert_eq!(shop.client.post("application/json", event("alone", "nothing").to_string()).await?.status, 202);
    let worker = shop.bench.start_worker(settings());
    settled(shop.bench.pool()).await?;
    assert_eq!(shop.bench.count("SELECT count(*) FROM jobs WHERE state = 'done'").await?, 501);
    worker.stop().await
}

#[tokio::test]
async fn a_job_accepted_while_redis_is_away_runs_when_it_is_back() -> Result<()> {
    let mut redis = TestRedis::start().await?;
    let shop = Shop::on(Bench::on(redis.streams()?).await?).await?;
    let worker = shop.bench.start_worker(settings());
    let before = shop.bench.hand_in("before", Does::Work, 0).await?;
    wait_for(shop.bench.pool(), before).await?;
    redis.kill()?;
    let ready = shop.client.send("GET", "/readyz", "", b"").await?;
    assert_eq!(ready.status, 200, "a balancer that asks sends nobody away: {ready:?}");
    let accepted = shop.client.hand_in(&event("1", "work")).await?;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    assert_ne!(shop.client.get(accepted.header("location").context("a location")?).await?.body["state"], "done");
    redis.restart().await?;
    assert_eq!(wait_for(shop.bench.pool(), id_of(&accepted.body)?).await?.0.state, "done");
    worker.stop().await
}

#[tokio::test]
async fn workers_are_told_of_a_job_once_it_is_accepted() -> Result<()> {
    let shop = Shop::open().await?;
    let mut worker = PgListener::connect_with(shop.bench.pool()).await?;
    worker.listen(NOTIFY_CHANNEL).await?;
    assert_eq!(shop.client.hand_in(&event("1", "work")).await?.status, 202);
    tokio::time::timeout(DEADLINE, worker.recv()).await.context("nobody was told")??;
    assert_eq!(shop.jobs().await?, 1, "told when it was there to see");
    Ok(())
}
