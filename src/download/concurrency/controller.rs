//! How many connections a download needs: found from what it achieves.
//!
//! It gets, tick by tick, the time and how many bytes have come, and hands on a number. Pure: it reads
//! no clock and touches no socket.
//!
//! S3 gives a connection some 90 MB/s, whatever the link, so a fat link needs many; a slow reader, a
//! saturated processor or an uncapped server needs one or two, and every further one costs memory and
//! cold caches. The first connection alone tells what one is worth: its rate, and the latency that each
//! request costs. From that follows how many make a fast download; then it is measured whether they do.
//! A step is kept only where it pays, and a step that did not pay is not tried again soon, so that on a
//! steady server the number settles.

use std::time::Duration;

/// What the first guess aims at, in bytes a second: 16 Gbit/s. A faster link shows by growth that pays.
const AIM: f64 = 2000.0 * MIB;
const MIB: f64 = 1024.0 * 1024.0;
/// The first connection is judged after so long, or so many bytes, whichever is first.
const FIRST_LOOK: Duration = Duration::from_millis(10);
/// The same where a response takes longer than that: each request that is not under way costs more there than a wrong
/// guess does. Where it takes next to nothing, a hiccup of so short a time would be taken for a slow connection.
const FIRST_LOOK_AFAR: Duration = Duration::from_millis(3);
const FIRST_BYTES: u64 = 8 << 20;
/// But never by less than this, which the network may have delivered in one go.
const FIRST_LOOK_MIN: Duration = Duration::from_millis(2);
/// How long a number of connections is measured at least; and never shorter than one request takes.
const MEASURE: Duration = Duration::from_millis(60);
/// What connections new to the line need, beyond the latency, to run at their rate.
const RUN_UP: Duration = Duration::from_millis(10);
/// So few connections as the first look may be wrong about.
const FEW: usize = 3;
/// Two measurements of the same number agree when they differ by no more than this part. Only then is
/// the number judged: connections may still be picking up speed.
const AGREE: f64 = 0.15;
/// So often a number is measured at most until two agree.
const MEASUREMENTS_MAX: u32 = 6;
/// A request that takes longer than this is not waited for.
const REQUEST_MAX: Duration = Duration::from_secs(2);
/// How many windows the connections may fill together, were all of them full at once. Ranges that are received
/// one behind the other hold half of their bytes on the average, and those that wait for their first byte
/// nothing.
const WINDOWS: f64 = 1.6;
/// More connections are kept when they bring this part of what they should.
const PAYS: f64 = 0.5;
/// A smaller number is kept when it brings still this much of the best.
const SUFFICES: f64 = 0.95;
/// Below this part of what so many connections are worth alone, something else is the limit.
const BOUND_ELSEWHERE: f64 = 0.6;
/// Ranges that are received one behind the other hold half of their bytes on the average; more than this
/// part means that they wait.
const BEHIND: f64 = 0.75;
/// A window filled to this part is full, but for what is in motion.
const FULL: f64 = 0.9;
/// How long a settled number is left alone: at first, and at the longest.
const REST_MIN: Duration = Duration::from_secs(4);
const REST_MAX: Duration = Duration::from_mins(1);

/// What is found while a download runs.
#[derive(Debug)]
pub(crate) struct ConcurrencyController {
    max: usize,
    chunk: f64,
    window: f64,
    connections: usize,
    latency: Duration,
    /// What one connection is worth, latency included, in bytes a second.
    worth: f64,
    /// What part of a request is spent on receiving.
    receiving: f64,
    /// How long a request takes, from what the first one took.
    request: Duration,
    rest: Duration,
    phase: SearchPhase,
}

#[derive(Debug, Clone, Copy)]
enum SearchPhase {
    /// One connection, from its first byte.
    First { began: Option<SpeedMark> },
    /// A number was set: measured from `from` on, which `began` notes once reached.
    Measure { step: Step, from: Duration, began: Option<SpeedMark> },
    /// Left alone until then.
    Settled { until: Duration },
}

