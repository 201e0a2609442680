//! Traces: from the caller's span through door, dispatch, run, SQL and SMTP; nothing personal in them; off unless asked for.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use billrunner::{
    clock::Clock,
    domain::invoice_status::InvoiceStatus,
    jobs::{ChangeInvoiceStatus, InitialStatus},
    mail::sink::Fault,
    queue::{Job, JobOptions},
};
use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

use crate::support::{
    TestDatabase,
    bench::{Bench, Does, task},
    business::{Business, database_url},
    desk::Desk,
    http::{BATCH, Client, Door, EVENT},
    site::{Process, Site},
    traces::{CALLER, Collector, Traced, comes_from, has_failed, value},
    worker::{settings, settled, until, wait_for},
};

/// What a span may hold, and nothing else: each was looked at for what its values can be.
const ATTRIBUTES: [&str; 22] = [
    "billrunner.job.attempt",
    "billrunner.job.kind",
    "billrunner.job.outcome",
    "billrunner.mail.reply_code",
    "db.operation.name",
    "db.query.summary",
    "db.system.name",
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "messaging.batch.message_count",
    "messaging.client.id",
    "messaging.consumer.group.name",
    "messaging.destination.name",
    "messaging.message.id",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
    "network.protocol.name",
    "server.address",
    "server.port",
];
/// Those of a request as well.
const OF_URL: [&str; 2] = ["url.path", "url.scheme"];

fn caller() -> Result<(TraceId, SpanId)> {
    let parts: Vec<&str> = CALLER.split('-').collect();
    Ok((TraceId::from_hex(parts[1])?, SpanId::from_hex(parts[2])?))
}

fn event<J: Job>(id: &str, source: &str, job: &J) -> Result<Value> {
    let data = serde_json::to_value(job)?;
    Ok(json!({"specversion": "1.0", "id": id, "source": source, "type": J::EVENT_TYPE, "data": data}))
}

async fn post_traced(client: &Client, media_type: &str, body: &Value) -> Result<u16> {
    let headers = format!("content-type: {media_type}\r\ntraceparent: {CALLER}\r\n");
    Ok(client.send("POST", "/v1/jobs", &headers, body.to_string().as_bytes()).await?.status)
}

/// Opens the first customer's draft at the HTTP door, and waits for all that follows.
async fn open_over_http(desk: &Desk) -> Result<()> {
    let door = Door::for_customers(&desk.office, None).await?;
    let client = door.new_client(&desk.office.pool, "portal").await?;
    let open = ChangeInvoiceStatus { notify: Some(true), ..desk.to(desk.id(0).await?, InvoiceStatus::Open) };
    let status = post_traced(&client, EVENT, &event("1", "portal", &open)?).await?;
    ensure!(status == 202, "{status}");
    desk.office.settled().await
}

#[tokio::test]
async fn a_job_handed_in_over_http_is_one_trace_from_the_request_to_the_mail() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let traced = Traced::start();
    open_over_http(&desk).await?;
    // A span is exported when it is over, which is a moment after its job is done.
    desk.close().await?;
    let (trace, calling) = caller()?;
    let request = traced.only("POST /v1/jobs")?;
    comes_from(&request, &SpanKind::Server, trace, calling)?;
    assert_eq!(value(&request, "http.response.status_code").as_deref(), Some("202"));
    let sent = &traced.below(&request)["send status"];
    comes_from(sent, &SpanKind::Producer, trace, request.span_context.span_id())?;
    assert_eq!(value(sent, "messaging.operation.type").as_deref(), Some("send"));
    let from_sent = traced.below(sent);
    assert_eq!(from_sent["dispatch status"].span_kind, SpanKind::Client);
    assert!(from_sent.contains_key("INSERT jobs SELECT"), "{:?}", from_sent.keys());
    let run = &from_sent["process status"];
    comes_from(run, &SpanKind::Consumer, trace, sent.span_context.span_id())?;
    assert_eq!(value(run, "billrunner.job.kind").as_deref(), Some("change_invoice_status"));
    assert_eq!(value(run, "messaging.message.id"), value(sent, "messaging.message.id"));
    let mailing = traced.only("process mail")?;
    let mail = &traced.below(&mailing)["smtp send"];
    comes_from(mail, &SpanKind::Client, trace, mailing.span_context.span_id())?;
    assert_eq!(value(mail, "billrunner.mail.reply_code").as_deref(), Some("250"));
    for (name, parent, follower) in
        [("send mail", "process documents", "process mail"), ("send documents", "process status", "process documents")]
    {
        // Whichever document comes last hands the mail in; when two do, it is one job.
        let (producers, parents) = (traced.named(name), traced.named(parent));
        for producer in &producers {
            let is_below = |parent: &SpanData| parent.span_context.span_id() == producer.parent_span_id;
            assert!(parents.iter().any(is_below), "{name} is not below {parent}");
        }
        let has_followers = |producer: &SpanData| traced.below(producer).contains_key(follower);
        assert!(producers.iter().any(has_followers), "no {follower} is below {name}");
    }
    let statements = traced.below(&mailing);
    let statements = statements.values().filter(|span| value(span, "db.system.name").as_deref() == Some("postgresql"));
    assert!(statements.filter(|span| span.span_kind == SpanKind::Client).count() >= 3);
    Ok(())
}

