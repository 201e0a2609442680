//! `billrunner bench month-end`: a month's drafts due at once, with mails and documents, and somebody who changes other
//! invoices and wants it at once.
//!
//! The drafts are made beforehand, by Postgres; what is measured is what follows when they are opened: numbers in blocks,
//! every document that the provider offers, and one mail each. Nothing is paused and nothing left out.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    check_report,
    doors::{Door, SOURCE},
    month_before_last, on_site,
    report::{Latencies, Mails, Percentiles, ProcessReport, describe_processes, look_at_processes, since},
    samples::{Sample, greatest_ages, sampled},
    site::Site,
    tell,
    urgent::{Sent, Urgent},
    write_report,
};
use crate::{
    cli::{Failure, Output},
    config::Config,
    context::Context,
    domain::{
        billing_period::BillingPeriod,
        document::DocumentKind,
        ids::{InvoiceId, ResellerId},
    },
    jobs::{ChangeInvoiceStatus, GenerateInvoice, InitialStatus, OpenInvoices},
    providers,
    queue::Job,
    store::{
        bench_drafts,
        bench_invoices::{self, Size},
        bench_load::{self, Latency, Stage},
        invoice_status,
    },
};

/// Whose month is due, and at whom the invoices are that somebody changes meanwhile.
const DUE: &str = "aws";
const CHANGED: &str = "google";
/// One invoice to be changed for so many that are due, and how many at least and at most.
const DUE_A_CHANGED: i32 = 20;
const CHANGED_AT_LEAST: i32 = 20;
const CHANGED_AT_MOST: i32 = 10_000;
/// How many changes are sent before the month is opened, to compare with.
const ALONE: f64 = 50.0;
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Jobs younger than this are not the month's any more.
const YOUNG_SECS: f64 = 2.0;
/// How soon an urgent change is to start, at the 95th percentile.
const GOAL_SECS: f64 = 2.0;

/// Arguments of `bench month-end`.
#[derive(Args)]
pub struct Arguments {
    /// How many invoices are due.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(i32).range(10..=2_000_000))]
    invoices: i32,
    /// How many charges each is made of.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    charges: i32,
    /// How many lines each has.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    lines: i32,
    /// Urgent changes of other invoices, a second.
    #[arg(long, default_value_t = 5.0)]
    urgent_per_second: f64,
    /// How many worker processes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// Writes the report here too, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[derive(Serialize)]
struct Measured {
    invoices: i32,
    charges_each: i32,
    lines_each: i32,
    workers: u8,
    made_in_seconds: f64,
    opening_seconds: f64,
    documents: StageReport,
    mails: StageReport,
    /// From the request until the last mail of the month was sent and its last document stored.
    all_done_after_seconds: f64,
    urgent_goal_is_reached: bool,
    urgent_per_second: f64,
    urgent_changes: usize,
    urgent_alone: Latencies,
    urgent_beside: Latencies,
    urgent_to_acceptance_seconds: Percentiles,
    greatest_age_seconds: BTreeMap<String, f64>,
    processes: Vec<ProcessReport>,
    mail_check: Mails,
    documents_stored: i64,
    document_bytes: i64,
    incomplete_invoices: i64,
    samples: Vec<Sample>,
}

#[derive(Serialize)]
struct StageReport {
    jobs: i64,
    seconds: f64,
    per_second: f64,
    ended_after_seconds: f64,
}

pub async fn run(arguments: Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    check_report(arguments.report.as_deref())?;
    ensure!(
        (0.01..=1000.0).contains(&arguments.urgent_per_second),
        "--urgent-per-second is {}; give a number from 0.01 to 1000",
        arguments.urgent_per_second
    );
    let measured = on_site(config, arguments.workers, async |site: &Site| measure(site, &arguments).await).await?;
    write_report(arguments.report.as_deref(), &measured)?;
    output.value(&measured, describe)?;
    if !measured.mail_check.are_right() || measured.incomplete_invoices > 0 {
        return Err(Failure::DoesNotHold("mails or documents are not what was promised, see above".to_owned()).into());
    }
    Ok(())
}

async fn measure(site: &Site, arguments: &Arguments) -> anyhow::Result<Measured> {
    let began = Instant::now();
    let month = Month { site, reseller_id: ResellerId::new(), period: month_before_last()? };
    month.fill(arguments).await?;
    let made_in_seconds = began.elapsed().as_secs_f64();
    let changed = month.open_what_is_changed().await?;
    let urgent = Urgent {
        reseller_id: month.reseller_id,
        invoices: changed,
        per_second: arguments.urgent_per_second,
        address: site.config.http_address,
        key: site.key.clone(),
    };
    tell("opening the month");
    let before = look_at_processes(site).await?;
    let ((course, sent), samples) = sampled(site, LOOK_EVERY, month.carry_out(urgent)).await?;
    let processes = since(&before, look_at_processes(site).await?);
    tell("counting");
    month.judge(arguments, &course, &sent, (samples, processes, made_in_seconds)).await
}

/// When what happened, by the ledger's clock.
struct Course {
    /// The first urgent change could be sent.
    began: DateTime<Utc>,
    /// The month was asked to be opened, by this request.
    asked: DateTime<Utc>,
    request: String,
    opening_seconds: f64,
    /// Nothing of it was left.
    over: DateTime<Utc>,
}

struct Month<'a> {
    site: &'a Site,
    reseller_id: ResellerId,
    period: BillingPeriod,
}

