//! The identity that requests are signed with: loaded once, cached, and renewed before it expires.
//!
//! One task at a time loads from the source. While the cached identity is valid, that happens in the background and
//! nobody waits for it. A failed load counts for all tasks for a while. Neither `Debug` nor an error shows a key.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::identity::Identity;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::config::chain_error::credentials_error;
use crate::error::{Error, Result};
use crate::events::{CREDENTIALS, first_line, milliseconds};
use crate::s3::date::format_date;
use tracing::{info, warn};

/// Credentials are renewed this long before they expire. Instance metadata provides the next ones five minutes
/// ahead.
const RENEW_BEFORE: Duration = Duration::from_mins(5);
/// Minimum time between two loads, so that a source that is down, or that returns keys which are about to expire,
/// is not asked for each of thousands of requests.
const MIN_RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// Pause after the first failed load; it doubles with each further one, up to [`MIN_RELOAD_INTERVAL`].
const FIRST_FAILURE_PAUSE: Duration = Duration::from_millis(250);
/// A load that fails after this long has failed for good. Its source waited for somebody, or for hosts that do not
/// respond, and repeated its own requests: asking again would keep the download waiting as long each time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time limit for a load, for sources that have none of their own.
const LOAD_TIMEOUT: Duration = Duration::from_mins(2);

/// Credentials for signing requests, anonymous by default. Clones share one cache.
#[derive(Clone, Default)]
pub struct Credentials(Option<Arc<CredentialCache>>);

struct CredentialCache {
    source: Box<dyn ProvideCredentials>,
    /// The last load failed: why, and when the next one may begin.
    failure: Mutex<Option<LoadFailure>>,
    /// Never locked across a load.
    cached: Mutex<Option<CachedIdentity>>,
    /// Held while the source loads.
    refresh_lock: Mutex<()>,
    /// Time that the source took to load the first keys.
    first_load_time: Option<Duration>,
}

impl Credentials {
    /// Returns anonymous credentials: requests are not signed.
    #[must_use]
    pub fn anonymous() -> Self {
        Self(None)
    }

    /// Returns credentials loaded from `source` when the first request is signed. For fixed keys, use
    /// `aws_credential_types::Credentials` as the source.
    pub fn from_source(source: impl ProvideCredentials + 'static) -> Self {
        Self::new(source, None, None)
    }

    /// Returns credentials that begin with `keys`, which took `load_time` to load, and are renewed from `source`.
    pub(super) fn with_cached(
        keys: Keys,
        load_time: Duration,
        source: impl ProvideCredentials + 'static,
    ) -> Self {
        Self::new(source, Some(CachedIdentity::new(keys.into(), SystemTime::now())), Some(load_time))
    }

    fn new(
        source: impl ProvideCredentials + 'static,
        cached: Option<CachedIdentity>,
        first_load_time: Option<Duration>,
    ) -> Self {
        let (source, cached) = (Box::new(source), Mutex::new(cached));
        let (failure, refresh_lock) = (Mutex::default(), Mutex::default());
        Self(Some(Arc::new(CredentialCache { source, failure, cached, refresh_lock, first_load_time })))
    }

    /// Returns how long the source took to load the first keys, if it was measured.
    #[must_use]
    pub fn first_load_time(&self) -> Option<Duration> {
        self.0.as_ref()?.first_load_time
    }

