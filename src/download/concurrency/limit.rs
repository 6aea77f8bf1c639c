//! How many ranges are fetched at the same time: a number that may change while they are.
//!
//! The smaller of two numbers counts: what the controller wants, and what a busy server still allows. A range holds a
//! [`Permit`] while it is fetched. Raising the number takes effect immediately, lowering it as permits come back. Permits
//! are given in the order in which they are asked for.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::Waker;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::download::sync::{AtomicBool, AtomicU64, AtomicUsize, AtomicWaker, Mutex, MutexGuard};

/// A changing number of permits, and the sizes of the ranges that they are for.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    free: Arc<Semaphore>,
    /// Changes together with the number of permits: threads that lower it and give permits back at the same time would
    /// lose some otherwise.
    state: Mutex<LimitState>,
    in_use: AtomicUsize,
    most: AtomicUsize,
    /// Set if a controller moves the target.
    steered: AtomicBool,
    /// Set while the controller measures over so short a time that bytes must be counted as they arrive.
    observed: AtomicBool,
    /// The largest range, in bytes; and the largest where few are fetched at the same time.
    chunk: AtomicU64,
    large: AtomicU64,
    /// Bytes under way below which the next range is requested.
    just_in_time: AtomicU64,
    /// How many ranges to keep, plus one; 0 where none is to be cancelled.
    retreat: AtomicUsize,
    /// The ordered stream, woken when there is more for it to do.
    consumer: AtomicWaker,
}

#[derive(Debug)]
struct LimitState {
    /// How many permits there should be.
    target: usize,
    /// Set if one more is allowed because those under way are about to end.
    successor: bool,
    /// How many a busy server allows; `usize::MAX` where it is not.
    ceiling: usize,
    /// How many there are, those in use included.
    size: usize,
}

impl LimitState {
    fn allowed(&self) -> usize {
        (self.target + usize::from(self.successor)).min(self.ceiling)
    }
}

/// The right to fetch one range; dropping it gives it to the next.
#[derive(Debug)]
pub(crate) struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    limit: Arc<ConcurrencyLimit>,
}

impl ConcurrencyLimit {
    /// Creates a limit of `target` ranges.
    pub(crate) fn new(target: usize) -> Arc<Self> {
        let target = target.min(Semaphore::MAX_PERMITS);
        let state = LimitState { target, successor: false, ceiling: usize::MAX, size: target };
        Arc::new(Self {
            free: Arc::new(Semaphore::new(target)),
            state: Mutex::new(state),
            in_use: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            steered: AtomicBool::new(false),
            observed: AtomicBool::new(false),
            chunk: AtomicU64::new(u64::MAX),
            large: AtomicU64::new(u64::MAX),
            just_in_time: AtomicU64::new(0),
            retreat: AtomicUsize::new(0),
            consumer: AtomicWaker::new(),
        })
    }

