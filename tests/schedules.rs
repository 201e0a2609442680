//! Schedules: each tick is one job, whoever takes it and whoever dies; what is missed, paused, refused or hostile.

use std::time::Duration;

use anyhow::{Context, Result};
use billrunner::{
    domain::schedule::MissedPolicy,
    queue::{ScheduleError, next_tick, run_schedule_now},
    store::{
        operator_actions::Operator,
        schedules::{self, NewSchedule, Schedule},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::support::{
    bench::Bench,
    site::{Site, send_signal},
    worker::{settings, settled, until},
};

const TASK: &str = "task";
const ANN: Operator<'_> = Operator { name: "ann", reason: "because" };

fn every_second(name: &str, missed: MissedPolicy) -> NewSchedule {
    NewSchedule {
        name: name.to_owned(),
        kind: TASK.to_owned(),
        payload: json!({ "does": "nothing", "note": "$tick" }),
        cron: "* * * * * *".to_owned(),
        time_zone: "Europe/Madrid".to_owned(),
        missed,
    }
}

fn hourly(name: &str, missed: MissedPolicy) -> NewSchedule {
    NewSchedule { cron: "0 * * * *".to_owned(), time_zone: "UTC".to_owned(), ..every_second(name, missed) }
}

async fn save(bench: &Bench, new: &NewSchedule) -> Result<bool, ScheduleError> {
    bench.registry.save_schedule(&mut *bench.pool().acquire().await?, new, "tester").await
}

async fn find(bench: &Bench, name: &str) -> Result<Schedule> {
    schedules::find(&mut *bench.pool().acquire().await?, name).await?.context("a schedule")
}

/// Makes the next tick one that lies back.
async fn set_back(bench: &Bench, name: &str, by: &str) -> Result<()> {
    sqlx::query("UPDATE schedules SET next_run_at = now() - $2::text::interval WHERE name = $1")
        .bind(name)
        .bind(by)
        .execute(bench.pool())
        .await?;
    Ok(())
}

/// Returns the ticks for which a schedule has jobs, as their ids say, in order.
async fn ticks(bench: &Bench, name: &str) -> Result<Vec<DateTime<Utc>>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "SELECT external_id FROM jobs WHERE source = 'billrunner/schedule' AND starts_with(external_id, $1 || '/')
         ORDER BY external_id",
    )
    .bind(name)
    .fetch_all(bench.pool())
    .await?;
    let tick = |id: &String| Ok(id.strip_prefix(&format!("{name}/")).context("the name")?.parse()?);
    ids.iter().map(tick).collect()
}

