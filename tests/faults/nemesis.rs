//! Makes go wrong what was planned, mends it, and notes when: one hand breaks processes, the other the network.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use billrunner::{clock::Clock, mail::sink::Sink};
use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::{
    proxy::{Proxy, Way},
    schedule::{Fault, Full, Link, Planned, Trouble},
    site::Machines,
    workers::{Ways, fake_time},
};

/// What latency adds to whatever passes.
const LATENCY: Duration = Duration::from_millis(200);

/// A fault that came to pass.
#[derive(Clone, Debug)]
pub struct Injected {
    pub kind: String,
    pub healed_at: DateTime<Utc>,
}

/// What one hand did.
#[derive(Debug, Default)]
pub struct Deeds {
    pub injected: Vec<Injected>,
    /// What could not be injected here, and why; how often it was planned.
    pub skipped: BTreeMap<String, u64>,
    /// Workers that ended by themselves, as one does that finds no Postgres when it starts, and were started again.
    pub restarts: usize,
    /// Whether something happened that takes jobs away from a worker: only then may one be written off.
    pub takes_jobs_away: bool,
}

impl Deeds {
    fn note(&mut self, fault: Fault, outcome: Outcome) {
        match outcome {
            Outcome::Injected => {
                self.injected.push(Injected { kind: fault.to_string(), healed_at: Clock::System.now() });
            }
            Outcome::Skipped(why) => *self.skipped.entry(format!("{fault}: {why}")).or_default() += 1,
        }
    }
}

#[derive(Clone, Copy)]
enum Outcome {
    Injected,
    Skipped(&'static str),
}

/// Breaks workers, servers and disks until a moment.
pub async fn break_processes(
    machines: &mut Machines,
    planned: impl Iterator<Item = Planned>,
    until: Instant,
) -> Result<Deeds> {
    let mut deeds = Deeds::default();
    for Planned { after, fault, lasts } in planned {
        if Instant::now() + after >= until {
            break;
        }
        tokio::time::sleep(after).await;
        let outcome = machines.suffer(fault, lasts).await?;
        deeds.note(fault, outcome);
        deeds.takes_jobs_away = true;
        deeds.restarts += machines.supervise()?;
    }
    Ok(deeds)
}

impl Machines {
    /// Has one fault happen and mends it.
    async fn suffer(&mut self, fault: Fault, lasts: Duration) -> Result<Outcome> {
        match fault {
            Fault::WorkerKilled(worker) => {
                self.workplaces[worker].kill()?;
                tokio::time::sleep(lasts).await;
                self.workplaces[worker].start()?;
            }
            Fault::WorkerDies(worker, point) => {
                let has_died = self.workplaces[worker].die_at(point).await?;
                self.workplaces[worker].start()?;
                if !has_died {
                    return Ok(Outcome::Skipped("no job came to this point"));
                }
            }
            Fault::WorkerFrozen(worker) => {
                if self.workplaces[worker].freeze().is_ok() {
                    tokio::time::sleep(lasts).await;
                    self.workplaces[worker].thaw()?;
                }
            }
            Fault::ClockStepped(worker, seconds) => return self.step_clock(worker, seconds, lasts).await,
            Fault::RedisKilled | Fault::RedisEmptied => {
                self.redis.kill()?;
                tokio::time::sleep(lasts).await;
                self.redis.start_again(fault == Fault::RedisEmptied).await?;
            }
            Fault::RedisFlushed => self.redis.flush_all().await?,
            Fault::RedisFailover => {
                self.redis.cut_replica_off().await?;
                tokio::time::sleep(lasts).await;
                self.redis.fail_over().await?;
                self.follow_master();
                self.redis.replicate_again().await?;
            }
            Fault::PostgresStopped => {
                self.postgres.stop_at_once()?;
                tokio::time::sleep(lasts).await;
                self.postgres.start_again().await?;
            }
            Fault::BackendsTerminated => self.postgres.end_connections().await?,
            Fault::DiskFull(full) => return self.fill_disk(full, lasts).await,
            // The other hand's.
            Fault::Network(..) | Fault::Mail(_) => {}
        }
        Ok(Outcome::Injected)
    }

    async fn step_clock(&mut self, worker: usize, seconds: i64, lasts: Duration) -> Result<Outcome> {
        let Some(library) = fake_time() else { return Ok(Outcome::Skipped("libfaketime is not installed")) };
        let environment = [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME", format!("{seconds:+}")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        self.workplaces[worker].start_with(&environment)?;
        tokio::time::sleep(lasts).await;
        self.workplaces[worker].kill()?;
        self.workplaces[worker].start()?;
        Ok(Outcome::Injected)
    }

    async fn fill_disk(&mut self, full: Full, lasts: Duration) -> Result<Outcome> {
        let disk = match full {
            Full::Postgres => &self.postgres.disk,
            Full::Redis => &self.redis.disk,
            Full::Objects => &self.objects,
        };
        if !disk.can_be_full() {
            return Ok(Outcome::Skipped("no small disk can be mounted here"));
        }
        disk.fill()?;
        tokio::time::sleep(lasts).await;
        disk.make_room()?;
        match full {
            Full::Postgres => self.postgres.start_again().await?,
            Full::Redis => self.redis.replicate().await?,
            Full::Objects => {}
        }
        Ok(Outcome::Injected)
    }
}

/// Breaks the workers' ways and has the mail server answer wrongly, until a moment.
pub async fn break_network(
    ways: &[Arc<Ways>],
    sink: &Sink,
    planned: impl Iterator<Item = Planned>,
    until: Instant,
) -> Deeds {
    let mut deeds = Deeds::default();
    for Planned { after, fault, lasts } in planned {
        if Instant::now() + after >= until {
            break;
        }
        tokio::time::sleep(after).await;
        match fault {
            Fault::Network(worker, link, trouble) => {
                let proxy = ways[worker].to(link);
                proxy.set(trouble.way());
                tokio::time::sleep(lasts).await;
                proxy.set(Way::Open);
                deeds.takes_jobs_away |= link != Link::Mail;
            }
            Fault::Mail(answer) => sink.plan(answer),
            _ => {}
        }
        deeds.note(fault, Outcome::Injected);
    }
    deeds
}

impl Ways {
    fn to(&self, link: Link) -> &Proxy {
        match link {
            Link::Postgres => &self.postgres,
            Link::Redis => &self.redis,
            Link::Mail => &self.mail,
        }
    }
}

impl Trouble {
    fn way(self) -> Way {
        match self {
            Self::Latency => Way::Slow(LATENCY),
            Self::BlackHole => Way::Silent,
            Self::Cut => Way::Cut,
        }
    }
}
