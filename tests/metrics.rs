//! `/metrics`: what dashboard and alerts ask for is exported, by fixed names and labels, and says how things stand.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use billrunner::{
    domain::invoice_status::InvoiceStatus,
    http::{self, Metrics},
    jobs::{ChangeInvoiceStatus, ImportCharges, charge_file_location, registry},
    providers,
    queue::{Registry, Streams},
};
use object_store::ObjectStoreExt;
use regex::Regex;
use sha2::{Digest, Sha256};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    bench::{Bench, Does},
    business::{self, PROVIDER, database_url},
    desk::Desk,
    http::{Answer, Door, exchange},
    redis::TestRedis,
    site::Site,
    worker::{settings, settled, streams, until, wait_for},
};

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
/// What a gauge's name ends with: its unit, in the plural, or what is true or not.
const UNITS: [&str; 10] = [
    "_seconds",
    "_jobs",
    "_attempts",
    "_workers",
    "_connections",
    "_notifications",
    "_runs",
    "_schedules",
    "_paused",
    "_up",
];

/// One exported number.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// An answer of `/metrics`, read.
#[derive(Debug)]
struct Exported {
    types: BTreeMap<String, String>,
    helps: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

impl Exported {
    fn read(answer: &Answer) -> Result<Self> {
        ensure!(answer.status == 200, "{answer:?}");
        ensure!(answer.content_type().starts_with("application/openmetrics-text; version=1.0.0"), "{answer:?}");
        let text = std::str::from_utf8(&answer.bytes)?;
        ensure!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1, "{text}");
        let mut exported = Self { types: BTreeMap::new(), helps: BTreeMap::new(), samples: Vec::new() };
        for line in text.lines().filter(|line| *line != "# EOF") {
            if let Some(described) = line.strip_prefix("# ") {
                let mut words = described.splitn(3, ' ');
                let (what, name) = (words.next(), words.next().context("a name")?.to_owned());
                let said = words.next().unwrap_or_default().to_owned();
                let known = match what {
                    Some("HELP") => &mut exported.helps,
                    Some("TYPE") => &mut exported.types,
                    _ => continue,
                };
                ensure!(known.insert(name, said).is_none(), "said twice: {line}");
                continue;
            }
            exported.samples.push(Sample::read(line).with_context(|| line.to_owned())?);
        }
        Ok(exported)
    }

    fn names(&self) -> BTreeSet<&str> {
        self.samples.iter().map(|sample| sample.name.as_str()).collect()
    }

    /// Returns the value with exactly these labels.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        let wanted: BTreeMap<String, String> =
            labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        let found = self.samples.iter().find(|sample| sample.name == name && sample.labels == wanted);
        found.map(|sample| sample.value).with_context(|| format!("{name} {labels:?} is not in {:?}", self.samples))
    }

    /// Checks a value that counts something.
    fn is(&self, name: &str, labels: &[(&str, &str)], expected: u32) -> Result<()> {
        let value = self.value(name, labels)?;
        ensure!((value - f64::from(expected)).abs() < f64::EPSILON, "{name} {labels:?} is {value}, not {expected}");
        Ok(())
    }
}

impl Sample {
    fn read(line: &str) -> Result<Self> {
        let (series, value) = line.rsplit_once(' ').context("a value")?;
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').context("the labels end")?;
        let mut read = BTreeMap::new();
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (name, value) = label.split_once('=').context("a label has a value")?;
            read.insert(name.to_owned(), value.trim_matches('"').to_owned());
        }
        Ok(Self { name: name.to_owned(), labels: read, value: value.parse()? })
    }
}

/// Asks what a process says of itself and of a ledger.
async fn scrape<C: Clone + Send + Sync + 'static>(
    pool: &PgPool,
    streams: Streams,
    registry: &Registry<C>,
) -> Result<Exported> {
    let listener = http::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let metrics = Arc::new(Metrics::new(pool, streams, registry));
    tokio::spawn(http::serve_metrics(metrics, listener, stop.clone()));
    let _stop = stop.drop_guard();
    Exported::read(&exchange(address, GET).await?)
}

