//! What holds jobs back: concurrency, limits over all workers, pauses; and which job goes first however long the queue.

use anyhow::Result;
use billrunner::{
    domain::ids::JobId,
    queue::{JobOptions, WorkerSettings},
    store::{
        jobs::{self, Dispatch, Room},
        queue_controls::{self, Allowance},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use crate::support::{
    bench::{Bench, Does, GROUP, task},
    flow::{OPERATOR, state, until_somebody_waits_for_a_lock},
    worker::{settings, settled, until, wait_for},
};

fn at_once(count: usize) -> WorkerSettings {
    WorkerSettings { concurrency: Box::new(move |_| count), ..settings() }
}

async fn limit_running(bench: &Bench, queue: &str, most: i32) -> Result<()> {
    let mut transaction = bench.pool().begin().await?;
    queue_controls::limit_running(&mut transaction, queue, Some(most), OPERATOR).await?;
    Ok(transaction.commit().await?)
}

async fn pause(pool: &PgPool, queue: &str, until: Option<DateTime<Utc>>) -> Result<u64> {
    let mut transaction = pool.begin().await?;
    let taken_back = queue_controls::pause(&mut transaction, queue, OPERATOR, until).await?;
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(taken_back)
}

async fn resume(bench: &Bench, queue: &str) -> Result<bool> {
    let mut transaction = bench.pool().begin().await?;
    let resumed = queue_controls::resume(&mut transaction, queue, OPERATOR).await?;
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(resumed)
}

async fn hand_in_holds(bench: &Bench, lane: &str, count: usize) -> Result<()> {
    for n in 0..count {
        bench.hand_in_hold(&format!("{lane} {n}"), lane).await?;
    }
    Ok(())
}

async fn started(bench: &Bench, count: usize) -> Result<()> {
    for _ in 0..count {
        bench.started().await?;
    }
    Ok(())
}

fn room(queue: &str) -> Room {
    Room { queue: queue.to_owned(), places: 100, bound: queue.to_owned(), bound_places: None }
}

/// Takes what is due, as a dispatcher does that holds the limits.
async fn dispatch(connection: &mut PgConnection, queue: &str) -> Result<Vec<Dispatch>> {
    let allowances = queue_controls::hold_allowances(&mut *connection).await?;
    let allowed = allowances.iter().find(|allowance| allowance.queue == queue);
    let places = allowed.map_or(100, |allowance| allowance.jobs);
    let taken = jobs::take_due(&mut *connection, &[Room { places, ..room(queue) }], true).await?;
    let lanes: Vec<String> = taken.iter().map(|dispatch| dispatch.queue.clone()).collect();
    queue_controls::spend_tokens(connection, &lanes).await?;
    Ok(taken)
}

#[tokio::test]
async fn a_worker_runs_no_more_jobs_of_a_lane_at_once_than_it_may() -> Result<()> {
    let bench = Bench::new().await?;
    hand_in_holds(&bench, "aws", 6).await?;
    let worker = bench.start_worker(at_once(2));
    started(&bench, 2).await?;
    bench.until_count("the next to be at hand", "SELECT count(*) FROM jobs WHERE state = 'running'", 3).await?;
    // Another lane works on meanwhile: what may start has started.
    let other = bench.hand_in("1", Does::Work, 0).await?;
    wait_for(bench.pool(), other).await?;
    for _ in 0..4 {
        bench.release(1);
        bench.started().await?;
    }
    bench.release(2);
    settled(bench.pool()).await?;
    assert_eq!(bench.most_at_once(), 2);
    worker.stop().await
}

#[tokio::test]
async fn all_workers_together_run_no_more_jobs_at_once_than_the_limit() -> Result<()> {
    let bench = Bench::new().await?;
    limit_running(&bench, "billing.aws", 3).await?;
    hand_in_holds(&bench, "aws", 12).await?;
    let workers = (bench.start_worker(settings()), bench.start_worker(settings()));
    started(&bench, 3).await?;
    for _ in 0..9 {
        bench.release(1);
        bench.started().await?;
    }
    bench.release(3);
    settled(bench.pool()).await?;
    assert_eq!(bench.most_at_once(), 3);
    workers.0.stop().await?;
    workers.1.stop().await
}

#[tokio::test]
async fn a_lanes_limit_is_its_own_and_a_queues_is_shared_by_its_lanes() -> Result<()> {
    let bench = Bench::new().await?;
    limit_running(&bench, "billing", 3).await?;
    limit_running(&bench, "billing.aws", 1).await?;
    hand_in_holds(&bench, "aws", 4).await?;
    hand_in_holds(&bench, "google", 4).await?;
    let workers = (bench.start_worker(settings()), bench.start_worker(settings()));
    started(&bench, 3).await?;
    let running = "SELECT queue, count(*) FROM jobs WHERE state IN ('dispatched', 'running') AND kind = 'hold'
                   GROUP BY queue ORDER BY queue";
    let running: Vec<(String, i64)> = sqlx::query_as(running).fetch_all(bench.pool()).await?;
    assert_eq!(running, [("billing.aws".to_owned(), 1), ("billing.google".to_owned(), 2)]);
    bench.release(8);
    settled(bench.pool()).await?;
    assert_eq!(bench.most_at_once(), 3);
    workers.0.stop().await?;
    workers.1.stop().await
}

#[tokio::test]
async fn a_dispatcher_that_waited_for_another_counts_what_that_one_sent() -> Result<()> {
    let bench = Bench::new().await?;
    limit_running(&bench, "billing.aws", 2).await?;
    hand_in_holds(&bench, "aws", 5).await?;
    let mut first = bench.pool().begin().await?;
    assert_eq!(dispatch(&mut first, "billing.aws").await?.len(), 2);
    let pool = bench.pool().clone();
    let second = tokio::spawn(async move {
        let mut transaction = pool.begin().await?;
        queue_controls::hold_allowances(&mut transaction).await
    });
    until_somebody_waits_for_a_lock(&bench).await?;
    first.commit().await?;
    let allowed: Vec<i64> = second.await??.iter().map(|Allowance { jobs, .. }| *jobs).collect();
    assert_eq!(allowed, [0]);
    Ok(())
}

#[tokio::test]
async fn a_dispatcher_that_knows_no_limit_sends_nothing_once_there_is_one() -> Result<()> {
    let bench = Bench::new().await?;
    hand_in_holds(&bench, "aws", 5).await?;
    limit_running(&bench, "mail", 1).await?;
    let mut connection = bench.pool().acquire().await?;
    assert!(jobs::take_due(&mut connection, &[room("billing.aws")], false).await?.is_empty());
    assert_eq!(jobs::take_due(&mut connection, &[room("billing.aws")], true).await?.len(), 5);
    Ok(())
}

#[tokio::test]
async fn a_limit_holds_for_what_was_sent_before_it_and_had_not_started() -> Result<()> {
    let bench = Bench::new().await?;
    hand_in_holds(&bench, "aws", 5).await?;
    assert_eq!(jobs::take_due(&mut *bench.pool().acquire().await?, &[room("billing.aws")], false).await?.len(), 5);
    limit_running(&bench, "billing.aws", 2).await?;
    let mut transaction = bench.pool().begin().await?;
    assert_eq!(dispatch(&mut transaction, "billing.aws").await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_dead_workers_jobs_fill_the_limit_until_they_are_rescued_and_no_longer() -> Result<()> {
    let bench = Bench::new().await?;
    limit_running(&bench, "billing.aws", 1).await?;
    hand_in_holds(&bench, "aws", 3).await?;
    let doomed = bench.start_worker(settings());
    bench.started().await?;
    doomed.vanish().await;
    let other = bench.start_worker(settings());
    for _ in 0..3 {
        bench.started().await?;
        bench.release(1);
    }
    settled(bench.pool()).await?;
    assert_eq!(bench.count("SELECT count(*) FROM job_attempts WHERE outcome = 'worker_died'").await?, 1);
    assert_eq!(bench.count("SELECT count(*) FROM jobs WHERE kind = 'hold' AND state = 'done'").await?, 3);
    assert_eq!(bench.most_at_once(), 1);
    other.stop().await
}

#[tokio::test]
async fn a_job_whose_dispatcher_died_before_sending_it_keeps_its_place_and_runs() -> Result<()> {
    let bench = Bench::new().await?;
    limit_running(&bench, "billing.aws", 2).await?;
    hand_in_holds(&bench, "aws", 4).await?;
    let mut transaction = bench.pool().begin().await?;
    let unsent = dispatch(&mut transaction, "billing.aws").await?;
    transaction.commit().await?;
    assert_eq!(unsent.len(), 2);
    let worker = bench.start_worker(settings());
    // The reader that misses its group has the ledger compared with Redis at once.
    let key = bench.streams.lane_key("billing.aws");
    let mut redis = bench.streams.connect().await?;
    until("the lane's group", || async {
        let mut redis = redis.clone();
        let gone: redis::RedisResult<i64> =
            redis::cmd("XGROUP").arg("DESTROY").arg(&key).arg(GROUP).query_async(&mut redis).await;
        Ok((gone == Ok(1)).then_some(()))
    })
    .await?;
    started(&bench, 2).await?;
    let running: Vec<JobId> =
        sqlx::query_scalar("SELECT id FROM jobs WHERE state = 'running' ORDER BY id").fetch_all(bench.pool()).await?;
    assert_eq!(running, unsent.iter().map(|dispatch| dispatch.id).collect::<Vec<_>>());
    bench.release(4);
    settled(bench.pool()).await?;
    assert_eq!(bench.most_at_once(), 2);
    let _: () = redis::cmd("PING").query_async(&mut redis).await?;
    worker.stop().await
}

const LATEST_START: &str = "SELECT count(*) FROM jobs, queue_controls
    WHERE jobs.queue = 'billing.aws' AND jobs.started_at > queue_controls.paused_at";

#[tokio::test]
async fn a_pause_takes_back_what_has_not_started_and_nothing_starts_until_it_is_lifted() -> Result<()> {
    let bench = Bench::new().await?;
    hand_in_holds(&bench, "aws", 20).await?;
    let worker = bench.start_worker(at_once(1));
    bench.started().await?;
    let sent = "SELECT count(*) FROM jobs WHERE state = 'dispatched'";
    bench.until_count("jobs in the lane's stream", sent, 10).await?;
    assert!(pause(bench.pool(), "billing.aws", None).await? >= 10);
    assert_eq!(bench.count(sent).await?, 0);

    // What runs finishes; of what was taken back the stream holds copies, which are dropped.
    bench.release(20);
    let busy = "SELECT count(*) FROM jobs WHERE queue = 'billing.aws' AND state IN ('dispatched', 'running')";
    until("all that ran to end", || async { Ok((bench.count(busy).await? == 0).then_some(())) }).await?;
    let key = bench.streams.lane_key("billing.aws");
    until("an empty stream", || async { Ok(bench.entries(&key).await?.is_empty().then_some(())) }).await?;
    // Another lane goes on, so the dispatchers have looked.
    let other = bench.hand_in_hold("google", "google").await?;
    assert_eq!(wait_for(bench.pool(), other).await?.0.state, "done");
    assert_eq!(bench.count(LATEST_START).await?, 0);
    let waiting = "SELECT count(*) FROM jobs WHERE queue = 'billing.aws' AND state = 'scheduled'";
    assert!(bench.count(waiting).await? >= 10);

    assert!(resume(&bench, "billing.aws").await?);
    assert!(!resume(&bench, "billing.aws").await?, "it is not paused any more");
    bench.release(21);
    settled(bench.pool()).await?;
    assert_eq!(bench.count("SELECT count(*) FROM jobs WHERE kind = 'hold' AND state = 'done'").await?, 21);
    assert_eq!(bench.effects().await?, 42, "its own of each, and its follow-up's");
    worker.stop().await
}

#[tokio::test]
async fn a_pause_ends_by_itself_at_its_time() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(bench.pool()).await?;
    let until = now + TimeDelta::milliseconds(1500);
    pause(bench.pool(), "status", Some(until)).await?;
    let id = bench.hand_in("1", Does::Work, 0).await?;
    let (_, attempts) = wait_for(bench.pool(), id).await?;
    assert!(attempts[0].started_at >= until, "{} is before {until}", attempts[0].started_at);
    worker.stop().await
}

#[tokio::test]
async fn a_paused_queue_holds_all_of_its_lanes_and_no_other_queue() -> Result<()> {
    let bench = Bench::new().await?;
    pause(bench.pool(), "billing", None).await?;
    let held = [bench.hand_in_hold("a", "aws").await?, bench.hand_in_hold("g", "google").await?];
    let worker = bench.start_worker(settings());
    let other = bench.hand_in("1", Does::Work, 0).await?;
    assert_eq!(wait_for(bench.pool(), other).await?.0.state, "done");
    for id in held {
        assert_eq!(state(&bench, id).await?, "scheduled");
    }
    resume(&bench, "billing").await?;
    bench.release(2);
    settled(bench.pool()).await?;
    worker.stop().await
}

#[tokio::test]
async fn a_dispatch_under_way_does_not_slip_past_a_pause() -> Result<()> {
    let bench = Bench::new().await?;
    let id = bench.hand_in_hold("1", "aws").await?;
    let mut dispatching = bench.pool().begin().await?;
    let sent = jobs::take_due(&mut dispatching, &[room("billing.aws")], false).await?;
    let pool = bench.pool().clone();
    let pausing = tokio::spawn(async move { pause(&pool, "billing.aws", None).await });
    until_somebody_waits_for_a_lock(&bench).await?;
    dispatching.commit().await?;
    assert_eq!(pausing.await??, 1, "it is taken back");

    // Its message is on the way all the same, and means nothing.
    let worker = bench.start_worker(settings());
    let key = bench.streams.lane_key("billing.aws");
    let mut redis = bench.streams.connect().await?;
    let mut message = redis::cmd("XADD");
    message.arg(&key).arg("*").arg("job").arg(id.to_string()).arg("attempt").arg(sent[0].attempt);
    let _: String = message.query_async(&mut redis).await?;
    until("an empty stream", || async { Ok(bench.entries(&key).await?.is_empty().then_some(())) }).await?;
    assert_eq!(state(&bench, id).await?, "scheduled");
    resume(&bench, "billing.aws").await?;
    bench.release(1);
    assert_eq!(wait_for(bench.pool(), id).await?.0.state, "done");
    worker.stop().await
}

#[tokio::test]
async fn a_job_of_low_priority_is_not_starved_by_a_stream_of_urgent_ones() -> Result<()> {
    let bench = Bench::new().await?;
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT now()").fetch_one(bench.pool()).await?;
    for n in 0..20 {
        let options = JobOptions { priority: 10, ..JobOptions::default() };
        bench.accept_with(&format!("urgent {n}"), &task(Does::Work, 0), options).await?;
    }
    // Twenty steps of 30 seconds lie between them: due for eleven minutes it goes first, due for nine it goes last.
    let mut low = Vec::new();
    for minutes in [9, 11] {
        let run_at = Some(now - TimeDelta::minutes(minutes));
        let options = JobOptions { priority: -10, run_at, ..JobOptions::default() };
        low.push(bench.accept_with(&format!("low {minutes}"), &task(Does::Work, 0), options).await?.id());
    }
    let worker = bench.start_worker(at_once(1));
    settled(bench.pool()).await?;
    let ran = bench.ran();
    assert_eq!((ran.first(), ran.last()), (Some(&low[1]), Some(&low[0])));
    worker.stop().await
}

#[tokio::test]
async fn a_more_urgent_job_overtakes_a_long_backlog() -> Result<()> {
    let bench = Bench::new().await?;
    bench.hand_in_many(3000, Does::Work).await?;
    let worker = bench.start_worker(at_once(1));
    until("some to run", || async { Ok((bench.ran().len() >= 50).then_some(())) }).await?;
    let options = JobOptions { priority: 100, ..JobOptions::default() };
    let urgent = bench.accept_with("urgent", &task(Does::Work, 0), options).await?.id();
    let ran_before = bench.ran().len();
    wait_for(bench.pool(), urgent).await?;
    let place = bench.ran().iter().position(|id| *id == urgent).expect("it ran");
    assert!(place - ran_before < 1000, "{} jobs went before it", place - ran_before);
    worker.stop().await
}

#[tokio::test]
async fn a_job_that_is_looked_at_while_it_is_claimed_is_claimed_all_the_same() -> Result<()> {
    let bench = Bench::new().await?;
    let id = bench.hand_in("1", Does::Work, 0).await?;
    let sent = jobs::take_due(&mut *bench.pool().acquire().await?, &[room("status")], false).await?;
    // As reconciliation does with what was sent a while ago.
    let mut looking = bench.pool().begin().await?;
    let now = jobs::instant_before(&mut looking, 0.0).await?;
    jobs::take_unchecked(&mut looking, now, 10).await?;
    let (pool, attempt) = (bench.pool().clone(), sent[0].attempt);
    let claiming = tokio::spawn(async move {
        jobs::claim(&mut *pool.acquire().await?, billrunner::domain::ids::WorkerId::new(), &[(id, attempt)]).await
    });
    until_somebody_waits_for_a_lock(&bench).await?;
    looking.commit().await?;
    assert_eq!(claiming.await??.len(), 1);
    Ok(())
}
