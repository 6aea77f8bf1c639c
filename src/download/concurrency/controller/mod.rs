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
mod first_trial;
mod next_object;
pub(crate) mod speed;
mod step;
mod stragglers;
mod thread_spread;
mod trial;
mod window_share;

use std::time::Duration;

use crate::download::concurrency::controller::estimate::{
    ConnectionEstimate, ONE_BY_ONE_MAX, RangeSizes, to_bytes, to_f64,
};
use crate::download::concurrency::controller::first_look::{FirstLook, FirstRate};
use crate::download::concurrency::controller::first_trial::{
    FIRST_TRIAL_CONNECTIONS, FirstTrial, may_be_slow,
};
use crate::download::concurrency::controller::next_object::NextObjectTiming;
use crate::download::concurrency::controller::speed::{MIB, RecentRate, SpeedMark};
use crate::download::concurrency::controller::step::{SUFFICIENT_SHARE, Step, StepVerdict};
use crate::download::concurrency::controller::thread_spread::ThreadSpread;
use crate::download::concurrency::controller::trial::{Trial, TrialBase, TrialProgress, affordable};
use crate::download::concurrency::controller::window_share::WindowShare;
use crate::download::concurrency::trial_backoff::TrialBackoff;

/// The rate that the first guess aims at, in bytes a second: 16 Gbit/s. A faster link shows by growth that pays.
const TARGET_BYTES_PER_SECOND: f64 = 2000.0 * MIB;
/// The rate of the first connection, in bytes a second, below which no others are tried at the start: a trial would hold
/// up the reader for a noticeable time.
const TRIAL_RATE_MIN: f64 = 1.0 * MIB;
/// Rate of one connection, in bytes a second, from which on gathered bytes are prompt enough for a measurement.
const GATHERED_RATE_MIN: f64 = 16.0 * MIB;
/// Time that new connections need, beyond the latency, to run at their rate.
const RUN_UP_TIME: Duration = Duration::from_millis(10);
/// Ranges are cancelled only where the download will take at least so long.
const RETREAT_WORTH_SECONDS: f64 = 1.0;
/// Up to so many connections, a step doubles them.
const DOUBLED_MAX: usize = 16;

