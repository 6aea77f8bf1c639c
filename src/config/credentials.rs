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
use tokio::time::timeout;

use crate::config::chain_error::credentials_error;
use crate::error::{Error, Result};
use crate::events::{CREDENTIALS, first_line, milliseconds};
use tracing::{info, warn};

/// Credentials are renewed this long before they expire. Instance metadata provides the next ones five minutes
/// ahead.
const RENEW_BEFORE: Duration = Duration::from_mins(5);
/// Minimum time between two loads, so that a source that is down, or that returns keys which are about to expire,
/// is not asked for each of thousands of requests.
const MIN_RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// Pause after the first failed load; it doubles with each further one, up to [`MIN_RELOAD_INTERVAL`].
const FIRST_FAILURE_PAUSE: Duration = Duration::from_millis(250);
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
                let error = credentials_error(&e).retryable(cached.is_some());
                let count = failure.as_ref().map_or(0, |failure| failure.count);
                let pause = FIRST_FAILURE_PAUSE * 2_u32.saturating_pow(count.min(8));
                let next_load_at = now + pause.min(MIN_RELOAD_INTERVAL);
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
    /// S3 rejected it as expired, regardless of its own expiry.
    is_rejected: bool,
}

impl CachedIdentity {
    /// Renews at the latest after half of the remaining lifetime; otherwise short-lived credentials would be due
    /// immediately.
    fn new(identity: Identity, now: SystemTime) -> Self {
        let renew_at = identity.expiration().map(|end| {
            let left = end.duration_since(now).unwrap_or_default();
            now + left.saturating_sub(RENEW_BEFORE).max(left / 2).max(MIN_RELOAD_INTERVAL)
        });
        Self { identity, renew_at, is_rejected: false }
    }

