//! Retention and the nightly checks: what is old goes in small steps and nothing else does; what is planted is found.

use std::{
    collections::BTreeSet,
    num::{NonZeroU8, NonZeroU16},
};

use anyhow::{Context, Result};
use billrunner::{
    clock::Clock,
    domain::ids::{JobId, ResellerId},
    jobs::{CheckHistory, InitialStatus, PruneJobs, ReconcileCharges, RecordBounce, bounce_location, registry},
    queue::{Job, JobOptions, RequestId},
    store::jobs,
};
use chrono::TimeDelta;
use object_store::ObjectStoreExt;
use serde_json::json;

use crate::support::{
    TestDatabase,
    business::Business,
    desk::Desk,
    flow::OPERATOR,
    worker::{until, wait_for},
};

/// A desk on 10 September 2026, with two drafts of August.
async fn desk_in_september() -> Result<Desk> {
    let database = TestDatabase::new().await?;
    let business = Business::open(&database.pool, 2).await?;
    let desk = Desk::of(database, business, Clock::Fixed("2026-09-10T12:00:00Z".parse()?)).await?;
    desk.close_month().await?;
    Ok(desk)
}

/// A desk with three invoices that are open.
async fn desk_with_open_invoices() -> Result<Desk> {
    let desk = Desk::open(3).await?;
    desk.office.done(&desk.business.bill_run(InitialStatus::Open, Some(false))).await?;
    desk.office.settled().await?;
    Ok(desk)
}

fn prune() -> PruneJobs {
    PruneJobs { retention_days: NonZeroU16::new(90).expect("not zero") }
}

fn reconcile(reseller_id: Option<ResellerId>) -> ReconcileCharges {
    ReconcileCharges { reseller_id, months: NonZeroU8::new(3).expect("not zero") }
}

fn check(reseller_id: Option<ResellerId>) -> CheckHistory {
    CheckHistory { reseller_id }
}

/// Adds finished jobs, each with an attempt.
const INSERT_FINISHED: &str = "
    WITH finished AS (
        INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at,
                          requested_by, finished_at)
        SELECT gen_random_uuid(), $1, 'mail', '{}', $1, n::text, '', $2, 1, now(), 'x', now() - make_interval(days => $3)
        FROM generate_series(1, $4) AS n
        RETURNING id
    )
    INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome)
    SELECT id, 1, id, now(), now(), 'done' FROM finished";

async fn insert_finished(desk: &Desk, kind: &str, state: &str, days: i32, count: i32) -> Result<()> {
    let insert = sqlx::query(INSERT_FINISHED).bind(kind).bind(state).bind(days).bind(count);
    insert.execute(&desk.office.pool).await?;
    Ok(())
}

async fn count(desk: &Desk, query: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(query).fetch_one(&desk.office.pool).await?)
}

/// Has the database refuse a role's right, and waits until a job has failed for it once.
async fn fails_and_is_tried_again<J: Job<Context = billrunner::context::Context>>(
    desk: &Desk,
    job: &J,
    take: &'static str,
    give_back: &'static str,
) -> Result<()> {
    desk.tamper(take).await?;
    let id = desk.office.hand_in(job).await?;
    until("a failed attempt", || async {
        let failed: i64 =
            sqlx::query_scalar("SELECT count(*) FROM job_attempts WHERE job_id = $1 AND outcome = 'failed'")
                .bind(id)
                .fetch_one(&desk.office.pool)
                .await?;
        Ok((failed > 0).then_some(()))
    })
    .await?;
    desk.tamper(give_back).await?;
    assert_eq!(wait_for(&desk.office.pool, id).await?.0.state, "done");
    Ok(())
}

