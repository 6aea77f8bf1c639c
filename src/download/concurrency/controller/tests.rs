//! The search on simulated links, without a network and without a clock.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation in floating point"
)]

mod simulated_link;

use super::*;
use crate::download::concurrency::controller::estimate::RANGE_SECONDS;
use crate::download::concurrency::controller::tests::simulated_link::{
    Net, range_mib, run, run_with_pieces, worth,
};

const CHUNK: u64 = 4 << 20;
const WINDOW: u64 = 56 << 20;
const TICK: Duration = Duration::from_millis(2);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A download of which much is left, whose consumer keeps up, and of which no range has ended.
fn mark(at: Duration, mib: f64, opened: u64) -> SpeedMark {
    SpeedMark { at, bytes: (mib * MIB) as u64, held: 0, opened, ended: 0, left: u64::MAX }
}

/// A download with as many connections as the controller wants, each from the moment on in which it does.
struct EagerDownload {
    controller: ConcurrencyController,
    at: Duration,
    mib: f64,
    connections: usize,
    opened: u64,
}

impl EagerDownload {
    fn new(mut controller: ConcurrencyController) -> Self {
        let latency = ms(25);
        controller.first_response(latency);
        Self { controller, at: latency, mib: 0.0, connections: 1, opened: 1 }
    }

    /// Lets the connections together bring so many MiB/s for a moment, with the consumer `held` bytes behind.
    fn tick(&mut self, mib_per_second: f64, held: u64) {
        self.mib += mib_per_second * TICK.as_secs_f64();
        let wanted = self.controller.observe(SpeedMark { held, ..mark(self.at, self.mib, self.opened) });
        self.at += TICK;
        self.opened += wanted.saturating_sub(self.connections) as u64;
        self.connections = wanted;
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
            wanted = controller.observe(mark(ms(25 + at), mib, 1));
            most = most.max(wanted);
            keep = controller.take_retreat_decision().or(keep);
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
            // 16 MiB/s and more each: those that the first window is enough for. Slow ones are doubled.
            let least = if each <= 16.0 { 8 } else { 15 };
            assert!(run.asked_early >= least, "{each} MiB/s, {latency} ms: {run:?}");
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
                let wanted = controller.observe(mark(now, mib, opened));
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
        let wanted = controller.observe(SpeedMark { ended, ..mark(ms(at), mib, opened) });
        most = most.max(wanted);
        keep = keep.or(controller.take_retreat_decision());
    }
    assert!(most > FIRST_TRIAL_CONNECTIONS, "the others were requested: {most}");
    assert_eq!((keep, controller.connections), (Some(FIRST_TRIAL_CONNECTIONS), 1));
}

#[test]
fn a_rate_limit_is_reached_by_as_few_connections_as_bring_it() {
    for (limit, each, range) in [(1.0, 90.0, 1..=1), (40.0, 90.0, 1..=2), (40.0, 3.0, 12..=20)] {
        let rate_limit = Some((limit * MIB) as u64);
        let mut download =
            EagerDownload::new(ConcurrencyController::new(64, CHUNK, (WINDOW, WINDOW), rate_limit));
        for _ in 0..5_000 {
            download.tick((each * download.connections as f64).min(limit), 0);
        }
        let connections = download.connections;
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
        let mut download =
            EagerDownload::new(ConcurrencyController::new(64, CHUNK, (4 * WINDOW, 4 * WINDOW), None));
        for _ in 0..1000 {
            let each = if download.connections == 1 { 90.0 } else { 57.6 };
            download.tick(each * download.connections as f64, held);
        }
        let connections = download.connections;
        assert!(range.contains(&connections), "{held}: {connections}");
    }
}

#[test]
fn a_server_that_grows_slower_does_not_pull_it_down() {
    let mut download = EagerDownload::new(ConcurrencyController::new(32, CHUNK, (WINDOW, WINDOW), None));
    let mut least = usize::MAX;
    for tick in 0..60_000 {
        // From the tenth second on each connection gets a quarter.
        let each = if tick < 5_000 { 58.0 } else { 15.0 };
        download.tick(each * download.connections as f64, 0);
        if tick > 55_000 {
            least = least.min(download.connections);
        }
    }
    assert!(least >= 16, "{least}");
}

#[test]
fn where_stragglers_explain_a_low_rate_no_fewer_connections_are_tried() {
    for (overtaken_of, is_kept) in [(None, false), (Some(200), false), (Some(23), true), (Some(8), true)] {
        let mut controller = ConcurrencyController::new(64, CHUNK, (WINDOW, WINDOW), None);
        controller.first_response(ms(25));
        let (mut mib, mut connections, mut opened, mut least) = (0.0, 1, 1, usize::MAX);
        for tick in 0..1000_u32 {
            let each = if connections == 1 { 90.0 } else { 20.0 };
            mib += each * connections as f64 * TICK.as_secs_f64();
            controller.set_overtaken(overtaken_of.map_or(0, |responses| opened / responses));
            let wanted = controller.observe(mark(TICK * tick, mib, opened));
            opened = opened.max(wanted as u64) + u64::from(connections > 1);
            least = if wanted > 1 { least.min(wanted) } else { least };
            connections = wanted;
        }
        assert_eq!(least >= 30, is_kept, "{overtaken_of:?}: {least}");
    }
}
