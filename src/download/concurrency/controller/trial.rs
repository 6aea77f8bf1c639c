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
const CONNECTION_TRIAL_TIME: Duration = Duration::from_millis(15);
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
/// A connection that brings nothing for so long is silent.
const SILENT_TIME: Duration = Duration::from_millis(20);
/// How long the first bytes of new connections are left out: a link that was idle lets a burst through first (16 ms worth in
/// the tests), and at 1 Gbit/s and 100 ms a trial of four passed by it.
const BURST_TIME: Duration = Duration::from_millis(4);
/// How many times as many as a trial that passed are tried next where a connection is slow: where these are too many for the
/// link, the front range still has half of its rate. With up to four times as many, a link of 300 Mbit/s at 3 MiB/s a
/// connection had 48 to 81 connections, and the reader 0.5 to 0.8 of curl's bytes after a second; now 41 to 51, and 0.93.
const GROWTH_MAX: usize = 2;
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
/// The factor where some connections are compared with more of them: those may still be in slow start, so that it is not
/// asked whether each adds what it should, but whether the rate still grows.
const FAR_BEYOND_SOME: f64 = 1.5;

/// More connections under way, in comparison with fewer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    /// Before any of the further ones had a response.
    alone: SpeedMark,
    /// When bytes last came while it was alone.
    alone_until: SpeedMark,
    base: TrialBase,
    /// How many are compared with the base.
    pub(super) connections: usize,
    /// When it is judged though less than half of the responses have come.
    deadline: Duration,
    /// When enough of the responses had begun, and when the burst of their first bytes was over.
    responses_at: Option<Duration>,
    began: Option<SpeedMark>,
    /// How many responses had begun early enough to count.
    opened: Option<u64>,
    judged: u32,
    /// The rate that was far beyond that of the base, and when it last grew.
    growing: Option<(Duration, f64)>,
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
    /// It has not passed yet, and is judged once more.
    JudgedAgain,
    /// All connections add to the rate.
    Passed { rate: f64 },
    /// The common rate is worth so many connections alone.
    Failed { rate: f64, useful: f64 },
}

impl Trial {
    /// Compares `connections` that are requested now, the download being as far as `here` says, with `base`.
    pub(super) fn new(
        connections: usize,
        alone: SpeedMark,
        base: TrialBase,
        latency: Duration,
        here: SpeedMark,
    ) -> Self {
        let deadline = here.at + 2 * latency + RESPONSE_TIME_MAX;
        Self {
            alone,
            alone_until: here,
            base,
            connections,
            deadline,
            responses_at: None,
            began: None,
            opened: None,
            judged: 0,
            growing: None,
        }
    }

    /// Returns how long it takes from the first responses on, where one connection has this rate.
    pub(super) fn time_to_judge(solo_rate: f64) -> Duration {
        BURST_TIME + if solo_rate > JUDGED_AGAIN_RATE { 1 } else { 2 } * Self::half_time(solo_rate)
    }

    fn half_time(solo_rate: f64) -> Duration {
        Duration::from_secs_f64((TRIAL_BYTES / solo_rate.max(1.0)).min(1.0)).max(CONNECTION_TRIAL_TIME)
    }

    /// Returns whether the base is one connection.
    pub(super) fn is_against_one(&self) -> bool {
        self.base.connections == 1
    }

    /// Observes how far the download is. While one connection is still alone, its rate in `estimate` is refined.
    pub(super) fn observe(&mut self, here: SpeedMark, estimate: &mut ConnectionEstimate) -> TrialProgress {
        let Some(began) = self.began else { return self.await_responses(here, estimate) };
        let is_fast = estimate.solo_rate > JUDGED_AGAIN_RATE;
        let time = Self::half_time(estimate.solo_rate);
        if here.at >= began.at + time && !is_fast {
            self.opened.get_or_insert(here.opened);
        }
        if here.at < began.at + if is_fast { time } else { 2 * time } {
            return TrialProgress::Pending;
        }
        let rate = began.rate(here);
        let opened = self.opened.unwrap_or(began.opened);
        if rate >= self.worth(opened, here, estimate) {
            return TrialProgress::Passed { rate };
        }
        if let Some(progress) = self.judge_growth(rate, here, estimate) {
            return progress;
        }
        let is_all_there = opened.saturating_sub(self.alone.opened)
            >= self.connections.saturating_sub(self.base.connections) as u64;
        let is_long = here.at.saturating_sub(began.at) >= SLOW_START_LATENCIES * estimate.latency;
        let judged_again_max = match self.base.connections {
            1 => u32::from(is_fast),
            _ if is_all_there && is_long && rate < self.base.rate * NO_GAIN => 0,
            _ => JUDGED_AGAIN_MAX,
        };
        if self.judged < judged_again_max {
            self.judged += 1;
            return self.judge_again(here);
        }
        Self::failed(rate, estimate)
    }

