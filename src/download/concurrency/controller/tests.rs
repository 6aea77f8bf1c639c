//! The search on simulated links, without a network and without a clock.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation in floating point"
)]

use super::*;
use crate::download::concurrency::controller::estimate::RANGE_SECONDS;

const CHUNK: u64 = 4 << 20;
const WINDOW: u64 = 56 << 20;
const TICK: Duration = Duration::from_millis(2);

/// A server and a link: what a connection gets, what a request waits, what there is in all; in MiB/s.
#[derive(Clone, Copy)]
struct Net {
    each: f64,
    latency: Duration,
    all: f64,
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Size of a range in MiB.
fn range_mib(net: Net) -> f64 {
    (net.each.min(net.all) * RANGE_SECONDS.max(4.0 * net.latency.as_secs_f64())).clamp(0.25, 4.0)
}

/// Rate of a connection in MiB/s, the latency between its requests included.
fn worth(net: Net) -> f64 {
    range_mib(net) / (net.latency.as_secs_f64() + range_mib(net) / net.each)
}

/// The result of a simulated run.
#[derive(Debug)]
struct SimulatedRun {
    settled: usize,
    changes: usize,
    mib_per_second: f64,
    /// MiB that came in the first half second, and those of them that shared the link with the front range.
    early_mib: f64,
    early_shared_mib: f64,
    /// The most connections that were asked for, in all and after the first second, and how many in the first 300 ms.
    most: usize,
    most_later: usize,
    asked_early: usize,
    /// MiB that came beside the front range's in the whole run.
    shared_mib: f64,
    /// How long, in the first half second, there were more than twice as many connections as the link has room for.
    crowded_early: Duration,
}

/// Runs for `seconds` on a link that lets a burst of 16 ms through first, as shapers do.
fn run(net: Net, max: usize, seconds: u64) -> SimulatedRun {
    run_with_pieces(net, 0.0, max, seconds)
}

/// Runs with a server that sends to each connection in pieces of `piece` MiB: a first one with the head of the response,
/// and the others at its rate.
fn run_with_pieces(net: Net, piece: f64, max: usize, seconds: u64) -> SimulatedRun {
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
        let wanted = controller.observe(SpeedMark {
            at: now,
            bytes: if piece > 0.0 {
                ((mib / piece).floor() * piece * MIB) as u64
            } else {
                (mib * MIB) as u64
            },
            held: 0,
            opened,
            ended: 0,
            left: u64::MAX,
        });
        if let Some(keep) = controller.take_retreat() {
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

#[test]
fn it_settles_where_more_does_not_pay() {
    for (what, net, range) in [
        ("an uncapped server", Net { each: 1200.0, latency: ms(0), all: 1300.0 }, 1..=2),
        ("S3 and a fat link", Net { each: 90.0, latency: ms(25), all: 9e9 }, 34..=36),
        ("S3 and 10 Gbit/s", Net { each: 90.0, latency: ms(25), all: 1100.0 }, 14..=30),
        ("S3 and 1 Gbit/s", Net { each: 90.0, latency: ms(25), all: 110.0 }, 1..=3),
        ("far away", Net { each: 40.0, latency: ms(120), all: 9e9 }, 47..=56),
        ("far away at 1 Gbit/s", Net { each: 40.0, latency: ms(120), all: 110.0 }, 2..=9),
        ("a slow line", Net { each: 2.0, latency: ms(50), all: 4.0 }, 1..=3),
    ] {
        let run = run(net, 64, 20);
        assert!(range.contains(&run.settled), "{what}: {run:?}");
        // No hunting: a few steps at the start, then now and then one that is taken back.
        assert!(run.changes <= 16, "{what}: {run:?}");
        let most = (f64::from(*range.end() as u32) * worth(net)).min(net.all);
        assert!(run.mib_per_second > 0.85 * most, "{what}: {run:?}, of {most} MiB/s");
    }
}

#[test]
fn connections_of_a_slow_server_are_many_soon() {
    for piece in [0.0, 0.015, 0.0625, 0.125] {
        for latency in [5, 10, 25, 100] {
            let net = Net { each: 3.0, latency: ms(latency), all: 9e9 };
            let run = run_with_pieces(net, piece, 64, 6);
            assert_eq!(run.settled, 64, "{piece} {latency}: {run:?}");
            // A link that is full all the time would have brought 192.
            assert!(run.mib_per_second > 60.0, "{piece} {latency}: {run:?}");
        }
    }
}

#[test]
fn on_a_link_that_one_connection_fills_the_front_range_keeps_nearly_all_of_it() {
    for mbit in [4.0, 16.0, 40.0, 100.0, 300.0, 1000.0] {
        for latency in [5, 25, 100] {
            for each in [90.0, 9e9] {
                let all = mbit / 8.0 * 1e6 / MIB;
                if each < all {
                    continue;
                }
                let run = run(Net { each, latency: ms(latency), all }, 64, 10);
                assert!(run.settled <= 2, "{mbit} Mbit/s, {latency} ms: {run:?}");
                // The part that the reader has to wait for, of the first half second.
                let share = run.early_shared_mib / run.early_mib;
                assert!(share < 0.2, "{mbit} Mbit/s, {latency} ms: {share:.2} {run:?}");
            }
        }
    }
}

#[test]
fn on_a_link_that_one_connection_fills_no_more_than_four_are_opened() {
    for mbit in [4.0, 16.0, 25.0, 40.0, 70.0, 100.0, 200.0, 300.0, 500.0] {
        for latency in [1, 5, 12, 25, 40] {
            for piece in [0.0, 0.015] {
                let all = mbit / 8.0 * 1e6 / MIB;
                let run = run_with_pieces(Net { each: 90.0, latency: ms(latency), all }, piece, 64, 60);
                assert!(
                    run.most <= 4 && run.most_later <= 2,
                    "{mbit} Mbit/s, {latency} ms, {piece}: {run:?}"
                );
                // One more is tried after 4, 12, 28 and 60 s, and takes half of the link for some tenths of a second.
                assert!(
                    run.shared_mib < 0.03 * run.mib_per_second * 60.0,
                    "{mbit} Mbit/s, {latency} ms: {run:?}"
                );
            }
        }
    }
}

#[test]
fn a_trial_of_many_that_add_nothing_to_some_ends_soon() {
    for (each, mbit) in [(3.0, 100.0), (3.0, 70.0), (5.0, 200.0), (8.0, 300.0)] {
        for latency in [1, 5, 25] {
            let all = mbit / 8.0 * 1e6 / MIB;
            let run = run(Net { each, latency: ms(latency), all }, 64, 10);
            let useful = (all / worth(Net { each, latency: ms(latency), all })).ceil();
            assert!(run.settled as f64 <= 2.0 * useful, "{each} MiB/s, {mbit} Mbit/s, {latency} ms: {run:?}");
            // What came beside the front range and beyond what it could have had, of the first half second.
            assert!(run.crowded_early < ms(200), "{each} MiB/s, {mbit} Mbit/s, {latency} ms: {run:?}");
        }
    }
}

#[test]
fn many_that_were_requested_during_a_burst_are_cancelled_before_they_answer() {
    for (burst_ms, later, range) in
        [(6, 36.0, 4..=4), (10, 36.0, 4..=4), (10, 90.0, 30..=40), (25, 36.0, 30..=40)]
    {
        let mut controller = ConcurrencyController::new(64, CHUNK, (WINDOW, WINDOW), None);
        controller.first_response(ms(25));
        let (mut mib, mut most, mut wanted, mut keep) = (0.0, 1, 1, None);
        for at in (0..25).step_by(2) {
            mib += if at < burst_ms { 90.0 } else { later } * 0.002;
            let here = SpeedMark {
                at: ms(25 + at),
                bytes: (mib * MIB) as u64,
                held: 0,
                opened: 1,
                ended: 0,
                left: u64::MAX,
            };
            wanted = controller.observe(here);
            most = most.max(wanted);
            keep = controller.take_retreat().or(keep);
        }
        assert!(range.contains(&wanted), "{burst_ms} {later}: {wanted} of {most}");
        assert_eq!(keep, (wanted < most).then_some(4), "{burst_ms} {later}");
    }
}

#[test]
fn a_trial_of_few_connections_that_passed_is_followed_by_all_immediately() {
    for each in [4.0, 8.0, 16.0, 30.0, 60.0] {
        for latency in [1, 5, 12, 25, 40] {
            let net = Net { each, latency: ms(latency), all: 9e9 };
            let run = run(net, 64, 5);
            // 16 MiB/s and more each: those that the first window is enough for.
            assert!(run.asked_early >= 15, "{each} MiB/s, {latency} ms: {run:?}");
            assert!(
                run.mib_per_second > 0.75 * worth(net) * run.settled as f64,
                "{each}, {latency} ms: {run:?}"
            );
        }
    }
}

#[test]
fn a_first_connection_that_is_a_straggler_does_not_show_what_one_is_worth() {
    for (slow, each) in [(1.5, 90.0), (2.0, 90.0), (2.0, 40.0), (5.0, 90.0), (10.0, 90.0), (3.0, 16.0)] {
        for latency in [5, 25, 100] {
            let net = Net { each, latency: ms(latency), all: 9e9 };
            let mut controller = ConcurrencyController::new(256, CHUNK, (WINDOW, 16 * WINDOW), None);
            controller.first_response(net.latency);
            let mut joining: Vec<(Duration, usize)> = Vec::new();
            let (mut mib, mut connections) = (0.0, 1_usize);
            let (mut active, mut opened) = (1_usize, 1);
            for tick in 0..400_u32 {
                let now = net.latency + TICK * tick;
                joining.retain(|&(at, n)| {
                    if at <= now {
                        opened += n.saturating_sub(active) as u64;
                        active = n;
                    }
                    at > now
                });
                mib += (slow + worth(net) * (active - 1) as f64) * TICK.as_secs_f64();
                let bytes = (mib * MIB) as u64;
                let here = SpeedMark { at: now, bytes, held: 0, opened, ended: 0, left: u64::MAX };
                let wanted = controller.observe(here);
                if wanted != connections {
                    joining.push((now + net.latency, wanted));
                    connections = wanted;
                }
            }
            let range = controller.sizes().unwrap().range as f64 / MIB;
            let case =
                format!("{slow} and {each} MiB/s, {latency} ms: {connections} connections, {range:.1} MiB");
            assert!(range > 0.4 * range_mib(net), "{case}");
            // At least what the first window is enough for, and no more than a few times as many as bring what is aimed at.
            assert!(connections >= 15 && (connections as f64) < 4.0 * 2000.0 / worth(net), "{case}");
        }
    }
}

#[test]
fn afar_the_others_are_requested_before_the_verdict_and_cancelled_where_the_link_is_full() {
    for latency in [50, 100, 200] {
        for mbit in [100.0, 300.0, 1000.0] {
            let all = mbit / 8.0 * 1e6 / MIB;
            let run = run(Net { each: all, latency: ms(latency), all }, 64, 3);
            assert!(run.settled <= 2 && run.most > FIRST_TRIAL_CONNECTIONS, "{mbit}, {latency} ms: {run:?}");
            assert!(run.crowded_early < ms(50), "{mbit} Mbit/s, {latency} ms: {run:?}");
        }
        for each in [16.0, 40.0, 80.0] {
            let net = Net { each, latency: ms(latency), all: 9e9 };
            let run = run(net, 64, 3);
            let most = worth(net) * run.settled as f64;
            let lost = 1.0 - run.mib_per_second / most;
            // Two latencies, and a twentieth of a second.
            let least = (2.0 * latency as f64 / 1e3 + 0.05) / 3.0;
            assert!(run.settled >= 20 && lost < least + 0.05, "{each}, {latency} ms: {lost:.2} {run:?}");
        }
    }
}

#[test]
fn neither_silence_after_the_first_range_nor_a_burst_after_it_passes_a_trial() {
    let all = 119.0;
    let mut controller = ConcurrencyController::new(64, CHUNK, (WINDOW, WINDOW), None);
    controller.first_response(ms(100));
    let (mut mib, mut most, mut keep) = (0.0_f64, 1, None);
    for at in (100..400).step_by(2) {
        mib = match at {
            ..200 => (mib + all * 0.002).min(4.0),
            // 16 ms worth of the idle link in 2 ms.
            212 => mib + all * 0.018,
            213.. => mib + all * 0.002,
            _ => mib,
        };
        let (opened, ended) = (if at >= 210 { 4 } else { 1 }, u64::from(mib >= 4.0));
        let bytes = (mib * MIB) as u64;
        let here = SpeedMark { at: ms(at), bytes, held: 0, opened, ended, left: u64::MAX };
        let wanted = controller.observe(here);
        most = most.max(wanted);
        keep = keep.or(controller.take_retreat());
    }
    assert!(most > FIRST_TRIAL_CONNECTIONS, "the others were requested: {most}");
    assert_eq!((keep, controller.connections), (Some(FIRST_TRIAL_CONNECTIONS), 1));
}

#[test]
fn a_rate_limit_is_reached_by_as_few_connections_as_bring_it() {
    for (limit, each, range) in [(1.0, 90.0, 1..=1), (40.0, 90.0, 1..=2), (40.0, 3.0, 12..=20)] {
        let mut controller =
            ConcurrencyController::new(64, CHUNK, (WINDOW, WINDOW), Some((limit * MIB) as u64));
        controller.first_response(ms(25));
        let (mut bytes, mut connections, mut opened) = (0.0, 1, 1);
        for tick in 0..5_000_u32 {
            bytes += (each * connections as f64).min(limit) * MIB * TICK.as_secs_f64();
            let here = SpeedMark {
                at: ms(25) + TICK * tick,
                bytes: bytes as u64,
                held: 0,
                opened,
                ended: 0,
                left: u64::MAX,
            };
            let wanted = controller.observe(here);
            opened += wanted.saturating_sub(connections) as u64;
            connections = wanted;
        }
        assert!(range.contains(&connections), "{limit} MiB/s by {each}: {connections}");
    }
}

#[test]
fn it_stays_inside_its_limit_and_survives_silence() {
    let net = Net { each: 90.0, latency: ms(25), all: 9e9 };
    assert_eq!(run(net, 5, 5).settled, 5);
    let mut controller = ConcurrencyController::new(16, CHUNK, (WINDOW, WINDOW), None);
    for second in 0..1000 {
        let here = SpeedMark { at: Duration::from_secs(second), ..SpeedMark::default() };
        assert_eq!(controller.observe(here), 1);
    }
}

#[test]
fn a_consumer_that_is_slow_gets_no_more_connections() {
    for (held, range) in [(0, 53..=64), (200 << 20, 34..=36)] {
        let mut controller = ConcurrencyController::new(64, CHUNK, (4 * WINDOW, 4 * WINDOW), None);
        controller.first_response(ms(25));
        let (mut bytes, mut connections, mut opened) = (0.0, 1, 1);
        for tick in 0..1000_u32 {
            let each = if connections == 1 { 90.0 } else { 57.6 };
            bytes += each * connections as f64 * MIB * TICK.as_secs_f64();
            let here =
                SpeedMark { at: TICK * tick, bytes: bytes as u64, held, opened, ended: 0, left: u64::MAX };
            let wanted = controller.observe(here);
            opened += wanted.saturating_sub(connections) as u64;
            connections = wanted;
        }
        assert!(range.contains(&connections), "{held}: {connections}");
    }
}

#[test]
fn a_server_that_grows_slower_does_not_pull_it_down() {
    let mut controller = ConcurrencyController::new(32, CHUNK, (WINDOW, WINDOW), None);
    controller.first_response(ms(25));
    let (mut bytes, mut least, mut connections, mut opened) = (0.0, usize::MAX, 1, 1);
    for tick in 0..60_000_u32 {
        // From the tenth second on each connection gets a quarter.
        let each = if tick < 5_000 { 58.0 } else { 15.0 };
        bytes += each * connections as f64 * MIB * TICK.as_secs_f64();
        let here = SpeedMark {
            at: ms(25) + TICK * tick,
            bytes: bytes as u64,
            held: 0,
            opened,
            ended: 0,
            left: u64::MAX,
        };
        let wanted = controller.observe(here);
        opened += wanted.saturating_sub(connections) as u64;
        connections = wanted;
        if tick > 55_000 {
            least = least.min(connections);
        }
    }
    assert!(least >= 16, "{least}");
}

#[test]
fn where_stragglers_explain_a_low_rate_no_fewer_connections_are_tried() {
    for (overtaken_of, is_kept) in [(None, false), (Some(200), false), (Some(23), true), (Some(8), true)] {
        let mut controller = ConcurrencyController::new(64, CHUNK, (WINDOW, WINDOW), None);
        controller.first_response(ms(25));
        let (mut bytes, mut connections, mut opened, mut least) = (0.0, 1, 1, usize::MAX);
        for tick in 0..1000_u32 {
            let each = if connections == 1 { 90.0 } else { 20.0 };
            bytes += each * connections as f64 * MIB * TICK.as_secs_f64();
            let here =
                SpeedMark { at: TICK * tick, bytes: bytes as u64, held: 0, opened, ended: 0, left: u64::MAX };
            controller.set_overtaken(overtaken_of.map_or(0, |responses| opened / responses));
            let wanted = controller.observe(here);
            opened = opened.max(wanted as u64) + u64::from(connections > 1);
            least = if wanted > 1 { least.min(wanted) } else { least };
            connections = wanted;
        }
        assert_eq!(least >= 30, is_kept, "{overtaken_of:?}: {least}");
    }
}

/// Feeds a trial of four connections at a link of 2 MiB/s with the bytes received at each time, in ms. Returns when it was
/// judged, and whether it passed.
fn judge_trial(responses_at: u64, bytes_at: impl Fn(u64) -> f64) -> (u64, bool) {
    let mut estimate = ConnectionEstimate::new(4.0 * MIB);
    estimate.latency = ms(25);
    estimate.set_solo_rate(2.0 * MIB);
    let mark = |at| SpeedMark {
        at: ms(at),
        bytes: bytes_at(at) as u64,
        opened: if at < responses_at { 1 } else { 4 },
        left: 100 << 20,
        ..SpeedMark::default()
    };
    let base = TrialBase { connections: 1, rate: 2.0 * MIB };
    let mut trial = Trial::new(4, mark(100), base, ms(25), mark(100));
    for at in (102..3_000).step_by(2) {
        match trial.observe(mark(at), &mut estimate) {
            TrialProgress::Pending | TrialProgress::ResponsesBegan | TrialProgress::JudgedAgain => {}
            TrialProgress::Passed { .. } => return (at, true),
            TrialProgress::Failed { .. } => return (at, false),
        }
    }
    panic!("not judged")
}

#[test]
fn a_trial_on_a_full_link_fails_however_late_its_responses_are() {
    for responses_at in (110..=900).step_by(20) {
        let (judged_at, passed) = judge_trial(responses_at, |at| 2.0 * MIB * at as f64 / 1e3);
        assert!(!passed && judged_at > responses_at, "responses after {responses_at} ms: {judged_at}");
        assert!(judged_at < responses_at + 120, "responses after {responses_at} ms: {judged_at}");
    }
}

#[test]
fn what_arrives_together_with_a_lost_packet_passes_no_trial() {
    for lost_at in (150..=260).step_by(10) {
        let (_, passed) = judge_trial(180, |at| {
            // For 50 ms all waits for that packet.
            let delivered = if (lost_at..lost_at + 50).contains(&at) { lost_at } else { at };
            2.0 * MIB * delivered as f64 / 1e3
        });
        assert!(!passed, "lost at {lost_at} ms");
    }
}
