//! What operators do at the command line: queues, dead jobs, batches; and that each change says who made it and why.

use anyhow::{Context as _, Result};
use billrunner::{
    domain::ids::JobId, jobs::InitialStatus, jobs::registry, queue::JobOptions, queue::RequestId, store::jobs,
};
use serde_json::Value;

use crate::support::{
    site::Site,
    worker::{settled, until, wait_for},
};

/// Dead jobs that have nothing to do when they run again; every tenth died of something else.
const INSERT_DEAD: &str = "
    WITH dead AS (
        INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, attempt, started_attempt,
                          failed_attempts, max_attempts, run_at, requested_by, finished_at, last_error, dedupe_key)
        SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'discard_invoice', 'status',
               jsonb_build_object('reseller_id', gen_random_uuid(), 'invoice_id', gen_random_uuid()), 'test', n::text,
               '', 'dead', 1, 1, 1, 1, now(), 'tester', now(),
               CASE WHEN n % 10 = 0 THEN 'no such thing' ELSE 'server ' || n || ' did not answer' END, $2
        FROM generate_series(1, $1) AS n RETURNING id
    )
    INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, finished_at, outcome, message)
    SELECT id, 1, gen_random_uuid(), now(), now(), 'failed', 'as it was' FROM dead";

async fn insert_dead(site: &Site, count: i32, dedupe_key: Option<&str>) -> Result<()> {
    sqlx::query(INSERT_DEAD).bind(count).bind(dedupe_key).execute(site.pool()).await?;
    Ok(())
}

async fn count(site: &Site, query: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(query).fetch_one(site.pool()).await?)
}

/// Runs a command that succeeds, as Ana, and returns what it printed.
async fn run(site: &Site, arguments: &[&str]) -> Result<String> {
    let (code, said) = site.run(arguments).await?;
    anyhow::ensure!(code == Some(0), "{arguments:?} ended with {code:?}: {said}");
    Ok(said)
}

async fn json(site: &Site, arguments: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&run(site, &[arguments, &["--json"]].concat()).await?)?)
}

/// The job that decides on dead ones.
async fn clearing(site: &Site) -> Result<JobId> {
    let newest = "SELECT id FROM jobs WHERE kind = 'clear_dead_letters' ORDER BY id DESC LIMIT 1";
    Ok(sqlx::query_scalar(newest).fetch_one(site.pool()).await?)
}

#[tokio::test]
async fn queues_are_paused_limited_and_resumed_by_name_and_the_list_says_by_whom_and_why() -> Result<()> {
    let site = Site::build(0).await?;
    insert_dead(&site, 3, None).await?;
    let (code, said) = site.run(&["queues", "pause", "billing.acme", "--reason", "x", "--by", "ana"]).await?;
    assert_eq!(code, Some(2));
    assert!(
        said.contains("neither a queue nor a lane; known: billing, status") && said.contains("billing.aws"),
        "{said}"
    );

    let until = "2999-01-01T00:00:00Z";
    run(&site, &["queues", "pause", "billing", "--reason", "month not closed", "--until", until, "--by", "ana"])
        .await?;
    run(&site, &["queues", "limit", "mail", "--running", "2", "--rate", "100/1m", "--by", "ben"]).await?;
    let listed = json(&site, &["queues", "list"]).await?;
    let lane = |name: &str| -> Value {
        listed.as_array().and_then(|all| all.iter().find(|lane| lane["queue"] == name)).cloned().unwrap_or_default()
    };
    assert_eq!(lane("status")["dead"], 3);
    let paused = &lane("billing.aws")["controls"][0];
    let seen = (&paused["queue"], &paused["paused_by"], &paused["pause_reason"], &paused["paused_until"]);
    assert_eq!(seen, (&"billing".into(), &"ana".into(), &"month not closed".into(), &until.into()));
    let limited = &lane("mail")["controls"][0];
    assert_eq!((&limited["max_running"], &limited["rate_limit"]), (&2.into(), &100.into()));
    let table = run(&site, &["queues", "list"]).await?;
    assert!(table.contains("at most 2 at once") && table.contains("(all of billing)"), "{table}");

    run(&site, &["queues", "resume", "billing", "--by", "ana"]).await?;
    assert_eq!(site.run(&["queues", "resume", "billing", "--by", "ana"]).await?.0, Some(4));
    run(&site, &["queues", "limit", "mail", "--running", "none", "--rate", "none", "--by", "ben"]).await?;
    assert_eq!(
        count(&site, "SELECT count(*) FROM queue_controls WHERE paused_at IS NULL AND max_running IS NULL").await?,
        2
    );
    let history = json(&site, &["queues", "history", "billing"]).await?;
    let actions: Vec<_> =
        history.as_array().expect("a list").iter().map(|done| (&done["action"], &done["reason"])).collect();
    assert_eq!(actions, [(&"resume".into(), &"no reason given".into()), (&"pause".into(), &"month not closed".into())]);
    Ok(())
}

