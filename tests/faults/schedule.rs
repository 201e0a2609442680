//! What is to go wrong, when and for how long: drawn from the seed alone, so that the same seed plans the same faults.
//!
//! What happens to be under way when a fault comes is not reproducible: processes run as the system lets them.

use std::{fmt, time::Duration};

use billrunner::{faults::Point, mail::sink};
use rand::{Rng, SeedableRng, rngs::Xoshiro256PlusPlus};
use uuid::Uuid;

pub const WORKERS: usize = 3;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    WorkerKilled(usize),
    WorkerDies(usize, Point),
    WorkerFrozen(usize),
    ClockStepped(usize, i64),
    RedisKilled,
    RedisFlushed,
    RedisEmptied,
    RedisFailover,
    PostgresStopped,
    BackendsTerminated,
    DiskFull(Full),
    Network(usize, Link, Trouble),
    Mail(sink::Fault),
}

/// Whose disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    Postgres,
    Redis,
    Objects,
}

/// What a worker is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Postgres,
    Redis,
    Mail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Latency,
    BlackHole,
    Cut,
}

impl fmt::Display for Fault {
    /// Names its kind, whomever it hits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkerKilled(_) => f.write_str("worker killed at random"),
            Self::WorkerDies(_, point) => write!(f, "worker killed {}", point.as_str().replace('-', " ")),
            Self::WorkerFrozen(_) => f.write_str("worker frozen past its lease"),
            Self::ClockStepped(..) => f.write_str("clock of a worker stepped"),
            Self::RedisKilled => f.write_str("redis killed"),
            Self::RedisFlushed => f.write_str("redis FLUSHALL"),
            Self::RedisEmptied => f.write_str("redis killed and started empty"),
            Self::RedisFailover => f.write_str("redis failover to a lagging replica"),
            Self::PostgresStopped => f.write_str("postgres stopped at once"),
            Self::BackendsTerminated => f.write_str("postgres backends terminated"),
            Self::DiskFull(full) => write!(f, "disk of {} full", full.as_str()),
            Self::Network(_, link, trouble) => write!(f, "{} between a worker and {}", trouble.as_str(), link.as_str()),
            Self::Mail(fault) => write!(f, "mail server: {fault:?}"),
        }
    }
}

impl Full {
    fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Objects => "the object store",
        }
    }
}

impl Link {
    fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Mail => "the mail server",
        }
    }
}

impl Trouble {
    fn as_str(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::BlackHole => "black hole",
            Self::Cut => "cut",
        }
    }
}

/// A fault with its times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    /// How long after the fault before it has healed.
    pub after: Duration,
    pub fault: Fault,
    pub lasts: Duration,
}

/// Who goes first: two of them work side by side and never on the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Workers, servers and disks.
    Processes,
    /// The network and what the mail server answers.
    Network,
}

/// Chance that a seed decides, with an algorithm that rand names portable: a release of it plans no other faults.
pub struct Chance(Xoshiro256PlusPlus);

impl Chance {
    pub fn of(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Returns a number below another one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end.max(1)
    }

    pub fn id(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.0.next_u64(), self.0.next_u64())
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        let place = usize::try_from(self.below(of.len() as u64)).unwrap_or(0);
        of[place]
    }

    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// Draws one hand's faults, without an end.
pub struct Schedule {
    chance: Chance,
    hand: Hand,
    haste: u32,
}

impl Schedule {
    /// Pauses are divided by `haste`; which faults come is the same at any.
    pub fn new(seed: u64, hand: Hand, haste: u32) -> Self {
        // The hands draw from streams of their own, so that neither depends on how far the other has come.
        let salt = if hand == Hand::Processes { 0 } else { 0x9e37_79b9_7f4a_7c15 };
        Self { chance: Chance::of(seed ^ salt), hand, haste }
    }

    fn worker(&mut self) -> usize {
        self.chance.one_of(&[0, 1, 2])
    }

    fn of_processes(&mut self) -> (Fault, Duration) {
        let worker = self.worker();
        let fault = match self.chance.below(100) {
            0..18 => Fault::WorkerKilled(worker),
            18..46 => Fault::WorkerDies(worker, self.chance.one_of(&Point::ALL)),
            46..51 => Fault::WorkerFrozen(worker),
            51..56 => Fault::ClockStepped(worker, self.chance.one_of(&[-3600, -60, 60, 3600])),
            56..64 => Fault::RedisKilled,
            64..74 => Fault::RedisFlushed,
            74..79 => Fault::RedisEmptied,
            79..84 => Fault::RedisFailover,
            84..88 => Fault::PostgresStopped,
            88..94 => Fault::BackendsTerminated,
            94..96 => Fault::DiskFull(Full::Postgres),
            96..98 => Fault::DiskFull(Full::Redis),
            _ => Fault::DiskFull(Full::Objects),
        };
        let lasts = match fault {
            Fault::WorkerFrozen(_) => self.chance.millis(6_500, 9_000),
            Fault::BackendsTerminated | Fault::RedisFlushed | Fault::WorkerDies(..) => Duration::ZERO,
            Fault::ClockStepped(..) => self.chance.millis(2_000, 5_000),
            _ => self.chance.millis(100, 2_500),
        };
        (fault, lasts)
    }

    fn of_network(&mut self) -> (Fault, Duration) {
        use sink::Fault as Answer;
        let answers = [
            Answer::RefuseSender,
            Answer::RefuseRecipient,
            Answer::RejectRecipient,
            Answer::HangUpPolitely,
            Answer::DropBeforeContent,
            Answer::RefuseContent,
            Answer::RejectContent,
            Answer::DropDuringContent,
            Answer::DropAfterContent,
        ];
        if self.chance.percent(50) {
            return (Fault::Mail(self.chance.one_of(&answers)), Duration::ZERO);
        }
        let link = self.chance.one_of(&[Link::Postgres, Link::Redis, Link::Mail]);
        let trouble = self.chance.one_of(&[Trouble::Latency, Trouble::BlackHole, Trouble::Cut]);
        let worker = self.worker();
        (Fault::Network(worker, link, trouble), self.chance.millis(100, 4_000))
    }
}

impl Iterator for Schedule {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        let after = self.chance.millis(100, 1_200) / self.haste;
        let (fault, lasts) = match self.hand {
            Hand::Processes => self.of_processes(),
            Hand::Network => self.of_network(),
        };
        Some(Planned { after, fault, lasts })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_plans_the_same_faults_and_another_one_others() {
        for hand in [Hand::Processes, Hand::Network] {
            let planned = |seed| Schedule::new(seed, hand, 1).take(200).collect::<Vec<_>>();
            assert_eq!(planned(8), planned(8));
            assert_ne!(planned(8), planned(9));
        }
    }

    #[test]
    fn every_kind_of_fault_is_planned_before_long() {
        let planned = |hand| Schedule::new(1, hand, 1).take(1_000).map(|planned| planned.fault.to_string());
        let kinds: BTreeSet<String> = planned(Hand::Processes).chain(planned(Hand::Network)).collect();
        // Twelve of processes beside the points, disks among them; nine of the network and nine answers.
        assert_eq!(kinds.len(), 12 + Point::ALL.len() + 9 + 9, "{kinds:#?}");
    }
}
