//! The present performance of requests: how long a response takes to begin, and how fast its body then comes.
//!
//! Range requests report what they saw, and old reports count less and less. From this follows how long a request sent
//! now would take, by which stragglers are recognised. The module knows no single request, and decides nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Time constant of the moving average, in seconds of reading by all connections together. It is not wall time: while
/// all others wait for the bytes of a straggler, its rate is not the usual one.
const AVERAGING_TIME: Duration = Duration::from_secs(2);
/// Responses before which nothing is known.
const RESPONSES_MIN: u32 = 4;
/// The least time spent reading a body before its rate is known.
const READING_MIN: Duration = Duration::from_millis(12);
/// The least reading time of all connections, and the least number of finished bodies, before a rate is trusted: earlier
/// samples are mostly data that came with the response head.
const READING_ALL_MIN: f64 = 0.05;
const ENDED_MIN: u32 = 2;
/// A body shows how fast bytes come if it was waited for this many times longer than it was held up.
const HELD_UP_DIVISOR: u32 = 4;
/// A body that came at less than this part of the usual rate was slow, if it was read for so long.
const SLOW_SHARE: f64 = 0.55;
const SLOW_READING_MIN: Duration = Duration::from_millis(30);
/// The weight of a new response among earlier ones.
const LATEST_WEIGHT: f64 = 0.1;

/// How long small reads may be delayed at least so that the kernel can accumulate a full buffer. They are delayed for twice as
/// long as a buffer takes to fill.
const GATHERING_MIN: Duration = Duration::from_millis(5);
/// Where a buffer takes longer than this to fill, it is read as it comes: the kernel makes room for twice as many bytes, and a
/// sender that sees so much room early fills the queue of a slow link until it overflows. After 1 s at 4 Mbit/s the
/// reader had 0.67 to 1.0 of curl's bytes, because packets were lost.
const GATHERED_IN_MAX: Duration = Duration::from_millis(100);

/// A moving average over all requests of a download.
#[derive(Debug)]
pub(crate) struct RequestStats(Mutex<ReadingTotals>);

#[derive(Debug)]
struct ReadingTotals {
    bytes: f64,
    /// The time that they took on all connections together, in seconds.
    reading: f64,
    /// In seconds.
    latency: f64,
    responses: u32,
    /// Bodies that were read to their end.
    ended: u32,
}

/// The latency and rate to expect of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) latency: Duration,
    /// Bytes per second of one connection.
    pub(crate) rate: f64,
}

/// How fast a body comes. The kernel collects its bytes while it is held up, because memory is short or the consumer slow, so
/// that the time spent waiting for them shows too high a rate, and all of its time too low a one. On a server of 3 MiB/s a
/// connection the average of the former was 8 MiB/s, and the connection of the front range, which is never held up,
/// looked slow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BodyPace {
    bytes: u64,
    waiting: Duration,
    held_up: Duration,
    /// The part of them that the average does not contain.
    new_bytes: u64,
    new_time: Duration,
}

impl BodyPace {
    /// Notes that nothing was read for this time.
    pub(crate) fn held_up(&mut self, time: Duration) {
        self.held_up += time;
        self.new_time += time;
    }

    /// Notes that this time was spent waiting.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.waiting += time;
        self.new_time += time;
    }

    /// Returns the time spent waiting.
    pub(crate) fn waiting(&self) -> Duration {
        self.waiting
    }

    /// Returns whether it shows the usual rate: it came at that of its connection, or faster than the present average for all
    /// that it was held up.
    #[expect(clippy::cast_precision_loss, reason = "for a comparison")]
    fn shows_rate(&self, average: f64) -> bool {
        let time = self.held_up + self.waiting;
        HELD_UP_DIVISOR * self.held_up <= self.waiting || self.bytes as f64 > average * time.as_secs_f64()
    }
}

impl Estimate {
    /// Returns how long `bytes` would take if they were requested now.
    pub(crate) fn time(&self, bytes: u64) -> Duration {
        self.latency + self.reading(bytes)
    }