#[tokio::test]
async fn what_operators_did_cannot_be_changed_by_the_application() -> Result<()> {
    let site = Site::build(0).await?;
    run(&site, &["queues", "pause", "mail", "--reason", "x", "--by", "ana"]).await?;
    for statement in ["UPDATE operator_actions SET done_by = 'nobody'", "DELETE FROM operator_actions"] {
        let refused = sqlx::query(statement).execute(site.pool()).await.expect_err(statement);
        assert!(refused.to_string().contains("permission denied"), "{refused}");
    }
    Ok(())
}

#[tokio::test]
async fn all_dead_jobs_that_match_are_tried_again_and_those_that_die_later_are_not() -> Result<()> {
    let site = Site::build(0).await?;
    insert_dead(&site, 300, None).await?;
    let groups = json(&site, &["dead", "list", "--group"]).await?;
    let groups: Vec<_> =
        groups.as_array().expect("a list").iter().map(|group| (&group["error"], &group["count"])).collect();
    assert_eq!(groups, [(&"server # did not answer".into(), &270.into()), (&"no such thing".into(), &30.into())]);

    let retry = ["dead", "retry", "--all", "--error", "did not answer", "--by", "ana", "--reason", "it answers"];
    let shown = run(&site, &[&retry[..], &["--dry-run"]].concat()).await?;
    assert!(shown.contains("270"), "{shown}");
    assert_eq!(count(&site, "SELECT count(*) FROM jobs WHERE kind = 'clear_dead_letters'").await?, 0);
    let said = run(&site, &retry).await?;
    assert!(said.contains("270 jobs match"), "{said}");
    // It dies after it was asked for.
    sqlx::query("UPDATE jobs SET finished_at = now() WHERE external_id = '7'").execute(site.pool()).await?;
    let _worker = site.start_worker().await?;
    let (job, attempts) = wait_for(site.pool(), clearing(&site).await?).await?;
    assert_eq!(job.state, "done");
    assert_eq!(attempts[0].message.as_deref(), Some("269 jobs are due again, 0 were left"));
    settled(site.pool()).await?;
    assert_eq!(count(&site, "SELECT count(*) FROM jobs WHERE kind = 'discard_invoice' AND state = 'done'").await?, 269);
    assert_eq!(count(&site, "SELECT count(*) FROM jobs WHERE state = 'dead'").await?, 31);
    let recorded = "SELECT count(DISTINCT job_id) FROM operator_actions
                    WHERE action = 'retry' AND done_by = 'ana' AND reason = 'it answers'";
    assert_eq!(count(&site, recorded).await?, 269);

    // Running it twice is running it once: it finds nothing of what it decided on.
    let again =
        "UPDATE jobs SET state = 'scheduled', run_at = now(), finished_at = NULL WHERE kind = 'clear_dead_letters'";
    sqlx::query(again).execute(site.pool()).await?;
    let (_, attempts) = wait_for(site.pool(), clearing(&site).await?).await?;
    assert_eq!(attempts[1].message.as_deref(), Some("0 jobs are due again, 0 were left"));
    assert_eq!(count(&site, "SELECT count(*) FROM job_attempts WHERE outcome = 'done'").await?, 269 + 2);
    Ok(())
}

#[tokio::test]
async fn discarded_dead_jobs_keep_their_attempts_and_say_by_whom_and_why() -> Result<()> {
    let site = Site::build(0).await?;
    insert_dead(&site, 20, None).await?;
    let _worker = site.start_worker().await?;
    assert_eq!(site.run(&["dead", "discard", "--all", "--by", "ana"]).await?.0, Some(2), "a reason is asked for");
    let all = ["dead", "discard", "--all", "--error", "no such thing", "--by", "ana", "--reason", "sold off", "--wait"];
    let said = run(&site, &all).await?;
    assert!(said.contains("2 jobs are discarded, 0 were left"), "{said}");
    let one = "00000000-0000-7000-8000-000000000001";
    run(&site, &["dead", "discard", one, "--by", "ben", "--reason", "a test"]).await?;
    assert_eq!(site.run(&["dead", "discard", one, "--by", "ben", "--reason", "again"]).await?.0, Some(4));
    let shown = json(&site, &["dead", "show", one]).await?;
    assert_eq!(shown["job"]["state"], "discarded");
    assert_eq!(shown["job"]["last_error"], "discarded by ben: a test");
    assert_eq!(shown["attempts"][0]["message"], "as it was");
    assert_eq!((&shown["actions"][0]["done_by"], &shown["actions"][0]["reason"]), (&"ben".into(), &"a test".into()));
    assert_eq!(
        count(&site, "SELECT count(*) FROM jobs WHERE state = 'discarded' AND cancel_reason = 'sold off'").await?,
        2
    );
    assert_eq!(count(&site, "SELECT count(*) FROM jobs WHERE state = 'dead'").await?, 17);
    // Whoever names it by its id has changed their mind.
    run(&site, &["dead", "retry", one, "--by", "ben"]).await?;
    assert_eq!(wait_for(site.pool(), one.parse()?).await?.0.state, "done");
    Ok(())
}

