//! How many threads fetch ranges: found from how busy they are. Pure: it reads no clock and starts no thread.
//!
//! A thread that has no time left while there are ranges for another one is the limit, unless the machine's processors
//! are: then more threads only take them from each other. So twice as many are tried, and kept if afterwards a thread is
//! the limit no longer or the rate has grown. Those that have little to do get no further ranges.

use std::time::Duration;

use crate::download::concurrency::trial_backoff::TrialBackoff;

/// The part of the time from which on a thread counts as the limit.
pub(crate) const BUSY_SHARE: f64 = 0.9;
/// How long a thread must be the limit before others are tried, so that a burst does not count.
const BUSY_TIME: Duration = Duration::from_millis(300);
/// How long others are tried.
const THREAD_TRIAL_TIME: Duration = Duration::from_millis(200);
/// By what factor the rate must grow where threads stay the limit.
const GROWTH_MIN: f64 = 1.15;
/// There is one thread less when the others would be busy for less than this part of the time, for so long.
const IDLE_SHARE: f64 = 0.5;
const IDLE_TIME: Duration = Duration::from_secs(2);

/// The state of the search.
#[derive(Debug)]
pub(crate) struct ThreadController {
    max: usize,
    threads: usize,
    last: ThreadSample,
    /// Since when a thread is the limit, and how many bytes had come by then.
    busy_since: Option<(Duration, u64)>,
    idle_since: Option<Duration>,
    trial: Option<ThreadTrial>,
    backoff: TrialBackoff,
    rests_until: Duration,
}

#[derive(Debug, Clone, Copy)]
struct ThreadTrial {
    before: usize,
    rate_before: f64,
    began: Duration,
    bytes: u64,
}

/// The threads at some moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ThreadSample {
    /// Since the start.
    pub(crate) at: Duration,
    /// Bytes received by all.
    pub(crate) bytes: u64,
    /// The part of the time since the last sample in which the busiest one worked, and the sum over all of them.
    pub(crate) busiest: f64,
    pub(crate) busy: f64,
    /// Ranges that are being fetched.
    pub(crate) ranges: usize,
}

impl ThreadController {
    /// Starts with one thread, of at most `max`.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            threads: 1,
            last: ThreadSample::default(),
            busy_since: None,
            idle_since: None,
            trial: None,
            backoff: TrialBackoff::default(),
            rests_until: Duration::ZERO,
        }
    }

    /// Notes that there are no more than `threads`, because no further one can be made.
    pub(crate) fn set_max(&mut self, threads: usize) {
        self.max = threads;
        self.threads = self.threads.min(threads);
    }

    /// Returns how many threads there should be.
    pub(crate) fn observe(&mut self, now: ThreadSample) -> usize {
        let last = std::mem::replace(&mut self.last, now);
        let is_busy = now.busiest >= BUSY_SHARE;
        if let Some(trial) = self.trial {
            if now.at >= trial.began + THREAD_TRIAL_TIME {
                self.judge(trial, is_busy, now);
            }
            return self.threads;
        }
        self.busy_since = if is_busy { self.busy_since.or(Some((last.at, last.bytes))) } else { None };
        if let Some((since, bytes)) = self.busy_since
            && now.at >= since + BUSY_TIME
            && now.at >= self.rests_until
        {
            self.grow(rate(since, bytes, now), now);
        }
        let has_little = self.threads > 1 && now.busy < IDLE_SHARE * count(self.threads - 1);
        self.idle_since = if has_little { self.idle_since.or(Some(last.at)) } else { None };
        if self.idle_since.is_some_and(|since| now.at >= since + IDLE_TIME) {
            self.threads -= 1;
            self.idle_since = None;
        }
        self.threads
    }

    fn grow(&mut self, rate_before: f64, now: ThreadSample) {
        let more = (2 * self.threads).min(self.max).min(now.ranges);
        if more > self.threads {
            let before = std::mem::replace(&mut self.threads, more);
            self.trial = Some(ThreadTrial { before, rate_before, began: now.at, bytes: now.bytes });
            self.busy_since = None;
        }
    }

    fn judge(&mut self, trial: ThreadTrial, is_busy: bool, now: ThreadSample) {
        self.trial = None;
        if is_busy && rate(trial.began, trial.bytes, now) < GROWTH_MIN * trial.rate_before {
            self.threads = trial.before;
            self.rests_until = now.at + self.backoff.take();
        }
    }
}

