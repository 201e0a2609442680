//! `billrunner workers`: which worker processes live, where, of which version, and what each runs.

use clap::Args;
use serde::Serialize;
use sqlx::PgConnection;

use super::{Output, output::table, setup, watch::Watch};
use crate::{
    config::Config,
    domain::{age::describe_age, worker_name::WorkerName},
    store::workers::{self, GONE_AFTER_SECS, RunningJob, WorkerRow},
};

/// Jobs named in a worker's row; the rest is counted.
const NAMED_JOBS: usize = 5;

/// Arguments of `workers`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    watch: Watch,
}

/// Returns what this process calls itself.
pub fn own_name() -> String {
    let system = rustix::system::uname();
    let (host, process) = (system.nodename().to_string_lossy(), std::process::id().to_string());
    WorkerName { host: &host, process: &process, version: env!("CARGO_PKG_VERSION") }.to_string()
}

/// A worker as it is printed.
#[derive(Serialize)]
pub struct Worker {
    id: String,
    host: String,
    process: String,
    version: String,
    started_at: chrono::DateTime<chrono::Utc>,
    seen_seconds_ago: f64,
    pub is_alive: bool,
    pub runs: Vec<RunningJob>,
}

pub async fn run(arguments: &Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let look = async || {
        let workers = list(&mut *pool.acquire().await?).await?;
        output.value(&workers, |workers| describe(workers))
    };
    arguments.watch.show(output, look).await
}

/// Returns the workers of the last day, with what each runs.
pub async fn list(connection: &mut PgConnection) -> sqlx::Result<Vec<Worker>> {
    let rows = workers::list(&mut *connection).await?;
    let running = workers::running_jobs(connection).await?;
    Ok(rows.into_iter().map(|row| Worker::new(&row, &running)).collect())
}

impl Worker {
    fn new(row: &WorkerRow, running: &[RunningJob]) -> Self {
        let WorkerName { host, process, version } = WorkerName::read(&row.name);
        Self {
            id: row.id.to_string(),
            host: host.to_owned(),
            process: process.to_owned(),
            version: version.to_owned(),
            started_at: row.started_at,
            seen_seconds_ago: row.seen_seconds_ago,
            is_alive: row.seen_seconds_ago < GONE_AFTER_SECS,
            runs: running.iter().filter(|job| job.worker_id == row.id).cloned().collect(),
        }
    }
}

fn describe(workers: &[Worker]) -> String {
    if workers.is_empty() {
        return "no worker; start `billrunner worker`".to_owned();
    }
    table(workers, &["host", "process", "version", "started", "heartbeat", "runs"], |worker| {
        let seen = describe_age(worker.seen_seconds_ago);
        vec![
            worker.host.clone(),
            worker.process.clone(),
            worker.version.clone(),
            worker.started_at.format("%F %T").to_string(),
            if worker.is_alive { format!("{seen} ago") } else { format!("gone for {seen}") },
            describe_runs(&worker.runs),
        ]
    })
}

fn describe_runs(runs: &[RunningJob]) -> String {
    let named = runs.iter().take(NAMED_JOBS);
    let mut lines: Vec<String> =
        named.map(|job| format!("{} for {} ({})", job.kind, describe_age(job.running_seconds), job.job_id)).collect();
    if runs.len() > NAMED_JOBS {
        lines.push(format!("and {} more", runs.len() - NAMED_JOBS));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_calls_itself_by_host_process_and_version() {
        assert_eq!(WorkerName::read(&own_name()).version, env!("CARGO_PKG_VERSION"));
    }
}
