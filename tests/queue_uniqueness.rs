//! One open job for each kind and dedupe key, one job for each request.

use anyhow::Result;
use billrunner::{
    domain::ids::JobId,
    queue::{JobOptions, RequestId},
    store::jobs::{self, Accepted, NotDead},
};
use futures::future::join_all;

use crate::support::{
    bench::{Bench, Does, Hold, task},
    flow::OPERATOR,
    worker::{settings, wait_for},
};

fn key(key: &str) -> JobOptions {
    JobOptions { dedupe_key: Some(key.to_owned()), ..JobOptions::default() }
}

async fn accept(bench: &Bench, id: &str, dedupe_key: &str) -> Result<Accepted> {
    Ok(bench.accept_with(id, &task(Does::Work, 0), key(dedupe_key)).await?)
}

async fn revive(bench: &Bench, id: JobId) -> Result<(), NotDead> {
    let mut connection = bench.pool().acquire().await?;
    jobs::revive(&mut connection, id, OPERATOR).await
}

#[tokio::test]
async fn a_second_job_is_folded_into_the_open_one_with_its_key() -> Result<()> {
    let bench = Bench::new().await?;
    let first = accept(&bench, "1", "august").await?;
    assert!(matches!(first, Accepted::New(_)));
    assert_eq!(accept(&bench, "2", "august").await?, Accepted::Folded(first.id()));
    assert!(matches!(accept(&bench, "3", "september").await?, Accepted::New(_)), "another key");
    let other_kind = bench.accept_with("4", &Hold { lane: "aws".into(), is_idle: false }, key("august")).await?;
    assert!(matches!(other_kind, Accepted::New(_)), "another kind");
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_running_job_holds_its_key_and_one_that_ended_does_not() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    let hold = || Hold { lane: "aws".into(), is_idle: false };
    let first = bench.accept_with("1", &hold(), key("august")).await?;
    bench.started().await?;
    assert_eq!(bench.accept_with("2", &hold(), key("august")).await?, Accepted::Folded(first.id()));
    bench.release(1);
    assert_eq!(wait_for(bench.pool(), first.id()).await?.0.state, "done");
    let next = bench.accept_with("3", &hold(), key("august")).await?;
    assert!(matches!(next, Accepted::New(_)));
    bench.release(1);
    wait_for(bench.pool(), next.id()).await?;
    worker.stop().await
}

#[tokio::test]
async fn fifty_that_come_at_once_are_one_job() -> Result<()> {
    let bench = Bench::new().await?;
    let ids: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let accepted = join_all(ids.iter().map(|id| accept(&bench, id, "august"))).await;
    let accepted = accepted.into_iter().collect::<Result<Vec<_>>>()?;
    let new = accepted.iter().filter(|accepted| matches!(accepted, Accepted::New(_))).count();
    assert_eq!((new, bench.count("SELECT count(*) FROM jobs").await?), (1, 1));
    assert!(accepted.iter().all(|each| each.id() == accepted[0].id()));
    Ok(())
}

#[tokio::test]
async fn many_of_one_key_in_one_request_are_one_job() -> Result<()> {
    let bench = Bench::new().await?;
    let new = |n: usize| {
        let request = RequestId::new("test", n);
        bench.registry.prepare(&task(Does::Work, 0), request, "tester", key(if n < 5 { "august" } else { "september" }))
    };
    let new: Vec<_> = (0..10).map(new).collect::<Result<_, _>>()?;
    let accepted = jobs::accept_all(&mut *bench.pool().acquire().await?, &new).await?;
    let accepted: Vec<Accepted> = accepted.into_iter().collect::<Result<_, _>>()?;
    assert!(accepted[1..5].iter().all(|each| *each == Accepted::Folded(accepted[0].id())), "{accepted:?}");
    assert!(accepted[6..].iter().all(|each| *each == Accepted::Folded(accepted[5].id())), "{accepted:?}");
    assert_eq!(bench.count("SELECT count(*) FROM jobs").await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_request_is_known_by_its_id_before_its_dedupe_key_is_looked_at() -> Result<()> {
    let bench = Bench::new().await?;
    let first = accept(&bench, "1", "august").await?;
    assert_eq!(accept(&bench, "1", "august").await?, Accepted::Repeated(first.id()));
    // What was folded left no trace of its own: its id is free for another job.
    assert_eq!(accept(&bench, "2", "august").await?, Accepted::Folded(first.id()));
    let worker = bench.start_worker(settings());
    wait_for(bench.pool(), first.id()).await?;
    assert_eq!(accept(&bench, "1", "august").await?, Accepted::Repeated(first.id()), "done, and known for ever");
    assert!(matches!(accept(&bench, "2", "august").await?, Accepted::New(_)));
    worker.stop().await
}

#[tokio::test]
async fn a_dead_job_is_not_made_due_again_while_another_holds_its_key() -> Result<()> {
    let bench = Bench::new().await?;
    let worker = bench.start_worker(settings());
    let dead = bench.accept_with("1", &task(Does::FailPermanently, 0), key("august")).await?.id();
    assert_eq!(wait_for(bench.pool(), dead).await?.0.state, "dead");
    worker.stop().await?;
    let holder = accept(&bench, "2", "august").await?.id();
    let refused = revive(&bench, dead).await.expect_err("the key is held").to_string();
    assert!(refused.contains("`august`") && refused.contains(&holder.to_string()), "{refused}");
    jobs::cancel(&mut *bench.pool().acquire().await?, holder, OPERATOR).await?;
    revive(&bench, dead).await?;
    assert!(matches!(revive(&bench, dead).await, Err(NotDead::OtherState { .. })), "it is due");
    assert!(matches!(revive(&bench, holder).await, Err(NotDead::KeyHeld { .. })), "now the other way round");
    assert!(matches!(revive(&bench, JobId::new()).await, Err(NotDead::Missing(_))));
    Ok(())
}
