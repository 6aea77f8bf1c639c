//! The sessions of directory buckets, one for each bucket and pair of keys, shared by all requests of a client.
//!
//! One task at a time asks for a session; those that wait for it share its failure too. While the session is valid, it
//! is renewed in the background, and nobody waits. Times are counted on the monotonic clock, so that a clock that is
//! set has no effect on them.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;
use tracing::warn;

use crate::config::Identity;
use crate::error::{Error, Result};
use crate::events::{CREDENTIALS, first_line};
use crate::s3::session::renewal_margin;

/// The slots of a client, by the URL that grants a session and the access key that requests it.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<(String, String), Arc<SessionSlot>>>);

impl Sessions {
    /// Returns the slot of the bucket whose sessions come from `url`, for the keys with this id.
    pub(crate) fn slot(&self, url: String, access_key: &str) -> Arc<SessionSlot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let key = (url, access_key.to_owned());
        if let Some(slot) = slots.get(&key) {
            return Arc::clone(slot);
        }
        // Credentials that were renewed leave the sessions of their old keys behind.
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.valid(now).is_some());
        Arc::clone(slots.entry(key).or_default())
    }
}

/// The keys of a session, and when it is renewed.
pub(crate) struct BucketSession {
    identity: Identity,
    ends_at: Instant,
    renew_at: Instant,
    margin: Duration,
}

impl BucketSession {
    /// Creates a session that was asked for at `asked_at` and lasts for `lifetime`.
    pub(crate) fn new(keys: Credentials, asked_at: Instant, lifetime: Duration) -> Self {
        let margin = renewal_margin(lifetime);
        let ends_at = asked_at + lifetime;
        Self { identity: keys.into(), ends_at, renew_at: ends_at - margin, margin }
    }

    /// Returns the keys.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// The session of one bucket and pair of keys.
#[derive(Default)]
pub(crate) struct SessionSlot {
    state: Mutex<SlotState>,
    /// Held while a session is asked for.
    creating: Arc<AsyncMutex<()>>,
    /// Set if the session replaced one because a HEAD was refused without a reason.
    replaced_for_head: AtomicBool,
}

#[derive(Default)]
struct SlotState {
    session: Option<Arc<BucketSession>>,
    /// After a renewal failed: when the next one may begin.
    next_renewal_at: Option<Instant>,
    /// The number of failures so far, and the last of them.
    failures: u64,
    failure: Option<Error>,
}

impl fmt::Debug for SessionSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSlot(..)")
    }
}

impl SessionSlot {
    /// Returns the session, or else the result of `create`. While another task creates one, waits for its result and
    /// runs `prepare` meanwhile.
    pub(crate) async fn current<F>(
        self: &Arc<Self>,
        create: impl FnOnce() -> F,
        prepare: impl Future<Output = ()>,
    ) -> Result<Arc<BucketSession>>
    where
        F: Future<Output = Result<BucketSession>> + Send + 'static,
    {
        let now = Instant::now();
        if let Some(session) = self.valid(now) {
            if session.renew_at <= now {
                self.renew_in_background(now, create);
            }
            return Ok(session);
        }
        let seen = self.state().failures;
        let _creating = match self.creating.try_lock() {
            Ok(creating) => creating,
            Err(_) => tokio::join!(self.creating.lock(), prepare).0,
        };
        if let Some(session) = self.valid(Instant::now()) {
            return Ok(session);
        }
        if let Some(failure) = self.failure_since(seen) {
            return Err(failure);
        }
        self.store(create().await)
    }

    /// Gives up `session`, which was refused, unless another one has taken its place already. Returns whether a request
    /// may be sent again. If the session replaced one for a HEAD that was refused without a reason, another such HEAD
    /// does not give it up: then the reason is not the session.
    pub(crate) fn reject(&self, session: &Arc<BucketSession>, is_head: bool) -> bool {
        let mut state = self.state();
        let is_current = state.session.as_ref().is_some_and(|current| Arc::ptr_eq(current, session));
        if !is_current {
            return true;
        }
        if is_head && self.replaced_for_head.swap(true, Ordering::Relaxed) {
            return false;
        }
        state.session = None;
        true
    }

