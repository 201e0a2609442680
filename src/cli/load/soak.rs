//! `billrunner bench soak`: mixed load for hours at a share of what the machine can do; what memory, descriptors and
//! connections do meanwhile, and how long jobs take at its beginning and at its end.
//!
//! What the machine can do is measured first, with a fixed number of books under way. Then books begin at that pace times
//! the share, at random moments, however long those before take. Retention works all the while: the ledger holds as many
//! jobs that reach their age as come in.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, Utc};
use clap::Args;
use futures::{StreamExt, stream::FuturesUnordered};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::{
    book::Books,
    check_report, month_before_last, on_site,
    report::{Latencies, Mails, Percentiles, ProcessReport, describe_processes, look_at_processes, since},
    samples::{Sample, Trend, sampled, trends},
    site::Site,
    tell, write_report,
};
use crate::{
    cli::{Failure, Output},
    config::Config,
    jobs::registry,
    queue::run_schedule_now,
    store::{bench_invoices, bench_load, operator_actions::Operator, schedules},
};

/// Books under way while it is measured what the machine can do: enough that nobody waits for one of them.
const AT_ONCE: u64 = 48;
/// How long they are kept before anything is counted, and while it is.
const WARM_UP: Duration = Duration::from_secs(30);
const COUNTED: Duration = Duration::from_mins(1);
/// Books under way at which more comes in than can be done.
const OVERRUN: usize = 2000;
const SAMPLED_EVERY: Duration = Duration::from_secs(10);
/// How often retention works; in short runs three times.
const PRUNED_EVERY: Duration = Duration::from_mins(5);
const PRUNES_AT_LEAST: u32 = 3;
const RETENTION: &str = "prune-jobs";
const RETENTION_DAYS: i32 = 90;
const PARTS: u32 = 4;
/// Books that failed, each told of; the rest is counted.
const NAMED: usize = 5;
const OPERATOR: Operator<'_> = Operator { name: "bench", reason: "retention is part of the load" };

/// Arguments of `bench soak`.
#[derive(Args)]
pub struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_080))]
    minutes: u32,
    /// The share of what the machine can do.
    #[arg(long, default_value_t = 0.7)]
    load: f64,
    /// How many worker processes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// Writes the report here too, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[derive(Serialize)]
struct Measured {
    minutes: u32,
    load: f64,
    workers: u8,
    /// Books that the machine can do in a second, and the jobs of one.
    books_per_second_at_most: f64,
    jobs_a_book: f64,
    books_per_second_offered: f64,
    books_done: usize,
    books_failed: usize,
    failures: Vec<String>,
    dead_jobs: Vec<(String, i64)>,
    /// From begin to end, with the looks of this program between the steps: by quarter of the time.
    book_seconds: Vec<Percentiles>,
    /// Of all jobs, by quarter.
    jobs: Vec<Latencies>,
    /// Of each kind, over the whole time.
    jobs_by_kind: BTreeMap<String, Latencies>,
    pruned_jobs: i64,
    mail_check: Mails,
    trends: Vec<Trend>,
    processes: Vec<ProcessReport>,
    samples: Vec<Sample>,
}

pub async fn run(arguments: Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    check_report(arguments.report.as_deref())?;
    ensure!((0.01..=1.0).contains(&arguments.load), "--load is {}; give a share from 0.01 to 1", arguments.load);
    let measured = on_site(config, arguments.workers, async |site: &Site| measure(site, &arguments).await).await?;
    write_report(arguments.report.as_deref(), &measured)?;
    output.value(&measured, describe)?;
    if !measured.mail_check.are_right() || measured.books_failed > 0 || !measured.dead_jobs.is_empty() {
        return Err(
            Failure::DoesNotHold("books failed, or mails are not what was promised, see above".to_owned()).into()
        );
    }
    Ok(())
}

