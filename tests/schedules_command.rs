//! `billrunner schedules`: made, shown, paused, started and removed; every refusal says what to do.

use anyhow::{Context, Result};
use billrunner::store::schedules::{self, Schedule};
use serde_json::Value;

use crate::support::{
    bench::Bench,
    business::{Business, PROVIDER},
};

/// Runs a command that succeeds and returns what it printed as JSON.
async fn json(bench: &Bench, arguments: &[&str]) -> Result<Value> {
    let (code, said) = run(bench, &[arguments, &["--json"]].concat()).await?;
    anyhow::ensure!(code == Some(0), "{arguments:?}: {said}");
    serde_json::from_str(&said).with_context(|| said)
}

async fn run(bench: &Bench, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = bench.billrunner(&[&["schedules"], arguments].concat()).await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

async fn find(bench: &Bench, name: &str) -> Result<Option<Schedule>> {
    Ok(schedules::find(&mut *bench.pool().acquire().await?, name).await?)
}

const NIGHTLY: [&str; 10] =
    ["set", "nightly", "--kind", "check_history", "--payload", "{}", "--cron", "30 2 * * *", "--by", "ann"];

#[tokio::test]
async fn a_schedule_is_made_changed_paused_started_and_removed() -> Result<()> {
    let bench = Bench::new().await?;
    let made = json(&bench, &NIGHTLY).await?;
    assert_eq!(
        (&made["time_zone"], &made["missed"], &made["created_by"]),
        (&"UTC".into(), &"latest".into(), &"ann".into())
    );
    let changed =
        json(&bench, &["set", "nightly", "--time-zone", "Europe/Madrid", "--missed", "skip", "--by", "bob"]).await?;
    assert_eq!((&changed["cron"], &changed["missed"]), (&"30 2 * * *".into(), &"skip".into()), "the rest stays");
    assert_eq!((&changed["created_by"], &changed["updated_by"]), (&"ann".into(), &"bob".into()));
    assert_ne!(changed["next_run_at"], made["next_run_at"], "half past two is earlier in Madrid");

    let (code, said) = run(&bench, &["pause", "nightly", "--reason", "a migration", "--by", "ann"]).await?;
    assert!(code == Some(0) && said.contains("is paused"), "{said}");
    let (code, said) = run(&bench, &["pause", "nightly", "--reason", "again", "--by", "ann"]).await?;
    assert!(code == Some(4) && said.contains("`nightly` is paused already; `resume`"), "{said}");
    let (_, listed) = run(&bench, &["list"]).await?;
    assert!(
        listed.contains("nightly") && listed.contains("ann: a migration") && listed.contains("prune-jobs"),
        "{listed}"
    );

    let started = json(&bench, &["run-now", "nightly", "--by", "ann"]).await?;
    let shown = json(&bench, &["show", "nightly"]).await?;
    assert_eq!((&shown["last_job_id"], &shown["last_job_state"]), (&started["job_id"], &"scheduled".into()));
    let (_, shown) = run(&bench, &["show", "nightly"]).await?;
    assert!(shown.contains("30 2 * * * in Europe/Madrid") && shown.contains("paused by ann: a migration"), "{shown}");

    let (code, said) = run(&bench, &["resume", "nightly", "--by", "ann"]).await?;
    assert!(code == Some(0) && said.contains("ticks next at"), "{said}");
    let (code, said) = run(&bench, &["resume", "nightly", "--by", "ann"]).await?;
    assert!(code == Some(4) && said.contains("is not paused"), "{said}");
    assert_eq!(run(&bench, &["remove", "nightly"]).await?.0, Some(0));
    assert!(find(&bench, "nightly").await?.is_none());
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 1, "the job it started stays");
    Ok(())
}