#[tokio::test]
async fn each_tick_is_one_job_whichever_of_three_workers_takes_it() -> Result<()> {
    let bench = Bench::new().await?;
    let names: Vec<String> = (0..20).map(|n| format!("race/{n:02}")).collect();
    for name in &names {
        save(&bench, &every_second(name, MissedPolicy::All)).await?;
        set_back(&bench, name, "50 seconds").await?;
    }
    let workers = [(); 3].map(|()| bench.start_worker(settings()));
    // Fifty that were missed, and then some as they come.
    let several: &str =
        "SELECT count(*) FROM (SELECT FROM jobs GROUP BY split_part(external_id, '/', 2) HAVING count(*) > 55) AS s";
    bench.until_count("every schedule's ticks", several, 20).await?;
    for worker in workers {
        worker.stop().await?;
    }
    for name in &names {
        let ticks = ticks(&bench, name).await?;
        assert!(ticks.len() > 55, "{name} has {}", ticks.len());
        for pair in ticks.windows(2) {
            assert_eq!(pair[1] - pair[0], TimeDelta::seconds(1), "{name} after {}", pair[0]);
        }
        let found = find(&bench, name).await?;
        assert_eq!(found.last_tick_at, ticks.last().copied(), "{name}");
        assert_eq!(found.next_run_at, ticks.last().map(|tick| *tick + TimeDelta::seconds(1)), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_a_tick_leaves_it_to_another() -> Result<()> {
    let site = Site::build(1).await?;
    sqlx::query(
        "INSERT INTO schedules (name, kind, payload, cron, time_zone, missed, next_run_at, created_by, updated_by)
         VALUES ('yearly', 'check_history', '{}', '0 0 1 1 *', 'UTC', 'latest', now() - interval '2 years', 'x', 'x')",
    )
    .execute(site.pool())
    .await?;
    // Nobody can add a job: whoever ticks stands still in the middle of it.
    let mut owner = site.database.connect_as_owner().await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE jobs IN SHARE MODE").execute(&mut owner).await?;
    let doomed = site.start_worker().await?;
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                   AND query LIKE 'INSERT INTO jobs%'";
    until("the tick", || async {
        let mut observer = site.database.connect_as_owner().await?;
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(&mut observer).await?;
        Ok((count == 1).then_some(()))
    })
    .await?;
    doomed.kill().await?;
    sqlx::raw_sql("COMMIT").execute(&mut owner).await?;
    until("the dead worker's connections to end", || async {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_locks WHERE relation = 'schedules'::regclass")
            .fetch_one(&site.database.pool)
            .await?;
        Ok((count == 0).then_some(()))
    })
    .await?;
    let jobs = "SELECT count(*) FROM jobs WHERE source = 'billrunner/schedule'";
    let count: i64 = sqlx::query_scalar(jobs).fetch_one(site.pool()).await?;
    assert_eq!(count, 0, "what a dead worker began is undone");

    let _others = (site.start_worker().await?, site.start_worker().await?);
    until("the tick's job to be done", || async {
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM jobs WHERE source = 'billrunner/schedule'")
            .fetch_optional(site.pool())
            .await?;
        Ok((state.as_deref() == Some("done")).then_some(()))
    })
    .await?;
    let next: DateTime<Utc> =
        sqlx::query_scalar("SELECT next_run_at FROM schedules WHERE name = 'yearly'").fetch_one(site.pool()).await?;
    assert_eq!(next.format("%m-%d %H:%M").to_string(), "01-01 00:00");
    Ok(())
}

#[tokio::test]
async fn a_frozen_worker_commits_no_tick_that_another_took() -> Result<()> {
    let site = Site::build(1).await?;
    sqlx::query(
        "INSERT INTO schedules (name, kind, payload, cron, time_zone, missed, next_run_at, created_by, updated_by)
         VALUES ('seconds', 'check_history', '{}', '* * * * * *', 'UTC', 'all', now(), 'x', 'x')",
    )
    .execute(site.pool())
    .await?;
    let least = |least: i64| {
        let site = &site;
        async move {
            until("ticks", || async {
                let count: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs").fetch_one(site.pool()).await?;
                Ok((count >= least).then_some(()))
            })
            .await
        }
    };
    let frozen = site.start_worker().await?;
    least(2).await?;
    send_signal("STOP", &frozen.id()?)?;
    let _other = site.start_worker().await?;
    least(6).await?;
    send_signal("CONT", &frozen.id()?)?;
    least(9).await?;
    sqlx::query("DELETE FROM schedules WHERE name = 'seconds'").execute(site.pool()).await?;
    let ids: Vec<String> = sqlx::query_scalar("SELECT split_part(external_id, '/', 2) FROM jobs ORDER BY external_id")
        .fetch_all(site.pool())
        .await?;
    let ticks = ids.iter().map(|id| id.parse()).collect::<Result<Vec<DateTime<Utc>>, _>>()?;
    assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::seconds(1)), "{ticks:?}");
    Ok(())
}

#[tokio::test]
async fn missed_ticks_are_made_up_for_as_the_policy_says() -> Result<()> {
    let bench = Bench::new().await?;
    for missed in MissedPolicy::ALL {
        save(&bench, &hourly(missed.as_str(), missed)).await?;
        set_back(&bench, missed.as_str(), "600 hours").await?;
    }
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT now()").fetch_one(bench.pool()).await?;
    let worker = bench.start_worker(settings());
    bench.until_count("the ticks", "SELECT count(*) FROM schedules WHERE next_run_at > now()", 3).await?;
    worker.stop().await?;
    let all = ticks(&bench, "all").await?;
    assert_eq!(all.len(), 100, "the newest hundred");
    assert!(all.last().is_some_and(|tick| now - *tick < TimeDelta::hours(1)));
    assert_eq!(ticks(&bench, "latest").await?.as_slice(), &all[99..]);
    // Within a minute of the hour the tick is on time, and not missed.
    let skipped = ticks(&bench, "skip").await?;
    assert!(skipped.is_empty() || now - skipped[0] < TimeDelta::minutes(2), "{skipped:?}");
    Ok(())
}

#[tokio::test]
async fn a_new_schedule_wakes_workers_that_sleep_and_outlives_a_restart_of_the_database() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    bench.hand_in("to see that the worker runs", crate::support::bench::Does::Nothing, 0).await?;
    settled(bench.pool()).await?;
    save(&bench, &every_second("woken", MissedPolicy::All)).await?;
    bench.until_count("ticks", "SELECT count(*) FROM jobs WHERE source = 'billrunner/schedule'", 2).await?;
    let late = "SELECT count(*) FROM jobs WHERE source = 'billrunner/schedule'
                AND created_at > split_part(external_id, '/', 2)::timestamptz + interval '10 seconds'";
    assert_eq!(bench.count(late).await?, 0, "the loop slept on");
    bench.database.end_connections().await?;
    let before = ticks(&bench, "woken").await?.len();
    until("ticks after the restart", || async {
        Ok((ticks(&bench, "woken").await.unwrap_or_default().len() > before + 2).then_some(()))
    })
    .await?;
    let ticks = ticks(&bench, "woken").await?;
    assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::seconds(1)), "{ticks:?}");
    worker.stop().await
}