async fn measure(site: &Site, arguments: &Arguments) -> anyhow::Result<Measured> {
    let books = Books::of(site, month_before_last()?);
    tell("measuring what the machine can do");
    let capacity = Capacity::measure(site, &books).await?;
    let offered = capacity.books_per_second * arguments.load;
    let time = Duration::from_secs(60 * u64::from(arguments.minutes));
    let expected = offered * capacity.jobs_a_book * time.as_secs_f64();
    #[expect(clippy::cast_possible_truncation, reason = "a number of jobs")]
    let expected = expected as i64;
    tell(&format!("{:.2} books a second; filling the ledger with {expected} jobs that age", capacity.books_per_second));
    bench_load::fill_what_ages(&site.url, expected.max(1), RETENTION_DAYS, time.as_secs_f64()).await?;
    tell(&format!("offering {offered:.2} books a second"));
    let before = look_at_processes(site).await?;
    let soak = Soak { site, books: &books, per_second: offered, time, next: capacity.next };
    let (course, samples) = sampled(site, SAMPLED_EVERY, soak.carry_out()).await?;
    let processes = since(&before, look_at_processes(site).await?);
    // What came meanwhile is large, and is asked for as a whole.
    bench_invoices::vacuum(&site.url).await?;
    let mut owner = site.owner().await?;
    let latencies = bench_load::latencies(&mut owner, None, &course.parts).await?;
    let whole: Vec<DateTime<Utc>> = course.parts.first().into_iter().chain(course.parts.last()).copied().collect();
    let by_kind = bench_load::latencies(&mut owner, None, &whole).await?;
    let promised = bench_load::promised_mails(&mut owner).await?;
    Ok(Measured {
        minutes: arguments.minutes,
        load: arguments.load,
        workers: arguments.workers,
        books_per_second_at_most: capacity.books_per_second,
        jobs_a_book: capacity.jobs_a_book,
        books_per_second_offered: offered,
        books_done: course.done.iter().map(Vec::len).sum(),
        books_failed: course.failed,
        failures: course.failures,
        dead_jobs: bench_load::count_in_state(&mut owner, "dead").await?,
        book_seconds: course.done.into_iter().map(Percentiles::of).collect(),
        jobs: latencies.iter().filter(|told| told.kind.is_none()).map(Latencies::from).collect(),
        jobs_by_kind: by_kind.iter().filter_map(|told| Some((told.kind.clone()?, Latencies::from(told)))).collect(),
        pruned_jobs: expected.max(1) - bench_load::count_of_source(&mut owner, "history").await?,
        mail_check: Mails::compare(&promised, &site.sink.counts()),
        trends: trends(&samples),
        processes,
        samples,
    })
}

/// What the machine can do.
struct Capacity {
    books_per_second: f64,
    jobs_a_book: f64,
    /// The number of the next book.
    next: u64,
}

impl Capacity {
    /// Keeps so many books at once for a while, and waits for their end.
    async fn measure(site: &Site, books: &Books<'_>) -> anyhow::Result<Self> {
        let began = Instant::now();
        let mut under_way = FuturesUnordered::new();
        let (mut next, mut counted) = (0, 0_u32);
        while next < AT_ONCE {
            under_way.push(books.keep(next));
            next += 1;
        }
        while let Some(kept) = under_way.next().await {
            kept.context("while it is measured what the machine can do")?;
            let so_far = began.elapsed();
            if so_far < WARM_UP + COUNTED {
                counted += u32::from(so_far >= WARM_UP);
                under_way.push(books.keep(next));
                next += 1;
            }
        }
        ensure!(counted > 0, "not one book was kept in {COUNTED:?}");
        let done = bench_load::count_in_state(&mut site.owner().await?, "done").await?;
        let jobs: i64 = done.iter().map(|(_, count)| count).sum();
        let kept = f64::from(u32::try_from(next)?);
        Ok(Self {
            books_per_second: f64::from(counted) / COUNTED.as_secs_f64(),
            jobs_a_book: f64::from(u32::try_from(jobs)?) / kept,
            next,
        })
    }
}

/// What came of it.
#[derive(Default)]
struct Course {
    /// Where the parts of the time begin, and the end, by the ledger's clock.
    parts: Vec<DateTime<Utc>>,
    /// By part, the seconds that each book took which began in it.
    done: Vec<Vec<f64>>,
    failed: usize,
    failures: Vec<String>,
}

struct Soak<'a> {
    site: &'a Site,
    books: &'a Books<'a>,
    per_second: f64,
    time: Duration,
    next: u64,
}

