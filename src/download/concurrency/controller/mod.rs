//! How many connections a download needs: found from what it achieves. Pure: it reads no clock and touches no socket.
//!
//! S3 gives a connection some 90 MB/s, whatever the link, so a fat link needs many; on a slow link, behind a slow reader
//! or beside a saturated processor one is enough, and every further one takes bandwidth from the bytes that are next.
//! The first connection alone shows what one is worth: its rate, and the latency that each request costs. From that
//! follows how many would make a fast download. They are requested immediately, because that costs nothing until their
//! bytes arrive; then a trial of a few milliseconds shows whether they add to the rate. If they only share it, all but
//! the useful ones are cancelled. Later a step is kept only where it pays, and one that did not pay is not tried again
//! soon, so that on a steady link the number settles.

mod estimate;
mod first_look;
pub(crate) mod speed;
mod step;
mod trial;
mod window_share;

use std::time::Duration;

use crate::download::concurrency::controller::estimate::{ConnectionEstimate, RangeSizes, to_bytes, to_f64};
use crate::download::concurrency::controller::first_look::{FirstLook, FirstRate};
use crate::download::concurrency::controller::speed::{MIB, RecentRate, SpeedMark};
use crate::download::concurrency::controller::step::{SUFFICIENT_SHARE, Step, StepVerdict};
use crate::download::concurrency::controller::trial::{Trial, TrialBase, TrialProgress, affordable};
use crate::download::concurrency::controller::window_share::WindowShare;

/// The rate that the first guess aims at, in bytes a second: 16 Gbit/s. A faster link shows by growth that pays.
const TARGET_BYTES_PER_SECOND: f64 = 2000.0 * MIB;
/// The rate of the first connection, in bytes a second, below which no others are tried at the start: a trial would hold
/// up the reader for a noticeable time.
const TRIAL_RATE_MIN: f64 = 1.0 * MIB;
/// The rate of one connection, in bytes a second, below which it may be the link that is slow: a first trial is one of few
/// connections, and where it passed, one of as many as its rate affords follows immediately. S3 gives 85 MiB/s and more.
const SLOW_LINK_RATE_MAX: f64 = 64.0 * MIB;
/// In a trial that passed each connection brings so many times the rate of the first one: that one was a straggler. With its
/// 2 MiB/s taken for what one is worth, 1 GiB was cut into 1900 ranges over up to 326 connections, and took 2.2 to 3.0 s and not
/// 0.7.
const STRAGGLER_FACTOR: f64 = 2.0;
/// One straggler in so many responses makes a rate low. With one in 8, 35 connections brought less than 0.6 of what they should
/// in every second run; half as many were tried, and 1 GiB took 1.4 s and not 1.05.
const STRAGGLER_RESPONSES_MAX: u64 = 40;
/// A rate below this part of that with the first bytes is falling, because a burst of a slow link is about to end.
const BURST_SHARE: f64 = 0.7;
/// Connections in a first trial on what may be a slow link. Of 15 to 45, on links of 100 and 300 Mbit/s, all but one were closed.
const FIRST_TRIAL_CONNECTIONS: usize = 4;
/// From this latency on, waiting for the end of a trial of few would cost too much (1.14x the time of 512 MiB at 120 ms and
/// 40 MiB/s a connection): the other requests leave so much later than those of the trial that their responses come when it was
/// judged. Where it failed, they are cancelled before they bring a byte. Eighty that responded at the same time overflowed the
/// queue of a link of 1 Gbit/s, and left the reader 0.2 of curl's bytes after 0.5 s and 0.1 after 2 s.
const AFAR_LATENCY_MIN: Duration = Duration::from_millis(50);
/// The rate of one connection, in bytes a second, from which on more than the first memory window is enough for are tried only
/// after a rest: so many cost memory and processor time, and a download that ends soon gains little.
const WINDOW_BOUND_RATE_MIN: f64 = 16.0 * MIB;
/// Rate of one connection, in bytes a second, from which on gathered bytes are prompt enough for a measurement.
const GATHERED_RATE_MIN: f64 = 16.0 * MIB;
/// Up to this many connections, the first look may be wrong, and they are tried one by one.
const FEW_CONNECTIONS: usize = 3;
/// How long a number of connections is measured at least. Many are measured for as long as a request takes: few have no gaps
/// between requests.
const MEASURE_TIME: Duration = Duration::from_millis(60);
/// Time that new connections need, beyond the latency, to run at their rate.
const RUN_UP_TIME: Duration = Duration::from_millis(10);
/// Ranges are cancelled only where the download will take at least so long.
const RETREAT_WORTH_SECONDS: f64 = 1.0;
/// How long before the end of what is under way the next object is requested, beyond the latency, at least.
const NEXT_OBJECT_TIME_MIN: Duration = Duration::from_millis(30);
/// The rate that this follows from is averaged over the latency, within these limits.
const LATEST_TIME_MIN: Duration = Duration::from_millis(10);
const LATEST_TIME_MAX: Duration = Duration::from_millis(100);
/// Up to so many connections, a step doubles them.
const DOUBLED_MAX: usize = 16;
/// How long a settled number is left alone: at first, and at the longest.
const REST_MIN: Duration = Duration::from_secs(4);
const REST_MAX: Duration = Duration::from_mins(1);