#[tokio::test]
async fn a_tick_that_the_ledger_refuses_is_noted_and_stalls_nobody() -> Result<()> {
    let bench = Bench::new().await?;
    for name in ["conflict", "garbage", "unreadable", "vanished", "well"] {
        save(&bench, &hourly(name, MissedPolicy::Latest)).await?;
        set_back(&bench, name, "1 hour").await?;
    }
    let spoil = [
        "UPDATE schedules SET kind = 'no_such_kind' WHERE name = 'vanished'",
        "UPDATE schedules SET payload = '{\"does\": \"$no_such_variable\"}' WHERE name = 'garbage'",
        "UPDATE schedules SET cron = 'whenever' WHERE name = 'unreadable'",
        "UPDATE schedules SET next_run_at = next_run_at + interval '1 second' WHERE name = 'well'",
        "INSERT INTO jobs (id, kind, queue, payload, source, external_id, payload_hash, max_attempts, run_at, requested_by)
         SELECT gen_random_uuid(), 'task', 'status', '{}', 'billrunner/schedule',
                'conflict/' || to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '', 1, 'infinity', 'x'
         FROM generate_series(date_trunc('hour', now()), now() + interval '1 hour', interval '1 hour') AS hour",
    ];
    for sql in spoil {
        let sql = sql.replace("'infinity'", "now() + interval '1 year'");
        sqlx::query(AssertSqlSafe(sql)).execute(bench.pool()).await?;
    }
    let worker = bench.start_worker(settings());
    bench.until_count("the good tick", "SELECT count(*) FROM schedules WHERE last_job_id IS NOT NULL", 1).await?;
    worker.stop().await?;
    let well = find(&bench, "well").await?;
    assert_eq!((well.last_job_state.is_some(), well.last_error), (true, None));
    for (name, why) in [
        ("vanished", "unknown job `no_such_kind`"),
        ("garbage", "unknown variable `$no_such_variable`"),
        ("conflict", "was used for another task"),
        ("unreadable", "cron expression `whenever` does not read"),
    ] {
        let found = find(&bench, name).await?;
        assert!(found.last_error.as_ref().is_some_and(|error| error.contains(why)), "{name}: {:?}", found.last_error);
        let now = schedules::now(&mut *bench.pool().acquire().await?).await?;
        assert_eq!(found.next_run_at.is_some_and(|next| next > now), name != "unreadable", "{name} goes on");
        assert_eq!(found.last_job_id, None, "{name}");
    }
    // Saved anew it is well again.
    let mended = NewSchedule { cron: "1 * * * *".to_owned(), ..hourly("unreadable", MissedPolicy::Latest) };
    assert!(save(&bench, &mended).await?);
    let found = find(&bench, "unreadable").await?;
    assert!(found.last_error.is_none() && found.next_run_at.is_some());
    Ok(())
}