#[tokio::test]
async fn delivery_reports_go_once_they_are_old_and_no_job_names_them() -> Result<()> {
    let database = TestDatabase::new().await?;
    let business = Business::open(&database.pool, 1).await?;
    let in_a_year = Clock::Fixed(Clock::System.now() + chrono::Days::new(365));
    let desk = Desk::of(database, business, in_a_year).await?;
    let objects = &desk.office.context.objects;
    let [named, nobodys] = ["a", "b"].map(|digit| bounce_location(&digit.repeat(64)).expect("a sha256"));
    for report in [&named, &nobodys] {
        objects.put(report, "From: MAILER-DAEMON".into()).await?;
    }
    let record = RecordBounce { reseller_id: desk.business.reseller_id, message: None, sha256: Some("a".repeat(64)) };
    desk.office.done(&record).await?;

    let told = |reports| {
        format!("0 jobs, {reports} delivery reports, 0 refused requests and 0 half-written files are forgotten")
    };
    assert_eq!(desk.office.done(&prune()).await?, told(1));
    assert!(objects.head(&named).await.is_ok(), "its job may be retried");
    assert!(matches!(objects.head(&nobodys).await, Err(object_store::Error::NotFound { .. })));
    desk.close().await
}

#[tokio::test]
async fn old_finished_jobs_go_in_small_steps_and_nothing_else_does() -> Result<()> {
    let desk = Desk::open(1).await?;
    insert_finished(&desk, "old", "done", 91, 2400).await?;
    insert_finished(&desk, "old and discarded", "discarded", 91, 100).await?;
    insert_finished(&desk, "dead", "dead", 400, 10).await?;
    insert_finished(&desk, "recent", "done", 89, 10).await?;
    // Each statement and transaction that deletes says how much.
    desk.tamper(
        "CREATE TABLE steps (of bigint, transaction xid8);
         GRANT INSERT, SELECT ON steps TO billrunner_app;
         CREATE FUNCTION note_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO billrunner.steps SELECT count(*), pg_current_xact_id() FROM gone; RETURN NULL; END $$;
         CREATE TRIGGER note_step AFTER DELETE ON jobs REFERENCING OLD TABLE AS gone
             FOR EACH STATEMENT EXECUTE FUNCTION note_step()",
    )
    .await?;
    let mut redis = desk.office.streams.connect().await?;
    for id in ["1-1", "*"] {
        let mut add = redis::cmd("XADD");
        add.arg(desk.office.streams.rejected_key()).arg(id).arg("reason").arg("x");
        let _: String = add.query_async(&mut redis).await?;
    }

    assert_eq!(
        desk.office.done(&prune()).await?,
        "2500 jobs, 0 delivery reports, 1 refused requests and 0 half-written files are forgotten"
    );
    assert_eq!(count(&desk, "SELECT count(*) FROM jobs WHERE kind LIKE 'old%'").await?, 0);
    assert_eq!(count(&desk, "SELECT count(*) FROM jobs WHERE kind IN ('dead', 'recent')").await?, 20);
    let of_jobs = "SELECT count(*) FROM job_attempts JOIN jobs ON jobs.id = job_id WHERE kind IN ('dead', 'recent')";
    assert_eq!(count(&desk, of_jobs).await?, 20);
    let orphans = "SELECT count(*) FROM job_attempts WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.id = job_id)";
    assert_eq!(count(&desk, orphans).await?, 0, "attempts of jobs that are gone");
    assert_eq!(count(&desk, "SELECT max(of) FROM steps").await?, 1000, "a step's locks");
    assert_eq!(count(&desk, "SELECT count(DISTINCT transaction) FROM steps WHERE of > 0").await?, 3);
    let kept: i64 = redis::cmd("XLEN").arg(desk.office.streams.rejected_key()).query_async(&mut redis).await?;
    assert_eq!(kept, 1);
    assert_eq!(
        desk.office.done(&prune()).await?,
        "0 jobs, 0 delivery reports, 0 refused requests and 0 half-written files are forgotten"
    );
    desk.close().await
}

#[tokio::test]
async fn what_is_to_be_kept_for_longer_than_there_were_computers_is_kept() -> Result<()> {
    let desk = desk_in_september().await?;
    let prune = PruneJobs { retention_days: NonZeroU16::MAX };
    assert!(desk.office.done(&prune).await?.contains(" 0 refused requests"));
    desk.close().await
}