/// Has a process do some of everything: import a file, bill a month, open an invoice, render, send a mail, answer.
async fn at_work() -> Result<(Desk, Exported)> {
    let desk = Desk::with_drafts(1).await?;
    let file = fs::read(business::charge_file(1, "imported by a job")?.path())?;
    let sha256 = hex::encode(Sha256::digest(&file));
    desk.office.context.objects.put(&charge_file_location(&sha256)?, file.into()).await?;
    let (provider, file_name) = (PROVIDER.to_owned(), "charges.csv".to_owned());
    let reseller_id = desk.business.reseller_id;
    let open = ChangeInvoiceStatus { notify: Some(true), ..desk.to(desk.id(0).await?, InvoiceStatus::Open) };
    desk.office.done(&open).await?;
    desk.office.settled().await?;
    desk.office.done(&ImportCharges { reseller_id, provider, sha256, file_name }).await?;
    desk.execute("UPDATE schedules SET last_job_id = (SELECT id FROM jobs WHERE state = 'done' LIMIT 1)").await?;
    let door = Door::for_customers(&desk.office, None).await?;
    door.visit("/livez").await?;
    door.visit("/wp-login.php").await?;
    // Counted once it is committed, which the test may see first.
    let exported = until("the import to be counted", || async {
        let exported = Exported::read(&door.visit("/metrics").await?)?;
        let rows = exported.value("billrunner_imported_rows_total", &[("provider", PROVIDER)]);
        Ok(rows.is_ok().then_some(exported))
    })
    .await?;
    Ok((desk, exported))
}

#[tokio::test]
async fn what_dashboard_and_alerts_ask_for_is_exported_by_a_process_at_work() -> Result<()> {
    let (desk, exported) = at_work().await?;
    let names = exported.names();
    let metric = Regex::new("billrunner_[a-z0-9_]+")?;
    for file in ["ops/grafana-dashboard.json", "ops/alerts.yaml", "ops/alerts_test.yaml"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))?;
        let asked: BTreeSet<&str> = metric.find_iter(&text).map(|m| m.as_str()).collect();
        ensure!(asked.len() > 10, "only {asked:?} are read from {file}");
        let missing: Vec<_> = asked.difference(&names).collect();
        assert!(missing.is_empty(), "{file} asks for {missing:?}; exported are {names:?}");
    }
    let dashboard = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("ops/grafana-dashboard.json"))?;
    serde_json::from_slice::<serde_json::Value>(&dashboard)?;
    let generated = [("kind", "generate_invoice"), ("outcome", "done")];
    exported.is("billrunner_job_attempts_finished_total", &generated, 1)?;
    exported.is("billrunner_mails_total", &[("outcome", "sent")], 1)?;
    exported.is("billrunner_mails_total", &[("outcome", "failed")], 0)?;
    exported.is("billrunner_mail_duration_seconds_count", &[], 1)?;
    assert!(exported.value("billrunner_document_render_duration_seconds_count", &[("kind", "pdf")])? >= 1.0);
    exported.is("billrunner_imported_rows_total", &[("provider", PROVIDER)], 2)?;
    exported.is("billrunner_http_requests_total", &[("kind", "/livez"), ("outcome", "2xx")], 1)?;
    assert!(exported.value("billrunner_postgres_max_connections", &[("kind", "handlers")])? >= 1.0);
    desk.close().await
}

#[tokio::test]
async fn every_metric_has_a_meaning_a_unit_and_a_place_in_the_handbook() -> Result<()> {
    let (desk, exported) = at_work().await?;
    let handbook = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATING.md"))?;
    for (name, kind) in &exported.types {
        let help = exported.helps.get(name).with_context(|| format!("{name} has no meaning"))?;
        assert!(help.len() > 15, "{name}: {help}");
        let listed = match kind.as_str() {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            "histogram" => {
                assert!(name.ends_with("_duration_seconds"), "{name}");
                name.clone()
            }
            other => {
                assert!(other == "gauge" && UNITS.iter().any(|unit| name.ends_with(unit)), "{name} is a {other}");
                name.clone()
            }
        };
        assert!(listed.starts_with("billrunner_"), "{listed}");
        assert!(handbook.contains(&format!("| `{listed}` |")), "docs/OPERATING.md does not list {listed}");
    }
    assert_eq!(exported.types.len(), exported.helps.len());
    let listed = Regex::new(r"(?m)^\| `(billrunner_\w+)` \|")?.captures_iter(&handbook).count();
    assert_eq!(listed, exported.types.len(), "docs/OPERATING.md lists what is not exported");
    desk.close().await
}

#[tokio::test]
async fn labels_are_those_allowed_and_their_values_come_from_lists() -> Result<()> {
    let (desk, exported) = at_work().await?;
    let registry = registry();
    let lanes: BTreeSet<&str> = registry.lane_names().collect();
    for sample in &exported.samples {
        for (label, value) in &sample.labels {
            let is_known = match label.as_str() {
                "queue" => lanes.contains(value.as_str()),
                "provider" => providers::find(value).is_ok(),
                "le" => sample.name.ends_with("_bucket"),
                "version" => sample.name == "billrunner_build_info",
                other => matches!(other, "kind" | "outcome"),
            };
            assert!(is_known, "{sample:?}");
            assert!(!value.contains("wp-login"), "what a visitor asks for makes no series: {sample:?}");
        }
    }
    exported.is("billrunner_http_requests_total", &[("kind", "none"), ("outcome", "4xx")], 1)?;
    desk.close().await
}

