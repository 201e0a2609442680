//! From the ledger to Redis: due jobs become messages.
//!
//! Every worker runs this loop; `FOR UPDATE SKIP LOCKED` keeps them apart, so there is no leader. It wakes when a
//! handler completed, when another process says so over LISTEN/NOTIFY, and when the next waiting job is due.
//!
//! Redis gets a lane's next fraction of a second of work, not all of it: what waits in Postgres can still be overtaken by
//! a more urgent job, paused, limited and cancelled.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{Acquire, PgConnection, PgPool};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{backoff::Reconnect, outages::Outages, registry::Lanes, servers::Masters, streams::Streams};
use crate::{
    store::{
        jobs::{self, Dispatch, Room},
        queue_controls::{self, Allowance},
    },
    traces::{self, Message},
};

/// Fewest and most unread messages that a lane is filled up to.
const MIN_WINDOW: i64 = 16;
const MAX_WINDOW: i64 = 4096;
/// Shortest and longest wait before a lane that is full, or has more to give, is looked at again.
const MIN_REFILL: Duration = Duration::from_millis(5);
const MAX_REFILL: Duration = Duration::from_millis(160);
/// A look for ended batches is followed by a break of so many times its length.
const BATCHES_BREAK: u32 = 20;
/// Longest sleep: what a lost notification can cost.
const MAX_SLEEP: Duration = Duration::from_secs(5);

/// How others tell the dispatch loop of their process that there is something to do.
#[derive(Clone, Default)]
pub(super) struct Wake(Arc<WakeState>);

#[derive(Default)]
struct WakeState {
    notify: Notify,
    has_limits: AtomicBool,
}

impl Wake {
    /// A job may be due.
    pub fn now(&self) {
        self.0.notify.notify_one();
    }

    /// A job ended and left none behind: of interest only where a limit holds others back.
    pub fn job_ended(&self) {
        if self.0.has_limits.load(Ordering::Relaxed) {
            self.now();
        }
    }
}

/// The dispatch loop of a process.
pub(super) struct Dispatcher {
    pub pool: PgPool,
    pub streams: Streams,
    pub wake: Wake,
    pub outages: Outages,
    pub stop: CancellationToken,
    lanes: Vec<LaneFlow>,
    refill: Duration,
    batches_at: Instant,
}

/// A lane's window: how many unread messages it is filled up to.
struct LaneFlow {
    name: String,
    window: i64,
    /// Whether the last round left jobs behind for want of room.
    was_full: bool,
}

impl LaneFlow {
    /// Returns how many messages the lane takes. The window doubles where a full lane was read empty, and shrinks where it
    /// stays full: it follows what the workers take between two looks.
    fn places(&mut self, unread: i64) -> i64 {
        if self.was_full && unread == 0 {
            self.window = (self.window * 2).min(MAX_WINDOW);
        } else if unread > self.window / 2 {
            self.window = (self.window - self.window / 8).max(MIN_WINDOW);
            return 0;
        }
        self.window - unread
    }
}

#[derive(Debug, thiserror::Error)]
enum DispatchError {
    #[error("postgres: {0}")]
    Postgres(#[from] sqlx::Error),
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
}

impl Dispatcher {
    pub fn new(
        ledger: (PgPool, Wake),
        streams: Streams,
        outages: Outages,
        lanes: &Lanes,
        stop: CancellationToken,
    ) -> Self {
        let flow = |name: &String| LaneFlow { name: name.clone(), window: MIN_WINDOW, was_full: false };
        let lanes = lanes.iter().map(|(_, name)| flow(name)).collect();
        let (pool, wake) = ledger;
        Self { pool, streams, wake, outages, stop, lanes, refill: MIN_REFILL, batches_at: Instant::now() }
    }

