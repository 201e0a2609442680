//! Who comes into the console and who changes something: sessions, tokens, roles, forms, hosts, tries.

use std::process::Stdio;

use anyhow::{Context as _, Result};
use billrunner::{
    console::hash_password,
    domain::console_access::{Role, Secret},
    store::{
        console_tokens,
        operator_actions::Operator,
        users::{self, UserChange},
    },
};
use secrecy::ExposeSecret;
use sqlx::PgPool;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::support::{
    TestDatabase,
    business::database_url,
    console::{Browser, Desktop, PASSWORD, add_user, csrf},
    http::exchange,
};

const BY: Operator<'_> = Operator { name: "test", reason: "as a test" };
/// Every page that one can look at without knowing an id.
const PAGES: [&str; 5] = ["/queues", "/jobs", "/jobs?state=dead", "/bulk", "/bulk/new?action=retry"];

async fn open() -> Result<(TestDatabase, Desktop)> {
    let database = TestDatabase::new().await?;
    let desktop = Desktop::open(&database.pool).await?;
    Ok((database, desktop))
}

async fn count(pool: &PgPool, query: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(query).fetch_one(pool).await?)
}

async fn pauses(pool: &PgPool) -> Result<i64> {
    count(pool, "SELECT count(*) FROM queue_controls WHERE paused_at IS NOT NULL").await
}

/// Tells whether somebody is let in.
async fn is_in(browser: &Browser) -> Result<bool> {
    let answer = browser.get("/queues").await?;
    let location = answer.header("location").unwrap_or_default();
    anyhow::ensure!(answer.status == 200 || location.contains("/login"), "{}", answer.text());
    Ok(answer.status == 200)
}

