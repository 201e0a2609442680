//! The console's pages: each shows what the database holds, escapes what is hostile, and stays small with many rows.

use anyhow::Result;
use billrunner::domain::console_access::Role;
use sqlx::PgPool;

use crate::support::{
    TestDatabase,
    business::Business,
    console::{Browser, Desktop},
};

/// What no page may give back as it is.
const HOSTILE: &str = "<script>alert('x')</script>\" onload=\"x\u{202e}gnp.exe";
/// Largest page.
const MAX_BYTES: usize = 60_000;
/// All pages without an id in their address.
const PAGES: [&str; 10] = [
    "/",
    "/?window=1h",
    "/?window=7d",
    "/dead",
    "/schedules",
    "/workers",
    "/bill-runs",
    "/notifications",
    "/audit",
    "/audit/invoices",
];

/// Work in all states: a worker that lives and runs a job, one that is gone, jobs that wait, and dead ones of two errors.
const WORK: &str = "
    INSERT INTO workers (id, name, started_at, seen_at) VALUES
        ('00000000-0000-7000-8000-000000000001', 'worker-1.example/42/0.9.0', now() - interval '2 hours', now()),
        ('00000000-0000-7000-8000-000000000002', 'worker-2.example/7/0.8.0', now() - interval '2 hours', now() - interval '1 hour');
    INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at,
                      requested_by, worker_id, started_at, finished_at, last_error, progress_done, progress_total, progress_note)
    VALUES
        ('00000000-0000-7000-8000-00000000000a', 'import_charges', 'billing', '{}', 'test', '1', '', 'running', 1, now(),
         'tester', '00000000-0000-7000-8000-000000000001', now() - interval '3 minutes', NULL, NULL, 40, 100, 'rows'),
        ('00000000-0000-7000-8000-00000000000b', 'import_charges', 'billing', '{}', 'test', '2', '', 'scheduled', 1,
         now() - interval '10 minutes', 'tester', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        ('00000000-0000-7000-8000-00000000000c', 'send_notification', 'mail', '{}', 'test', '3', '', 'scheduled', 1,
         now() - interval '1 minute', 'tester', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at,
                      requested_by, finished_at, last_error)
    SELECT gen_random_uuid(), 'generate_invoice', 'billing.aws', '{}', 'test', 'dead ' || n, '', 'dead', 1, now(), 'tester', now(),
           CASE WHEN n <= 3 THEN 'no rate for customer ' || gen_random_uuid() || ' on day ' || n ELSE 'the store is away' END
    FROM generate_series(1, 4) AS n";

/// A console over a database with a business in it.
struct House {
    database: TestDatabase,
    business: Business,
    desktop: Desktop,
}

impl House {
    async fn build(customers: usize) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let business = Business::without_charges(&database.pool, customers).await?;
        let desktop = Desktop::open(&database.pool).await?;
        Ok(Self { database, business, desktop })
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    async fn viewer(&self) -> Result<Browser> {
        self.desktop.log_in_as(self.pool(), "vera", Role::Viewer).await
    }

    async fn operator(&self) -> Result<Browser> {
        self.desktop.log_in_as(self.pool(), "otto", Role::Operator).await
    }

    async fn execute(&self, sql: &'static str) -> Result<()> {
        sqlx::raw_sql(sql).execute(self.pool()).await?;
        Ok(())
    }

    /// Writes what no statement of ours would, with all guards off; `$1` is the reseller, `$2` a customer, `$3` a text.
    async fn plant(&self, statements: &[&'static str], text: &str) -> Result<()> {
        let mut owner = self.database.connect_as_owner().await?;
        sqlx::raw_sql("SET session_replication_role = replica").execute(&mut owner).await?;
        for statement in statements {
            let planting = sqlx::query(*statement);
            let planting = planting.bind(self.business.reseller_id.0).bind(self.business.customers[0].0).bind(text);
            planting.execute(&mut owner).await?;
        }
        Ok(())
    }
}

/// An invoice with an event and a notification, a bill run with a finding, and more that holds `$3` wherever text goes.
/// Each statement names all three values, as Postgres wants to know their types.
const PLANTS: [&str; 9] = [
    "INSERT INTO invoices (reseller_id, id, customer_id, provider, billing_period_start, billing_period_end, currency, kind, status,
         document_id, number, issued_on, language, reseller_details, customer_details, markup_rate, exact_subtotal, subtotal, tax,
         total, rounding_delta, excluded_tax, zero_line_count, charge_count, created_at, opened_at)
     VALUES ($1::uuid, '0199a000-0000-7000-8000-000000000001', $2::uuid, 'aws', date_trunc('month', now()), now(), 'EUR', 'invoice', 'open',
         'D1', $3::text, now(), 'en', '{}', jsonb_build_object('name', $3::text), 0, 1, 1, 0, 1, 0, '{}', 0, 1, now(), now())",
    "INSERT INTO invoice_events (reseller_id, sequence, invoice_id, invoice_version, name, to_status, actor, reason, correlation,
         occurred_at, previous_hash, hash)
     SELECT $1::uuid, 1, '0199a000-0000-7000-8000-000000000001', 1, 'opened', 'open', $3::text, $3::text, '', now(), '', ''
     WHERE $2::uuid IS NOT NULL",
    "INSERT INTO notifications (reseller_id, id, invoice_id, event_sequence, recipient, intent, language, state, reason, message_id)
     SELECT $1::uuid, '0199a000-0000-7000-8000-000000000002', '0199a000-0000-7000-8000-000000000001', 1, $3::text, 'event', 'en',
         'failed', $3::text, $3::text WHERE $2::uuid IS NOT NULL",
    "INSERT INTO notification_history (reseller_id, notification_id, what, reason, noted_by)
     SELECT $1::uuid, '0199a000-0000-7000-8000-000000000002', $3::text, $3::text, $3::text WHERE $2::uuid IS NOT NULL",
    "INSERT INTO bill_runs (reseller_id, id, provider, billing_period_start, billing_period_end, run_id, options, state, started_by,
         started_at, finished_at)
     SELECT $1::uuid, '0199a000-0000-7000-8000-000000000003', $3::text, '2026-08-01', '2026-09-01', $3::text,
         jsonb_build_object('x', $3::text), 'needs_attention', $3::text, now(), now() WHERE $2::uuid IS NOT NULL",
    "INSERT INTO bill_run_findings (reseller_id, bill_run_id, position, kind, customer_id, customer_name, invoice, currency, what, way_out)
     SELECT $1::uuid, '0199a000-0000-7000-8000-000000000003', 1, 'missing_invoice', $2::uuid, $3::text, $3::text, 'EUR', $3::text, ''",
    "INSERT INTO bill_run_balances (reseller_id, bill_run_id, charge_scope_id, billing_account_id, file_name, currency, file_total,
         invoiced, excluded_tax, unassigned, waived, not_invoiced)
     SELECT $1::uuid, '0199a000-0000-7000-8000-000000000003', gen_random_uuid(), $3::text, $3::text, 'EUR', 7, 5, 0, 1, 0, 0
     WHERE $2::uuid IS NOT NULL",
    "INSERT INTO suppressed_addresses (reseller_id, email, reason) SELECT $1::uuid, $3::text, $3::text WHERE $2::uuid IS NOT NULL",
    "INSERT INTO operator_actions (done_by, action, subject, reason, detail)
     SELECT $3::text, 'run', 'schedule/' || $3::text, $3::text, $3::text WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL",
];
/// Pages of what was planted.
const PLANTED: [&str; 4] = [
    "/bill-runs/0199a000-0000-7000-8000-000000000003",
    "/notifications/0199a000-0000-7000-8000-000000000002",
    "/notifications/suppressions",
    "/notifications?state=failed,uncertain",
];

