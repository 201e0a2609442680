//! Nothing that a process says holds a secret, however it fails.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::support::{
    business::database_url,
    mail_door::{MailDoor, Manners},
    site::Site,
    worker::until,
};

/// Each is nowhere else, so that one which is said is found.
const DATABASE: &str = "canary-of-the-database";
const REDIS: &str = "canary-of-redis";
const SMTP: &str = "canary-of-the-mail-server";
const LINKS: &str = "ca0a27ca0a27ca0a27ca0a27ca0a27ca0a27ca0a27ca0a27ca0a27ca0a27ca0a";
const STORE: &str = "canary-of-the-object-store";
const COLLECTOR: &str = "canary-of-the-collector";
const SECRETS: [&str; 6] = [DATABASE, REDIS, SMTP, LINKS, STORE, COLLECTOR];
/// Longest a process may take to fail; those that wait for a server are ended then.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a process is told: everything that takes a secret has one, and nobody answers anywhere.
fn environment() -> Vec<(&'static str, String)> {
    vec![
        ("DATABASE_URL", format!("postgres://billing:{DATABASE}@127.0.0.1:1/billing")),
        ("REDIS_URL", format!("redis://worker:{REDIS}@127.0.0.1:1")),
        ("SMTP_URL", format!("smtp://billing:{SMTP}@127.0.0.1:1")),
        ("BILLRUNNER_OBJECT_STORE", "s3://bills".to_owned()),
        ("AWS_ACCESS_KEY_ID", "billing".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", STORE.to_owned()),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1".to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("BILLRUNNER_PUBLIC_URL", "https://billing.example".to_owned()),
        ("BILLRUNNER_LINK_KEYS", format!("a:{LINKS}")),
        ("BILLRUNNER_HTTP_ADDRESS", "127.0.0.1:0".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1".to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", format!("api-key={COLLECTOR}")),
        ("OTEL_BSP_SCHEDULE_DELAY", "20".to_owned()),
        ("BILLRUNNER_LOG", "trace".to_owned()),
    ]
}

/// Runs a command until it ends, or has been waited for long enough, and returns all that it said.
async fn said(log: &Path, arguments: &[&str], changes: &[(&str, &str)]) -> Result<String> {
    let said = fs::File::create(log)?;
    let mut child = Command::new(env!("CARGO_BIN_EXE_billrunner"))
        .args(arguments)
        .envs(environment())
        .envs(changes.iter().copied())
        .stdin(std::process::Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .kill_on_drop(true)
        .spawn()?;
    if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
        child.kill().await?;
    }
    Ok(fs::read_to_string(log)?)
}

/// Returns how much was said.
fn holds_no_secret(what: &str, text: &str) -> Result<usize> {
    for secret in SECRETS {
        ensure!(!text.contains(secret), "{what} said {secret}: {text}");
    }
    Ok(text.len())
}

#[tokio::test]
async fn no_secret_is_said_by_a_process_that_fails_in_every_way() -> Result<()> {
    let site = Site::build(1).await?;
    let door =
        MailDoor::open(&site.sink.url(), Manners { login: Some(("PLAIN", "another")), ..Manners::default() }).await?;
    let (database, folder) = (database_url(site.pool()).await?, tempfile::tempdir()?);
    let log = folder.path().join("log");
    let smtp = format!("smtp://billing:{SMTP}@127.0.0.1:{}", door.port());
    let store = format!("file://{}", folder.path().display());
    let mut length = 0;
    // All servers away.
    for arguments in [&["worker"][..], &["web"], &["config", "check"], &["doctor"], &["jobs", "list"], &["migrate"]] {
        length += holds_no_secret(&arguments.join(" "), &said(&log, arguments, &[]).await?)?;
    }
    // Postgres there, all else away.
    let there = [("DATABASE_URL", database.as_str())];
    for arguments in [&["worker"][..], &["web"], &["config", "check"], &["doctor"]] {
        length += holds_no_secret(&arguments.join(" "), &said(&log, arguments, &there).await?)?;
    }
    // What does not read.
    let database_twice = format!("mysql://billing:{DATABASE}@db/billing");
    let redis_twice = format!("redis://worker:{REDIS}@[");
    let smtp_in_clear = format!("smtp://billing:{SMTP}@mail.example?tls=none");
    let store_with_login = format!("s3://billing:{STORE}@bills");
    let collector_with_login = format!("http://billing:{COLLECTOR}@127.0.0.1:1");
    let broken_keys = format!("a:{LINKS}:{LINKS}");
    for wrong in [
        ("DATABASE_URL", database_twice.as_str()),
        ("REDIS_URL", redis_twice.as_str()),
        ("SMTP_URL", smtp_in_clear.as_str()),
        ("BILLRUNNER_OBJECT_STORE", store_with_login.as_str()),
        ("BILLRUNNER_LINK_KEYS", broken_keys.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector_with_login.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ] {
        let text = said(&log, &["worker"], &[("DATABASE_URL", database.as_str()), wrong]).await?;
        length += holds_no_secret(wrong.0, &text)?;
    }
    // A mail server that does not take the login.
    let refused =
        [("DATABASE_URL", database.as_str()), ("SMTP_URL", smtp.as_str()), ("BILLRUNNER_OBJECT_STORE", store.as_str())];
    let text = said(&log, &["doctor"], &refused).await?;
    length += holds_no_secret("a refused login", &text)?;
    ensure!(length > 10_000, "{length} bytes were said, too few to prove anything");
    let logins = || async { Ok((door.heard().callers > 0).then_some(())) };
    until("the mail server's caller", logins).await.context("nobody tried to log in")
}
