//! How many connections a download needs: found from what it achieves. Pure: it reads no clock and touches no socket.
//!
//! S3 gives a connection some 90 MB/s, whatever the link, so a fat link needs many; on a slow link, behind a slow reader
//! or beside a saturated processor one is enough, and every further one takes bandwidth from the bytes that are next.
//! The first connection alone shows what one is worth: its rate, and the latency that each request costs. From that
//! follows how many would make a fast download. They are requested immediately, because that costs nothing until their
//! bytes arrive; then a trial of a few milliseconds shows whether they add to the rate. If they only share it, all but
//! the useful ones are cancelled. Later a step is kept only where it pays, and one that did not pay is not tried again
//! soon, so that on a steady link the number settles.

use std::time::Duration;

/// The rate that the first guess aims at, in bytes a second: 16 Gbit/s. A faster link shows by growth that pays.
const TARGET_BYTES_PER_SECOND: f64 = 2000.0 * MIB;
const MIB: f64 = 1024.0 * 1024.0;
/// How long the first connection is observed at least. Its rate is that of the second half: the first bytes come in a
/// burst that routers and shapers let through faster than the link (16 ms worth in the tests).
const FIRST_LOOK: Duration = Duration::from_millis(10);
/// The first look where a response takes longer than that: each request that is not under way costs more there than a
/// wrong guess does.
const FIRST_LOOK_AFAR: Duration = Duration::from_millis(6);
/// A rate, in bytes a second, above which the first bytes count too.
const NO_BURST_RATE: f64 = 150.0 * MIB;
/// Bytes after which the first look may end early.
const FIRST_BYTES: u64 = 8 << 20;
/// Bytes that the second half of the first look has at least, or else it lasts for [`FIRST_LOOK_MAX`].
const FIRST_HALF_BYTES_MIN: u64 = 32 << 10;
const FIRST_LOOK_MAX: Duration = Duration::from_millis(200);
/// The shortest first look, which the network may have delivered in one burst.
const FIRST_LOOK_MIN: Duration = Duration::from_millis(2);
/// The rate of the first connection, in bytes a second, below which no others are tried at the start: a trial would hold
/// up the reader for a noticeable time.
const TRIAL_RATE_MIN: f64 = 1.0 * MIB;
/// For how many bytes a second of the first connection's rate one more is tried: a TLS handshake and the first packets of
/// a response take some 10 KB of the link. After a long latency more of them are needed, and affordable.
const RATE_PER_TRIAL_CONNECTION: f64 = 1.0 * MIB;
const TRIAL_LATENCY: Duration = Duration::from_millis(100);
/// How long a trial lasts from the first responses on, at least, and how many bytes of one connection it sees at least.
const TRIAL: Duration = Duration::from_millis(15);
const TRIAL_BYTES: f64 = 96.0 * 1024.0;
/// A trial whose responses do not come is judged after twice the latency and this.
const TRIAL_WAIT: Duration = Duration::from_millis(100);
/// A trial at such a rate, in bytes a second, that failed is judged once more, because busy processors delay it.
const TRIAL_AGAIN_RATE: f64 = 16.0 * MIB;
/// By what part the common rate of a failed trial may exceed that of some connections before one more counts as useful:
/// on a slow link, where a trial sees few packets, and on a fast one.
const TRIAL_NOISE_SLOW: f64 = 0.6;
const TRIAL_NOISE_FAST: f64 = 0.2;
/// A common rate of so many times that of one connection is no link that one connection fills: a trial need not show
/// more, for on a busy machine the first responses come late.
const FAR_BEYOND_ONE: f64 = 3.0;
/// Rate of one connection, in bytes a second, from which on gathered bytes are prompt enough for a measurement.
const GATHERED_RATE_MIN: f64 = 16.0 * MIB;
/// The rate of one connection, in bytes a second, below which a trial that passed is followed immediately by one with as many
/// as its rate affords, and more than the first memory window is enough for. Faster ones are tried after a rest: at S3's
/// rate so many cost memory and processor time, and a download that ends soon gains little.
const FURTHER_TRIAL_RATE_MAX: f64 = 16.0 * MIB;
/// The factor where some connections are compared with more of them, and how often such a trial is judged again:
/// their first responses come in the course of a latency.
const FAR_BEYOND_SOME: f64 = 1.5;
const TRIALS_AGAIN: u32 = 3;
/// A second connection is kept when it brings this much more: its cost is small, and so may be what the first one
/// leaves of the link.
const PAYS_SECOND: f64 = 1.12;
/// At a higher rate, in bytes a second, the processor is the limit, and a second connection makes its caches cold.
const PAYS_SECOND_RATE_MAX: f64 = 400.0 * MIB;
/// The size of a range as time of one connection: shorter ones cost more requests, longer ones hold more bytes that
/// are not next.
const RANGE_SECONDS: f64 = 0.25;
const RANGE_LATENCIES: f64 = 4.0;
const RANGE_BYTES_MIN: f64 = 256.0 * 1024.0;
/// The size of a range where one or two connections suffice.
const LARGE_RANGE_SECONDS: f64 = 1.0;
/// How long before the end of those under way the next range is requested, beyond the latency; and how many bytes at
/// most, two large reads. With more, two connections are read where one is cheaper: 1.4x the CPU on loopback.
const JUST_IN_TIME: Duration = Duration::from_millis(30);
const JUST_IN_TIME_BYTES: f64 = 512.0 * 1024.0;
/// A latency below this is not worth hiding: two connections read at the same time cost more.
const JUST_IN_TIME_LATENCY_MIN: Duration = Duration::from_millis(2);
/// The rate is averaged over this time.
const RATE_WINDOW: Duration = Duration::from_millis(50);
/// How long a number of connections is measured at least; and never shorter than one request takes.
const MEASURE: Duration = Duration::from_millis(60);
/// Time that new connections need, beyond the latency, to run at their rate.
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
/// How many windows the connections may fill together, were all of them full at the same time. Ranges that are received
/// one after the other hold half of their bytes on the average, and those that wait for their first byte
/// nothing.
const WINDOWS: f64 = 1.6;
/// Ranges are cancelled only where the download will take at least so long.
const RETREAT_WORTH_SECONDS: f64 = 1.0;
/// Up to so many connections, a step doubles them.
const DOUBLED_MAX: usize = 16;
/// More connections are kept when they bring this part of what they should.
const PAYS: f64 = 0.5;
/// When fewer bring less by this part of what they should, no link is full.
const PAYS_FULLY: f64 = 0.8;
/// One connection and a half for each busy thread are kept when they bring so much more than fewer did.
const PAYS_SPREAD: f64 = 1.2;
/// A smaller number is kept when it brings still this much of the best.
const SUFFICES: f64 = 0.95;
/// Below this part of what so many connections are worth alone, something else is the limit.
const BOUND_ELSEWHERE: f64 = 0.6;
/// Ranges that are received one after the other hold half of their bytes on the average; more than this
/// part means that they wait.
const BEHIND: f64 = 0.75;
/// A window filled to this part is full, but for what is in motion.
const FULL: f64 = 0.9;
/// How long a settled number is left alone: at first, and at the longest.
const REST_MIN: Duration = Duration::from_secs(4);
const REST_MAX: Duration = Duration::from_mins(1);