#[tokio::test]
async fn what_a_killed_worker_left_half_written_goes_after_a_day() -> Result<()> {
    let desk = desk_in_september().await?;
    let folder = desk.office.context.objects_folder.clone().context("a folder")?.join("documents/reseller/invoice");
    std::fs::create_dir_all(&folder)?;
    let now = desk.office.context.clock.now();
    for (name, hours) in [("left.csv#1", 25), ("under-way.csv#1", 23), ("document.csv", 2500)] {
        let file = std::fs::File::create(folder.join(name))?;
        file.set_modified((now - TimeDelta::hours(hours)).into())?;
    }
    assert_eq!(
        desk.office.done(&prune()).await?,
        "0 jobs, 0 delivery reports, 0 refused requests and 1 half-written files are forgotten"
    );
    let left = std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.file_name())).collect::<Result<BTreeSet<_>>>()?;
    assert_eq!(left, BTreeSet::from(["document.csv".into(), "under-way.csv#1".into()]));
    desk.close().await
}

#[tokio::test]
async fn pruning_reports_progress_and_ends_between_two_steps_when_cancelled() -> Result<()> {
    let desk = Desk::open(1).await?;
    insert_finished(&desk, "old", "done", 91, 2500).await?;
    let mut owner = desk.database.connect_as_owner().await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE job_attempts IN SHARE MODE").execute(&mut owner).await?;
    let id = desk.office.hand_in(&prune()).await?;
    until("progress", || async {
        let note: Option<String> = sqlx::query_scalar("SELECT progress_note FROM jobs WHERE id = $1")
            .bind(id)
            .fetch_one(&desk.office.pool)
            .await?;
        Ok(note.filter(|note| note == "finished over 90 days ago"))
    })
    .await?;
    let mut connection = desk.office.pool.acquire().await?;
    jobs::cancel(&mut connection, id, OPERATOR).await?.context("it runs")?;
    until("the worker to hear of it", || async {
        let asked: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM workers WHERE seen_at > (SELECT cancel_requested_at FROM jobs WHERE id = $1)",
        )
        .bind(id)
        .fetch_one(&desk.office.pool)
        .await?;
        Ok((asked > 0).then_some(()))
    })
    .await?;
    sqlx::raw_sql("COMMIT").execute(&mut owner).await?;
    assert_eq!(wait_for(&desk.office.pool, id).await?.0.state, "discarded");
    assert_eq!(count(&desk, "SELECT count(*) FROM jobs WHERE kind = 'old'").await?, 1500, "one step was under way");
    drop(connection);
    desk.office.done(&prune()).await?;
    assert_eq!(count(&desk, "SELECT count(*) FROM jobs WHERE kind = 'old'").await?, 0, "the next goes on");
    desk.close().await
}

#[tokio::test]
async fn pruning_is_tried_again_when_it_fails_and_never_asked_for_all() -> Result<()> {
    let desk = Desk::open(1).await?;
    let take = "REVOKE DELETE ON job_attempts FROM billrunner_app";
    fails_and_is_tried_again(&desk, &prune(), take, "GRANT DELETE ON job_attempts TO billrunner_app").await?;
    let all = registry().prepare_kind(
        "prune_jobs",
        json!({ "retention_days": 0 }),
        RequestId::new("test", JobId::new()),
        "tester".to_owned(),
        JobOptions::default(),
    );
    assert!(all.is_err_and(|error| error.to_string().contains("nonzero")), "that would forget what ended just now");
    desk.close().await
}

#[tokio::test]
async fn a_difference_between_invoices_and_charge_files_is_found_and_named() -> Result<()> {
    let desk = desk_in_september().await?;
    let reseller = desk.business.reseller_id;
    for job in [reconcile(Some(reseller)), reconcile(None), reconcile(None)] {
        assert_eq!(desk.office.done(&job).await?, "1 months reconcile");
    }
    assert_eq!(
        desk.office.done(&reconcile(Some(ResellerId::new()))).await?,
        "0 months reconcile",
        "a reseller who is gone"
    );
    desk.tamper(
        "UPDATE invoice_sources SET cost_exact = cost_exact + 0.01
         WHERE invoice_id = (SELECT id FROM invoices ORDER BY id LIMIT 1)",
    )
    .await?;
    for job in [reconcile(Some(reseller)), reconcile(None)] {
        let found = desk.office.refused(&job).await?;
        assert!(
            found.starts_with(&format!("1 findings: reseller {reseller}, aws 2026-08: billing account `payer`")),
            "{found}"
        );
        assert!(found.contains("is off by 0.01"), "{found}");
    }
    let written = "SELECT count(*) FROM invoice_events";
    let before = count(&desk, written).await?;
    let one_month = ReconcileCharges { reseller_id: None, months: NonZeroU8::MIN };
    assert_eq!(desk.office.done(&one_month).await?, "0 months reconcile", "August is not September");
    assert_eq!(count(&desk, written).await?, before);
    let take = "REVOKE SELECT ON charge_scopes FROM billrunner_app";
    fails_and_is_tried_again(&desk, &one_month, take, "GRANT SELECT ON charge_scopes TO billrunner_app").await?;
    desk.close().await
}

