//! A limit on the rate at which body bytes are received, shared by all ranges of a run.
//!
//! It is a leaky bucket without a burst: bytes to be read push back the time of the next read, and idle time earns next to no
//! credit, so the network never carries more than the rate, apart from what sockets hold. Reads are due in the order of the
//! output: of two connections that shared a limit of 1 MiB/s each got half, and the reader half of the limit for seconds.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::download::memory::window::OutputPosition;

/// How much time a reader that comes late has not lost. Timers fire up to a millisecond late, later on a busy machine, and
/// without this 40 MiB/s were 31 to 37.
const CREDIT: Duration = Duration::from_millis(20);

/// A number of bytes per second, shared by all receivers.
#[derive(Debug)]
pub(crate) struct RateLimit {
    bytes_per_second: NonZeroU64,
    state: Mutex<RateState>,
}

#[derive(Debug, Default)]
struct RateState {
    /// The time until which the bytes received so far, and those that may be read now, use up the rate.
    due: Option<Instant>,
    /// The readers that wait, by what they read; the number tells those of one place apart.
    waiting: BTreeMap<(OutputPosition, u64), Arc<Notify>>,
    next_number: u64,
}

/// The right to read some bytes. Those that were not received when it is dropped are free for others.
#[derive(Debug)]
pub(crate) struct RateShare<'a> {
    limit: &'a RateLimit,
    bytes: usize,
}

/// A reader in the queue.
struct WaitingReader<'a> {
    limit: &'a RateLimit,
    key: (OutputPosition, u64),
}

impl RateLimit {
    /// Creates a limit that nothing has used yet.
    pub(crate) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, state: Mutex::default() }
    }

    /// Returns the limit.
    pub(crate) fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second.get()
    }

    /// Waits until up to `bytes` may be read for the range that begins at `start`.
    pub(crate) async fn share(&self, start: OutputPosition, bytes: usize) -> RateShare<'_> {
        let notify = Arc::new(Notify::new());
        let waiting = {
            let mut state = self.state();
            state.next_number += 1;
            let key = (start, state.next_number);
            state.waiting.insert(key, Arc::clone(&notify));
            WaitingReader { limit: self, key }
        };
        loop {
            let due = {
                let mut state = self.state();
                let is_first =
                    state.waiting.first_key_value().is_some_and(|(first, _)| *first == waiting.key);
                let (now, due) = state.due_now();
                if is_first && due <= now {
                    state.due = Some(due + self.time_of(bytes));
                    return RateShare { limit: self, bytes };
                }
                is_first.then_some(due)
            };
            match due {
                Some(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = notify.notified() => {}
                },
                None => notify.notified().await,
            }
        }
    }

    /// Charges `bytes` that came before their reader had a share: those that a hedge wins with.
    pub(crate) fn charge(&self, bytes: usize) {
        let mut state = self.state();
        let (_, due) = state.due_now();
        state.due = Some(due + self.time_of(bytes));
    }

    fn time_of(&self, bytes: usize) -> Duration {
        // It is a single frame: its nanoseconds fit in 64 bits at any sensible rate.
        let nanos = u128::from(bytes as u64) * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
    }

    fn state(&self) -> MutexGuard<'_, RateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RateState {
    /// Returns the present time, and when the next read is due: a time that has passed counts up to the credit.
    fn due_now(&self) -> (Instant, Instant) {
        let now = Instant::now();
        let oldest = now.checked_sub(CREDIT).unwrap_or(now);
        (now, self.due.map_or(now, |due| due.max(oldest)))
    }

    fn wake_first(&self) {
        if let Some((_, first)) = self.waiting.first_key_value() {
            first.notify_one();
        }
    }
}

impl RateShare<'_> {
    /// Notes that so many `bytes` were received, which may be more than were to be read.
    pub(crate) fn received(mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.bytes);
        self.bytes = self.bytes.saturating_sub(bytes);
        let mut state = self.limit.state();
        state.due = state.due.map(|due| due + self.limit.time_of(more));
    }
}

impl Drop for RateShare<'_> {
    fn drop(&mut self) {
        let unused = self.limit.time_of(self.bytes);
        let mut state = self.limit.state();
        state.due = state.due.map(|due| due.checked_sub(unused).unwrap_or(due));
        state.wake_first();
    }
}

impl Drop for WaitingReader<'_> {
    fn drop(&mut self) {
        let mut state = self.limit.state();
        state.waiting.remove(&self.key);
        state.wake_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn limit() -> RateLimit {
        RateLimit::new(NonZeroU64::new(1000).unwrap())
    }

    fn at(offset: u64) -> OutputPosition {
        OutputPosition { object: 0, offset }
    }

    async fn read(limit: &RateLimit, offset: u64, bytes: usize) {
        limit.share(at(offset), bytes).await.received(bytes);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_is_spread_and_idle_time_is_not_saved_up() {
        let limit = limit();
        let start = Instant::now();
        let second = Duration::from_secs(1);
        read(&limit, 0, 500).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "the first read need not wait");
        read(&limit, 0, 1000).await;
        assert_eq!(start.elapsed(), second / 2);
        tokio::time::advance(second * 10).await;
        read(&limit, 0, 1000).await;
        assert_eq!(start.elapsed(), second * 21 / 2, "nor one after a pause");
        read(&limit, 0, 1).await;
        assert_eq!(start.elapsed() + CREDIT, second * 23 / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_front_range_gets_all_that_it_can_use_and_others_the_rest() {
        let limit = limit();
        let start = Instant::now();
        let front = async {
            for _ in 0..10 {
                read(&limit, 0, 100).await;
            }
            start.elapsed()
        };
        let later = async {
            for _ in 0..10 {
                read(&limit, 7, 100).await;
            }
            start.elapsed()
        };
        let (later, front) = tokio::join!(later, front);
        assert!(front <= Duration::from_secs(1), "{front:?}");
        assert!(later >= Duration::from_millis(1_800), "{later:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_received_is_free_for_others() {
        let limit = limit();
        let start = Instant::now();
        limit.share(at(0), 1000).await.received(100);
        drop(limit.share(at(0), 1000).await);
        read(&limit, 0, 1).await;
        assert_eq!(start.elapsed(), Duration::from_millis(100));
        // More than was asked for counts as well.
        limit.share(at(0), 10).await.received(999);
        read(&limit, 0, 1).await;
        assert_eq!(start.elapsed(), Duration::from_millis(1_100));
        // A range that has its share and gets no bytes holds up nobody for long.
        let stuck = limit.share(at(0), 500).await;
        read(&limit, 7, 1).await;
        assert_eq!(start.elapsed(), Duration::from_millis(1_601));
        drop(stuck);
        // Bytes that came without a share hold up the next read as well.
        limit.charge(500);
        read(&limit, 7, 1).await;
        assert_eq!(start.elapsed(), Duration::from_millis(2_081), "less the credit");
        // A reader that gives up leaves the queue.
        limit.share(at(0), 500).await.received(500);
        assert!(limit.share(at(0), 1).now_or_never().is_none());
        read(&limit, 7, 1).await;
    }
}
