//! `billrunner doctor`: a healthy machine has nothing to mend, and whatever is broken is named with its way out.

use std::collections::BTreeMap;

use anyhow::Result;
use billrunner::{clock::Clock, mail::sink::Sink};
use chrono::TimeDelta;
use redis::AsyncCommands as _;
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::support::{
    TestDatabase,
    business::{Business, database_url},
    clinic::{Clinic, Diagnosis, billrunner},
    mail_door::{Authority, Encrypts, MailDoor, Manners},
    redis::TestRedis,
    redis_users::{PRODUCER, WORKER},
    worker::until,
};

/// What no output may hold.
const SECRET: &str = "hunter2";

fn only(name: &str, value: impl Into<String>) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.into())])
}

#[tokio::test]
async fn a_healthy_machine_has_nothing_to_mend() -> Result<()> {
    let clinic = Clinic::open().await?;
    let _worker = clinic.start_worker()?;
    let seen = until("a machine in health", || async {
        let seen = Diagnosis::of(&clinic.settings, &[]).await?;
        // The worker may need a moment to make its consumer groups.
        Ok((seen.all("ok").len() > 20 && seen.all("warn").is_empty()).then_some(seen))
    })
    .await?;
    assert_eq!((seen.code, seen.all("fail").len()), (Some(0), 0), "{}", seen.printed);
    for expected in
        ["may act as billrunner_app, and no more", "a worker's work, and no more", "workers alive: 1, of version"]
    {
        seen.says("ok", expected);
    }
    assert!(!seen.printed.contains(clinic.redis.password()), "{}", seen.printed);
    Ok(())
}