#[tokio::test]
async fn a_hole_in_the_numbers_a_broken_chain_and_a_false_status_are_found_and_named() -> Result<()> {
    let desk = desk_with_open_invoices().await?;
    let reseller = desk.business.reseller_id;
    for job in [check(Some(reseller)), check(None), check(None)] {
        assert_eq!(desk.office.done(&job).await?, "the history of 1 resellers holds");
    }
    assert_eq!(desk.office.done(&check(Some(ResellerId::new()))).await?, "the history of 0 resellers holds");
    // What is planted, what is said of it, and how it is mended.
    let planted: [(&str, &[&str], &str); 8] = [
        (
            "UPDATE invoices SET number = replace(number, '-00002', '-00009') WHERE number LIKE '%-00002'",
            &["-00002 is missing", "number ", "-00009 is beyond the counter of its series"],
            "UPDATE invoices SET number = replace(number, '-00009', '-00002') WHERE number LIKE '%-00009'",
        ),
        ("UPDATE number_series SET next = 5", &["-00004 is missing"], "UPDATE number_series SET next = 4"),
        (
            "UPDATE number_series SET next = 3",
            &["-00003 is beyond the counter of its series"],
            "UPDATE number_series SET next = 4",
        ),
        (
            "UPDATE invoices SET issued_on = issued_on - 1 WHERE number LIKE '%-00003'",
            &["-00003 was issued on", ", before "],
            "UPDATE invoices SET issued_on = issued_on + 1 WHERE number LIKE '%-00003'",
        ),
        (
            "UPDATE invoice_events SET actor = actor || ' or not' WHERE sequence = 2",
            &["the chain of events is broken at event 2"],
            "UPDATE invoice_events SET actor = replace(actor, ' or not', '') WHERE sequence = 2",
        ),
        (
            "CREATE TABLE aside AS SELECT * FROM invoice_events ORDER BY sequence DESC LIMIT 1;
             DELETE FROM invoice_events WHERE sequence = (SELECT sequence FROM aside)",
            &["the chain of events is broken at event 6", "but its last event says draft at version 1"],
            "INSERT INTO invoice_events SELECT * FROM aside",
        ),
        (
            "UPDATE invoices SET status = 'closed' WHERE number LIKE '%-00001'",
            &["is closed at version 2, but its last event says open at version 2"],
            "UPDATE invoices SET status = 'open' WHERE number LIKE '%-00001'",
        ),
        (
            "UPDATE invoices SET version = 7 WHERE number LIKE '%-00001'",
            &["is open at version 7, but its last event says open at version 2"],
            "UPDATE invoices SET version = 2 WHERE number LIKE '%-00001'",
        ),
    ];
    for (plant, said, mend) in planted {
        desk.tamper(plant).await?;
        for job in [check(Some(reseller)), check(None)] {
            let found = desk.office.refused(&job).await?;
            assert!(found.contains(&format!("reseller {reseller}: ")), "{found}");
            assert!(said.iter().all(|said| found.contains(said)), "{plant} is told as {found}");
        }
        desk.tamper(mend).await?;
        assert_eq!(desk.office.done(&check(None)).await?, "the history of 1 resellers holds", "{mend}");
    }
    let take = "REVOKE SELECT ON number_series FROM billrunner_app";
    fails_and_is_tried_again(&desk, &check(None), take, "GRANT SELECT ON number_series TO billrunner_app").await?;
    desk.close().await
}
