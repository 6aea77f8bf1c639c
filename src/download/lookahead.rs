//! How many objects are requested before their turn: found from the rates that it brings. Pure: it reads no clock.
//!
//! An object that is complete when its turn comes needs no more of them. Where the reader had to wait, twice as many are
//! tried, and kept if they bring more bytes a second: small objects are limited by the latency of their responses, or
//! each by the rate of its one connection. On a link that is full they bring nothing more, and take from the object that
//! is next; there the number goes back and is left alone for a while.

use std::time::Duration;

/// The most objects requested before their turn.
const OBJECTS_MAX: usize = 32;
/// More objects are kept when the rate grows by this factor.
const PAYS: f64 = 1.2;
/// How many objects are delivered before a number that did not pay is tried again: at first, and at the longest.
const REST_MIN: u32 = 64;
const REST_MAX: u32 = 4096;

/// How many objects to request before their turn.
#[derive(Debug)]
pub(crate) struct Lookahead {
    objects: usize,
    max: usize,
    /// The rate in bytes a second before the last step; 0 where there is none to compare with.
    rate_before: f64,
    /// Objects to be delivered before measuring: they were requested before the last step, or it is time to rest.
    to_skip: u32,
    /// Objects that are still to be measured.
    to_measure: u32,
    /// Where the measurement began: bytes and time.
    began: (u64, Duration),
    /// Set if the reader had to wait for one of those measured.
    has_waited: bool,
    rest: u32,
}

impl Lookahead {
    /// Starts with one object; at most as many as `connections` where the user named a number.
    pub(crate) fn new(connections: Option<usize>) -> Self {
        Self {
            objects: 1,
            max: connections.unwrap_or(OBJECTS_MAX),
            rate_before: 0.0,
            to_skip: 0,
            to_measure: 1,
            began: (0, Duration::ZERO),
            has_waited: false,
            rest: REST_MIN,
        }
    }

    /// Returns how many objects of about `size` bytes to request before their turn, of which half of `window` bytes holds
    /// all, or at least one.
    pub(crate) fn objects(&self, size: u64, window: u64) -> usize {
        let fitting = usize::try_from(window / 2 / size.clamp(1, window.max(1))).unwrap_or(usize::MAX);
        self.objects.min(fitting.max(1)).min(self.max)
    }

    /// Notes that `bytes` were delivered by `now`, as an object ended, and whether the next one `is_complete` already.
    pub(crate) fn delivered(&mut self, bytes: u64, now: Duration, is_complete: bool) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            self.began = (bytes, now);
            return;
        }
        self.has_waited |= !is_complete;
        self.to_measure = self.to_measure.saturating_sub(1);
        if self.to_measure > 0 {
            return;
        }
        let (bytes_before, before) = self.began;
        #[expect(clippy::cast_precision_loss, reason = "a rate, for a comparison")]
        let rate = (bytes - bytes_before) as f64 / now.saturating_sub(before).as_secs_f64().max(1e-6);
        let has_waited = std::mem::take(&mut self.has_waited);
        if self.rate_before > 0.0 && rate < self.rate_before * PAYS {
            // The last step did not pay.
            self.step(self.objects.div_ceil(2), 0.0, bytes, now);
            self.to_skip = self.rest;
            self.rest = (self.rest * 2).min(REST_MAX);
        } else if has_waited && self.objects < self.max {
            self.step((self.objects * 2).min(self.max), rate, bytes, now);
        } else {
            self.step(self.objects, 0.0, bytes, now);
        }
    }

    fn step(&mut self, objects: usize, rate_before: f64, bytes: u64, now: Duration) {
        let count = |objects: usize| u32::try_from(objects).unwrap_or(u32::MAX);
        self.to_skip = count(self.objects);
        self.objects = objects;
        self.to_measure = count(objects).max(2);
        self.rate_before = rate_before;
        self.began = (bytes, now);
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "a simulation in floating point")]
mod tests {
    use super::*;

    const SIZE: u64 = 100 << 10;

    /// Delivers `count` objects, `objects` of which take `latency` together and then share a link of `rate` bytes a second.
    fn run(lookahead: &mut Lookahead, count: u64, latency: f64, rate: f64) -> Vec<usize> {
        let (mut now, mut seen) = (0.0, Vec::new());
        for object in 1..=count {
            let together = lookahead.objects as f64 + 1.0;
            now += (latency / together).max(SIZE as f64 / rate);
            lookahead.delivered(object * SIZE, Duration::from_secs_f64(now), false);
            seen.push(lookahead.objects);
        }
        seen
    }

    #[test]
    fn where_responses_take_long_the_number_doubles_to_the_most() {
        let seen = run(&mut Lookahead::new(None), 100, 0.025, 1e9);
        assert_eq!(*seen.last().unwrap(), OBJECTS_MAX, "{seen:?}");
        assert!(seen.iter().position(|n| *n == OBJECTS_MAX).unwrap() < 70, "{seen:?}");
    }

    #[test]
    fn on_a_full_link_one_is_enough_nearly_all_the_time() {
        let seen = run(&mut Lookahead::new(None), 200, 0.025, 1e6);
        assert!(seen.iter().all(|n| *n <= 2), "{seen:?}");
        assert!(seen.iter().filter(|n| **n == 2).count() < 20, "{seen:?}");
    }

    #[test]
    fn objects_that_are_complete_in_time_need_no_more() {
        let mut lookahead = Lookahead::new(None);
        for object in 1..100 {
            lookahead.delivered(object * SIZE, Duration::from_millis(object), true);
        }
        assert_eq!(lookahead.objects, 1);
    }

    #[test]
    fn memory_and_an_explicit_number_limit_it() {
        let mut lookahead = Lookahead::new(Some(8));
        run(&mut lookahead, 100, 0.025, 1e9);
        for (size, window, objects) in [(0, 100, 8), (1, 100, 8), (10, 100, 5), (1000, 100, 1), (60, 100, 1)]
        {
            assert_eq!(lookahead.objects(size, window), objects, "{size}");
        }
    }
}
