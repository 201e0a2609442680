//! The SQL door: one with the caller's transaction, the same rules and rows as the other doors, and nothing else beside.

use anyhow::{Context as _, Result};
use billrunner::{
    domain::ids::JobId,
    jobs::registry,
    queue::{JobOptions, RequestId},
    store::{
        job_kinds,
        jobs::{self, AcceptError, Accepted},
    },
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, postgres::PgListener};
use uuid::Uuid;

use crate::support::{
    TestDatabase,
    bench::{Bench, Does, request, task},
    payloads::samples,
    worker::{DEADLINE, settings, settled, wait_for},
};

const TASK: &str = "test.task.run.v1";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const ENQUEUE: &str = "SELECT job_id, outcome FROM billrunner.enqueue_job($1, $2, $3, $4)";
/// What Postgres says of a value that is refused, of a key that is taken, and of what is not allowed.
const REFUSED: &str = "22023";
const TAKEN: &str = "23505";
const NOT_ALLOWED: &str = "42501";
/// `object_not_in_prerequisite_state` and `wrong_object_type`: a view that nobody can write to.
const NOT_A_TABLE: [&str; 2] = ["55000", "42809"];

/// Connects as a system that may enqueue and nothing else.
async fn connect_as_producer(database: &TestDatabase) -> Result<PgConnection> {
    let mut producer = database.connect_as_owner().await?;
    sqlx::raw_sql("SET ROLE billrunner_enqueue; SET search_path = public").execute(&mut producer).await?;
    Ok(producer)
}

/// A bench whose kinds are known to the database, and a system that may enqueue.
async fn open() -> Result<(Bench, PgConnection)> {
    let bench = Bench::new().await?;
    let mut owner = bench.database.connect_as_owner().await?;
    sqlx::raw_sql("DELETE FROM job_kinds").execute(&mut owner).await?;
    job_kinds::record(&mut owner, &bench.registry.describe()).await?;
    let producer = connect_as_producer(&bench.database).await?;
    Ok((bench, producer))
}

async fn enqueue(producer: &mut PgConnection, id: &str, data: &Value) -> sqlx::Result<(JobId, String)> {
    sqlx::query_as(ENQUEUE).bind(TASK).bind(data).bind("shop").bind(id).fetch_one(producer).await
}

/// Returns what a statement is refused with: SQLSTATE, message, detail and hint.
async fn refusal(producer: &mut PgConnection, statement: &str) -> Result<[String; 4]> {
    let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(producer).await;
    let error = refused.err().with_context(|| format!("{statement} was not refused"))?;
    let error = error.into_database_error().context("an answer of the database")?;
    let error = error.downcast::<sqlx::postgres::PgDatabaseError>();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok([text(Some(error.code())), text(Some(error.message())), text(error.detail()), text(error.hint())])
}

#[tokio::test]
async fn a_job_exists_if_and_only_if_the_callers_transaction_commits() -> Result<()> {
    let (bench, mut producer) = open().await?;
    let work = json!({ "does": "work" });
    let count = "SELECT count(*) FROM jobs";

    let mut transaction = producer.begin().await?;
    enqueue(&mut transaction, "rolled back", &work).await?;
    transaction.rollback().await?;
    assert_eq!(bench.count(count).await?, 0);

    let mut transaction = producer.begin().await?;
    let (kept, outcome) = enqueue(&mut transaction, "kept", &work).await?;
    let mut savepoint = transaction.begin().await?;
    enqueue(&mut savepoint, "undone", &work).await?;
    savepoint.rollback().await?;
    assert_eq!(bench.count(count).await?, 0, "seen before the commit");
    transaction.commit().await?;
    assert_eq!(outcome, "accepted");

    let worker = bench.start_worker(settings());
    assert_eq!(wait_for(bench.pool(), kept).await?.0.state, "done");
    settled(bench.pool()).await?;
    assert_eq!((bench.count(count).await?, bench.effects().await?), (1, 1));
    worker.stop().await
}