#[tokio::test]
async fn for_people_it_prints_a_table_with_a_way_out_in_each_line_that_needs_one() -> Result<()> {
    let output =
        billrunner(&only("SMTP_URL", "file:///nowhere")).args(["doctor", "--only", "settings"]).output().await?;
    let printed = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(0));
    for expected in ["how to mend it", "warn", "settings", "SMTP_URL keeps mails as files"] {
        assert!(printed.contains(expected), "{printed}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_set_is_a_failure_of_its_area() -> Result<()> {
    let seen = Diagnosis::of(&BTreeMap::new(), &["postgres", "redis", "mail", "objects", "work"]).await?;
    assert_eq!((seen.code, seen.all("fail").len()), (Some(1), 5), "{}", seen.printed);
    for name in ["DATABASE_URL", "REDIS_URL", "SMTP_URL", "BILLRUNNER_OBJECT_STORE"] {
        seen.says("fail", &format!("{name} is not set"));
    }
    Ok(())
}

#[tokio::test]
async fn a_login_with_too_little_or_too_much_is_named() -> Result<()> {
    let clinic = Clinic::open().await?;
    clinic.postgres_as_it_is().await?.says("ok", "the schema is that of this release");
    clinic.change("REVOKE billrunner_app FROM billrunner_worker").await?;
    clinic.postgres_as_it_is().await?.says("fail", "the login billrunner_worker may not act as billrunner_app");
    clinic.change("GRANT billrunner_app TO billrunner_worker; ALTER ROLE billrunner_worker CREATEDB").await?;
    clinic.postgres_as_it_is().await?.says("warn", "may make databases");
    clinic
        .change("ALTER ROLE billrunner_worker NOCREATEDB; GRANT CREATE ON SCHEMA billrunner TO billrunner_worker")
        .await?;
    clinic.postgres_as_it_is().await?.says("warn", "may change the schema");
    clinic.change("REVOKE CREATE ON SCHEMA billrunner FROM billrunner_worker").await?;
    let seen = Diagnosis::of(&clinic.with("DATABASE_URL", clinic.postgres.url_of("postgres")), &["postgres"]).await?;
    seen.says("warn", "is a superuser");
    clinic.change("REVOKE INSERT ON jobs FROM billrunner_app").await?;
    clinic.postgres_as_it_is().await?.says("fail", "billrunner_app is missing rights: INSERT on jobs");
    clinic.change("GRANT INSERT ON jobs TO billrunner_app; GRANT DELETE ON invoices TO billrunner_app").await?;
    clinic.postgres_as_it_is().await?.says("warn", "rights that nothing needs: DELETE on invoices");
    Ok(())
}

#[tokio::test]
async fn a_schema_of_another_release_is_named() -> Result<()> {
    let clinic = Clinic::open().await?;
    clinic.change("INSERT INTO _sqlx_migrations SELECT 9999, description, now(), true, checksum, 0 FROM _sqlx_migrations WHERE version = 1").await?;
    clinic.postgres_as_it_is().await?.says("warn", "it does not know migrations 9999");
    clinic.change("DELETE FROM _sqlx_migrations WHERE version IN (9999, 2)").await?;
    clinic.postgres_as_it_is().await?.says("fail", "migrations 2 are missing");
    clinic.change("UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 1").await?;
    clinic.postgres_as_it_is().await?.says("fail", "migrations 1 were applied with another text");
    clinic.change("DROP TABLE _sqlx_migrations").await?;
    clinic.postgres_as_it_is().await?.says("fail", "the schema is older than this release");
    Ok(())
}

#[tokio::test]
async fn a_postgres_that_forgets_is_named() -> Result<()> {
    let clinic = Clinic::open().await?;
    clinic.change("ALTER ROLE billrunner_worker SET synchronous_commit = off").await?;
    clinic.postgres_as_it_is().await?.says("fail", "synchronous_commit is off");
    clinic.change("ALTER ROLE billrunner_worker RESET synchronous_commit").await?;
    // By the server's own rules, two statements that cannot share a transaction.
    clinic.change("ALTER SYSTEM SET full_page_writes = off").await?;
    clinic.change("SELECT pg_reload_conf()").await?;
    until("the server to read its settings", || async {
        let seen = clinic.postgres_as_it_is().await?;
        Ok((seen.all("fail") == ["full_page_writes is off: a page half written at a power cut stays broken"])
            .then_some(()))
    })
    .await?;
    // The servers that tests share sync nothing.
    let shared = TestDatabase::new().await?;
    let seen = Diagnosis::of(&only("DATABASE_URL", database_url(&shared.pool).await?), &["postgres"]).await?;
    seen.says("fail", "fsync is off");
    let seen = Diagnosis::of(&clinic.with("BILLRUNNER_DATABASE_CONNECTIONS", "1000"), &["postgres"]).await?;
    seen.says("warn", "may open 1030 connections");
    Ok(())
}

#[tokio::test]
async fn servers_that_are_not_there_are_failures() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let nowhere = folder.path().display();
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
    for (area, name, url) in [
        ("postgres", "DATABASE_URL", format!("postgres://user:{SECRET}@localhost/billrunner?host={nowhere}")),
        ("work", "DATABASE_URL", format!("postgres://user:{SECRET}@localhost/billrunner?host={nowhere}")),
        ("redis", "REDIS_URL", format!("redis+unix://{nowhere}/s?pass={SECRET}")),
        ("mail", "SMTP_URL", format!("smtp://user:{SECRET}@127.0.0.1:{port}")),
        ("mail", "SMTP_URL", "file:///proc/billrunner".to_owned()),
        ("objects", "BILLRUNNER_OBJECT_STORE", "file:///proc/billrunner".to_owned()),
        ("objects", "BILLRUNNER_OBJECT_STORE", "file:///proc".to_owned()),
    ] {
        let seen = Diagnosis::of(&only(name, url.clone()), &[area]).await?;
        assert_eq!((seen.code, seen.all("fail").len()), (Some(1), 1), "{url}: {}", seen.printed);
        assert!(!seen.printed.contains(SECRET), "{}", seen.printed);
    }
    Ok(())
}

