//! Stragglers: connections that are far slower than the others, or late, so that rates show less than connections are worth.

use std::time::Duration;

use crate::download::concurrency::controller::estimate::{ONE_BY_ONE_MAX, to_f64};
use crate::download::concurrency::controller::speed::SpeedMark;

/// If each connection of a trial that passed brings more than this many times the rate of the first one, the first one was a
/// straggler. When its 2 MiB/s was taken for the usual rate, 1 GiB was cut into 1,900 ranges over up to 326 connections, and
/// took 2.2 to 3.0 s instead of 0.7 s.
const STRAGGLER_FACTOR: f64 = 2.0;
/// One straggler in so many responses makes a rate low. With one in 8, 35 connections brought less than 0.6 of what they should
/// in every second run; half as many were tried, and 1 GiB took 1.4 s and not 1.05.
const STRAGGLER_RESPONSES_MAX: u64 = 40;

/// How long after the start of a download connections that have no response may still be on their way: the first attempt at a
/// dead address takes 250 ms (RFC 8305, section 5). Two of four that did so made one connection of 60 MiB/s appear enough for
/// 4 s, in one of eight runs: 256 MiB took 4.2 s instead of 0.7.
const CONNECTING_TIME_MAX: Duration = Duration::from_secs(1);

/// Returns the rate of each of the others, in bytes a second, if the first connection of a trial of `tried` was a straggler
/// with `solo_rate`: they bring `rate` together with it.
pub(super) fn rate_beside_straggler(tried: usize, rate: f64, solo_rate: f64, here: SpeedMark) -> Option<f64> {
    let active = usize::try_from(here.opened.saturating_sub(here.ended)).unwrap_or(usize::MAX);
    let others = tried.max(active).saturating_sub(1).max(1);
    let each = (rate - solo_rate) / to_f64(others);
    (each > STRAGGLER_FACTOR * solo_rate).then_some(each)
}

/// Returns whether the rate of so many `connections` is low because half of them have no response yet, so soon after the start.
/// Where few were tried, the link may be full, and they wait for that.
pub(super) fn are_connecting(connections: usize, here: SpeedMark) -> bool {
    let active = here.opened.saturating_sub(here.ended);
    connections > ONE_BY_ONE_MAX && here.at < CONNECTING_TIME_MAX && active * 2 <= connections as u64
}

/// Returns whether so many ranges were late and overtaken by a second request that waiting for them explains a low rate: fewer
/// connections would bring less.
pub(super) fn explain_low_rate(overtaken: u64, responses: u64) -> bool {
    overtaken * STRAGGLER_RESPONSES_MAX >= responses.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_connections_are_waited_for_at_the_start_alone() {
        for (connections, at, opened, ended, are_late) in [
            (4, 120, 4, 2, true),
            (4, 120, 3, 2, true),
            (4, 120, 5, 2, false),
            (16, 900, 9, 1, true),
            (16, 900, 10, 1, false),
            (4, 1000, 4, 2, false),
            (3, 120, 3, 2, false),
            (1, 120, 1, 1, false),
        ] {
            let here = SpeedMark { at: Duration::from_millis(at), opened, ended, ..SpeedMark::default() };
            assert_eq!(are_connecting(connections, here), are_late, "{connections} {at} {opened} {ended}");
        }
    }
}
