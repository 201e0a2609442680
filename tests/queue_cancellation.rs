//! Cancelling: what waits never runs, what runs ends where nothing is half done, what does not look is not broken.

use anyhow::Result;
use billrunner::{
    domain::ids::JobId,
    store::jobs::{self, CancelledAs},
};

use crate::support::{
    bench::{Bench, Does},
    flow::{self, Act, OPERATOR, act, state, until_somebody_waits_for_a_lock},
    worker::{settings, settled, until, wait_for},
};

async fn cancel(bench: &Bench, id: JobId) -> Result<Option<CancelledAs>> {
    let mut transaction = bench.pool().begin().await?;
    let cancelled = jobs::cancel(&mut transaction, id, OPERATOR).await?;
    jobs::notify_dispatchers(&mut transaction).await?;
    transaction.commit().await?;
    Ok(cancelled)
}

async fn recorded(bench: &Bench, id: JobId) -> Result<Vec<(String, String, String)>> {
    let actions = sqlx::query_as("SELECT action, done_by, reason FROM operator_actions WHERE job_id = $1 ORDER BY id");
    Ok(actions.bind(id).fetch_all(bench.pool()).await?)
}

/// Returns how each attempt of a job ended.
async fn ended(bench: &Bench, id: JobId) -> Result<(String, Vec<String>)> {
    let (job, attempts) = wait_for(bench.pool(), id).await?;
    Ok((job.state, attempts.into_iter().filter_map(|attempt| attempt.outcome).collect()))
}

fn outcome(state: &str, outcomes: &[&str]) -> (String, Vec<String>) {
    (state.to_owned(), outcomes.iter().map(|outcome| (*outcome).to_owned()).collect())
}

#[tokio::test]
async fn a_waiting_job_that_is_cancelled_never_runs_and_says_by_whom_and_why() -> Result<()> {
    let bench = Bench::new().await?;
    let id = bench.hand_in("1", Does::Work, 0).await?;
    assert_eq!(cancel(&bench, id).await?, Some(CancelledAs::Discarded));
    assert_eq!(cancel(&bench, id).await?, None, "it is cancelled already");
    let worker = bench.start_worker(settings());
    let other = bench.hand_in("2", Does::Work, 0).await?;
    wait_for(bench.pool(), other).await?;
    let (job, attempts) = wait_for(bench.pool(), id).await?;
    assert_eq!((job.state.as_str(), attempts.len()), ("discarded", 0));
    assert_eq!(job.last_error.as_deref(), Some("cancelled by ana: as a test"));
    assert_eq!(recorded(&bench, id).await?, [("cancel".to_owned(), "ana".to_owned(), "as a test".to_owned())]);
    assert_eq!(bench.ran(), [other]);
    worker.stop().await
}

#[tokio::test]
async fn a_job_that_was_sent_and_not_started_never_runs_once_cancelled() -> Result<()> {
    let bench = Bench::new().await?;
    for n in 0..12 {
        bench.hand_in_hold(&n.to_string(), "aws").await?;
    }
    let worker = bench.start_worker(settings());
    bench.started().await?;
    let sent = "SELECT id FROM jobs WHERE state = 'dispatched' ORDER BY id DESC LIMIT 1";
    let sent: JobId =
        until("a job in the stream", || async { Ok(sqlx::query_scalar(sent).fetch_optional(bench.pool()).await?) })
            .await?;
    assert_eq!(cancel(&bench, sent).await?, Some(CancelledAs::Discarded));
    bench.release(12);
    settled(bench.pool()).await?;
    assert_eq!(ended(&bench, sent).await?, outcome("discarded", &[]));
    assert_eq!(bench.count("SELECT count(*) FROM jobs WHERE kind = 'hold' AND state = 'done'").await?, 11);
    let key = bench.streams.lane_key("billing.aws");
    until("an empty stream", || async { Ok(bench.entries(&key).await?.is_empty().then_some(())) }).await?;
    worker.stop().await
}

#[tokio::test]
async fn a_running_job_that_is_cancelled_ends_where_it_next_reports() -> Result<()> {
    let bench = flow::bench().await?;
    let worker = bench.start_worker(settings());
    let id = act(&bench, "1", Act::Step).await?;
    bench.started().await?;
    bench.release(1);
    bench.started().await?;
    let (done, total): (i64, i64) = sqlx::query_as("SELECT progress_done, progress_total FROM jobs WHERE id = $1")
        .bind(id)
        .fetch_one(bench.pool())
        .await?;
    assert_eq!((done, total), (1, 100));
    assert_eq!(cancel(&bench, id).await?, Some(CancelledAs::Requested));
    assert_eq!(cancel(&bench, id).await?, None, "it was asked for already");
    assert_eq!(state(&bench, id).await?, "running", "until it looks");
    // The notice may come after the next report or two.
    bench.release(1_000_000);
    assert_eq!(ended(&bench, id).await?, outcome("discarded", &["cancelled"]));
    worker.stop().await
}

