//! How many connections the memory window is enough for, and whether so much of it is held that the consumer is slower.

use crate::download::concurrency::controller::estimate::{ConnectionEstimate, ONE_BY_ONE_MAX, to_f64};
use crate::download::concurrency::controller::speed::MIB;
use crate::download::concurrency::trial_backoff::TrialBackoff;

/// How many windows the connections may fill together, were all of them full at the same time. Ranges that are received
/// one after the other hold half of their bytes on the average, and those that wait for their first byte
/// nothing.
const OVERSUBSCRIPTION: f64 = 1.6;
/// Ranges that are received one after the other hold half of their bytes on the average; more than this
/// part means that they wait.
const HELD_SHARE_MAX: f64 = 0.75;
/// The rate of one connection, in bytes a second, from which on more than the first memory window is enough for are tried only
/// after a rest: so many cost memory and processor time, and a download that ends soon gains little.
const WINDOW_BOUND_RATE_MIN: f64 = 16.0 * MIB;
/// A window filled to this part is full, but for what is in motion.
const FULL_SHARE: f64 = 0.9;

/// The memory window, in bytes, and the connections that may share it.
#[derive(Debug)]
pub(super) struct WindowShare {
    window: f64,
    window_max: f64,
    /// The most connections.
    pub(super) connections_max: usize,
    /// The most that the first window is enough for.
    pub(super) connections_max_at_first: usize,
}

impl WindowShare {
    pub(super) fn new(window: f64, window_max: f64, connections_max: usize) -> Self {
        let connections_max = connections_max.max(1);
        Self { window, window_max, connections_max, connections_max_at_first: connections_max }
    }

    /// Lowers the limits to the connections whose ranges fit.
    pub(super) fn fit(&mut self, estimate: &ConnectionEstimate) {
        let held_bytes = estimate.range_bytes() * estimate.receiving_share;
        let fitting = |window: f64| OVERSUBSCRIPTION * window / held_bytes;
        self.connections_max = self.clamp(fitting(self.window_max));
        self.connections_max_at_first = self.clamp(fitting(self.window));
    }

    /// Returns a number of connections between one and the most.
    pub(super) fn clamp(&self, connections: f64) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is clamped"
        )]
        let connections = connections as usize;
        connections.clamp(1, self.connections_max)
    }

    /// Returns how many connections may be tried where one brings `solo_rate`, before the first `rest` and after it.
    pub(super) fn most(&self, solo_rate: f64, backoff: &TrialBackoff) -> usize {
        if solo_rate >= WINDOW_BOUND_RATE_MIN && backoff.is_first() {
            self.connections_max_at_first
        } else {
            self.connections_max
        }
    }

    /// Returns whether more bytes are `held` than the order of ranges alone explains: then the consumer is the limit, and more
    /// connections would only fill memory. Bytes come at `recent_rate`.
    #[expect(clippy::cast_precision_loss, reason = "for an estimate")]
    pub(super) fn is_consumer_behind(
        &self,
        held: u64,
        connections: usize,
        recent_rate: f64,
        estimate: &ConnectionEstimate,
    ) -> bool {
        // Where few connections sufficed a moment ago, ranges are larger.
        let range_bytes = if connections <= 2 * ONE_BY_ONE_MAX {
            estimate.large_range_bytes(recent_rate)
        } else {
            estimate.range_bytes_max
        };
        let in_order = HELD_SHARE_MAX * range_bytes * estimate.receiving_share * to_f64(connections);
        let window = needed(connections, estimate).max(self.window).min(self.window_max);
        held as f64 > in_order.min(FULL_SHARE * window)
    }
}

/// Returns the window, in bytes, that so many connections need.
pub(super) fn needed(connections: usize, estimate: &ConnectionEstimate) -> f64 {
    to_f64(connections) * estimate.range_bytes() * estimate.receiving_share / OVERSUBSCRIPTION
}
