//! A trial: more connections were requested, and some milliseconds show whether they add to the rate or only share it.

use std::time::Duration;

use crate::download::concurrency::controller::estimate::{ConnectionEstimate, to_f64};
use crate::download::concurrency::controller::first_look::LOOK_TIME_MIN;
use crate::download::concurrency::controller::speed::{MIB, SpeedMark};
use crate::download::concurrency::controller::step::GAIN_MIN;

/// One more connection is tried for each so many bytes a second of the first one's rate: a TLS handshake and the first
/// packets of a response take some 10 KB of the link. After a long latency more of them are needed, and affordable.
const RATE_PER_CONNECTION: f64 = 1.0 * MIB;
const AFFORDABLE_LATENCY: Duration = Duration::from_millis(100);
/// How long a trial lasts from the first responses on, at least, and how many bytes of one connection it sees at least.
const TRIAL_TIME: Duration = Duration::from_millis(15);
const TRIAL_BYTES: f64 = 96.0 * 1024.0;
/// A trial of which less than half of the responses come is judged after this time and twice the latency.
const RESPONSE_TIME_MAX: Duration = Duration::from_millis(100);
/// A trial of which no response comes is judged after so much more. Until then it has shown nothing: on a slow link whose
/// queue is full (16 Mbit/s, 25 ms) first responses take 180 to 370 ms, and a third of such trials passed by chance.
const SILENCE_TIME_MAX: Duration = Duration::from_secs(1);
/// A trial at a lower rate, in bytes a second, lasts twice as long: where the queue of a slow link overflows, what came after a
/// lost packet arrives all together with it, and half as many bytes were twice the rate of the link in one trial of five.
/// At a higher one, a trial that failed is judged once more, because busy processors delay it.
const JUDGED_AGAIN_RATE: f64 = 16.0 * MIB;
/// How often a trial that compares some connections with more of them is judged again: their first responses come in
/// the course of a latency.
const JUDGED_AGAIN_MAX: u32 = 3;
/// After so many latencies in which all connections received, slow start no longer hides what they add to the rate; a factor
/// below this is nothing. At 100 Mbit/s and 3 MiB/s a connection, a trial of 15 that was judged three times more left the
/// reader 0.5 to 0.65 of curl's bytes after 0.5 s.
const SLOW_START_LATENCIES: u32 = 2;
const NO_GAIN: f64 = 1.15;
/// By what part the common rate of a failed trial may exceed that of some connections before one more counts as useful:
/// on a slow link, where a trial sees few packets, and on a fast one.
const NOISE_SLOW: f64 = 0.6;
const NOISE_FAST: f64 = 0.2;
/// A common rate of so many times that of one connection is no link that one connection fills: a trial need not show
/// more, for on a busy machine the first responses come late.
const FAR_BEYOND_ONE: f64 = 3.0;
/// The factor where some connections are compared with more of them.
const FAR_BEYOND_SOME: f64 = 1.5;

/// More connections under way, in comparison with fewer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    /// Before any of the further ones had a response.
    alone: SpeedMark,
    base: TrialBase,
    /// When it is judged though less than half of the responses have come.
    deadline: Duration,
    /// When enough of the responses had begun.
    began: Option<SpeedMark>,
    /// How many responses had begun early enough to count.
    opened: Option<u64>,
    judged: u32,
}

/// The base that a trial is compared with: so many connections, and their common rate in bytes a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrialBase {
    pub(super) connections: usize,
    pub(super) rate: f64,
}

/// How far a trial is; rates in bytes a second.
#[derive(Debug, Clone, Copy)]
pub(super) enum TrialProgress {
    /// There is nothing to decide yet.
    Pending,
    /// The responses begin: the rate of one connection by itself will not be known better.
    ResponsesBegan,
    /// All connections add to the rate.
    Passed { rate: f64 },
    /// The common rate is worth so many connections alone.
    Failed { rate: f64, useful: f64 },
}

impl Trial {
    pub(super) fn new(alone: SpeedMark, base: TrialBase, latency: Duration, now: Duration) -> Self {
        let deadline = now + 2 * latency + RESPONSE_TIME_MAX;
        Self { alone, base, deadline, began: None, opened: None, judged: 0 }
    }

