//! The identity to sign with: asked for once, kept, and renewed before it expires.
//!
//! It gets a source and hands on an [`Identity`], the same one until it is due. One task at a time
//! asks the source; others go on with what is held while that is valid. It shows no key, ever.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_runtime_api::client::identity::Identity;
use tokio::sync::Mutex;

use crate::config::chain_error::refused;
use crate::error::Result;
use crate::events::{CREDENTIALS, first_line, milliseconds};
use tracing::{info, warn};

/// How long before they expire new credentials are asked for: instance metadata has the next ones
/// ready five minutes ahead.
const RENEW_BEFORE: Duration = Duration::from_mins(5);
/// The least time between two questions, so that a source which is down, or hands out what is about
/// to expire, is not asked for each of thousands of requests.
const PAUSE: Duration = Duration::from_secs(10);

/// Whom to sign as, by default nobody; clones share one cache.
#[derive(Clone, Default)]
pub struct Credentials(Option<Arc<CredentialCache>>);

struct CredentialCache {
    source: Box<dyn ProvideCredentials>,
    /// Locked for moments only.
    held: Mutex<Option<CachedIdentity>>,
    /// Locked by whoever is refresh_lock the source.
    refresh_lock: Mutex<()>,
    /// How long the source took to hand out the first keys.
    first_load_time: Option<Duration>,
}

impl Credentials {
    /// Nobody: requests go out unsigned.
    #[must_use]
    pub fn anonymous() -> Self {
        Self(None)
    }

    /// Whatever `source` provides, asked when the first request is signed; `aws_credential_types::Credentials`
    /// is such a source, for fixed keys.
    pub fn from_source(source: impl ProvideCredentials + 'static) -> Self {
        Self::new(source, None, None)
    }

    /// `keys`, which `source` took so long to hand out, and later what `source` provides.
    pub(super) fn holding(keys: Keys, took: Duration, source: impl ProvideCredentials + 'static) -> Self {
        Self::new(source, Some(CachedIdentity::new(keys.into(), SystemTime::now())), Some(took))
    }

    fn new(
        source: impl ProvideCredentials + 'static,
        held: Option<CachedIdentity>,
        first_load_time: Option<Duration>,
    ) -> Self {
        let (source, held) = (Box::new(source), Mutex::new(held));
        Self(Some(Arc::new(CredentialCache { source, held, refresh_lock: Mutex::new(()), first_load_time })))
    }

    /// How long the source took to hand out the first keys, where that is known.
    #[must_use]
    pub fn first_load_time(&self) -> Option<Duration> {
        self.0.as_ref()?.first_load_time
    }

