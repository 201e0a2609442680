//! The users that `billrunner redis-acl` makes: each does its work and nothing else.

use anyhow::Result;
use redis::{RedisResult, Value, aio::MultiplexedConnection};

use crate::support::{
    bench::{Bench, Does, request},
    redis_users::{PRODUCER, RedisWithUsers, WORKER},
    worker::{settings, settled, until, wait_for},
};

const TASK: &str = "test.task.run.v1";

/// Returns the code of the error that a command is refused with.
async fn refusal(connection: &mut MultiplexedConnection, line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().expect("a command"));
    for word in words {
        command.arg(word);
    }
    let answer: RedisResult<Value> = command.query_async(connection).await;
    answer.err().map(|error| error.code().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_producers_request_is_taken_in_by_a_worker_of_its_own_user() -> Result<()> {
    let redis = RedisWithUsers::start().await?;
    let bench = Bench::on(redis.streams_of(WORKER)?).await?;
    let worker = bench.start_worker(settings());
    let mut producer = redis.streams_of(PRODUCER)?.connect().await?;
    bench.streams.add_request(&mut producer, &request("1", TASK, r#"{"does":"work"}"#)).await?;
    bench.until_count("the request", "SELECT count(*) FROM suppressed_addresses", 1).await?;
    worker.stop().await
}

#[tokio::test]
async fn a_producer_adds_requests_and_does_nothing_else() -> Result<()> {
    let redis = RedisWithUsers::start().await?;
    let mut producer = redis.streams_of(PRODUCER)?.connect().await?;
    assert_eq!(refusal(&mut producer, "XADD billrunner:intake * ce {}").await, None);
    let commands = [
        "XADD billrunner:intake:rejected * ce {}",
        "XADD billrunner:{status} * job 1 attempt 1",
        "XADD elsewhere * ce {}",
        "XADD billrunner:intake2 * ce {}",
        "XRANGE billrunner:intake - +",
        "XREVRANGE billrunner:intake + -",
        "XREAD COUNT 1 STREAMS billrunner:intake 0",
        "XREADGROUP GROUP billrunner me STREAMS billrunner:intake >",
        "XLEN billrunner:intake",
        "XINFO STREAM billrunner:intake",
        "XPENDING billrunner:intake billrunner",
        "XDEL billrunner:intake 1-1",
        "XTRIM billrunner:intake MAXLEN 0",
        "XSETID billrunner:intake 1-1",
        "XACK billrunner:intake billrunner 1-1",
        "XCLAIM billrunner:intake billrunner me 0 1-1",
        "XAUTOCLAIM billrunner:intake billrunner me 0 0",
        "XGROUP DESTROY billrunner:intake billrunner",
        "DEL billrunner:intake",
        "UNLINK billrunner:intake",
        "EXPIRE billrunner:intake 1",
        "RENAME billrunner:intake elsewhere",
        "COPY billrunner:intake elsewhere",
        "DUMP billrunner:intake",
        "TYPE billrunner:intake",
        "EXISTS billrunner:intake",
        "SET elsewhere 1",
        "GET elsewhere",
        "KEYS *",
        "SCAN 0",
        "DBSIZE",
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG GET *",
        "ACL LIST",
        "CLIENT LIST",
        "INFO",
        "MONITOR",
        "PUBLISH channel text",
        "SUBSCRIBE channel",
        "EVAL return(1) 0",
        "FUNCTION LIST",
        "MULTI",
        "SHUTDOWN",
    ];
    for command in commands {
        assert_eq!(refusal(&mut producer, command).await.as_deref(), Some("NOPERM"), "{command}");
    }
    Ok(())
}

#[tokio::test]
async fn the_workers_user_suffices_for_the_whole_engine() -> Result<()> {
    let mut redis = RedisWithUsers::start().await?;
    let bench = Bench::on(redis.streams_of(WORKER)?).await?;
    let worker = bench.start_worker(settings());
    // Follow-ups, retries, retention, a refused request, and what another worker left when it vanished.
    let follow_up = bench.hand_in("1", Does::FollowUp, 0).await?;
    let retried = bench.hand_in("2", Does::FailTransiently, 2).await?;
    let forgetting = bench.hand_in("3", Does::ForgetRefused, 0).await?;
    for id in [follow_up, retried, forgetting] {
        assert_eq!(wait_for(bench.pool(), id).await?.0.state, "done");
    }
    bench.add_request("ce", b"{").await?;
    until("the rejection", || async { Ok(bench.streams.first_rejection().await?) }).await?;
    let key = bench.streams.lane_key("status");
    let abandoned = bench.leave_with_dead_worker(&key, follow_up, 1).await?;
    bench.rescued(&key, &abandoned).await?;
    // A Redis that forgot its groups, with jobs under way.
    redis::cmd("FLUSHALL").query_async::<()>(&mut redis.admin).await?;
    bench.hand_in_many(100, Does::Work).await?;
    settled(bench.pool()).await?;
    assert_eq!(bench.count("SELECT count(*) FROM jobs WHERE state = 'done'").await?, 104);
    worker.stop().await?;
    let refused = redis.refusals().await?;
    assert!(refused.is_empty(), "the workers' user needs more: {refused:?}");
    Ok(())
}

#[tokio::test]
async fn the_workers_user_sees_no_keys_but_billrunners() -> Result<()> {
    let redis = RedisWithUsers::start().await?;
    let mut worker = redis.streams_of(WORKER)?.connect().await?;
    let commands = [
        "XADD elsewhere * a b",
        "XLEN elsewhere",
        "KEYS *",
        "FLUSHALL",
        "CONFIG GET *",
        "ACL LIST",
        "DEL billrunner:intake",
    ];
    for command in commands {
        assert_eq!(refusal(&mut worker, command).await.as_deref(), Some("NOPERM"), "{command}");
    }
    Ok(())
}
