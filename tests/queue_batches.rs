//! Batches: many jobs, and one that runs once after the last of them, however they ended.

use anyhow::Result;
use billrunner::{
    domain::ids::JobId,
    store::jobs::{self, NotDead},
};

use crate::support::{
    bench::{Bench, Does},
    flow::{self, OPERATOR, completion, fan_out, state, until_somebody_waits_for_a_lock, until_state},
    redis::TestRedis,
    worker::{settings, settled, until, wait_for},
};

const ENDED_BEFORE: &str = "SELECT bool_and(member.finished_at <= completion.started_at)
    FROM jobs AS completion JOIN jobs AS member ON member.batch_id = completion.id WHERE completion.id = $1";

/// Checks that the completion job ran once, after the last job of its batch, and returns what it said.
async fn completed_once(bench: &Bench, batch: JobId) -> Result<String> {
    let said = completion(bench, batch).await?;
    settled(bench.pool()).await?;
    assert_eq!(bench.ran().iter().filter(|ran| **ran == batch).count(), 1);
    let ended: Option<bool> = sqlx::query_scalar(ENDED_BEFORE).bind(batch).fetch_one(bench.pool()).await?;
    assert_ne!(ended, Some(false), "a job of the batch ended after its completion began");
    Ok(said)
}

async fn revive(bench: &Bench, id: JobId) -> Result<(), NotDead> {
    let mut transaction = bench.pool().begin().await?;
    jobs::revive(&mut transaction, id, OPERATOR).await?;
    jobs::notify_dispatchers(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

async fn members(bench: &Bench, batch: JobId, state: &str) -> Result<Vec<JobId>> {
    let members = sqlx::query_scalar("SELECT id FROM jobs WHERE batch_id = $1 AND state = $2 ORDER BY id");
    Ok(members.bind(batch).bind(state).fetch_all(bench.pool()).await?)
}

#[tokio::test]
async fn a_batch_completes_once_after_its_last_job_whatever_became_of_them() -> Result<()> {
    let bench = flow::bench().await?;
    let worker = bench.start_worker(settings());
    let mixed = vec![
        (Does::Work, 0),
        (Does::FailPermanently, 0),
        (Does::FailTransiently, 1),
        (Does::Nothing, 0),
        (Does::Snooze, 2),
        (Does::Panic, 9),
    ];
    let batch = fan_out(&bench, "mixed", mixed).await?;
    assert_eq!(completed_once(&bench, batch).await?, "2 dead, 4 done");
    worker.stop().await
}

#[tokio::test]
async fn a_batch_without_jobs_completes_at_once() -> Result<()> {
    let bench = flow::bench().await?;
    let worker = bench.start_worker(settings());
    let batch = fan_out(&bench, "empty", Vec::new()).await?;
    assert_eq!(completed_once(&bench, batch).await?, "");
    worker.stop().await
}

#[tokio::test]
async fn a_batch_of_thousands_completes_once_over_two_workers() -> Result<()> {
    let bench = flow::bench().await?;
    let workers = (bench.start_worker(settings()), bench.start_worker(settings()));
    let batch = fan_out(&bench, "large", vec![(Does::Nothing, 0); 2000]).await?;
    assert_eq!(completed_once(&bench, batch).await?, "2000 done");
    workers.0.stop().await?;
    workers.1.stop().await
}

#[tokio::test]
async fn a_batch_whose_worker_vanishes_completes_once() -> Result<()> {
    let bench = flow::bench().await?;
    let doomed = bench.start_worker(settings());
    let batch = fan_out(&bench, "rescued", vec![(Does::Work, 0); 300]).await?;
    bench.until_count("the middle", "SELECT count(*) FROM jobs WHERE kind = 'task' AND state = 'done'", 20).await?;
    doomed.vanish().await;
    assert_eq!(state(&bench, batch).await?, "awaiting");
    let other = bench.start_worker(settings());
    assert_eq!(completed_once(&bench, batch).await?, "300 done");
    assert_eq!(bench.effects().await?, 300);
    other.stop().await
}

#[tokio::test]
async fn a_batch_goes_on_after_redis_was_emptied() -> Result<()> {
    let redis = TestRedis::start().await?;
    let bench = Bench::with(redis.streams()?, |registry| registry.with::<flow::Fan>().with::<flow::Sum>()).await?;
    let worker = bench.start_worker(settings());
    let batch = fan_out(&bench, "flushed", vec![(Does::Work, 0); 300]).await?;
    bench.until_count("the middle", "SELECT count(*) FROM jobs WHERE kind = 'task' AND state = 'done'", 20).await?;
    redis.flush_all().await?;
    assert_eq!(completed_once(&bench, batch).await?, "300 done");
    assert_eq!(bench.effects().await?, 300);
    worker.stop().await
}

#[tokio::test]
async fn a_batch_whose_dead_jobs_are_tried_again_completes_anew() -> Result<()> {
    let bench = flow::bench().await?;
    let worker = bench.start_worker(settings());
    // Three failures are a task's last; the fourth run goes well.
    let batch = fan_out(&bench, "again", vec![(Does::Work, 0), (Does::FailTransiently, 3)]).await?;
    assert_eq!(completed_once(&bench, batch).await?, "1 dead, 1 done");
    let dead = members(&bench, batch, "dead").await?;
    revive(&bench, dead[0]).await?;
    until("the second completion", || async { Ok((wait_for(bench.pool(), batch).await?.1.len() == 2).then_some(())) })
        .await?;
    assert_eq!(completion(&bench, batch).await?, "2 done");
    assert_eq!(bench.ran().iter().filter(|ran| **ran == batch).count(), 2);
    worker.stop().await
}

#[tokio::test]
async fn a_cancelled_batch_completes_and_says_what_was_cancelled() -> Result<()> {
    let bench = flow::bench().await?;
    let batch = {
        let worker = bench.start_worker(settings());
        // One of three waits for an hour.
        let batch = fan_out(&bench, "cancelled", vec![(Does::Work, 0); 3]).await?;
        completion(&bench, batch).await?;
        worker.stop().await?;
        batch
    };
    let waits = "UPDATE jobs SET state = 'scheduled', finished_at = NULL, run_at = now() + interval '1 hour'
                 WHERE id = (SELECT max(id::text)::uuid FROM jobs WHERE batch_id = $1)";
    sqlx::query(waits).bind(batch).execute(bench.pool()).await?;
    sqlx::query("UPDATE jobs SET state = 'awaiting', finished_at = NULL WHERE id = $1")
        .bind(batch)
        .execute(bench.pool())
        .await?;
    let ran_before = bench.ran().iter().filter(|ran| **ran == batch).count();
    let worker = bench.start_worker(settings());
    let cancelled =
        bench.billrunner(&["batches", "cancel", &batch.to_string(), "--reason", "no", "--by", "ana"]).await?;
    assert!(cancelled.status.success(), "{}", String::from_utf8_lossy(&cancelled.stderr));
    assert_eq!(completion(&bench, batch).await?, "1 discarded, 2 done");
    assert_eq!(bench.ran().iter().filter(|ran| **ran == batch).count(), ran_before + 1);
    let refused = bench.billrunner(&["jobs", "cancel", &batch.to_string(), "--reason", "no", "--by", "ana"]).await?;
    assert_eq!(refused.status.code(), Some(4));
    worker.stop().await
}

/// A batch of one job that is dead, whose completion job waits to be released.
async fn at_its_end(bench: &Bench) -> Result<(JobId, JobId)> {
    let worker = bench.start_worker(settings());
    let batch = fan_out(bench, "end", vec![(Does::FailPermanently, 0)]).await?;
    completion(bench, batch).await?;
    worker.stop().await?;
    sqlx::query("UPDATE jobs SET state = 'awaiting', finished_at = NULL WHERE id = $1")
        .bind(batch)
        .execute(bench.pool())
        .await?;
    let dead = members(bench, batch, "dead").await?;
    Ok((batch, dead[0]))
}

#[tokio::test]
async fn a_job_tried_again_before_its_batch_is_summed_up_holds_the_completion_back() -> Result<()> {
    let bench = flow::bench().await?;
    let (batch, dead) = at_its_end(&bench).await?;
    for (released, attempts) in [("scheduled", 0), ("dispatched", 1)] {
        let release = "UPDATE jobs SET state = $2, attempt = attempt + $3, finished_at = NULL WHERE id = $1";
        sqlx::query(release).bind(batch).bind(released).bind(attempts).execute(bench.pool()).await?;
        revive(&bench, dead).await?;
        assert_eq!(state(&bench, batch).await?, "awaiting", "it was {released}");
        sqlx::query("UPDATE jobs SET state = 'dead', finished_at = now() WHERE id = $1")
            .bind(dead)
            .execute(bench.pool())
            .await?;
    }
    let runs = "UPDATE jobs SET state = 'running', attempt = attempt + 1, started_attempt = attempt + 1 WHERE id = $1";
    sqlx::query(runs).bind(batch).execute(bench.pool()).await?;
    assert!(matches!(revive(&bench, dead).await, Err(NotDead::BatchCompletes { .. })));
    Ok(())
}

#[tokio::test]
async fn a_completion_is_not_released_past_a_job_that_is_being_made_due_again() -> Result<()> {
    let bench = flow::bench().await?;
    let (batch, dead) = at_its_end(&bench).await?;
    let mut reviving = bench.pool().begin().await?;
    jobs::revive(&mut reviving, dead, OPERATOR).await?;
    // It sees the batch as it was, and must not act on that.
    let mut connection = bench.pool().acquire().await?;
    assert_eq!(jobs::release_batches(&mut connection).await?, 0);
    reviving.commit().await?;
    assert_eq!(jobs::release_batches(&mut connection).await?, 0);
    assert_eq!(state(&bench, batch).await?, "awaiting");

    // The other way round: released first, then held back.
    sqlx::query("UPDATE jobs SET state = 'dead', finished_at = now() WHERE id = $1")
        .bind(dead)
        .execute(bench.pool())
        .await?;
    let pool = bench.pool().clone();
    let mut releasing = bench.pool().begin().await?;
    assert_eq!(jobs::release_batches(&mut releasing).await?, 1);
    let reviving = tokio::spawn(async move {
        let mut transaction = pool.begin().await?;
        jobs::revive(&mut transaction, dead, OPERATOR).await?;
        Ok::<_, anyhow::Error>(transaction.commit().await?)
    });
    until_somebody_waits_for_a_lock(&bench).await?;
    releasing.commit().await?;
    reviving.await??;
    until_state(&bench, batch, "awaiting").await
}

#[tokio::test]
async fn a_completion_that_was_due_is_not_when_a_job_came_before_its_lock() -> Result<()> {
    let bench = flow::bench().await?;
    let (batch, dead) = at_its_end(&bench).await?;
    // Whoever holds this lets jobs be read and none be locked.
    let mut reviving = bench.database.connect_as_owner().await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE jobs IN EXCLUSIVE MODE").execute(&mut reviving).await?;
    let pool = bench.pool().clone();
    let releasing = tokio::spawn(async move { jobs::release_batches(&mut *pool.acquire().await?).await });
    until_somebody_waits_for_a_lock(&bench).await?;
    jobs::revive(&mut reviving, dead, OPERATOR).await?;
    sqlx::raw_sql("COMMIT").execute(&mut reviving).await?;
    assert_eq!(releasing.await??, 0);
    assert_eq!(state(&bench, batch).await?, "awaiting");
    Ok(())
}