impl Month<'_> {
    /// Makes customers, charges and drafts: of the month that is due, and of the invoices that are changed.
    async fn fill(&self, arguments: &Arguments) -> anyhow::Result<()> {
        let Arguments { invoices, charges, lines, .. } = *arguments;
        let changed = (invoices / DUE_A_CHANGED).clamp(CHANGED_AT_LEAST, CHANGED_AT_MOST);
        tell(&format!("making {invoices} drafts"));
        let url = &self.site.url;
        let size = |customers, after| Size { customers, after, charges, services: lines };
        bench_invoices::fill_directory(url, self.reseller_id, size(changed + invoices, 0)).await?;
        let days = (self.period.start(), self.period.end());
        for (provider, size) in [(CHANGED, size(changed, 0)), (DUE, size(invoices, changed))] {
            bench_invoices::fill_month(url, self.reseller_id, provider, days, size).await?;
            let mut connection = self.site.pool.acquire().await?;
            invoice_status::close_billing_period(&mut connection, self.reseller_id, provider, self.period).await?;
        }
        bench_invoices::vacuum(url).await?;
        for (provider, first, count) in [(CHANGED, 1, changed), (DUE, changed + 1, invoices)] {
            self.make_drafts(provider, first, count).await?;
        }
        Ok(())
    }

    /// Has one draft generated, and all others made like it.
    async fn make_drafts(&self, provider: &str, first: i32, count: i32) -> anyhow::Result<()> {
        let generate = GenerateInvoice {
            reseller_id: self.reseller_id,
            customer_id: bench_invoices::customer(first),
            provider: provider.to_owned(),
            billing_period: self.period,
            currency: "EUR".parse()?,
            status: InitialStatus::Draft,
            notify: None,
            replace: false,
            force: false,
        };
        self.done(&generate).await?;
        let made = bench_load::invoices(&mut self.site.owner().await?, self.reseller_id, provider).await?;
        let (pattern, _) = made.first().context("one draft was generated")?;
        let copied = bench_drafts::copy(&self.site.url, self.reseller_id, *pattern).await?;
        ensure!(i32::try_from(copied + 1) == Ok(count), "{copied} drafts were made beside the first of {count}");
        Ok(())
    }

    /// Opens the invoices that are changed later, and waits for their documents.
    async fn open_what_is_changed(&self) -> anyhow::Result<Vec<InvoiceId>> {
        tell("opening the invoices that are changed meanwhile");
        self.done(&self.opening(CHANGED, Some(false))).await?;
        let mut owner = self.site.owner().await?;
        while bench_load::is_busy(&mut owner).await? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let open = bench_load::invoices(&mut owner, self.reseller_id, CHANGED).await?;
        // What the planner knows of a billrunner that has worked before, with nothing to do at the moment.
        bench_invoices::vacuum(&self.site.url).await?;
        Ok(open.into_iter().map(|(id, _)| id).collect())
    }

    fn opening(&self, provider: &str, notify: Option<bool>) -> OpenInvoices {
        OpenInvoices {
            reseller_id: self.reseller_id,
            provider: provider.to_owned(),
            billing_period: self.period,
            notify,
            force: false,
        }
    }

    async fn done<J: Job<Context = Context>>(&self, job: &J) -> anyhow::Result<String> {
        let request = self.site.doors.hand_in(Door::Http, job, 0).await?;
        self.site.watch.done(&request).await?;
        Ok(request)
    }

    /// Sends urgent changes, first alone and then beside the month, until nothing of it is left; then waits for theirs.
    async fn carry_out(&self, urgent: Urgent) -> anyhow::Result<(Course, Sent)> {
        let mut owner = self.site.owner().await?;
        let enough = CancellationToken::new();
        let alone = Duration::from_secs_f64(ALONE / urgent.per_second);
        let course = async {
            let _enough = enough.clone().drop_guard();
            let began = bench_load::now(&mut owner).await?;
            tokio::time::sleep(alone).await;
            let asked = bench_load::now(&mut owner).await?;
            let request = self.done(&self.opening(DUE, None)).await?;
            let opened = bench_load::now(&mut owner).await?;
            let opening_seconds = (opened - asked).as_seconds_f64();
            tell(&format!("all are open after {opening_seconds:.0} s"));
            // By then what is left of the month is older than that.
            tokio::time::sleep(2 * LOOK_EVERY).await;
            while bench_load::oldest_age(&mut owner).await? > YOUNG_SECS {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            let over = bench_load::now(&mut owner).await?;
            anyhow::Ok(Course { began, asked, request, opening_seconds, over })
        };
        let (course, sent) = tokio::try_join!(course, urgent.run(&enough))?;
        let mut owner = self.site.owner().await?;
        while bench_load::is_busy(&mut owner).await? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok((course, sent))
    }

    /// Reads off the ledger what was done when, and compares what there is with what was promised.
    async fn judge(
        &self,
        arguments: &Arguments,
        course: &Course,
        sent: &Sent,
        (samples, processes, made_in_seconds): (Vec<Sample>, Vec<ProcessReport>, f64),
    ) -> anyhow::Result<Measured> {
        // What came meanwhile is large, and is asked for as a whole.
        bench_invoices::vacuum(&self.site.url).await?;
        let mut owner = self.site.owner().await?;
        let stages = bench_load::stages(&mut owner, (SOURCE, &course.request), course.asked).await?;
        let [documents, mails] = stages.as_slice() else { bail!("there are no documents or no mails") };
        let parts = [course.began, course.asked, course.over];
        let latencies = bench_load::latencies(&mut owner, Some(SOURCE), &parts).await?;
        let promised = bench_load::promised_mails(&mut owner).await?;
        let offered = providers::find(DUE)?.documents.iter().filter(|kind| **kind != DocumentKind::Ubl).count();
        let counted = bench_load::count_documents(&mut owner, i64::try_from(offered)?).await?;
        let dead = bench_load::count_in_state(&mut owner, "dead").await?;
        ensure!(dead.is_empty(), "jobs are dead: {dead:?}");
        let wanted = i64::from(arguments.invoices) + bench_load::count_changes(&mut owner).await?;
        ensure!(i64::try_from(promised.len()) == Ok(wanted), "{} mails are promised, not {wanted}", promised.len());
        let urgent_beside = urgent(&latencies, 2);
        Ok(Measured {
            invoices: arguments.invoices,
            charges_each: arguments.charges,
            lines_each: arguments.lines,
            workers: arguments.workers,
            made_in_seconds,
            opening_seconds: course.opening_seconds,
            all_done_after_seconds: documents.ended_after.max(mails.ended_after),
            documents: StageReport::of(documents),
            mails: StageReport::of(mails),
            urgent_goal_is_reached: urgent_beside.to_start.p95 < GOAL_SECS,
            urgent_per_second: arguments.urgent_per_second,
            urgent_changes: sent.to_acceptance.len(),
            urgent_alone: urgent(&latencies, 1),
            urgent_beside,
            urgent_to_acceptance_seconds: Percentiles::of(sent.to_acceptance.clone()),
            greatest_age_seconds: greatest_ages(&samples),
            processes,
            mail_check: Mails::compare(&promised, &self.site.sink.counts()),
            documents_stored: counted.documents,
            document_bytes: counted.bytes,
            incomplete_invoices: counted.incomplete_invoices,
            samples,
        })
    }
}

