//! A real cluster of three masters: jobs of every lane and from the Redis door, and a master that is killed in the middle.

use anyhow::Result;

use crate::support::{
    bench::{Bench, Does, request},
    nodes::Cluster,
    worker::{Running, settings, settled, until, wait_for},
};

const TASKS: usize = 300;
/// Per provider; each leaves a follow-up job.
const HOLDS: usize = 30;
const REQUESTS: usize = 40;
/// All of them, each with one effect.
const ALL: i64 = 460;
const DONE: &str = "SELECT count(*) FROM jobs WHERE state = 'done'";
const REQUESTED: &str = "SELECT count(*) FROM jobs WHERE source = 'shop'";

/// Hands everything in and returns once some of it is done and most is not. What lies at the door is not recorded yet, and
/// lost with the master that keeps it: so it is taken in before anything is taken away.
async fn work_in_the_middle(cluster: &Cluster) -> Result<(Bench, [Running; 2])> {
    let bench = Bench::on(cluster.streams()?).await?;
    for n in 0..REQUESTS {
        let request = request(&n.to_string(), "test.task.run.v1", r#"{"does":"work"}"#);
        bench.add_request("ce", request.as_bytes()).await?;
    }
    bench.add_request("ce", b"no envelope").await?;
    for n in 0..HOLDS {
        for provider in ["aws", "google"] {
            bench.hand_in_hold(&format!("{provider} {n}"), provider).await?;
        }
    }
    let workers = [bench.start_worker(settings()), bench.start_worker(settings())];
    bench.until_count("the requests", REQUESTED, i64::try_from(REQUESTS)?).await?;
    bench.hand_in_many(TASKS, Does::Work).await?;
    bench.release(2 * HOLDS);
    bench.until_count("the middle", DONE, 60).await?;
    assert!(bench.count(DONE).await? < ALL, "the middle was missed");
    Ok((bench, workers))
}

async fn check(bench: &Bench, workers: [Running; 2]) -> Result<()> {
    settled(bench.pool()).await?;
    assert_eq!((bench.count(DONE).await?, bench.effects().await?), (ALL, ALL));
    for worker in workers {
        worker.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_clusters_master_killed_in_the_middle_and_back_empty_loses_and_repeats_nothing() -> Result<()> {
    let mut cluster = Cluster::start().await?;
    let (bench, workers) = work_in_the_middle(&cluster).await?;
    let keys = ["status", "billing.aws"].map(|lane| bench.streams.lane_key(lane));
    let killed = cluster.master_of(&keys[0]).await?;
    assert_ne!(killed, cluster.master_of(&keys[1]).await?, "the lanes lie on several masters");
    assert_ne!(
        cluster.master_of(&bench.streams.intake_key()).await?,
        cluster.master_of(&bench.streams.rejected_key()).await?,
        "so do the intake and what it refuses"
    );
    until("the refused request", || async {
        Ok((!bench.entries(&bench.streams.rejected_key()).await?.is_empty()).then_some(()))
    })
    .await?;
    cluster.nodes[killed].kill()?;
    cluster.nodes[killed].restart().await?;
    check(&bench, workers).await?;
    bench.streams.ping().await?;
    let worker = bench.start_worker(settings());
    let forgetting = bench.hand_in("forget", Does::ForgetRefused, 0).await?;
    assert_eq!(
        wait_for(bench.pool(), forgetting).await?.0.state,
        "done",
        "retention finds the master of what was refused"
    );
    worker.stop().await?;
    bench.streams.delete_all().await?;
    for node in &cluster.nodes {
        assert_eq!(node.ask::<usize>("DBSIZE").await?, 0, "no key is left on any master");
    }
    Ok(())
}

#[tokio::test]
async fn a_clusters_master_that_its_replica_replaces_in_the_middle_loses_and_repeats_nothing() -> Result<()> {
    let mut cluster = Cluster::start().await?;
    let key = cluster.streams()?.lane_key("status");
    let killed = cluster.master_of(&key).await?;
    cluster.add_replica_of(killed).await?;
    let (bench, workers) = work_in_the_middle(&cluster).await?;
    cluster.nodes[killed].kill()?;
    check(&bench, workers).await
}
