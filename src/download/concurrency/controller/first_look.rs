//! The first look: the rate of one connection by itself, from its first bytes.

use std::time::Duration;

use crate::download::concurrency::controller::speed::{MIB, SpeedMark};

/// How long the first connection is observed at least. Its rate is that of the second half: the first bytes come in a
/// burst that routers and shapers let through faster than the link (16 ms worth in the tests).
const LOOK_TIME: Duration = Duration::from_millis(10);
/// The first look where a response takes longer than that: each request that is not under way costs more there than a
/// wrong guess does.
const LOOK_TIME_AFAR: Duration = Duration::from_millis(6);
/// A rate, in bytes a second, above which the first bytes count too.
const NO_BURST_RATE: f64 = 150.0 * MIB;
/// Bytes after which the first look may end early.
const EARLY_END_BYTES: u64 = 8 << 20;
/// Bytes that the second half of the first look has at least, or else it lasts for [`LOOK_TIME_MAX`].
const SECOND_HALF_BYTES_MIN: u64 = 32 << 10;
const LOOK_TIME_MAX: Duration = Duration::from_millis(200);
/// Up to this latency the gap between two responses is no part of the time that counts.
const GAP_LATENCY_MIN: Duration = Duration::from_millis(2);
/// The shortest first look, which the network may have delivered in one burst.
pub(super) const LOOK_TIME_MIN: Duration = Duration::from_millis(2);

/// One connection, from its first byte, and from the middle of the look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FirstLook {
    began: Option<SpeedMark>,
    half: Option<SpeedMark>,
}

/// The result of the first look; rates in bytes a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstRate {
    pub(super) rate: f64,
    /// The rate with the first bytes.
    pub(super) whole_rate: f64,
    /// Set at a rate that no burst shows.
    pub(super) is_fast: bool,
    /// Since when one connection was alone, without the first bytes.
    pub(super) since: SpeedMark,
}

impl FirstLook {
    /// Returns the result once there is one, after a response that took `latency` to begin.
    pub(super) fn observe(&mut self, here: SpeedMark, latency: Duration) -> Option<FirstRate> {
        if latency >= GAP_LATENCY_MIN && here.opened.saturating_sub(here.ended) != 1 {
            // Small objects end before they were looked at long enough, or several come at the same time.
            *self = Self::default();
            return None;
        }
        let Some(began) = self.began else {
            self.began = (here.bytes > 0).then_some(here);
            return None;
        };
        let look = if latency > LOOK_TIME { LOOK_TIME_AFAR } else { LOOK_TIME };
        let took = here.at.saturating_sub(began.at);
        let is_early = here.bytes - began.bytes >= EARLY_END_BYTES && took >= LOOK_TIME_MIN;
        let Some(half) = self.half else {
            self.half = (took >= look / 2 || is_early).then_some(here);
            return None;
        };
        let (took, got) = (here.at.saturating_sub(half.at), here.bytes - half.bytes);
        if took < look / 2 && !is_early || got == 0 {
            return None;
        }
        if got < SECOND_HALF_BYTES_MIN && took < LOOK_TIME_MAX {
            return None;
        }
        let (rate, whole_rate) = (half.rate(here), began.rate(here));
        // At such a rate there is no burst to leave out, and another process may have run in so short a time.
        let is_fast = rate > NO_BURST_RATE;
        let rate = if is_fast { rate.max(whole_rate) } else { rate };
        Some(FirstRate { rate, whole_rate, is_fast, since: half })
    }
}