#[tokio::test]
async fn lanes_are_shown_as_they_stand_in_the_ledger() -> Result<()> {
    let bench = Bench::new().await?;
    let (waiting, sent) = (bench.hand_in_hold("waiting", "aws").await?, bench.hand_in_hold("sent", "aws").await?);
    let (later, dead) = (bench.hand_in("later", Does::Work, 0).await?, bench.hand_in("dead", Does::Work, 0).await?);
    let running = bench.hand_in_hold("running", "google").await?;
    for (id, change) in [
        (waiting, "run_at = now() - interval '1 hour'"),
        (sent, "state = 'dispatched', attempt = 1, run_at = now() - interval '2 hours'"),
        (later, "run_at = now() + interval '1 hour'"),
        (dead, "state = 'dead', finished_at = now()"),
        (running, "state = 'running', attempt = 1, started_attempt = 1"),
    ] {
        let sql = format!("UPDATE jobs SET {change} WHERE id = '{id}'");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(bench.pool()).await?;
    }
    let rest =
        "INSERT INTO queue_controls (queue, paused_at, paused_by, pause_reason) VALUES ('billing', now(), 'x', 'y');
                INSERT INTO queue_controls (queue, paused_at, paused_by, pause_reason, paused_until)
                VALUES ('mail', now(), 'x', 'y', now() - interval '1 minute');
                INSERT INTO workers (id, name, seen_at) VALUES (gen_random_uuid(), 'alive', now()),
                    (gen_random_uuid(), 'gone', now() - interval '1 hour')";
    sqlx::raw_sql(rest).execute(bench.pool()).await?;
    let exported = scrape(bench.pool(), bench.streams.clone(), &registry()).await?;
    for (name, queue, expected) in [
        ("waiting_jobs", "billing.aws", 2),
        ("waiting_jobs", "billing.google", 0),
        ("running_jobs", "billing.google", 1),
        ("scheduled_jobs", "status", 1),
        ("waiting_jobs", "status", 0),
        ("dead_jobs", "status", 1),
        ("oldest_waiting_job_age_seconds", "status", 0),
        ("queue_paused", "billing", 1),
        ("queue_paused", "billing.aws", 1),
        ("queue_paused", "mail", 0),
    ] {
        exported.is(&format!("billrunner_{name}"), &[("queue", queue)], expected)?;
    }
    let age = exported.value("billrunner_oldest_waiting_job_age_seconds", &[("queue", "billing.aws")])?;
    assert!(age >= 7200.0, "what lies in Redis unread waits too: {age}");
    exported.is("billrunner_live_workers", &[], 1)
}

#[tokio::test]
async fn bill_runs_schedules_and_notifications_are_shown_as_they_stand() -> Result<()> {
    let bench = Bench::new().await?;
    let runs = "INSERT INTO bill_runs (reseller_id, id, provider, billing_period_start, billing_period_end, run_id, options,
                                       state, started_by, started_at, finished_at)
                SELECT id, gen_random_uuid(), provider, start, (start + interval '1 month')::date, run, '{}', state, 'x',
                       now() - make_interval(hours => ago), CASE WHEN state <> 'running' THEN now() END
                FROM resellers, (VALUES ('aws', date '2026-07-01', 'first', 'needs_attention', 5),
                                        ('aws', '2026-07-01', 'second', 'complete', 4),
                                        ('aws', '2026-08-01', 'first', 'needs_attention', 3),
                                        ('google', '2026-08-01', 'first', 'running', 2))
                                AS run (provider, start, run, state, ago)";
    sqlx::raw_sql(runs).execute(bench.pool()).await?;
    let done = bench.hand_in("done", Does::Work, 0).await?;
    let schedules = format!(
        "UPDATE jobs SET state = 'done', finished_at = to_timestamp(1000) WHERE id = '{done}';
         UPDATE schedules SET last_job_id = '{done}' WHERE name = 'check-history';
         UPDATE schedules SET next_run_at = now() - interval '1 hour' WHERE name = 'prune-jobs';
         UPDATE schedules SET last_error = 'refused' WHERE name = 'reconcile-charges'"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(schedules)).execute(bench.pool()).await?;
    let exported = scrape(bench.pool(), bench.streams.clone(), &registry()).await?;
    let of = |name: &str, label, value| exported.value(&format!("billrunner_{name}"), &[(label, value)]);
    for (name, label, value, expected) in [
        // A later run of the month settles the first.
        ("unsettled_bill_runs", "provider", "aws", 1),
        ("unsettled_bill_runs", "provider", "google", 0),
        ("oldest_unfinished_bill_run_age_seconds", "provider", "aws", 0),
        ("schedule_overdue_seconds", "kind", "check_history", 0),
        ("failing_schedules", "kind", "reconcile_charges", 1),
        ("failing_schedules", "kind", "check_history", 0),
        ("schedule_last_success_timestamp_seconds", "kind", "check_history", 1000),
        ("notifications", "outcome", "uncertain", 0),
    ] {
        exported.is(&format!("billrunner_{name}"), &[(label, value)], expected)?;
    }
    assert!(of("oldest_unfinished_bill_run_age_seconds", "provider", "google")? >= 7200.0);
    assert!(of("schedule_overdue_seconds", "kind", "prune_jobs")? >= 3600.0);
    assert!(of("schedule_last_success_timestamp_seconds", "kind", "prune_jobs").is_err(), "it never ran");
    Ok(())
}