#[tokio::test]
async fn long_work_is_dropped_where_it_stands_and_says_how_far_it_had_come() -> Result<()> {
    let bench = flow::bench().await?;
    let worker = bench.start_worker(settings());
    let id = act(&bench, "1", Act::Endless).await?;
    bench.until_count("progress", "SELECT count(*) FROM jobs WHERE progress_done = 7", 1).await?;
    cancel(&bench, id).await?;
    assert_eq!(ended(&bench, id).await?, outcome("discarded", &["cancelled"]));
    let note: String =
        sqlx::query_scalar("SELECT progress_note FROM jobs WHERE id = $1").bind(id).fetch_one(bench.pool()).await?;
    assert_eq!(note, "on and on");
    worker.stop().await
}

/// Asks for a job's end as `cancel` does, without a notice to its worker.
async fn cancel_unheard(bench: &Bench, id: JobId) -> Result<()> {
    let asked =
        "UPDATE jobs SET cancel_requested_at = now(), cancel_requested_by = 'ana', cancel_reason = '' WHERE id = $1";
    sqlx::query(asked).bind(id).execute(bench.pool()).await?;
    Ok(())
}

#[tokio::test]
async fn a_cancellation_whose_notice_was_lost_is_heard_of_at_the_next_heartbeat() -> Result<()> {
    let bench = flow::bench().await?;
    let worker = bench.start_worker(settings());
    let id = act(&bench, "1", Act::Begin).await?;
    bench.started().await?;
    cancel_unheard(&bench, id).await?;
    until("its end", || async {
        bench.release(1);
        Ok((state(&bench, id).await? == "discarded").then_some(()))
    })
    .await?;
    assert_eq!(ended(&bench, id).await?, outcome("discarded", &["cancelled"]));
    worker.stop().await
}

#[tokio::test]
async fn a_cancellation_whose_notice_was_lost_is_heard_of_by_the_next_report() -> Result<()> {
    let bench = flow::bench().await?;
    let worker = bench.start_worker(settings());
    let id = act(&bench, "1", Act::Step).await?;
    bench.started().await?;
    cancel_unheard(&bench, id).await?;
    bench.release(1);
    // The very first report is recorded, and answers.
    assert_eq!(ended(&bench, id).await?, outcome("discarded", &["cancelled"]));
    assert_eq!(bench.count("SELECT count(*) FROM jobs WHERE progress_done = 1").await?, 1);
    worker.stop().await
}

#[tokio::test]
async fn a_job_that_does_not_look_finishes_as_it_would_have() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    let id = bench.hand_in_hold("1", "aws").await?;
    bench.started().await?;
    assert_eq!(cancel(&bench, id).await?, Some(CancelledAs::Requested));
    bench.release(1);
    assert_eq!(ended(&bench, id).await?, outcome("done", &["done"]));
    assert_eq!(cancel(&bench, id).await?, None, "it has ended");
    worker.stop().await
}

#[tokio::test]
async fn a_cancelled_job_that_fails_is_not_tried_again() -> Result<()> {
    let bench = flow::bench().await?;
    let worker = bench.start_worker(settings());
    let id = act(&bench, "1", Act::FailLater).await?;
    bench.started().await?;
    cancel(&bench, id).await?;
    bench.release(1);
    assert_eq!(ended(&bench, id).await?, outcome("discarded", &["failed"]));
    assert_eq!(bench.ran(), [id]);
    worker.stop().await
}

#[tokio::test]
async fn a_cancelled_job_whose_worker_dies_is_not_tried_again() -> Result<()> {
    let bench = flow::bench().await?;
    let doomed = bench.start_worker(settings());
    let id = act(&bench, "1", Act::FailLater).await?;
    bench.started().await?;
    cancel(&bench, id).await?;
    doomed.vanish().await;
    let other = bench.start_worker(settings());
    assert_eq!(ended(&bench, id).await?, outcome("discarded", &["worker_died"]));
    assert_eq!(bench.ran(), [id]);
    other.stop().await
}

#[tokio::test]
async fn a_job_that_ends_while_its_cancellation_is_being_recorded_has_ended() -> Result<()> {
    let bench = flow::bench().await?;
    let worker = bench.start_worker(settings());
    let id = act(&bench, "1", Act::NothingLater).await?;
    bench.started().await?;
    let mut cancelling = bench.pool().begin().await?;
    assert_eq!(jobs::cancel(&mut cancelling, id, OPERATOR).await?, Some(CancelledAs::Requested));
    bench.release(1);
    until_somebody_waits_for_a_lock(&bench).await?;
    cancelling.commit().await?;
    assert_eq!(ended(&bench, id).await?, outcome("done", &["done"]));
    worker.stop().await
}