impl Soak<'_> {
    /// Begins books for as long as is given, and ends once all have ended.
    async fn carry_out(self) -> anyhow::Result<Course> {
        let mut owner = self.site.owner().await?;
        let (began, began_at) = (Instant::now(), bench_load::now(&mut owner).await?);
        let part = self.time / PARTS;
        let mut course = Course {
            parts: (0..=PARTS).map(|n| began_at + part * n).collect(),
            done: vec![Vec::new(); usize::try_from(PARTS)?],
            ..Course::default()
        };
        let every = PRUNED_EVERY.min(self.time / (PRUNES_AT_LEAST + 1));
        let mut prune = interval_at(began + every, every);
        prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut under_way = FuturesUnordered::new();
        let (mut next, mut due) = (self.next, began);
        loop {
            tokio::select! {
                () = sleep_until(due), if due < began + self.time => {
                    under_way.push(timed(self.books, next, due));
                    next += 1;
                    due += self.gap();
                    if under_way.len() > OVERRUN {
                        bail!("{OVERRUN} books are under way: more comes in than is done; offer less than --load says");
                    }
                }
                Some((began_then, kept)) = under_way.next() => course.note(began_then, kept, (began, part)),
                _ = prune.tick(), if began.elapsed() < self.time => self.prune().await?,
                else => break,
            }
            if under_way.is_empty() && due >= began + self.time {
                break;
            }
        }
        Ok(course)
    }

    /// Draws when the next book begins: as independent senders do.
    fn gap(&self) -> Duration {
        let chance: f64 = rand::random();
        Duration::from_secs_f64(-(1.0 - chance).ln() / self.per_second)
    }

    /// Starts the retention of the house's own schedule, as an operator does.
    async fn prune(&self) -> anyhow::Result<()> {
        let mut connection = self.site.pool.acquire().await?;
        let schedule = schedules::find(&mut connection, RETENTION).await?.context("the schedule of retention")?;
        run_schedule_now(&mut connection, &Arc::new(registry()).preparer(), &schedule, OPERATOR).await?;
        Ok(())
    }
}

impl Course {
    fn note(&mut self, began_then: Instant, kept: anyhow::Result<()>, (began, part): (Instant, Duration)) {
        if let Err(error) = kept {
            self.failed += 1;
            if self.failures.len() < NAMED {
                self.failures.push(format!("{error:#}"));
            }
            return;
        }
        let which = (began_then - began).div_duration_f64(part).floor();
        let ends = (1..PARTS).filter(|n| which >= f64::from(*n)).count();
        if let Some(durations) = self.done.get_mut(ends) {
            durations.push(began_then.elapsed().as_secs_f64());
        }
    }
}

async fn timed(books: &Books<'_>, number: u64, began: Instant) -> (Instant, anyhow::Result<()>) {
    (began, books.keep(number).await)
}

fn describe(measured: &Measured) -> String {
    let mut lines = vec![
        format!(
            "{} minutes at {:.0} % of {:.2} books a second: {:.2} books and {:.0} jobs a second; {} workers",
            measured.minutes,
            measured.load * 100.0,
            measured.books_per_second_at_most,
            measured.books_per_second_offered,
            measured.books_per_second_offered * measured.jobs_a_book,
            measured.workers
        ),
        format!("books done {}, failed {}", measured.books_done, measured.books_failed),
    ];
    lines.extend(measured.failures.iter().map(|failure| format!("  {failure}")));
    lines.extend(measured.dead_jobs.iter().map(|(kind, count)| format!("  dead: {count} of {kind}")));
    for (n, (jobs, books)) in measured.jobs.iter().zip(&measured.book_seconds).enumerate() {
        lines.push(format!(
            "quarter {}: {} jobs\n    to their start: {}\n    to their end:   {}\n    a whole book:   {}",
            n + 1,
            jobs.jobs,
            jobs.to_start.shown(),
            jobs.to_end.shown(),
            books.shown()
        ));
    }
    lines.push("by kind, to their start; to their end:".to_owned());
    for (kind, of) in &measured.jobs_by_kind {
        lines.push(format!("  {kind:<24} {:>8}  {}; {}", of.jobs, of.to_start.shown(), of.to_end.shown()));
    }
    for Trend { what, first, last, is_flat } in &measured.trends {
        let verdict = if *is_flat { "flat" } else { "NOT FLAT" };
        lines.push(format!("{what}: {first:.0} in the first quarter, {last:.0} in the last: {verdict}"));
    }
    if let (Some(first), Some(last)) = (measured.samples.first(), measured.samples.last()) {
        let grown = |(name, after): (&String, &i64)| {
            let before = first.tables_mb.get(name).map_or("?".to_owned(), i64::to_string);
            format!("{name} {before} to {after}")
        };
        lines.push(format!("tables, MB: {}", last.tables_mb.iter().map(grown).collect::<Vec<_>>().join(", ")));
    }
    lines.push(format!("{} jobs were forgotten by retention", measured.pruned_jobs));
    lines.push(measured.mail_check.shown());
    lines.push(describe_processes(&measured.processes));
    lines.join("\n")
}
