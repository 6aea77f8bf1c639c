//! Credentials over time: loaded once, renewed in the background, and a source that is down.

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

/// Loads keys the first time, and then lets everybody wait this long before it fails.
#[derive(Debug)]
struct Slow(Counting, Duration);

impl ProvideCredentials for Slow {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            if self.0.asked() > 0 {
                tokio::time::sleep(self.1).await;
            }
            self.0.provide_credentials().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_answer_in_time_fails_once_for_all() {
    for (seconds, limit, retryable) in [(1, 1, true), (20, 20, true), (60, 60, false), (100_000, 120, false)]
    {
        for in_background in [false, true] {
            let source = Counting::new(Some(MINUTE));
            let credentials = Credentials::from_source(Slow(source.clone(), Duration::from_secs(seconds)));
            let expired = credentials.current().await.unwrap().unwrap().expiration().unwrap();
            source.down(true);
            if in_background {
                // The renewal begins while the keys are valid, and outlasts them.
                at(&credentials, expired - Duration::from_millis(100)).await.unwrap();
                tokio::task::yield_now().await;
            }
            let began = Instant::now();
            let answers = futures_util::future::join_all((0..64).map(|_| at(&credentials, expired))).await;
            let waited = began.elapsed().as_secs();
            assert_eq!(waited, limit, "{seconds} s, {in_background}");
            for answer in answers {
                let error = answer.unwrap_err();
                assert_eq!((error.exit_code(), error.is_retryable()), (4, retryable), "{error}");
            }
        }
    }
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
    for seconds in 0..9 {
        at(&credentials, now + Duration::from_secs(seconds)).await.unwrap();
    }
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn keys_that_seem_expired_when_they_come_are_used_until_s3_rejects_them() {
    let source = Expired(Counting::new(None));
    let credentials = Credentials::from_source(source.clone());
    let now = SystemTime::now();
    for seconds in 0..9 {
        at(&credentials, now + Duration::from_secs(seconds)).await.unwrap();
    }
    assert_eq!(source.0.asked(), 1);
    // Others are asked for in the background, and a source that is down then does not matter.
    source.0.down(true);
    let (first, later) = at_and_after(&credentials, now + MINUTE).await;
    assert_eq!((first.as_str(), later.as_str(), source.0.asked()), ("key-1", "key-1", 2));
    source.0.down(false);
    let identity = credentials.current().await.unwrap().unwrap();
    credentials.refresh(&identity).await;
    assert_eq!(at(&credentials, now + MINUTE * 2).await.unwrap(), "key-3");
}

/// Loads keys that have expired, as a clock that is ahead sees them.
#[derive(Debug, Clone)]
struct Expired(Counting);

impl ProvideCredentials for Expired {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let keys = self.0.provide_credentials().await?;
            let end = SystemTime::now() - MINUTE;
            Ok(Keys::new(keys.access_key_id(), keys.secret_access_key(), None, Some(end), "test"))
        })
    }
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
