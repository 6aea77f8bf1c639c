//! ConcurrencyLimit: how many ranges are fetched at once, a number that may change while they are.
//!
//! A fetch holds a slot for as long as it lasts. Raising the number takes effect at once, lowering it as
//! fetches end: none is broken off. ConcurrencyLimit are given in the order in which they are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A changing number of slots.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    free: Arc<Semaphore>,
    /// How many there are, those in use counted.
    size: AtomicUsize,
    /// How many there should be.
    target: AtomicUsize,
    /// How many there should be beyond these.
    extra: AtomicUsize,
    /// How many there may be, whatever the target; `usize::MAX` where nothing limits them.
    ceiling: AtomicUsize,
    in_use: AtomicUsize,
    most: AtomicUsize,
}

/// The right to fetch one range; dropping it gives it to the next.
#[derive(Debug)]
pub(crate) struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    slots: Arc<ConcurrencyLimit>,
}

impl ConcurrencyLimit {
    pub(crate) fn new(target: usize) -> Arc<Self> {
        let target = target.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            free: Arc::new(Semaphore::new(target)),
            size: AtomicUsize::new(target),
            target: AtomicUsize::new(target),
            extra: AtomicUsize::new(0),
            ceiling: AtomicUsize::new(usize::MAX),
            in_use: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        })
    }

    /// Waits for a slot; `None` once the slots are closed.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Option<Permit> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        let in_use = self.in_use.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(in_use, Ordering::Relaxed);
        Some(Permit { permit: Some(permit), slots: Arc::clone(self) })
    }

    /// How many ranges may be fetched at once.
    pub(crate) fn target(&self) -> usize {
        let wanted = self.target.load(Ordering::Relaxed) + self.extra.load(Ordering::Relaxed);
        wanted.min(self.ceiling.load(Ordering::Relaxed))
    }

    /// How many are in use.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Whether somebody who asked now would get one at once.
    pub(crate) fn has_free(&self) -> bool {
        self.in_use() < self.target()
    }

    /// The most slots that were in use at once.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Sets how many ranges may be fetched at once.
    pub(crate) fn set_target(&self, target: usize) {
        self.target.store(target, Ordering::Relaxed);
        self.add_missing();
    }

    /// Adds so many to every target, this one and those to come.
    pub(crate) fn widen(&self, extra: usize) {
        self.extra.fetch_add(extra, Ordering::Relaxed);
        self.add_missing();
    }

    /// Allows half as many as there are, at least one, until they grow again.
    pub(crate) fn halve(&self) {
        let ceiling = (self.target() / 2).max(1);
        self.ceiling.store(ceiling, Ordering::Relaxed);
        // Those that nobody holds go at once, the others as they come back.
        let surplus = self.size.load(Ordering::Relaxed).saturating_sub(ceiling);
        self.size.fetch_sub(self.free.forget_permits(surplus), Ordering::Relaxed);
    }

    /// Allows one more.
    pub(crate) fn grow(&self) {
        let target = self.target.load(Ordering::Relaxed);
        let more = |ceiling: usize| Some(if ceiling + 1 < target { ceiling + 1 } else { usize::MAX });
        if self.is_halved() {
            let _ = self.ceiling.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
        self.add_missing();
    }

    /// Whether fewer are allowed than there should be.
    pub(crate) fn is_halved(&self) -> bool {
        self.ceiling.load(Ordering::Relaxed) != usize::MAX
    }

    fn add_missing(&self) {
        let target = self.target();
        let before = self.size.fetch_max(target, Ordering::Relaxed);
        self.free.add_permits(target.saturating_sub(before));
    }

    /// No more slots: nothing that has not begun will.
    pub(crate) fn close(&self) {
        self.free.close();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.slots.in_use.fetch_sub(1, Ordering::Relaxed);
        let target = self.slots.target();
        let shrink = |n| (n > target).then_some(n - 1);
        if self.slots.size.fetch_update(Ordering::Relaxed, Ordering::Relaxed, shrink).is_ok()
            && let Some(permit) = self.permit.take()
        {
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
        let slots = ConcurrencyLimit::new(4);
        let held = [slots.acquire().await, slots.acquire().await, slots.acquire().await];
        slots.halve();
        assert_eq!((slots.target(), slots.in_use()), (2, 3));
        slots.set_target(8);
        assert_eq!(slots.target(), 2, "the ceiling stays");
        drop(held);
        let two = (slots.acquire().await, slots.acquire().await);
        assert!(slots.acquire().now_or_never().is_none());
        slots.grow();
        let third = slots.acquire().now_or_never();
        assert!(third.is_some() && slots.acquire().now_or_never().is_none());
        (0..5).for_each(|_| slots.grow());
        assert_eq!((slots.target(), slots.is_halved()), (8, false));
        drop((two, third));
    }

    #[tokio::test]
    async fn wider_whatever_the_target() {
        let slots = ConcurrencyLimit::new(1);
        slots.widen(2);
        slots.set_target(2);
        assert_eq!(slots.target(), 4);
        let _held =
            [slots.acquire().await, slots.acquire().await, slots.acquire().await, slots.acquire().await];
        assert!(slots.acquire().now_or_never().is_none());
    }

    #[tokio::test]
    async fn more_at_once_and_fewer_as_they_end() {
        let slots = ConcurrencyLimit::new(1);
        let first = slots.acquire().await.unwrap();
        assert!(!slots.has_free());
        let mut second = Box::pin(slots.acquire());
        assert!((&mut second).now_or_never().is_none());
        slots.set_target(3);
        assert!(slots.has_free());
        let second = second.now_or_never().unwrap().unwrap();
        let third = slots.acquire().now_or_never().unwrap().unwrap();
        slots.set_target(1);
        drop((first, second));
        assert!(slots.acquire().now_or_never().is_none(), "one is in use still");
        drop(third);
        assert_eq!(slots.most(), 3);
        let only = slots.acquire().now_or_never().unwrap();
        assert!(slots.acquire().now_or_never().is_none());
        slots.close();
        drop(only);
        assert!(slots.acquire().await.is_none());
    }
}
