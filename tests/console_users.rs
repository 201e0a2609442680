//! Who is a user is said at the command line and, by admins, on a page; each time it is recorded by whom and why.

use anyhow::{Context as _, Result};
use billrunner::domain::console_access::Role;
use serde_json::Value;

use crate::support::{
    TestDatabase,
    console::{Desktop, PASSWORD, actions},
    site::Site,
};

async fn run(site: &Site, arguments: &[&str]) -> Result<String> {
    let (code, said) = site.run(arguments).await?;
    anyhow::ensure!(code == Some(0), "{arguments:?} ended with {code:?}: {said}");
    Ok(said)
}

async fn json(site: &Site, arguments: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&run(site, &[arguments, &["--json"]].concat()).await?)?)
}

#[tokio::test]
async fn users_are_made_changed_and_disabled_at_the_command_line() -> Result<()> {
    let site = Site::build(0).await?;
    let desktop = Desktop::open(site.pool()).await?;
    let made =
        json(&site, &["users", "add", "ana", "--role", "operator", "--by", "root", "--reason", "on call"]).await?;
    let password = made["password"].as_str().context("a password")?;
    assert_eq!(desktop.browser().log_in("ana", password).await?.status, 303);
    let stored: String = sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(site.pool()).await?;
    assert!(stored.starts_with("$argon2id$") && !stored.contains(password));

    assert_eq!(site.run(&["users", "add", "ana", "--role", "viewer"]).await?.0, Some(4), "the name is taken");
    for wrong in [["users", "add", "A b", "--role", "viewer"], ["users", "add", "ben", "--role", "root"]] {
        assert_eq!(site.run(&wrong).await?.0, Some(2), "{wrong:?}");
    }
    let (code, said) = site.run(&["users", "add", "ben", "--role", "viewer", "--password-stdin"]).await?;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("12 to 200 characters"), "{said}");

    let again = json(&site, &["users", "password", "ana", "--by", "root"]).await?;
    assert_eq!(desktop.browser().log_in("ana", password).await?.status, 403);
    let password = again["password"].as_str().context("a password")?;
    run(&site, &["users", "role", "ana", "viewer", "--by", "root"]).await?;
    run(&site, &["users", "disable", "ana", "--by", "root"]).await?;
    assert_eq!(desktop.browser().log_in("ana", password).await?.status, 403);
    run(&site, &["users", "enable", "ana", "--by", "root"]).await?;
    assert_eq!(desktop.browser().log_in("ana", password).await?.status, 303);
    assert_eq!(site.run(&["users", "role", "nobody", "viewer"]).await?.0, Some(3));
    let listed = json(&site, &["users", "list"]).await?;
    assert_eq!((&listed[0]["name"], &listed[0]["role"]), (&"ana".into(), &"viewer".into()));
    let recorded: Vec<String> =
        sqlx::query_scalar("SELECT detail FROM operator_actions WHERE access_name = 'ana' ORDER BY id")
            .fetch_all(site.pool())
            .await?;
    assert_eq!(recorded, ["role operator", "password", "role viewer", "disabled", "enabled"]);
    assert_eq!(actions(site.pool()).await?[0], ("root".into(), "add_user".into(), "on call".into()));
    Ok(())
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked_at_the_command_line() -> Result<()> {
    let site = Site::build(0).await?;
    let desktop = Desktop::open(site.pool()).await?;
    let made = json(&site, &["users", "tokens", "add", "grafana", "--days", "7", "--by", "root"]).await?;
    let token = made["token"].as_str().context("a token")?;
    let mut script = desktop.browser();
    script.headers = format!("authorization: Bearer {token}\r\n");
    assert_eq!(script.get("/queues").await?.status, 200);
    assert_eq!(site.run(&["users", "tokens", "add", "grafana"]).await?.0, Some(4));
    assert_eq!(
        site.run(&["users", "add", "grafana", "--role", "viewer"]).await?.0,
        Some(4),
        "who did it must be plain"
    );
    let listed = run(&site, &["users", "tokens", "list"]).await?;
    assert!(listed.contains("grafana") && listed.contains("viewer") && !listed.contains(token), "{listed}");
    run(&site, &["users", "tokens", "revoke", "grafana", "--by", "root"]).await?;
    assert_eq!(script.get("/queues").await?.status, 401);
    assert_eq!(site.run(&["users", "tokens", "revoke", "grafana"]).await?.0, Some(3));
    Ok(())
}