#[derive(Debug, Clone, Copy)]
struct SpeedMark {
    at: Duration,
    bytes: u64,
    /// Of those, how many wait for the consumer.
    held: u64,
}

/// Why a number is being measured, and what it is compared with.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The number as it is, to know its rate.
    Stay {
        last: f64,
        measured: u32,
    },
    Up {
        before: usize,
        rate: f64,
    },
    Down {
        before: usize,
        best: f64,
    },
}

impl ConcurrencyController {
    /// Between one connection and `max`, each asking for about `chunk` bytes a request, whose bytes have to
    /// fit into `window`.
    pub(crate) fn new(max: usize, chunk: u64, window: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "sizes, for an estimate")]
        let (chunk, window) = (chunk as f64, window as f64);
        let phase = SearchPhase::First { began: None };
        Self {
            max: max.max(1),
            chunk,
            window,
            connections: 1,
            latency: Duration::ZERO,
            worth: 0.0,
            receiving: 1.0,
            request: Duration::ZERO,
            rest: REST_MIN,
            phase,
        }
    }

    /// How long the first response took to begin.
    pub(crate) fn first_response(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// Whether the number is being left alone: then there is no hurry to tick.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.phase, SearchPhase::Settled { .. })
    }

    /// How many connections there should be, `bytes` having come by `now`; both count from the start of
    /// the download and never go back. Of the bytes `held` wait for the consumer.
    pub(crate) fn tick(&mut self, now: Duration, bytes: u64, held: u64) -> usize {
        let here = SpeedMark { at: now, bytes, held };
        match self.phase {
            SearchPhase::First { began: None } if bytes > 0 => {
                self.phase = SearchPhase::First { began: Some(here) }
            }
            SearchPhase::First { began: Some(began) } => self.first(began, here),
            SearchPhase::Measure { step, from, began: None } if now >= from => {
                self.phase = SearchPhase::Measure { step, from, began: Some(here) };
            }
            SearchPhase::Measure { step, began: Some(began), .. }
                if now >= began.at + MEASURE.max(self.request) =>
            {
                self.judge(step, began.rate(here), here);
            }
            SearchPhase::Settled { until } if now >= until => self.set(self.connections, Step::START, now),
            _ => {}
        }
        self.connections
    }

    fn first(&mut self, began: SpeedMark, here: SpeedMark) {
        let (took, got) = (here.at.saturating_sub(began.at), here.bytes - began.bytes);
        let look = if self.latency > FIRST_LOOK { FIRST_LOOK_AFAR } else { FIRST_LOOK };
        if took < FIRST_LOOK_MIN || (took < look && got < FIRST_BYTES) || got == 0 {
            return;
        }
        let transfer = self.chunk / began.rate(here);
        let request = self.latency.as_secs_f64() + transfer;
        self.worth = self.chunk / request;
        self.request = Duration::from_secs_f64(request).min(REQUEST_MAX);
        self.receiving = transfer / request;
        self.max = self.clamp(WINDOWS * self.window / (self.chunk * self.receiving));
        let wanted = self.clamp((AIM / self.worth).ceil());
        // A first look that short is no judge between one and a few: those are tried one by one.
        self.set(if wanted > FEW { wanted } else { 1 }, Step::START, here.at);
    }

    fn judge(&mut self, step: Step, rate: f64, here: SpeedMark) {
        let now = here.at;
        match step {
            Step::Up { before, rate: was } if rate < was * (1.0 + PAYS * self.growth(before)) => {
                self.connections = before;
                self.settle(now);
            }
            Step::Down { before, best } if rate < best * SUFFICES => {
                self.connections = before;
                self.settle(now);
            }
            Step::Down { best, .. } => self.down(rate, best.max(rate), now),
            Step::Stay { last, measured }
                if measured < MEASUREMENTS_MAX && (rate - last).abs() > AGREE * rate =>
            {
                self.set(self.connections, Step::Stay { last: rate, measured: measured + 1 }, now);
            }
            Step::Stay { .. } if rate < BOUND_ELSEWHERE * self.worth * count(self.connections) => {
                self.down(rate, rate, now);
            }
            Step::Stay { .. } | Step::Up { .. } if self.consumer_is_behind(here) => self.settle(here.at),
            Step::Stay { .. } | Step::Up { .. } => self.up(rate, now),
        }
    }

    fn up(&mut self, rate: f64, now: Duration) {
        let before = self.connections;
        let more = self.clamp((count(before) * 1.5).ceil());
        if more == before {
            return self.settle(now);
        }
        self.set(more, Step::Up { before, rate }, now);
    }

    /// As many as would bring this rate if each were worth what the first one was, or half.
    fn down(&mut self, rate: f64, best: f64, now: Duration) {
        let before = self.connections;
        let fewer = self.clamp((rate / self.worth).round()).max(before / 2).max(1);
        if fewer >= before {
            return self.settle(now);
        }
        self.set(fewer, Step::Down { before, best }, now);
    }

    fn set(&mut self, connections: usize, step: Step, now: Duration) {
        let changed = connections != self.connections;
        // The first chunks of new connections may be small ones, each with its latency.
        let run_up = if changed { self.latency + RUN_UP + self.request } else { Duration::ZERO };
        self.connections = connections;
        self.phase = SearchPhase::Measure { step, from: now + run_up, began: None };
    }

    fn settle(&mut self, now: Duration) {
        self.phase = SearchPhase::Settled { until: now + self.rest };
        self.rest = (self.rest * 2).min(REST_MAX);
    }

    /// Whether more waits for the consumer than the order of ranges alone explains: then it is the limit,
    /// and more connections would only fill memory.
    #[expect(clippy::cast_precision_loss, reason = "for an estimate")]
    fn consumer_is_behind(&self, here: SpeedMark) -> bool {
        let in_order = BEHIND * self.chunk * self.receiving * count(self.connections);
        here.held as f64 > in_order.min(FULL * self.window)
    }

    /// By what part there are more connections than `before`.
    fn growth(&self, before: usize) -> f64 {
        count(self.connections) / count(before) - 1.0
    }

    fn clamp(&self, connections: f64) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is clamped"
        )]
        let connections = connections as usize;
        connections.clamp(1, self.max)
    }
}

