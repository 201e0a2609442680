//! `/metrics`, for Prometheus: what this process counts, and how the ledger stands.
//!
//! The ledger is asked when somebody looks, at most every few seconds, over a connection of its own that no job can use
//! up. Where a server does not answer, that is said and its numbers are left out: none are shown that may be old. Served
//! beside the pages of `billrunner web`, and by `billrunner worker` where it has an address for it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn, map_response},
    response::{IntoResponse, Response},
    routing::get,
};
use sqlx::PgPool;
use tokio::{net::TcpListener, sync::Mutex};
use tokio_util::sync::CancellationToken;

use super::secure;
use crate::{
    metrics::{self, Snapshot},
    queue::{Queue, Registry, Streams},
    store::{
        database,
        scrape::{self, BillRunStanding, LaneStanding, NotificationCount, ScheduleStanding},
    },
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What ends an answer in the format of `OpenMetrics`.
const END: &str = "# EOF\n";
/// How long what the ledger said is good: several scrapers cost no more than one.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// Longest wait for a server: Prometheus itself waits ten seconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows counted at most, of a lane or a state: what is more is too much in any case. Of 100,000 that wait each scrape would
/// read a fifth of a gigabyte.
const COUNTED_AT_MOST: i64 = 20_000;
/// A worker says every five seconds that it lives.
const UNSEEN_SECS: f64 = 30.0;
/// What is shown as the route of a request that none takes.
const NO_ROUTE: &str = "none";

/// What `/metrics` is made from.
pub struct Metrics {
    ledger: PgPool,
    streams: Streams,
    lanes: Vec<String>,
    providers: Vec<String>,
    kinds: Vec<String>,
    looked: Mutex<Option<(Instant, String)>>,
}

impl Metrics {
    /// Makes them for a ledger, with a connection of their own; the registry tells which lanes and kinds there are.
    pub fn new<C: Clone + Send + Sync + 'static>(pool: &PgPool, streams: Streams, registry: &Registry<C>) -> Self {
        let of_providers = format!("{}.", Queue::Billing.as_str());
        let providers = registry.lane_names().filter_map(|lane| lane.strip_prefix(&of_providers).map(str::to_owned));
        Self {
            ledger: database::scrape_pool(pool),
            streams,
            providers: providers.collect(),
            lanes: registry.lane_names().map(str::to_owned).collect(),
            kinds: registry.kinds().map(str::to_owned).collect(),
            looked: Mutex::default(),
        }
    }

    async fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        metrics::process().encode(&mut text)?;
        text.push_str(&self.look().await?);
        text.push_str(END);
        Ok(text)
    }

    /// Returns what the servers say, or said a moment ago; who comes meanwhile waits for the same answer.
    async fn look(&self) -> Result<String, fmt::Error> {
        let mut looked = self.looked.lock().await;
        if let Some((at, text)) = looked.as_ref()
            && at.elapsed() < GOOD_FOR
        {
            return Ok(text.clone());
        }
        let ledger = tokio::time::timeout(PATIENCE, self.ask());
        let redis = tokio::time::timeout(PATIENCE, self.streams.ping());
        let (ledger, redis) = tokio::join!(ledger, redis);
        let mut snapshot = Snapshot::default();
        let is_up = |is_up: bool| f64::from(u8::from(is_up));
        snapshot.value("redis_up", "Whether Redis answers this process", is_up(matches!(redis, Ok(Ok(())))));
        let answers = matches!(ledger, Ok(Ok(_)));
        snapshot.value("postgres_up", "Whether Postgres answers this process", is_up(answers));
        match ledger {
            Ok(Ok(standing)) => standing.add_to(&mut snapshot),
            Ok(Err(error)) => tracing::warn!(%error, "postgres does not say how the queues stand"),
            Err(_) => tracing::warn!("postgres does not say in time how the queues stand"),
        }
        let mut text = String::new();
        snapshot.encode(&mut text)?;
        *looked = Some((Instant::now(), text.clone()));
        Ok(text)
    }

    async fn ask(&self) -> sqlx::Result<Standing> {
        let mut connection = self.ledger.acquire().await?;
        Ok(Standing {
            lanes: scrape::lanes(&mut connection, &self.lanes, COUNTED_AT_MOST).await?,
            live_workers: scrape::live_workers(&mut connection, UNSEEN_SECS).await?,
            notifications: scrape::unsettled_notifications(&mut connection, COUNTED_AT_MOST).await?,
            bill_runs: scrape::bill_runs(&mut connection, &self.providers, COUNTED_AT_MOST).await?,
            schedules: scrape::schedules(&mut connection, &self.kinds).await?,
        })
    }
}

