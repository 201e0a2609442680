//! What Redis lets its users do: producers add requests, workers run the queue, neither does anything else.
//!
//! Redis 7 or later. A producer's `XADD` may carry its own id, `MAXLEN` or `MINID`, and no rule of Redis forbids that, nor
//! can a function stand in for the command, as it runs with the caller's rights. So producers can make unread requests
//! vanish and the stream unusable; who is not trusted with that is given another door.

/// Every command that `streams` sends in a worker, and what the doctor asks.
const WORKER_COMMANDS: &str = "+ping +multi +exec +xadd +xack +xclaim +xdel +xlen +xpending +xrange +xreadgroup \
                               +xgroup|create +xgroup|delconsumer +xinfo|consumers +xtrim +cluster|nodes +info +time";

/// Returns the rules of a user who adds requests at the Redis door and cannot read, delete or touch another key.
pub fn producer_rules(prefix: &str) -> String {
    rules(&format!("%W~{}:intake", literal(prefix)), "+xadd")
}

/// Returns the rules of the workers' own user.
pub fn worker_rules(prefix: &str) -> String {
    rules(&format!("~{}:*", literal(prefix)), WORKER_COMMANDS)
}

/// Takes back what the user had, passwords excepted, so that the same rules may be set again at each release.
fn rules(keys: &str, commands: &str) -> String {
    format!("on resetkeys {keys} resetchannels clearselectors -@all {commands}")
}

/// Keeps the pattern's own characters from meaning more than themselves.
fn literal(prefix: &str) -> String {
    prefix
        .chars()
        .flat_map(|c| ['*', '?', '[', ']', '\\'].contains(&c).then_some('\\').into_iter().chain([c]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_means_itself_alone() {
        assert_eq!(
            producer_rules("a*[b]"),
            r"on resetkeys %W~a\*\[b\]:intake resetchannels clearselectors -@all +xadd"
        );
    }
}
