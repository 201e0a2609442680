//! `billrunner status`: all on one screen. What waits longest comes first, then what is wrong and the command that mends it.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;
use sqlx::PgConnection;

use super::{
    Output,
    output::table,
    queues::{self, Lane},
    setup,
    watch::Watch,
    workers,
};
use crate::{
    config::Config,
    domain::{age::describe_age, verdict},
    store::{
        bill_runs::{self, BillRun},
        mail_outcomes::{self, MailOutcome},
        standing,
    },
};

/// Bill runs shown; the newest are the ones that matter.
const SHOWN_BILL_RUNS: i64 = 10;
/// Jobs of a lane that the verdict counts at most.
const COUNTED_AT_MOST: i64 = 100_000;

/// Arguments of `status`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    watch: Watch,
}

/// How everything stands.
#[derive(Serialize)]
struct Status {
    /// Age of the job that has waited longest, with its lane.
    oldest_waiting: Option<Oldest>,
    /// What is wrong, worst first; empty where all is well.
    troubles: Vec<Trouble>,
    workers_alive: usize,
    running: i64,
    dead: i64,
    /// Of the last 24 hours.
    mails: Vec<MailOutcome>,
    bill_runs_needing_attention: Vec<BillRun>,
    queues: Vec<Lane>,
}

#[derive(Serialize)]
struct Trouble {
    what: String,
    way_out: &'static str,
}

#[derive(Serialize)]
struct Oldest {
    queue: String,
    seconds: f64,
}

pub async fn run(arguments: &Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let pool = setup::connect(config).await?;
    let look = async || {
        let status = Status::of(&mut *pool.acquire().await?).await?;
        output.value(&status, Status::describe)
    };
    arguments.watch.show(output, look).await
}

impl Status {
    async fn of(connection: &mut PgConnection) -> anyhow::Result<Self> {
        let queues = queues::lanes(&mut *connection).await?;
        let workers = workers::list(&mut *connection).await?;
        let age = |lane: &Lane| lane.backlog.oldest_waiting_seconds.unwrap_or_default();
        let facts = standing::look(&mut *connection, &queues::lane_names(), COUNTED_AT_MOST).await?.facts;
        let troubles = verdict::troubles(&facts);
        let oldest = queues.iter().filter(|lane| lane.backlog.waiting > 0).max_by(|a, b| age(a).total_cmp(&age(b)));
        Ok(Self {
            oldest_waiting: oldest.map(|lane| Oldest { queue: lane.backlog.queue.clone(), seconds: age(lane) }),
            troubles: troubles
                .iter()
                .map(|trouble| Trouble { what: trouble.to_string(), way_out: trouble.way_out() })
                .collect(),
            workers_alive: workers.iter().filter(|worker| worker.is_alive).count(),
            running: queues.iter().map(|lane| lane.backlog.running).sum(),
            dead: queues.iter().map(|lane| lane.backlog.dead).sum(),
            mails: mail_outcomes::of_last_hours(&mut *connection, 24).await?,
            bill_runs_needing_attention: bill_runs::needing_attention(connection, SHOWN_BILL_RUNS).await?,
            queues,
        })
    }

    fn describe(&self) -> String {
        let oldest = self.oldest_waiting.as_ref();
        let oldest = oldest.map_or_else(
            || "no job waits".to_owned(),
            |oldest| format!("{}, in {}", describe_age(oldest.seconds), oldest.queue),
        );
        let mails: Vec<String> = self.mails.iter().map(|mail| format!("{} {}", mail.count, mail.state)).collect();
        let mails = if mails.is_empty() { "none".to_owned() } else { mails.join(", ") };
        let mut text = format!("oldest waiting  {oldest}\n");
        text.push_str(if self.troubles.is_empty() {
            "verdict         all is well\n"
        } else {
            "verdict         wrong is:\n"
        });
        for Trouble { what, way_out } in &self.troubles {
            let _ = writeln!(text, "                {what}; {way_out}");
        }
        let _ = write!(
            text,
            "workers         {} alive\njobs            {} running, {} dead\nmails of a day  {mails}\n",
            self.workers_alive, self.running, self.dead,
        );
        text.push_str(&queues::describe_lanes(&self.queues));
        if !self.bill_runs_needing_attention.is_empty() {
            let _ =
                write!(text, "\nbill runs that need attention; `billrunner bill-runs show` says what is missing:\n");
            text.push_str(&table(
                &self.bill_runs_needing_attention,
                &["bill run", "name", "provider", "period", "ended"],
                |run| {
                    vec![
                        run.id.to_string(),
                        run.run_id.clone(),
                        run.provider.clone(),
                        run.billing_period.to_string(),
                        run.finished_at.map(|at| at.format("%F %T").to_string()).unwrap_or_default(),
                    ]
                },
            ));
        }
        text
    }
}
