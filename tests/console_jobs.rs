//! Queues and jobs at the console: found by what is known of them, shown without a doubt, changed with a reason.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use billrunner::{clock::Clock, domain::console_access::Role, domain::ids::JobId, jobs::ChangeJobs};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{
    TestDatabase,
    business::Business,
    console::{Browser, Desktop, actions},
    desk::Desk,
    worker::{Office, settled, wait_for},
};

/// Largest page that a phone in the country is to load.
const MAX_PAGE_BYTES: usize = 60_000;
/// What nobody should be called, and what no error should say.
const HOSTILE: &str = "\u{202e}<script>alert('x')</script>\"onmouseover=\"y\"&amp;<img src=x>";

/// Jobs that have nothing to do when they run; what is left out is as most jobs are.
const INSERT: &str = "
    INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, attempt, started_attempt,
                      failed_attempts, max_attempts, run_at, requested_by, finished_at, last_error, traceparent, batch_id)
    SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, $2, $3,
           jsonb_build_object('reseller_id', gen_random_uuid(), 'invoice_id', gen_random_uuid()) || $4, $5, n::text,
           '', $6, 1, 1, 1, 15, now() + CASE WHEN $6 = 'scheduled' THEN interval '1 day' ELSE interval '0' END, 'tester',
           CASE WHEN $6 IN ('done', 'dead', 'discarded') THEN now() END, $7, $8, $9
    FROM generate_series($10::integer, $10::integer + $1::integer - 1) AS n";

/// A job as a test wants it.
struct Job<'a> {
    kind: &'a str,
    queue: &'a str,
    payload: serde_json::Value,
    source: &'a str,
    state: &'a str,
    error: Option<&'a str>,
    traceparent: Option<&'a str>,
    batch: Option<Uuid>,
}

impl Default for Job<'_> {
    fn default() -> Self {
        let (kind, queue, source, state) = ("discard_invoice", "status", "test", "dead");
        let payload = serde_json::json!({});
        Self { kind, queue, payload, source, state, error: None, traceparent: None, batch: None }
    }
}

impl Job<'_> {
    /// Records so many, numbered from `first`.
    async fn insert(self, pool: &PgPool, first: i32, count: i32) -> Result<()> {
        let Self { kind, queue, payload, source, state, error, traceparent, batch } = self;
        let insert = sqlx::query(INSERT).bind(count).bind(kind).bind(queue).bind(payload).bind(source).bind(state);
        insert.bind(error).bind(traceparent).bind(batch).bind(first).execute(pool).await?;
        Ok(())
    }
}

fn id(n: i32) -> String {
    format!("00000000-0000-7000-8000-{n:012}")
}

