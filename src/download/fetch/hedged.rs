//! The flights of one range: one, or two where the first is late.
//!
//! Whichever gets further brings the bytes, and the other is dropped. A flight that fails while there is
//! another one costs nothing. It hands on what the winner brings and never looks at the bytes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::download::context::DownloadContext;
use crate::download::fetch::attempt::{RangeRequest, RequestEvent};
use crate::download::fetch::frame_queue::FrameSender;
use crate::download::fetch::straggler;
use crate::error::{Error, Result};
use crate::events::{HEDGE, first_line};
use crate::s3::range::ByteRange;
use tracing::info;

/// So long after they were looked at, flights are looked at again at the earliest.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// So long after one was first found late, in which what has gathered unseen comes to light.
const COME_TO_LIGHT: Duration = Duration::from_millis(2);

/// What is still wanted of a range, and where it stands in the object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remaining {
    pub(super) bytes: ByteRange,
    /// Where the range begins.
    pub(super) start: u64,
    /// Whether it may be asked for again: not where every answer is the whole object.
    pub(super) may_hedge: bool,
}

/// The flights that are out for one range.
pub(super) struct HedgedRequest {
    first: RangeRequest,
    second: Option<SecondRequest>,
    /// When they were last found late, or not.
    looked: Option<Instant>,
    /// They were found late the last time, and told to hand on what there is.
    suspect: bool,
}

struct SecondRequest {
    flight: RangeRequest,
    /// What it asked for: what may come twice.
    asked: ByteRange,
}

enum RaceEvent {
    First(Result<RequestEvent>),
    Second(Result<RequestEvent>),
    /// Nothing for so long that it may be late.
    Nothing,
}

impl HedgedRequest {
    /// One flight, for now.
    pub(super) fn new(first: RangeRequest) -> Self {
        Self { first, second: None, looked: None, suspect: false }
    }

    /// Whether a response has begun.
    pub(super) fn is_open(&self) -> bool {
        self.first.is_open()
    }

    /// What comes next from the flight that is ahead, `rest` being still to come. Cancel safe.
    pub(super) async fn next(
        &mut self,
        shared: &Arc<DownloadContext>,
        lane: &FrameSender,
        rest: Remaining,
    ) -> Result<RequestEvent> {
        loop {
            let look = self.look_again(shared, rest);
            let happened = match &mut self.second {
                None => tokio::select! {
                    biased;
                    event = self.first.next(lane) => RaceEvent::First(event),
                    () = look => RaceEvent::Nothing,
                },
                Some(second) => tokio::select! {
                    biased;
                    event = second.flight.next(lane) => RaceEvent::Second(event),
                    event = self.first.next(lane) => RaceEvent::First(event),
                    () = look => RaceEvent::Nothing,
                },
            };
            self.suspect &= matches!(happened, RaceEvent::Nothing);
            match happened {
                RaceEvent::First(Err(error)) => {
                    let Some(second) = self.lose_second(shared, rest) else { return Err(error) };
                    shared.counters.add_retry();
                    log_hedge_won(rest.bytes, Some(&error));
                    self.first = second;
                }
                RaceEvent::First(event) => {
                    if let Some(second) = &mut self.second {
                        second.flight.pause();
                    }
                    return event;
                }
                RaceEvent::Second(Ok(RequestEvent::Data(at, data))) => {
                    if at + data.len() as u64 <= rest.bytes.start() {
                        // The first flight has brought these.
                        continue;
                    }
                    if let Some(second) = self.lose_second(shared, rest) {
                        shared.counters.add_hedge_won();
                        shared.make_way();
                        log_hedge_won(rest.bytes, None);
                        self.first = second;
                    }
                    return Ok(RequestEvent::Data(at, data));
                }
                RaceEvent::Second(Ok(RequestEvent::RangeResponse(opened, _))) if !opened.whole => {}
                RaceEvent::Second(_) => drop(self.lose_second(shared, rest)),
                RaceEvent::Nothing => self.consider(shared, rest),
            }
        }
    }

    /// The winner's body was read to its end.
    pub(super) async fn land(mut self, shared: &DownloadContext, rest: Remaining) {
        drop(self.lose_second(shared, rest));
        self.first.land().await;
    }

