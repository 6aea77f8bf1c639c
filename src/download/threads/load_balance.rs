//! Which thread fetches a range: the one that has the fewest, weighed by how busy each one is.
//!
//! Ranges are assigned by the threads that start them, end on those that fetch them, and are weighed by the one that
//! observes. `models/` explores the orders in which that may happen.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::download::concurrency::thread_controller::BUSY_SHARE;
use crate::download::sync::{AtomicUsize, Mutex, MutexGuard};

/// How much the weight of a thread changes with each sample: by e to the power of this times the difference of how busy
/// it is and all are on the average. After some 100 ms all are equally busy.
const WEIGHT_GAIN: f64 = 1.0;
/// The gain of the thread that the download runs in, and how busy the others are when its weight stays as it is.
const FIRST_GAIN: f64 = 2.0;
const ENOUGH_TIME: f64 = 0.6;
/// The least weight: a thread that other work keeps busy gets few ranges.
const WEIGHT_MIN: f64 = 0.02;

/// Threads, the first of them the one that the download runs in, and the ranges that each one fetches.
pub(crate) struct LoadBalance<T> {
    threads: Mutex<Vec<WeightedThread<T>>>,
    /// How many of them get further ranges now, and the most that have.
    used: AtomicUsize,
    most: AtomicUsize,
    /// The thread whose range ended last: its connection is idle.
    freed: AtomicUsize,
}

struct WeightedThread<T> {
    thread: T,
    /// How many ranges it fetches.
    ranges: Arc<AtomicUsize>,
    /// Its part of the ranges, relative to other threads.
    weight: f64,
}

/// How busy the threads that get ranges were, each from 0 to 1, and how many ranges all threads fetch.
#[derive(Debug, Default)]
pub(crate) struct ThreadLoads {
    pub(crate) busy_shares: Vec<f64>,
    pub(crate) ranges: usize,
}

impl<T> LoadBalance<T> {
    /// Gives all ranges to `first`.
    pub(crate) fn new(first: T) -> Self {
        Self {
            threads: Mutex::new(vec![WeightedThread::new(first)]),
            used: AtomicUsize::new(1),
            most: AtomicUsize::new(1),
            freed: AtomicUsize::new(0),
        }
    }

