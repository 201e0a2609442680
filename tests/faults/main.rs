//! Proof under fire: jobs are handed in while everything they need breaks, and then all of it is checked.
//!
//! Starts a Postgres, a Redis with its replica, a mail server and three workers of its own; breaks them by a plan that
//! the seed draws; mends them, waits until nothing is left to do, and asks whether every promise held. What was lost and
//! what happened twice is the report. `--mutation` breaks a promise on purpose: the checker must notice.
//!
//! What is reproducible is what is handed in and which faults are planned, with their times; what happens to be under
//! way when one comes is not.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the tests: it ends where what it expects does not hold, and prints its report"
)]

mod books;
mod checker;
mod disk;
mod doors;
mod mutations;
mod nemesis;
mod observed;
#[path = "../support/postgres_programs.rs"]
mod postgres_programs;
mod producer;
mod proxy;
mod report;
mod rest;
mod schedule;
mod servers;
mod site;
mod workers;

use std::{
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

use crate::{
    mutations::{Planted, in_turn},
    nemesis::{Deeds, break_network, break_processes},
    observed::Observed,
    report::Report,
    schedule::{Hand, Planned, Schedule},
    site::Site,
};

/// How long what waits may take once all is mended: backoffs of minutes are no fault.
const DRAINS_WITHIN: Duration = Duration::from_mins(5);
/// With a promise broken, jobs may be left for ever.
const BROKEN_DRAINS_WITHIN: Duration = Duration::from_mins(1);
const BROKEN_MINUTES: f64 = 0.5;
/// How long the last requests may take to be answered for.
const ANSWERED_WITHIN: Duration = Duration::from_mins(2);
/// Says that this process has its own mounts and processes already.
const APART: &str = "FAULTS_APART";

#[derive(Parser)]
#[command(name = "billrunner-faults", about = "Breaks everything billrunner needs, and checks that it noticed nothing")]
struct Arguments {
    /// Decides what is handed in and what goes wrong.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long things go wrong.
    #[arg(long, default_value_t = 1.5)]
    minutes: f64,
    /// Divides the pauses between faults: more of them in the same time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    haste: u32,
    /// Writes the report here, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Breaks this promise on purpose, or each in turn: all. The run succeeds when the checker notices.
    #[arg(long)]
    mutation: Option<String>,
}

fn main() -> ExitCode {
    live_apart();
    let ran = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("a runtime");
    match ran.and_then(|runtime| runtime.block_on(run_until_interrupted(&Arguments::parse()))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the run could not be finished: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts this program anew with mounts and processes of its own, where the system lets it: however it ends, nothing of
/// it stays.
fn live_apart() {
    let apart = ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let may = Command::new("unshare").args(apart).arg("true").output().is_ok_and(|tried| tried.status.success());
    if let (true, None, Ok(program)) = (may, std::env::var_os(APART), std::env::current_exe()) {
        let failed =
            Command::new("unshare").args(apart).arg(program).args(std::env::args_os().skip(1)).env(APART, "1").exec();
        eprintln!("this program cannot be started apart: {failed}");
    }
}

/// Ends in good order when somebody interrupts it. The first process of its own kind gets no signal that it does not ask for.
async fn run_until_interrupted(arguments: &Arguments) -> Result<bool> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        ran = run(arguments) => ran,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
}

async fn run(arguments: &Arguments) -> Result<bool> {
    match arguments.mutation.as_deref() {
        None => {
            let Arguments { seed, minutes, haste, .. } = *arguments;
            let plans = [Hand::Processes, Hand::Network].map(|hand| Schedule::new(seed, hand, haste));
            let report = Run { seed, minutes, haste, planted: None }.carry_out(plans).await?;
            println!("{}", report.to_markdown());
            write(arguments, &report)?;
            Ok(report.violations == 0)
        }
        Some("all") => {
            let mut are_noticed = true;
            for planted in &mutations::ALL {
                are_noticed &= break_promise(arguments, planted).await?;
            }
            Ok(are_noticed)
        }
        Some(name) => {
            let Some(planted) = mutations::find(name) else {
                let known: Vec<&str> = mutations::ALL.iter().map(|planted| planted.name).collect();
                bail!("unknown mutation `{name}`; known: all, {}", known.join(", "))
            };
            break_promise(arguments, planted).await
        }
    }
}

/// Breaks a promise and says whether the checker noticed the right thing.
async fn break_promise(arguments: &Arguments, planted: &'static Planted) -> Result<bool> {
    let run = Run { seed: arguments.seed, minutes: BROKEN_MINUTES, haste: 1, planted: Some(planted) };
    let report = run.carry_out([in_turn(planted.processes), in_turn(planted.network)]).await?;
    let told = report.violated.iter().filter(|(invariant, _)| planted.breaks.contains(invariant));
    let told: Vec<String> = told.map(|(invariant, named)| format!("{invariant:?}: {}", named[0])).collect();
    let is_right = if planted.breaks.is_empty() { report.violations == 0 } else { !told.is_empty() };
    let verdict = match (is_right, told.is_empty()) {
        (true, true) => "nothing is broken".to_owned(),
        (true, false) => told.join("; "),
        (false, _) => format!("NOT TOLD OF; instead {:?}", report.violated),
    };
    println!("| {} | {verdict} |", planted.name);
    write(arguments, &report)?;
    Ok(is_right)
}

fn write(arguments: &Arguments, report: &Report) -> Result<()> {
    let Some(path) = &arguments.report else { return Ok(()) };
    let json = serde_json::to_string_pretty(report)?;
    std::fs::write(path, json).with_context(|| format!("{} cannot be written", path.display()))
}

struct Run {
    seed: u64,
    minutes: f64,
    haste: u32,
    planted: Option<&'static Planted>,
}

impl Run {
    /// Has things go wrong as planned, mends them, and checks.
    async fn carry_out(self, plans: [impl Iterator<Item = Planned>; 2]) -> Result<Report> {
        let by_workers = self.planted.and_then(|planted| planted.by_workers);
        let mut site = Site::build(self.seed, by_workers, self.planted.and_then(|planted| planted.sql)).await?;
        site.machines.supervise()?;
        let deeds = self.under_fire(&mut site, plans).await?;
        let limit = if self.planted.is_some() { BROKEN_DRAINS_WITHIN } else { DRAINS_WITHIN };
        let drained = rest::drain(&mut site, limit).await?;
        let left_behind = rest::leave(&mut site).await?;
        let may_workers_die = deeds.iter().any(|deeds| deeds.takes_jobs_away);
        let observed = Observed::after(&site, may_workers_die, left_behind).await?;
        let violations = checker::check(&observed);
        Ok(Report::of(&self, &observed, &deeds, &drained, &violations))
    }

    async fn under_fire(&self, site: &mut Site, plans: [impl Iterator<Item = Planned>; 2]) -> Result<[Deeds; 2]> {
        let producer = Arc::clone(&site.producer);
        let producing = tokio::spawn(async move { producer.run().await });
        let until = Instant::now() + Duration::from_secs_f64(self.minutes * 60.0);
        let ways = site.machines.ways.clone();
        let [processes, network] = plans;
        // Where a server could not be mended, nobody is answered for.
        let (processes, network) = tokio::try_join!(break_processes(&mut site.machines, processes, until), async {
            Ok(break_network(&ways, &site.sink, network, until).await)
        })?;
        // A plan may end before its time.
        tokio::time::sleep_until(until).await;
        site.producer.stop();
        site.machines.supervise()?;
        let answered = tokio::time::timeout(ANSWERED_WITHIN, producing).await;
        answered.context("some requests are not answered for although all is mended")???;
        Ok([processes, network])
    }
}