#[tokio::test]
async fn who_logs_in_sees_what_they_asked_for_and_who_logs_out_does_not() -> Result<()> {
    let (database, desktop) = open().await?;
    add_user(&database.pool, "ana", Role::Viewer).await?;
    let mut browser = desktop.browser();
    let sent = browser.get("/jobs?state=dead&kind=x").await?;
    let login = sent.header("location").context("a location")?;
    assert_eq!((sent.status, login), (303, "/login?next=%2Fjobs%3Fstate%3Ddead%26kind%3Dx"));
    let page = browser.page(login).await?;
    assert!(page.contains(r#"value="/jobs?state=dead&amp;kind=x""#), "{page}");

    let answer = browser.log_in("ana", PASSWORD).await?;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/queues")));
    let cookie = answer.header("set-cookie").context("a cookie")?.to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/;", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "on this machine there is no TLS: {cookie}");
    let page = browser.page("/jobs").await?;
    assert!(page.contains("ana") && page.contains("viewer") && page.contains("Log out"), "{page}");
    let secret = cookie.split(['=', ';']).nth(1).context("a secret")?;
    assert!(!page.contains(secret));
    let stored: Vec<u8> =
        sqlx::query_scalar("SELECT secret_hash FROM console_sessions").fetch_one(&database.pool).await?;
    assert_ne!(hex::encode(stored), secret, "the table holds no secret");

    let answer = browser.post("/logout", &[]).await?;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/login")));
    assert!(answer.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    assert!(!is_in(&browser).await?, "the session is over, whoever kept the cookie");
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_answered_alike() -> Result<()> {
    let (database, desktop) = open().await?;
    add_user(&database.pool, "ana", Role::Viewer).await?;
    add_user(&database.pool, "gone", Role::Viewer).await?;
    change(&database.pool, "gone", &UserChange::Disable).await?;
    let mut answers = Vec::new();
    for (name, password) in
        [("ana", "wrong horse battery"), ("nobody", PASSWORD), ("gone", PASSWORD), ("ana", ""), ("", "")]
    {
        let answer = desktop.browser().log_in(name, password).await?;
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{name}");
        answers.push(answer.text());
    }
    assert!(answers[0].contains("Name or password is wrong."), "{}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    Ok(())
}

#[tokio::test]
async fn a_login_leads_to_no_other_site() -> Result<()> {
    let (database, desktop) = open().await?;
    add_user(&database.pool, "ana", Role::Viewer).await?;
    for (next, to) in
        [("//evil.example", "/"), ("https://evil.example/", "/"), ("/\\evil.example", "/"), ("/jobs?a=b", "/jobs?a=b")]
    {
        let fields = [("name", "ana"), ("password", PASSWORD), ("next", next)];
        let answer = desktop.browser().post("/login", &fields).await?;
        assert_eq!((answer.status, answer.header("location")), (303, Some(to)), "{next}");
    }
    Ok(())
}

#[tokio::test]
async fn too_many_tries_under_a_name_are_put_off_by_all_processes() -> Result<()> {
    let (database, first) = open().await?;
    let second = Desktop::open(&database.pool).await?;
    add_user(&database.pool, "ana", Role::Viewer).await?;
    add_user(&database.pool, "ben", Role::Viewer).await?;
    for n in 0..10 {
        let desktop = if n % 2 == 0 { &first } else { &second };
        assert_eq!(desktop.browser().log_in("ana", "wrong horse battery").await?.status, 403);
    }
    for desktop in [&first, &second] {
        let refused = desktop.browser().log_in("ana", PASSWORD).await?;
        assert_eq!(refused.status, 429, "the right password is not looked at");
        assert!(refused.text().contains("Too many tries. Wait 1"), "{}", refused.text());
    }
    assert_eq!(first.browser().log_in("ben", PASSWORD).await?.status, 303, "another name is let in");
    sqlx::query("UPDATE login_attempts SET since = since - interval '16 minutes'").execute(&database.pool).await?;
    assert_eq!(first.browser().log_in("ana", PASSWORD).await?.status, 303);
    assert_eq!(count(&database.pool, "SELECT count(*) FROM login_attempts").await?, 0, "who was right is not counted");
    Ok(())
}

#[tokio::test]
async fn too_many_tries_from_an_address_are_put_off_whatever_the_name() -> Result<()> {
    let database = TestDatabase::new().await?;
    let desktop = Desktop::open_at(&database.pool, "http://ops.example.com").await?;
    add_user(&database.pool, "ana", Role::Viewer).await?;
    let from = |address: &str| Browser {
        headers: format!("sec-fetch-site: same-origin\r\nx-forwarded-for: 9.9.9.9, {address}\r\n"),
        ..desktop.browser()
    };
    assert_eq!(from("10.0.0.1").log_in("nobody", PASSWORD).await?.status, 403);
    let filled = sqlx::query("UPDATE login_attempts SET tries = 50 WHERE subject = 'address/10.0.0.1'");
    assert_eq!(filled.execute(&database.pool).await?.rows_affected(), 1);
    assert_eq!(from("10.0.0.1").log_in("ana", PASSWORD).await?.status, 429);
    assert_eq!(from("10.0.0.2").log_in("ana", PASSWORD).await?.status, 303);
    Ok(())
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_after_half_a_day() -> Result<()> {
    let (database, desktop) = open().await?;
    let browser = desktop.log_in_as(&database.pool, "ana", Role::Viewer).await?;
    let mut owner = database.connect_as_owner().await?;
    for (age, goes_on) in [
        ("seen_at = now() - interval '29 minutes'", true),
        ("created_at = now() - interval '11 hours 59 minutes'", true),
        ("created_at = now() - interval '12 hours 1 minute'", false),
        ("created_at = now(), seen_at = now() - interval '31 minutes'", false),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("UPDATE console_sessions SET {age}"))).execute(&mut owner).await?;
        assert_eq!(is_in(&browser).await?, goes_on, "{age}");
    }
    let seen = "SELECT count(*) FROM console_sessions WHERE seen_at > now() - interval '1 minute'";
    sqlx::query("UPDATE console_sessions SET seen_at = now() - interval '20 minutes'").execute(&database.pool).await?;
    assert!(is_in(&browser).await?);
    assert_eq!(count(&database.pool, seen).await?, 1, "its use makes it last");
    Ok(())
}

async fn change(pool: &PgPool, name: &str, change: &UserChange<'_>) -> Result<()> {
    let mut transaction = pool.begin().await?;
    assert!(users::change(&mut transaction, &name.parse()?, change, BY).await?);
    Ok(transaction.commit().await?)
}

#[tokio::test]
async fn a_new_password_and_a_disabled_user_end_sessions_and_a_new_role_holds_at_once() -> Result<()> {
    let (database, desktop) = open().await?;
    let mut browser = desktop.log_in_as(&database.pool, "ana", Role::Operator).await?;
    add_user(&database.pool, "ben", Role::Viewer).await?;
    change(&database.pool, "ana", &UserChange::Role(Role::Viewer)).await?;
    assert_eq!(browser.post("/queues/pause", &[("queue", "mail"), ("reason", "x")]).await?.status, 403);
    let other = hash_password(&"another horse battery".into(), [8; 16])?;
    change(&database.pool, "ana", &UserChange::Password(&other)).await?;
    assert!(!is_in(&browser).await?);
    assert_eq!(browser.log_in("ana", "another horse battery").await?.status, 303);
    assert!(is_in(&browser).await?);
    change(&database.pool, "ana", &UserChange::Disable).await?;
    assert!(!is_in(&browser).await?);
    Ok(())
}

#[tokio::test]
async fn forms_without_the_sessions_token_or_from_another_site_change_nothing() -> Result<()> {
    let (database, desktop) = open().await?;
    let ana = desktop.log_in_as(&database.pool, "ana", Role::Operator).await?;
    let ben = desktop.log_in_as(&database.pool, "ben", Role::Operator).await?;
    let own = format!("http://{}", desktop.address);
    let with =
        |csrf: &str, headers: &str| Browser { csrf: csrf.to_owned(), headers: headers.to_owned(), ..ana.clone() };
    for (what, forger) in [
        ("no token", with("", "sec-fetch-site: same-origin\r\n")),
        ("another session's token", with(&ben.csrf, "sec-fetch-site: same-origin\r\n")),
        ("a page of another site", with(&ana.csrf, "sec-fetch-site: cross-site\r\n")),
        ("a page of a neighbour", with(&ana.csrf, "sec-fetch-site: same-site\r\n")),
        ("another origin", with(&ana.csrf, "origin: https://evil.example\r\n")),
        ("a sandbox", with(&ana.csrf, "origin: null\r\n")),
        ("another port", with(&ana.csrf, "origin: http://127.0.0.1:1\r\n")),
    ] {
        let answer = forger.post("/queues/pause", &[("queue", "mail"), ("reason", "x")]).await?;
        assert_eq!(answer.status, 403, "{what}: {}", answer.text());
    }
    assert_eq!(pauses(&database.pool).await?, 0);
    let from_login = Browser { headers: "sec-fetch-site: cross-site\r\n".to_owned(), ..desktop.browser() };
    assert_eq!(from_login.clone().log_in("ana", PASSWORD).await?.status, 403, "nobody is logged in by another site");
    let good = with(&ana.csrf, &format!("origin: {own}\r\n"));
    assert_eq!(good.post("/queues/pause", &[("queue", "mail"), ("reason", "x")]).await?.status, 303);
    assert_eq!(pauses(&database.pool).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_viewer_sees_and_is_offered_no_change_and_an_operator_does_not_manage_users() -> Result<()> {
    let (database, desktop) = open().await?;
    let viewer = desktop.log_in_as(&database.pool, "vera", Role::Viewer).await?;
    for page in PAGES {
        let text = viewer.page(page).await?;
        assert!(!text.contains("name=\"reason\"") && !text.contains("/users"), "{page}: {text}");
    }
    for path in ["/queues/pause", "/queues/resume", "/bulk", "/jobs/0199a000-0000-7000-8000-000000000001/retry"] {
        let answer = viewer.post(path, &[("queue", "mail"), ("reason", "x")]).await?;
        assert!(
            answer.status == 403 && answer.text().contains("this takes the role operator"),
            "{path}: {}",
            answer.text()
        );
    }
    let operator = desktop.log_in_as(&database.pool, "olga", Role::Operator).await?;
    assert_eq!(operator.get("/users").await?.status, 403);
    let fields = [("name", "x"), ("role", "admin"), ("password", PASSWORD), ("reason", "x")];
    assert_eq!(operator.post("/users", &fields).await?.status, 403);
    assert_eq!(count(&database.pool, "SELECT count(*) FROM users").await?, 2);
    assert_eq!(pauses(&database.pool).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_change_without_a_reason_is_not_made() -> Result<()> {
    let (database, desktop) = open().await?;
    let operator = desktop.log_in_as(&database.pool, "olga", Role::Operator).await?;
    let long = "x".repeat(501);
    for reason in ["", "   ", &long] {
        let answer = operator.post("/queues/pause", &[("queue", "mail"), ("reason", reason)]).await?;
        assert!(answer.status == 422 && answer.text().contains("say why"), "{}", answer.text());
    }
    let large = "x".repeat(70_000);
    assert_eq!(operator.post("/queues/pause", &[("queue", "mail"), ("reason", &large)]).await?.status, 422);
    assert_eq!(pauses(&database.pool).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_token_works_without_forms_until_it_is_revoked_or_expires() -> Result<()> {
    let (database, desktop) = open().await?;
    let add = async |name: &str, role: Role, byte: u8| -> Result<Browser> {
        let secret = Secret::new([byte; 32]);
        let mut transaction = database.pool.begin().await?;
        let hash = secret.hash();
        let until = billrunner::clock::Clock::System.now() + chrono::TimeDelta::days(1);
        assert!(console_tokens::add(&mut transaction, &name.parse()?, role, (&hash, until), BY).await?);
        transaction.commit().await?;
        let headers = format!("authorization: Bearer {}\r\n", secret.to_token().expose_secret());
        Ok(Browser { headers, ..desktop.browser() })
    };
    let (reader, script) = (add("reader", Role::Viewer, 1).await?, add("deploy", Role::Operator, 2).await?);
    assert_eq!(reader.get("/queues").await?.status, 200);
    assert_eq!(reader.post("/queues/pause", &[("queue", "mail"), ("reason", "x")]).await?.status, 403);
    assert_eq!(script.post("/queues/pause", &[("queue", "mail"), ("reason", "a deployment")]).await?.status, 303);
    let by: String = sqlx::query_scalar("SELECT paused_by FROM queue_controls").fetch_one(&database.pool).await?;
    assert_eq!(by, "deploy");

    let mut transaction = database.pool.begin().await?;
    assert!(console_tokens::revoke(&mut transaction, &"deploy".parse()?, BY).await?);
    transaction.commit().await?;
    let mut owner = database.connect_as_owner().await?;
    sqlx::raw_sql("UPDATE console_tokens SET expires_at = now() WHERE name = 'reader'").execute(&mut owner).await?;
    let nonsense = ["Bearer brc_00", "Bearer ", "Basic YTpi", "brc_", "Bearer \u{ff}"];
    let others = nonsense.map(|text| Browser { headers: format!("authorization: {text}\r\n"), ..desktop.browser() });
    for bad in [&script, &reader].into_iter().chain(&others) {
        let answer = bad.get("/queues").await?;
        assert_eq!((answer.status, answer.header("www-authenticate").is_some()), (401, true), "{}", bad.headers);
    }
    Ok(())
}

#[tokio::test]
async fn all_pages_links_forms_and_the_cookie_lie_under_the_path_prefix() -> Result<()> {
    let database = TestDatabase::new().await?;
    let desktop = Desktop::open_at(&database.pool, "https://ops.example.com/billing").await?;
    add_user(&database.pool, "ana", Role::Admin).await?;
    let mut browser = desktop.browser();
    assert_eq!(browser.get("/jobs").await?.header("location"), Some("/billing/login?next=%2Fjobs"));
    let answer = browser.log_in("ana", PASSWORD).await?;
    assert_eq!(answer.header("location"), Some("/billing/queues"));
    let cookie = answer.header("set-cookie").context("a cookie")?;
    assert!(cookie.contains("Path=/billing;") && cookie.contains("; Secure"), "{cookie}");
    let links = regex::Regex::new(r#"(?:href|action|src)="(/[^"]*)""#)?;
    for page in PAGES.iter().chain(&["/users"]) {
        let text = browser.page(page).await?;
        let all: Vec<&str> =
            links.captures_iter(&text).filter_map(|found| found.get(1)).map(|link| link.as_str()).collect();
        assert!(all.len() > 10 && all.iter().all(|link| link.starts_with("/billing")), "{page}: {all:?}");
    }
    let paused = browser.post("/queues/pause", &[("queue", "mail"), ("reason", "x")]).await?;
    assert_eq!((paused.status, paused.header("location")), (303, Some("/billing/queues")));
    for path in ["/", "/billing/"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = exchange(desktop.address, request.as_bytes()).await?;
        assert_eq!(answer.header("location"), Some("/billing"), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn without_users_the_console_says_how_to_make_one_and_only_the_demo_lets_in() -> Result<()> {
    let (database, desktop) = open().await?;
    let answer = desktop.browser().get("/queues").await?;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("billrunner users add NAME --role admin"), "{}", answer.text());

    let demo = Desktop::open_with(&database.pool, None, |console| console.for_demo([7; 32])).await?;
    let mut visitor = demo.browser();
    let page = visitor.page("/queues").await?;
    assert!(page.contains("demo") && page.contains("operator") && !page.contains("Log out"), "{page}");
    assert_eq!(visitor.post("/queues/pause", &[("queue", "mail"), ("reason", "x")]).await?.status, 403);
    visitor.csrf = csrf(&page)?;
    assert_eq!(visitor.post("/queues/pause", &[("queue", "mail"), ("reason", "x")]).await?.status, 303);
    assert_eq!(visitor.get("/users").await?.status, 403);
    add_user(&database.pool, "ana", Role::Viewer).await?;
    assert!(!is_in(&visitor).await?, "with the first user the demo's leave is over");
    Ok(())
}

#[tokio::test]
async fn a_name_that_was_made_to_mean_this_machine_is_refused() -> Result<()> {
    let (database, desktop) = open().await?;
    let browser = desktop.log_in_as(&database.pool, "ana", Role::Operator).await?;
    for (host, status) in
        [("localhost", 200), ("127.0.0.1:8080", 200), ("[::1]:1", 200), ("evil.example", 421), ("", 421)]
    {
        let asked = Browser { headers: format!("host: {host}\r\nsec-fetch-site: same-origin\r\n"), ..browser.clone() };
        assert_eq!(asked.get("/queues").await?.status, status, "{host}");
        assert_eq!(asked.get("/login").await?.status, status, "{host}");
    }
    Ok(())
}

#[tokio::test]
async fn what_answered_without_login_still_does_and_nothing_else() -> Result<()> {
    let (_database, desktop) = open().await?;
    let browser = desktop.browser();
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/schemas/", 200), ("/login", 200), ("/nowhere", 404)] {
        assert_eq!(browser.get(path).await?.status, status, "{path}");
    }
    assert_eq!(browser.get("/v1/jobs/1").await?.status, 401, "the door asks for its own keys");
    for path in PAGES.iter().chain(&["/", "/users", "/jobs/1", "/bulk/1"]) {
        assert_eq!(browser.get(path).await?.status, 403, "{path}");
        assert!(matches!(browser.post(path, &[]).await?.status, 403 | 405), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn every_page_forbids_scripts_of_others_frames_and_caches() -> Result<()> {
    let (database, desktop) = open().await?;
    let browser = desktop.log_in_as(&database.pool, "ana", Role::Admin).await?;
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                  form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    for path in PAGES.iter().chain(&["/users", "/login", "/jobs/nothing"]) {
        let answer = browser.get(path).await?;
        for (name, value) in [
            ("content-security-policy", policy),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let text = answer.text();
        assert!(!text.contains("style=") && !text.contains("<style") && !text.contains("onclick"), "{path}: {text}");
    }
    let page = browser.page("/queues").await?;
    for asset in ["/assets/console.css?v=", "/assets/htmx.min.js?v="] {
        let from = page.find(asset).context(asset)?;
        let path = page[from..].split('"').next().context("an end")?;
        let answer = browser.get(path).await?;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=31536000, immutable")));
    }
    Ok(())
}

#[tokio::test]
async fn nobody_listens_for_other_machines_before_somebody_can_log_in() -> Result<()> {
    let database = TestDatabase::new().await?;
    let url = database_url(&database.pool).await?;
    let web = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_billrunner"));
        command.arg("web").env("DATABASE_URL", &url).env("BILLRUNNER_HTTP_ADDRESS", "0.0.0.0:0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    };
    let refused = web().output().await?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(said.contains("0.0.0.0:0") && said.contains("billrunner users add NAME --role admin"), "{said}");

    add_user(&database.pool, "ana", Role::Viewer).await?;
    let mut served = web().spawn()?;
    let mut lines = BufReader::new(served.stderr.take().context("its log")?).lines();
    let said = async {
        while let Some(line) = lines.next_line().await? {
            if line.contains("the pages are served") {
                return Ok(());
            }
        }
        anyhow::bail!("it ended")
    };
    tokio::time::timeout(crate::support::worker::DEADLINE, said).await??;
    change(&database.pool, "ana", &UserChange::Disable).await?;
    assert_eq!(web().output().await?.status.code(), Some(4), "a disabled user cannot log in");
    Ok(())
}