/// The state of the search.
#[derive(Debug)]
pub(crate) struct ConcurrencyController {
    max: usize,
    /// The most that the first memory window is enough for. More are tried only after a rest, or where the rate is low.
    max_at_first: usize,
    /// The rate that is aimed at, in bytes a second, and whether the user wants no more.
    target: f64,
    is_limited: bool,
    /// The rate of one connection by itself, in bytes a second; 0 while that is not known.
    solo: f64,
    /// The rate of all connections in the last moments, in bytes a second, and since when it is measured.
    recent: f64,
    recent_since: SpeedMark,
    /// How many ranges to keep, where the others are to be cancelled.
    retreat: Option<usize>,
    chunk: f64,
    /// The size of the memory window at first, and at the most.
    window: f64,
    window_max: f64,
    connections: usize,
    latency: Duration,
    /// Rate of one connection, latency included, in bytes a second.
    worth: f64,
    /// Share of a request that is spent on receiving.
    receiving: f64,
    /// How long a request takes, from what the first one took.
    request: Duration,
    rest: Duration,
    phase: SearchPhase,
    /// How many threads fetch, and whether one of them has no time left.
    threads: usize,
    has_busy_thread: bool,
    /// Set once so many connections were tried that each thread has one.
    is_spread: bool,
}