#[tokio::test]
async fn a_span_that_the_envelope_names_made_the_job_and_the_door_links_to_it() -> Result<()> {
    let bench = Bench::new().await?;
    let traced = Traced::start();
    let door = Door::open(&bench).await?;
    let client = door.new_client(bench.pool(), "shop").await?;
    let mut own = event("own", "shop", &task(Does::Work, 0))?;
    own["traceparent"] = CALLER.into();
    let without = event("without", "shop", &task(Does::Work, 0))?;
    let answer = client.post(BATCH, json!([own, without]).to_string()).await?;
    assert_eq!(answer.status, 200);
    let worker = bench.start_worker(settings());
    settled(bench.pool()).await?;
    worker.stop().await?;
    let (trace, calling) = caller()?;
    let sent = traced.only("send status")?;
    assert_eq!(value(&sent, "messaging.batch.message_count").as_deref(), Some("2"));
    let links: Vec<_> = sent.links.iter().map(|link| link.span_context.span_id()).collect();
    assert_eq!(links, [calling]);
    assert_ne!(sent.span_context.trace_id(), trace);
    let parents: BTreeSet<_> =
        traced.named("process status").iter().map(|run| run.parent_span_id.to_string()).collect();
    assert_eq!(parents, BTreeSet::from([calling.to_string(), sent.span_context.span_id().to_string()]));
    // Both went to Redis at once, so the span is of neither trace.
    let dispatched = traced.only("dispatch status")?;
    assert_eq!((dispatched.parent_span_id, dispatched.links.len()), (SpanId::INVALID, 2));
    Ok(())
}

#[tokio::test]
async fn each_attempt_is_a_span_that_says_what_became_of_it() -> Result<()> {
    let bench = Bench::new().await?;
    let traced = Traced::start();
    let options = JobOptions { traceparent: Some(CALLER.to_owned()), ..JobOptions::default() };
    let id = bench.accept_with("passing", &task(Does::FailTransiently, 2), options).await?.id();
    let worker = bench.start_worker(settings());
    wait_for(bench.pool(), id).await?;
    let dead = bench.hand_in("failing", Does::FailPermanently, 0).await?;
    wait_for(bench.pool(), dead).await?;
    worker.stop().await?;
    let (trace, calling) = caller()?;
    let mut runs = traced.named("process status");
    let last = runs.pop().context("a span")?;
    assert_eq!(value(&last, "billrunner.job.outcome").as_deref(), Some("dead"));
    assert_eq!((value(&last, "error.type").as_deref(), has_failed(&last)), (Some("permanent"), true));
    let mut seen = Vec::new();
    for run in &runs {
        comes_from(run, &SpanKind::Consumer, trace, calling)?;
        let told = ["billrunner.job.attempt", "billrunner.job.outcome", "error.type"].map(|key| value(run, key));
        seen.push((told.map(Option::unwrap_or_default).join(" "), has_failed(run)));
    }
    let expected = [("1 retried transient", true), ("2 retried transient", true), ("3 done ", false)];
    assert_eq!(seen, expected.map(|(told, failed)| (told.to_owned(), failed)));
    Ok(())
}

