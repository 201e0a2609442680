//! Who may come through the HTTP door: keys, scopes, rates; and what a server does whose Postgres or client is gone.

use std::time::Duration;

use anyhow::{Context, Result};
use billrunner::store::{
    api_keys::{self, CreatedKey},
    database,
};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{
    bench::Bench,
    business::database_url,
    http::{BATCH, Client, Door, EVENT, PROBLEM, add_client, create_key, exchange, timed},
    proxy::Proxy,
    worker::{DEADLINE, until},
};

/// Within which a server whose Postgres is away answers; it gives Postgres two seconds.
const PROMISED: Duration = Duration::from_secs(4);

fn event(source: &str, id: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": source, "type": "test.task.run.v1", "data": {"does": "work"}})
}

async fn open() -> Result<(Bench, Door)> {
    let bench = Bench::new().await?;
    let door = Door::open(&bench).await?;
    Ok((bench, door))
}

#[tokio::test]
async fn nobody_comes_in_without_a_key_that_is_good() -> Result<()> {
    let (bench, door) = open().await?;
    let good = door.new_client(bench.pool(), "shop").await?;
    assert_eq!(good.hand_in(&event("shop", "1")).await?.status, 202);
    let key = good.authorization.trim_start_matches("Bearer ").to_owned();
    let other_secret = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
    let unknown_id = format!("br_{}{}", uuid::Uuid::now_v7().simple(), &key[35..]);
    let bad = [
        format!("Bearer {other_secret}"),
        format!("Bearer {unknown_id}"),
        "Bearer ".to_owned(),
        "Bearer br__".to_owned(),
        format!("Basic {key}"),
        key.clone(),
        format!("Bearer {key}0"),
        "Bearer \u{ff}".to_owned(),
    ];
    for authorization in bad {
        let stranger = Client { authorization: authorization.clone(), ..good.clone() };
        for answer in [stranger.hand_in(&event("shop", "2")).await?, stranger.get("/v1/jobs/1").await?] {
            assert_eq!((answer.status, answer.content_type()), (401, PROBLEM), "{authorization}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"billrunner\""));
            assert!(!answer.body.to_string().contains(&key[36..60]), "{}", answer.body);
        }
    }
    let head = format!("POST /v1/jobs HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: {EVENT}\r\n\r\n");
    assert_eq!(exchange(door.address, head.as_bytes()).await?.status, 401);
    let scheme = Client { authorization: format!("bearer   {key}"), ..good };
    assert_eq!(scheme.hand_in(&event("shop", "1")).await?.status, 200, "the scheme's case and spaces do not matter");
    Ok(())
}

