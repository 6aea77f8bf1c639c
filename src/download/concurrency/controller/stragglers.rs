//! Stragglers: connections that are far slower than the others, so that rates show less than more connections are worth.

use crate::download::concurrency::controller::estimate::to_f64;
use crate::download::concurrency::controller::speed::SpeedMark;

/// If each connection of a trial that passed brings more than this many times the rate of the first one, the first one was a
/// straggler. When its 2 MiB/s was taken for the usual rate, 1 GiB was cut into 1,900 ranges over up to 326 connections, and
/// took 2.2 to 3.0 s instead of 0.7 s.
const STRAGGLER_FACTOR: f64 = 2.0;
/// One straggler in so many responses makes a rate low. With one in 8, 35 connections brought less than 0.6 of what they should
/// in every second run; half as many were tried, and 1 GiB took 1.4 s and not 1.05.
const STRAGGLER_RESPONSES_MAX: u64 = 40;

/// Returns the rate of each of the others, in bytes a second, if the first connection of a trial of `tried` was a straggler
/// with `solo_rate`: they bring `rate` together with it.
pub(super) fn rate_beside_straggler(tried: usize, rate: f64, solo_rate: f64, here: SpeedMark) -> Option<f64> {
    let active = usize::try_from(here.opened.saturating_sub(here.ended)).unwrap_or(usize::MAX);
    let others = tried.max(active).saturating_sub(1).max(1);
    let each = (rate - solo_rate) / to_f64(others);
    (each > STRAGGLER_FACTOR * solo_rate).then_some(each)
}

/// Returns whether so many ranges were late and overtaken by a second request that waiting for them explains a low rate: fewer
/// connections would bring less.
pub(super) fn explain_low_rate(overtaken: u64, responses: u64) -> bool {
    overtaken * STRAGGLER_RESPONSES_MAX >= responses.max(1)
}
