//! How many ranges are fetched at the same time: a number that may change while they are.
//!
//! The smaller of two numbers counts: what the controller wants, and what a busy server still allows. A range holds a
//! [`Permit`] while it is fetched. Raising the number takes effect immediately, lowering it as permits come back. One limit
//! is for all objects of a run, and permits are given by order in the output: the ordered stream takes them for its next
//! ranges in that order, after ranges that have begun and wait for one again.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::download::concurrency::controller_orders::ControllerOrders;
use crate::download::memory::window::OutputPosition;
use crate::download::sync::{AtomicWaker, Mutex, MutexGuard};

/// Where no more than these connections suffice, they fill the link.
pub(crate) const FEW_CONNECTIONS: usize = 2;

/// A changing number of permits.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    state: Mutex<LimitState>,
    /// The orders of the controller beside the number of permits.
    pub(crate) orders: ControllerOrders,
    /// The ordered stream, woken when there is more for it to do.
    consumer: AtomicWaker,
}

#[derive(Debug)]
struct LimitState {
    /// How many permits there should be.
    target: usize,
    /// How many a busy server allows; `usize::MAX` where it is not.
    ceiling: usize,
    /// How many were in use when a busy server asked for fewer.
    in_use_before: usize,
    in_use: usize,
    most: usize,
    /// How many were ever given.
    given: usize,
    /// The ranges that wait for a permit, by where they begin.
    waiting: BTreeMap<OutputPosition, Waker>,
}

impl LimitState {
    fn allowed(&self) -> usize {
        self.target.min(self.ceiling)
    }

    fn give(&mut self, limit: &Arc<ConcurrencyLimit>) -> Permit {
        self.in_use += 1;
        self.most = self.most.max(self.in_use);
        self.given += 1;
        Permit { limit: Arc::clone(limit) }
    }
}

/// The right to fetch one range; dropping it gives it to the next.
#[derive(Debug)]
pub(crate) struct Permit {
    limit: Arc<ConcurrencyLimit>,
}

impl ConcurrencyLimit {
    /// Creates a limit of `target` ranges.
    pub(crate) fn new(target: usize) -> Arc<Self> {
        let state = LimitState {
            target,
            ceiling: usize::MAX,
            in_use_before: 0,
            in_use: 0,
            most: 0,
            given: 0,
            waiting: BTreeMap::new(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            orders: ControllerOrders::new(),
            consumer: AtomicWaker::new(),
        })
    }

    /// Waits for a permit for the range that begins at `start` and has given its own back. Those that wait get theirs by
    /// order in the output.
    pub(crate) async fn acquire(self: &Arc<Self>, start: OutputPosition) -> Permit {
        let _turn = PermitWait { limit: self, start };
        poll_fn(|cx| self.poll_acquire(start, cx)).await
    }

    fn poll_acquire(self: &Arc<Self>, start: OutputPosition, cx: &Context<'_>) -> Poll<Permit> {
        let mut state = self.state();
        let is_first = state.waiting.first_key_value().is_none_or(|(before, _)| start <= *before);
        if !is_first || state.in_use >= state.allowed() {
            state.waiting.insert(start, cx.waker().clone());
            return Poll::Pending;
        }
        state.waiting.remove(&start);
        let permit = state.give(self);
        wake_next(state);
        Poll::Ready(permit)
    }

    /// Returns a permit for the next range, if one is free that no earlier range waits for; up to `extra` more than there
    /// should be, because those under way are about to end. The ordered stream is woken when one comes back.
    pub(crate) fn try_acquire(self: &Arc<Self>, extra: usize) -> Option<Permit> {
        let mut state = self.state();
        let allowed = state.target.saturating_add(extra).min(state.ceiling);
        (state.in_use + state.waiting.len() < allowed).then(|| state.give(self))
    }

    /// Returns a permit for the front range, which never waits: ranges that hold all permits may wait for its bytes to be
    /// delivered.
    pub(crate) fn take(self: &Arc<Self>) -> Permit {
        self.state().give(self)
    }

    /// Returns how many ranges may be fetched at the same time.
    pub(crate) fn target(&self) -> usize {
        self.state().allowed()
    }

    /// Returns how many permits are in use.
    pub(crate) fn in_use(&self) -> usize {
        self.state().in_use
    }

    /// Returns the most permits that were in use at the same time.
    pub(crate) fn most(&self) -> usize {
        self.state().most
    }

    /// Returns how many permits were given in all.
    pub(crate) fn given(&self) -> usize {
        self.state().given
    }

    /// Returns whether the controller found that few connections suffice: they fill the link.
    pub(crate) fn is_link_full(&self) -> bool {
        self.orders.is_steered() && self.target() <= FEW_CONNECTIONS
    }

    /// Sets how many ranges may be fetched at the same time.
    pub(crate) fn set_target(&self, target: usize) {
        self.change(|state| state.target = target);
    }

    /// Allows half as many as there are, at least one, until they grow again.
    pub(crate) fn halve(&self) {
        self.change(|state| {
            let in_use = state.in_use.min(state.ceiling);
            state.in_use_before = state.in_use_before.max(in_use);
            state.ceiling = (state.allowed().max(in_use) / 2).max(1);
        });
    }

    /// Allows one more after [`ConcurrencyLimit::halve`].
    pub(crate) fn grow(&self) {
        self.change(|state| {
            if state.ceiling != usize::MAX {
                let next = state.ceiling + 1;
                if next < state.target.max(state.in_use_before) {
                    state.ceiling = next;
                } else {
                    (state.ceiling, state.in_use_before) = (usize::MAX, 0);
                }
            }
        });
    }