    /// Returns how many threads get ranges.
    pub(crate) fn count(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Returns how many threads got ranges at the most.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Returns what `of` returns of the thread that has the most time, for a range that ends when the guard is dropped.
    pub(crate) fn assign<R>(self: &Arc<Self>, of: impl FnOnce(&T) -> R) -> Option<(R, RangeGuard<T>)> {
        let threads = self.threads();
        let freed = self.freed.load(Ordering::Relaxed);
        let share = |index: usize, thread: &WeightedThread<T>| {
            let ranges = u32::try_from(thread.ranges.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
            // Among equals the one with an idle connection, else any but the first, which has other work.
            (f64::from(ranges) + 1.0) / thread.weight - if index == freed { 1e-3 } else { 0.0 }
        };
        let (index, least) = threads[..self.count().min(threads.len())]
            .iter()
            .enumerate()
            .rev()
            .min_by(|(a, thread_a), (b, thread_b)| share(*a, thread_a).total_cmp(&share(*b, thread_b)))?;
        least.ranges.fetch_add(1, Ordering::Relaxed);
        let guard = RangeGuard { balance: Arc::clone(self), index, ranges: Arc::clone(&least.ranges) };
        Some((of(&least.thread), guard))
    }

    /// Sets how many threads get ranges, with further ones from `start_thread`; returns how many did before and do now, which
    /// are fewer where `start_thread` fails.
    pub(crate) fn set_count(
        &self,
        count: usize,
        mut start_thread: impl FnMut() -> io::Result<T>,
    ) -> (usize, usize, Option<io::Error>) {
        let mut threads = self.threads();
        let mut failed = None;
        while threads.len() < count && failed.is_none() {
            match start_thread() {
                Ok(thread) => threads.push(WeightedThread::new(thread)),
                Err(error) => failed = Some(error),
            }
        }
        let count = count.min(threads.len());
        let before = self.used.swap(count, Ordering::Relaxed);
        self.most.fetch_max(count, Ordering::Relaxed);
        (before, count, failed)
    }

    /// Measures by `busy_share` how busy each thread was since the last time, and moves ranges to those that have time.
    pub(crate) fn rebalance(&self, mut busy_share: impl FnMut(&mut T) -> f64) -> ThreadLoads {
        let mut threads = self.threads();
        let mut busy_shares: Vec<_> =
            threads.iter_mut().map(|weighted| busy_share(&mut weighted.thread).min(1.0)).collect();
        busy_shares.truncate(self.count());
        let ranges = threads.iter().map(|thread| thread.ranges.load(Ordering::Relaxed)).sum();
        move_ranges(&mut threads[..busy_shares.len()], &busy_shares);
        ThreadLoads { busy_shares, ranges }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<WeightedThread<T>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changes the weights of `threads`, which were so busy.
fn move_ranges<T>(threads: &mut [WeightedThread<T>], busy_shares: &[f64]) {
    let ([first, others @ ..], [_, other_shares @ ..]) = (threads, busy_shares) else { return };
    if others.is_empty() {
        return;
    }
    let busiest = busy_shares.iter().copied().fold(0.0, f64::max);
    let average =
        other_shares.iter().sum::<f64>() / f64::from(u32::try_from(others.len()).unwrap_or(u32::MAX));
    for (thread, share) in others.iter_mut().zip(other_shares) {
        // Where all have time, all get equally many.
        let change = if busiest >= BUSY_SHARE { average - share } else { 1.0 - thread.weight };
        thread.change_weight(WEIGHT_GAIN * change);
    }
    let heaviest = others.iter().map(|thread| thread.weight).fold(WEIGHT_MIN, f64::max);
    for thread in others {
        thread.weight = (thread.weight / heaviest).min(1.0);
    }
    // The first one also feeds the output, which everything waits for: it helps only where the others have no time left.
    first.change_weight(FIRST_GAIN * (average - ENOUGH_TIME));
}

impl<T> WeightedThread<T> {
    fn new(thread: T) -> Self {
        Self { thread, ranges: Arc::default(), weight: 1.0 }
    }

    fn change_weight(&mut self, by: f64) {
        self.weight = (self.weight * by.exp()).clamp(WEIGHT_MIN, 1.0);
    }
}

/// A range that a thread fetches.
pub(crate) struct RangeGuard<T> {
    balance: Arc<LoadBalance<T>>,
    index: usize,
    ranges: Arc<AtomicUsize>,
}

impl<T> Drop for RangeGuard<T> {
    fn drop(&mut self) {
        self.ranges.fetch_sub(1, Ordering::Relaxed);
        self.balance.freed.store(self.index, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts ranges; returns how many each thread got.
    fn assign(balance: &Arc<LoadBalance<usize>>, ranges: usize) -> (Vec<usize>, Vec<RangeGuard<usize>>) {
        let mut counts = vec![0; balance.most()];
        let assigned = (0..ranges).filter_map(|_| balance.assign(|thread| *thread));
        let guards = assigned.map(|(thread, guard)| (counts[thread] += 1, guard).1).collect();
        (counts, guards)
    }

    fn threads(count: usize) -> Arc<LoadBalance<usize>> {
        let balance = Arc::new(LoadBalance::new(0));
        let mut started = 0;
        let start = || {
            started += 1;
            Ok(started)
        };
        let (before, now, failed) = balance.set_count(count, start);
        assert_eq!((before, now, failed.is_none()), (1, count, true));
        balance
    }

    #[test]
    fn ranges_go_to_the_thread_that_has_the_fewest() {
        let balance = threads(3);
        let (counts, guards) = assign(&balance, 9);
        assert_eq!(counts, [3, 3, 3]);
        drop(guards);
        assert_eq!(balance.rebalance(|_| 0.0).ranges, 0);
    }

    #[test]
    fn a_thread_without_time_gets_fewer() {
        let balance = threads(3);
        for _ in 0..8 {
            balance.rebalance(|thread| if *thread == 1 { 1.0 } else { 0.5 });
        }
        let (counts, _guards) = assign(&balance, 30);
        assert!(counts[1] * 3 < counts[2], "{counts:?}");
        // The others have time: the first one has its own work.
        let balance = threads(3);
        for _ in 0..8 {
            balance.rebalance(|_| 0.3);
        }
        let (counts, _guards) = assign(&balance, 30);
        assert!(counts[0] * 3 < counts[1], "{counts:?}");
    }

    #[test]
    fn threads_that_are_no_longer_used_get_none_and_those_that_cannot_be_made_are_missing() {
        let balance = threads(3);
        assert_eq!(balance.set_count(1, || Ok(9)).1, 1);
        assert_eq!((assign(&balance, 5).0, balance.count(), balance.most()), (vec![5, 0, 0], 1, 3));
        let (before, now, failed) = balance.set_count(5, || Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!((before, now, failed.map(|e| e.kind())), (1, 3, Some(io::ErrorKind::WouldBlock)));
    }
}