#[tokio::test]
async fn a_cancelled_clearing_leaves_done_what_is_done() -> Result<()> {
    let site = Site::build(0).await?;
    insert_dead(&site, 500, None).await?;
    // The three hundredth is held by somebody: the clearing stops there, in the second of its transactions.
    let mut holding = site.pool().begin().await?;
    sqlx::query("SELECT FROM jobs WHERE external_id = '300' FOR UPDATE").execute(&mut *holding).await?;
    let _worker = site.start_worker().await?;
    run(&site, &["dead", "discard", "--all", "--by", "ana", "--reason", "x"]).await?;
    let id = clearing(&site).await?;
    until("the first of its transactions", || async {
        Ok((count(&site, "SELECT count(*) FROM jobs WHERE state = 'discarded'").await? == 200).then_some(()))
    })
    .await?;
    run(&site, &["jobs", "cancel", &id.to_string(), "--by", "ana", "--reason", "too many"]).await?;
    holding.commit().await?;
    let (job, attempts) = wait_for(site.pool(), id).await?;
    assert_eq!((job.state.as_str(), attempts[0].outcome.as_deref()), ("discarded", Some("cancelled")));
    assert_eq!(job.last_error.as_deref(), Some("cancelled by ana: too many"));
    assert_eq!(count(&site, "SELECT count(*) FROM jobs WHERE state = 'dead'").await?, 100);
    Ok(())
}

#[tokio::test]
async fn of_dead_jobs_with_one_dedupe_key_one_is_tried_again() -> Result<()> {
    let site = Site::build(0).await?;
    insert_dead(&site, 5, Some("august")).await?;
    let _worker = site.start_worker().await?;
    run(&site, &["queues", "pause", "documents", "--by", "ana", "--reason", "x"]).await?;
    sqlx::query("UPDATE jobs SET queue = 'documents' WHERE state = 'dead'").execute(site.pool()).await?;
    let said = run(&site, &["dead", "retry", "--all", "--by", "ana", "--wait"]).await?;
    assert!(said.contains("1 jobs are due again, 4 were left"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_bill_runs_batch_says_how_far_it_is_and_is_resumed() -> Result<()> {
    let site = Site::build(3).await?;
    run(&site, &["queues", "pause", "billing.aws", "--by", "ana", "--reason", "x"]).await?;
    let worker = site.start_worker().await?;
    let request = RequestId::new("test", "run");
    let run_job = registry().prepare(
        &site.business.bill_run(InitialStatus::Draft, None),
        request,
        "tester",
        JobOptions::default(),
    )?;
    let mut transaction = site.pool().begin().await?;
    let id = jobs::accept(&mut transaction, &run_job).await?.id();
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    wait_for(site.pool(), id).await?;
    let batches = json(&site, &["batches", "list"]).await?;
    let batch = batches[0]["completion"]["id"].as_str().context("a batch")?.to_owned();
    assert_eq!(batches[0]["outcomes"], serde_json::json!({ "scheduled": 3 }));
    let shown = run(&site, &["jobs", "show", &batch]).await?;
    assert!(shown.contains("0 of 3 ended: 3 scheduled"), "{shown}");

    run(&site, &["batches", "cancel", &batch, "--by", "ana", "--reason", "wrong prices"]).await?;
    let (_, attempts) = wait_for(site.pool(), batch.parse()?).await?;
    let said = attempts[0].message.as_deref().unwrap_or_default();
    assert!(said.starts_with("bill run run of 2026-08: 3 discarded; needs_attention, 3 findings: "), "{said}");
    let listed =
        json(&site, &["jobs", "list", "--batch", &batch, "--queue", "billing", "--state", "discarded"]).await?;
    assert_eq!(listed.as_array().map(Vec::len), Some(3));

    run(&site, &["queues", "resume", "billing.aws", "--by", "ana"]).await?;
    assert_eq!(site.run(&["batches", "retry", &batch, "--by", "ana"]).await?.0, Some(3), "none of its jobs is dead");
    run(&site, &["batches", "retry", &batch, "--with-discarded", "--by", "ana", "--wait"]).await?;
    settled(site.pool()).await?;
    let (_, attempts) = wait_for(site.pool(), batch.parse()?).await?;
    assert_eq!(attempts[1].message.as_deref(), Some("bill run run of 2026-08: 3 done; complete"));
    assert_eq!(count(&site, "SELECT count(*) FROM invoices").await?, 3);
    worker.terminate().await?;
    Ok(())
}
