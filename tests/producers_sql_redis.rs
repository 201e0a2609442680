//! The examples for producers at the doors of SQL and Redis, run as an integrator runs them.

use std::{path::PathBuf, process::Output};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::process::Command;
use url::Url;
use uuid::Uuid;

use crate::support::{
    business::database_url,
    desk::Desk,
    redis_users::RedisWithUsers,
    worker::{DEADLINE, until},
};

const SHOWN: &str = "SELECT jsonb_build_object('source', source, 'id', external_id, 'kind', kind, 'payload', payload, 'by', requested_by)
                     FROM jobs WHERE kind = 'start_bill_run' AND source = 'shop'";

fn example(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "examples/producers", name].iter().collect()
}

async fn run(command: &mut Command) -> Result<Output> {
    let output = tokio::time::timeout(DEADLINE, command.kill_on_drop(true).output()).await;
    Ok(output.context("the example does not end")??)
}

fn expected(reseller: &str) -> Value {
    json!({
        "source": "shop", "id": format!("approved/{reseller}/2026-08"), "kind": "start_bill_run", "by": "shop",
        "payload": {
            "reseller_id": reseller, "provider": "aws", "billing_period": "2026-08", "run_id": "approved",
            "status": "draft", "notify": null, "provisional": false, "replace": false, "dry_run": false,
        },
    })
}

#[tokio::test]
async fn the_sql_example_bills_a_month_once_however_often_it_runs() -> Result<()> {
    let desk = Desk::open(2).await?;
    let reseller = desk.business.reseller_id.to_string();
    // A login of the example's own, with a schema for its business rows.
    let login = format!("shop_{}", Uuid::now_v7().simple());
    let mut owner = desk.database.connect_as_owner().await?;
    let create =
        format!("CREATE ROLE {login} LOGIN IN ROLE billrunner_enqueue; CREATE SCHEMA {login} AUTHORIZATION {login}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut owner).await?;
    let mut url = Url::parse(&database_url(&desk.database.pool).await?)?;
    url.set_username(&login).ok().context("a URL with a user")?;
    for outcome in ["accepted", "repeated"] {
        let mut psql = Command::new("psql");
        psql.arg(url.as_str()).args([
            "-X",
            "-v",
            &format!("reseller_id={reseller}"),
            "-v",
            "billing_period=2026-08",
            "-f",
        ]);
        let output = run(psql.arg(example("producer.sql"))).await?;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(outcome), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    desk.office.settled().await?;
    let jobs: Vec<Value> = sqlx::query_scalar(SHOWN).fetch_all(&desk.database.pool).await?;
    assert_eq!(jobs, [expected(&reseller)]);
    let rows = format!("SELECT count(*) FROM {login}.approved_months");
    assert_eq!(sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(rows)).fetch_one(&mut owner).await?, 1);
    for customer in 0..2 {
        desk.live(customer).await?;
    }
    desk.close().await
}

#[tokio::test]
async fn the_redis_example_adds_a_request_as_the_producers_user() -> Result<()> {
    let redis = RedisWithUsers::start().await?;
    let reseller = Uuid::now_v7().to_string();
    for _ in 0..2 {
        let mut script = Command::new(example("redis-cli.sh"));
        script.args([&reseller, "2026-08"]).env("REDIS_SOCKET", redis.socket());
        let output =
            run(script.env("REDIS_USER", "billrunner-producer").env("REDISCLI_AUTH", redis.password())).await?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut script = Command::new(example("redis-cli.sh"));
    script.args([&reseller, "2026-08"]).env("REDIS_SOCKET", redis.socket()).env("REDIS_USER", "nobody");
    assert!(!run(&mut script).await?.status.success(), "a server that says no is a failure");

    let office = redis.open_office().await?;
    let jobs = until("the request", || async {
        let jobs: Vec<Value> = sqlx::query_scalar(SHOWN).fetch_all(office.pool()).await?;
        Ok((!jobs.is_empty()).then_some(jobs))
    })
    .await?;
    assert_eq!(jobs, [expected(&reseller)]);
    office.close().await
}