/// Returns the jobs that a page lists.
fn listed(page: &str) -> BTreeSet<String> {
    let link = regex::Regex::new(r#"<th[^>]*><a href="/jobs/([0-9a-f-]{36})""#).expect("a pattern");
    link.captures_iter(page).map(|found| found[1].to_owned()).collect()
}

async fn open(role: Role) -> Result<(TestDatabase, Desktop, Browser)> {
    let database = TestDatabase::new().await?;
    let desktop = Desktop::open(&database.pool).await?;
    let browser = desktop.log_in_as(&database.pool, "olga", role).await?;
    Ok((database, desktop, browser))
}

async fn state(pool: &PgPool, n: i32) -> Result<String> {
    Ok(sqlx::query_scalar("SELECT state FROM jobs WHERE id = $1::uuid").bind(id(n)).fetch_one(pool).await?)
}

#[tokio::test]
async fn what_waits_longest_is_first_among_the_lanes_and_pauses_say_by_whom_and_why() -> Result<()> {
    let (database, _desktop, browser) = open(Role::Operator).await?;
    let pool = &database.pool;
    Job { kind: "send_notification", queue: "mail", state: "scheduled", ..Job::default() }.insert(pool, 1, 2).await?;
    Job { queue: "billing.aws", state: "scheduled", ..Job::default() }.insert(pool, 10, 3).await?;
    sqlx::query("UPDATE jobs SET run_at = now() - interval '2 hours' WHERE id = $1::uuid")
        .bind(id(1))
        .execute(pool)
        .await?;
    sqlx::query("UPDATE jobs SET run_at = now() - interval '1 hour' WHERE id = $1::uuid")
        .bind(id(10))
        .execute(pool)
        .await?;
    let page = browser.page("/queues").await?;
    let place = |lane: &str| page.find(&format!(">{lane}</a></th>"));
    assert!(place("mail") < place("billing.aws") && place("billing.aws") < place("documents"), "{page}");
    assert!(page.contains(r#"worst">2h</td>"#) && page.matches("worst").count() == 1, "{page}");

    let pause = [("queue", "billing"), ("until", "2999-01-01T00:00"), ("reason", "month not closed")];
    assert_eq!(browser.post("/queues/pause", &pause).await?.status, 303);
    let page = browser.page("/queues").await?;
    assert!(page.contains("by olga since") && page.contains("month not closed (all of billing)"), "{page}");
    assert!(page.contains("2999-01-01 00:00:00"));
    let wrong = [
        [("queue", "billing.acme"), ("until", "")],
        [("queue", "mail"), ("until", "2001-01-01T00:00")],
        [("queue", "mail"), ("until", "soon")],
    ];
    for fields in wrong {
        let answer = browser.post("/queues/pause", &[&fields[..], &[("reason", "x")]].concat()).await?;
        assert_eq!(answer.status, 422, "{fields:?}");
    }
    assert_eq!(browser.post("/queues/resume", &[("queue", "mail"), ("reason", "x")]).await?.status, 409);
    assert_eq!(browser.post("/queues/resume", &[("queue", "billing"), ("reason", "it is closed")]).await?.status, 303);
    let done = actions(pool).await?;
    let expected = [("olga", "pause", "month not closed"), ("olga", "resume", "it is closed")];
    assert_eq!(done, expected.map(|(by, what, why)| (by.to_owned(), what.to_owned(), why.to_owned())));
    let held = "SELECT count(*) FROM queue_controls WHERE paused_at IS NOT NULL";
    assert_eq!(sqlx::query_scalar::<_, i64>(held).fetch_one(pool).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_job_is_found_by_each_thing_that_is_known_of_it() -> Result<()> {
    let desk = Desk::with_drafts(2).await?;
    let pool = &desk.office.pool;
    let desktop = Desktop::open(pool).await?;
    let browser = desktop.log_in_as(pool, "vera", Role::Viewer).await?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let batch = Uuid::now_v7();
    Job::default().insert(pool, 1, 1).await?;
    Job { state: "discarded", ..Job::default() }.insert(pool, 2, 1).await?;
    Job { kind: "correct_invoice", ..Job::default() }.insert(pool, 3, 1).await?;
    Job { queue: "billing.oracle", ..Job::default() }.insert(pool, 4, 1).await?;
    Job { error: Some("there is no rate from CHF to EUR"), ..Job::default() }.insert(pool, 5, 1).await?;
    Job { traceparent: Some(&traceparent), ..Job::default() }.insert(pool, 6, 1).await?;
    Job { source: "shop/till", ..Job::default() }.insert(pool, 7, 1).await?;
    Job { batch: Some(batch), ..Job::default() }.insert(pool, 8, 1).await?;
    let month = serde_json::json!({"provider": "ibm", "billing_period": "2019-03"});
    Job { kind: "start_bill_run", payload: month, ..Job::default() }.insert(pool, 9, 1).await?;
    let invoice = desk.id(0).await?;
    let (document_id, customer): (String, Uuid) =
        sqlx::query_as("SELECT document_id, customer_id FROM invoices WHERE id = $1")
            .bind(invoice)
            .fetch_one(pool)
            .await?;
    let about = serde_json::json!({"reseller_id": desk.business.reseller_id, "invoice_id": invoice});
    Job { payload: about, source: "door", ..Job::default() }.insert(pool, 10, 1).await?;
    let one = |n: i32| BTreeSet::from([id(n)]);
    for (query, expected) in [
        ("state=discarded".to_owned(), one(2)),
        ("kind=correct_invoice".to_owned(), one(3)),
        ("queue=billing.oracle".to_owned(), one(4)),
        ("error=no+rate+from+CHF".to_owned(), one(5)),
        (format!("trace={trace}"), one(6)),
        ("source=shop%2Ftill".to_owned(), one(7)),
        ("request=7".to_owned(), one(7)),
        (format!("batch={batch}"), one(8)),
        ("provider=ibm".to_owned(), one(9)),
        ("period=2019-03".to_owned(), one(9)),
        (format!("invoice={document_id}&source=door"), one(10)),
        (format!("invoice={invoice}&state=dead"), one(10)),
        (format!("customer={customer}&source=door"), one(10)),
        ("kind=correct_invoice&state=discarded".to_owned(), BTreeSet::new()),
        ("customer=nobody+is+called+so".to_owned(), BTreeSet::new()),
        ("invoice=%27%3B+DROP+TABLE+jobs".to_owned(), BTreeSet::new()),
    ] {
        let page = browser.page(&format!("/jobs?{query}")).await?;
        assert_eq!(listed(&page), expected, "{query}");
        let said = if expected.is_empty() { "No job matches." } else { "1 job matches" };
        assert!(page.contains(said), "{query}: {page}");
    }
    assert_eq!(listed(&browser.page(&format!("/jobs?customer={customer}&kind=generate_invoice")).await?).len(), 1);
    assert_eq!(browser.get("/jobs?batch=1").await?.status, 422);
    desk.close().await
}

#[tokio::test]
async fn a_list_goes_on_where_it_ended_and_counts_no_further_than_it_says() -> Result<()> {
    let (database, _desktop, browser) = open(Role::Viewer).await?;
    Job::default().insert(&database.pool, 1, 70).await?;
    let (mut next, mut seen, mut pages) = (Some("/jobs?state=dead".to_owned()), BTreeSet::new(), 0);
    let older = regex::Regex::new(r#"href="([^"]*)" rel="next""#)?;
    while let Some(path) = next {
        let page = browser.page(&path.replace("&amp;", "&")).await?;
        assert!(page.contains("70 jobs match"), "{page}");
        let found = listed(&page);
        assert!(seen.is_disjoint(&found), "no job is listed twice");
        seen.extend(found);
        pages += 1;
        next = older.captures(&page).map(|found| found[1].to_owned());
    }
    assert_eq!((seen.len(), pages), (70, 3));
    Job::default().insert(&database.pool, 100, 950).await?;
    assert!(browser.page("/jobs?state=dead").await?.contains("at least 1,000 jobs match"));
    Ok(())
}

#[tokio::test]
async fn a_jobs_page_shows_payload_attempts_and_what_belongs_to_it() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let pool = &desk.office.pool;
    let desktop = Desktop::open(pool).await?;
    let browser = desktop.log_in_as(pool, "vera", Role::Viewer).await?;
    let made = "SELECT id, parent_id, batch_id FROM jobs WHERE kind = 'generate_invoice'";
    let (generated, parent, batch): (JobId, JobId, JobId) = sqlx::query_as(made).fetch_one(pool).await?;
    let page = browser.page(&format!("/jobs/{generated}")).await?;
    for shown in [
        "&quot;billing_period&quot;: &quot;",
        "state-done",
        "Customer 0",
        &format!("/jobs/{parent}"),
        &format!("/jobs/{batch}"),
    ] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    assert!(!page.contains("name=\"reason\""));
    let page = browser.page(&format!("/jobs/{parent}")).await?;
    assert!(listed(&page).contains(&generated.to_string()), "the job that made it shows it: {page}");
    let raw: serde_json::Value = serde_json::from_str(&browser.page(&format!("/jobs/{generated}/raw")).await?)?;
    assert_eq!((&raw["job"]["kind"], &raw["attempts"][0]["outcome"]), (&"generate_invoice".into(), &"done".into()));
    for missing in ["/jobs/0199a000-0000-7000-8000-000000000001", "/jobs/1", "/jobs/1/raw", "/jobs/%3Cb%3E", "/bulk/1"]
    {
        let answer = browser.get(missing).await?;
        assert!(answer.status == 404 && answer.text().contains("Not found"), "{missing}: {}", answer.text());
    }
    desk.close().await
}

#[tokio::test]
async fn what_others_wrote_is_text_on_every_page_and_pages_stay_small() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let pool = &desk.office.pool;
    let desktop = Desktop::open(pool).await?;
    let browser = desktop.log_in_as(pool, "olga", Role::Operator).await?;
    let invoice = desk.id(0).await?;
    let mut owner = desk.database.connect_as_owner().await?;
    sqlx::query("UPDATE customers SET name = $1").bind(HOSTILE).execute(&mut owner).await?;
    let long = format!("{HOSTILE}{}", "<&>\"".repeat(2000));
    let payload = serde_json::json!({
        "reseller_id": desk.business.reseller_id, "invoice_id": invoice, "provider": HOSTILE, "billing_period": HOSTILE, "note": long,
    });
    let job = Job { payload, source: HOSTILE, error: Some(&long), ..Job::default() };
    job.insert(pool, 1, 200).await?;
    sqlx::query("UPDATE jobs SET requested_by = $1, dedupe_key = $1 || id, external_id = external_id || $1 WHERE state = 'dead'")
        .bind(HOSTILE)
        .execute(pool)
        .await?;
    let attempt = "INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome, message)
                   SELECT $1::uuid, n, gen_random_uuid(), now(), now(), 'failed', $2 FROM generate_series(1, 15) AS n";
    sqlx::query(attempt).bind(id(1)).bind(&long).execute(pool).await?;
    assert_eq!(browser.post("/queues/pause", &[("queue", "mail"), ("reason", HOSTILE)]).await?.status, 303);
    let searched: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    let bulk = [
        ("action", "discard"),
        ("until", "2999-01-01T00:00:00Z"),
        ("customer", HOSTILE),
        ("kind", "x"),
        ("reason", HOSTILE),
    ];
    let started = browser.post("/bulk", &bulk).await?;
    for path in [
        "/queues".to_owned(),
        "/jobs".to_owned(),
        "/jobs?state=dead".to_owned(),
        format!("/jobs?error={searched}"),
        format!("/jobs?customer={searched}&provider={searched}&period={searched}&state=dead"),
        format!("/bulk/new?action=retry&error={searched}"),
        "/bulk".to_owned(),
        started.header("location").context("a location")?.to_owned(),
        format!("/jobs/{}", id(1)),
        format!("/jobs?state={searched}"),
    ] {
        let page = browser.page(&path).await?;
        for raw in ["<script>alert", "<img src=x", "\"onmouseover"] {
            assert!(!page.contains(raw), "{path} holds {raw}");
        }
        assert!(page.len() < MAX_PAGE_BYTES, "{path} has {} bytes", page.len());
    }
    assert!(
        browser.page("/jobs?state=dead").await?.contains("<bdi>\u{202e}&lt;script&gt;alert"),
        "the name is there, as text"
    );
    desk.close().await
}

#[tokio::test]
async fn a_job_is_retried_discarded_and_cancelled_by_somebody_for_a_reason() -> Result<()> {
    let (database, _desktop, browser) = open(Role::Operator).await?;
    let pool = &database.pool;
    Job::default().insert(pool, 1, 2).await?;
    Job { state: "scheduled", ..Job::default() }.insert(pool, 3, 1).await?;
    Job { state: "done", ..Job::default() }.insert(pool, 4, 1).await?;
    for (n, change, becomes) in [(1, "retry", "scheduled"), (2, "discard", "discarded"), (3, "cancel", "discarded")] {
        let page = browser.page(&format!("/jobs/{}", id(n))).await?;
        assert!(page.contains(&format!("/jobs/{}/{change}", id(n))), "{change} is offered: {page}");
        let path = format!("/jobs/{}/{change}", id(n));
        let answer = browser.post(&path, &[("reason", "as a test")]).await?;
        assert_eq!((answer.status, answer.header("location")), (303, Some(format!("/jobs/{}", id(n)).as_str())));
        assert_eq!(state(pool, n).await?, becomes);
        assert_eq!(
            browser.post(&format!("/jobs/{}/{change}", id(4)), &[("reason", "x")]).await?.status,
            409,
            "{change}"
        );
        let page = browser.page(&format!("/jobs/{}", id(n))).await?;
        assert!(page.contains("as a test"), "{page}");
    }
    let missing = "/jobs/0199a000-0000-7000-8000-000000000001/retry";
    assert_eq!(browser.post(missing, &[("reason", "x")]).await?.status, 404);
    let done: Vec<_> = actions(pool).await?.into_iter().map(|(by, what, why)| format!("{by} {what} {why}")).collect();
    assert_eq!(done, ["olga retry as a test", "olga discard as a test", "olga cancel as a test"]);
    Ok(())
}

#[tokio::test]
async fn all_that_match_are_retried_by_a_job_and_those_that_died_later_are_not() -> Result<()> {
    let (database, _desktop, browser) = open(Role::Operator).await?;
    let pool = &database.pool;
    Job { error: Some("server 1 did not answer"), ..Job::default() }.insert(pool, 1, 450).await?;
    Job { error: Some("no such thing"), ..Job::default() }.insert(pool, 1001, 5).await?;
    let page = browser.page("/bulk/new?action=retry&error=did+not+answer").await?;
    assert!(page.contains("450 jobs match") && listed(&page).len() == 10, "{page}");
    let until = regex::Regex::new(r#"name="until" value="([^"]*)""#)?;
    let until = until.captures(&page).context("an instant")?[1].replace("&#43;", "+");
    sqlx::query("UPDATE jobs SET finished_at = now() + interval '1 second' WHERE external_id = '7'")
        .execute(pool)
        .await?;
    let fields = [("action", "retry"), ("until", &*until), ("error", "did not answer"), ("reason", "it answers")];
    let started = browser.post("/bulk", &fields).await?;
    let progress = started.header("location").context("a location")?.to_owned();
    let page = browser.page(&progress).await?;
    assert!(page.contains("every 2s") && page.contains("Refresh") && page.contains("error did not answer"), "{page}");
    let office = Office::open_at(pool, Clock::System).await?;
    let bulk: JobId = progress.trim_start_matches("/bulk/").parse()?;
    let (job, attempts) = wait_for(pool, bulk).await?;
    assert_eq!(
        (job.state.as_str(), attempts[0].message.as_deref()),
        ("done", Some("449 jobs are due again, 0 were left"))
    );
    settled(pool).await?;
    let tally = "SELECT state, count(*) FROM jobs WHERE kind = 'discard_invoice' GROUP BY state ORDER BY state";
    let tally: Vec<(String, i64)> = sqlx::query_as(tally).fetch_all(pool).await?;
    assert_eq!(tally, [("dead".to_owned(), 6), ("done".to_owned(), 449)]);
    let page = browser.page(&progress).await?;
    assert!(page.contains("449 jobs are due again") && !page.contains("every 2s"), "{page}");
    assert!(browser.page("/bulk").await?.contains(&progress));
    let recorded = "SELECT count(DISTINCT job_id) FROM operator_actions
                    WHERE done_by = 'olga' AND reason = 'it answers' AND action IN ('retry', 'change_jobs')";
    assert_eq!(sqlx::query_scalar::<_, i64>(recorded).fetch_one(pool).await?, 450);
    office.close().await
}

#[tokio::test]
async fn what_waits_and_matches_is_cancelled_and_nothing_else() -> Result<()> {
    let (database, _desktop, browser) = open(Role::Operator).await?;
    let pool = &database.pool;
    Job { state: "scheduled", ..Job::default() }.insert(pool, 1, 30).await?;
    Job { state: "scheduled", kind: "correct_invoice", ..Job::default() }.insert(pool, 101, 3).await?;
    Job { state: "done", ..Job::default() }.insert(pool, 201, 3).await?;
    let fields = [
        ("action", "cancel"),
        ("until", "2999-01-01T00:00:00Z"),
        ("kind", "discard_invoice"),
        ("reason", "wrong prices"),
    ];
    assert_eq!(browser.post("/bulk", &fields).await?.status, 303);
    let office = Office::open_at(pool, Clock::System).await?;
    let bulk = sqlx::query_scalar("SELECT id FROM jobs WHERE kind = 'change_jobs'").fetch_one(pool).await?;
    let (_, attempts) = wait_for(pool, bulk).await?;
    assert_eq!(attempts[0].message.as_deref(), Some("30 jobs are cancelled, 0 were left"));
    let tally = "SELECT state, count(*) FROM jobs WHERE id <> $1 GROUP BY state ORDER BY state";
    let tally: Vec<(String, i64)> = sqlx::query_as(tally).bind(bulk).fetch_all(pool).await?;
    assert_eq!(tally, [("discarded".to_owned(), 30), ("done".to_owned(), 3), ("scheduled".to_owned(), 3)]);
    let wrong = [
        [("action", "delete"), ("until", "2999-01-01T00:00:00Z"), ("state", "dead")],
        [("action", "retry"), ("until", "soon"), ("state", "dead")],
        [("action", "cancel"), ("until", "2999-01-01T00:00:00Z"), ("state", "dead")],
    ];
    for fields in wrong {
        assert_eq!(browser.post("/bulk", &[&fields[..], &[("reason", "x")]].concat()).await?.status, 422, "{fields:?}");
    }
    office.close().await
}

#[tokio::test]
async fn cancelling_all_that_match_leaves_alone_the_job_that_does_it() -> Result<()> {
    let database = TestDatabase::new().await?;
    Business::without_charges(&database.pool, 1).await?;
    let office = Office::open_at(&database.pool, Clock::System).await?;
    let everything: ChangeJobs = serde_json::from_value(serde_json::json!({
        "action": "cancel", "search": {}, "until": "2999-01-01T00:00:00Z", "reason": "stop all",
    }))?;
    assert_eq!(office.done(&everything).await?, "0 jobs are cancelled, 0 were left");
    office.close().await
}
