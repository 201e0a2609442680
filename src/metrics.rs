//! What this process counts of itself, for `/metrics`: attempts, mails, documents, imports, requests, connections.
//!
//! Counted where it happens, by `jobs`, `queue`, `mail` and `http`. An attempt pays for four atomics and one short lock, as the
//! series of its kind are looked up once, when a worker starts. Labels are `queue`, `kind`, `provider` and `outcome`
//! alone, and their values come from fixed lists: the number of series does not grow with the data. The numbers are the
//! process's, so they are kept for it as a whole; what the ledger knows is asked by `http::metrics`, in a [`Snapshot`].

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak, atomic::AtomicU64},
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::text::encode_registry,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use sqlx::PgPool;

/// First part of every name.
const PREFIX: &str = "billrunner";
/// The labels there are.
const QUEUE: &str = "queue";
const KIND: &str = "kind";
const PROVIDER: &str = "provider";
const OUTCOME: &str = "outcome";

/// Upper bounds in seconds: a no-op job takes less than a millisecond, an import up to an hour.
const JOB_SECONDS: [f64; 14] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];
/// Upper bounds in seconds of what somebody waits for: an answer, a mail server, a document.
const ANSWER_SECONDS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// What becomes of mails, as [`ProcessMetrics::mail_ended`] counts it.
const MAIL_OUTCOMES: [&str; 4] = ["sent", "deferred", "failed", "uncertain"];