    /// Returns whether the base is one connection.
    pub(super) fn is_against_one(&self) -> bool {
        self.base.connections == 1
    }

    /// Observes how far the download is with `connections`. While one of them is still alone, its rate in `estimate` is
    /// refined.
    pub(super) fn observe(
        &mut self,
        here: SpeedMark,
        connections: usize,
        estimate: &mut ConnectionEstimate,
    ) -> TrialProgress {
        let Some(began) = self.began else { return self.await_responses(here, connections, estimate) };
        let is_fast = estimate.solo_rate > JUDGED_AGAIN_RATE;
        let time = Duration::from_secs_f64((TRIAL_BYTES / estimate.solo_rate.max(1.0)).min(1.0));
        let time = time.max(TRIAL_TIME);
        if here.at >= began.at + time && !is_fast {
            self.opened.get_or_insert(here.opened);
        }
        if here.at < began.at + if is_fast { time } else { 2 * time } {
            return TrialProgress::Pending;
        }
        let rate = began.rate(here);
        let opened = self.opened.unwrap_or(began.opened);
        if rate >= self.rate_to_pass(opened, estimate) {
            return TrialProgress::Passed { rate };
        }
        let is_all_there = opened.saturating_sub(self.alone.opened)
            >= connections.saturating_sub(self.base.connections) as u64;
        let is_long = here.at.saturating_sub(began.at) >= SLOW_START_LATENCIES * estimate.latency;
        let judged_again_max = match self.base.connections {
            1 => u32::from(is_fast),
            _ if is_all_there && is_long && rate < self.base.rate * NO_GAIN => 0,
            _ => JUDGED_AGAIN_MAX,
        };
        if self.judged < judged_again_max {
            self.began = Some(here);
            self.opened = None;
            self.judged += 1;
            return TrialProgress::Pending;
        }
        let noise = if is_fast { NOISE_FAST } else { NOISE_SLOW };
        TrialProgress::Failed { rate, useful: rate / estimate.solo_rate - noise }
    }

    /// Returns the rate of the one connection that is still alone, in bytes a second, once it was observed for long enough.
    pub(super) fn rate_alone(&self, here: SpeedMark) -> Option<f64> {
        let is_alone = self.is_against_one() && here.opened == self.alone.opened;
        (is_alone && here.at >= self.alone.at + TRIAL_TIME).then(|| self.alone.rate(here))
    }

    fn await_responses(
        &mut self,
        here: SpeedMark,
        connections: usize,
        estimate: &mut ConnectionEstimate,
    ) -> TrialProgress {
        let more = here.opened.saturating_sub(self.alone.opened);
        if self.is_against_one() && more == 0 && here.at > self.alone.at + LOOK_TIME_MIN {
            // Still alone: the longer it is observed, the better its rate is known.
            estimate.solo_rate = self.alone.rate(here);
        }
        let added = connections.saturating_sub(self.base.connections);
        let deadline = self.deadline + if more == 0 { SILENCE_TIME_MAX } else { Duration::ZERO };
        if more * 2 >= added as u64 || here.at >= deadline {
            self.began = Some(here);
            return TrialProgress::ResponsesBegan;
        }
        TrialProgress::Pending
    }

    /// Returns the common rate from which on the connections add to that of the base, where so many responses had `opened`.
    fn rate_to_pass(&self, opened: u64, estimate: &ConnectionEstimate) -> f64 {
        let active = opened.saturating_sub(self.alone.opened);
        let active = to_f64(usize::try_from(active).unwrap_or(usize::MAX));
        let (base_rate, far_beyond) = if self.is_against_one() {
            (estimate.solo_rate, FAR_BEYOND_ONE)
        } else {
            (self.base.rate, FAR_BEYOND_SOME)
        };
        (base_rate + GAIN_MIN * active * estimate.sustained_rate).min(base_rate * far_beyond)
    }
}

/// Returns how many connections may be tried where bytes come at `rate`, in bytes a second.
pub(super) fn affordable(rate: f64, latency: Duration) -> f64 {
    let for_latency = 1.0 + latency.as_secs_f64() / AFFORDABLE_LATENCY.as_secs_f64();
    1.0 + rate / RATE_PER_CONNECTION * for_latency
}