    /// Returns whether requests are sent unsigned.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the identity to sign with now, or `None` if anonymous. Fails only if no valid identity is cached and
    /// the source cannot load one.
    pub async fn current(&self) -> Result<Option<Identity>> {
        match &self.0 {
            Some(cache) => cache.at(SystemTime::now()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Marks `stale` as expired, because S3 rejected it, so that the next [`current`](Self::current) loads from the
    /// source. Does nothing if another identity is cached already, because many requests fail at the same time.
    pub async fn refresh(&self, stale: &Identity) {
        let Some(cache) = &self.0 else { return };
        if let Some(cached) = &mut *cache.cached.lock().await
            && is_same(&cached.identity, stale)
        {
            cached.is_rejected = true;
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_anonymous() { "Credentials(anonymous)" } else { "Credentials(..)" })
    }
}

/// A failed load.
struct LoadFailure {
    error: Error,
    /// Loads that failed since the last one that succeeded.
    count: u32,
    next_load_at: SystemTime,
}

impl CredentialCache {
    async fn at(self: &Arc<Self>, now: SystemTime) -> Result<Identity> {
        let cached = self.cached.lock().await.clone();
        if let Some(cached) = cached
            && cached.is_valid(now)
        {
            if cached.is_due(now) {
                self.renew_in_background(now).await;
            }
            return Ok(cached.identity);
        }
        let _refreshing = self.refresh_lock.lock().await;
        // Another task may have loaded it while this one waited for the lock.
        if let Some(cached) = self.cached.lock().await.clone()
            && cached.is_valid(now)
        {
            return Ok(cached.identity);
        }
        if let Some(failure) = &*self.failure.lock().await
            && now < failure.next_load_at
        {
            return Err(failure.error.duplicate());
        }
        self.load(now).await
    }

    /// Starts a task that renews the identity, unless there is one already or the last one failed recently.
    async fn renew_in_background(self: &Arc<Self>, now: SystemTime) {
        if self.refresh_lock.try_lock().is_err()
            || self.failure.lock().await.as_ref().is_some_and(|failure| now < failure.next_load_at)
        {
            return;
        }
        let cache = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(_refreshing) = cache.refresh_lock.try_lock() else { return };
            let is_due = cache.cached.lock().await.as_ref().is_none_or(|cached| cached.is_due(now));
            if is_due && let Err(error) = cache.load(now).await {
                let reason = first_line(&error);
                warn!(target: CREDENTIALS, reason, "cannot renew the credentials");
            }
        });
    }

    /// Loads from the source; the caller holds the refresh lock.
    async fn load(&self, now: SystemTime) -> Result<Identity> {
        let began = Instant::now();
        let answer = timeout(LOAD_TIMEOUT, self.source.provide_credentials()).await;
        let answer = answer.unwrap_or_else(|_| Err(CredentialsError::provider_error("no answer in time")));
        let mut cached = self.cached.lock().await;
        let mut failure = self.failure.lock().await;
        match answer {
            Ok(keys) => {
                *failure = None;
                log_credentials("refreshed", None, keys.expiry());
                Ok(cached.insert(CachedIdentity::new(keys.into(), now)).identity.clone())
            }
            Err(e) => {
                // A source that worked before is expected to recover.
                let took = began.elapsed();
                let error = credentials_error(&e).retryable(cached.is_some() && took < PATIENCE);
                let count = failure.as_ref().map_or(0, |failure| failure.count);
                let pause = FIRST_FAILURE_PAUSE * 2_u32.saturating_pow(count.min(8));
                // The pause follows the load, so that the failure counts for those who waited for a slow one.
                let next_load_at = now + took + pause.min(MIN_RELOAD_INTERVAL);
                *failure = Some(LoadFailure { error: error.duplicate(), count: count + 1, next_load_at });
                Err(error)
            }
        }
    }
}

/// An identity and the time when it is to be renewed.
#[derive(Clone)]
struct CachedIdentity {
    identity: Identity,
    renew_at: Option<SystemTime>,
    /// When it is no longer used; `None` if it ends when S3 rejects it.
    valid_until: Option<SystemTime>,
    /// S3 rejected it as expired, regardless of its own expiry.
    is_rejected: bool,
}

impl CachedIdentity {
    /// Renews at the latest after half of the remaining lifetime; otherwise short-lived credentials would be due
    /// immediately. Credentials that have expired when they come, by this clock, which may be wrong, are used until S3
    /// rejects them: the source would be asked for each request.
    fn new(identity: Identity, now: SystemTime) -> Self {
        let renew_at = identity.expiration().map(|end| {
            let left = end.duration_since(now).unwrap_or_default();
            now + left.saturating_sub(RENEW_BEFORE).max(left / 2).max(MIN_RELOAD_INTERVAL)
        });
        let end = identity.expiration().filter(|end| *end > now);
        let valid_until = end.map(|end| end.max(now + MIN_RELOAD_INTERVAL));
        Self { identity, renew_at, valid_until, is_rejected: false }
    }

    fn is_due(&self, now: SystemTime) -> bool {
        self.is_rejected || self.renew_at.is_some_and(|at| at <= now)
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        !self.is_rejected && self.valid_until.is_none_or(|end| now < end)
    }
}

/// Returns whether both were loaded together: clones of an identity share its keys.
fn is_same(a: &Identity, b: &Identity) -> bool {
    match (a.data::<Keys>(), b.data::<Keys>()) {
        (Some(a), Some(b)) => std::ptr::eq(a, b),
        _ => false,
    }
}

/// Logs that `source` loaded keys in `elapsed`, valid until `expires`.
pub(super) fn log_credentials(source: &str, elapsed: Option<Duration>, expires: Option<SystemTime>) {
    info!(
        target: CREDENTIALS,
        source,
        elapsed_ms = elapsed.map(milliseconds),
        expires = expires.and_then(format_date),
        "found"
    );
}

#[cfg(test)]
mod tests;