/// The state of the search.
#[derive(Debug)]
pub(crate) struct ConcurrencyController {
    /// The rate that is aimed at, in bytes a second, and whether the user wants no more.
    target: f64,
    is_limited: bool,
    estimate: ConnectionEstimate,
    share: WindowShare,
    recent: RecentRate,
    next_object: NextObjectTiming,
    connections: usize,
    phase: SearchPhase,
    /// How long the next number that settles is left alone.
    backoff: TrialBackoff,
    /// How many ranges to keep, where the others are to be cancelled.
    retreat: Option<usize>,
    spread: ThreadSpread,
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
            next_object: NextObjectTiming::default(),
            connections: 1,
            phase: SearchPhase::First(FirstLook::default()),
            backoff: TrialBackoff::default(),
            retreat: None,
            spread: ThreadSpread::default(),
            overtaken: 0,
        }
    }

    /// Notes how many threads fetch, and whether one of them has no time left. With another number of them, another number
    /// of connections may pay.
    pub(crate) fn set_threads(&mut self, threads: usize, has_busy_thread: bool) {
        if !self.spread.set(threads, has_busy_thread) {
            return;
        }
        self.backoff = TrialBackoff::default();
        if self.is_settled() {
            self.phase = SearchPhase::Settled { until: Duration::ZERO };
        }
    }

    /// Notes how many late ranges a second request has overtaken so far.
    pub(crate) fn set_overtaken(&mut self, overtaken: u64) {
        self.overtaken = overtaken;
    }

    /// Notes how long the first response took to begin.
    pub(crate) fn first_response(&mut self, latency: Duration) {
        self.estimate.latency = latency;
        self.next_object = NextObjectTiming::new(latency);
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
    pub(crate) fn take_retreat_decision(&mut self) -> Option<usize> {
        self.retreat.take()
    }

    /// Returns the sizes of the next ranges; `None` while nothing is known.
    pub(crate) fn sizes(&self) -> Option<RangeSizes> {
        self.estimate.sizes(self.recent.bytes_per_second())
    }

    /// Returns below how many bytes that are still to be received the next object is to be requested.
    pub(crate) fn next_object_bytes(&self) -> u64 {
        self.next_object.bytes_before(self.estimate.latency)
    }

    /// Returns how many connections there should be, the download being as far as `here` says.
    pub(crate) fn observe(&mut self, here: SpeedMark) -> usize {
        let now = here.at;
        self.recent.observe(here);
        self.next_object.observe(here);
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
                if now >= began.at + self.estimate.measure_time(self.connections) =>
            {
                self.end_step(step, began.rate(here), here);
            }
            SearchPhase::Settled { until } => {
                let (before, rate) = (self.connections, self.recent.bytes_per_second());
                if let Some(wanted) = self.spread.take_untried(before, self.share.connections_max) {
                    self.set(wanted, Step::Spread { before, rate }, now);
                } else if now >= until {
                    self.set(before, Step::START, now);
                }
            }
            SearchPhase::Measure { .. } => {}
        }
        self.connections
    }

    fn leave_first_look(&mut self, first: FirstRate, here: SpeedMark) {
        let now = here.at;
        self.set_solo_rate(first.rate);
        let spread = if first.is_fast { self.spread.connections(self.share.connections_max) } else { 1 };
        let wanted = self.wanted();
        if spread > 1 {
            // Either a thread limits the rate, or a link that no connection of S3 fills: no trial of some milliseconds
            // could show which.
            let connections = wanted.min(self.share.connections_max_at_first).max(spread);
            return self.set(connections, Step::Spread { before: 1, rate: first.whole_rate }, now);
        }
        if wanted <= ONE_BY_ONE_MAX {
            // So short a look cannot decide between one and a few: those are tried one by one.
            return self.set(1, Step::START, now);
        }
        if first.rate < TRIAL_RATE_MIN {
            return self.settle(now);
        }
        let latency = self.estimate.latency;
        let most = wanted.min(self.affordable(first.rate)).min(self.share.connections_max_at_first);
        let FirstTrial { connections, others } = FirstTrial::new(&first, latency, most);
        let base = TrialBase { connections: 1, rate: first.rate };
        self.connections = connections;
        self.phase = SearchPhase::Trial {
            trial: Trial::new(connections, first.since, base, latency, here),
            others: others.map(|(later, most)| (now + later, most)),
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
                    && trial
                        .rate_alone(here)
                        .is_some_and(|rate| may_be_slow(rate, self.estimate.latency)) =>
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
            TrialProgress::Passed { rate } => return self.pass_trial(&trial, rate, here),
            TrialProgress::Failed { rate, useful } => {
                self.connections = self.share.clamp(useful.ceil());
                self.decide_retreat(self.connections, rate, here);
                return if self.connections == 1 {
                    self.settle(here.at);
                } else {
                    self.set(self.connections, Step::START, here.at);
                };
            }
        }
        self.phase = SearchPhase::Trial { trial, others };
    }

    fn pass_trial(&mut self, trial: &Trial, rate: f64, here: SpeedMark) {
        let tried = trial.connections;
        let may_be_slow = may_be_slow(self.estimate.solo_rate, self.estimate.latency);
        let solo_rate = self.estimate.solo_rate;
        if let Some(each) = stragglers::rate_beside_straggler(tried, rate, solo_rate, here) {
            self.set_solo_rate(self.estimate.without_latency(each));
        }
        let further = self
            .wanted()
            .min(self.affordable(rate))
            .min(self.share.most(self.estimate.solo_rate, &self.backoff))
            .min(trial::most_after(tried, self.estimate.solo_rate))
            .max(self.connections);
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

    fn end_step(&mut self, step: Step, rate: f64, here: SpeedMark) {
        let (now, connections, recent) = (here.at, self.connections, self.recent.bytes_per_second());
        let is_behind = self.share.is_consumer_behind(here.held, connections, recent, &self.estimate);
        let has_stragglers = stragglers::explain_low_rate(self.overtaken, here.opened);
        let has_late = stragglers::are_connecting(connections, here);
        match step.judge(rate, connections, &self.estimate) {
            StepVerdict::TakeBack { before, cancels } => {
                self.connections = before;
                if cancels {
                    self.decide_retreat(before, rate, here);
                }
                self.settle(now);
            }
            StepVerdict::EachCounts { before, best, solo_rate } => {
                self.connections = before;
                self.set_solo_rate(solo_rate);
                self.step_up(best, now);
            }
            StepVerdict::MeasureAgain(step) => self.set(connections, step, now),
            StepVerdict::TryFewer { .. } if has_stragglers => self.settle(now),
            StepVerdict::TryFewer { .. } if has_late => self.set(connections, Step::START, now),
            StepVerdict::TryFewer { best } => self.step_down(rate, best, now),
            StepVerdict::TryMore if is_behind => self.settle(now),
            StepVerdict::TryMore => self.step_up(rate, now),
        }
    }

    fn step_up(&mut self, rate: f64, now: Duration) {
        let before = self.connections;
        let factor = if before <= DOUBLED_MAX { 2.0 } else { 1.5 };
        let more = self.share.clamp((to_f64(before) * factor).ceil());
        let more = more.min(self.share.most(self.estimate.solo_rate, &self.backoff).max(before));
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
        let run_up = self.estimate.latency + RUN_UP_TIME + self.estimate.measure_time(self.connections);
        let run_up = if changed { run_up } else { Duration::ZERO };
        self.phase = SearchPhase::Measure { step, from: now + run_up, began: None };
    }

    fn settle(&mut self, now: Duration) {
        self.phase = SearchPhase::Settled { until: now + self.backoff.take() };
    }

    /// Decides that all but `keep` ranges be cancelled, unless the rest arrives so soon that the reader would not notice.
    #[expect(clippy::cast_precision_loss, reason = "a size, for an estimate")]
    fn decide_retreat(&mut self, keep: usize, rate: f64, here: SpeedMark) {
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
}

#[cfg(test)]
mod tests;