    /// Notes that a HEAD succeeded: if a later one is refused, the session may have ended.
    pub(crate) fn head_succeeded(&self) {
        self.replaced_for_head.store(false, Ordering::Relaxed);
    }

    fn renew_in_background<F>(self: &Arc<Self>, now: Instant, create: impl FnOnce() -> F)
    where
        F: Future<Output = Result<BucketSession>> + Send + 'static,
    {
        if self.state().next_renewal_at.is_some_and(|at| now < at) {
            return;
        }
        let Ok(creating) = Arc::clone(&self.creating).try_lock_owned() else { return };
        let (slot, create) = (Arc::clone(self), create());
        tokio::spawn(async move {
            let _creating = creating;
            if let Err(error) = slot.store(create.await) {
                warn!(target: CREDENTIALS, reason = first_line(&error), "cannot renew the bucket's session");
            }
        });
    }

    fn store(&self, answer: Result<BucketSession>) -> Result<Arc<BucketSession>> {
        let mut state = self.state();
        match answer {
            Ok(session) => {
                let session = Arc::new(session);
                state.session = Some(Arc::clone(&session));
                (state.failure, state.next_renewal_at) = (None, None);
                Ok(session)
            }
            Err(error) => {
                let pause = state.session.as_ref().map(|session| session.margin / 5);
                state.next_renewal_at = pause.map(|pause| Instant::now() + pause);
                state.failures += 1;
                state.failure = Some(error.duplicate());
                Err(error)
            }
        }
    }

    /// Returns the failure that came after the first `seen` ones.
    fn failure_since(&self, seen: u64) -> Option<Error> {
        let state = self.state();
        state.failure.as_ref().filter(|_| state.failures > seen).map(Error::duplicate)
    }

    fn valid(&self, now: Instant) -> Option<Arc<BucketSession>> {
        self.state().session.as_ref().filter(|session| now < session.ends_at).map(Arc::clone)
    }

    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use tokio::time::{advance, sleep};

    use super::*;

    /// Answers after 30 ms with numbered sessions of this many seconds, and fails while `is_down`.
    #[derive(Clone, Default)]
    struct Service(Arc<(AtomicU64, AtomicU64, AtomicBool)>);

    impl Service {
        fn asked(&self) -> u64 {
            self.0.0.load(Ordering::Relaxed)
        }

        /// Makes all calls fail, or none.
        fn is_down(&self, yes: bool) {
            self.0.2.store(yes, Ordering::Relaxed);
        }

        async fn create(self, seconds: u64) -> Result<BucketSession> {
            let number = self.0.0.fetch_add(1, Ordering::Relaxed) + 1;
            assert_eq!(self.0.1.fetch_add(1, Ordering::Relaxed), 0, "one at a time");
            let asked_at = Instant::now();
            sleep(Duration::from_millis(30)).await;
            self.0.1.fetch_sub(1, Ordering::Relaxed);
            if self.0.2.load(Ordering::Relaxed) {
                return Err(Error::network("down"));
            }
            let keys = Credentials::new(format!("key-{number}"), "s", Some("t".into()), None, "test");
            Ok(BucketSession::new(keys, asked_at, Duration::from_secs(seconds)))
        }
    }

    async fn key(slot: &Arc<SessionSlot>, service: &Service, seconds: u64) -> Result<String> {
        let session = slot.current(|| service.clone().create(seconds), async {}).await?;
        Ok(session
            .identity()
            .data::<Credentials>()
            .map(|keys| keys.access_key_id().to_owned())
            .unwrap_or_default())
    }

    fn slot() -> (Arc<SessionSlot>, Service) {
        (Arc::default(), Service::default())
    }