#[tokio::test]
async fn an_admin_manages_users_on_their_page_but_never_the_last_admin() -> Result<()> {
    let database = TestDatabase::new().await?;
    let desktop = Desktop::open(&database.pool).await?;
    let admin = desktop.log_in_as(&database.pool, "root", Role::Admin).await?;
    let add = [("name", "ana"), ("role", "viewer"), ("password", PASSWORD), ("reason", "new here")];
    assert_eq!(admin.post("/users", &add).await?.status, 303);
    assert_eq!(admin.post("/users", &add).await?.status, 409);
    let short = [("name", "ben"), ("role", "viewer"), ("password", "short"), ("reason", "x")];
    let answer = admin.post("/users", &short).await?;
    assert!(answer.status == 422 && !answer.text().contains("short<"), "{}", answer.text());
    let mut ana = desktop.browser();
    assert_eq!(ana.log_in("ana", PASSWORD).await?.status, 303);
    assert_eq!(admin.post("/users/ana/role", &[("role", "operator"), ("reason", "on call")]).await?.status, 303);
    assert!(ana.page("/queues").await?.contains("operator"));
    let new = [("password", "another horse battery"), ("reason", "forgotten")];
    assert_eq!(admin.post("/users/ana/password", &new).await?.status, 303);
    assert_eq!(ana.get("/queues").await?.status, 303, "their session is over");
    assert_eq!(ana.log_in("ana", "another horse battery").await?.status, 303);
    assert_eq!(admin.post("/users/ana/disable", &[("reason", "left")]).await?.status, 303);
    assert_eq!(ana.get("/queues").await?.status, 303);
    assert_eq!(admin.post("/users/ana/enable", &[("reason", "is back")]).await?.status, 303);
    for (path, fields) in [("/users/root/disable", vec![]), ("/users/root/role", vec![("role", "viewer")])] {
        let fields = [fields, vec![("reason", "x")]].concat();
        assert_eq!(admin.post(path, &fields).await?.status, 409, "{path}");
    }
    assert_eq!(admin.post("/users/nobody/enable", &[("reason", "x")]).await?.status, 404);
    let page = admin.page("/users").await?;
    assert!(page.contains("ana") && !page.contains("argon2"), "{page}");
    let done = actions(&database.pool).await?;
    let reasons: Vec<&str> = done.iter().map(|(_, _, reason)| reason.as_str()).collect();
    assert_eq!(reasons, ["new here", "on call", "forgotten", "left", "is back"]);
    assert!(done.iter().all(|(by, ..)| by == "root"));
    Ok(())
}

#[tokio::test]
async fn the_application_cannot_rename_or_delete_users_and_auditors_see_no_hash() -> Result<()> {
    let database = TestDatabase::new().await?;
    for statement in [
        "DELETE FROM users",
        "UPDATE users SET name = 'x'",
        "UPDATE console_tokens SET role = 'admin'",
        "DELETE FROM console_tokens",
        "UPDATE console_sessions SET user_name = 'x'",
        "SET ROLE billrunner_auditor; SELECT password_hash FROM users",
        "SET ROLE billrunner_auditor; SELECT secret_hash FROM console_sessions",
        "SET ROLE billrunner_auditor; SELECT secret_hash FROM console_tokens",
    ] {
        let mut connection = database.connect_as_owner().await?;
        let role = if statement.starts_with("SET") { "" } else { "SET ROLE billrunner_app; " };
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{role}{statement}"))).execute(&mut connection).await;
        let refused = refused.expect_err(statement).to_string();
        assert!(refused.contains("permission denied"), "{statement}: {refused}");
    }
    Ok(())
}