#[tokio::test]
async fn a_mail_server_that_turns_everybody_away_is_a_failure() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("smtp://{}", listener.local_addr()?);
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"554 5.3.2 nobody is at home\r\n").await;
        }
    });
    let seen = Diagnosis::of(&only("SMTP_URL", url), &["mail"]).await?;
    seen.says("fail", "nobody is at home");
    server.abort();
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_told_of_while_it_still_counts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path(), "right")?;
    let sink = Sink::start(None).await?;
    for (days, verdict) in [(60, "ok"), (10, "warn"), (-10, "fail")] {
        let last_day = (Clock::System.now() + TimeDelta::days(days)).date_naive();
        let manners = Manners {
            encrypts: Encrypts::WhenAsked(""),
            certificate: Some(authority.vouch_until("localhost", last_day)?),
            login: Some(("PLAIN", "hunter2")),
            ..Manners::default()
        };
        let door = MailDoor::open(&sink.url(), manners).await?;
        let url = |password| {
            let (port, ca) = (door.port(), authority.file.display());
            format!("smtp://billing%40nimbus.example:{password}@localhost:{port}?tls=required&ca={ca}")
        };
        let seen = Diagnosis::of(&only("SMTP_URL", url(SECRET)), &["mail"]).await?;
        let found = if verdict == "warn" { "ends within 21 days" } else { "localhost" };
        seen.says(verdict, found);
        assert_eq!(seen.all("warn").len(), usize::from(verdict == "warn"), "{}", seen.printed);
        assert!(!seen.printed.contains(SECRET), "{}", seen.printed);
        if verdict == "ok" {
            seen.says("ok", "encrypted by STARTTLS, logged in");
            Diagnosis::of(&only("SMTP_URL", url("wrong")), &["mail"]).await?.says("fail", "AUTH");
        }
    }
    assert!(sink.received().is_empty(), "the doctor sends no mail");
    Ok(())
}

#[tokio::test]
async fn mails_kept_in_a_folder_are_well_as_far_as_the_folder_goes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let seen = Diagnosis::of(&only("SMTP_URL", format!("file://{}/new", folder.path().display())), &["mail"]).await?;
    seen.says("ok", "mails are written to file://");
    Ok(())
}

#[tokio::test]
async fn a_redis_that_evicts_and_lets_everybody_do_everything_is_named() -> Result<()> {
    let redis = TestRedis::start().await?;
    let settings = only("REDIS_URL", redis.url());
    let seen = Diagnosis::of(&settings, &["redis"]).await?;
    seen.says("ok", "noeviction");
    seen.says("warn", "read keys that are not billrunner's and configure the server");
    seen.says("warn", "lanes have no consumer group: billing");
    let keys: Vec<String> = redis.streams()?.connect().await?.keys("*").await?;
    assert!(keys.is_empty(), "the doctor leaves nothing behind: {keys:?}");
    redis.ask::<()>("CONFIG SET maxmemory-policy", "allkeys-lru").await?;
    Diagnosis::of(&settings, &["redis"]).await?.says("fail", "maxmemory-policy is allkeys-lru");
    Ok(())
}

#[tokio::test]
async fn a_user_of_redis_who_may_not_do_a_workers_work_is_named() -> Result<()> {
    let mut clinic = Clinic::open().await?;
    let seen = Diagnosis::of(&clinic.with("REDIS_URL", clinic.redis.url_of(PRODUCER)), &["redis"]).await?;
    seen.says("warn", "may not ask how the server is");
    seen.says("fail", "is refused PING, XADD, XACK");
    let take_back = redis::cmd("ACL").arg("SETUSER").arg(WORKER).arg("-xclaim").to_owned();
    take_back.query_async::<()>(&mut clinic.redis.admin).await?;
    let seen = Diagnosis::of(&clinic.settings, &["redis"]).await?;
    assert_eq!(seen.all("fail"), ["this user of Redis is refused XCLAIM"], "{}", seen.printed);
    Ok(())
}