/// How the ledger stands.
struct Standing {
    lanes: Vec<LaneStanding>,
    live_workers: f64,
    notifications: Vec<NotificationCount>,
    bill_runs: Vec<BillRunStanding>,
    schedules: Vec<ScheduleStanding>,
}

impl Standing {
    fn add_to(&self, snapshot: &mut Snapshot) {
        self.add_lanes(snapshot);
        snapshot.value("live_workers", "Workers that were seen in the last 30 seconds", self.live_workers);
        let help = "Notifications that are not settled, by state; 20000 at most";
        let of_state = |count: &NotificationCount| (vec![("outcome", count.state.clone())], count.count);
        snapshot.family("notifications", help, self.notifications.iter().map(of_state));
        self.add_bill_runs(snapshot);
        self.add_schedules(snapshot);
    }

    fn add_lanes(&self, snapshot: &mut Snapshot) {
        let mut add = |name, help, value: fn(&LaneStanding) -> f64| {
            let of_lane = |lane: &LaneStanding| (vec![("queue", lane.queue.clone())], value(lane));
            snapshot.family(name, help, self.lanes.iter().map(of_lane));
        };
        let help = "For how long the oldest job of a lane has been due without being started; 0 where none is";
        add("oldest_waiting_job_age_seconds", help, |lane| lane.oldest_waiting_age_seconds);
        add("waiting_jobs", "Jobs that are due and not started, by lane; 20000 at most", |lane| lane.waiting);
        add("scheduled_jobs", "Jobs that are due later, by lane; 20000 at most", |lane| lane.scheduled);
        add("running_jobs", "Jobs that a worker has, by lane", |lane| lane.running);
        add("dead_jobs", "Jobs that wait for somebody to decide, by lane; 20000 at most", |lane| lane.dead);
        let help = "Whether a lane is paused, by itself or with its queue";
        add("queue_paused", help, |lane| f64::from(u8::from(lane.is_paused)));
    }

    fn add_bill_runs(&self, snapshot: &mut Snapshot) {
        let mut add = |name, help, value: fn(&BillRunStanding) -> f64| {
            let of_provider = |runs: &BillRunStanding| (vec![("provider", runs.provider.clone())], value(runs));
            snapshot.family(name, help, self.bill_runs.iter().map(of_provider));
        };
        let help = "For how long the oldest bill run that is not finished has been running; 0 where none is";
        add("oldest_unfinished_bill_run_age_seconds", help, |runs| runs.oldest_running_age_seconds);
        let help = "Bill runs that need attention, with no later run of the same month, by provider";
        add("unsettled_bill_runs", help, |runs| runs.unsettled);
    }

    fn add_schedules(&self, snapshot: &mut Snapshot) {
        let mut add = |name, help, value: fn(&ScheduleStanding) -> Option<f64>| {
            let of_kind = |schedule: &ScheduleStanding| {
                value(schedule).map(|value| (vec![("kind", schedule.kind.clone())], value))
            };
            snapshot.family(name, help, self.schedules.iter().filter_map(of_kind));
        };
        let help = "For how long the tick that is due longest has been due, by kind of job; 0 where none is";
        add("schedule_overdue_seconds", help, |schedule| Some(schedule.overdue_seconds));
        let help = "Schedules whose last tick was refused or whose last job failed, by kind of job";
        add("failing_schedules", help, |schedule| Some(schedule.failing));
        let help = "When the last job of the schedules was done, of the one where that is longest ago, by kind of job";
        add("schedule_last_success_timestamp_seconds", help, |schedule| schedule.last_success_seconds);
    }
}

/// Returns the one route.
pub(super) fn router(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(show)).with_state(metrics)
}

async fn show(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text().await {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Serves `/metrics` alone until told to stop.
///
/// # Errors
/// When the listener fails.
pub async fn serve_metrics(
    metrics: Arc<Metrics>,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = router(metrics).layer(from_fn(count)).layer(map_response(secure));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Counts answers by route, which is one of ours whatever was asked for, and by class of status.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    metrics::process().request_answered(route, class(response.status()), began.elapsed());
    response
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
