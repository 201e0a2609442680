//! Who asks, and how much of it is let through: API keys, and a rate limit per client.
//!
//! A key that was found good is remembered for five seconds, so that a request costs no look-up of its own; that is also how
//! long a revocation, an expiry moved forward or a changed client may take to be seen. Limits are this process's.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, header};
use governor::{
    DefaultDirectRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};
use sqlx::PgPool;

use super::{Problem, within_time};
use crate::{
    domain::{api_key::ApiKey, ids::ApiKeyId},
    store::{
        api_clients::ApiClient,
        api_keys::{self, ActiveKey},
    },
};

/// How long a good key is not looked up again: the time until a revocation bites.
const REMEMBERED: Duration = Duration::from_secs(5);

/// The door's memory of keys and limits.
pub struct Access {
    ledger: PgPool,
    keys: Mutex<HashMap<ApiKeyId, Remembered>>,
    limits: Mutex<HashMap<String, Arc<Limit>>>,
}

struct Remembered {
    secret_hash: Vec<u8>,
    until: Instant,
    caller: Caller,
}

/// A client that proved who it is.
#[derive(Clone)]
pub struct Caller {
    /// What it may do.
    pub client: Arc<ApiClient>,
    limit: Arc<Limit>,
}

struct Limit {
    rate_per_minute: i32,
    burst: i32,
    limiter: DefaultDirectRateLimiter,
}

impl Access {
    /// Knows nobody yet.
    pub fn new(ledger: PgPool) -> Self {
        Self { ledger, keys: Mutex::default(), limits: Mutex::default() }
    }

    /// Finds out who asks.
    ///
    /// # Errors
    /// 401 without a key that is active; 503 when it has to be looked up and the ledger does not answer.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let missing = || Problem::unauthorized("send the header `Authorization: Bearer <API key>`");
        let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
        let (scheme, key) = text.split_once(' ').ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        let key: ApiKey = key.trim().parse().map_err(|_| unknown())?;
        match self.remembered(key.id) {
            Some((secret_hash, caller)) if key.matches(&secret_hash) => Ok(caller),
            Some(_) => Err(unknown()),
            None => self.look_up(&key).await,
        }
    }

    fn remembered(&self, id: ApiKeyId) -> Option<(Vec<u8>, Caller)> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let known = keys.get(&id).filter(|known| known.until > Instant::now())?;
        Some((known.secret_hash.clone(), known.caller.clone()))
    }

    async fn look_up(&self, key: &ApiKey) -> Result<Caller, Problem> {
        let found = within_time(async {
            let mut connection = self.ledger.acquire().await?;
            let found = api_keys::find(&mut connection, key.id).await?;
            let found = found.filter(|found| key.matches(&found.secret_hash));
            if found.is_some() {
                api_keys::record_use(&mut connection, key.id).await?;
            }
            Ok(found)
        });
        let found = found.await?;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ActiveKey { secret_hash, seconds_left, client }) = found else {
            keys.retain(|_, known| known.until > Instant::now());
            return Err(unknown());
        };
        let left = seconds_left.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let until = Instant::now() + left.unwrap_or(REMEMBERED).min(REMEMBERED);
        let caller = Caller { limit: self.limit_of(&client), client: Arc::new(client) };
        keys.insert(key.id, Remembered { secret_hash, until, caller: caller.clone() });
        Ok(caller)
    }

    /// Returns the client's limit, the one it has spent from unless it was changed.
    fn limit_of(&self, client: &ApiClient) -> Arc<Limit> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let (rate_per_minute, burst) = (client.rate_per_minute, client.burst);
        match limits.get(&client.name) {
            Some(limit) if (limit.rate_per_minute, limit.burst) == (rate_per_minute, burst) => limit.clone(),
            _ => {
                let quota = Quota::per_minute(positive(rate_per_minute)).allow_burst(positive(burst));
                let limit =
                    Arc::new(Limit { rate_per_minute, burst, limiter: DefaultDirectRateLimiter::direct(quota) });
                limits.insert(client.name.clone(), limit.clone());
                limit
            }
        }
    }
}

impl Caller {
    /// Spends some of what the client may send: one for a request, one more for each further job in it.
    ///
    /// # Errors
    /// 429 when there is not as much left; 413 when there never is.
    pub fn spend(&self, count: usize) -> Result<(), Problem> {
        let Some(count) = u32::try_from(count).ok().and_then(NonZeroU32::new) else { return Ok(()) };
        let Limit { rate_per_minute, burst, limiter } = &*self.limit;
        match limiter.check_n(count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                let detail = format!(
                    "client `{}` may send {rate_per_minute} jobs and requests a minute, {burst} at once; wait as `Retry-After` says",
                    self.client.name
                );
                Err(Problem::rate_limited(detail, not_until.wait_time_from(DefaultClock::default().now())))
            }
            Err(_) => {
                let detail =
                    format!("client `{}` may send {burst} jobs at once; send smaller batches", self.client.name);
                Err(Problem::too_large(detail))
            }
        }
    }
}

/// One answer for every key that does not open: it tells a stranger nothing.
fn unknown() -> Problem {
    Problem::unauthorized("the API key is not known, has expired or was revoked")
}

fn positive(value: i32) -> NonZeroU32 {
    u32::try_from(value).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
}