#[tokio::test]
async fn where_a_server_is_away_that_is_said_and_nothing_else_of_it() -> Result<()> {
    let nowhere = PgConnectOptions::new().host("/nonexistent").username("x").database("x");
    let nowhere = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1)).connect_lazy_with(nowhere);
    let exported = scrape(&nowhere, streams()?, &registry()).await?;
    exported.is("billrunner_postgres_up", &[], 0)?;
    exported.is("billrunner_redis_up", &[], 1)?;
    assert!(!exported.names().contains("billrunner_waiting_jobs"), "{exported:?}");

    let bench = Bench::new().await?;
    let exported = scrape(bench.pool(), Streams::new("redis+unix:///nonexistent", "x")?, &registry()).await?;
    exported.is("billrunner_postgres_up", &[], 1)?;
    exported.is("billrunner_redis_up", &[], 0)?;
    assert!(exported.names().contains("billrunner_waiting_jobs"), "{exported:?}");
    Ok(())
}

#[tokio::test]
async fn jobs_that_redis_lost_are_counted_when_they_are_sent_again() -> Result<()> {
    const JOBS: usize = 30;
    let redis = TestRedis::start().await?;
    let bench = Bench::on(redis.streams()?).await?;
    for n in 0..JOBS {
        bench.hand_in_hold(&format!("job {n}"), "aws").await?;
    }
    let worker = bench.start_worker(settings());
    bench.started().await?;
    bench.until_count("jobs in redis", "SELECT count(*) FROM jobs WHERE state = 'dispatched'", 1).await?;
    redis.flush_all().await?;
    bench.release(JOBS);
    settled(bench.pool()).await?;
    worker.stop().await?;
    let exported = scrape(bench.pool(), bench.streams.clone(), &bench.registry).await?;
    assert!(exported.value("billrunner_jobs_redispatched_total", &[("queue", "billing.aws")])? >= 1.0);
    exported.is("billrunner_running_job_attempts", &[("kind", "hold")], 0)
}

#[tokio::test]
async fn a_job_taken_over_from_a_worker_that_vanished_is_counted() -> Result<()> {
    let bench = Bench::new().await?;
    let vanishing = bench.start_worker(settings());
    let id = bench.hand_in_hold("job", "aws").await?;
    bench.started().await?;
    vanishing.vanish().await;
    let worker = bench.start_worker(settings());
    bench.release(2);
    wait_for(bench.pool(), id).await?;
    worker.stop().await?;
    let exported = scrape(bench.pool(), bench.streams.clone(), &bench.registry).await?;
    exported.is("billrunner_jobs_rescued_total", &[], 1)?;
    exported.is("billrunner_job_attempts_started_total", &[("kind", "hold")], 2)
}

#[tokio::test]
async fn a_worker_process_serves_metrics_where_it_is_told_to() -> Result<()> {
    let site = Site::build(0).await?;
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let address = free.to_string();
    let told = [("BILLRUNNER_METRICS_ADDRESS", address.as_str()), ("BILLRUNNER_DATABASE_CONNECTIONS", "10")];
    let worker = site.start_worker_set("10s", &database_url(site.pool()).await?, &told)?;
    let imports = [("kind", "import_charges")];
    until("a worker that says what it does", || async {
        let Ok(answer) = exchange(free, GET).await else { return Ok(None) };
        // What has not happened yet is exported too.
        Ok(Exported::read(&answer)?.is("billrunner_job_attempts_started_total", &imports, 0).ok())
    })
    .await?;
    assert!(worker.terminate().await?.success());
    Ok(())
}