type Labels<V, const N: usize> = [(&'static str, V); N];
type Counters<V, const N: usize> = Family<Labels<V, N>, Counter>;
type Histograms<V> = Family<Labels<V, 1>, Histogram, fn() -> Histogram>;

static PROCESS: LazyLock<ProcessMetrics> = LazyLock::new(ProcessMetrics::new);

/// Returns the numbers of this process.
pub fn process() -> &'static ProcessMetrics {
    &PROCESS
}

/// What one process counts.
pub struct ProcessMetrics {
    registry: Registry,
    attempts_started: Counters<&'static str, 1>,
    attempts_finished: Counters<&'static str, 2>,
    attempts_running: Family<Labels<&'static str, 1>, Gauge>,
    attempt_duration: Histograms<&'static str>,
    jobs_rescued: Counter,
    jobs_redispatched: Counters<String, 1>,
    mails: Counters<&'static str, 1>,
    mail_duration: Histogram,
    document_duration: Histograms<&'static str>,
    imported_rows: Counters<&'static str, 1>,
    requests: Counters<String, 2>,
    request_duration: Histograms<String>,
    pools: Mutex<Vec<Weak<(&'static str, PgPool)>>>,
}

fn of_jobs() -> Histogram {
    Histogram::new(JOB_SECONDS)
}

fn of_answers() -> Histogram {
    Histogram::new(ANSWER_SECONDS)
}

impl ProcessMetrics {
    fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            attempts_started: Family::default(),
            attempts_finished: Family::default(),
            attempts_running: Family::default(),
            attempt_duration: Family::new_with_constructor(of_jobs),
            jobs_rescued: Counter::default(),
            jobs_redispatched: Family::default(),
            mails: Family::default(),
            mail_duration: of_answers(),
            document_duration: Family::new_with_constructor(of_jobs),
            imported_rows: Family::default(),
            requests: Family::default(),
            request_duration: Family::new_with_constructor(of_answers),
            pools: Mutex::default(),
        };
        for outcome in MAIL_OUTCOMES {
            metrics.mails.get_or_create(&[(OUTCOME, outcome)]).inc_by(0);
        }
        metrics.described()
    }

    /// Gives every metric its name and its meaning.
    fn described(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("build", "The release that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let started = self.attempts_started.clone();
        registry.register(
            "job_attempts_started",
            "Attempts at jobs that this process started, by kind of job",
            started,
        );
        let finished = self.attempts_finished.clone();
        let help = "Attempts at jobs that ended, by kind of job and by what became of them";
        registry.register("job_attempts_finished", help, finished);
        let running = self.attempts_running.clone();
        registry.register("running_job_attempts", "Attempts at jobs that this process is at, by kind of job", running);
        let help = "How long attempts at jobs took, by kind of job";
        registry.register("job_attempt_duration_seconds", help, self.attempt_duration.clone());
        let help = "Jobs taken over from workers that vanished while running them";
        registry.register("jobs_rescued", help, self.jobs_rescued.clone());
        let help = "Jobs that Redis had lost and that were sent again, by lane";
        registry.register("jobs_redispatched", help, self.jobs_redispatched.clone());
        registry.register("mails", "Mails by what became of them; deferred ones are tried again", self.mails.clone());
        let help = "How long sending a mail took, whatever became of it, with the wait for a connection";
        registry.register("mail_duration_seconds", help, self.mail_duration.clone());
        let help = "How long documents took to render and to store, by kind of document";
        registry.register("document_render_duration_seconds", help, self.document_duration.clone());
        let help = "Charges read from charge files into Postgres, by provider";
        registry.register("imported_rows", help, self.imported_rows.clone());
        let help = "Answers to HTTP requests, by route and class of status";
        registry.register("http_requests", help, self.requests.clone());
        let help = "How long answers to HTTP requests took, by route";
        registry.register("http_request_duration_seconds", help, self.request_duration.clone());
        self
    }

    /// Looks up what is counted of attempts at jobs of these kinds; all of it is exported from then on.
    pub fn attempts(&self, kinds: impl Iterator<Item = &'static str>) -> AttemptMetrics {
        let of_kind = |kind: &'static str| {
            let finished = |outcome: AttemptOutcome| {
                let labels = [(KIND, kind), (OUTCOME, outcome.as_str())];
                (outcome, self.attempts_finished.get_or_create(&labels).clone())
            };
            Arc::new(OfKind {
                started: self.attempts_started.get_or_create(&[(KIND, kind)]).clone(),
                running: self.attempts_running.get_or_create(&[(KIND, kind)]).clone(),
                finished: AttemptOutcome::ALL.map(finished),
                duration: self.attempt_duration.get_or_create(&[(KIND, kind)]).clone(),
            })
        };
        let kinds = kinds.map(|kind| (kind, of_kind(kind))).collect();
        AttemptMetrics { kinds: Arc::new(kinds), unknown: of_kind("unknown") }
    }

    /// Counts jobs that were taken over from workers that vanished.
    pub fn jobs_rescued(&self, count: u64) {
        self.jobs_rescued.inc_by(count);
    }

    /// Counts jobs of a lane that Redis had lost; with a count of zero the lane is exported.
    pub fn jobs_redispatched(&self, lane: &str, count: u64) {
        self.jobs_redispatched.get_or_create(&[(QUEUE, lane.to_owned())]).inc_by(count);
    }

    /// Counts a mail by what became of it, and records how long that took.
    pub fn mail_ended(&self, outcome: &'static str, time: Duration) {
        self.mails.get_or_create(&[(OUTCOME, outcome)]).inc();
        self.mail_duration.observe(time.as_secs_f64());
    }

    /// Records how long a document took.
    pub fn document_rendered(&self, kind: &'static str, time: Duration) {
        self.document_duration.get_or_create(&[(KIND, kind)]).observe(time.as_secs_f64());
    }

    /// Counts charges that were read from a file of a provider.
    pub fn rows_imported(&self, provider: &'static str, count: u64) {
        self.imported_rows.get_or_create(&[(PROVIDER, provider)]).inc_by(count);
    }

    /// Counts an answer to an HTTP request, by route and class of status.
    pub fn request_answered(&self, route: &str, outcome: &str, time: Duration) {
        let labels = [(KIND, route.to_owned()), (OUTCOME, outcome.to_owned())];
        self.requests.get_or_create(&labels).inc();
        self.request_duration.get_or_create(&[(KIND, route.to_owned())]).observe(time.as_secs_f64());
    }

    /// Counts a pool's connections under a name, as long as the value that is returned lives.
    pub fn watch_pool(&self, kind: &'static str, pool: &PgPool) -> WatchedPool {
        let watched = Arc::new((kind, pool.clone()));
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&watched));
        WatchedPool { _watched: watched }
    }

    /// Writes all of it in the text format of `OpenMetrics`, without the mark at its end.
    ///
    /// # Errors
    /// When the writer fails; a string does not.
    pub fn encode(&self, text: &mut String) -> fmt::Result {
        encode_registry(text, &self.registry)?;
        let mut connections = Snapshot::default();
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        let alive: Vec<_> = pools.iter().filter_map(Weak::upgrade).collect();
        drop(pools);
        let (mut open, mut most) = (Vec::new(), Vec::new());
        for pool in &alive {
            let (kind, pool) = pool.as_ref();
            let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
            let busy = pool.size().saturating_sub(idle);
            let labels = |outcome: &str| vec![(KIND, (*kind).to_owned()), (OUTCOME, outcome.to_owned())];
            open.extend([(labels("busy"), f64::from(busy)), (labels("idle"), f64::from(idle))]);
            most.push((vec![(KIND, (*kind).to_owned())], f64::from(pool.options().get_max_connections())));
        }
        connections.family("postgres_connections", "Open connections to Postgres, by pool and whether in use", open);
        connections.family("postgres_max_connections", "Connections to Postgres that a pool opens at most", most);
        connections.encode(text)
    }
}

/// What is counted of attempts, by kind of job; made once for a worker.
#[derive(Clone)]
pub struct AttemptMetrics {
    kinds: Arc<HashMap<&'static str, Arc<OfKind>>>,
    unknown: Arc<OfKind>,
}