#[tokio::test]
async fn a_refusal_names_what_is_wrong_and_says_what_to_do() -> Result<()> {
    let bench = Bench::new().await?;
    let unknown: [&[&str]; 5] = [
        &["show", "nobody"],
        &["remove", "nobody"],
        &["pause", "nobody", "--reason", "x", "--by", "x"],
        &["resume", "nobody", "--by", "x"],
        &["run-now", "nobody", "--by", "x"],
    ];
    for arguments in unknown {
        let (code, said) = run(&bench, arguments).await?;
        assert!(code == Some(3) && said.contains("`nobody` does not exist; `billrunner schedules list`"), "{said}");
    }
    let set = |cron: &'static str, payload: &'static str, zone: &'static str| {
        ["set", "x", "--kind", "start_bill_run", "--payload", payload, "--cron", cron, "--time-zone", zone, "--by", "x"]
    };
    let run_of_nobody = r#"{"reseller_id": "0199a000-0000-7000-8000-00000000dead", "provider": "aws",
                            "billing_period": "$previous_month", "run_id": "$tick"}"#;
    let cases = [
        (set("whenever", run_of_nobody, "UTC"), 2, "cron expression `whenever` does not read"),
        (set("* * * * *", "{", "UTC"), 2, "the payload is not JSON"),
        (set("* * * * *", "{}", "UTC"), 2, "missing field `reseller_id`"),
        (set("* * * * *", run_of_nobody, "Mars"), 2, "unknown time zone `Mars`; write an IANA name"),
        (set("* * * * *", run_of_nobody, "UTC"), 3, "reseller 0199a000-0000-7000-8000-00000000dead does not exist"),
    ];
    for (arguments, expected, why) in cases {
        let (code, said) = run(&bench, &arguments).await?;
        assert!(code == Some(expected) && said.contains(why), "{code:?}: {said}");
    }
    let (code, said) = run(&bench, &["set", "x", "--cron", "* * * * *", "--by", "x"]).await?;
    assert!(code == Some(2) && said.contains("schedule `x` is new: it needs --kind"), "{said}");
    let (code, said) = run(&bench, &["set", "x", "--missed", "never", "--by", "x"]).await?;
    assert!(code == Some(2) && said.contains("unknown missed policy `never`; known: skip, latest, all"), "{said}");
    assert!(find(&bench, "x").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn each_provider_with_accounts_gets_a_monthly_bill_run_after_its_window() -> Result<()> {
    let bench = Bench::new().await?;
    let business = Business::without_charges(bench.pool(), 2).await?;
    let reseller = business.reseller_id.to_string();
    sqlx::query("INSERT INTO provider_accounts VALUES ($1, 'google', 'project', $2)")
        .bind(business.reseller_id)
        .bind(business.customers[0])
        .execute(bench.pool())
        .await?;
    let add = ["add-bill-runs", "--reseller", &reseller, "--by", "ann"];
    let added = json(&bench, &add).await?;
    let names = |added: &Value| -> Vec<String> {
        let name = |schedule: &Value| schedule["name"].as_str().map(str::to_owned);
        added.as_array().into_iter().flatten().filter_map(name).collect()
    };
    let (aws, google) = (format!("bill-run/aws/{reseller}"), format!("bill-run/google/{reseller}"));
    assert_eq!(names(&added), [aws.clone(), google.clone()]);
    let crons: Vec<_> = added.as_array().expect("a list").iter().map(|schedule| &schedule["cron"]).collect();
    assert_eq!(crons, ["0 6 8 * *", "0 6 11 * *"]);

    let at = ["--at", "23:15", "--time-zone", "America/New_York", "--status", "open", "--provider", "aws"];
    let changed = json(&bench, &[&add[..], &at[..]].concat()).await?;
    assert_eq!(names(&changed), std::slice::from_ref(&aws));
    let found = find(&bench, &aws).await?.context("aws")?;
    assert_eq!((found.cron.as_str(), found.time_zone.as_str()), ("15 23 8 * *", "America/New_York"));
    assert_eq!((found.reseller_id, &found.payload.0["status"]), (Some(business.reseller_id), &"open".into()));
    assert_eq!(
        bench.count("SELECT count(*) FROM schedules WHERE reseller_id IS NOT NULL").await?,
        2,
        "changed, not added"
    );

    json(&bench, &["run-now", &aws, "--by", "ann"]).await?;
    let (payload, last_month): (Value, String) = sqlx::query_as(
        "SELECT payload, to_char(now() AT TIME ZONE 'America/New_York' - interval '1 month', 'YYYY-MM') FROM jobs",
    )
    .fetch_one(bench.pool())
    .await?;
    assert_eq!((&payload["billing_period"], &payload["provider"]), (&last_month.into(), &PROVIDER.into()));
    let run_id = payload["run_id"].as_str().context("a run id")?;
    assert!(run_id.parse::<chrono::DateTime<chrono::Utc>>().is_ok(), "{run_id}");

    let nobody = "0199a000-0000-7000-8000-00000000dead";
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--reseller", nobody], 3, "does not exist; `billrunner directory FILE`"),
        (&["--reseller", &reseller, "--provider", "oracle"], 3, "has an account of `oracle`"),
        (&["--reseller", &reseller, "--provider", "acw"], 2, "unknown provider `acw`"),
        (&["--reseller", &reseller, "--at", "25:00"], 2, "write hour and minute, such as 06:00"),
    ];
    for (arguments, expected, why) in cases {
        let (code, said) = run(&bench, &[&["add-bill-runs", "--by", "x"], arguments].concat()).await?;
        assert!(code == Some(expected) && said.contains(why), "{code:?}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn the_house_has_its_own_schedules_once() -> Result<()> {
    let bench = Bench::new().await?;
    for (name, kind) in [
        ("prune-jobs", "prune_jobs"),
        ("reconcile-charges", "reconcile_charges"),
        ("check-history", "check_history"),
        ("report-dead-letters", "report_dead_letters"),
    ] {
        let found = find(&bench, name).await?.context(name)?;
        assert_eq!((found.kind.as_str(), found.reseller_id), (kind, None));
        // They stand the trial that others have to stand.
        let saved = json(&bench, &["set", name, "--cron", "11 4 * * *", "--by", "ann"]).await?;
        assert_eq!(saved["updated_by"], "ann");
    }
    run(&bench, &["remove", "check-history"]).await?;
    let url = crate::support::business::database_url(bench.pool()).await?;
    billrunner::store::database::migrate(&url.into()).await?;
    assert!(find(&bench, "check-history").await?.is_none(), "what an operator removed stays away");
    assert_eq!(find(&bench, "prune-jobs").await?.map(|found| found.cron).as_deref(), Some("11 4 * * *"));
    Ok(())
}