    /// Whether requests go out unsigned.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.0.is_none()
    }

    /// The identity to sign with now; `None` when anonymous. It fails only when there is none that
    /// is still valid: a source that is down meanwhile does no harm.
    pub async fn current(&self) -> Result<Option<Identity>> {
        match &self.0 {
            Some(cache) => cache.at(SystemTime::now()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Marks `stale`, which S3 called expired, as such, so that the next [`current`](Self::current) asks the
    /// source. Does nothing when another identity is held already: many requests fail at once.
    pub async fn refresh(&self, stale: &Identity) {
        let Some(cache) = &self.0 else { return };
        if let Some(held) = &mut *cache.held.lock().await
            && is_same(&held.identity, stale)
        {
            held.refused = true;
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_anonymous() { "Credentials(anonymous)" } else { "Credentials(..)" })
    }
}

impl CredentialCache {
    async fn at(&self, now: SystemTime) -> Result<Identity> {
        let held = self.held.lock().await.clone();
        let _asking = match held {
            Some(held) if !held.is_due(now) => return Ok(held.identity),
            Some(held) if held.is_valid(now) => match self.refresh_lock.try_lock() {
                Ok(refresh_lock) => refresh_lock,
                Err(_) => return Ok(held.identity),
            },
            _ => self.refresh_lock.lock().await,
        };
        // Whoever asked before us may have brought it.
        if let Some(held) = self.held.lock().await.clone()
            && !held.is_due(now)
        {
            return Ok(held.identity);
        }
        let answer = self.source.provide_credentials().await;
        let mut held = self.held.lock().await;
        match (answer, &mut *held) {
            (Ok(keys), held) => {
                log_credentials("the same as before", None, keys.expiry());
                let new = held.insert(CachedIdentity::new(keys.into(), now));
                Ok(new.identity.clone())
            }
            (Err(e), Some(old)) if old.is_valid(now) => {
                let reason = first_line(&refused(&e));
                warn!(target: CREDENTIALS, reason, "the credentials could not be renewed");
                old.renew_at = Some(now + PAUSE);
                Ok(old.identity.clone())
            }
            // Credentials that were there before come back when their source does.
            (Err(e), old) => Err(refused(&e).retryable(old.is_some())),
        }
    }
}

/// An identity, and when to ask for the next one.
#[derive(Clone)]
struct CachedIdentity {
    identity: Identity,
    renew_at: Option<SystemTime>,
    /// S3 called it expired, whatever it says of itself.
    refused: bool,
}

impl CachedIdentity {
    /// At most half of what is left is given away: short-lived credentials would be due at once.
    fn new(identity: Identity, now: SystemTime) -> Self {
        let renew_at = identity.expiration().map(|end| {
            let left = end.duration_since(now).unwrap_or_default();
            now + left.saturating_sub(RENEW_BEFORE).max(left / 2).max(PAUSE)
        });
        Self { identity, renew_at, refused: false }
    }

    fn is_due(&self, now: SystemTime) -> bool {
        self.refused || self.renew_at.is_some_and(|at| at <= now)
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        !self.refused && self.identity.expiration().is_none_or(|end| now < end)
    }
}

/// Whether both came from one answer: clones of an identity share its keys.
fn is_same(a: &Identity, b: &Identity) -> bool {
    match (a.data::<Keys>(), b.data::<Keys>()) {
        (Some(a), Some(b)) => std::ptr::eq(a, b),
        _ => false,
    }
}

/// Reports that `source` handed out keys, after so long, that are good until `expires`.
pub(super) fn log_credentials(source: &str, took: Option<Duration>, expires: Option<SystemTime>) {
    info!(
        target: CREDENTIALS,
        source,
        elapsed_ms = took.map(milliseconds),
        expires = expires.map(|end| humantime::format_rfc3339_seconds(end).to_string()),
        "found"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::future;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    /// Hands out keys that live for `life`, named by their number; `down` makes it fail.
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
                // Others get their turn while this one waits for its answer.
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
            assert_eq!(
                at(&credentials, now + MINUTE * minutes).await.unwrap(),
                key,
                "after {minutes} minutes"
            );
        }
    }

    #[tokio::test]
    async fn while_one_asks_early_the_others_go_on() {
        let source = Counting::new(Some(MINUTE * 60));
        let credentials = cache(&source);
        let now = SystemTime::now();
        at(&credentials, now).await.unwrap();
        let later = (0..10).map(|_| at(&credentials, now + MINUTE * 56));
        let keys: Vec<_> =
            futures_util::future::join_all(later).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(keys.iter().filter(|key| *key == "key-2").count(), 1);
        assert_eq!(source.asked(), 2);
    }

    #[tokio::test]
    async fn short_lived_keys_are_not_due_at_once() {
        let source = Counting::new(Some(MINUTE * 4));
        let credentials = cache(&source);
        let now = SystemTime::now();
        for (minutes, key) in [(0, "key-1"), (1, "key-1"), (3, "key-2")] {
            assert_eq!(
                at(&credentials, now + MINUTE * minutes).await.unwrap(),
                key,
                "after {minutes} minutes"
            );
        }
        // Keys that have expired already (or a clock that is wrong): S3 says so, we do not ask in a loop.
        let source = Counting::new(Some(Duration::ZERO));
        let credentials = cache(&source);
        for _ in 0..9 {
            at(&credentials, now).await.unwrap();
        }
        assert_eq!(source.asked(), 1);
    }

    #[tokio::test]
    async fn a_source_that_is_down_does_no_harm_while_the_keys_are_valid() {
        let source = Counting::new(Some(MINUTE * 60));
        let credentials = cache(&source);
        let now = SystemTime::now();
        at(&credentials, now).await.unwrap();
        source.down(true);
        for _ in 0..9 {
            assert_eq!(at(&credentials, now + MINUTE * 56).await.unwrap(), "key-1");
        }
        assert_eq!(source.asked(), 2, "asked once in a pause");
        let error = at(&credentials, now + MINUTE * 61).await.unwrap_err();
        assert_eq!((error.exit_code(), error.is_retryable()), (4, true));
        assert!(error.to_string().contains("the source is down"), "{error}");
        source.down(false);
        assert_eq!(at(&credentials, now + MINUTE * 61).await.unwrap(), "key-4");
    }

    #[tokio::test]
    async fn a_first_failure_is_final() {
        let source = Counting::new(None);
        source.down(true);
        assert!(!cache(&source).current().await.unwrap_err().is_retryable());
    }

    #[tokio::test]
    async fn refresh_forgets_only_what_is_stale() {
        let source = Counting::new(None);
        let credentials = cache(&source);
        let stale = credentials.current().await.unwrap().unwrap();
        credentials.refresh(&stale).await;
        credentials.current().await.unwrap();
        // The next of the requests that had failed with the first keys.
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