#[tokio::test]
async fn two_clients_neither_see_nor_disturb_each_other() -> Result<()> {
    let (bench, door) = open().await?;
    let shop = door.new_client(bench.pool(), "shop").await?;
    let shopping = door.new_client(bench.pool(), "shopping").await?;
    let with_key = |source: &str| {
        let mut event = event(source, "1");
        event["dedupekey"] = "nightly".into();
        event
    };
    let (ours, theirs) = (shop.hand_in(&with_key("shop")).await?, shopping.hand_in(&with_key("shopping")).await?);
    assert_eq!((ours.status, theirs.status), (202, 202), "the same id and dedupe key are two jobs: {theirs:?}");
    let location = ours.header("location").context("a location")?;
    assert_eq!(shop.get(location).await?.status, 200);
    let hidden = shopping.get(location).await?;
    assert_eq!((hidden.status, hidden.content_type()), (404, PROBLEM));
    let nothing = shopping.get(&format!("/v1/jobs/{}", uuid::Uuid::now_v7())).await?;
    assert_eq!((nothing.status, &nothing.body["detail"]), (404, &hidden.body["detail"]), "no hint that there is one");
    for foreign in ["shop", "shop/x", "Shopping", "shoppings", ""] {
        let refused = shopping.hand_in(&event(foreign, "2")).await?;
        let expected = if foreign.is_empty() { (422, vec!["/source"]) } else { (403, vec!["/source"]) };
        assert_eq!((refused.status, refused.pointers()), expected, "{foreign}");
    }
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_client_sends_only_the_kinds_it_may() -> Result<()> {
    let (bench, door) = open().await?;
    add_client(bench.pool(), "shop", Some(&["hold".to_owned()]), (6000, 1000)).await?;
    let client = door.client(&create_key(bench.pool(), "shop").await?.1);
    let refused = client.hand_in(&event("shop", "1")).await?;
    assert_eq!((refused.status, refused.pointers()), (403, vec!["/type"]));
    assert!(refused.detail().contains("may not send task; it may send hold"), "{}", refused.detail());
    let mut hold = event("shop", "1");
    hold["type"] = "test.hold.run.v1".into();
    hold["data"] = json!({"lane": "aws"});
    assert_eq!(client.hand_in(&hold).await?.status, 202);
    Ok(())
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_problems_too() -> Result<()> {
    let (bench, door) = open().await?;
    let client = door.new_client(bench.pool(), "shop").await?;
    for path in ["/v1/jobs/", "/v1/jobs/1", "/v1/jobs/%00", "/v1/jobs/%0d%0ax:y", "/v1/nothing", "/v1/jobs/1/2"] {
        let answer = client.get(path).await?;
        assert_eq!((answer.status, answer.content_type()), (404, PROBLEM), "{path}");
    }
    for (method, path, allowed) in
        [("DELETE", "/v1/jobs", "POST"), ("GET", "/v1/jobs", "POST"), ("PUT", "/v1/jobs/1", "GET,HEAD")]
    {
        let answer = client.send(method, path, "", b"").await?;
        assert_eq!((answer.status, answer.content_type(), answer.header("allow")), (405, PROBLEM, Some(allowed)));
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_sends_too_fast_is_told_when_to_go_on_and_slows_no_other() -> Result<()> {
    let (bench, door) = open().await?;
    add_client(bench.pool(), "shop", None, (1, 3)).await?;
    let client = door.client(&create_key(bench.pool(), "shop").await?.1);
    for n in 0..3 {
        assert_eq!(client.hand_in(&event("shop", &n.to_string())).await?.status, 202);
    }
    let refused = client.hand_in(&event("shop", "4")).await?;
    assert_eq!((refused.status, refused.content_type()), (429, PROBLEM));
    let wait: u64 = refused.header("retry-after").context("Retry-After")?.parse()?;
    assert!((50..=60).contains(&wait), "one a minute, but {wait} s");
    assert_eq!(client.get("/v1/jobs/1").await?.status, 429);
    let second_key = door.client(&create_key(bench.pool(), "shop").await?.1);
    assert_eq!(second_key.get("/v1/jobs/1").await?.status, 429, "the limit is the client's, not the key's");
    let other = door.new_client(bench.pool(), "other").await?;
    assert_eq!(other.hand_in(&event("other", "1")).await?.status, 202);
    Ok(())
}

#[tokio::test]
async fn a_batch_spends_as_much_as_its_items() -> Result<()> {
    let (bench, door) = open().await?;
    add_client(bench.pool(), "shop", None, (1, 4)).await?;
    let client = door.client(&create_key(bench.pool(), "shop").await?.1);
    let batch =
        |range: std::ops::Range<i32>| Value::Array(range.map(|n| event("shop", &n.to_string())).collect()).to_string();
    let never = client.post(BATCH, batch(0..6)).await?;
    assert_eq!(never.status, 413, "{never:?}");
    assert!(never.detail().contains("may send 4 jobs at once; send smaller batches"), "{}", never.detail());
    assert_eq!(client.post(BATCH, batch(0..3)).await?.status, 200);
    assert_eq!(client.post(BATCH, batch(3..5)).await?.status, 429);
    Ok(())
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_after_a_few_seconds_and_the_other_goes_on() -> Result<()> {
    let (bench, door) = open().await?;
    let pool = bench.pool();
    add_client(pool, "shop", None, (60_000, 5000)).await?;
    let ((old_id, old), (_, new)) = (create_key(pool, "shop").await?, create_key(pool, "shop").await?);
    for key in [&old, &new] {
        assert_eq!(door.client(key).get("/v1/jobs/1").await?.status, 404);
    }
    assert_eq!(api_keys::revoke(&mut *pool.acquire().await?, old_id).await?.as_deref(), Some("shop"));
    let closed = until("the revoked key to open nothing", || async {
        Ok((door.client(&old).get("/v1/jobs/1").await?.status == 401).then_some(()))
    });
    let (took, closed) = timed(closed).await;
    closed?;
    assert!(took < Duration::from_secs(7), "{took:?}");
    assert_eq!(door.client(&new).get("/v1/jobs/1").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_key_that_expires_opens_nothing_from_that_moment() -> Result<()> {
    let (bench, door) = open().await?;
    let pool = bench.pool();
    add_client(pool, "shop", None, (60_000, 5000)).await?;
    let (id, key) = create_key(pool, "shop").await?;
    let expire = "UPDATE api_keys SET expires_at = now() + interval '1 second' WHERE id = $1";
    sqlx::query(expire).bind(id).execute(&mut bench.database.connect_as_owner().await?).await?;
    assert_eq!(door.client(&key).get("/v1/jobs/1").await?.status, 404);
    let closed = until("the key to expire", || async {
        Ok((door.client(&key).get("/v1/jobs/1").await?.status == 401).then_some(()))
    });
    let (took, closed) = timed(closed).await;
    closed?;
    assert!(took < Duration::from_secs(4), "{took:?}: it was remembered longer than it was good");
    Ok(())
}

#[tokio::test]
async fn the_database_takes_no_third_active_key_and_no_secret() -> Result<()> {
    let (bench, _door) = open().await?;
    let pool = bench.pool();
    add_client(pool, "shop", None, (1, 1)).await?;
    let (first, text) = create_key(pool, "shop").await?;
    create_key(pool, "shop").await?;
    let mut transaction = pool.begin().await?;
    let third =
        api_keys::create(&mut transaction, "shop", billrunner::domain::ids::ApiKeyId::new(), &[0; 32], None).await?;
    assert_eq!(third, CreatedKey::BothSlotsTaken);
    transaction.rollback().await?;
    let code = |refused: sqlx::Result<_>| -> Option<String> {
        let error: sqlx::Error = refused.map(|_: sqlx::postgres::PgQueryResult| ()).expect_err("refused");
        error.as_database_error()?.code().map(Into::into)
    };
    // Whoever asks: SQLSTATE unique_violation, and check_violation for a slot that there is not.
    for (slot, expected) in [(1_i16, "23505"), (2, "23505"), (3, "23514")] {
        let insert = "INSERT INTO api_keys (id, client, slot, secret_hash) VALUES (gen_random_uuid(), 'shop', $1, $2)";
        let refused = sqlx::query(insert).bind(slot).bind([0_u8; 32].as_slice()).execute(pool).await;
        assert_eq!(code(refused).as_deref(), Some(expected), "slot {slot}");
    }
    let replace = sqlx::query("UPDATE api_keys SET secret_hash = $1").bind([0_u8; 32].as_slice()).execute(pool).await;
    assert_eq!(code(replace).as_deref(), Some("42501"), "a stored hash is replaced by nobody who works for the queue");
    let rows = "SELECT string_agg(api_keys::text, ' ') FROM api_keys";
    let stored: String = sqlx::query_scalar(rows).fetch_one(pool).await?;
    assert!(!stored.contains(&text[36..]), "the secret is in the database");
    api_keys::revoke(&mut *pool.acquire().await?, first).await?;
    create_key(pool, "shop").await?;
    Ok(())
}

#[tokio::test]
async fn a_key_says_when_it_was_used_last() -> Result<()> {
    let (bench, door) = open().await?;
    let client = door.new_client(bench.pool(), "shop").await?;
    let unused = api_keys::list(&mut *bench.pool().acquire().await?, None).await?;
    assert!(unused[0].last_used_at.is_none());
    client.get("/v1/jobs/1").await?;
    let used = api_keys::list(&mut *bench.pool().acquire().await?, Some("shop")).await?;
    let last_used_at = used[0].last_used_at.context("used")?;
    assert_eq!(last_used_at.timestamp() % 60, 0, "to the minute");
    Ok(())
}

#[tokio::test]
async fn without_postgres_the_door_says_so_in_time() -> Result<()> {
    let bench = Bench::new().await?;
    let proxy = Proxy::to(&database_url(bench.pool()).await?)?;
    let pool: PgPool = database::connect(&proxy.url().into(), 5).await?;
    let door = Door::open_to(&pool, bench.streams.clone(), bench.registry.envelope_reader()).await?;
    let client = door.new_client(bench.pool(), "shop").await?;
    let accepted = client.hand_in(&event("shop", "1")).await?;
    let location = accepted.header("location").context("a location")?;
    let unseen = door.client(&create_key(bench.pool(), "shop").await?.1);
    proxy.fall_silent();
    let (again, asked) = (event("shop", "1"), event("shop", "2"));
    let answers = futures::future::try_join_all([
        Box::pin(timed_answer(client.hand_in(&again))) as futures::future::BoxFuture<_>,
        Box::pin(timed_answer(client.hand_in(&asked))),
        Box::pin(timed_answer(client.get(location))),
        Box::pin(timed_answer(unseen.get(location))),
    ]);
    for (took, answer) in answers.await? {
        assert_eq!((answer.status, answer.content_type(), answer.header("retry-after")), (503, PROBLEM, Some("5")));
        assert!(took < PROMISED, "{took:?}");
    }
    Ok(())
}

async fn timed_answer(
    asking: impl Future<Output = Result<crate::support::http::Answer>>,
) -> Result<(Duration, crate::support::http::Answer)> {
    let (took, answer) = timed(asking).await;
    Ok((took, answer?))
}

#[tokio::test]
async fn after_postgres_hung_up_the_door_goes_on() -> Result<()> {
    let (bench, door) = open().await?;
    let client = door.new_client(bench.pool(), "shop").await?;
    assert_eq!(client.hand_in(&event("shop", "1")).await?.status, 202);
    bench.database.end_connections().await?;
    assert_eq!(client.hand_in(&event("shop", "2")).await?.status, 202);
    Ok(())
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_and_one_too_large_not_read() -> Result<()> {
    let (bench, door) = open().await?;
    let client = door.new_client(bench.pool(), "shop").await?;
    let head = |more: &str| {
        format!(
            "POST /v1/jobs HTTP/1.1\r\nhost: test\r\nauthorization: {}\r\ncontent-type: {BATCH}\r\n{more}\r\n\r\n",
            client.authorization
        )
    };
    // Announced, and not a byte of it sent: refused by what it says.
    let (took, announced) = timed(exchange(door.address, head("content-length: 4194305").as_bytes())).await;
    assert_eq!(announced?.status, 413);
    assert!(took < Duration::from_secs(5), "{took:?}");
    // Not announced: refused when the limit is reached, which is well before its end.
    let chunk = format!("100000\r\n{}\r\n", "[".repeat(0x0010_0000));
    let endless = head("transfer-encoding: chunked") + &chunk.repeat(5);
    assert_eq!(exchange(door.address, endless.as_bytes()).await?.status, 413);
    let slow = head("content-length: 100") + "[";
    let (took, late) = timed(exchange(door.address, slow.as_bytes())).await;
    let late = late?;
    assert_eq!((late.status, late.content_type()), (408, PROBLEM));
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn clients_and_keys_are_managed_on_the_command_line() -> Result<()> {
    let (bench, door) = open().await?;
    let run = async |line: &str, code: i32, words: &str| -> Result<Value> {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = bench.billrunner(&arguments).await?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        assert!(said.contains(words), "{line}: {said}");
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    };
    run("api-clients add Shop!", 2, "`Shop!` is no name for a client").await?;
    run("api-clients add shop --kind dance", 2, "unknown kind of job `dance`; known: change_invoice_status").await?;
    run("api-clients add shop --source billrunner/x", 2, "reserved").await?;
    run("api-clients add shop --kind discard_invoice", 0, "client shop is added").await?;
    run("api-clients add shop", 4, "client `shop` exists already").await?;
    run("api-clients change shop --source shop --source erp --all-kinds --burst 7", 0, "is changed").await?;
    let listed = run("api-clients list --json", 0, "").await?;
    let shown = [&listed[0]["kinds"], &listed[0]["sources"], &listed[0]["burst"], &listed[0]["rate_per_minute"]];
    assert_eq!(shown, [&Value::Null, &json!(["shop", "erp"]), &json!(7), &json!(6000)]);
    run("api-keys create other", 3, "client `other` does not exist").await?;
    run("api-keys create shop --expires-at 2001-01-01T00:00:00Z", 2, "is past").await?;
    let created = run("api-keys create shop --expires-at 2199-01-01T00:00:00Z --json", 0, "").await?;
    let key = created["key"].as_str().context("a key")?;
    assert_eq!(door.client(key).hand_in(&event("erp/eu", "1")).await?.status, 202);
    run("api-keys create shop", 0, "it is not shown again").await?;
    run("api-keys create shop", 4, "client `shop` has two active keys; revoke one").await?;
    let listed = bench.billrunner(&["api-keys", "list", "shop", "--json"]).await?;
    let listed = String::from_utf8(listed.stdout)?;
    assert!(listed.contains("2199-01-01") && !listed.contains(&key[36..50]), "{listed}");
    let revoke = format!("api-keys revoke {}", created["id"].as_str().context("an id")?);
    run(&revoke, 0, "of client shop is revoked").await?;
    run(&revoke, 3, "no active key has the id").await?;
    run("api-keys create shop", 0, "br_").await?;
    run("api-clients remove shop", 0, "client shop is removed").await?;
    run("api-clients remove shop", 3, "client `shop` does not exist").await?;
    run("api-clients change shop --burst 1", 3, "client `shop` does not exist").await?;
    assert_eq!(bench.count("SELECT count(*) FROM api_keys").await?, 0);
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 1, "its jobs stay");
    Ok(())
}

#[tokio::test]
async fn no_secret_reaches_the_log_of_a_web_process() -> Result<()> {
    let bench = Bench::new().await?;
    add_client(bench.pool(), "shop", None, (6000, 1000)).await?;
    let (id, key) = create_key(bench.pool(), "shop").await?;
    let mut web = tokio::process::Command::new(env!("CARGO_BIN_EXE_billrunner"))
        .arg("web")
        .env("DATABASE_URL", database_url(bench.pool()).await?)
        .env("REDIS_URL", "redis+unix:///nowhere")
        .env("BILLRUNNER_HTTP_ADDRESS", "127.0.0.1:0")
        .env("BILLRUNNER_LOG", "trace")
        .env("BILLRUNNER_LOG_FORMAT", "json")
        .stderr(std::process::Stdio::piped())
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(web.stderr.take().context("its log")?).lines();
    let mut log = String::new();
    let address = loop {
        let line = tokio::time::timeout(DEADLINE, lines.next_line()).await??.context("the web process ended")?;
        let entry: Value = serde_json::from_str(&line).unwrap_or_default();
        log += &line;
        if let Some(address) = entry["address"].as_str().filter(|_| entry["message"] == "the pages are served") {
            break address.parse()?;
        }
    };
    let client = Client { address, authorization: format!("Bearer {key}") };
    let wrong = Client { address, authorization: format!("Bearer {}0", &key[..key.len() - 1]) };
    let event = json!({"specversion": "1.0", "id": "1", "source": "shop", "type": "billrunner.invoice.discard.v1",
        "data": {"reseller_id": uuid::Uuid::now_v7(), "invoice_id": uuid::Uuid::now_v7()}});
    assert_eq!(client.hand_in(&event).await?.status, 202);
    assert!(matches!(wrong.hand_in(&event).await?.status, 401 | 200));
    web.kill().await?;
    while let Some(line) = lines.next_line().await? {
        log += &line;
    }
    assert!(log.contains("api_keys") && log.contains("INSERT INTO jobs"), "the log says too little to prove anything");
    let secret = key.rsplit('_').next().context("a secret")?;
    assert!(!log.contains(&secret[..16]), "the secret of key {id} is in the log");
    Ok(())
}
