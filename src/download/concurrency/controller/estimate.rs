//! What one connection brings, and the sizes of ranges that suit it.

use std::time::Duration;

/// The size of a range as time of one connection: shorter ones cost more requests, longer ones hold more bytes that
/// are not next.
pub(super) const RANGE_SECONDS: f64 = 0.25;
const RANGE_LATENCIES: f64 = 4.0;
const RANGE_BYTES_MIN: f64 = 256.0 * 1024.0;
/// The size of a range where one or two connections suffice.
const LARGE_RANGE_SECONDS: f64 = 1.0;
/// The next range is requested when the ranges under way will end within the latency plus this time, or plus these bytes
/// (two large reads) if that is less. With more, two connections are read where one is cheaper: 1.4x the CPU on loopback.
const JUST_IN_TIME: Duration = Duration::from_millis(30);
const JUST_IN_TIME_BYTES: f64 = 512.0 * 1024.0;
/// A latency below this is not worth hiding: two connections read at the same time cost more.
const JUST_IN_TIME_LATENCY_MIN: Duration = Duration::from_millis(2);
/// By so much at most the latency is taken to have lowered the rate of a connection.
const LATENCY_FACTOR_MAX: f64 = 2.0;
/// A connection has picked up speed after so many latencies, and its rate shows in so many bytes.
const SETTLING_LATENCIES: u32 = 4;
const SETTLING_BYTES: f64 = 1024.0 * 1024.0;
/// Up to this many connections, the first look may be wrong, and they are tried one by one: one more than may fill the link,
/// because so short a look may take two for three.
pub(super) const ONE_BY_ONE_MAX: usize = 3;
/// How long a number of connections is measured at least. Many are measured for as long as a request takes: few have no gaps
/// between requests.
const MEASURE_TIME: Duration = Duration::from_millis(60);
/// A request that takes longer than this is not waited for.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(2);

/// The rate and the latency of one connection. Nothing is known before the first look has ended.
#[derive(Debug)]
pub(super) struct ConnectionEstimate {
    /// The largest range that may be requested, in bytes.
    pub(super) range_bytes_max: f64,
    /// How long a response takes to begin.
    pub(super) latency: Duration,
    /// The rate of one connection by itself, in bytes a second; 0 while that is not known.
    pub(super) solo_rate: f64,
    /// The rate of one connection, in bytes a second, the latency between its requests included.
    pub(super) sustained_rate: f64,
    /// The part of a request's time that is spent on receiving.
    pub(super) receiving_share: f64,
    /// How long a request takes.
    pub(super) request_time: Duration,
}

/// Sizes of ranges, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RangeSizes {
    /// The largest range.
    pub(crate) range: u64,
    /// The largest range where few are fetched at the same time.
    pub(crate) large: u64,
    /// When no more than this is under way, the next range is requested.
    pub(crate) just_in_time: u64,
}

impl ConnectionEstimate {
    pub(super) fn new(range_bytes_max: f64) -> Self {
        Self {
            range_bytes_max,
            latency: Duration::ZERO,
            solo_rate: 0.0,
            sustained_rate: 0.0,
            receiving_share: 1.0,
            request_time: Duration::ZERO,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.solo_rate > 0.0
    }

    /// Notes the rate of one connection by itself, in bytes a second, and what follows from it.
    pub(super) fn set_solo_rate(&mut self, solo_rate: f64) {
        self.solo_rate = solo_rate;
        let range_bytes = self.range_bytes();
        let transfer = range_bytes / solo_rate.max(1.0);
        let request = self.latency.as_secs_f64() + transfer;
        self.sustained_rate = range_bytes / request;
        self.request_time = Duration::from_secs_f64(request.min(REQUEST_TIME_MAX.as_secs_f64()));
        self.receiving_share = transfer / request;
    }

    /// Returns the rate of a connection that brings `sustained` bytes a second with the latency between its requests, for ranges of
    /// the present size.
    pub(super) fn without_latency(&self, sustained: f64) -> f64 {
        let request = self.range_bytes() / sustained.max(1.0);
        let transfer = (request - self.latency.as_secs_f64()).max(request / LATENCY_FACTOR_MAX);
        self.range_bytes() / transfer
    }

    /// Returns how long one more connection beside few has to be watched until its rate shows, no longer than a request takes:
    /// meanwhile it takes half of a full link from the front range.
    fn settling_time(&self) -> Duration {
        let bytes_time = Duration::from_secs_f64((SETTLING_BYTES / self.solo_rate.max(1.0)).min(1.0));
        bytes_time.max(SETTLING_LATENCIES * self.latency).min(self.request_time)
    }

    /// Returns how long so many connections are measured.
    pub(super) fn measure_time(&self, connections: usize) -> Duration {
        let time = if connections <= ONE_BY_ONE_MAX { self.settling_time() } else { self.request_time };
        time.max(MEASURE_TIME)
    }

    /// Returns the size of a range that suits the rate of one connection.
    pub(super) fn range_bytes(&self) -> f64 {
        let seconds = (RANGE_LATENCIES * self.latency.as_secs_f64()).max(RANGE_SECONDS);
        (self.solo_rate * seconds).max(RANGE_BYTES_MIN).min(self.range_bytes_max)
    }

    /// Returns the size of a range where few are fetched at the same time and bytes come at `recent_rate`.
    pub(super) fn large_range_bytes(&self, recent_rate: f64) -> f64 {
        let large = recent_rate.max(self.solo_rate) * LARGE_RANGE_SECONDS;
        self.range_bytes_max.max(large)
    }

    /// Returns the sizes of ranges where bytes come at `recent_rate`; `None` while nothing is known.
    pub(super) fn sizes(&self, recent_rate: f64) -> Option<RangeSizes> {
        if !self.is_known() {
            return None;
        }
        let rate = recent_rate.max(self.solo_rate);
        let margin = (rate * JUST_IN_TIME.as_secs_f64()).min(JUST_IN_TIME_BYTES);
        let is_worth_it = self.latency >= JUST_IN_TIME_LATENCY_MIN;
        let just_in_time = if is_worth_it { rate * self.latency.as_secs_f64() + margin } else { 0.0 };
        Some(RangeSizes {
            range: to_bytes(self.range_bytes()),
            large: to_bytes((rate * LARGE_RANGE_SECONDS).max(RANGE_BYTES_MIN)),
            just_in_time: to_bytes(just_in_time),
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is no less than 0"
)]
pub(super) fn to_bytes(bytes: f64) -> u64 {
    bytes as u64
}

#[expect(clippy::cast_precision_loss, reason = "a number of connections")]
pub(super) fn to_f64(connections: usize) -> f64 {
    connections as f64
}