#[tokio::test]
async fn workers_are_woken_at_the_commit_and_not_before() -> Result<()> {
    let (bench, mut producer) = open().await?;
    let mut listener = PgListener::connect_with(bench.pool()).await?;
    listener.listen(jobs::NOTIFY_CHANNEL).await?;
    let mut transaction = producer.begin().await?;
    let (id, _) = enqueue(&mut transaction, "1", &json!({ "does": "work" })).await?;
    // Whoever heard of it before the commit heard the rolled-back one too.
    let mut other = connect_as_producer(&bench.database).await?;
    let mut rolled_back = other.begin().await?;
    enqueue(&mut rolled_back, "2", &json!({ "does": "work" })).await?;
    rolled_back.rollback().await?;
    transaction.commit().await?;
    let heard = tokio::time::timeout(DEADLINE, listener.recv()).await.context("waited in vain for the notice")??;
    assert_eq!(heard.channel(), jobs::NOTIFY_CHANNEL);
    let found: i64 =
        sqlx::query_scalar("SELECT count(*) FROM jobs WHERE id = $1").bind(id).fetch_one(bench.pool()).await?;
    assert_eq!(found, 1, "the notice came before its job");
    Ok(())
}

#[tokio::test]
async fn the_same_request_at_two_doors_is_one_job_whichever_comes_first() -> Result<()> {
    let (bench, mut producer) = open().await?;
    let worker = bench.start_worker(settings());
    let nothing = |note: &str| json!({ "note": note, "does": "nothing" });

    // The typed doors (HTTP, command line), then SQL; fields in another order, what has a default left out.
    let new = bench.registry.prepare_kind(
        "task",
        json!({ "does": "nothing", "note": "é\"\\\n", "times": 0 }),
        RequestId::new("shop", "a"),
        "shop".into(),
        JobOptions::default(),
    )?;
    let first = jobs::accept(&mut *bench.pool().acquire().await?, &new).await?;
    assert_eq!(enqueue(&mut producer, "a", &nothing("é\"\\\n")).await?, (first.id(), "repeated".to_owned()));
    let conflict = enqueue(&mut producer, "a", &nothing("other")).await.expect_err("another payload");
    assert_eq!(conflict.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(), Some(TAKEN));

    // SQL, then the typed doors.
    let (second, _) = enqueue(&mut producer, "b", &nothing("x")).await?;
    let repeat = |note: &str| {
        let request = RequestId::new("shop", "b");
        bench.registry.prepare_kind("task", nothing(note), request, "shop".into(), JobOptions::default())
    };
    let mut connection = bench.pool().acquire().await?;
    assert_eq!(jobs::accept(&mut connection, &repeat("x")?).await?, Accepted::Repeated(second));
    assert!(matches!(jobs::accept(&mut connection, &repeat("y")?).await, Err(AcceptError::Conflict { .. })));

    // Redis, then SQL.
    bench.add_request("ce", request("c", TASK, r#"{"does":"nothing","note":"z"}"#).as_bytes()).await?;
    bench.until_count("the request", "SELECT count(*) FROM jobs WHERE external_id = 'c'", 1).await?;
    assert_eq!(enqueue(&mut producer, "c", &nothing("z")).await?.1, "repeated");

    // SQL, then Redis: the second request is neither a job nor a rejection.
    enqueue(&mut producer, "d", &nothing("z")).await?;
    bench.add_request("ce", request("d", TASK, r#"{"does":"nothing","note":"z"}"#).as_bytes()).await?;
    bench.add_request("ce", request("e", TASK, r#"{"does":"nothing"}"#).as_bytes()).await?;
    bench.until_count("the last request", "SELECT count(*) FROM jobs WHERE external_id = 'e'", 1).await?;
    assert_eq!(bench.streams.first_rejection().await?, None);
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 5);
    worker.stop().await
}

#[tokio::test]
async fn a_job_of_the_sql_door_is_the_same_row_as_one_of_the_others() -> Result<()> {
    let (bench, mut producer) = open().await?;
    let same: &[(&str, Value, &str)] = &[
        ("task", json!({ "does": "work" }), "status"),
        ("hold", json!({ "lane": "aws" }), "billing.aws"),
        ("hold", json!({ "lane": "unheard of" }), "billing"),
    ];
    let rows = "SELECT to_jsonb(jobs) - ARRAY['id', 'external_id', 'run_at', 'created_at', 'dispatch_rank']
                FROM jobs WHERE external_id = ANY ($1)";
    for (n, (kind, data, lane)) in same.iter().enumerate() {
        let (one, other) = (format!("{n} typed"), format!("{n} sql"));
        let options = JobOptions { priority: 7, traceparent: Some(TRACE.into()), ..JobOptions::default() };
        let request = RequestId::new("shop", &one);
        let new = bench.registry.prepare_kind(kind, data.clone(), request, "shop".into(), options)?;
        jobs::accept(&mut *bench.pool().acquire().await?, &new).await?;
        sqlx::query("SELECT billrunner.enqueue_job($1, $2, 'shop', $3, priority => 7, traceparent => $4)")
            .bind(format!("test.{kind}.run.v1"))
            .bind(data)
            .bind(&other)
            .bind(TRACE)
            .execute(&mut producer)
            .await?;
        let rows: Vec<Value> = sqlx::query_scalar(rows).bind([one, other]).fetch_all(bench.pool()).await?;
        assert_eq!(rows[0], rows[1]);
        assert_eq!(rows[0]["queue"], **lane);
    }
    let id: Uuid =
        sqlx::query_scalar("SELECT id FROM jobs WHERE external_id = '0 sql'").fetch_one(bench.pool()).await?;
    let typed: Uuid =
        sqlx::query_scalar("SELECT id FROM jobs WHERE external_id = '0 typed'").fetch_one(bench.pool()).await?;
    assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
    let seconds = |id: Uuid| id.get_timestamp().expect("version 7").to_unix().0;
    assert!(seconds(id).abs_diff(seconds(typed)) <= DEADLINE.as_secs(), "its time is not now");
    Ok(())
}

#[tokio::test]
async fn two_transactions_with_the_same_request_make_one_job() -> Result<()> {
    let (bench, mut first) = open().await?;
    let mut second = connect_as_producer(&bench.database).await?;
    let work = json!({ "does": "work" });
    let mut transaction = first.begin().await?;
    let (id, _) = enqueue(&mut transaction, "1", &work).await?;
    let waiting = tokio::spawn(async move { enqueue(&mut second, "1", &work).await });
    let blocked = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()";
    bench.until_count("the second to wait for the first", blocked, 1).await?;
    transaction.commit().await?;
    assert_eq!(waiting.await??, (id, "repeated".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_job_whose_dedupe_key_is_held_is_folded_until_the_holder_is_final() -> Result<()> {
    let (bench, mut producer) = open().await?;
    let keyed = "SELECT job_id, outcome FROM billrunner.enqueue_job('test.task.run.v1', '{\"does\": \"work\"}', 'shop', $1, dedupe_key => 'k')";
    let options = JobOptions { dedupe_key: Some("k".into()), ..JobOptions::default() };
    let holder = bench.accept_with("1", &task(Does::Work, 0), options).await?.id();
    let folded: (JobId, String) = sqlx::query_as(keyed).bind("a").fetch_one(&mut producer).await?;
    assert_eq!(folded, (holder, "folded".to_owned()));
    let worker = bench.start_worker(settings());
    wait_for(bench.pool(), holder).await?;
    let next: (JobId, String) = sqlx::query_as(keyed).bind("b").fetch_one(&mut producer).await?;
    assert_eq!((next.0 == holder, next.1.as_str()), (false, "accepted"));
    settled(bench.pool()).await?;
    assert_eq!(bench.effects().await?, 2);
    worker.stop().await
}

#[tokio::test]
async fn a_job_runs_not_before_its_time_and_in_the_queue_it_was_sent_to() -> Result<()> {
    let (bench, mut producer) = open().await?;
    sqlx::raw_sql(
        "SELECT billrunner.enqueue_job('test.task.run.v1', '{\"does\": \"work\"}', 'shop', 'later', run_at => '2999-01-01Z');
         SELECT billrunner.enqueue_job('test.task.run.v1', '{\"does\": \"work\"}', 'shop', 'elsewhere', queue => 'mail')",
    )
    .execute(&mut producer)
    .await?;
    let worker = bench.start_worker(settings());
    bench
        .until_count("the job that is due", "SELECT count(*) FROM jobs WHERE queue = 'mail' AND state = 'done'", 1)
        .await?;
    assert_eq!(bench.count("SELECT count(*) FROM jobs WHERE run_at = '2999-01-01Z' AND state = 'scheduled'").await?, 1);
    worker.stop().await
}

/// What is refused: the arguments, what the message says, and how the detail begins.
type Refusals<'a> = &'a [(&'a str, &'a str, &'a str)];

async fn check_refusals(refusals: Refusals<'_>) -> Result<()> {
    let (bench, mut producer) = open().await?;
    for (arguments, message, detail) in refusals {
        let said = refusal(&mut producer, &format!("SELECT billrunner.enqueue_job({arguments})")).await?;
        let [code, said_message, said_detail, hint] = &said;
        let is_said = said_message.contains(message) && said_detail.starts_with(detail) && !hint.is_empty();
        assert!(code == REFUSED && is_said, "{arguments}: {said:?}");
    }
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_refused_request_is_told_what_where_and_the_way_out() -> Result<()> {
    let known = "unknown job `x`; known: test.hold.run.v1, test.task.run.v1";
    let (id, source) = ("attribute `id` must have 1 to 200", "attribute `source` must have 1 to 200");
    let of_task = |rest: &str| format!("'{TASK}', '{{\"does\": \"work\"}}', {rest}");
    let long = of_task(&format!("'shop', '{}'", "x".repeat(201)));
    check_refusals(&[
        ("'x', '{}', 'shop', '1'", known, "/type is \"x\""),
        ("NULL, '{}', 'shop', '1'", "unknown job ``", "/type is missing"),
        (&of_task("'shop', ''"), id, "/id is \"\""),
        (&of_task("'shop', NULL"), id, "/id is missing"),
        (&long, id, "/id is \"xxx"),
        (&of_task("E'a\\nb', '1'"), source, "/source is \"a\\nb\""),
        (&of_task("'a\u{85}b', '1'"), source, "/source is"),
        (
            &of_task("'billrunner/x', '1'"),
            "`billrunner/…` is reserved for follow-up jobs",
            "/source is \"billrunner/x\"",
        ),
        (
            &of_task("'shop', '1', priority => 101"),
            "attribute `priority` is 101; it goes from -100 to 100",
            "/priority is 101",
        ),
        (&of_task("'shop', '1', run_at => 'infinity'"), "`runat` must be an instant", "/runat is \"infinity\""),
        (&of_task("'shop', '1', dedupe_key => ''"), "attribute `dedupekey` must", "/dedupekey is \"\""),
        (
            &of_task("'shop', '1', queue => 'x'"),
            "attribute `queue` is `x`, which is no queue; known: billing, status",
            "/queue is \"x\"",
        ),
        (&of_task("'shop', '1', traceparent => '00-1-2-3'"), "is `00-1-2-3`, no W3C trace context", "/traceparent is"),
    ])
    .await
}

#[tokio::test]
async fn a_refused_payload_is_told_what_where_and_the_way_out() -> Result<()> {
    let of_task = |data: &str| format!("'{TASK}', {data}, 'shop', '1'");
    let no_object = "the payload of task is not valid: it is no JSON object";
    check_refusals(&[
        (&of_task("'[]'"), no_object, "/data is []"),
        (&of_task("NULL"), no_object, "/data is missing"),
        (&of_task("'{}'"), "the payload of task is not valid: missing field `does`", "/data/does is missing"),
        (
            &of_task(r#"'{"does": "dance"}'"#),
            "unknown variant `dance`, expected one of `work`",
            "/data/does is \"dance\"",
        ),
        (&of_task(r#"'{"does": "work", "a/b": 1}'"#), "unknown field `a/b`, expected one of", "/data/a~1b is 1"),
        (&of_task(r#"'{"does": "work", "times": 1.5}'"#), "of type number, not integer", "/data/times is 1.5"),
        (&of_task("jsonb_build_object('note', repeat('x', 65536))"), "at most 65536 are read", "/data is"),
    ])
    .await
}

#[tokio::test]
async fn the_same_id_with_another_payload_is_a_conflict() -> Result<()> {
    let (bench, mut producer) = open().await?;
    enqueue(&mut producer, "1", &json!({ "does": "work" })).await?;
    let other = format!("SELECT billrunner.enqueue_job('{TASK}', '{{\"does\": \"nothing\"}}', 'shop', '1')");
    let said = refusal(&mut producer, &other).await?;
    let expected = "id `1` of source `shop` was used for another task; send a new id for new work";
    assert_eq!((said[0].as_str(), said[1].as_str()), (TAKEN, expected));
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 1);
    Ok(())
}

#[tokio::test]
async fn the_database_and_the_types_accept_and_refuse_the_same_payloads() -> Result<()> {
    let database = TestDatabase::new().await?;
    let mut owner = database.connect_as_owner().await?;
    sqlx::raw_sql(
        "CREATE FUNCTION pg_temp.try(name text, payload jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
         DECLARE known job_kinds;
         BEGIN
             SELECT * INTO known FROM job_kinds WHERE kind = name;
             RETURN read_job_payload(known, payload);
         EXCEPTION WHEN invalid_parameter_value THEN RETURN NULL;
         END $$",
    )
    .execute(&mut owner)
    .await?;
    let at_the_door: Vec<&str> = registry().kinds_at_the_sql_door().iter().map(|kind| kind.kind).collect();
    for sample in samples().iter().filter(|sample| at_the_door.contains(&sample.kind.kind)) {
        let tried: Vec<Value> = sample.variants().into_iter().map(|tried| tried.payload).collect();
        let read: Vec<(Option<Value>, Option<Vec<u8>>)> = sqlx::query_as(
            "SELECT read, job_hash($1, read) FROM unnest($2::jsonb[]) WITH ORDINALITY AS given (payload, n),
                    LATERAL (SELECT pg_temp.try($1, payload) AS read) AS tried ORDER BY n",
        )
        .bind(sample.kind.kind)
        .bind(&tried)
        .fetch_all(&mut owner)
        .await?;
        let read = read.into_iter().map(|(read, hash)| Some((read?, hash?)));
        for (payload, read) in tried.iter().zip(read) {
            let typed = sample.read_by_type(payload).map(|job| (job.payload, job.payload_hash.to_vec()));
            assert_eq!(read, typed, "{}: {payload}", sample.kind.kind);
        }
    }
    Ok(())
}

#[tokio::test]
async fn who_may_enqueue_may_do_nothing_else() -> Result<()> {
    let (bench, mut producer) = open().await?;
    let mut owner = bench.database.connect_as_owner().await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'billrunner'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')",
    )
    .fetch_all(&mut owner)
    .await?;
    assert!(tables.len() > 20, "{tables:?}");
    for table in tables {
        for statement in ["SELECT FROM", "INSERT INTO", "DELETE FROM", "TRUNCATE"] {
            let values = if statement == "INSERT INTO" { "DEFAULT VALUES" } else { "" };
            let said = refusal(&mut producer, &format!("{statement} billrunner.\"{table}\" {values}")).await?;
            // What cannot be written to at all says so before it asks who wants to.
            let is_refused =
                said[0] == NOT_ALLOWED || (NOT_A_TABLE.contains(&said[0].as_str()) && statement != "SELECT FROM");
            assert!(is_refused, "{statement} {table}: {said:?}");
        }
    }
    let said = refusal(&mut producer, "CREATE TABLE billrunner.mine (n integer)").await?;
    assert_eq!(said[0], NOT_ALLOWED, "{said:?}");
    let callable: Vec<String> = sqlx::query_scalar(
        "SELECT proname::text FROM pg_proc WHERE pronamespace = 'billrunner'::regnamespace
         AND has_function_privilege('billrunner_enqueue', oid, 'EXECUTE') AND prorettype <> 'trigger'::regtype ORDER BY proname",
    )
    .fetch_all(&mut owner)
    .await?;
    assert_eq!(callable, ["enqueue_job"], "a function that everybody may call: REVOKE ALL ON FUNCTION … FROM PUBLIC");
    let held: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM information_schema.role_column_grants WHERE grantee IN ('billrunner_enqueue', 'PUBLIC') AND table_schema = 'billrunner'",
    )
    .fetch_one(&mut owner)
    .await?;
    assert_eq!(held, 0);
    // A temporary table of the same name stands in nobody's way.
    sqlx::raw_sql("CREATE TEMP TABLE job_kinds (kind text); CREATE TEMP TABLE jobs (id text)")
        .execute(&mut producer)
        .await?;
    assert_eq!(enqueue(&mut producer, "1", &json!({ "does": "work" })).await?.1, "accepted");
    Ok(())
}

#[tokio::test]
async fn who_may_not_enqueue_does_not() -> Result<()> {
    let bench = Bench::new().await?;
    let call = "SELECT billrunner.enqueue_job('x', '{}', 'shop', '1')";
    let mut application = bench.pool().acquire().await?;
    assert_eq!(refusal(&mut application, call).await?[0], NOT_ALLOWED);
    Ok(())
}

#[tokio::test]
async fn migrating_records_this_releases_kinds_and_keeps_those_of_others() -> Result<()> {
    let bench = Bench::new().await?;
    let mut owner = bench.database.connect_as_owner().await?;
    sqlx::raw_sql(
        "UPDATE job_kinds SET kind = 'old_name' WHERE kind = 'discard_invoice';
         UPDATE job_kinds SET max_attempts = 1, schema = '{}' WHERE kind = 'generate_invoice';
         INSERT INTO job_kinds SELECT 'of_another_release', 'billrunner.other.do.v1', queue, NULL, lanes, 1, defaults, schema
             FROM job_kinds WHERE kind = 'render_document'",
    )
    .execute(&mut owner)
    .await?;
    let migrated = bench.billrunner(&["migrate"]).await?;
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let recorded = "SELECT to_jsonb(job_kinds) FROM job_kinds WHERE kind <> 'of_another_release' ORDER BY kind";
    let recorded: Vec<Value> = sqlx::query_scalar(recorded).fetch_all(&mut owner).await?;
    assert_eq!(Value::from(recorded), serde_json::to_value(registry().kinds_at_the_sql_door())?);
    let others = "SELECT count(*) FROM job_kinds WHERE kind = 'of_another_release'";
    assert_eq!(sqlx::query_scalar::<_, i64>(others).fetch_one(&mut owner).await?, 1);
    Ok(())
}

#[tokio::test]
async fn only_a_trace_context_is_passed_on() -> Result<()> {
    let (bench, mut producer) = open().await?;
    let call =
        "SELECT billrunner.enqueue_job('test.task.run.v1', '{\"does\": \"work\"}', 'shop', $1, traceparent => $1)";
    let parts = TRACE.trim_start_matches("00").trim_end_matches("-01");
    for valid in [TRACE.to_owned(), format!("00{parts}-ff"), format!("cc{parts}-01-what-will-be")] {
        assert!(sqlx::query(call).bind(&valid).execute(&mut producer).await.is_ok(), "{valid}");
    }
    let zeros = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    let no_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01".to_owned();
    let invalid = [
        format!("00{parts}"),
        format!("00{parts}-01-"),
        format!("00{parts}-01-x"),
        format!("ff{parts}-01"),
        zeros,
        no_parent,
    ];
    for invalid in invalid.into_iter().chain([
        TRACE.to_uppercase().replace("4BF", "4Bf"),
        format!("{TRACE} "),
        format!(" {TRACE}"),
    ]) {
        assert!(sqlx::query(call).bind(&invalid).execute(&mut producer).await.is_err(), "{invalid}");
    }
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 3);
    Ok(())
}