/// The state of the search.
#[derive(Debug)]
pub(crate) struct ConcurrencyController {
    /// The rate that is aimed at, in bytes a second, and whether the user wants no more.
    target: f64,
    is_limited: bool,
    estimate: ConnectionEstimate,
    share: WindowShare,
    recent: RecentRate,
    /// The rate of the last latency.
    latest: RecentRate,
    connections: usize,
    phase: SearchPhase,
    /// How long the next number that settles is left alone.
    rest: Duration,
    /// How many ranges to keep, where the others are to be cancelled.
    retreat: Option<usize>,
    /// How many threads fetch, and whether one of them has no time left.
    threads: usize,
    has_busy_thread: bool,
    /// Set once so many connections were tried that each thread has one.
    is_spread: bool,
    /// How many late ranges a second request has overtaken.
    overtaken: u64,
}

#[derive(Debug, Clone, Copy)]
enum SearchPhase {
    First(FirstLook),
    /// Some are tried; those that are wanted if they pass are requested from that moment on, without waiting for the verdict.
    Trial {
        trial: Trial,
        others: Option<(Duration, usize)>,
    },
    /// A number was set, and is measured from `from` on; `began` is that moment, once reached.
    Measure {
        step: Step,
        from: Duration,
        began: Option<SpeedMark>,
    },
    /// The number is left alone until then.
    Settled {
        until: Duration,
    },
}

impl ConcurrencyController {
    /// Creates a search between one connection and `max`, each asking for about `chunk` bytes a request, all of which
    /// have to fit into `window`. `rate_limit` is the user's own, in bytes a second.
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
            target,
            is_limited: rate_limit.is_some(),
            estimate: ConnectionEstimate::new(chunk),
            share: WindowShare::new(window, window_max, max),
            recent: RecentRate::default(),
            latest: RecentRate::default(),
            connections: 1,
            phase: SearchPhase::First(FirstLook::default()),
            rest: REST_MIN,
            retreat: None,
            threads: 1,
            has_busy_thread: false,
            is_spread: false,
            overtaken: 0,
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

    /// Notes how many late ranges a second request has overtaken so far.
    pub(crate) fn set_overtaken(&mut self, overtaken: u64) {
        self.overtaken = overtaken;
    }

    /// Notes how long the first response took to begin.
    pub(crate) fn first_response(&mut self, latency: Duration) {
        self.estimate.latency = latency;
        self.latest = RecentRate::over(latency.clamp(LATEST_TIME_MIN, LATEST_TIME_MAX));
    }

    /// Returns how large the memory window must be for the connections that there are.
    pub(crate) fn window_bytes(&self) -> u64 {
        if !self.estimate.is_known() {
            return 0;
        }
        to_bytes(window_share::needed(self.connections, &self.estimate))
    }