    #[tokio::test(start_paused = true)]
    async fn many_requests_share_a_session_and_wait_for_it_once() {
        let (slot, service) = slot();
        let began = Instant::now();
        let keys = futures_util::future::join_all((0..50).map(|_| key(&slot, &service, 300))).await;
        assert!(keys.into_iter().all(|key| key.unwrap() == "key-1"));
        assert_eq!((service.asked(), began.elapsed().as_millis()), (1, 30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_renewed_in_the_background_and_nobody_waits() {
        for (seconds, margin_ms) in [(300, 20_000), (10, 2_000)] {
            let (slot, service) = slot();
            key(&slot, &service, seconds).await.unwrap();
            advance(Duration::from_millis(seconds * 1000 - margin_ms - 31)).await;
            assert_eq!((key(&slot, &service, seconds).await.unwrap(), service.asked()), ("key-1".into(), 1));
            advance(Duration::from_millis(2)).await;
            let began = Instant::now();
            for _ in 0..10 {
                assert_eq!(key(&slot, &service, seconds).await.unwrap(), "key-1");
            }
            assert!(began.elapsed().is_zero(), "nobody waits");
            sleep(Duration::from_millis(31)).await;
            assert_eq!((key(&slot, &service, seconds).await.unwrap(), service.asked()), ("key-2".into(), 2));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_fails_is_repeated_with_pauses_while_the_session_lasts() {
        let (slot, service) = slot();
        key(&slot, &service, 300).await.unwrap();
        service.is_down(true);
        advance(Duration::from_secs(281)).await;
        for _ in 0..180 {
            assert_eq!(key(&slot, &service, 300).await.unwrap(), "key-1");
            sleep(Duration::from_millis(100)).await;
        }
        assert!((4..=7).contains(&service.asked()), "{}", service.asked());
        service.is_down(false);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(key(&slot, &service, 300).await.unwrap(), format!("key-{}", service.asked()));
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_wait_share_a_failure_and_later_ones_ask_again() {
        let (slot, service) = slot();
        service.is_down(true);
        let answers = futures_util::future::join_all((0..50).map(|_| key(&slot, &service, 300))).await;
        assert!(answers.into_iter().all(|answer| answer.is_err_and(|e| e.is_retryable())));
        assert_eq!(service.asked(), 1);
        service.is_down(false);
        assert_eq!(key(&slot, &service, 300).await.unwrap(), "key-2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_stops_waiting_leaves_the_question_to_another() {
        let (slot, service) = slot();
        let leader = {
            let (slot, service) = (Arc::clone(&slot), service.clone());
            tokio::spawn(async move { key(&slot, &service, 300).await })
        };
        sleep(Duration::from_millis(10)).await;
        leader.abort();
        let _ = leader.await;
        service.0.1.store(0, Ordering::Relaxed);
        assert_eq!(key(&slot, &service, 300).await.unwrap(), "key-2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rejected_session_is_replaced_once_however_many_reject_it() {
        let (slot, service) = slot();
        let session = slot.current(|| service.clone().create(300), async {}).await.unwrap();
        for _ in 0..10 {
            assert!(slot.reject(&session, false));
            assert_eq!(key(&slot, &service, 300).await.unwrap(), "key-2");
        }
        assert_eq!(service.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_stays_refused_costs_one_session() {
        let (slot, service) = slot();
        let current = || async { slot.current(|| service.clone().create(300), async {}).await.unwrap() };
        assert!(slot.reject(&current().await, true));
        assert!(!slot.reject(&current().await, true));
        assert!(!slot.reject(&current().await, true));
        assert_eq!(service.asked(), 2);
        slot.head_succeeded();
        assert!(slot.reject(&current().await, true));
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_slot_for_each_bucket_and_pair_of_keys() {
        let (sessions, service) = (Sessions::default(), Service::default());
        for (url, id, key_id) in
            [("a", "1", "key-1"), ("b", "1", "key-2"), ("a", "2", "key-3"), ("a", "1", "key-1")]
        {
            let slot = sessions.slot(url.to_owned(), id);
            assert_eq!(key(&slot, &service, 300).await.unwrap(), key_id);
        }
        advance(Duration::from_secs(301)).await;
        sessions.slot("c".to_owned(), "1");
        assert_eq!(sessions.0.lock().unwrap().len(), 1, "sessions that have ended are forgotten");
    }
}