    /// Sends a second request where the first one is late, or a third where both are.
    fn consider(&mut self, shared: &Arc<DownloadContext>, rest: Remaining) {
        self.looked = Some(Instant::now());
        let was_suspect = std::mem::take(&mut self.suspect);
        if !self.is_late(shared, rest) {
            return;
        }
        if !was_suspect {
            self.suspect = true;
            self.first.hurry();
            if let Some(second) = &self.second {
                second.flight.hurry();
            }
            return;
        }
        let sent = shared.client.requests().saturating_sub(shared.counters.hedges());
        if shared.hedging.is_scarce(sent) && !self.first.progress().is_sure() {
            return;
        }
        // As many as its chunks, and the smaller ones at the start.
        let requests = shared.size().div_ceil(shared.chunk).max(sent);
        if !shared.hedging.spend(rest.bytes.len(), shared.size(), requests) {
            return;
        }
        drop(self.lose_second(shared, rest));
        shared.counters.add_hedge();
        info!(target: HEDGE, range = rest.bytes.to_string(), "a range is late, and is asked for a second time");
        let flight = self.first.hedged(shared, rest.bytes);
        self.second = Some(SecondRequest { flight, asked: rest.bytes });
    }

    /// Whether all flights are so late that a new request would be worth it.
    fn is_late(&self, shared: &DownloadContext, rest: Remaining) -> bool {
        // A busy server gets no more requests than it must, and one that allows few connections cannot take more.
        let may_hedge = !shared.slots.is_halved() && shared.client.has_spare_connection();
        let Some(expected) = shared.pace.expected().filter(|_| may_hedge) else {
            return false;
        };
        let is_alone = shared.slots.in_use() <= 1;
        // Where the others wait for room it is not the network that they wait for, and leave it to a new request.
        let is_full = shared.window.is_full();
        let late = if is_full { straggler::WHERE_ALL_WAIT } else { straggler::PATIENCE };
        let turn = turn(shared, rest, expected.rate);
        let is_late = |flight: &RangeRequest| {
            flight.progress().is_late(late, rest.bytes.len(), &expected, turn)
                && (is_alone || is_full || flight.others_get_on())
        };
        is_late(&self.first) && self.second.as_ref().is_none_or(|second| is_late(&second.flight))
    }

    /// Resolves when the flights may be late; never where that is of no interest.
    fn look_again(&self, shared: &DownloadContext, rest: Remaining) -> impl Future<Output = ()> + use<> {
        let is_of_interest = rest.may_hedge && !shared.hedging.is_off();
        let look = is_of_interest.then(|| {
            let expected = shared.pace.expected();
            let wait = |flight: &RangeRequest| flight.progress().look_again(expected.as_ref());
            let second = self.second.as_ref().map_or(Duration::ZERO, |second| wait(&second.flight));
            wait(&self.first).max(second)
        });
        // Not at once and again: they may be late, and not hedged, for another reason.
        let pause = if self.suspect { COME_TO_LIGHT } else { LOOK_AGAIN };
        let not_before = self.looked.map(|looked| looked + pause);
        async move {
            match look {
                Some(wait) => {
                    let then = Instant::now() + wait;
                    sleep_until(not_before.map_or(then, |at| at.max(then))).await;
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Takes the second flight out of the race, and gives back what it did not cost.
    fn lose_second(&mut self, shared: &DownloadContext, rest: Remaining) -> Option<RangeRequest> {
        let SecondRequest { flight, asked } = self.second.take()?;
        // What both have brought so far came twice.
        let twice = flight.received().min(rest.bytes.start().saturating_sub(asked.start()));
        shared.hedging.refund(asked.len().saturating_sub(twice));
        Some(flight)
    }
}

/// When it is about to be the range's turn in the output, connections bringing `rate` bytes a second each.
#[expect(clippy::cast_precision_loss, reason = "for an estimate")]
fn turn(shared: &DownloadContext, rest: Remaining, rate: f64) -> Duration {
    let ahead = rest.start.saturating_sub(shared.wanted.start() + shared.counters.yielded()) as f64;
    let rate = rate * shared.slots.in_use().max(1) as f64;
    Duration::from_secs_f64((ahead / rate).min(1e6))
}

/// Reports that the second request for a range is the one that goes on: it was faster, or the first one failed with
/// `error`.
fn log_hedge_won(rest: ByteRange, error: Option<&Error>) {
    info!(
        target: HEDGE,
        range = rest.to_string(),
        reason = error.map(|error| first_line(error)),
        "the second request goes on alone"
    );
}
