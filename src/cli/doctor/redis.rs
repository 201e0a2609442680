//! Redis: version, memory and eviction, persistence, what the user may do, consumer groups, clock.
//!
//! Redis keeps nothing that Postgres does not have, but requests at its own door; so what is wrong here mostly costs time.

use super::{Finding, clock, describe, fail, ok, warn};
use crate::{
    cli::setup,
    clock::Clock,
    config::Config,
    jobs::registry,
    queue::{LaneStreams, RedisFacts, RedisRights, Streams},
};

/// The tests run on 7.0; earlier ones know no rules for subcommands.
const OLDEST_MAJOR_VERSION: u32 = 7;
/// From this share of `maxmemory` on somebody should look.
const FULL_PERCENT: u64 = 80;
const RENEW_RULES: &str =
    "run the lines that `billrunner redis-acl` of this release prints, and let REDIS_URL name the worker's user";

pub async fn look(config: &Config) -> Vec<Finding> {
    let streams = match setup::streams(config) {
        Ok(streams) => streams,
        Err(error) => {
            return vec![fail(describe(&error), "`billrunner config example` prints every setting with its meaning")];
        }
    };
    look_at(&streams).await.unwrap_or_else(|error| {
        vec![fail(
            format!("Redis cannot be used: {error}"),
            "check REDIS_URL, that the server runs, and SSL_CERT_FILE where its certificate comes from an authority of your own",
        )]
    })
}

async fn look_at(streams: &Streams) -> anyhow::Result<Vec<Finding>> {
    let before = Clock::System.now();
    let facts = streams.facts().await?;
    let after = Clock::System.now();
    let mut findings = Vec::new();
    for master in &facts {
        findings.extend(judge(master));
        findings.extend(master.now.map(|now| clock("Redis", now, (before, after))));
    }
    let rights = streams.rights().await?;
    let may_work = rights.missing.is_empty();
    findings.extend(judge_rights(&rights));
    if may_work {
        let registry = registry();
        let lanes: Vec<&str> = registry.lane_names().collect();
        findings.push(judge_lanes(&streams.lane_streams(&lanes).await?, lanes.len()));
    }
    Ok(findings)
}

fn judge(facts: &RedisFacts) -> Vec<Finding> {
    let Some(info) = &facts.info else {
        return vec![warn("this user of Redis may not ask how the server is", RENEW_RULES)];
    };
    let text = |name: &str| info.get(name).map(String::as_str).unwrap_or_default();
    let mut findings = vec![version(text("redis_version"))];
    findings.push(match text("maxmemory_policy") {
        "noeviction" => ok("nothing is evicted (maxmemory-policy noeviction)"),
        policy => fail(
            format!(
                "maxmemory-policy is {policy}: requests at the Redis door may vanish, and work is sent again and again"
            ),
            "set maxmemory-policy noeviction, and share this server with no cache",
        ),
    });
    findings.push(memory(text("used_memory"), text("maxmemory"), text("used_memory_human")));
    findings.extend(persistence(&text));
    findings
}

fn version(version: &str) -> Finding {
    let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
    if major.is_some_and(|major| major >= OLDEST_MAJOR_VERSION) {
        return ok(format!("Redis {version}"));
    }
    fail(format!("Redis {version} is too old"), "upgrade the server to Redis 7 or later")
}

fn memory(used: &str, most: &str, for_people: &str) -> Finding {
    let used: u64 = used.parse().unwrap_or_default();
    let most: u64 = most.parse().unwrap_or_default();
    if most == 0 {
        return ok(format!("{for_people} of memory in use, without a limit"));
    }
    let percent = used.saturating_mul(100) / most;
    let what = format!("{for_people} of memory in use, {percent} % of maxmemory");
    if percent < FULL_PERCENT {
        return ok(what);
    }
    warn(
        format!("{what}; a full server takes no work"),
        "raise maxmemory, and see what fills it: `redis-cli --memkeys`",
    )
}

fn persistence<'a>(text: &impl Fn(&str) -> &'a str) -> Vec<Finding> {
    if text("loading") == "1" {
        return vec![warn("Redis is loading its data, and takes no work until then", "wait, and run this again")];
    }
    let failing: Vec<&str> =
        [("rdb_last_bgsave_status", "snapshots"), ("aof_last_write_status", "the append-only file")]
            .into_iter()
            .filter(|(name, _)| text(name) == "err")
            .map(|(_, what)| what)
            .collect();
    if failing.is_empty() {
        let kept = if text("aof_enabled") == "1" { "on" } else { "off; only requests at the Redis door need it" };
        return vec![ok(format!("the append-only file is {kept}"))];
    }
    vec![fail(
        format!("Redis fails to write {}, and may refuse all work for it", failing.join(" and ")),
        "see its log, and the space and rights of its folder",
    )]
}

fn judge_rights(rights: &RedisRights) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !rights.missing.is_empty() {
        findings.push(fail(format!("this user of Redis is refused {}", rights.missing.join(", ")), RENEW_RULES));
    }
    if !rights.surplus.is_empty() {
        let what = format!("this user of Redis may {}, which no worker needs", rights.surplus.join(" and "));
        findings.push(warn(what, RENEW_RULES));
    }
    if findings.is_empty() {
        findings.push(ok("this user of Redis may do a worker's work, and no more"));
    }
    findings
}

fn judge_lanes(found: &LaneStreams, lanes: usize) -> Finding {
    let LaneStreams { unread, held, without_group } = found;
    if without_group.is_empty() {
        return ok(format!("{lanes} lanes have their consumer group; {unread} messages unread, {held} with workers"));
    }
    warn(
        format!("{} of {lanes} lanes have no consumer group: {}", without_group.len(), without_group.join(", ")),
        "start a worker, which makes them; where one runs it makes them anew within seconds",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::Verdict, *};

    fn verdicts(lines: &[(&str, &str)]) -> Vec<Verdict> {
        let well = [("redis_version", "7.0.15"), ("maxmemory_policy", "noeviction"), ("maxmemory", "0")];
        let lines = well.iter().chain(lines).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let facts = RedisFacts { info: Some(lines.collect::<BTreeMap<_, _>>()), now: None };
        judge(&facts).iter().map(|finding| finding.verdict).filter(|verdict| *verdict != Verdict::Ok).collect()
    }

    #[test]
    fn what_redis_says_of_itself_is_judged_line_by_line() {
        assert_eq!(verdicts(&[]), []);
        assert_eq!(verdicts(&[("redis_version", "6.2.1")]), [Verdict::Fail]);
        assert_eq!(verdicts(&[("redis_version", "")]), [Verdict::Fail]);
        assert_eq!(verdicts(&[("maxmemory_policy", "volatile-ttl")]), [Verdict::Fail]);
        assert_eq!(verdicts(&[("maxmemory", "100"), ("used_memory", "79")]), []);
        assert_eq!(verdicts(&[("maxmemory", "100"), ("used_memory", "80")]), [Verdict::Warn]);
        assert_eq!(verdicts(&[("rdb_last_bgsave_status", "err")]), [Verdict::Fail]);
        assert_eq!(verdicts(&[("aof_enabled", "1"), ("aof_last_write_status", "err")]), [Verdict::Fail]);
        assert_eq!(verdicts(&[("loading", "1")]), [Verdict::Warn]);
    }

    #[test]
    fn a_user_who_may_not_ask_is_told_how_to_get_the_rules() {
        let findings = judge(&RedisFacts { info: None, now: None });
        assert_eq!(findings[0].verdict, Verdict::Warn);
    }
}