impl Step {
    const START: Self = Self::Stay { last: 0.0, measured: 1 };
}

impl SpeedMark {
    /// Bytes a second between this mark and a later one.
    #[expect(clippy::cast_precision_loss, reason = "a rate, for a comparison")]
    fn rate(self, later: Self) -> f64 {
        (later.bytes - self.bytes) as f64 / later.at.saturating_sub(self.at).as_secs_f64().max(1e-6)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number of connections")]
fn count(connections: usize) -> f64 {
    connections as f64
}

#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation in floating point"
)]
mod tests {
    use super::*;

    const CHUNK: u64 = 4 << 20;
    const WINDOW: u64 = 56 << 20;

    /// A server and a link: what a connection gets, what a request waits, what there is in all; in MiB/s.
    #[derive(Clone, Copy)]
    struct Net {
        each: f64,
        latency: Duration,
        all: f64,
    }

    fn worth(net: Net) -> f64 {
        4.0 / (net.latency.as_secs_f64() + 4.0 / net.each)
    }

    /// Runs for `seconds` and returns the number settled on, the number of changes, and MiB/s achieved.
    fn run(net: Net, max: usize, seconds: u64) -> (usize, usize, f64) {
        let mut level = ConcurrencyController::new(max, CHUNK, WINDOW);
        level.first_response(net.latency);
        let worth = worth(net);
        let (mut now, mut mib, mut changes) = (net.latency, 0.0, 0);
        // Connections join a latency after they were asked for.
        let mut joining: Vec<(Duration, usize)> = Vec::new();
        let (mut active, mut asked) = (1, 1);
        let tick = Duration::from_millis(5);
        while now < Duration::from_secs(seconds) {
            joining.retain(|&(at, n)| {
                if at <= now {
                    active = n;
                }
                at > now
            });
            let each = if asked == 1 { net.each } else { worth };
            mib += (each * active as f64).min(net.all) * tick.as_secs_f64();
            now += tick;
            let wanted = level.tick(now, (mib * MIB) as u64, 0);
            if wanted != asked {
                changes += 1;
                asked = wanted;
                joining.push((now + net.latency, wanted));
            }
        }
        (asked, changes, mib / seconds as f64)
    }

