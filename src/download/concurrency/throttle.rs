//! The response to a busy server: fewer requests at a time, and a pause before the next one, shared by all ranges.
//!
//! Thousands of ranges that each waited on their own would still overload a server that asks for less (`503 SlowDown`).
//! The first such answer halves the requests in flight and stops new ones for a while; successes afterwards raise the
//! number again, one by one. This module sends nothing and cancels nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::client::retry::RETRY_AFTER_MAX;
use crate::download::concurrency::limit::ConcurrencyLimit;
use crate::events::{THROTTLE, milliseconds};
use tracing::warn;

/// The first pause; it doubles while the server keeps asking for less.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The pause and the number of requests that a server allows at present.
#[derive(Debug)]
pub(crate) struct Throttle {
    limit: Arc<ConcurrencyLimit>,
    state: Mutex<ThrottleState>,
}

#[derive(Debug)]
struct ThrottleState {
    until: Option<Instant>,
    pause: Duration,
    /// Successful answers since the limit grew last.
    good: usize,
}

impl Throttle {
    /// Creates a throttle that allows whatever `limit` allows.
    pub(crate) fn new(limit: Arc<ConcurrencyLimit>) -> Self {
        Self { limit, state: Mutex::new(ThrottleState { until: None, pause: Duration::ZERO, good: 0 }) }
    }

    /// Notes that the server asked for fewer requests, and perhaps for a pause of some length.
    pub(crate) fn slow_down(&self, now: Instant, asked: Option<Duration>) {
        let asked = asked.unwrap_or_default().min(RETRY_AFTER_MAX);
        let mut state = self.state();
        // Requests in flight together are throttled together, and count once.
        if state.until.is_none_or(|until| until <= now) {
            state.pause = (2 * state.pause).clamp(PAUSE_MIN, PAUSE_MAX);
            let pause = state.pause.mul_f64(0.5 + 0.5 * fastrand::f64());
            state.until = Some(now + pause);
            state.good = 0;
            self.limit.halve();
            let (pause_ms, concurrency) = (milliseconds(pause.max(asked)), self.limit.target());
            warn!(target: THROTTLE, pause_ms, concurrency, "the server asks for fewer requests");
        }
        state.until = state.until.max(Some(now + asked));
    }

    /// Notes a successful response: after a pause, one more request in flight for as many of them as are in flight.
    pub(crate) fn note_success(&self, now: Instant) {
        if !self.limit.is_halved() {
            return;
        }
        let mut state = self.state();
        if state.until.is_some_and(|until| now < until) {
            // The request was sent before the pause.
            return;
        }
        state.pause /= 2;
        state.good += 1;
        // One more for as many successes as there are requests in flight.
        if state.good >= self.limit.target() {
            state.good = 0;
            self.limit.grow();
        }
    }

    /// Waits until requests may be sent.
    pub(crate) async fn wait_until_clear(&self) {
        loop {
            let until = self.state().until;
            match until {
                Some(until) if Instant::now() < until => sleep_until(until).await,
                _ => return,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, ThrottleState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn answers_of_one_moment_halve_once_and_good_ones_grow_back_slowly() {
        let limit = ConcurrencyLimit::new(16);
        let throttle = Throttle::new(Arc::clone(&limit));
        let mut now = Instant::now();
        assert!(throttle.wait_until_clear().now_or_never().is_some());
        for _ in 0..16 {
            throttle.slow_down(now, None);
        }
        assert_eq!(limit.target(), 8);
        assert!(throttle.wait_until_clear().now_or_never().is_none());
        now += PAUSE_MAX;
        throttle.slow_down(now, None);
        assert_eq!(limit.target(), 4);
        now += PAUSE_MAX;
        let mut good = 0;
        while limit.is_halved() {
            throttle.note_success(now);
            good += 1;
        }
        assert_eq!((limit.target(), good), (16, (4..16).sum::<usize>()));
    }

    #[tokio::test]
    async fn the_pause_that_is_asked_for_is_kept_within_reason() {
        let throttle = Throttle::new(ConcurrencyLimit::new(4));
        let now = Instant::now();
        throttle.slow_down(now, Some(Duration::from_secs(7)));
        assert_eq!(throttle.state().until, Some(now + Duration::from_secs(7)));
        throttle.slow_down(now, Some(Duration::from_hours(1)));
        assert_eq!(throttle.state().until, Some(now + RETRY_AFTER_MAX));
    }

    #[tokio::test]
    async fn pauses_grow_to_a_limit() {
        let throttle = Throttle::new(ConcurrencyLimit::new(1));
        let mut now = Instant::now();
        for _ in 0..20 {
            throttle.slow_down(now, None);
            let pause = throttle.state().until.map_or(PAUSE_MAX, |until| until - now);
            assert!(pause <= PAUSE_MAX);
            now += PAUSE_MAX;
        }
        assert_eq!(throttle.state().pause, PAUSE_MAX);
    }
}
