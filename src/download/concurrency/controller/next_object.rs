//! How early the next object is requested, so that it arrives when the bytes before it end.

use std::time::Duration;

use crate::download::concurrency::controller::estimate::to_bytes;
use crate::download::concurrency::controller::speed::{RecentRate, SpeedMark};

/// How long before the end of what is under way the next object is requested, beyond the latency, at least.
const NEXT_OBJECT_TIME_MIN: Duration = Duration::from_millis(30);
/// The rate that this follows from is averaged over the latency, within these limits.
const LATEST_TIME_MIN: Duration = Duration::from_millis(10);
const LATEST_TIME_MAX: Duration = Duration::from_millis(100);

/// The rate of the last latency.
#[derive(Debug, Default)]
pub(super) struct NextObjectTiming(RecentRate);

impl NextObjectTiming {
    /// Creates the timing where responses take `latency` to begin.
    pub(super) fn new(latency: Duration) -> Self {
        Self(RecentRate::over(latency.clamp(LATEST_TIME_MIN, LATEST_TIME_MAX)))
    }

    /// Notes how far the download is.
    pub(super) fn observe(&mut self, here: SpeedMark) {
        self.0.observe(here);
    }

    /// Returns below how many bytes that are still to be received the next object is to be requested: those of the latency,
    /// and as many again, so that there are more and more of them in time while small objects leave most of the link unused.
    /// On a full link it is no more than that holds up the front range for so long.
    pub(super) fn bytes_before(&self, latency: Duration) -> u64 {
        let time = latency + latency.max(NEXT_OBJECT_TIME_MIN);
        to_bytes(self.0.bytes_per_second() * time.as_secs_f64())
    }
}