    /// Judges a rate that is far beyond that of the base, and less than all connections should bring: it passes while it grows,
    /// and fails once it has not for two latencies.
    fn judge_growth(
        &mut self,
        rate: f64,
        here: SpeedMark,
        estimate: &ConnectionEstimate,
    ) -> Option<TrialProgress> {
        if self.is_against_one() {
            return (rate >= self.base.rate * FAR_BEYOND_ONE).then_some(TrialProgress::Passed { rate });
        }
        let Some((grown_at, best)) = self.growing else {
            if rate < self.base.rate * FAR_BEYOND_SOME {
                return None;
            }
            self.growing = Some((here.at, rate));
            return Some(self.judge_again(here));
        };
        if rate >= best * NO_GAIN {
            self.growing = Some((here.at, rate));
        } else if here.at >= grown_at + SLOW_START_LATENCIES * estimate.latency {
            return Some(Self::failed(rate, estimate));
        }
        Some(self.judge_again(here))
    }

    fn judge_again(&mut self, here: SpeedMark) -> TrialProgress {
        self.began = Some(here);
        self.opened = None;
        TrialProgress::JudgedAgain
    }

    fn failed(rate: f64, estimate: &ConnectionEstimate) -> TrialProgress {
        let noise = if estimate.solo_rate > JUDGED_AGAIN_RATE { NOISE_FAST } else { NOISE_SLOW };
        TrialProgress::Failed { rate, useful: rate / estimate.solo_rate - noise }
    }

    /// Returns the rate of the one connection that is still alone, in bytes a second, once it was observed for long enough.
    pub(super) fn rate_alone(&self, here: SpeedMark) -> Option<f64> {
        let is_alone = self.is_against_one() && here.opened == self.alone.opened;
        (is_alone && here.at >= self.alone.at + CONNECTION_TRIAL_TIME)
            .then(|| self.alone.rate(self.alone_until))
    }

    /// Refines the rate of the one connection that is still alone, until nothing comes for a while: its range has ended, or it
    /// waits for a lost packet. That is no part of its rate: trials passed because there was next to nothing to compare with.
    fn refine_rate_alone(&mut self, here: SpeedMark, estimate: &mut ConnectionEstimate) {
        let is_alone = self.is_against_one() && here.opened == self.alone.opened;
        let is_silent = here.at > self.alone_until.at + SILENT_TIME;
        if is_alone && !is_silent && here.bytes > self.alone_until.bytes {
            self.alone_until = here;
            if here.at > self.alone.at + LOOK_TIME_MIN {
                estimate.solo_rate = self.alone.rate(here);
            }
        }
    }

    fn await_responses(&mut self, here: SpeedMark, estimate: &mut ConnectionEstimate) -> TrialProgress {
        if let Some(responses_at) = self.responses_at {
            self.began = (here.at >= responses_at + BURST_TIME).then_some(here);
            return TrialProgress::Pending;
        }
        let more = here.opened.saturating_sub(self.alone.opened);
        self.refine_rate_alone(here, estimate);
        let added = self.connections.saturating_sub(self.base.connections);
        let deadline = self.deadline + if more == 0 { SILENCE_TIME_MAX } else { Duration::ZERO };
        if more * 2 >= added as u64 || here.at >= deadline {
            self.responses_at = Some(here.at);
            return TrialProgress::ResponsesBegan;
        }
        TrialProgress::Pending
    }

    /// Returns the common rate from which on each connection adds to that of the base, where so many responses had `opened`.
    fn worth(&self, opened: u64, here: SpeedMark, estimate: &ConnectionEstimate) -> f64 {
        // A response may be the next one of a connection that was there, while others still try a dead address.
        let receiving = here.opened.saturating_sub(here.ended);
        let added = receiving.saturating_sub(self.base.connections as u64);
        let active = opened.saturating_sub(self.alone.opened).min(added);
        let active = to_f64(usize::try_from(active).unwrap_or(usize::MAX));
        if self.is_against_one() {
            // None of them has waited for a second response yet.
            estimate.solo_rate + GAIN_MIN * active * estimate.solo_rate
        } else {
            self.base.rate + GAIN_MIN * active * estimate.sustained_rate
        }
    }
}

/// Returns how many connections may be tried where bytes come at `rate`, in bytes a second.
pub(super) fn affordable(rate: f64, latency: Duration) -> f64 {
    let for_latency = 1.0 + latency.as_secs_f64() / AFFORDABLE_LATENCY.as_secs_f64();
    1.0 + rate / RATE_PER_CONNECTION * for_latency
}

/// Returns how many connections may be tried after `tried` have passed, where one has this rate.
pub(super) fn most_after(tried: usize, solo_rate: f64) -> usize {
    if solo_rate <= JUDGED_AGAIN_RATE { GROWTH_MAX * tried } else { usize::MAX }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a simulation in floating point"
    )]

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
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
}
