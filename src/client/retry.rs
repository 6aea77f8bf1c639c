//! The retry policy: which failures are worth another attempt, how long to wait before it, and when to give up.

use std::num::NonZeroU32;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use tokio::time::sleep;
use tracing::warn;

use crate::error::{Error, ErrorKind, Result, ServiceError};
use crate::events::{RETRY, first_line, milliseconds};
use crate::s3::range::ByteRange;

/// Attempts while no byte of the object has arrived, unless the service is throttling: a wrong host fails within
/// seconds.
const ATTEMPTS_BEFORE_FIRST_BYTE: u32 = 4;
/// Consecutive attempts without progress after the first byte: a long download outlives a short outage.
const ATTEMPTS_WITHOUT_PROGRESS: u32 = 10;
/// Consecutive refusals, or responses of another version, after which a download that went well until then ends.
const REFUSALS_MAX: u32 = 4;
const DELAY_MIN: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(5);
/// The longest pause that a server may ask for.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);

/// Describes which attempt a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Counted from 1, for each range or metadata request.
    pub(crate) number: u32,
    /// The attempt needs a new connection, because the previous one failed.
    pub(crate) is_fresh: bool,
    /// The attempt runs beside another one that is late.
    pub(crate) is_hedge: bool,
    /// The attempt asks about a response that is held meanwhile: it never takes that one's connection away.
    pub(crate) is_aside: bool,
}

/// The progress of a run when an attempt fails: one that went well until then outlives a longer outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    Nothing,
    /// Bytes of other objects of the run, and none of this one.
    EarlierObjects,
    PartOfObject,
}

impl Attempt {
    /// The first attempt.
    pub(crate) const FIRST: Self = Self { number: 1, is_fresh: false, is_hedge: false, is_aside: false };

    /// Returns the attempt that follows after `failed` ones.
    pub(crate) fn after(failed: u32) -> Self {
        Self { number: failed.saturating_add(1), ..Self::FIRST }
    }

    /// Returns this attempt as one of a request beside a response that is held.
    pub(crate) fn aside(self) -> Self {
        Self { is_aside: true, ..self }
    }
}

/// Calls `send` until it succeeds, fails in a way that another attempt does not mend, or has failed too often.
// Not an `AsyncFn`: Rust cannot require its futures to be Send yet, and a download must be.
pub(crate) async fn retry<T, F>(max_attempts: Option<NonZeroU32>, send: impl Fn(Attempt) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut policy = RetryPolicy::new(max_attempts);
    loop {
        let error = match send(Attempt::after(policy.count())).await {
            Ok(response) => return Ok(response),
            Err(e) => e,
        };
        let Some(delay) = policy.failed(&error, false, Arrived::Nothing) else {
            return Err(error.after_attempts(policy.count()));
        };
        log_retry(None, policy.count(), &error, delay);
        sleep(delay).await;
    }
}

/// Reports that attempt number `attempt` failed with `error` and that the next one follows after `delay`; `rest` is
/// what is left of the range, for a request that has one.
pub(crate) fn log_retry(rest: Option<ByteRange>, attempt: u32, error: &Error, delay: Duration) {
    warn!(
        target: RETRY,
        range = rest.map(|range| range.to_string()),
        attempt,
        delay_ms = milliseconds(delay),
        reason = first_line(error),
        "attempt failed"
    );
}

/// Counts consecutive attempts without progress, and decides how long to wait before the next one.
pub(crate) struct RetryPolicy {
    explicit: Option<NonZeroU32>,
    /// Consecutive attempts without progress.
    fruitless: u32,
    failed: u32,
    /// Consecutive refusals in the middle of a download, and responses that are not of its version.
    refused: u32,
    delays: ExponentialBackoff,
}

impl RetryPolicy {
    /// Creates a policy before the first attempt; `explicit` is the user's own limit.
    pub(crate) fn new(explicit: Option<NonZeroU32>) -> Self {
        Self { explicit, fruitless: 0, failed: 0, refused: 0, delays: delays() }
    }

    /// Records an attempt that failed with `error`; one that made progress does not count. Returns how long to wait
    /// before the next one, or `None` to give up.
    pub(crate) fn failed(
        &mut self,
        error: &Error,
        made_progress: bool,
        arrived: Arrived,
    ) -> Option<Duration> {
        self.failed += 1;
        if made_progress {
            self.fruitless = 0;
            self.delays = delays();
        } else {
            self.fruitless += 1;
        }
        let default = match arrived {
            // A server that asks for patience is the right one: it gets as many as after the first byte.
            Arrived::Nothing if !error.is_throttling() => ATTEMPTS_BEFORE_FIRST_BYTE,
            _ => ATTEMPTS_WITHOUT_PROGRESS,
        };
        // An object that was never seen may well be missing, whatever came before it.
        let may_be_transient = arrived == Arrived::PartOfObject && is_refusal(error);
        // Another version is final. Where a response may be a single server's, a few say that it is none's.
        let is_of_another_version = error.kind() == ErrorKind::Changed;
        self.refused = if may_be_transient || is_of_another_version { self.refused + 1 } else { 0 };
        let is_final = !error.is_retryable() && !may_be_transient;
        if is_final
            || self.refused >= REFUSALS_MAX
            || self.fruitless >= self.explicit.map_or(default, NonZeroU32::get)
        {
            return None;
        }
        // Full jitter: clients that failed together must not come back together.
        let delay = self.delays.next().unwrap_or(DELAY_MAX).mul_f64(fastrand::f64());
        let retry_after = error.service().and_then(|s| s.retry_after).unwrap_or_default();
        Some(delay.max(retry_after.min(RETRY_AFTER_MAX)))
    }