#[tokio::test]
async fn a_paused_schedule_does_nothing_and_what_it_let_pass_does_not_come_later() -> Result<()> {
    let bench = Bench::new().await?;
    for name in ["paused", "witness"] {
        save(&bench, &every_second(name, MissedPolicy::All)).await?;
    }
    let mut connection = bench.pool().acquire().await?;
    assert!(schedules::pause(&mut connection, "paused", ANN).await?);
    assert!(
        !schedules::pause(&mut connection, "paused", Operator { name: "bob", reason: "again" }).await?,
        "it is paused already"
    );
    set_back(&bench, "paused", "1 hour").await?;
    let worker = bench.start_worker(settings());
    bench.until_count("the other's ticks", "SELECT count(*) FROM jobs", 3).await?;
    assert!(ticks(&bench, "paused").await?.is_empty());
    // Saving it anew does not let it go on.
    let changed = NewSchedule { payload: json!({ "does": "work" }), ..every_second("paused", MissedPolicy::All) };
    assert!(save(&bench, &changed).await?);
    set_back(&bench, "paused", "1 hour").await?;
    let found = find(&bench, "paused").await?;
    assert_eq!((found.paused_by.as_deref(), found.pause_reason.as_deref()), (Some("ann"), Some("because")));

    let resumed_at = schedules::now(&mut connection).await?;
    let next = next_tick(&mut connection, &found).await?;
    assert!(schedules::resume(&mut connection, "paused", ANN, next).await?);
    assert!(!schedules::resume(&mut connection, "paused", ANN, next).await?, "it is not paused");
    let resumed = "SELECT count(*) FROM jobs WHERE starts_with(external_id, 'paused/')";
    bench.until_count("ticks after the pause", resumed, 2).await?;
    assert!(ticks(&bench, "paused").await?[0] > resumed_at);
    worker.stop().await
}

#[tokio::test]
async fn what_would_only_make_dead_letters_is_not_saved() -> Result<()> {
    let bench = Bench::new().await?;
    let good = hourly("good", MissedPolicy::Skip);
    let with = |payload: Value| NewSchedule { payload, ..good.clone() };
    let named = |name: &str| NewSchedule { name: name.to_owned(), ..good.clone() };
    let huge = json!({ "does": "nothing", "note": "x".repeat(1_000_000) });
    let cases = [
        (with(json!({ "does": "$tomorrow" })), "unknown variable `$tomorrow` in the payload; known: $previous_month"),
        (with(json!({ "does": "sing" })), "the payload of task is not valid at /does: unknown variant `sing`"),
        (with(json!({ "does": "work", "else": 1 })), "the payload of task is not valid at /else: unknown field `else`"),
        (with(json!({ "does": "work", "note": "\u{0}" })), "the ledger does not take a value of it"),
        (with(huge), "bytes; at most 65536 are taken"),
        (with(json!([])), "the payload of task is not valid"),
        (NewSchedule { kind: "no\u{0}kind".to_owned(), ..good.clone() }, "unknown job `no"),
        (NewSchedule { cron: "0 0 30 2 *".to_owned(), ..good.clone() }, "never ticks"),
        (NewSchedule { cron: "* * *\u{0} * *".to_owned(), ..good.clone() }, "does not read"),
        (NewSchedule { time_zone: "Moon/Base".to_owned(), ..good.clone() }, "unknown time zone `Moon/Base`"),
        (named(""), "is no name for a schedule"),
        (named("Näme"), "`Näme` is no name for a schedule"),
        (named("nul\u{0}"), "`nul` is no name for a schedule"),
        (named(&"n".repeat(101)), "is no name for a schedule"),
        (named("/first"), "is no name for a schedule"),
    ];
    for (case, why) in cases {
        let refused = save(&bench, &case).await.expect_err(why).to_string();
        assert!(refused.contains(why), "{refused} does not say {why}");
        assert!(refused.len() < 500, "{refused}");
    }
    assert_eq!(bench.count("SELECT count(*) FROM schedules WHERE created_by = 'tester'").await?, 0);
    assert!(save(&bench, &good).await?);
    assert!(!save(&bench, &good).await?, "it is as it is to be");
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 0, "a trial leaves no job");
    Ok(())
}

