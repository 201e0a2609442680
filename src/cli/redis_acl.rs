//! `billrunner redis-acl`: prints what makes the two Redis users, one for producers and one for the workers.
//!
//! No password is printed: set one for each user beside it. Printed again at a later release, the lines change rules only.

use clap::Args;
use serde::Serialize;

use super::{Failure, Output};
use crate::{
    config::Config,
    queue::redis_acl::{producer_rules, worker_rules},
};

/// Arguments of `redis-acl`.
#[derive(Args)]
pub struct Arguments {
    /// Name of the user who adds requests.
    #[arg(long, default_value = "billrunner-producer")]
    producer: String,
    /// Name of the workers' user.
    #[arg(long, default_value = "billrunner-worker")]
    worker: String,
}

#[derive(Serialize)]
struct Commands {
    producer: String,
    worker: String,
}

pub fn run(arguments: &Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let prefix = config.redis_prefix.as_str();
    for (name, value) in
        [("BILLRUNNER_REDIS_PREFIX", prefix), ("--producer", &arguments.producer), ("--worker", &arguments.worker)]
    {
        if value.is_empty() || value.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'".contains(c)) {
            let problem = format!(
                "{name} is `{value}`, which no line of `ACL SETUSER` can hold; write it without blanks and quotes"
            );
            return Err(Failure::Usage(problem).into());
        }
    }
    let commands = Commands {
        producer: format!("ACL SETUSER {} {}", arguments.producer, producer_rules(prefix)),
        worker: format!("ACL SETUSER {} {}", arguments.worker, worker_rules(prefix)),
    };
    output.value(&commands, |commands| format!("{}\n{}", commands.producer, commands.worker))
}