    /// Dispatches until told to stop, outliving both servers' absences.
    pub async fn run(mut self) {
        let stop = self.stop.clone();
        let Some(mut redis) = self.streams.masters_patiently(&stop).await else { return };
        let mut reconnect = Reconnect::new();
        while !stop.is_cancelled() {
            match self.round(&mut redis).await {
                Ok(sleep) => {
                    reconnect = Reconnect::new();
                    let wake = self.wake.clone();
                    tokio::select! {
                        () = wake.0.notify.notified() => {}
                        () = tokio::time::sleep(sleep) => {}
                        () = stop.cancelled() => return,
                    }
                }
                Err(error) => {
                    let seen_at = Instant::now();
                    if reconnect.is_first() {
                        tracing::warn!(%error, "dispatch waits");
                    }
                    tokio::select! {
                        () = reconnect.pause() => {}
                        () = stop.cancelled() => return,
                    }
                    if matches!(error, DispatchError::Redis(_)) {
                        let Some(masters) = self.streams.masters_patiently(&stop).await else { return };
                        redis = masters;
                        self.outages.over(seen_at);
                    }
                }
            }
        }
    }

    /// Sends what is due and has room. Returns how long nothing more is to do.
    async fn round(&mut self, redis: &mut Masters) -> Result<Duration, DispatchError> {
        let names: Vec<&str> = self.lanes.iter().map(|lane| lane.name.as_str()).collect();
        let unread = self.streams.count_unread(redis, &names).await?;
        let rooms: Vec<Room> = self
            .lanes
            .iter_mut()
            .zip(unread)
            .map(|(lane, unread)| Room {
                queue: lane.name.clone(),
                places: lane.places(unread),
                bound: lane.name.clone(),
                bound_places: None,
            })
            .collect();
        let mut connection = self.pool.acquire().await?;
        let batches = self.release_batches(&mut connection).await?;
        let (dispatches, next_token) = self.take(&mut connection, rooms.clone()).await?;
        if !dispatches.is_empty()
            && let Err(error) = self.send(redis, &dispatches).await
        {
            jobs::undo_dispatch(&mut connection, &dispatches).await?;
            return Err(error.into());
        }
        if let Some(refill) = self.next_refill(&rooms, &dispatches) {
            return Ok(refill.min(batches));
        }
        let due = jobs::seconds_until_due(&mut connection).await?;
        let shortest = [due, next_token].into_iter().flatten().fold(f64::INFINITY, f64::min);
        let due = Duration::try_from_secs_f64(shortest + 0.001).unwrap_or(MAX_SLEEP);
        Ok(due.min(batches))
    }

    async fn send(&self, redis: &mut Masters, dispatches: &[Dispatch]) -> redis::RedisResult<()> {
        let span = start_span(dispatches);
        let sent = self.streams.add(redis, dispatches).instrument(span.clone()).await;
        if sent.is_err() {
            traces::fail(&span, "redis");
        }
        sent
    }

    /// Looks for batches that ended, and returns when to look again. The larger the batches under way, the rarer: most of
    /// the time is for dispatching.
    async fn release_batches(&mut self, connection: &mut PgConnection) -> sqlx::Result<Duration> {
        let began = Instant::now();
        if began < self.batches_at {
            return Ok(self.batches_at - began);
        }
        jobs::release_batches(connection).await?;
        self.batches_at = Instant::now() + began.elapsed() * BATCHES_BREAK;
        Ok(MAX_SLEEP)
    }

    /// Takes due jobs within the rooms and what limits allow; also returns when the next token of an empty bucket comes.
    async fn take(
        &self,
        connection: &mut PgConnection,
        mut rooms: Vec<Room>,
    ) -> sqlx::Result<(Vec<Dispatch>, Option<f64>)> {
        let has_limits = queue_controls::has_limits(connection).await?;
        self.wake.0.has_limits.store(has_limits, Ordering::Relaxed);
        if !has_limits {
            return Ok((jobs::take_due(connection, &rooms, false).await?, None));
        }
        let mut transaction = connection.begin().await?;
        let allowances = queue_controls::hold_allowances(&mut transaction).await?;
        bind(&mut rooms, &allowances);
        let dispatches = jobs::take_due(&mut transaction, &rooms, true).await?;
        let lanes: Vec<String> = dispatches.iter().map(|dispatch| dispatch.queue.clone()).collect();
        let next_token = queue_controls::spend_tokens(&mut transaction, &lanes).await?;
        transaction.commit().await?;
        Ok((dispatches, next_token))
    }