#[tokio::test]
async fn the_overview_says_what_waits_longest_what_is_wrong_and_where_it_is_mended() -> Result<()> {
    let house = House::build(1).await?;
    let viewer = house.viewer().await?;
    let quiet = viewer.page("/").await?;
    assert!(quiet.contains("no job waits") && quiet.contains("no worker is alive"), "{quiet}");
    house.execute(WORK).await?;
    let busy = viewer.page("/").await?;
    let (oldest, rest) = busy.split_once("Needs somebody").unwrap_or_default();
    assert!(oldest.contains("10m") && oldest.contains(r#"href="/jobs?state=scheduled&amp;queue=billing""#), "{busy}");
    for said in [
        "the oldest job of billing has waited for 10m",
        r#"4 jobs are dead: they will not run again by themselves <a href="/dead">"#,
        r#"<a class="bad" href="/jobs?state=dead&amp;queue=billing.aws">4</a>"#,
        "No charges of the last months are imported",
    ] {
        assert!(rest.contains(said), "`{said}` is not in {busy}");
    }
    house.execute("DELETE FROM jobs").await?;
    let well = viewer.page("/").await?;
    assert!(well.contains("All is well") && well.contains("1 worker is alive"), "{well}");
    Ok(())
}

#[tokio::test]
async fn the_overview_shows_months_by_provider_and_what_is_missing() -> Result<()> {
    let house = House::build(1).await?;
    house.plant(&PLANTS, "a name").await?;
    let mut owner = house.database.connect_as_owner().await?;
    sqlx::raw_sql(
        "SET session_replication_role = replica;
         UPDATE bill_runs SET billing_period_start = date_trunc('month', now()), provider = 'aws';
         INSERT INTO charge_scopes (reseller_id, id, charge_file_id, provider, billing_account_id, billing_period_start,
             billing_period_end, charge_count)
         SELECT reseller_id, gen_random_uuid(), gen_random_uuid(), 'google', 'payer', date_trunc('month', now()),
             now() + interval '1 month', 1 FROM bill_runs",
    )
    .execute(&mut owner)
    .await?;
    // Ids tell when a mail was recorded.
    sqlx::query("UPDATE notifications SET id = $1").bind(uuid::Uuid::now_v7()).execute(&mut owner).await?;
    let page = house.viewer().await?.page("/").await?;
    let (_, months) = page.split_once("Invoices</h2>").unwrap_or_default();
    assert!(months.contains("1 without an invoice") && months.contains("no bill run yet"), "{months}");
    assert!(page.contains("1 bill run needs attention"), "{page}");
    assert!(page.contains("mails of the last day: 1 failed"), "{page}");
    Ok(())
}

#[tokio::test]
async fn charts_show_what_was_counted() -> Result<()> {
    let house = House::build(0).await?;
    house
        .execute(
            "INSERT INTO job_rates SELECT step, date_bin(make_interval(mins => step), now() - interval '3 minutes', to_timestamp(0)),
                 'mail', state, 3, jobs
             FROM unnest(ARRAY[1, 30, 240]::smallint[]) AS step, (VALUES ('done', 1234), ('dead', 5)) AS ended (state, jobs);
             UPDATE job_rates_counted SET counted_until = date_trunc('minute', now() - interval '2 minutes')",
        )
        .await?;
    let viewer = house.viewer().await?;
    for (path, window) in [("/?window=1h", "hour"), ("/", "24 hours"), ("/?window=7d", "7 days")] {
        let page = viewer.page(path).await?;
        assert!(page.contains(&format!("In the last {window}: 1234 done, 5 died.")), "{page}");
        assert!(page.contains("<td>1234 done, 5 died</td>") && !page.contains(" style="), "{page}");
        assert!(page.contains("half within 6 ms, 95 % within 8 ms"), "{page}");
    }
    Ok(())
}

#[tokio::test]
async fn workers_are_shown_with_what_they_do() -> Result<()> {
    let house = House::build(0).await?;
    house.execute(WORK).await?;
    let page = house.viewer().await?.page("/workers").await?;
    for said in [
        "worker-1.example",
        "<bdi>42</bdi>, version <bdi>0.9.0</bdi>",
        "1 alive, 1 jobs run",
        "gone",
        "3m",
        "40 of 100 <bdi>rows</bdi>",
    ] {
        assert!(page.contains(said), "`{said}` is not in {page}");
    }
    assert!(
        page.contains(r#"<a href="/jobs/00000000-0000-7000-8000-00000000000a"><bdi>import_charges</bdi></a>"#),
        "{page}"
    );
    Ok(())
}

#[tokio::test]
async fn dead_jobs_are_grouped_by_kind_and_by_what_they_died_of() -> Result<()> {
    let house = House::build(0).await?;
    house.execute(WORK).await?;
    let page = house.viewer().await?.page("/dead").await?;
    assert!(page.contains("no rate for customer &lt;id&gt; on day #"), "{page}");
    assert_eq!(
        (page.matches("<section").count(), page.matches("/dead/decide").count()),
        (2, 0),
        "a viewer decides nothing: {page}"
    );
    assert!(page.contains("state=dead&amp;kind=generate_invoice&amp;error=no+rate+for+customer"), "{page}");
    Ok(())
}

#[tokio::test]
async fn notifications_and_events_are_found_by_what_is_known_of_them() -> Result<()> {
    let house = House::build(1).await?;
    house.plant(&PLANTS, "Bistro Zum Löwen").await?;
    let viewer = house.viewer().await?;
    let reseller = house.business.reseller_id;
    let row = "<td>opened</td>";
    for query in [
        "",
        "?state=failed",
        "?customer=l%C3%B6wen",
        "?invoice=Bistro+Zum+L%C3%B6wen",
        "?message=Bistro+Zum+L%C3%B6wen",
    ] {
        let page = viewer.page(&format!("/notifications{query}")).await?;
        assert!(page.contains(row), "{query}: {page}");
    }
    assert!(viewer.page(&format!("/notifications?reseller={reseller}")).await?.contains(row));
    for query in ["?state=sent", "?customer=nobody", "?invoice=none", "?message=%3Cx%40y%3E"] {
        assert!(!viewer.page(&format!("/notifications{query}")).await?.contains(row), "{query}");
    }
    assert_eq!(viewer.get("/notifications?state=lost").await?.status, 422);
    assert_eq!(viewer.get("/notifications/0199a000-0000-7000-8000-00000000ffff").await?.status, 404);
    assert!(viewer.page("/audit/invoices?what=opened").await?.contains("none → open"));
    assert!(viewer.page("/audit/invoices?what=voided").await?.contains("No event matches"));
    assert!(viewer.page("/audit?by=Bistro+Zum+L%C3%B6wen").await?.contains("schedule Bistro"));
    assert!(viewer.page("/audit?by=nobody").await?.contains("Nothing was recorded"));
    Ok(())
}

#[tokio::test]
async fn what_is_hostile_is_escaped_on_every_page() -> Result<()> {
    let house = House::build(1).await?;
    house.execute(WORK).await?;
    house.plant(&PLANTS, HOSTILE).await?;
    house
        .plant(
            &[
                "UPDATE jobs SET kind = $3::text, last_error = $3::text, progress_note = $3::text
                 WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL",
                "UPDATE workers SET name = $3::text || '/' || $3::text || '/' || $3::text
                 WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL",
                "UPDATE schedules SET kind = $3::text, cron = $3::text, time_zone = $3::text, last_error = $3::text, paused_at = now(),
                     paused_by = $3::text, pause_reason = $3::text
                 WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL",
                "UPDATE resellers SET name = $3::text WHERE id = $1::uuid AND $2::uuid IS NOT NULL",
                "UPDATE contacts SET email = $3::text WHERE reseller_id = $1::uuid AND customer_id = $2::uuid",
            ],
            HOSTILE,
        )
        .await?;
    let operator = house.operator().await?;
    let hostile_search = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    let searches = ["/audit?by=", "/audit?on=", "/bill-runs?provider=", "/notifications?customer="];
    let searches = searches.map(|search| format!("{search}{hostile_search}"));
    for path in PAGES.into_iter().chain(PLANTED).chain(searches.iter().map(String::as_str)) {
        let page = operator.page(path).await?;
        assert!(!page.contains("<script>alert") && !page.contains("onload=\"x"), "{path}: {page}");
    }
    for path in PLANTED {
        assert!(operator.page(path).await?.contains("&lt;script&gt;alert"), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn pages_stay_small_with_many_rows() -> Result<()> {
    let house = House::build(1).await?;
    house.plant(&PLANTS, "a customer with quite an ordinary name").await?;
    let many: [&'static str; 8] = [
        "INSERT INTO workers (id, name, seen_at) SELECT gen_random_uuid(), 'worker-' || n || '.example/1/1', now() - n * interval '1 second'
         FROM generate_series(1, 200) AS n WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL AND $3::text IS NOT NULL",
        "INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at, requested_by,
             finished_at, last_error)
         SELECT gen_random_uuid(), 'kind_' || n % 300, 'mail', '{}', 'many', n::text, '', 'dead', 1, now(), 'x', now(),
             repeat('some error that is long ', 8) FROM generate_series(1, 3000) AS n
         WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL AND $3::text IS NOT NULL",
        "INSERT INTO schedules (name, kind, payload, cron, time_zone, missed, next_run_at, created_by, updated_by)
         SELECT 'schedule-' || n, 'prune_jobs', '{}', '0 * * * *', 'UTC', 'skip', now() + interval '1 day', 'x', 'x'
         FROM generate_series(1, 300) AS n WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL AND $3::text IS NOT NULL",
        "INSERT INTO bill_runs (reseller_id, id, provider, billing_period_start, billing_period_end, run_id, options, state, started_by,
             started_at, finished_at)
         SELECT $1::uuid, gen_random_uuid(), 'aws', '2026-08-01', '2026-09-01', 'run ' || n, '{}', 'complete', 'x', now(), now()
         FROM generate_series(1, 300) AS n WHERE $2::uuid IS NOT NULL AND $3::text IS NOT NULL",
        "INSERT INTO bill_run_findings (reseller_id, bill_run_id, position, kind, customer_name, currency, what, way_out)
         SELECT $1::uuid, '0199a000-0000-7000-8000-000000000003', n + 1, 'missing_invoice', $3::text, 'EUR', $3::text, ''
         FROM generate_series(1, 1000) AS n WHERE $2::uuid IS NOT NULL",
        "INSERT INTO notifications (reseller_id, id, invoice_id, event_sequence, recipient, intent, language, state, message_id)
         SELECT $1::uuid, gen_random_uuid(), '0199a000-0000-7000-8000-000000000001', 1, 'ana@example.com', 'resend ' || n, 'en', 'failed', $3::text
         FROM generate_series(1, 300) AS n WHERE $2::uuid IS NOT NULL",
        "INSERT INTO suppressed_addresses (reseller_id, email, reason)
         SELECT $1::uuid, n || '@example.com', $3::text FROM generate_series(1, 1000) AS n WHERE $2::uuid IS NOT NULL",
        "INSERT INTO operator_actions (done_by, action, queue, reason)
         SELECT 'ana', 'pause', 'mail', $3::text FROM generate_series(1, 300) AS n WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL",
    ];
    house.plant(&many, "a reason in some words, as people give one").await?;
    house
        .execute(
            "INSERT INTO job_rates SELECT step, date_bin(make_interval(mins => step), now() - n * make_interval(mins => step), to_timestamp(0)),
                 'mail', state, 9, 1000000 + n
             FROM unnest(ARRAY[1, 30, 240]::smallint[]) AS step, unnest(ARRAY['done', 'dead']) AS state, generate_series(1, 99) AS n;
             UPDATE job_rates_counted SET counted_until = now()",
        )
        .await?;
    let operator = house.operator().await?;
    for path in PAGES.into_iter().chain(PLANTED) {
        let size = operator.page(path).await?.len();
        assert!(size < MAX_BYTES, "{path} has {size} bytes");
    }
    Ok(())
}

#[tokio::test]
async fn lists_go_on_where_the_page_before_ended() -> Result<()> {
    let house = House::build(1).await?;
    house.plant(&PLANTS, "first").await?;
    house
        .plant(
            &[
                "INSERT INTO operator_actions (done_by, action, queue, reason)
                 SELECT 'ana', 'pause', 'mail', 'reason-' || n FROM generate_series(1, 120) AS n
                 WHERE $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL AND $3::text IS NOT NULL",
                "INSERT INTO invoice_events (reseller_id, sequence, invoice_id, invoice_version, name, to_status, actor, reason,
                     correlation, occurred_at, previous_hash, hash)
                 SELECT $1::uuid, n + 1, '0199a000-0000-7000-8000-000000000001', 1, 'opened', 'open', 'ana', 'reason-' || n, '',
                     now() - n % 3 * interval '1 hour', '', '' FROM generate_series(1, 120) AS n
                 WHERE $2::uuid IS NOT NULL AND $3::text IS NOT NULL",
                "INSERT INTO notifications (reseller_id, id, invoice_id, event_sequence, recipient, intent, language, state, reason, message_id)
                 SELECT $1::uuid, gen_random_uuid(), '0199a000-0000-7000-8000-000000000001', 1, 'ana@example.com', 'resend ' || n, 'en',
                     'failed', 'reason-' || n, '' FROM generate_series(1, 120) AS n WHERE $2::uuid IS NOT NULL AND $3::text IS NOT NULL",
            ],
            "",
        )
        .await?;
    let viewer = house.viewer().await?;
    for path in ["/audit", "/audit/invoices", "/notifications"] {
        let (mut seen, mut next) = (Vec::new(), path.to_owned());
        loop {
            let page = viewer.page(&next).await?;
            seen.extend(page.split("reason-").skip(1).filter_map(|rest| rest.split('<').next()?.parse::<i32>().ok()));
            let Some(link) = page.split("rel=\"next\"").next().filter(|before| before.len() < page.len()) else {
                break;
            };
            let href = link.rsplit("href=\"").next().and_then(|rest| rest.split('"').next()).unwrap_or_default();
            next = href.replace("&amp;", "&");
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=120).collect::<Vec<_>>(), "{path}");
    }
    Ok(())
}
