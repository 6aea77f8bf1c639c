//! How many objects are requested before their turn: found from the rates that it brings. Pure: it reads no clock.
//!
//! An object that is complete when its turn comes needs no more of them. Where the reader had to wait, twice as many are
//! tried, and kept if they bring more bytes a second: small objects are limited by the latency of their responses, or
//! each by the rate of its one connection. Four times as many are tried where little of the link can be in use: an object takes
//! hardly longer than its response does, or the last step brought nearly all that it could. On a link that is full more objects
//! bring nothing, and take from the object that is next; there the number goes back and is left alone for a while.

use std::time::Duration;

/// The most objects requested before their turn.
const OBJECTS_MAX: usize = 32;
/// More objects are kept when the rate grows by this factor.
const PAYS: f64 = 1.2;
/// How many times as many are tried: usually, and where the link is hardly used. Measured at 25 ms to a response: with steps of
/// two, 200 objects of 1 MiB were half delivered before the last step.
const STEP: usize = 2;
const LARGE_STEP: usize = 4;
/// A step that brought this share of what it could leaves the link hardly used.
const FULL_GAIN: f64 = 0.7;
/// The most bytes of an object that are received before its turn.
pub(crate) const OBJECT_BYTES_MAX: u64 = 8 << 20;
/// How many objects are delivered before a number that did not pay is tried again: at first, and at the longest.
const REST_MIN: u32 = 64;
const REST_MAX: u32 = 4096;

/// How many objects to request before their turn.
#[derive(Debug)]
pub(crate) struct Lookahead {
    objects: usize,
    max: usize,
    /// How many there were before the last step.
    objects_before: usize,
    /// The rate in bytes a second before the last step; 0 where there is none to compare with.
    rate_before: f64,
    /// Objects to be delivered before measuring: they were requested before the last step, or it is time to rest.
    to_skip: u32,
    /// Objects that are still to be measured, and all that are measured together.
    to_measure: u32,
    measured: u32,
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
            objects_before: 1,
            max: connections.unwrap_or(OBJECTS_MAX),
            rate_before: 0.0,
            to_skip: 0,
            to_measure: 1,
            measured: 1,
            began: (0, Duration::ZERO),
            has_waited: false,
            rest: REST_MIN,
        }
    }

    /// Returns how many objects of about `size` bytes to request before their turn, of which half of `window` bytes holds
    /// what is received of them, or at least one.
    pub(crate) fn objects(&self, size: u64, window: u64) -> usize {
        let fitting = usize::try_from(window / 2 / size.clamp(1, OBJECT_BYTES_MAX)).unwrap_or(usize::MAX);
        self.objects.min(fitting.max(1)).min(self.max)
    }

    /// Returns the memory window of which so many objects of about `size` bytes fill half.
    pub(crate) fn window_bytes(objects: usize, size: u64) -> u64 {
        (objects as u64).saturating_mul(2 * size.min(OBJECT_BYTES_MAX))
    }

    /// Notes that `bytes` were delivered by `now`, as an object ended, whether the next one `is_complete` already, and how
    /// long its response took to begin.
    pub(crate) fn delivered(&mut self, bytes: u64, now: Duration, is_complete: bool, latency: Duration) {
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
        let took = now.saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "a rate, for a comparison")]
        let rate = (bytes - bytes_before) as f64 / took.as_secs_f64().max(1e-6);
        let has_waited = std::mem::take(&mut self.has_waited);
        if self.rate_before > 0.0 && rate < self.rate_before * PAYS {
            // The last step did not pay.
            self.step(self.objects_before, 0.0, bytes, now);
            self.to_skip = self.rest;
            self.rest = (self.rest * 2).min(REST_MAX);
        } else if has_waited && self.objects < self.max {
            let factor = if self.leaves_link_unused(rate, took, latency) { LARGE_STEP } else { STEP };
            self.step((self.objects * factor).min(self.max), rate, bytes, now);
        } else {
            self.step(self.objects, 0.0, bytes, now);
        }
    }

    /// Returns whether the objects measured, which came at `rate` and in all `took` so long, can have used little of the link.
    fn leaves_link_unused(&self, rate: f64, took: Duration, latency: Duration) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand objects")]
        let more = (self.objects + 1) as f64 / (self.objects_before + 1) as f64;
        let is_full_gain = self.rate_before > 0.0 && rate >= self.rate_before * more * FULL_GAIN;
        // One and those beside it are fetched at the same time: so long each takes.
        let each = took * count(self.objects + 1) / self.measured.max(1);
        is_full_gain || each <= 2 * latency
    }

    fn step(&mut self, objects: usize, rate_before: f64, bytes: u64, now: Duration) {
        self.to_skip = count(self.objects);
        self.objects_before = self.objects;
        self.objects = objects;
        self.to_measure = count(objects).max(2);
        self.measured = self.to_measure;
        self.rate_before = rate_before;
        self.began = (bytes, now);
    }
}

fn count(objects: usize) -> u32 {
    u32::try_from(objects).unwrap_or(u32::MAX)
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
            let latency = Duration::from_secs_f64(latency);
            lookahead.delivered(object * SIZE, Duration::from_secs_f64(now), false, latency);
            seen.push(lookahead.objects);
        }
        seen
    }

    #[test]
    fn where_responses_take_long_the_number_grows_to_the_most() {
        let seen = run(&mut Lookahead::new(None), 100, 0.025, 1e9);
        assert_eq!(*seen.last().unwrap(), OBJECTS_MAX, "{seen:?}");
        assert!(seen.iter().position(|n| *n == OBJECTS_MAX).unwrap() < 32, "{seen:?}");
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
            lookahead.delivered(object * SIZE, Duration::from_millis(object), true, Duration::ZERO);
        }
        assert_eq!(lookahead.objects, 1);
    }

    #[test]
    fn memory_and_an_explicit_number_limit_it() {
        let mut lookahead = Lookahead::new(Some(8));
        run(&mut lookahead, 100, 0.025, 1e9);
        for (size, window, objects) in
            [(0, 100, 8), (1, 100, 8), (10, 100, 5), (1000, 100, 1), (60, 100, 1), (1 << 30, 64 << 20, 4)]
        {
            assert_eq!(lookahead.objects(size, window), objects, "{size}");
        }
    }
}