    /// Returns whether the number is being left alone: then it need not be observed often.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.phase, SearchPhase::Settled { .. })
    }

    /// Returns whether bytes must be counted as they arrive. Usually the kernel gathers 256 KiB, which take longer than a trial at
    /// 10 MiB/s: there five of six trials failed, and 512 MiB took 15 to 48 s instead of 2.3.
    pub(crate) fn needs_prompt_counts(&self) -> bool {
        match self.phase {
            SearchPhase::First(_) | SearchPhase::Settled { .. } => false,
            SearchPhase::Trial { .. } => true,
            SearchPhase::Measure { .. } => self.estimate.solo_rate < GATHERED_RATE_MIN,
        }
    }

    /// Returns how many ranges to keep where all others are to be cancelled; once.
    pub(crate) fn take_retreat(&mut self) -> Option<usize> {
        self.retreat.take()
    }

    /// Returns the sizes of the next ranges; `None` while nothing is known.
    pub(crate) fn sizes(&self) -> Option<RangeSizes> {
        self.estimate.sizes(self.recent.bytes_per_second())
    }

    /// Returns below how many bytes that are still to be received the next object is to be requested, so that it arrives when
    /// they end: those of the latency, and as many again, so that there are more and more of them in time while small objects
    /// leave most of the link unused. On a full link it is no more than that holds up the front range for so long.
    pub(crate) fn next_object_bytes(&self) -> u64 {
        let time = self.estimate.latency + self.estimate.latency.max(NEXT_OBJECT_TIME_MIN);
        to_bytes(self.latest.bytes_per_second() * time.as_secs_f64())
    }

    /// Returns how many connections there should be, the download being as far as `here` says.
    pub(crate) fn observe(&mut self, here: SpeedMark) -> usize {
        let now = here.at;
        self.recent.observe(here);
        self.latest.observe(here);
        match self.phase {
            SearchPhase::First(mut look) => {
                let first = look.observe(here, self.estimate.latency);
                self.phase = SearchPhase::First(look);
                if let Some(first) = first {
                    self.leave_first_look(first, here);
                }
            }
            SearchPhase::Trial { trial, others } => self.observe_trial(trial, others, here),
            SearchPhase::Measure { step, from, began: None } if now >= from => {
                self.phase = SearchPhase::Measure { step, from, began: Some(here) };
            }
            SearchPhase::Measure { step, began: Some(began), .. }
                if now >= began.at + self.measure_time() =>
            {
                self.end_step(step, began.rate(here), here);
            }
            SearchPhase::Settled { .. }
                if self.has_busy_thread && !self.is_spread && self.connections < self.for_threads() =>
            {
                self.is_spread = true;
                let (before, rate) = (self.connections, self.recent.bytes_per_second());
                self.set(self.for_threads(), Step::Spread { before, rate }, now);
            }
            SearchPhase::Settled { until } if now >= until => self.set(self.connections, Step::START, now),
            SearchPhase::Measure { .. } | SearchPhase::Settled { .. } => {}
        }
        self.connections
    }

    fn leave_first_look(&mut self, first: FirstRate, here: SpeedMark) {
        let now = here.at;
        self.set_solo_rate(first.rate);
        let spread = if first.is_fast { self.for_threads() } else { 1 };
        let wanted = self.wanted();
        if spread > 1 {
            // Either a thread limits the rate, or a link that no connection of S3 fills: no trial of some milliseconds
            // could show which.
            let connections = wanted.min(self.share.connections_max_at_first).max(spread);
            return self.set(connections, Step::Spread { before: 1, rate: first.whole_rate }, now);
        }
        if wanted <= FEW_CONNECTIONS {
            // So short a look cannot decide between one and a few: those are tried one by one.
            return self.set(1, Step::START, now);
        }
        if first.rate < TRIAL_RATE_MIN {
            return self.settle(now);
        }
        let base = TrialBase { connections: 1, rate: first.rate };
        let is_falling = first.rate < BURST_SHARE * first.whole_rate;
        let most = wanted.min(self.affordable(first.rate)).min(self.share.connections_max_at_first);
        let is_few = is_falling || self.may_be_slow(first.rate);
        self.connections = if is_few { most.min(FIRST_TRIAL_CONNECTIONS) } else { most };
        let latency = self.estimate.latency;
        let in_advance = self.connections < most && latency >= AFAR_LATENCY_MIN;
        let others = in_advance.then(|| (now + Trial::time_to_judge(first.rate), most));
        self.phase = SearchPhase::Trial {
            trial: Trial::new(self.connections, first.since, base, latency, here),
            others,
        };
    }

    fn observe_trial(&mut self, mut trial: Trial, mut others: Option<(Duration, usize)>, here: SpeedMark) {
        let progress = trial.observe(here, &mut self.estimate);
        match progress {
            TrialProgress::ResponsesBegan if trial.is_against_one() => {
                self.set_solo_rate(self.estimate.solo_rate);
            }
            TrialProgress::Pending
                if trial.connections > FIRST_TRIAL_CONNECTIONS
                    && trial.rate_alone(here).is_some_and(|rate| self.may_be_slow(rate)) =>
            {
                // It was the burst of a slow link, and the other responses have not begun.
                trial.connections = FIRST_TRIAL_CONNECTIONS;
                self.connections = FIRST_TRIAL_CONNECTIONS;
                self.retreat = Some(self.connections);
            }
            TrialProgress::Pending => {
                if let Some((_, connections)) = others.take_if(|(from, _)| here.at >= *from) {
                    self.connections = connections.min(self.affordable(self.estimate.solo_rate));
                }
            }
            TrialProgress::JudgedAgain if self.connections > trial.connections => {
                self.connections = trial.connections;
                self.retreat = Some(self.connections);
            }
            TrialProgress::ResponsesBegan | TrialProgress::JudgedAgain => {}
            TrialProgress::Passed { rate } => return self.pass_trial(trial, rate, here),
            TrialProgress::Failed { rate, useful } => {
                self.connections = self.share.clamp(useful.ceil());
                self.retreat_to(self.connections, rate, here);
                return if self.connections == 1 {
                    self.settle(here.at);
                } else {
                    self.set(self.connections, Step::START, here.at);
                };
            }
        }
        self.phase = SearchPhase::Trial { trial, others };
    }

    fn pass_trial(&mut self, trial: Trial, rate: f64, here: SpeedMark) {
        let tried = trial.connections;
        let may_be_slow = self.may_be_slow(self.estimate.solo_rate);
        self.correct_solo_rate(trial, rate, here);
        let further = self.wanted().min(self.affordable(rate)).min(self.most_now()).max(self.connections);
        if further >= 2 * tried && may_be_slow {
            // All of them bring what they should: going step by step would take too long.
            let base = TrialBase { connections: tried, rate };
            self.connections = further;
            let trial = Trial::new(further, here, base, self.estimate.latency, here);
            self.phase = SearchPhase::Trial { trial, others: None };
        } else {
            self.set(self.connections, Step::START, here.at);
        }
    }

    /// Takes the rate of the others for that of one connection, where the first one turns out to be a straggler.
    fn correct_solo_rate(&mut self, trial: Trial, rate: f64, here: SpeedMark) {
        let active = usize::try_from(here.opened.saturating_sub(here.ended)).unwrap_or(usize::MAX);
        let others = trial.connections.max(active).saturating_sub(1).max(1);
        let each = (rate - self.estimate.solo_rate) / to_f64(others);
        if each > STRAGGLER_FACTOR * self.estimate.solo_rate {
            self.set_solo_rate(self.estimate.without_latency(each));
        }
    }

    fn end_step(&mut self, step: Step, rate: f64, here: SpeedMark) {
        let now = here.at;
        match step.judge(rate, self.connections, &self.estimate) {
            StepVerdict::TakeBack { before, cancels } => {
                self.connections = before;
                if cancels {
                    self.retreat_to(before, rate, here);
                }
                self.settle(now);
            }
            StepVerdict::EachCounts { before, best, solo_rate } => {
                self.connections = before;
                self.set_solo_rate(solo_rate);
                self.step_up(best, now);
            }
            StepVerdict::MeasureAgain(step) => self.set(self.connections, step, now),
            StepVerdict::TryFewer { .. } if self.has_stragglers(here.opened) => self.settle(now),
            StepVerdict::TryFewer { best } => self.step_down(rate, best, now),
            StepVerdict::TryMore if self.is_consumer_behind(here.held) => self.settle(now),
            StepVerdict::TryMore => self.step_up(rate, now),
        }
    }

    fn step_up(&mut self, rate: f64, now: Duration) {
        let before = self.connections;
        let factor = if before <= DOUBLED_MAX { 2.0 } else { 1.5 };
        let more = self.share.clamp((to_f64(before) * factor).ceil());
        let more = more.min(self.most_now().max(before));
        if more == before || self.is_limited && rate >= SUFFICIENT_SHARE * self.target {
            return self.settle(now);
        }
        self.set(more, Step::Up { before, rate }, now);
    }

    /// Tries as many as would bring this rate if each were worth what the first one was, or half.
    fn step_down(&mut self, rate: f64, best: f64, now: Duration) {
        let before = self.connections;
        let fewer = self.share.clamp((rate / self.estimate.sustained_rate).round()).max(before / 2).max(1);
        if fewer >= before {
            return self.settle(now);
        }
        self.set(fewer, Step::Down { before, best }, now);
    }

    fn set(&mut self, connections: usize, step: Step, now: Duration) {
        let changed = connections != self.connections;
        self.connections = connections;
        // The first chunks of new connections may be small ones, each with its latency.
        let run_up = self.estimate.latency + RUN_UP_TIME + self.measure_time();
        let run_up = if changed { run_up } else { Duration::ZERO };
        self.phase = SearchPhase::Measure { step, from: now + run_up, began: None };
    }

    fn settle(&mut self, now: Duration) {
        self.phase = SearchPhase::Settled { until: now + self.rest };
        self.rest = (self.rest * 2).min(REST_MAX);
    }

    /// Has all but `keep` ranges cancelled, unless the rest arrives so soon that the reader would not notice.
    #[expect(clippy::cast_precision_loss, reason = "a size, for an estimate")]
    fn retreat_to(&mut self, keep: usize, rate: f64, here: SpeedMark) {
        if here.left as f64 > rate * RETREAT_WORTH_SECONDS {
            self.retreat = Some(keep);
        }
    }

    /// Notes the rate of one connection by itself, and what follows from it.
    fn set_solo_rate(&mut self, solo_rate: f64) {
        self.estimate.set_solo_rate(solo_rate);
        self.share.fit(&self.estimate);
    }

    /// Returns how many connections would bring the rate that is aimed at.
    fn wanted(&self) -> usize {
        self.share.clamp((self.target / self.estimate.sustained_rate).ceil())
    }

    /// Returns how many connections may be tried where bytes come at `rate`.
    fn affordable(&self, rate: f64) -> usize {
        self.share.clamp(affordable(rate, self.estimate.latency))
    }

    /// Returns whether a link may be slow where one connection brings `rate`, so that a trial of few connections is cheaper.
    fn may_be_slow(&self, rate: f64) -> bool {
        rate < SLOW_LINK_RATE_MAX || self.estimate.latency >= AFAR_LATENCY_MIN
    }

    /// Returns how many connections may be tried before the first rest.
    fn most_now(&self) -> usize {
        if self.estimate.solo_rate >= WINDOW_BOUND_RATE_MIN && self.rest == REST_MIN {
            self.share.connections_max_at_first
        } else {
            self.share.connections_max
        }
    }

    /// Returns how long a number of connections is measured.
    fn measure_time(&self) -> Duration {
        if self.connections <= FEW_CONNECTIONS {
            self.estimate.settling_time()
        } else {
            self.estimate.request_time
        }
        .max(MEASURE_TIME)
    }

    /// Returns how many connections busy threads need, so that none of them waits for bytes.
    fn for_threads(&self) -> usize {
        if self.threads > 1 {
            (self.threads + self.threads.div_ceil(2)).min(self.share.connections_max)
        } else {
            1
        }
    }

    /// Returns whether so many of the responses were late that waiting for them explains a low rate: fewer connections would bring
    /// less.
    fn has_stragglers(&self, responses: u64) -> bool {
        self.overtaken * STRAGGLER_RESPONSES_MAX >= responses.max(1)
    }

    fn is_consumer_behind(&self, held: u64) -> bool {
        // Where few connections sufficed a moment ago, ranges are larger.
        let range_bytes = if self.connections <= 2 * FEW_CONNECTIONS {
            self.estimate.large_range_bytes(self.recent.bytes_per_second())
        } else {
            self.estimate.range_bytes_max
        };
        self.share.is_consumer_behind(held, self.connections, range_bytes, &self.estimate)
    }
}

#[cfg(test)]
mod tests;