    /// Returns whether a busy server allows fewer than there should be.
    pub(crate) fn is_halved(&self) -> bool {
        self.state().ceiling != usize::MAX
    }

    /// Asks the ordered stream to cancel ranges until `keep` are left.
    pub(crate) fn order_retreat(&self, keep: usize) {
        self.orders.set_retreat(keep);
        self.consumer.wake();
    }

    /// Wakes the ordered stream, which has something to do.
    pub(crate) fn wake_consumer(&self) {
        self.consumer.wake();
    }

    /// Has `waker` woken when there is more for the ordered stream to do.
    pub(crate) fn register_consumer(&self, waker: &Waker) {
        self.consumer.register(waker);
    }

    fn change(&self, change: impl FnOnce(&mut LimitState)) {
        let mut state = self.state();
        change(&mut state);
        wake_next(state);
        self.consumer.wake();
    }

    fn state(&self) -> MutexGuard<'_, LimitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the first range that waits, if there is a permit for it; that one wakes the next.
fn wake_next(state: MutexGuard<'_, LimitState>) {
    if state.in_use < state.allowed()
        && let Some((_, waker)) = state.waiting.first_key_value()
    {
        let waker = waker.clone();
        drop(state);
        waker.wake();
    }
}

/// A place among the ranges that wait, given up when the wait ends.
struct PermitWait<'a> {
    limit: &'a Arc<ConcurrencyLimit>,
    start: OutputPosition,
}

impl Drop for PermitWait<'_> {
    fn drop(&mut self) {
        let mut state = self.limit.state();
        if state.waiting.remove(&self.start).is_some() {
            wake_next(state);
            self.limit.consumer.wake();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.limit.state();
        state.in_use -= 1;
        wake_next(state);
        self.limit.consumer.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn at(offset: u64) -> OutputPosition {
        OutputPosition { object: 0, offset }
    }

    #[tokio::test]
    async fn half_as_many_until_they_grow() {
        let limit = ConcurrencyLimit::new(4);
        let held: Vec<_> = (0..3).map(|_| limit.try_acquire(0).unwrap()).collect();
        limit.halve();
        assert_eq!((limit.target(), limit.in_use()), (2, 3));
        limit.set_target(8);
        assert_eq!(limit.target(), 2, "the ceiling stays");
        assert!(limit.try_acquire(100).is_none(), "for what is about to end, too");
        drop(held);
        let two = (limit.try_acquire(0).unwrap(), limit.try_acquire(0).unwrap());
        assert!(limit.try_acquire(0).is_none());
        limit.grow();
        let third = limit.try_acquire(0);
        assert!(third.is_some() && limit.try_acquire(0).is_none());
        (0..5).for_each(|_| limit.grow());
        assert_eq!((limit.target(), limit.is_halved()), (8, false));
        drop((two, third));
    }

    #[tokio::test]
    async fn an_extra_permit_is_no_more_than_the_next_one_in_advance() {
        let limit = ConcurrencyLimit::new(1);
        let first = limit.try_acquire(0).unwrap();
        assert!(limit.try_acquire(0).is_none());
        let second = limit.try_acquire(1).unwrap();
        assert!(limit.try_acquire(1).is_none());
        drop(first);
        assert!(limit.try_acquire(0).is_none(), "it is the only one now");
        drop(second);
        assert!(limit.try_acquire(0).is_some());
    }

    #[tokio::test]
    async fn more_at_once_and_fewer_as_they_end() {
        let limit = ConcurrencyLimit::new(1);
        let first = limit.try_acquire(0).unwrap();
        let mut second = Box::pin(limit.acquire(at(2)));
        assert!((&mut second).now_or_never().is_none());
        limit.set_target(3);
        let second = second.now_or_never().unwrap();
        let third = limit.try_acquire(0).unwrap();
        limit.set_target(1);
        drop((first, second));
        assert!(limit.try_acquire(0).is_none(), "one is in use still");
        let front = limit.take();
        drop(third);
        assert_eq!((limit.most(), limit.given()), (3, 4));
        assert!(limit.try_acquire(0).is_none(), "the front range has taken it");
        drop(front);
        assert!(limit.try_acquire(0).is_some());
    }

    #[tokio::test]
    async fn permits_are_given_by_order_in_the_output() {
        let limit = ConcurrencyLimit::new(1);
        let held = limit.try_acquire(0).unwrap();
        let starts =
            [(1, 0), (0, 9), (0, 5), (1, 3)].map(|(object, offset)| OutputPosition { object, offset });
        let mut waiting: Vec<_> = starts.iter().map(|at| (*at, Box::pin(limit.acquire(*at)))).collect();
        assert!(waiting.iter_mut().all(|(_, wait)| wait.now_or_never().is_none()));
        drop(held);
        assert!(limit.try_acquire(0).is_none(), "no new range overtakes one that waits");
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let ready =
                waiting.iter_mut().enumerate().find_map(|(n, (_, wait))| Some((n, wait.now_or_never()?)));
            let (number, permit) = ready.unwrap();
            order.push(waiting.remove(number).0);
            drop(permit);
        }
        let mut sorted = starts.to_vec();
        sorted.sort_unstable();
        assert_eq!(order, sorted);
    }

    #[tokio::test]
    async fn a_range_that_stops_waiting_holds_up_no_other() {
        let limit = ConcurrencyLimit::new(1);
        let held = limit.try_acquire(0).unwrap();
        let mut given_up = Box::pin(limit.acquire(at(1)));
        let mut other = Box::pin(limit.acquire(at(2)));
        assert!((&mut given_up).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        drop((given_up, held));
        assert!(other.now_or_never().is_some());
    }
}
