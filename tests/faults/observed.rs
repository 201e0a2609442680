//! What there is to see after a run: rows, mails and what was left behind, as plain values for the checker.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use billrunner::{jobs::Verification, mail::sink::Sink, objects::ObjectStoreSettings, store::database};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use crate::{producer::HandedIn, site::Site};

/// Connections for `verify`.
const READERS: u32 = 2;

/// A job as the ledger shows it.
#[derive(Clone, Debug, FromRow)]
pub struct JobSeen {
    pub id: Uuid,
    pub kind: String,
    pub state: String,
    pub failed_attempts: i32,
    pub max_attempts: i32,
    pub last_error: Option<String>,
}

/// How often a job ended, as the database noted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub done: u64,
    pub undone: u64,
}

#[derive(Clone, Debug, FromRow)]
pub struct InvoiceSeen {
    pub reseller_id: Uuid,
    pub customer_id: Uuid,
    pub status: String,
    pub number: Option<String>,
    pub total: String,
}

#[derive(Clone, Debug, FromRow)]
pub struct NotificationSeen {
    pub message_id: String,
    pub state: String,
    /// The status that it tells of.
    pub told_status: String,
}

/// A job and when it was done.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Completion {
    pub created_at: DateTime<Utc>,
    pub done_at: DateTime<Utc>,
}

#[derive(Debug, Default)]
pub struct Observed {
    pub handed_in: HandedIn,
    pub jobs: HashMap<Uuid, JobSeen>,
    pub ended: HashMap<Uuid, Ended>,
    /// Requests that became several jobs.
    pub requests_of_several_jobs: Vec<String>,
    /// Invoice, status before, status after.
    pub steps: Vec<(Uuid, String, String)>,
    /// Job and event.
    pub loose_effects: Vec<(Uuid, i64)>,
    pub invoices: Vec<InvoiceSeen>,
    pub notifications: Vec<NotificationSeen>,
    /// By Message-ID, how many arrived.
    pub mails: BTreeMap<String, usize>,
    /// Attempts that ended as the death of their worker.
    pub worker_deaths: i64,
    pub may_workers_die: bool,
    /// What `billrunner verify` finds.
    pub findings: Vec<String>,
    pub left_behind: Vec<String>,
    /// Files that killed workers left half written, and that were taken away.
    pub half_written_files: usize,
    pub completions: Vec<Completion>,
    /// The jobs that took longest from their acceptance, with what their attempts say.
    pub slowest: Vec<String>,
}

