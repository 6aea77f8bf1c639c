//! A limit on the rate at which body bytes are received, shared by all ranges of a run.
//!
//! It is a leaky bucket without a burst: received bytes push back the time of the next read, and idle time earns no
//! credit, so the network never carries more than the rate, apart from what sockets hold. It never sleeps itself.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A number of bytes per second, shared by all receivers.
#[derive(Debug)]
pub(crate) struct RateLimit {
    bytes_per_second: NonZeroU64,
    /// The time until which the bytes received so far use up the rate.
    due: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// Creates a limit that nothing has used yet.
    pub(crate) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, due: Mutex::new(None) }
    }

    /// Returns the limit.
    pub(crate) fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second.get()
    }

    /// Notes that `bytes` were received; returns the time before which no more should be read.
    pub(crate) fn received(&self, bytes: usize) -> Instant {
        self.at(Instant::now(), bytes)
    }

    fn at(&self, now: Instant, bytes: usize) -> Instant {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = due.map_or(now, |due| due.max(now));
        // It is a single frame: its nanoseconds fit in 64 bits at any sensible rate.
        let nanos = u128::from(bytes as u64) * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        let until = begin + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2));
        *due = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_spread_and_idle_time_is_not_saved_up() {
        let ceiling = RateLimit::new(NonZeroU64::new(1000).unwrap());
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(ceiling.at(start, 500), start + second / 2);
        // Another connection, at the same moment: after the first.
        assert_eq!(ceiling.at(start, 1000), start + second * 3 / 2);
        assert_eq!(ceiling.at(start + second * 10, 1000), start + second * 11);
        assert_eq!(ceiling.at(start + second * 10, 0), start + second * 11);
    }
}