/// Bytes a second between a moment and a later one.
#[expect(clippy::cast_precision_loss, reason = "a rate, for a comparison")]
fn rate(at: Duration, bytes: u64, later: ThreadSample) -> f64 {
    (later.bytes - bytes) as f64 / later.at.saturating_sub(at).as_secs_f64().max(1e-6)
}

#[expect(clippy::cast_precision_loss, reason = "a number of threads")]
fn count(threads: usize) -> f64 {
    threads as f64
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a simulation in floating point")]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(25);

    /// Returns the number of threads after `seconds`, and how often it changed, where one thread does `one` bytes a second,
    /// the processors `all`, and `demand` comes.
    fn run(
        max: usize,
        one: f64,
        all: f64,
        demand: impl Fn(f64) -> f64,
        ranges: usize,
        seconds: f64,
    ) -> (usize, usize) {
        let mut controller = ThreadController::new(max);
        let (mut threads, mut changes, mut bytes, mut at) = (1, 0, 0.0, Duration::ZERO);
        while at.as_secs_f64() < seconds {
            at += STEP;
            let can = (one * count(threads)).min(all);
            let rate = demand(at.as_secs_f64()).min(can);
            bytes += rate * STEP.as_secs_f64();
            let busiest = rate / can;
            let sample =
                ThreadSample { at, bytes: bytes as u64, busiest, busy: busiest * count(threads), ranges };
            let wanted = controller.observe(sample);
            changes += usize::from(wanted != threads);
            threads = wanted;
        }
        (threads, changes)
    }

    #[test]
    fn one_suffices_until_a_thread_is_the_limit() {
        for (max, all, demand, ranges, threads) in [
            (8, 8e9, 0.5e9, 16, 1),
            (8, 8e9, 3.4e9, 64, 4),
            (8, 8e9, 20e9, 64, 8),
            (3, 3e9, 20e9, 64, 3),
            (1, 1e9, 20e9, 64, 1),
            // Without ranges to fetch a thread is of no use.
            (8, 8e9, 20e9, 1, 1),
            (8, 8e9, 20e9, 3, 3),
        ] {
            let (found, changes) = run(max, 1e9, all, |_| demand, ranges, 10.0);
            assert_eq!(found, threads, "{max} {all} {demand} {ranges}");
            assert!(changes <= 4, "{changes}");
        }
    }

    #[test]
    fn threads_that_only_share_the_processors_are_given_up_and_rarely_tried_again() {
        let (threads, changes) = run(8, 1e9, 1.05e9, |_| 20e9, 64, 60.0);
        assert!(threads <= 2 && changes <= 10, "{threads}, {changes} changes");
    }

    #[test]
    fn threads_that_have_nothing_to_do_any_more_are_given_up() {
        let demand = |seconds| if seconds < 5.0 { 20e9 } else { 0.3e9 };
        assert_eq!(run(8, 1e9, 8e9, demand, 64, 40.0).0, 1);
    }

    #[test]
    fn where_no_thread_can_be_made_there_are_as_many_as_there_are() {
        let mut controller = ThreadController::new(8);
        let mut at = Duration::ZERO;
        let mut observe = |controller: &mut ThreadController| {
            at += STEP;
            controller.observe(ThreadSample { at, bytes: 0, busiest: 1.0, busy: 1.0, ranges: 64 })
        };
        while observe(&mut controller) == 1 {}
        controller.set_max(1);
        assert!((0..1000).all(|_| observe(&mut controller) == 1));
    }
}
