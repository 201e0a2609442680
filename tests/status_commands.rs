//! `status`, `workers` and `--watch`: how things stand, once or again and again; and what shells and `man` are given.

use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

use crate::support::{
    TestDatabase,
    business::{Business, database_url},
    clinic::billrunner,
    site::send_signal,
    worker::DEADLINE,
};

/// One worker lives and runs a job, another fell silent an hour ago.
const STAFF: &str = "
    INSERT INTO workers (id, name, started_at, seen_at) VALUES
        ('00000000-0000-7000-8000-000000000001', 'worker-1.example/42/0.9.0', now() - interval '2 hours', now()),
        ('00000000-0000-7000-8000-000000000002', 'process 7', now() - interval '2 hours', now() - interval '1 hour')";
const JOBS: &str = "
    INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at,
                      requested_by, worker_id, started_at, finished_at) VALUES
        ('00000000-0000-7000-8000-00000000000a', 'discard_invoice', 'status', '{}', 'test', '1', '', 'running', 1, now(),
         'tester', '00000000-0000-7000-8000-000000000001', now() - interval '3 minutes', NULL),
        ('00000000-0000-7000-8000-00000000000b', 'import_charges', 'billing', '{}', 'test', '2', '', 'scheduled', 1,
         now() - interval '10 minutes', 'tester', NULL, NULL, NULL),
        ('00000000-0000-7000-8000-00000000000c', 'discard_invoice', 'status', '{}', 'test', '3', '', 'scheduled', 1,
         now() - interval '1 minute', 'tester', NULL, NULL, NULL),
        ('00000000-0000-7000-8000-00000000000d', 'discard_invoice', 'status', '{}', 'test', '4', '', 'dead', 1, now(),
         'tester', NULL, NULL, now())";

/// A database with some work in it.
struct Shop {
    database: TestDatabase,
    url: String,
}

impl Shop {
    async fn open() -> Result<Self> {
        let database = TestDatabase::new().await?;
        for statement in [STAFF, JOBS] {
            sqlx::query(statement).execute(&database.pool).await?;
        }
        Ok(Self { url: database_url(&database.pool).await?, database })
    }

    fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = billrunner(&[("DATABASE_URL".to_owned(), self.url.clone())].into());
        command.args(arguments);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = timeout(DEADLINE, self.command(arguments).output()).await??;
        anyhow::ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.run(&[arguments, &["--json"]].concat()).await?)?)
    }

    fn watch(&self, arguments: &[&str]) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
        let mut child = self.command(arguments).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("its output")?;
        Ok((child, BufReader::new(stdout).lines()))
    }
}

/// Reads on to the next line that begins so.
async fn next(lines: &mut Lines<BufReader<ChildStdout>>, beginning: &str) -> Result<String> {
    let reading = async {
        while let Some(line) = lines.next_line().await? {
            if line.starts_with(beginning) {
                return Ok(line);
            }
        }
        anyhow::bail!("it ended before `{beginning}`")
    };
    timeout(DEADLINE, reading).await?
}

