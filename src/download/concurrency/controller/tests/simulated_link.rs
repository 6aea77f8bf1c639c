//! A download over a simulated server and link: what it gets follows from the connections that the controller wants.

use super::*;

/// A server and a link: what a connection gets, what a request waits, what there is in all; in MiB/s.
#[derive(Clone, Copy)]
pub(super) struct Net {
    pub(super) each: f64,
    pub(super) latency: Duration,
    pub(super) all: f64,
}

/// Size of a range in MiB.
pub(super) fn range_mib(net: Net) -> f64 {
    (net.each.min(net.all) * RANGE_SECONDS.max(4.0 * net.latency.as_secs_f64())).clamp(0.25, 4.0)
}

/// Rate of a connection in MiB/s, the latency between its requests included.
pub(super) fn worth(net: Net) -> f64 {
    range_mib(net) / (net.latency.as_secs_f64() + range_mib(net) / net.each)
}

/// The result of a simulated run.
#[derive(Debug)]
pub(super) struct SimulatedRun {
    pub(super) settled: usize,
    pub(super) changes: usize,
    pub(super) mib_per_second: f64,
    /// MiB that came in the first half second, and those of them that shared the link with the front range.
    pub(super) early_mib: f64,
    pub(super) early_shared_mib: f64,
    /// The most connections that were asked for, in all and after the first second, and how many in the first 300 ms.
    pub(super) most: usize,
    pub(super) most_later: usize,
    pub(super) asked_early: usize,
    /// MiB that came beside the front range's in the whole run.
    pub(super) shared_mib: f64,
    /// How long, in the first half second, there were more than twice as many connections as the link has room for.
    pub(super) crowded_early: Duration,
}

/// Runs for `seconds` on a link that lets a burst of 16 ms through first, as shapers do.
pub(super) fn run(net: Net, max: usize, seconds: u64) -> SimulatedRun {
    run_with_pieces(net, 0.0, max, seconds)
}

/// Runs with a server that sends to each connection in pieces of `piece` MiB: a first one with the head of the response,
/// and the others at its rate.
pub(super) fn run_with_pieces(net: Net, piece: f64, max: usize, seconds: u64) -> SimulatedRun {
    let mut controller = ConcurrencyController::new(max, CHUNK, (WINDOW, WINDOW), None);
    controller.first_response(net.latency);
    let worth = worth(net);
    let (mut now, mut mib, mut changes) = (net.latency, net.all.min(1e4) * 0.016, 0);
    if net.all > 1e4 {
        mib = 0.0;
    }
    let (mut early_mib, mut early_shared_mib) = (mib, 0.0);
    // Connections join a latency after they were asked for.
    let mut joining: Vec<(Duration, usize)> = Vec::new();
    let (mut active, mut asked, mut opened) = (1_usize, 1_usize, 1_u64);
    let (mut most, mut most_later, mut asked_early, mut shared_mib) = (1, 1, 1, 0.0);
    let mut crowded_early = Duration::ZERO;
    let mut first_ranges_until = Duration::ZERO;
    while now < Duration::from_secs(seconds) {
        joining.retain(|&(at, n)| {
            if at <= now {
                mib += piece * n.saturating_sub(active) as f64;
                opened += n.saturating_sub(active) as u64;
                if n > active {
                    first_ranges_until = now + Duration::from_secs_f64(range_mib(net) / net.each);
                }
                active = n;
            }
            at > now
        });
        // With one or two the latency is hidden: the next range is requested in time. First ranges have waited for theirs.
        let each = if active <= 2 || now < first_ranges_until { net.each } else { worth };
        let came = (each * active as f64).min(net.all) * TICK.as_secs_f64();
        mib += came;
        let is_shared = each * active as f64 > net.all;
        let shared = if is_shared { came * (active - 1) as f64 / active as f64 } else { 0.0 };
        shared_mib += shared;
        crowded_early +=
            if now < ms(500) && each * active as f64 > 2.0 * net.all { TICK } else { Duration::ZERO };
        if now < ms(500) {
            early_mib += came;
            early_shared_mib += shared;
        }
        now += TICK;
        let seen = if piece > 0.0 { (mib / piece).floor() * piece } else { mib };
        let wanted = controller.observe(mark(now, seen, opened));
        if let Some(keep) = controller.take_retreat_decision() {
            joining.clear();
            active = active.min(keep);
        }
        most = most.max(wanted);
        most_later = if now > Duration::from_secs(1) { most_later.max(wanted) } else { 1 };
        asked_early = if now < net.latency * 2 + ms(100) { wanted } else { asked_early };
        if wanted != asked {
            changes += 1;
            asked = wanted;
            joining.push((now + net.latency, wanted));
        }
    }
    SimulatedRun {
        settled: asked,
        changes,
        mib_per_second: mib / seconds as f64,
        early_mib,
        early_shared_mib,
        most,
        most_later,
        asked_early,
        shared_mib,
        crowded_early,
    }
}