#[tokio::test]
async fn limits_of_the_machine_are_named() -> Result<()> {
    let nowhere = only("TMPDIR", "/proc/billrunner");
    Diagnosis::of(&nowhere, &["machine"])
        .await?
        .says("fail", "the temporary folder /proc/billrunner cannot be written");
    for (most, verdict) in [(200, "fail"), (1000, "warn")] {
        let mut command = tokio::process::Command::new("sh");
        let script = format!("ulimit -n {most}; exec \"$0\" doctor --json --only machine");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_billrunner")]).env("BILLRUNNER_LOG", "error");
        Diagnosis::from(command).await?.says(verdict, &format!("{most} files and connections"));
    }
    Ok(())
}

#[tokio::test]
async fn unsafe_settings_are_named_without_their_secrets() -> Result<()> {
    let settings = only("DATABASE_URL", format!("postgres://user:{SECRET}@db.example/billrunner?sslmode=require"));
    let seen = Diagnosis::of(&settings, &["settings"]).await?;
    seen.says("warn", "DATABASE_URL");
    assert!(!seen.printed.contains(SECRET), "{}", seen.printed);
    Ok(())
}

#[tokio::test]
async fn work_that_stands_still_is_named() -> Result<()> {
    let database = TestDatabase::new().await?;
    let settings = only("DATABASE_URL", database_url(&database.pool).await?);
    let seen = Diagnosis::of(&settings, &["work"]).await?;
    seen.says("warn", "no worker is alive");
    for well in ["no job waits", "no job is dead", "schedules in time: ", "no bill run needs attention"] {
        seen.says("ok", well);
    }
    let business = Business::without_charges(&database.pool, 0).await?;
    sqlx::query(
        "INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, state, max_attempts, run_at,
                           requested_by, finished_at)
         VALUES (gen_random_uuid(), 'discard_invoice', 'status', '{}', 'test', '1', '', 'scheduled', 1,
                 now() - interval '10 minutes', 'tester', NULL),
                (gen_random_uuid(), 'discard_invoice', 'status', '{}', 'test', '2', '', 'dead', 1, now(), 'tester', now())",
    )
    .execute(&database.pool)
    .await?;
    sqlx::query(
        "INSERT INTO bill_runs (reseller_id, id, provider, billing_period_start, billing_period_end, run_id, options, state,
                                started_by, started_at, finished_at)
         VALUES ($1, gen_random_uuid(), 'aws', '2026-08-01', '2026-09-01', 'august', '{}', 'needs_attention', 'tester', now(), now())",
    )
    .bind(business.reseller_id.0)
    .execute(&database.pool)
    .await?;
    sqlx::query("UPDATE schedules SET next_run_at = now() - interval '1 hour' WHERE name = 'prune-jobs'")
        .execute(&database.pool)
        .await?;
    let seen = Diagnosis::of(&settings, &["work"]).await?;
    for ill in
        ["the oldest job waits for 10m", "by themselves: 1", "refused: prune-jobs", "bill runs that need attention: 1"]
    {
        seen.says("warn", ill);
    }
    sqlx::query(
        "INSERT INTO queue_controls (queue, paused_at, paused_by, pause_reason) VALUES ('status', now(), 'ana', 'a test')",
    )
    .execute(&database.pool)
    .await?;
    Diagnosis::of(&settings, &["work"]).await?.says("warn", "in status, which is paused or limited");
    Ok(())
}

#[test]
fn help_and_manual_say_what_each_exit_code_means() -> Result<()> {
    let run = |arguments: &[&str]| -> Result<String> {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_billrunner")).args(arguments).output()?;
        anyhow::ensure!(output.status.success(), "{arguments:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    for page in [run(&["--help"])?, run(&["man"])?] {
        for meaning in ["Exit codes:", "a check of `doctor` failed", "`verify` found something"] {
            assert!(page.contains(meaning), "{page}");
        }
    }
    Ok(())
}