    /// Returns how long a body must be read before its rate means something, where up to `unseen` bytes may be buffered unseen:
    /// so long that these would have come twice.
    pub(crate) fn reading_until_known(&self, unseen: u64) -> Duration {
        (2 * self.reading(unseen)).max(READING_MIN)
    }

    /// Returns how long a read may be delayed so that `bytes` gather; `None` where each byte is to be read as it comes.
    pub(crate) fn gathering_time(&self, bytes: u64) -> Option<Duration> {
        let filling = self.reading(bytes);
        (filling <= GATHERED_IN_MAX).then(|| (2 * filling).max(GATHERING_MIN))
    }

    /// Returns whether `bytes` that came in `spent` came much slower than they do on other connections.
    #[expect(clippy::cast_precision_loss, reason = "for a comparison")]
    pub(crate) fn is_slow(&self, bytes: u64, spent: Duration) -> bool {
        spent >= SLOW_READING_MIN && (bytes as f64) < SLOW_SHARE * self.rate * spent.as_secs_f64()
    }

    /// Returns how long `bytes` take to come, once they have begun to.
    #[expect(clippy::cast_precision_loss, reason = "for an estimate")]
    pub(crate) fn reading(&self, bytes: u64) -> Duration {
        seconds(bytes as f64 / self.rate)
    }
}

impl ReadingTotals {
    /// Returns the bytes per second of one connection.
    fn rate(&self) -> f64 {
        self.bytes.max(1.0) / self.reading.max(1e-4)
    }
}

impl RequestStats {
    /// Creates an average of nothing.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(ReadingTotals { bytes: 0.0, reading: 0.0, latency: 0.0, responses: 0, ended: 0 }))
    }

    /// Notes that a response began `latency` after its request.
    pub(crate) fn responded(&self, latency: Duration) {
        let mut sums = self.sums();
        sums.responses = sums.responses.saturating_add(1);
        let weight = LATEST_WEIGHT.max(1.0 / f64::from(sums.responses));
        sums.latency += weight * (latency.as_secs_f64() - sums.latency);
    }

    /// Notes that a body was read to its end.
    pub(crate) fn ended(&self) {
        let mut sums = self.sums();
        sums.ended = sums.ended.saturating_add(1);
    }

    /// Notes that `bytes` came of the body whose `pace` this is.
    #[expect(clippy::cast_precision_loss, reason = "for an average")]
    pub(crate) fn received(&self, bytes: usize, pace: &mut BodyPace) {
        pace.bytes += bytes as u64;
        pace.new_bytes += bytes as u64;
        let mut sums = self.sums();
        // The first ones count in any case: they show at least how fast bytes are taken.
        if sums.reading >= READING_ALL_MIN && !pace.shows_rate(sums.rate()) {
            return;
        }
        let (bytes, time) = (std::mem::take(&mut pace.new_bytes), std::mem::take(&mut pace.new_time));
        let fade = (-time.as_secs_f64() / AVERAGING_TIME.as_secs_f64()).exp();
        sums.bytes = sums.bytes * fade + bytes as f64;
        sums.reading = sums.reading * fade + time.as_secs_f64();
    }

    /// Returns what to expect of a request; `None` while too little was seen.
    pub(crate) fn expected(&self) -> Option<Estimate> {
        let sums = self.sums();
        let is_read = sums.reading >= READING_ALL_MIN || sums.ended >= ENDED_MIN;
        let known = sums.responses >= RESPONSES_MIN && is_read;
        known.then(|| Estimate { latency: seconds(sums.latency), rate: sums.rate() })
    }

    fn sums(&self) -> std::sync::MutexGuard<'_, ReadingTotals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a duration that can be added to any time.
fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::limits::READ_BUFFER_MAX;

    /// Notes a body that came in one piece.
    fn receive(stats: &RequestStats, bytes: usize, waiting: Duration) {
        let mut pace = BodyPace::default();
        pace.waited(waiting);
        stats.received(bytes, &mut pace);
    }

    #[test]
    fn a_request_is_expected_to_do_what_others_do_now() {
        let ms = Duration::from_millis;
        let stats = RequestStats::new();
        for n in 0..RESPONSES_MIN {
            assert_eq!(stats.expected(), None, "{n} responses");
            stats.responded(ms(20));
            receive(&stats, 1_500_000, ms(15));
        }
        let expected = stats.expected().unwrap();
        assert_eq!((expected.latency, expected.rate.round()), (ms(20), 1e8));
        assert_eq!(expected.time(50_000_000), ms(520));
        // Everybody gets slower: after a while that is what is expected.
        for _ in 0..1000 {
            receive(&stats, 100_000, ms(10));
        }
        let rate = stats.expected().unwrap().rate;
        assert!((1e7..1.1e7).contains(&rate), "{rate}");
    }

    #[test]
    fn bytes_gather_only_on_a_connection_that_is_not_slow() {
        let ms = Duration::from_millis;
        for (mbit, time) in
            [(0.0, None), (4.0, None), (16.0, None), (25.0, Some(167)), (720.0, Some(5)), (8e3, Some(5))]
        {
            let estimate = Estimate { latency: ms(25), rate: mbit * 125e3 };
            let gathering = estimate.gathering_time(READ_BUFFER_MAX).map(|time| time.as_millis());
            assert_eq!(gathering, time, "{mbit} Mbit/s");
        }
    }

    #[test]
    fn what_comes_at_once_with_the_responses_says_nothing() {
        let stats = RequestStats::new();
        for _ in 0..20 {
            stats.responded(Duration::from_millis(20));
            receive(&stats, 65_536, Duration::from_micros(100));
        }
        assert_eq!(stats.expected(), None);
        // But where these are whole bodies, it is what there is to know.
        (0..ENDED_MIN).for_each(|_| stats.ended());
        assert!(stats.expected().is_some());
    }

    #[test]
    fn one_slow_connection_among_many_changes_little() {
        let ms = Duration::from_millis;
        let stats = RequestStats::new();
        for _ in 0..20 {
            stats.responded(ms(20));
            receive(&stats, 1_000_000, ms(10));
        }
        receive(&stats, 10_000, ms(10));
        let rate = stats.expected().unwrap().rate;
        assert!(rate > 0.9e8, "{rate}");
    }

    #[test]
    fn a_straggler_that_all_others_wait_for_is_not_what_is_usual() {
        let ms = Duration::from_millis;
        let stats = RequestStats::new();
        for _ in 0..200 {
            stats.responded(ms(20));
            receive(&stats, 1_000_000, ms(10));
        }
        // Half a second at a hundredth of the others' rate.
        for _ in 0..25 {
            receive(&stats, 20_000, ms(20));
        }
        let rate = stats.expected().unwrap().rate;
        assert!(rate > 0.6e8, "{rate}");
    }

    #[test]
    fn connections_that_are_held_up_do_not_make_others_look_slow() {
        let ms = Duration::from_millis;
        // 3 MB/s each. Of those that are held up, the kernel has nearly everything when they are read again.
        let stats = RequestStats::new();
        for n in 0..400 {
            stats.responded(ms(20));
            let mut pace = BodyPace::default();
            for _ in 0..4 {
                let held_up = if n % 8 == 0 { ms(0) } else { ms(55) };
                pace.held_up(held_up);
                pace.waited(ms(60).saturating_sub(held_up));
                stats.received(180_000, &mut pace);
            }
            let rate = stats.expected().map_or(3e6, |expected| expected.rate);
            assert!((2.9e6..3.1e6).contains(&rate), "{rate} after {n}");
            assert!(stats.expected().is_none_or(|expected| !expected.is_slow(720_000, ms(240))));
        }
        // Those that a slow one holds up, and that come faster nevertheless, show that it is slow.
        for _ in 0..20 {
            for _ in 0..4 {
                let mut pace = BodyPace::default();
                pace.held_up(ms(100));
                pace.waited(ms(20));
                stats.received(1_000_000, &mut pace);
            }
            receive(&stats, 300_000, ms(300));
        }
        let expected = stats.expected().unwrap();
        assert!(expected.is_slow(300_000, ms(300)), "{expected:?}");
    }
}
