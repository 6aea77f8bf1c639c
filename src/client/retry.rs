//! Attempts: which failures are worth another one, how long to wait before it, and when to give up.

use std::num::NonZeroU32;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use tokio::time::sleep;
use tracing::warn;

use crate::error::{Error, Result};
use crate::events::{RETRY, first_line, milliseconds};
use crate::s3::range::ByteRange;

/// Tries without a byte of the object ever seen: a wrong host fails within seconds.
const ATTEMPTS_BEFORE_FIRST_BYTE: u32 = 4;
/// Tries in a row without a new byte, later on: a long download outlives a short outage.
const ATTEMPTS: u32 = 10;
/// New bytes, and more, that make a failed try count as none. Fewer, try after try, would be a download
/// without end.
const PROGRESS: u64 = 64 << 10;
const DELAY_MIN: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(5);
/// A server may ask for a longer pause than our own longest, but not for any length.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);

/// Which try a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// From 1, of the same range or question.
    pub(crate) number: u32,
    /// It wants a new connection, after one that failed.
    pub(crate) is_fresh: bool,
    /// The one before is still under way, and late.
    pub(crate) is_hedge: bool,
}

impl Attempt {
    /// The first one.
    pub(crate) const FIRST: Self = Self { number: 1, is_fresh: false, is_hedge: false };

    /// The one that follows so many that `failed`.
    pub(crate) fn after(failed: u32) -> Self {
        Self { number: failed.saturating_add(1), ..Self::FIRST }
    }
}

/// Asks until there is an answer, or an error that another try does not mend, or too many of them.
// Not an `AsyncFn`: whether its futures are Send cannot be said yet, and a download must be.
pub(crate) async fn retry<T, F>(max_attempts: Option<NonZeroU32>, ask: impl Fn(Attempt) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut tries = RetryPolicy::new(max_attempts);
    loop {
        let error = match ask(Attempt::after(tries.count())).await {
            Ok(answer) => return Ok(answer),
            Err(e) => e,
        };
        let Some(delay) = tries.failed(&error, 0, false) else {
            return Err(error.after_attempts(tries.count()));
        };
        log_retry(None, tries.count(), &error, delay);
        sleep(delay).await;
    }
}

/// Reports that attempt number `attempt` failed with `error`, and that the next one, for `rest` where it is about a
/// range, comes after `delay`.
pub(crate) fn log_retry(rest: Option<ByteRange>, attempt: u32, error: &Error, delay: Duration) {
    warn!(
        target: RETRY,
        range = rest.map(|range| range.to_string()),
        attempt,
        delay_ms = milliseconds(delay),
        reason = first_line(error),
        "a try failed"
    );
}

/// Counts tries in a row that brought no new byte, and says how long to wait before the next.
pub(crate) struct RetryPolicy {
    explicit: Option<NonZeroU32>,
    /// Tries in a row that brought nothing new.
    fruitless: u32,
    failed: u32,
    delays: ExponentialBackoff,
}

impl RetryPolicy {
    /// No try made yet; `explicit` is the user's own limit.
    pub(crate) fn new(explicit: Option<NonZeroU32>) -> Self {
        Self { explicit, fruitless: 0, failed: 0, delays: delays() }
    }

    /// A try failed with `error` after `new` bytes: how long to wait before the next, or `None` to give
    /// up. `begun` says whether any byte of the object has come.
    pub(crate) fn failed(&mut self, error: &Error, new: u64, begun: bool) -> Option<Duration> {
        self.failed += 1;
        if new >= PROGRESS {
            self.fruitless = 0;
            self.delays = delays();
        } else {
            self.fruitless += 1;
        }
        let default = if begun { ATTEMPTS } else { ATTEMPTS_BEFORE_FIRST_BYTE };
        if !error.is_retryable() || self.fruitless >= self.explicit.map_or(default, NonZeroU32::get) {
            return None;
        }
        // Full jitter: clients that failed together must not come back together.
        let delay = self.delays.next().unwrap_or(DELAY_MAX).mul_f64(fastrand::f64());
        let asked = error.service().and_then(|s| s.retry_after).unwrap_or_default();
        Some(delay.max(asked.min(RETRY_AFTER_MAX)))
    }

    /// How many tries failed in all.
    pub(crate) fn count(&self) -> u32 {
        self.failed
    }
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
    use super::*;
    use crate::error::{ErrorKind, ServiceError};

    fn of(status: u16, code: &str) -> ServiceError {
        let code = (!code.is_empty()).then(|| code.to_owned());
        ServiceError { status, code, ..ServiceError::default() }
    }

    #[test]
    fn tries_end_sooner_before_the_first_byte_and_begin_again_with_every_new_one() {
        let count = |explicit, begun| {
            let mut tries = RetryPolicy::new(explicit);
            let mut made = 1;
            while tries.failed(&Error::network("cut"), PROGRESS - 1, begun).is_some() {
                made += 1;
            }
            made
        };
        assert_eq!((count(None, false), count(None, true)), (4, 10));
        assert_eq!((count(NonZeroU32::new(1), false), count(NonZeroU32::new(3), true)), (1, 3));

        let mut tries = RetryPolicy::new(NonZeroU32::new(2));
        for _ in 0..100 {
            assert!(tries.failed(&Error::network("cut"), 0, true).is_some());
            assert!(tries.failed(&Error::network("cut"), PROGRESS, true).is_some());
        }
        assert_eq!(tries.count(), 200);
    }

    #[test]
    fn delays_grow_to_a_limit_and_honour_retry_after() {
        let mut tries = RetryPolicy::new(NonZeroU32::new(100));
        for n in 0..20 {
            let delay = tries.failed(&Error::network("cut"), 0, true).unwrap();
            assert!(delay <= DELAY_MAX.min(DELAY_MIN * 2_u32.pow(n)), "{n}: {delay:?}");
        }
        for (asked, least) in [(7, 7), (3600, 60)] {
            let retry_after = Some(Duration::from_secs(asked));
            let busy = Error::new(ErrorKind::Server, "busy")
                .retryable(true)
                .with_service(ServiceError { retry_after, ..of(503, "SlowDown") });
            assert_eq!(RetryPolicy::new(None).failed(&busy, 0, false).unwrap(), Duration::from_secs(least));
        }
    }

    #[test]
    fn what_is_not_retryable_ends_at_once() {
        let denied = Error::new(ErrorKind::Access, "denied");
        assert_eq!(RetryPolicy::new(None).failed(&denied, 0, true), None);
    }
}