    #[test]
    fn it_settles_where_more_does_not_pay() {
        let ms = Duration::from_millis;
        for (what, net, range) in [
            ("an uncapped server", Net { each: 1200.0, latency: ms(0), all: 1300.0 }, 1..=2),
            ("S3 and a fat link", Net { each: 90.0, latency: ms(25), all: 9e9 }, 34..=36),
            ("S3 and 10 Gbit/s", Net { each: 90.0, latency: ms(25), all: 1100.0 }, 16..=30),
            ("S3 and 1 Gbit/s", Net { each: 90.0, latency: ms(25), all: 110.0 }, 1..=3),
            ("far away", Net { each: 40.0, latency: ms(120), all: 9e9 }, 47..=50),
            ("far away at 1 Gbit/s", Net { each: 40.0, latency: ms(120), all: 110.0 }, 3..=9),
            ("a slow line", Net { each: 2.0, latency: ms(50), all: 4.0 }, 1..=3),
        ] {
            let (settled, changes, rate) = run(net, 64, 20);
            assert!(range.contains(&settled), "{what}: {settled}");
            // No hunting: a few steps at the start, then now and then one that is taken back.
            assert!(changes <= 16, "{what}: {changes} changes");
            let most = (f64::from(*range.end() as u32) * worth(net)).min(net.all);
            assert!(rate > 0.85 * most, "{what}: {rate} of {most} MiB/s");
        }
    }

    #[test]
    fn it_stays_inside_its_limit_and_survives_silence() {
        let net = Net { each: 90.0, latency: Duration::from_millis(25), all: 9e9 };
        assert_eq!(run(net, 5, 5).0, 5);
        let mut level = ConcurrencyController::new(16, CHUNK, WINDOW);
        for second in 0..1000 {
            assert_eq!(level.tick(Duration::from_secs(second), 0, 0), 1);
        }
    }

    #[test]
    fn a_consumer_that_is_behind_gets_no_more_connections() {
        for (held, range) in [(0, 53..=64), (200 << 20, 34..=36)] {
            let mut level = ConcurrencyController::new(64, CHUNK, 4 * WINDOW);
            level.first_response(Duration::from_millis(25));
            let (mut bytes, mut connections) = (0.0, 1);
            for tick in 0..400_u32 {
                let each = if connections == 1 { 90.0 } else { 57.6 };
                bytes += each * connections as f64 * MIB * 0.005;
                connections = level.tick(Duration::from_millis(5) * tick, bytes as u64, held);
            }
            assert!(range.contains(&connections), "{held}: {connections}");
        }
    }

    #[test]
    fn a_server_that_grows_slower_does_not_pull_it_down() {
        let mut level = ConcurrencyController::new(32, CHUNK, WINDOW);
        level.first_response(Duration::from_millis(25));
        let (mut bytes, mut least) = (0.0, usize::MAX);
        for tick in 0..24_000_u32 {
            let now = Duration::from_millis(25) + Duration::from_millis(5) * tick;
            // From the tenth second on each connection gets a quarter.
            let each = if tick < 2_000 { 58.0 } else { 15.0 };
            let connections = level.tick(now, bytes as u64, 0);
            bytes += each * connections as f64 * MIB * 0.005;
            if tick > 22_000 {
                least = least.min(connections);
            }
        }
        assert!(least >= 16, "{least}");
    }
}