    /// Returns the number of failed attempts.
    pub(crate) fn count(&self) -> u32 {
        self.failed
    }
}

/// Returns whether the service denies access to the object, or has none. In the middle of a download this can be the
/// error of a single server, or of a cache of permissions.
fn is_refusal(error: &Error) -> bool {
    // These are corrected where that is possible.
    const CORRECTED: [&str; 3] = ["RequestTimeTooSkewed", "ExpiredToken", "TokenRefreshRequired"];
    let is_one =
        |s: &ServiceError| matches!(s.status, 401 | 403 | 404 | 405 | 410) && !CORRECTED.contains(&s.code());
    // A gateway's own 404 or 410 has no S3 document and is a server error: see `error_from_response`.
    matches!(error.kind(), ErrorKind::Access | ErrorKind::NotFound | ErrorKind::Server | ErrorKind::Usage)
        && error.service().is_some_and(is_one)
}

fn delays() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(DELAY_MIN)
        .with_max_delay(DELAY_MAX)
        .with_factor(2.0)
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::Arrived::{EarlierObjects, Nothing, PartOfObject};
    use super::*;

    #[test]
    fn attempts_end_sooner_before_the_first_byte_of_a_run_and_start_over_after_progress() {
        let count = |explicit, arrived| {
            let mut policy = RetryPolicy::new(explicit);
            let mut made = 1;
            while policy.failed(&Error::network("cut"), false, arrived).is_some() {
                made += 1;
            }
            made
        };
        for (arrived, most) in [(Nothing, 4), (EarlierObjects, 10), (PartOfObject, 10)] {
            assert_eq!((count(None, arrived), count(NonZeroU32::new(3), arrived)), (most, 3), "{arrived:?}");
        }

        let mut policy = RetryPolicy::new(NonZeroU32::new(2));
        for _ in 0..100 {
            assert!(policy.failed(&Error::network("cut"), false, PartOfObject).is_some());
            assert!(policy.failed(&Error::network("cut"), true, PartOfObject).is_some());
        }
        assert_eq!(policy.count(), 200);
    }

    #[test]
    fn delays_grow_to_a_limit_and_honour_retry_after() {
        let mut policy = RetryPolicy::new(NonZeroU32::new(100));
        for n in 0..20 {
            let delay = policy.failed(&Error::network("cut"), false, PartOfObject).unwrap();
            assert!(delay <= DELAY_MAX.min(DELAY_MIN * 2_u32.pow(n)), "{n}: {delay:?}");
        }
        for (asked, least) in [(7, 7), (3600, 60)] {
            let retry_after = Some(Duration::from_secs(asked));
            let busy = Error::new(ErrorKind::Server, "busy")
                .retryable(true)
                .with_service(ServiceError { retry_after, ..ServiceError::of(503, "SlowDown") });
            assert_eq!(
                RetryPolicy::new(None).failed(&busy, false, Nothing).unwrap(),
                Duration::from_secs(least)
            );
        }
    }

    #[test]
    fn a_throttled_request_has_as_many_attempts_before_the_first_byte_as_later() {
        for (status, code) in
            [(503, "SlowDown"), (429, "TooManyRequests"), (503, ""), (429, ""), (400, "ThrottlingException")]
        {
            let busy = Error::new(ErrorKind::Server, "busy")
                .retryable(true)
                .with_service(ServiceError::of(status, code));
            for (explicit, most) in [(None, ATTEMPTS_WITHOUT_PROGRESS), (NonZeroU32::new(2), 2)] {
                let made = [Nothing, EarlierObjects, PartOfObject].map(|arrived| {
                    let mut policy = RetryPolicy::new(explicit);
                    (1..100).find(|_| policy.failed(&busy, false, arrived).is_none()).unwrap()
                });
                assert_eq!(made, [most; 3], "{status} {code}");
            }
        }
    }

    #[test]
    fn a_refusal_of_a_gateway_in_the_middle_is_tried_again_too() {
        for status in [404, 405, 410] {
            let refused = Error::new(ErrorKind::Server, "this does not look like an S3 server")
                .with_service(ServiceError::of(status, ""));
            let made = [Nothing, EarlierObjects, PartOfObject].map(|arrived| {
                let mut policy = RetryPolicy::new(None);
                (1..100).find(|_| policy.failed(&refused, false, arrived).is_none()).unwrap()
            });
            assert_eq!(made, [1, 1, REFUSALS_MAX], "{status}");
        }
    }

    #[test]
    fn a_refusal_ends_immediately_before_the_first_byte_and_after_a_few_attempts_later() {
        for (status, code, before, later) in [
            (403, "AccessDenied", 1, 4),
            (403, "SignatureDoesNotMatch", 1, 4),
            (403, "", 1, 4),
            (404, "NoSuchKey", 1, 4),
            (404, "", 1, 4),
            (405, "MethodNotAllowed", 1, 4),
            (403, "RequestTimeTooSkewed", 1, 1),
            (400, "ExpiredToken", 1, 1),
            (412, "PreconditionFailed", 1, 1),
            (501, "NotImplemented", 1, 1),
        ] {
            // Usage: the refusal is about a key for encryption.
            for kind in [ErrorKind::Access, ErrorKind::Usage] {
                let attempts = |arrived| {
                    let refused = Error::new(kind, "refused").with_service(ServiceError::of(status, code));
                    let mut policy = RetryPolicy::new(None);
                    (1..100).find(|_| policy.failed(&refused, false, arrived).is_none()).unwrap()
                };
                let made = [Nothing, EarlierObjects, PartOfObject].map(attempts);
                assert_eq!(made, [before, before, later], "{status} {code} {kind:?}");
            }
        }
    }

    /// A response without the tag, or in another encoding.
    #[test]
    fn a_response_that_may_be_of_another_version_has_a_few_attempts() {
        for (is_retryable, attempts) in [(true, REFUSALS_MAX), (false, 1)] {
            let changed = Error::new(ErrorKind::Changed, "changed").retryable(is_retryable);
            for (explicit, most) in [(None, attempts), (NonZeroU32::new(2), attempts.min(2))] {
                let made = [Nothing, EarlierObjects, PartOfObject].map(|arrived| {
                    let mut policy = RetryPolicy::new(explicit);
                    (1..100).find(|_| policy.failed(&changed, false, arrived).is_none()).unwrap()
                });
                assert_eq!(made, [most; 3]);
            }
        }
    }

    type Reply<'a> = &'a dyn Fn(u32) -> Result<()>;
    /// How many attempts there are, whether the last one succeeds, and the least and the longest time in milliseconds.
    type Sent = (u32, bool, [u64; 2]);

    /// Sends until it ends; returns how many attempts there were, whether the last one succeeded, and the time it took.
    async fn sent(max_attempts: Option<u32>, reply: impl Fn(u32) -> Result<()>) -> (u32, bool, Duration) {
        let began = tokio::time::Instant::now();
        let attempts = std::cell::Cell::new(0);
        let sent = retry(max_attempts.and_then(NonZeroU32::new), |attempt| {
            attempts.set(attempts.get() + 1);
            assert_eq!(attempt, Attempt { number: attempts.get(), ..Attempt::FIRST });
            std::future::ready(reply(attempt.number))
        });
        let is_sent = sent.await.is_ok();
        (attempts.get(), is_sent, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_sent_again_until_one_succeeds_or_none_will() {
        let busy = |seconds: u64| {
            let retry_after = Some(Duration::from_secs(seconds));
            let service = ServiceError { retry_after, ..ServiceError::of(503, "SlowDown") };
            Err(Error::new(ErrorKind::Server, "busy").retryable(true).with_service(service))
        };
        let cut = || Err(Error::network("cut"));
        let table: [(&str, Option<u32>, Reply<'_>, Sent); 8] = [
            ("the first", None, &|_| Ok(()), (1, true, [0, 0])),
            ("the third", None, &|n| if n < 3 { cut() } else { Ok(()) }, (3, true, [0, 300])),
            ("none of four", None, &|_| cut(), (4, false, [0, 700])),
            ("none of as many as were named", Some(2), &|_| cut(), (2, false, [0, 100])),
            ("more than usual", Some(9), &|n| if n < 7 { cut() } else { Ok(()) }, (7, true, [0, 6_300])),
            (
                "one that is final",
                None,
                &|_| Err(Error::new(ErrorKind::Access, "denied")),
                (1, false, [0, 0]),
            ),
            (
                "more often where the service is busy",
                None,
                &|n| if n < 10 { busy(0) } else { Ok(()) },
                (10, true, [0, 21_300]),
            ),
            (
                "after the pauses asked for",
                None,
                &|n| if n < 3 { busy(7) } else { Ok(()) },
                (3, true, [14_000, 14_000]),
            ),
        ];
        for (case, max_attempts, reply, (attempts, is_sent, [least, most])) in table {
            let (sent, succeeded, time) = sent(max_attempts, reply).await;
            assert_eq!((sent, succeeded), (attempts, is_sent), "{case}");
            // The clock of the runtime has whole milliseconds.
            let most = Duration::from_millis(most + u64::from(attempts));
            assert!((Duration::from_millis(least)..=most).contains(&time), "{case}: {time:?}");
        }
    }

    #[test]
    fn an_error_that_is_not_retryable_ends_immediately() {
        let denied = Error::new(ErrorKind::Access, "denied");
        assert_eq!(RetryPolicy::new(None).failed(&denied, false, PartOfObject), None);
    }
}