/// Returns how long the urgent changes took that came in during a part of the time.
fn urgent(latencies: &[Latency], part: i32) -> Latencies {
    let is_it = |told: &&Latency| told.part == part && told.kind.as_deref() == Some(ChangeInvoiceStatus::KIND);
    latencies.iter().find(is_it).map(Latencies::from).unwrap_or_default()
}

impl StageReport {
    fn of(stage: &Stage) -> Self {
        let jobs = i32::try_from(stage.jobs).map_or(f64::INFINITY, f64::from);
        Self {
            jobs: stage.jobs,
            seconds: stage.seconds,
            per_second: jobs / stage.seconds,
            ended_after_seconds: stage.ended_after,
        }
    }
}

fn describe(measured: &Measured) -> String {
    let Measured { invoices, charges_each, lines_each, workers, .. } = measured;
    let stage = |what: &str, stage: &StageReport| {
        format!(
            "{what}: {} in {:.0} s, {:.0} a second; the last {:.0} s after the request",
            stage.jobs, stage.seconds, stage.per_second, stage.ended_after_seconds
        )
    };
    let urgent = |when: &str, of: &Latencies| {
        format!(
            "  {when}, {} of them\n    to their start: {}\n    to their end:   {}",
            of.jobs,
            of.to_start.shown(),
            of.to_end.shown()
        )
    };
    let ages: Vec<String> =
        measured.greatest_age_seconds.iter().map(|(lane, age)| format!("{lane} {age:.0} s")).collect();
    [
        format!(
            "{invoices} drafts of {charges_each} charges and {lines_each} lines, made in {:.0} s; {workers} workers",
            measured.made_in_seconds
        ),
        format!(
            "opened in {:.0} s, {:.0} a second",
            measured.opening_seconds,
            f64::from(*invoices) / measured.opening_seconds
        ),
        stage("documents", &measured.documents),
        stage("mails", &measured.mails),
        format!("all done after {:.0} s", measured.all_done_after_seconds),
        format!(
            "urgent changes, {} at {} a second, from their acceptance: the goal of p95 < {GOAL_SECS} s to their start is {}",
            measured.urgent_changes,
            measured.urgent_per_second,
            if measured.urgent_goal_is_reached { "reached" } else { "NOT REACHED" }
        ),
        urgent("before the month was opened", &measured.urgent_alone),
        urgent("beside it", &measured.urgent_beside),
        format!("  from when they were due to their acceptance: {}", measured.urgent_to_acceptance_seconds.shown()),
        format!("oldest job of a lane, at most: {}", ages.join(", ")),
        measured.mail_check.shown(),
        format!(
            "documents stored {}, {} MB; invoices that lack some: {}",
            measured.documents_stored,
            measured.document_bytes / 1_000_000,
            measured.incomplete_invoices
        ),
        describe_processes(&measured.processes),
    ]
    .join("\n")
}