    fn is_due(&self, now: SystemTime) -> bool {
        self.is_rejected || self.renew_at.is_some_and(|at| at <= now)
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        !self.is_rejected && self.identity.expiration().is_none_or(|end| now < end)
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
        expires = expires.map(|end| humantime::format_rfc3339_seconds(end).to_string()),
        "found"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_credential_types::provider::future;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    /// Loads numbered keys that expire after the lifetime; fails while `down`.
    #[derive(Debug, Clone)]
    struct Counting(Arc<(AtomicU64, AtomicU64)>, Option<Duration>);

    impl Counting {
        fn new(life: Option<Duration>) -> Self {
            Self(Arc::default(), life)
        }

        fn asked(&self) -> u64 {
            self.0.0.load(Ordering::SeqCst)
        }

        fn down(&self, yes: bool) {
            self.0.1.store(yes.into(), Ordering::SeqCst);
        }
    }

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(async {
                let number = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
                // Lets other tasks run while this one waits for its answer.
                tokio::task::yield_now().await;
                if self.0.1.load(Ordering::SeqCst) == 1 {
                    return Err(CredentialsError::provider_error("the source is down"));
                }
                let end = self.1.map(|life| SystemTime::now() + life);
                Ok(Keys::new(format!("key-{number}"), "hunter2", Some("hunter3".into()), end, "test"))
            })
        }
    }

    fn cache(source: &Counting) -> Credentials {
        Credentials::from_source(source.clone())
    }

    async fn at(credentials: &Credentials, now: SystemTime) -> Result<String> {
        let identity = credentials.0.as_ref().unwrap().at(now).await?;
        Ok(identity.data::<Keys>().unwrap().access_key_id().to_owned())
    }

    /// Asks at `now`, and lets a renewal in the background end.
    async fn at_and_after(credentials: &Credentials, now: SystemTime) -> (String, String) {
        let first = at(credentials, now).await.unwrap();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        (first, at(credentials, now).await.unwrap())
    }

    #[tokio::test]
    async fn many_requests_ask_once() {
        let source = Counting::new(None);
        let credentials = cache(&source);
        let all = futures_util::future::join_all((0..50).map(|_| credentials.current())).await;
        assert!(all.into_iter().all(|identity| identity.unwrap().is_some()));
        assert_eq!(source.asked(), 1);
        assert_eq!(at(&credentials, SystemTime::now() + MINUTE * 100_000).await.unwrap(), "key-1");
    }

    #[tokio::test]
    async fn new_keys_come_five_minutes_before_the_old_expire() {
        let source = Counting::new(Some(MINUTE * 60));
        let credentials = cache(&source);
        let now = SystemTime::now();
        for (minutes, key) in [(0, "key-1"), (54, "key-1"), (56, "key-2"), (57, "key-2")] {
            let (_, renewed) = at_and_after(&credentials, now + MINUTE * minutes).await;
            assert_eq!(renewed, key, "after {minutes} minutes");
        }
    }

    #[tokio::test]
    async fn renewal_happens_in_the_background_and_once() {
        let source = Counting::new(Some(MINUTE * 60));
        let credentials = cache(&source);
        let now = SystemTime::now();
        at(&credentials, now).await.unwrap();
        let due = now + MINUTE * 56;
        let keys = futures_util::future::join_all((0..10).map(|_| at(&credentials, due))).await;
        assert!(keys.into_iter().all(|key| key.unwrap() == "key-1"), "nobody waits");
        let (_, renewed) = at_and_after(&credentials, due).await;
        assert_eq!((renewed.as_str(), source.asked()), ("key-2", 2));
    }

    #[tokio::test]
    async fn a_failed_load_counts_for_all_tasks_for_a_while() {
        let source = Counting::new(Some(MINUTE * 60));
        let credentials = cache(&source);
        let now = SystemTime::now();
        at(&credentials, now).await.unwrap();
        source.down(true);
        let expired = now + MINUTE * 61;
        let answers = futures_util::future::join_all((0..64).map(|_| at(&credentials, expired))).await;
        assert!(answers.into_iter().all(|answer| answer.is_err_and(|e| e.is_retryable())));
        assert_eq!(source.asked(), 2, "one question for all");
        // The pauses between the questions grow: 0.25, 0.5, 1, 2, 4, 8, 10, 10 s and so on.
        for tenths in 0..600 {
            let _ = at(&credentials, expired + Duration::from_millis(100 * tenths)).await;
        }
        assert!((8..=14).contains(&source.asked()), "{}", source.asked());
    }

    #[tokio::test]
    async fn short_lived_keys_are_not_due_immediately() {
        let source = Counting::new(Some(MINUTE * 4));
        let credentials = cache(&source);
        let now = SystemTime::now();
        for (minutes, key) in [(0, "key-1"), (1, "key-1"), (3, "key-2")] {
            let (_, renewed) = at_and_after(&credentials, now + MINUTE * minutes).await;
            assert_eq!(renewed, key, "after {minutes} minutes");
        }
        // Keys that seem expired, perhaps because this clock is wrong: S3 decides, and the source is not asked in a
        // loop.
        let source = Counting::new(Some(Duration::ZERO));
        let credentials = cache(&source);
        for _ in 0..9 {
            at(&credentials, now).await.unwrap();
        }
        assert_eq!(source.asked(), 1);
    }

    #[tokio::test]
    async fn a_failing_source_does_not_matter_while_the_keys_are_valid() {
        let source = Counting::new(Some(MINUTE * 60));
        let credentials = cache(&source);
        let now = SystemTime::now();
        at(&credentials, now).await.unwrap();
        source.down(true);
        for _ in 0..9 {
            let (first, later) = at_and_after(&credentials, now + MINUTE * 56).await;
            assert_eq!((first.as_str(), later.as_str()), ("key-1", "key-1"));
        }
        assert_eq!(source.asked(), 2, "at most once per interval");
        let error = at(&credentials, now + MINUTE * 61).await.unwrap_err();
        assert_eq!((error.exit_code(), error.is_retryable()), (4, true));
        assert!(error.to_string().contains("the source is down"), "{error}");
        source.down(false);
        assert_eq!(at(&credentials, now + MINUTE * 62).await.unwrap(), "key-4");
    }

    #[tokio::test]
    async fn a_first_failure_is_final() {
        let source = Counting::new(None);
        source.down(true);
        assert!(!cache(&source).current().await.unwrap_err().is_retryable());
    }

    #[tokio::test]
    async fn refresh_discards_only_the_stale_identity() {
        let source = Counting::new(None);
        let credentials = cache(&source);
        let stale = credentials.current().await.unwrap().unwrap();
        credentials.refresh(&stale).await;
        credentials.current().await.unwrap();
        // A second request that failed with the first keys.
        credentials.refresh(&stale).await;
        credentials.current().await.unwrap();
        assert_eq!(source.asked(), 2);
    }

    #[tokio::test]
    async fn nothing_shows_a_secret() {
        let credentials = cache(&Counting::new(None));
        let identity = credentials.current().await.unwrap();
        let shown = format!("{credentials:?} {identity:?}");
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