impl Observed {
    /// Looks at all there is once everything has come to rest.
    pub async fn after(
        site: &Site,
        may_workers_die: bool,
        (left_behind, half_written_files): (Vec<String>, usize),
    ) -> Result<Self> {
        let pool = &site.producer.doors.pool;
        let handed_in = std::mem::take(&mut *site.producer.handed_in());
        let jobs: Vec<JobSeen> =
            sqlx::query_as("SELECT id, kind, state, failed_attempts, max_attempts, last_error FROM jobs")
                .fetch_all(pool)
                .await?;
        let requests_of_several_jobs = sqlx::query_scalar(
            "SELECT source || ' ' || external_id FROM jobs GROUP BY source, external_id HAVING count(*) > 1 LIMIT 20",
        );
        let steps = sqlx::query_as("SELECT invoice_id, from_status, to_status FROM faults.steps");
        let loose_effects = sqlx::query_as("SELECT job_id, event FROM faults.loose_effects LIMIT 20");
        let invoices = sqlx::query_as(
            "SELECT reseller_id, customer_id, status, number, round(total, 2)::text AS total FROM invoices",
        );
        let notifications = sqlx::query_as(
            "SELECT message_id, state, to_status AS told_status FROM notifications
             JOIN invoice_events ON invoice_events.reseller_id = notifications.reseller_id
                                AND sequence = event_sequence",
        );
        let deaths = sqlx::query_scalar("SELECT count(*) FROM job_attempts WHERE outcome = 'worker_died'");
        let completions = sqlx::query_as(
            "SELECT created_at, at AS done_at FROM faults.ends JOIN jobs ON id = job_id WHERE ends.state = 'done'
             ORDER BY at",
        );
        let slowest = sqlx::query_scalar(
            "SELECT kind || ' ' || round(extract(epoch FROM at - jobs.created_at)) || ' s: '
                    || (SELECT string_agg(outcome || ' ' || left(message, 60), ', ' ORDER BY attempt)
                        FROM job_attempts WHERE job_attempts.job_id = jobs.id)
             FROM faults.ends JOIN jobs ON id = job_id WHERE ends.state = 'done' ORDER BY at - jobs.created_at DESC LIMIT 8",
        );
        Ok(Self {
            slowest: slowest.fetch_all(pool).await?,
            jobs: jobs.into_iter().map(|job| (job.id, job)).collect(),
            ended: ended(pool).await?,
            requests_of_several_jobs: requests_of_several_jobs.fetch_all(pool).await?,
            steps: steps.fetch_all(pool).await?,
            loose_effects: loose_effects.fetch_all(pool).await?,
            invoices: invoices.fetch_all(pool).await?,
            notifications: notifications.fetch_all(pool).await?,
            mails: mails(&site.sink),
            worker_deaths: deaths.fetch_one(pool).await?,
            may_workers_die,
            findings: verify(site).await?,
            left_behind,
            half_written_files,
            completions: completions.fetch_all(pool).await?,
            handed_in,
        })
    }
}

async fn ended(pool: &PgPool) -> Result<HashMap<Uuid, Ended>> {
    let noted: Vec<(Uuid, String)> = sqlx::query_as("SELECT job_id, state FROM faults.ends").fetch_all(pool).await?;
    let mut ended: HashMap<Uuid, Ended> = HashMap::new();
    for (job, state) in noted {
        let counts = ended.entry(job).or_default();
        match state.as_str() {
            "done" => counts.done += 1,
            "undone" => counts.undone += 1,
            // An operator may have a dead job run again.
            _ => {}
        }
    }
    Ok(ended)
}

fn mails(sink: &Sink) -> BTreeMap<String, usize> {
    let mut arrived = BTreeMap::new();
    for mail in sink.received() {
        *arrived.entry(message_id(&mail.content).unwrap_or_default()).or_default() += 1;
    }
    arrived
}

/// Returns the Message-ID of a mail, whose header has it on a line of its own.
fn message_id(content: &[u8]) -> Option<String> {
    let end = content.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(content.len());
    let header = String::from_utf8_lossy(content.get(..end)?).replace("\r\n ", " ");
    header.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Message-ID").then(|| value.trim().to_owned())
    })
}

/// Runs what `billrunner verify` runs: events, numbers, statuses, sums, and documents against their hashes.
async fn verify(site: &Site) -> Result<Vec<String>> {
    let verification = Verification {
        pool: database::connect_to_read(&site.machines.postgres.url().into(), READERS).await?,
        objects: ObjectStoreSettings::folder(&site.machines.objects.path).open()?,
        reseller_id: None,
        billing_period: None,
        renders_again: false,
    };
    let report = verification.run().await.context("verify")?;
    let mut findings: Vec<String> =
        report.findings.iter().map(|finding| format!("{}: {finding}", finding.check.as_str())).collect();
    if report.more_findings > 0 {
        findings.push(format!("and {} more", report.more_findings));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_read_from_the_header_alone_also_where_it_is_folded() {
        let mail = b"From: a\r\nMessage-ID:\r\n <1@x>\r\n\r\nMessage-ID: <2@x>\r\n";
        assert_eq!(message_id(mail), Some("<1@x>".to_owned()));
        assert_eq!(message_id(b"From: a\r\n\r\nMessage-ID: <2@x>\r\n"), None);
    }
}
