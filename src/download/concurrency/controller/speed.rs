//! The counts of a download at a moment, and the rates between two of them.

use std::time::Duration;

pub(super) const MIB: f64 = 1024.0 * 1024.0;
/// The recent rate is averaged over this time.
const RECENT_TIME: Duration = Duration::from_millis(50);

/// The counts of a download at some moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SpeedMark {
    /// Since the start of the download.
    pub(crate) at: Duration,
    /// Bytes received.
    pub(crate) bytes: u64,
    /// Bytes received that wait for the consumer.
    pub(crate) held: u64,
    /// Responses to ranges that have begun.
    pub(crate) opened: u64,
    /// Those of them that have ended.
    pub(crate) ended: u64,
    /// Bytes that are still to be received.
    pub(crate) left: u64,
}

impl SpeedMark {
    /// Returns the bytes a second between this mark and a later one.
    #[expect(clippy::cast_precision_loss, reason = "a rate, for a comparison")]
    pub(super) fn rate(self, later: Self) -> f64 {
        (later.bytes - self.bytes) as f64 / later.at.saturating_sub(self.at).as_secs_f64().max(1e-6)
    }
}

/// The rate of all connections in the last moments.
#[derive(Debug)]
pub(super) struct RecentRate {
    /// It is averaged over so long.
    time: Duration,
    bytes_per_second: f64,
    /// Since when the next value is measured.
    since: SpeedMark,
}

impl Default for RecentRate {
    fn default() -> Self {
        Self::over(RECENT_TIME)
    }
}

impl RecentRate {
    /// Creates a rate that is averaged over `time`.
    pub(super) fn over(time: Duration) -> Self {
        Self { time, bytes_per_second: 0.0, since: SpeedMark::default() }
    }

    /// Notes how far the download is.
    pub(super) fn observe(&mut self, here: SpeedMark) {
        if here.at >= self.since.at + self.time {
            self.bytes_per_second = self.since.rate(here);
            self.since = here;
        }
    }

    pub(super) fn bytes_per_second(&self) -> f64 {
        self.bytes_per_second
    }
}