struct OfKind {
    started: Counter,
    running: Gauge,
    finished: [(AttemptOutcome, Counter); AttemptOutcome::ALL.len()],
    duration: Histogram,
}

impl AttemptMetrics {
    /// Counts an attempt as started, and as running until the value that is returned is dropped.
    pub fn start(&self, kind: &str) -> RunningAttempt {
        let of_kind = self.kinds.get(kind).unwrap_or(&self.unknown).clone();
        of_kind.started.inc();
        of_kind.running.inc();
        RunningAttempt { of_kind, started_at: Instant::now(), outcome: AttemptOutcome::HandedBack }
    }
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Its job is done.
    Done,
    /// It failed, and its job runs again.
    Retried,
    /// It was not yet time.
    Snoozed,
    /// It failed for good.
    Dead,
    /// Somebody asked for its end.
    Cancelled,
    /// It was taken away meanwhile.
    Superseded,
    /// Its worker stopped before it ended.
    HandedBack,
}

impl AttemptOutcome {
    const ALL: [Self; 7] =
        [Self::Done, Self::Retried, Self::Snoozed, Self::Dead, Self::Cancelled, Self::Superseded, Self::HandedBack];

    /// Returns its name, as metrics and traces show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retried => "retried",
            Self::Snoozed => "snoozed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::HandedBack => "handed_back",
        }
    }
}

/// An attempt that runs as long as the value.
pub struct RunningAttempt {
    of_kind: Arc<OfKind>,
    started_at: Instant,
    outcome: AttemptOutcome,
}

impl RunningAttempt {
    /// Ends it, and says what became of it.
    pub fn end(mut self, outcome: AttemptOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for RunningAttempt {
    fn drop(&mut self) {
        self.of_kind.running.dec();
        self.of_kind.duration.observe(self.started_at.elapsed().as_secs_f64());
        if let Some((_, counter)) = self.of_kind.finished.iter().find(|(outcome, _)| *outcome == self.outcome) {
            counter.inc();
        }
    }
}

/// A pool whose connections are counted as long as the value lives.
pub struct WatchedPool {
    _watched: Arc<(&'static str, PgPool)>,
}

/// The labels of one sample, each with its value.
pub type SampleLabels = Vec<(&'static str, String)>;

/// Values that were looked up for one answer.
pub struct Snapshot(Registry);

impl Default for Snapshot {
    fn default() -> Self {
        Self(Registry::with_prefix(PREFIX))
    }
}

impl Snapshot {
    /// Adds a value without labels.
    pub fn value(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    /// Adds values told apart by labels; those of the same labels are added up.
    pub fn family(&mut self, name: &str, help: &str, samples: impl IntoIterator<Item = (SampleLabels, f64)>) {
        let family = Family::<SampleLabels, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in samples {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }

    /// Writes them in the text format of `OpenMetrics`, without the mark at its end.
    ///
    /// # Errors
    /// When the writer fails; a string does not.
    pub fn encode(&self, text: &mut String) -> fmt::Result {
        encode_registry(text, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(metrics: &ProcessMetrics) -> String {
        let mut text = String::new();
        metrics.encode(&mut text).expect("written");
        text
    }

    #[test]
    fn an_attempt_runs_until_it_ends_and_is_counted_by_what_became_of_it() {
        let metrics = ProcessMetrics::new();
        let attempts = metrics.attempts(["import_charges"].into_iter());
        let (ended, dropped) = (attempts.start("import_charges"), attempts.start("import_charges"));
        let text = exported(&metrics);
        assert!(text.contains("billrunner_running_job_attempts{kind=\"import_charges\"} 2\n"), "{text}");
        ended.end(AttemptOutcome::Retried);
        drop(dropped);
        let text = exported(&metrics);
        for line in [
            "billrunner_job_attempts_started_total{kind=\"import_charges\"} 2\n",
            "billrunner_running_job_attempts{kind=\"import_charges\"} 0\n",
            "billrunner_job_attempts_finished_total{kind=\"import_charges\",outcome=\"retried\"} 1\n",
            "billrunner_job_attempts_finished_total{kind=\"import_charges\",outcome=\"handed_back\"} 1\n",
            "billrunner_job_attempts_finished_total{kind=\"import_charges\",outcome=\"done\"} 0\n",
            "billrunner_job_attempt_duration_seconds_count{kind=\"import_charges\"} 2\n",
        ] {
            assert!(text.contains(line), "{line} is not in: {text}");
        }
    }

    #[test]
    fn a_kind_that_is_not_known_makes_no_series_of_its_own() {
        let metrics = ProcessMetrics::new();
        drop(metrics.attempts(["import_charges"].into_iter()).start("unheard_of"));
        let text = exported(&metrics);
        assert!(text.contains("billrunner_job_attempts_started_total{kind=\"unknown\"} 1\n"), "{text}");
        assert!(!text.contains("unheard_of"), "{text}");
    }
}
