//! The `OpenAPI` document says what the server does: every answer it gives is described, and every one described given.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use billrunner::store::database;
use serde_json::{Value, json};

use crate::support::{
    bench::Bench,
    business::database_url,
    http::{Answer, BATCH, Door, EVENT, add_client, create_key},
    proxy::Proxy,
};

type Described = BTreeSet<(String, String, u16, String)>;

/// Returns every answer that the document describes: path, method, status, media type.
fn described(document: &Value) -> Result<Described> {
    let mut found = Described::new();
    for (path, methods) in document["paths"].as_object().context("paths")? {
        for (method, operation) in methods.as_object().context("methods")? {
            for (status, response) in operation["responses"].as_object().context("responses")? {
                for media_type in response["content"].as_object().context("content")?.keys() {
                    found.insert((path.clone(), method.to_uppercase(), status.parse()?, media_type.clone()));
                }
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn the_document_describes_every_answer_and_no_other() -> Result<()> {
    let bench = Bench::new().await?;
    let proxy = Proxy::to(&database_url(bench.pool()).await?)?;
    let pool = database::connect(&proxy.url().into(), 5).await?;
    let door = Door::open_to(&pool, bench.streams.clone(), bench.registry.envelope_reader()).await?;
    let client = door.new_client(bench.pool(), "shop").await?;
    let document = client.get("/openapi.json").await?;
    assert_eq!((document.status, &document.body["openapi"]), (200, &json!("3.1.0")));
    let document = document.body;

    let work = |id: &str| json!({"specversion": "1.0", "id": id, "source": "shop", "type": "test.task.run.v1", "data": {"does": "work"}});
    let (mut conflict, mut invalid, mut foreign) = (work("1"), work("2"), work("3"));
    conflict["data"]["does"] = "nothing".into();
    invalid["priority"] = 500.into();
    foreign["source"] = "other".into();
    add_client(bench.pool(), "slow", None, (1, 2)).await?;
    let slow = door.client(&create_key(bench.pool(), "slow").await?.1);
    let stranger = door.client("br_no_key");
    let accepted = client.hand_in(&work("1")).await?;
    let location = accepted.header("location").context("a location")?.to_owned();
    let mut posts = vec![
        accepted,
        client.hand_in(&work("1")).await?,
        client.post(BATCH, json!([work("4")]).to_string()).await?,
        client.post("application/json", work("5").to_string()).await?,
        client.hand_in(&conflict).await?,
        client.hand_in(&invalid).await?,
        client.hand_in(&foreign).await?,
        client.post(EVENT, "{").await?,
        client.post(EVENT, " ".repeat(65_537)).await?,
        client.post("text/plain", "x").await?,
        client.send("POST", "/v1/jobs", &format!("content-type: {EVENT}\r\ncontent-length: 9\r\n"), b"").await?,
        stranger.hand_in(&work("1")).await?,
        client.send("PUT", "/v1/jobs", "", b"").await?,
    ];
    let mut gets = vec![
        client.get(&location).await?,
        client.get("/v1/jobs/1").await?,
        stranger.get(&location).await?,
        client.send("PUT", &location, "", b"").await?,
        slow.get("/v1/jobs/1").await?,
        slow.get("/v1/jobs/1").await?,
        slow.get("/v1/jobs/1").await?,
    ];
    posts.push(slow.hand_in(&work("1")).await?);
    proxy.fall_silent();
    posts.push(client.hand_in(&work("6")).await?);
    gets.push(client.get(&location).await?);

    let seen = |path: &str, method: &str, answers: Vec<Answer>| {
        let (path, method) = (path.to_owned(), method.to_owned());
        answers
            .into_iter()
            .map(move |answer| (path.clone(), method.clone(), answer.status, answer.content_type().to_owned()))
    };
    let seen: Described = seen("/v1/jobs", "POST", posts).chain(seen("/v1/jobs/{id}", "GET", gets)).collect();
    assert_eq!(seen, described(&document)?);

    let taken = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"].as_object().context("media types")?;
    let taken: BTreeSet<&str> = taken.keys().map(String::as_str).collect();
    assert_eq!(taken, BTreeSet::from([BATCH, EVENT, "application/json"]));
    Ok(())
}

#[tokio::test]
async fn the_document_describes_the_members_that_are_answered() -> Result<()> {
    let bench = Bench::new().await?;
    let door = Door::open(&bench).await?;
    let client = door.new_client(bench.pool(), "shop").await?;
    let document = client.get("/openapi.json").await?.body;
    let printed = bench.billrunner(&["openapi"]).await?;
    assert_eq!(
        serde_json::from_slice::<Value>(&printed.stdout)?,
        document,
        "the command prints what the server serves"
    );
    let work = json!({"specversion": "1.0", "id": "1", "source": "shop", "type": "test.task.run.v1", "data": {"does": "work"}});
    let accepted = client.hand_in(&work).await?;
    let job = client.get(accepted.header("location").context("a location")?).await?;
    let batch = client.post(BATCH, json!([work, 7]).to_string()).await?;
    let problem = &batch.body["results"][1]["problem"];
    for (name, shown) in
        [("Receipt", &accepted.body), ("JobView", &job.body), ("BatchAnswer", &batch.body), ("Problem", problem)]
    {
        let schema = &document["components"]["schemas"][name];
        let members: BTreeSet<&String> = schema["properties"].as_object().context(name)?.keys().collect();
        let shown: BTreeSet<&String> = shown.as_object().context(name)?.keys().collect();
        assert!(shown.is_subset(&members), "{name}: {shown:?} is not in {members:?}");
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(
            required.iter().filter_map(Value::as_str).all(|member| shown.iter().any(|name| *name == member)),
            "{schema}"
        );
    }
    let envelope = &document["components"]["schemas"]["Envelope"];
    assert_eq!(envelope["required"], json!(["specversion", "id", "source", "type", "data"]));
    let members: Vec<&str> =
        envelope["properties"].as_object().context("members")?.keys().map(String::as_str).collect();
    let expected = [
        "data",
        "datacontenttype",
        "dataschema",
        "dedupekey",
        "id",
        "priority",
        "queue",
        "runat",
        "source",
        "specversion",
        "subject",
        "time",
        "traceparent",
        "type",
    ];
    assert_eq!(members, expected);
    assert!(document.to_string().contains("/schemas/"), "it says where the payloads are described");
    Ok(())
}
