//! Jobs that are neither lost nor done twice: a ledger in Postgres, Redis Streams as the queue, apalis as the runtime.
//!
//! Postgres is the record: a job is accepted when its row is committed. Redis carries only `(job, attempt)` to blocked
//! readers and may vanish at any moment. This module alone names apalis; handlers see [`Job`] and [`Attempt`].
//!
//! ```text
//!  scheduled ──due──> dispatched ──claim──> running ──> done
//!    ^    ^               │  ^                 ├──> scheduled   transient: backoff with full jitter; or snooze
//!    │    └─Redis is down─┘  └── reconcile     ├──> dead        permanent, attempts spent, third worker death
//!    │      or a pause                         └──> discarded   cancelled
//!  awaiting: a batch's completion job, until no job of the batch is left
//! ```
//!
//! The attempt's number is a fencing token: dispatch raises it, the message carries it, every outcome must show it.

mod admission;
mod attempt;
mod backend;
mod backoff;
mod batches;
mod dispatch;
mod envelope;
mod in_hand;
mod intake;
mod job;
mod notices;
mod outages;
mod payload_hash;
mod prefetch;
mod rates;
mod reconcile;
pub mod redis_acl;
mod redis_facts;
mod registry;
mod schedules;
mod schema;
mod servers;
mod settle;
mod streams;
mod worker;

pub use admission::admit;
pub use attempt::{Attempt, Effects, Finished};
pub use batches::cancel_batch;
pub use envelope::{Envelope, EnvelopeError, MAX_ENVELOPE_BYTES, PrepareJob, ReadEnvelope, Refusal, check_keys};
pub use job::{Job, JobError, JobOptions, Queue, RequestId};
pub use redis_facts::{LaneStreams, RedisFacts, RedisRights};
pub use registry::Registry;
pub use schedules::{ScheduleError, next_tick, run_schedule_now};
pub use servers::{InvalidServers, Servers};
pub use streams::Streams;
pub use worker::{StoppedWorking, Worker, WorkerSettings};