    /// Waits for a permit; `None` once the limit is closed.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Option<Permit> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(Self::permit(self, permit))
    }

    /// Returns the semaphore that permits are taken from, for a stream that polls it.
    pub(crate) fn semaphore(&self) -> Arc<Semaphore> {
        Arc::clone(&self.free)
    }

    /// Returns the right to fetch one range, for a `permit` that was taken from the semaphore.
    pub(crate) fn permit(limit: &Arc<Self>, permit: OwnedSemaphorePermit) -> Permit {
        let in_use = limit.in_use.fetch_add(1, Ordering::Relaxed) + 1;
        limit.most.fetch_max(in_use, Ordering::Relaxed);
        Permit { permit: Some(permit), limit: Arc::clone(limit) }
    }

    /// Returns how many ranges may be fetched at the same time.
    pub(crate) fn target(&self) -> usize {
        self.state().allowed()
    }

    /// Returns how many ranges the controller wants, without the successor of one that is about to end.
    pub(crate) fn settled_target(&self) -> usize {
        self.state().target
    }

    /// Returns how many permits are in use.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Returns the most permits that were in use at the same time.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Sets how many ranges may be fetched at the same time.
    pub(crate) fn set_target(&self, target: usize) {
        self.change(|state| state.target = target);
    }

    /// Sets whether bytes are to be counted as they arrive, and not when a full buffer has.
    pub(crate) fn set_observed(&self, is_observed: bool) {
        self.observed.store(is_observed, Ordering::Relaxed);
    }

    /// Returns whether bytes are to be counted as they arrive.
    pub(crate) fn is_observed(&self) -> bool {
        self.observed.load(Ordering::Relaxed)
    }

    /// Allows one more range because those under way are about to end, or no longer.
    pub(crate) fn set_successor(&self, allowed: bool) {
        if self.state().successor != allowed {
            self.change(|state| state.successor = allowed);
        }
    }

    /// Allows half as many as there are, at least one, until they grow again.
    pub(crate) fn halve(&self) {
        self.change(|state| state.ceiling = (state.allowed() / 2).max(1));
    }

    /// Allows one more after [`ConcurrencyLimit::halve`].
    pub(crate) fn grow(&self) {
        self.change(|state| {
            if state.ceiling != usize::MAX {
                let next = state.ceiling + 1;
                state.ceiling = if next < state.target { next } else { usize::MAX };
            }
        });
    }

    /// Returns whether a busy server allows fewer than there should be.
    pub(crate) fn is_halved(&self) -> bool {
        self.state().ceiling != usize::MAX
    }

    /// Gives no more permits: ranges that have not begun never will.
    pub(crate) fn close(&self) {
        self.free.close();
    }

    /// Notes that a controller moves the target from now on.
    pub(crate) fn set_steered(&self) {
        self.steered.store(true, Ordering::Relaxed);
    }

    /// Returns whether a controller moves the target.
    pub(crate) fn is_steered(&self) -> bool {
        self.steered.load(Ordering::Relaxed)
    }

    /// Sets how large ranges may be, in bytes, and below how many bytes under way the next one is requested.
    pub(crate) fn set_sizes(&self, chunk: u64, large: u64, just_in_time: u64) {
        self.chunk.store(chunk, Ordering::Relaxed);
        self.large.store(large, Ordering::Relaxed);
        self.just_in_time.store(just_in_time, Ordering::Relaxed);
    }

    /// Returns the largest range, in bytes, and the largest where few are fetched at the same time.
    pub(crate) fn chunk_sizes(&self) -> (u64, u64) {
        (self.chunk.load(Ordering::Relaxed), self.large.load(Ordering::Relaxed))
    }

    /// Returns below how many bytes under way the next range is requested.
    pub(crate) fn just_in_time_bytes(&self) -> u64 {
        self.just_in_time.load(Ordering::Relaxed)
    }

    /// Asks the ordered stream to cancel ranges until `keep` are left.
    pub(crate) fn retreat_to(&self, keep: usize) {
        self.retreat.store(keep.saturating_add(1), Ordering::Relaxed);
        self.consumer.wake();
    }

    /// Returns how many ranges to keep, once after each [`ConcurrencyLimit::retreat_to`].
    pub(crate) fn take_retreat(&self) -> Option<usize> {
        if self.retreat.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.retreat.swap(0, Ordering::Relaxed).checked_sub(1)
    }

    /// Wakes the ordered stream, which has something to do.
    pub(crate) fn wake_consumer(&self) {
        self.consumer.wake();
    }

    /// Has `waker` woken when there is more for the ordered stream to do.
    pub(crate) fn register_consumer(&self, waker: &Waker) {
        self.consumer.register(waker);
    }

    /// Changes the state, and adds permits or takes back those that nobody holds until there are as many as allowed.
    fn change(&self, change: impl FnOnce(&mut LimitState)) {
        let mut state = self.state();
        change(&mut state);
        let allowed = state.allowed();
        if state.size < allowed {
            self.free.add_permits(allowed - state.size);
            state.size = allowed;
        } else {
            state.size -= self.free.forget_permits(state.size - allowed);
        }
        drop(state);
        self.consumer.wake();
    }

    fn state(&self) -> MutexGuard<'_, LimitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limit.in_use.fetch_sub(1, Ordering::Relaxed);
        let mut state = self.limit.state();
        if state.size > state.allowed()
            && let Some(permit) = self.permit.take()
        {
            state.size -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn half_as_many_until_they_grow() {
        let limit = ConcurrencyLimit::new(4);
        let held = [limit.acquire().await, limit.acquire().await, limit.acquire().await];
        limit.halve();
        assert_eq!((limit.target(), limit.in_use()), (2, 3));
        limit.set_target(8);
        assert_eq!(limit.target(), 2, "the ceiling stays");
        drop(held);
        let two = (limit.acquire().await, limit.acquire().await);
        assert!(limit.acquire().now_or_never().is_none());
        limit.grow();
        let third = limit.acquire().now_or_never();
        assert!(third.is_some() && limit.acquire().now_or_never().is_none());
        (0..5).for_each(|_| limit.grow());
        assert_eq!((limit.target(), limit.is_halved()), (8, false));
        drop((two, third));
    }

    #[tokio::test]
    async fn a_successor_is_one_more_until_it_is_not_allowed_any_more() {
        let limit = ConcurrencyLimit::new(1);
        let first = limit.acquire().await.unwrap();
        assert!(limit.acquire().now_or_never().is_none());
        limit.set_successor(true);
        let second = limit.acquire().now_or_never().unwrap().unwrap();
        limit.set_successor(false);
        drop(first);
        assert!(limit.acquire().now_or_never().is_none(), "the successor is the only one now");
        drop(second);
        assert_eq!(limit.settled_target(), 1);
        assert!(limit.acquire().now_or_never().is_some());
    }

    #[tokio::test]
    async fn more_at_once_and_fewer_as_they_end() {
        let limit = ConcurrencyLimit::new(1);
        let first = limit.acquire().await.unwrap();
        let mut second = Box::pin(limit.acquire());
        assert!((&mut second).now_or_never().is_none());
        limit.set_target(3);
        let second = second.now_or_never().unwrap().unwrap();
        let third = limit.acquire().now_or_never().unwrap().unwrap();
        limit.set_target(1);
        drop((first, second));
        assert!(limit.acquire().now_or_never().is_none(), "one is in use still");
        drop(third);
        assert_eq!(limit.most(), 3);
        let only = limit.acquire().now_or_never().unwrap();
        assert!(limit.acquire().now_or_never().is_none());
        limit.close();
        drop(only);
        assert!(limit.acquire().await.is_none());
    }
}