#[tokio::test]
async fn each_invoice_of_a_bill_run_has_a_trace_of_its_own_that_is_linked_to_the_runs() -> Result<()> {
    let desk = Desk::open(2).await?;
    let traced = Traced::start();
    desk.office.done(&desk.business.bill_run(InitialStatus::Draft, None)).await?;
    desk.office.settled().await?;
    desk.close().await?;
    let run = traced.named("process billing").into_iter().next().context("the run")?;
    let of_run = run.span_context.trace_id();
    let invoices = traced.named("process billing.aws");
    assert_eq!(invoices.len(), 2);
    let ids: BTreeSet<_> = invoices.iter().map(|span| span.span_context.trace_id().to_string()).collect();
    assert_eq!(ids.len(), 2);
    for invoice in &invoices {
        assert_eq!(invoice.parent_span_id, SpanId::INVALID);
        let linked: Vec<_> = invoice.links.iter().map(|link| link.span_context.trace_id()).collect();
        assert_eq!(linked, [of_run], "{invoice:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_mail_fails_its_span_with_the_servers_code() -> Result<()> {
    let desk = Desk::with_drafts(1).await?;
    let traced = Traced::start();
    desk.office.sink.plan(Fault::RejectRecipient);
    open_over_http(&desk).await?;
    desk.close().await?;
    let mail = traced.only("smtp send")?;
    assert_eq!(value(&mail, "billrunner.mail.reply_code").as_deref(), Some("550"));
    assert_eq!((value(&mail, "error.type").as_deref(), has_failed(&mail)), (Some("failed"), true));
    Ok(())
}

#[tokio::test]
async fn nothing_personal_no_amount_and_nothing_of_a_payload_is_in_any_span() -> Result<()> {
    let database = TestDatabase::new().await?;
    let traced = Traced::start();
    let business = Business::with_costs(&database.pool, &["7654.32"]).await?;
    let desk = Desk::of(database, business, Clock::System).await?;
    desk.close_month().await?;
    desk.office.sink.plan(Fault::RejectRecipient);
    open_over_http(&desk).await?;
    let door = Door::for_customers(&desk.office, None).await?;
    door.visit("/downloads/canary-path?canary=query").await?;
    desk.office.refused(&desk.to(desk.id(0).await?, InvoiceStatus::Draft)).await?;
    desk.close().await?;
    let spans = traced.spans();
    let names: BTreeSet<_> = spans.iter().map(|span| span.name.to_string()).collect();
    ensure!(
        ["smtp send", "process billing.aws", "POST /v1/jobs"].iter().all(|name| names.contains(*name)),
        "{names:?}"
    );
    // Names, addresses and tax ids; amounts as given, with markup and with tax; who asked, under which key and id.
    let canaries = [
        "Customer 0",
        "contact-0",
        "Contact 0",
        "example.com",
        "Reseller",
        "ESB12345674",
        "7654.32",
        "8611.11",
        "10419.44",
        "tester",
        "canary",
        "account-0",
        "because the test",
        "no such mailbox",
    ];
    for span in &spans {
        let shown = format!("{span:?}");
        for canary in canaries {
            assert!(!shown.contains(canary), "{canary} is in {shown}");
        }
        for attribute in &span.attributes {
            let key = attribute.key.as_str();
            let is_known = ATTRIBUTES.contains(&key) || OF_URL.contains(&key) && span.span_kind == SpanKind::Server;
            assert!(is_known, "{key} in {}", span.name);
        }
        assert!(span.events.is_empty(), "{shown}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_listener_jobs_carry_on_what_they_came_with() -> Result<()> {
    let bench = Bench::new().await?;
    let options = JobOptions { traceparent: Some(CALLER.to_owned()), ..JobOptions::default() };
    bench.accept_with("first", &task(Does::FollowUp, 0), options).await?;
    let worker = bench.start_worker(settings());
    settled(bench.pool()).await?;
    worker.stop().await?;
    let carried: Vec<Option<String>> =
        sqlx::query_scalar("SELECT traceparent FROM jobs ORDER BY id").fetch_all(bench.pool()).await?;
    assert_eq!(carried, [Some(CALLER.to_owned()), Some(CALLER.to_owned())]);
    Ok(())
}

/// A log kept in memory.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn log_lines_name_the_trace_also_where_none_is_exported() -> Result<()> {
    let bench = Bench::new().await?;
    let log = Log::default();
    let lines = tracing_subscriber::fmt::layer().json().with_writer(log.clone());
    let filter = tracing_subscriber::EnvFilter::new("info");
    let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(filter).with(lines));
    let options = JobOptions { traceparent: Some(CALLER.to_owned()), ..JobOptions::default() };
    let id = bench.accept_with("traced", &task(Does::Work, 0), options).await?.id();
    let worker = bench.start_worker(settings());
    wait_for(bench.pool(), id).await?;
    let other = bench.hand_in("untraced", Does::Work, 0).await?;
    wait_for(bench.pool(), other).await?;
    worker.stop().await?;
    let text = String::from_utf8(log.0.lock().expect("not poisoned").clone())?;
    let of = |id: String| -> Result<Value> {
        let line = text.lines().find(|line| line.contains(&id) && line.contains("\"done\""));
        Ok(serde_json::from_str(line.context("a line")?)?)
    };
    assert_eq!(of(id.to_string())?["span"]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(of(other.to_string())?["span"]["trace_id"].is_null());
    Ok(())
}

/// Tells whether a process has the thread that exports spans.
#[cfg(target_os = "linux")]
fn exports(process: &Process) -> Result<bool> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id()?))?;
    let name = |task: std::io::Result<fs::DirEntry>| fs::read_to_string(task?.path().join("comm"));
    let names = tasks.map(name).collect::<std::io::Result<Vec<_>>>()?;
    Ok(names.iter().any(|name| name.starts_with("OpenTelemetry")))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_worker_exports_where_a_collector_is_named_and_makes_no_thread_otherwise() -> Result<()> {
    let site = Site::build(1).await?;
    let url = database_url(site.pool()).await?;
    let silent = site.start_worker_set("10s", &url, &[("OTEL_SERVICE_NAME", "billing")])?;
    site.hand_in(&site.business.generate(0), "first").await?;
    settled(site.pool()).await?;
    assert!(!exports(&silent)?);
    assert!(silent.terminate().await?.success());

    let collector = Collector::start().await?;
    let endpoint = format!("http://{}", collector.address);
    let told = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=canary"),
        ("OTEL_SERVICE_NAME", "billing"),
    ];
    let worker = site.start_worker_set("10s", &url, &told)?;
    site.hand_in(&site.business.generate(0), "second").await?;
    settled(site.pool()).await?;
    assert!(exports(&worker)?);
    // What was not sent yet is sent at the end.
    assert!(worker.terminate().await?.success());
    let posted = collector.posted();
    let holds = |posted: &Vec<u8>, text: &str| posted.windows(text.len()).any(|found| found == text.as_bytes());
    let exported = posted.iter().find(|posted| holds(posted, "process billing.aws")).context("the job's span")?;
    for text in ["POST /v1/traces ", "api-key: canary", "application/x-protobuf", "service.name", "billing", "0.1.0"] {
        assert!(holds(exported, text), "{text} is missing");
    }
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_away_delays_no_job_and_no_stop_and_is_said_once() -> Result<()> {
    let site = Site::build(3).await?;
    // It takes connections and never answers.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await?;
    let endpoints = ["http://127.0.0.1:1".to_owned(), format!("http://{}", silent.local_addr()?)];
    for (n, endpoint) in endpoints.iter().enumerate() {
        let log = tempfile::NamedTempFile::new()?;
        let told = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
        let worker = site.start_worker_that_logs_to(log.path(), &told).await?;
        for customer in 0..3 {
            site.hand_in(&site.business.generate(customer), &format!("{n} {customer}")).await?;
            settled(site.pool()).await?;
        }
        let away = || async {
            let warned = fs::read_to_string(log.path())?.contains("the collector takes no spans");
            Ok(warned.then_some(()))
        };
        until("the warning", away).await?;
        site.hand_in(&site.business.generate(0), &format!("{n} last")).await?;
        settled(site.pool()).await?;
        let stopped = tokio::time::timeout(Duration::from_secs(15), worker.terminate()).await;
        assert!(stopped.context("it waits for the collector")??.success());
        let text = fs::read_to_string(log.path())?;
        assert_eq!(text.matches("the collector takes no spans").count(), 1, "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_collector_that_sends_spans_on_to_another_gets_them_and_the_other_does_not() -> Result<()> {
    let (site, other) = (Site::build(1).await?, Collector::start().await?);
    let (listener, log) = (TcpListener::bind(("127.0.0.1", 0)).await?, tempfile::NamedTempFile::new()?);
    let (endpoint, elsewhere) = (format!("http://{}", listener.local_addr()?), other.address);
    let answering = tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{elsewhere}/v1/traces\r\ncontent-length: 0\r\n\r\n"
            );
            let _ = connection.read(&mut [0; 1024]).await;
            let _ = connection.write_all(answer.as_bytes()).await;
            // The rest of the request is taken, so that the answer is read.
            let _ = tokio::io::copy(&mut connection, &mut tokio::io::sink()).await;
        }
    });
    let told = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let worker = site.start_worker_that_logs_to(log.path(), &told).await?;
    site.hand_in(&site.business.generate(0), "sent on").await?;
    until("the warning", || async {
        let warned = fs::read_to_string(log.path())?.contains("the collector takes no spans");
        Ok(warned.then_some(()))
    })
    .await?;
    assert!(worker.terminate().await?.success());
    answering.abort();
    assert!(other.posted().is_empty(), "spans were sent on");
    Ok(())
}
