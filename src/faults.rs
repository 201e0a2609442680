//! Where the fault harness (tests/faults) has a process die, and which of its promises it has it break.
//!
//! Compiled in by the feature `faults`, which no release has: without it both functions are empty and nothing is read.
//! The environment of a worker names a [`Point`] in `FAULTS_DIE_AT` and a [`Mutation`] in `FAULTS_MUTATION`.

/// A place in a job's life at which a worker can be made to die, as if by `kill -9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Messages were read from Redis and not claimed.
    AfterFetch,
    /// Effects and outcome were written and not committed.
    BeforeCommit,
    /// Effects and outcome were committed, and the message is still in Redis.
    AfterCommit,
    /// The mail server has taken a mail, and nothing says so.
    AfterData,
    /// A document was rendered and not stored.
    AfterRender,
    /// A document was stored, and no row refers to it.
    AfterStore,
}

/// A promise that can be broken on purpose, to see that somebody notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Whatever message comes is claimed, also a stale copy.
    ClaimGuardSkipped,
    /// A mail goes out before its notification says so.
    SendBeforeCommit,
    /// Nobody looks for what Redis lost.
    ReconcileOff,
    /// A worker lets its leases run out.
    RenewalOff,
    /// The next fiscal number is the highest there is, and one.
    NumbersByMax,
    /// A job is done before its effects are committed.
    AckBeforeCommit,
    /// An attempt that was taken away commits.
    FencingSkipped,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::AfterFetch, Self::BeforeCommit, Self::AfterCommit, Self::AfterData, Self::AfterRender, Self::AfterStore];

    /// Returns the name that the environment gives it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfterFetch => "after-fetch",
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
            Self::AfterData => "after-data",
            Self::AfterRender => "after-render",
            Self::AfterStore => "after-store",
        }
    }
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ClaimGuardSkipped,
        Self::SendBeforeCommit,
        Self::ReconcileOff,
        Self::RenewalOff,
        Self::NumbersByMax,
        Self::AckBeforeCommit,
        Self::FencingSkipped,
    ];

    /// Returns the name that the environment gives it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClaimGuardSkipped => "claim-guard-skipped",
            Self::SendBeforeCommit => "send-before-commit",
            Self::ReconcileOff => "reconcile-off",
            Self::RenewalOff => "renewal-off",
            Self::NumbersByMax => "numbers-by-max",
            Self::AckBeforeCommit => "ack-before-commit",
            Self::FencingSkipped => "fencing-skipped",
        }
    }
}

#[cfg(not(feature = "faults"))]
mod planted {
    use super::{Mutation, Point};

    /// Does nothing.
    #[inline]
    pub const fn reached(_: Point) {}

    /// Says no.
    #[inline]
    pub const fn is_planted(_: Mutation) -> bool {
        false
    }
}

#[cfg(feature = "faults")]
mod planted {
    use std::sync::LazyLock;

    use rustix::process::{Signal, getpid, kill_process};

    use super::{Mutation, Point};

    static DIES_AT: LazyLock<Option<Point>> =
        LazyLock::new(|| named("FAULTS_DIE_AT", |name| Point::ALL.into_iter().find(|point| point.as_str() == name)));
    static MUTATION: LazyLock<Option<Mutation>> = LazyLock::new(|| {
        named("FAULTS_MUTATION", |name| Mutation::ALL.into_iter().find(|mutation| mutation.as_str() == name))
    });

    fn named<T>(variable: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let name = std::env::var(variable).ok()?;
        let found = find(&name);
        if found.is_none() {
            tracing::error!(variable, name, "there is nothing of this name");
        }
        found
    }

    /// Ends this process where it was told to die here.
    pub fn reached(point: Point) {
        if *DIES_AT == Some(point) && kill_process(getpid(), Signal::KILL).is_ok() {
            loop {
                std::thread::park();
            }
        }
    }

    /// Tells whether this promise is to be broken.
    pub fn is_planted(mutation: Mutation) -> bool {
        *MUTATION == Some(mutation)
    }
}

pub use planted::{is_planted, reached};