#[tokio::test]
async fn status_shows_what_waits_longest_first_and_what_needs_somebody() -> Result<()> {
    let shop = Shop::open().await?;
    let business = Business::without_charges(&shop.database.pool, 0).await?;
    sqlx::query(
        "INSERT INTO bill_runs (reseller_id, id, provider, billing_period_start, billing_period_end, run_id, options, state,
                                started_by, started_at, finished_at)
         VALUES ($1, gen_random_uuid(), 'aws', '2026-08-01', '2026-09-01', 'august', '{}', 'needs_attention', 'ana', now(), now())",
    )
    .bind(business.reseller_id.0)
    .execute(&shop.database.pool)
    .await?;
    let status = shop.json(&["status"]).await?;
    assert_eq!(status["oldest_waiting"]["queue"], "billing");
    assert!(status["oldest_waiting"]["seconds"].as_f64() >= Some(600.0), "{status}");
    assert_eq!((&status["workers_alive"], &status["running"], &status["dead"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!(status["bill_runs_needing_attention"][0]["run_id"], "august");
    let lanes = status["queues"].as_array().context("queues")?;
    let lane = lanes.iter().find(|lane| lane["queue"] == "status").context("the lane")?;
    assert_eq!((&lane["waiting"], &lane["running"]), (&1.into(), &1.into()));
    let screen = shop.run(&["status"]).await?;
    let first = screen.lines().next().context("a line")?;
    assert!(first.contains("10m") && first.ends_with("in billing"), "{screen}");
    assert!(
        screen.contains("1 alive") && screen.contains("1 running, 1 dead") && screen.contains("august"),
        "{screen}"
    );
    Ok(())
}

#[tokio::test]
async fn status_counts_the_mails_of_a_day_and_no_older_ones() -> Result<()> {
    let shop = Shop::open().await?;
    let business = Business::without_charges(&shop.database.pool, 0).await?;
    let mut owner = shop.database.connect_as_owner().await?;
    // The rows that mails refer to do not matter here.
    sqlx::query("SET session_replication_role = replica").execute(&mut owner).await?;
    for (hours, state) in [(1_i32, "sent"), (23, "failed"), (25, "sent"), (2, "sent")] {
        sqlx::query(
            "INSERT INTO notifications (reseller_id, id, invoice_id, event_sequence, recipient, intent, language, state, message_id)
             VALUES ($1, (lpad(to_hex((extract(epoch FROM now() - make_interval(hours => $2)) * 1000)::bigint), 12, '0')
                          || '7abc9000' || lpad($2::text, 12, '0'))::uuid,
                     gen_random_uuid(), 1, 'ana@acme.example', $2::text, 'en', $3, '<1@test>')",
        )
        .bind(business.reseller_id.0)
        .bind(hours)
        .bind(state)
        .execute(&mut owner)
        .await?;
    }
    let status = shop.json(&["status"]).await?;
    let expected = serde_json::json!([{"state": "failed", "count": 1}, {"state": "sent", "count": 2}]);
    assert_eq!(status["mails"], expected);
    Ok(())
}

#[tokio::test]
async fn workers_say_where_they_are_of_which_version_and_what_they_run() -> Result<()> {
    let shop = Shop::open().await?;
    let workers = shop.json(&["workers"]).await?;
    let [alive, gone] = &workers.as_array().context("workers")?[..] else { panic!("{workers}") };
    assert_eq!(
        (&alive["host"], &alive["process"], &alive["version"]),
        (&"worker-1.example".into(), &"42".into(), &"0.9.0".into())
    );
    assert_eq!((&alive["is_alive"], &alive["runs"][0]["kind"]), (&true.into(), &"discard_invoice".into()));
    assert_eq!(
        (&gone["is_alive"], &gone["version"], &gone["runs"]),
        (&false.into(), &"unknown".into(), &Value::Array(vec![]))
    );
    let table = shop.run(&["workers"]).await?;
    assert!(table.contains("worker-1.example") && table.contains("discard_invoice for 3m"), "{table}");
    assert!(table.contains("gone for 1h"), "{table}");
    Ok(())
}

#[tokio::test]
async fn a_watch_looks_again_until_it_is_interrupted() -> Result<()> {
    let shop = Shop::open().await?;
    let batch = "UPDATE jobs SET completes_batch = true WHERE external_id = '1' RETURNING id::text";
    let batch: String = sqlx::query_scalar(batch).fetch_one(&shop.database.pool).await?;
    for arguments in [&["status"][..], &["queues", "list"], &["workers"], &["batches", "show", &batch]] {
        let (mut child, mut lines) = shop.watch(&[arguments, &["--watch", "1"]].concat())?;
        for _ in 0..2 {
            next(&mut lines, "--- 2").await?;
        }
        send_signal("INT", &child.id().context("it runs")?.to_string())?;
        let rest = async {
            while lines.next_line().await?.is_some() {}
            anyhow::Ok(())
        };
        timeout(DEADLINE, rest).await??;
        assert_eq!(timeout(DEADLINE, child.wait()).await??.code(), Some(0), "{arguments:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_watch_sees_what_changed_and_ends_when_nobody_reads_it() -> Result<()> {
    let shop = Shop::open().await?;
    let (mut child, mut lines) = shop.watch(&["status", "--watch", "1"])?;
    assert!(next(&mut lines, "jobs").await?.contains("1 dead"));
    sqlx::query("UPDATE jobs SET state = 'discarded' WHERE state = 'dead'").execute(&shop.database.pool).await?;
    while next(&mut lines, "jobs").await?.contains("1 dead") {}
    drop(lines);
    assert_eq!(timeout(DEADLINE, child.wait()).await??.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_watch_for_machines_is_one_document_after_the_other() -> Result<()> {
    let shop = Shop::open().await?;
    let (mut child, mut lines) = shop.watch(&["workers", "--json", "--watch"])?;
    let mut text = String::new();
    while text.matches("\n]\n").count() < 2 {
        text.push_str(&timeout(DEADLINE, lines.next_line()).await??.context("more")?);
        text.push('\n');
    }
    let documents: Vec<Value> = serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>()?;
    assert_eq!(documents.len(), 2, "{text}");
    child.kill().await?;
    Ok(())
}

#[test]
fn shells_and_man_learn_every_command() -> Result<()> {
    let run = |arguments: &[&str]| -> Result<String> {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_billrunner")).args(arguments).output()?;
        anyhow::ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell])?;
        assert!(script.contains("doctor") && script.contains("bill-runs"), "{shell}: {script}");
    }
    assert!(run(&["man"])?.contains(".TH billrunner 1"));
    let folder = tempfile::tempdir()?;
    run(&["man", "--into", &folder.path().join("man1").to_string_lossy()])?;
    for page in ["billrunner.1", "billrunner-doctor.1", "billrunner-queues-pause.1"] {
        assert!(folder.path().join("man1").join(page).is_file(), "{page}");
    }
    Ok(())
}