#[tokio::test]
async fn a_tick_fills_the_payload_in_and_says_who_asked() -> Result<()> {
    let bench = Bench::new().await?;
    save(&bench, &every_second("filled", MissedPolicy::All)).await?;
    let worker = bench.start_worker(settings());
    bench.until_count("a tick", "SELECT count(*) FROM jobs", 1).await?;
    worker.stop().await?;
    let (note, id, asked_by): (String, String, String) =
        sqlx::query_as("SELECT payload ->> 'note', external_id, requested_by FROM jobs ORDER BY id LIMIT 1")
            .fetch_one(bench.pool())
            .await?;
    assert_eq!((id, asked_by.as_str()), (format!("filled/{note}"), "schedule filled"));
    Ok(())
}

#[tokio::test]
async fn a_job_started_out_of_turn_has_an_id_of_its_own_and_leaves_the_ticks_alone() -> Result<()> {
    let bench = Bench::new().await?;
    save(&bench, &hourly("turn", MissedPolicy::Skip)).await?;
    let before = find(&bench, "turn").await?;
    let mut connection = bench.pool().acquire().await?;
    let first = run_schedule_now(&mut connection, &bench.registry.preparer(), &before, ANN).await?;
    let second = run_schedule_now(&mut connection, &bench.registry.preparer(), &before, ANN).await?;
    assert_ne!(first, second);
    let after = find(&bench, "turn").await?;
    assert_eq!((after.last_job_id, after.next_run_at, after.last_tick_at), (Some(second), before.next_run_at, None));
    let ids: Vec<(String, String)> =
        sqlx::query_as("SELECT external_id, requested_by FROM jobs ORDER BY id").fetch_all(bench.pool()).await?;
    for (id, asked_by) in ids {
        let own = id.strip_prefix("turn/now/").context("an id of its own")?;
        assert!(own.parse::<Uuid>().is_ok());
        assert_eq!(asked_by, "ann");
    }
    Ok(())
}

#[tokio::test]
async fn schedules_go_on_while_redis_is_away() -> Result<()> {
    let mut redis = crate::support::redis::TestRedis::start().await?;
    let bench = Bench::on(redis.streams()?).await?;
    let worker = bench.start_worker(settings());
    bench.hand_in("to see that the worker runs", crate::support::bench::Does::Nothing, 0).await?;
    settled(bench.pool()).await?;
    redis.kill()?;
    save(&bench, &every_second("without redis", MissedPolicy::All)).await.expect_err("a space in the name");
    save(&bench, &every_second("without-redis", MissedPolicy::All)).await?;
    bench.until_count("ticks", "SELECT count(*) FROM jobs WHERE source = 'billrunner/schedule'", 3).await?;
    redis.restart().await?;
    sqlx::query("DELETE FROM schedules WHERE name = 'without-redis'").execute(bench.pool()).await?;
    settled(bench.pool()).await?;
    tokio::time::timeout(Duration::from_secs(30), worker.stop()).await?
}
