//! `billrunner doctor`: whether settings, machine, servers and work are well, and how to mend what is not.
//!
//! Each area is one file that asks and judges. Nothing is changed but a probe in the object store, which is deleted again. A
//! failure means that work cannot be done or may be lost; a warning that it goes on, and somebody should look. No secret is
//! shown: servers are named by their settings.

mod machine;
mod mail;
mod objects;
mod postgres;
mod redis;
mod settings;
mod work;

use std::time::Duration;

use anyhow::anyhow;
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Output;
use crate::config::{Config, MissingVariable};

/// Longest wait for all of one area.
const AREA_TIMEOUT: Duration = Duration::from_secs(30);
/// Clocks that follow NTP differ by milliseconds.
const MOST_SKEW: TimeDelta = TimeDelta::seconds(2);

/// Arguments of `doctor`.
#[derive(Args)]
pub struct Arguments {
    /// Check this area alone; may be given several times.
    #[arg(long, value_enum, value_name = "AREA")]
    only: Vec<Area>,
}

/// What is looked at together.
#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Area {
    /// Settings that are unsafe or unfinished.
    Settings,
    /// Limits, disks, typefaces, languages, time zones.
    Machine,
    /// Version, rights, migrations, durability, connections, clock.
    Postgres,
    /// Version, eviction, memory, rights, consumer groups, clock.
    Redis,
    /// Connection, encryption, login. No mail is sent.
    Mail,
    /// Write, read, list and delete of a probe.
    Objects,
    /// Workers, waiting and dead jobs, schedules, bill runs.
    Work,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    verdict: Verdict,
    what: String,
    /// How to mend it, where it is not well.
    way_out: Option<String>,
}

/// A finding with where it belongs.
#[derive(Debug, Serialize)]
struct Check {
    area: Area,
    #[serde(flatten)]
    finding: Finding,
}

pub async fn run(arguments: &Arguments, config: &Config, output: Output) -> anyhow::Result<()> {
    let areas = if arguments.only.is_empty() { Area::value_variants() } else { arguments.only.as_slice() };
    let mut checks = Vec::new();
    for area in areas {
        let findings = area.look(config).await;
        checks.extend(findings.into_iter().map(|finding| Check { area: *area, finding }));
    }
    output.rows(&checks, &["", "area", "what", "how to mend it"], |check| {
        let Finding { verdict, what, way_out } = &check.finding;
        vec![verdict.as_str().to_owned(), check.area.name(), what.clone(), way_out.clone().unwrap_or_default()]
    })?;
    match checks.iter().filter(|check| check.finding.verdict == Verdict::Fail).count() {
        0 => Ok(()),
        count => Err(anyhow!("{count} of {} checks failed; each line says how to mend it", checks.len())),
    }
}

impl Area {
    async fn look(self, config: &Config) -> Vec<Finding> {
        let looking = async {
            match self {
                Self::Settings => settings::look(config),
                Self::Machine => machine::look(),
                Self::Postgres => postgres::look(config).await,
                Self::Redis => redis::look(config).await,
                Self::Mail => mail::look(config).await,
                Self::Objects => objects::look(config).await,
                Self::Work => work::look(config).await,
            }
        };
        let in_vain = || {
            let what = format!("no answer within {}", humantime::format_duration(AREA_TIMEOUT));
            vec![fail(what, "check that the server runs, and what is in front of it")]
        };
        tokio::time::timeout(AREA_TIMEOUT, looking).await.unwrap_or_else(|_| in_vain())
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

fn ok(what: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Ok, what: what.into(), way_out: None }
}

fn warn(what: impl Into<String>, way_out: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Warn, what: what.into(), way_out: Some(way_out.into()) }
}

fn fail(what: impl Into<String>, way_out: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Fail, what: what.into(), way_out: Some(way_out.into()) }
}

/// Says that a setting is missing without which the area cannot be looked at.
fn not_set(missing: &MissingVariable) -> Finding {
    fail(missing.to_string(), "`billrunner config example` prints every setting with its meaning")
}

/// Returns what failed and why, in one line; causes that are said already are left out.
fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Compares a server's clock with this machine's, which was read before and after.
fn clock(server: &str, theirs: DateTime<Utc>, (before, after): (DateTime<Utc>, DateTime<Utc>)) -> Finding {
    let skew = (theirs - (before + (after - before) / 2)).abs();
    let what = format!("the clock of {server} and this machine's differ by {} ms", skew.num_milliseconds());
    if skew <= MOST_SKEW {
        return ok(what);
    }
    warn(
        format!("{what}; links and the dates of mails follow this one's"),
        "let both machines follow the same NTP servers",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_of_and_the_time_a_question_takes_is_not() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        assert_eq!(clock("x", at(5), (at(0), at(10))).verdict, Verdict::Ok);
        assert_eq!(clock("x", at(12), (at(10), at(10))).verdict, Verdict::Ok);
        assert_eq!(clock("x", at(13), (at(10), at(10))).verdict, Verdict::Warn);
        assert_eq!(clock("x", at(7), (at(10), at(10))).verdict, Verdict::Warn);
    }
}