    /// Returns when a lane with more to do than room is looked at again, if there is one: soon where much moves, later
    /// where it does not.
    fn next_refill(&mut self, rooms: &[Room], dispatches: &[Dispatch]) -> Option<Duration> {
        let mut sent: HashMap<&str, i64> = HashMap::new();
        for dispatch in dispatches {
            *sent.entry(&dispatch.queue).or_default() += 1;
        }
        for (lane, room) in self.lanes.iter_mut().zip(rooms) {
            lane.was_full = sent.get(lane.name.as_str()).copied().unwrap_or(0) >= room.places;
        }
        if !self.lanes.iter().any(|lane| lane.was_full) {
            self.refill = MIN_REFILL;
            return None;
        }
        self.refill = if dispatches.is_empty() { (self.refill * 2).min(MAX_REFILL) } else { MIN_REFILL };
        Some(self.refill)
    }
}

/// Starts the span of sending to Redis, where anybody wants one.
fn start_span(dispatches: &[Dispatch]) -> Span {
    if !traces::are_wanted() {
        return Span::none();
    }
    let messages = dispatches.iter().map(|sent| Message::new(&sent.queue, sent.traceparent.as_deref()));
    let span = traces::dispatch(&messages.collect::<Vec<_>>());
    if let [alone] = dispatches {
        traces::is_of(&span, &alone.id);
    }
    span
}

/// Narrows rooms to what limits allow: a lane's own is its alone, a queue's is shared by all of its lanes.
fn bind(rooms: &mut [Room], allowances: &[Allowance]) {
    for room in rooms {
        let queue = room.queue.split('.').next().unwrap_or_default().to_owned();
        for allowance in allowances {
            if allowance.queue == queue {
                room.bound.clone_from(&queue);
                room.bound_places = Some(allowance.jobs);
            } else if allowance.queue == room.queue {
                room.places = room.places.min(allowance.jobs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(window: i64, was_full: bool) -> LaneFlow {
        LaneFlow { name: "mail".into(), window, was_full }
    }

    #[test]
    fn a_window_grows_where_workers_take_all_and_shrinks_where_they_do_not() {
        let mut fast = lane(MIN_WINDOW, true);
        assert_eq!(fast.places(0), 2 * MIN_WINDOW);
        for _ in 0..20 {
            fast.places(0);
        }
        assert_eq!(fast.window, MAX_WINDOW);
        for _ in 0..100 {
            assert_eq!(fast.places(MAX_WINDOW), 0);
        }
        assert_eq!(fast.window, MIN_WINDOW);
        assert_eq!(lane(MIN_WINDOW, false).places(0), MIN_WINDOW, "an idle lane stays as it is");
    }

    #[test]
    fn a_queues_limit_is_shared_by_its_lanes_and_a_lanes_is_its_own() {
        let room = |queue: &str| Room { queue: queue.into(), places: 9, bound: queue.into(), bound_places: None };
        let mut rooms = [room("billing.aws"), room("billing.google"), room("mail")];
        let allowance = |queue: &str, jobs| Allowance { queue: queue.into(), jobs };
        bind(&mut rooms, &[allowance("billing", 3), allowance("billing.aws", 1)]);
        let bound = rooms.map(|room| (room.places, room.bound, room.bound_places));
        let expected = [(1, "billing", Some(3)), (9, "billing", Some(3)), (9, "mail", None)];
        assert_eq!(bound, expected.map(|(places, bound, most)| (places, bound.to_owned(), most)));
    }
}