#[derive(Debug, Clone, Copy)]
enum SearchPhase {
    /// One connection, from its first byte, and from the middle of the first look.
    First { began: Option<SpeedMark>, half: Option<SpeedMark> },
    /// More were requested: from when their responses begin it is measured whether they add to the rate.
    Trial { alone: SpeedMark, base: TrialBase, deadline: Duration, began: Option<SpeedMark>, judged: u32 },
    /// A number was set: measured from `from` on, which `began` notes once reached.
    Measure { step: Step, from: Duration, began: Option<SpeedMark> },
    /// Left alone until then.
    Settled { until: Duration },
}

/// The base that a trial is compared with: so many connections, and their common rate in bytes a second.
#[derive(Debug, Clone, Copy)]
struct TrialBase {
    connections: usize,
    rate: f64,
}

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
    /// Bytes that are still to be received.
    pub(crate) left: u64,
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
    /// One and a half for each thread, because a thread has no time left.
    Spread {
        before: usize,
        rate: f64,
    },
}

impl ConcurrencyController {
    /// Between one connection and `max`, each asking for about `chunk` bytes a request, whose bytes have to fit into
    /// `window`. `rate_limit` is the user's own, in bytes a second.
    pub(crate) fn new(
        max: usize,
        chunk: u64,
        (window, window_max): (u64, u64),
        rate_limit: Option<u64>,
    ) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "sizes, for an estimate")]
        let (chunk, window, window_max) = (chunk as f64, window as f64, window_max as f64);
        #[expect(clippy::cast_precision_loss, reason = "a rate, for an estimate")]
        let target =
            rate_limit.map_or(TARGET_BYTES_PER_SECOND, |rate| (rate as f64).min(TARGET_BYTES_PER_SECOND));
        Self {
            max: max.max(1),
            max_at_first: max.max(1),
            target,
            is_limited: rate_limit.is_some(),
            solo: 0.0,
            recent: 0.0,
            recent_since: SpeedMark::default(),
            retreat: None,
            chunk,
            window,
            window_max,
            connections: 1,
            latency: Duration::ZERO,
            worth: 0.0,
            receiving: 1.0,
            request: Duration::ZERO,
            rest: REST_MIN,
            phase: SearchPhase::First { began: None, half: None },
            threads: 1,
            has_busy_thread: false,
            is_spread: false,
        }
    }

    /// Notes how many threads fetch, and whether one of them has no time left. With another number of them, another number
    /// of connections may pay.
    pub(crate) fn set_threads(&mut self, threads: usize, has_busy_thread: bool) {
        if threads != self.threads {
            self.threads = threads;
            self.is_spread = false;
            self.rest = REST_MIN;
            if self.is_settled() {
                self.phase = SearchPhase::Settled { until: Duration::ZERO };
            }
        }
        self.has_busy_thread = has_busy_thread;
    }

    /// Returns how large the memory window must be for the connections that there are.
    pub(crate) fn window_bytes(&self) -> u64 {
        if self.solo <= 0.0 {
            return 0;
        }
        to_bytes(self.window_needed())
    }

    fn window_needed(&self) -> f64 {
        count(self.connections) * self.range_bytes() * self.receiving / WINDOWS
    }

    /// Returns how many connections busy threads need, so that none of them waits for bytes.
    fn for_threads(&self) -> usize {
        if self.threads > 1 { (self.threads + self.threads.div_ceil(2)).min(self.max) } else { 1 }
    }

    /// Notes how long the first response took to begin.
    pub(crate) fn first_response(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// Returns whether the number is being left alone: then it need not be observed often.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.phase, SearchPhase::Settled { .. })
    }

    /// Returns whether bytes must be counted as they arrive. Usually the kernel gathers 256 KiB, which take longer than a trial at
    /// 10 MiB/s: there five of six trials failed, and 512 MiB took 15 to 48 s instead of 2.3.
    pub(crate) fn needs_prompt_counts(&self) -> bool {
        match self.phase {
            SearchPhase::First { .. } | SearchPhase::Settled { .. } => false,
            SearchPhase::Trial { .. } => true,
            SearchPhase::Measure { .. } => self.solo < GATHERED_RATE_MIN,
        }
    }

    /// Returns how many ranges to keep where all others are to be cancelled; once.
    pub(crate) fn take_retreat(&mut self) -> Option<usize> {
        self.retreat.take()
    }

    /// Returns the largest range, the largest where few are fetched at the same time, and below how many bytes under way
    /// the next one is to be requested; all in bytes. `None` while nothing is known.
    pub(crate) fn sizes(&self) -> Option<(u64, u64, u64)> {
        if self.solo <= 0.0 {
            return None;
        }
        let large = (self.recent.max(self.solo) * LARGE_RANGE_SECONDS).max(RANGE_BYTES_MIN);
        let rate = self.recent.max(self.solo);
        let margin = (rate * JUST_IN_TIME.as_secs_f64()).min(JUST_IN_TIME_BYTES);
        let is_worth_it = self.latency >= JUST_IN_TIME_LATENCY_MIN;
        let ahead = if is_worth_it { rate * self.latency.as_secs_f64() + margin } else { 0.0 };
        Some((to_bytes(self.range_bytes()), to_bytes(large), to_bytes(ahead)))
    }

    /// The size of a range that suits the rate of one connection.
    fn range_bytes(&self) -> f64 {
        let seconds = (RANGE_LATENCIES * self.latency.as_secs_f64()).max(RANGE_SECONDS);
        (self.solo * seconds).max(RANGE_BYTES_MIN).min(self.chunk)
    }

    /// Returns how many connections there should be, the download being as far as `here` says.
    pub(crate) fn observe(&mut self, here: SpeedMark) -> usize {
        let now = here.at;
        if now >= self.recent_since.at + RATE_WINDOW {
            self.recent = self.recent_since.rate(here);
            self.recent_since = here;
        }
        match self.phase {
            SearchPhase::First { began: None, .. } if here.bytes > 0 => {
                self.phase = SearchPhase::First { began: Some(here), half: None };
            }
            SearchPhase::First { began: Some(began), half } => self.first(began, half, here),
            SearchPhase::Trial { .. } => self.trial(here),
            SearchPhase::Measure { step, from, began: None } if now >= from => {
                self.phase = SearchPhase::Measure { step, from, began: Some(here) };
            }
            SearchPhase::Measure { step, began: Some(began), .. }
                if now >= began.at + MEASURE.max(self.request) =>
            {
                self.judge(step, began.rate(here), here);
            }
            SearchPhase::Settled { .. }
                if self.has_busy_thread && !self.is_spread && self.connections < self.for_threads() =>
            {
                self.is_spread = true;
                let (before, rate) = (self.connections, self.recent);
                self.set(self.for_threads(), Step::Spread { before, rate }, now);
            }
            SearchPhase::Settled { until } if now >= until => self.set(self.connections, Step::START, now),
            _ => {}
        }
        self.connections
    }

    fn first(&mut self, began: SpeedMark, half: Option<SpeedMark>, here: SpeedMark) {
        let look = if self.latency > FIRST_LOOK { FIRST_LOOK_AFAR } else { FIRST_LOOK };
        let took = here.at.saturating_sub(began.at);
        let is_early = here.bytes - began.bytes >= FIRST_BYTES && took >= FIRST_LOOK_MIN;
        let Some(half) = half else {
            if took >= look / 2 || is_early {
                self.phase = SearchPhase::First { began: Some(began), half: Some(here) };
            }
            return;
        };
        let (took, got) = (here.at.saturating_sub(half.at), here.bytes - half.bytes);
        if took < look / 2 && !is_early || got == 0 {
            return;
        }
        if got < FIRST_HALF_BYTES_MIN && took < FIRST_LOOK_MAX {
            return;
        }
        let rate = half.rate(here);
        // At such a rate no burst is to be left out, and so short a time may be one in which another process ran.
        let is_fast = rate > NO_BURST_RATE;
        self.know(if is_fast { rate.max(began.rate(here)) } else { rate });
        let spread = if is_fast { self.for_threads() } else { 1 };
        let wanted = self.wanted();
        if spread > 1 {
            // A rate that only a thread limits, or a link that no connection of S3 fills: no trial of some milliseconds
            // could tell which.
            let rate = began.rate(here);
            let connections = wanted.min(self.max_at_first).max(spread);
            return self.set(connections, Step::Spread { before: 1, rate }, here.at);
        }
        if wanted <= FEW {
            // So short a look is no judge between one and a few: those are tried one by one.
            return self.set(1, Step::START, here.at);
        }
        if self.solo < TRIAL_RATE_MIN {
            return self.settle(here.at);
        }
        let base = TrialBase { connections: 1, rate: self.solo };
        self.connections = wanted.min(self.affordable(base.rate)).min(self.max_at_first);
        self.start_trial(half, base, here.at);
    }

    /// Returns how many connections would bring the rate that is aimed at.
    fn wanted(&self) -> usize {
        self.clamp((self.target / self.worth).ceil())
    }

    /// Returns how many connections may be tried where bytes come at `rate`.
    fn affordable(&self, rate: f64) -> usize {
        let for_latency = 1.0 + self.latency.as_secs_f64() / TRIAL_LATENCY.as_secs_f64();
        self.clamp(1.0 + rate / RATE_PER_TRIAL_CONNECTION * for_latency)
    }

    fn start_trial(&mut self, alone: SpeedMark, base: TrialBase, now: Duration) {
        let deadline = now + 2 * self.latency + TRIAL_WAIT;
        self.phase = SearchPhase::Trial { alone, base, deadline, began: None, judged: 0 };
    }

    /// Notes the rate of one connection by itself, and what follows from it.
    fn know(&mut self, solo: f64) {
        self.solo = solo;
        let chunk = self.range_bytes();
        let transfer = chunk / solo.max(1.0);
        let request = self.latency.as_secs_f64() + transfer;
        self.worth = chunk / request;
        self.request = Duration::from_secs_f64(request.min(REQUEST_MAX.as_secs_f64()));
        self.receiving = transfer / request;
        let fitting = |window: f64| WINDOWS * window / (chunk * self.receiving);
        self.max = self.clamp(fitting(self.window_max));
        self.max_at_first = self.clamp(fitting(self.window));
    }

    fn trial(&mut self, here: SpeedMark) {
        let SearchPhase::Trial { alone, base, deadline, began, judged } = self.phase else { return };
        let more = here.opened.saturating_sub(alone.opened);
        let Some(began) = began else {
            if base.connections == 1 && more == 0 && here.at > alone.at + FIRST_LOOK_MIN {
                // Still alone: the longer it is observed, the better its rate is known.
                self.solo = alone.rate(here);
            }
            let added = self.connections - base.connections.min(self.connections);
            if more * 2 >= added as u64 || here.at >= deadline {
                if base.connections == 1 {
                    self.know(self.solo);
                }
                self.phase = SearchPhase::Trial { alone, base, deadline, began: Some(here), judged };
            }
            return;
        };
        let least = Duration::from_secs_f64((TRIAL_BYTES / self.solo.max(1.0)).min(1.0)).max(TRIAL);
        if here.at < began.at + least {
            return;
        }
        let rate = began.rate(here);
        let active = count(usize::try_from(began.opened.saturating_sub(alone.opened)).unwrap_or(usize::MAX));
        let base_rate = if base.connections == 1 { self.solo } else { base.rate };
        let beyond = if base.connections == 1 { FAR_BEYOND_ONE } else { FAR_BEYOND_SOME };
        if rate >= (base_rate + PAYS * active * self.worth).min(base_rate * beyond) {
            let base = TrialBase { connections: self.connections, rate };
            let further = self.wanted().min(self.affordable(rate));
            if further >= 2 * self.connections && self.solo < FURTHER_TRIAL_RATE_MAX {
                // Each is slow, and all of them bring what they should: no step by step.
                self.connections = further;
                return self.start_trial(here, base, here.at);
            }
            return self.set(self.connections, Step::START, here.at);
        }
        if judged == 0 && self.solo > TRIAL_AGAIN_RATE || base.connections > 1 && judged < TRIALS_AGAIN {
            self.phase = SearchPhase::Trial { alone, base, deadline, began: Some(here), judged: judged + 1 };
            return;
        }
        let noise = if self.solo > TRIAL_AGAIN_RATE { TRIAL_NOISE_FAST } else { TRIAL_NOISE_SLOW };
        self.connections = self.clamp((rate / self.solo - noise).ceil());
        self.retreat_to(self.connections, rate, here);
        if self.connections == 1 {
            self.settle(here.at);
        } else {
            self.set(self.connections, Step::START, here.at);
        }
    }

    /// Has all but `keep` ranges cancelled, unless what is `left` is here so soon that the reader would not notice.
    #[expect(clippy::cast_precision_loss, reason = "a size, for an estimate")]
    fn retreat_to(&mut self, keep: usize, rate: f64, here: SpeedMark) {
        if here.left as f64 > rate * RETREAT_WORTH_SECONDS {
            self.retreat = Some(keep);
        }
    }

    fn judge(&mut self, step: Step, rate: f64, here: SpeedMark) {
        let now = here.at;
        match step {
            Step::Up { before, rate: was } if rate < was * self.least_growth(before) => {
                self.connections = before;
                self.retreat_to(before, rate, here);
                self.settle(now);
            }
            Step::Spread { before, rate: was } if rate < was * PAYS_SPREAD => {
                self.connections = before;
                self.settle(now);
            }
            Step::Down { before, best } if rate < best * SUFFICES => {
                let fewer = count(self.connections);
                let grew = best / rate.max(1.0) - 1.0;
                let is_worth_all = grew >= PAYS_FULLY * (count(before) / fewer - 1.0);
                self.connections = before;
                if is_worth_all {
                    // Each connection is worth as much as the others, only less than the first look showed.
                    self.know(rate / fewer);
                    self.up(best, now);
                } else {
                    self.settle(now);
                }
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
            Step::Stay { .. } | Step::Up { .. } | Step::Spread { .. } if self.consumer_is_behind(here) => {
                self.settle(here.at);
            }
            Step::Stay { .. } | Step::Up { .. } | Step::Spread { .. } => self.up(rate, now),
        }
    }

    fn up(&mut self, rate: f64, now: Duration) {
        let before = self.connections;
        let factor = if before <= DOUBLED_MAX { 2.0 } else { 1.5 };
        let more = self.clamp((count(before) * factor).ceil());
        let is_fast = self.solo >= FURTHER_TRIAL_RATE_MAX;
        let more =
            if is_fast && self.rest == REST_MIN { more.min(self.max_at_first.max(before)) } else { more };
        if more == before || self.is_limited && rate >= SUFFICES * self.target {
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

    /// Returns whether more waits for the consumer than the order of ranges alone explains: then it is the limit,
    /// and more connections would only fill memory.
    #[expect(clippy::cast_precision_loss, reason = "for an estimate")]
    fn consumer_is_behind(&self, here: SpeedMark) -> bool {
        // Where few connections sufficed a moment ago, ranges are larger.
        let large = self.recent.max(self.solo) * LARGE_RANGE_SECONDS;
        let range = if self.connections <= 2 * FEW { self.chunk.max(large) } else { self.chunk };
        let in_order = BEHIND * range * self.receiving * count(self.connections);
        let window = self.window_needed().max(self.window).min(self.window_max);
        here.held as f64 > in_order.min(FULL * window)
    }

    /// By which factor the rate must have grown since there were `before` connections.
    fn least_growth(&self, before: usize) -> f64 {
        let is_cheap = before == 1 && self.solo < PAYS_SECOND_RATE_MAX;
        if is_cheap { PAYS_SECOND } else { 1.0 + PAYS * self.growth(before) }
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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is no less than 0"
)]
fn to_bytes(bytes: f64) -> u64 {
    bytes as u64
}

#[expect(clippy::cast_precision_loss, reason = "a number of connections")]
fn count(connections: usize) -> f64 {
    connections as f64
}

#[cfg(test)]
mod tests;
