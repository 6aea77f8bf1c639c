//! The requests for one range: one, or two while the first one is late.
//!
//! The one that gets further brings the bytes, and the other is dropped, with its connection. A request that fails while
//! there is another one costs nothing, unless that one fails as well before it has brought a byte.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::client::retry::Attempt;
use crate::download::context::DownloadContext;
use crate::download::fetch::frame_queue::FrameSender;
use crate::download::fetch::range_request::{RangeRequest, RequestEvent};
use crate::download::fetch::straggler;
use crate::error::{Error, Result};
use crate::events::{HEDGE, first_line};
use crate::s3::range::ByteRange;
use tracing::info;

/// The shortest time between two checks: a request can be late and still not qualify for a hedge.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// Grace period after a request first looks late: bytes may be waiting in the kernel, below the low-water mark.
const KERNEL_GRACE: Duration = Duration::from_millis(2);

/// The missing bytes of a range, and its place in the object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remaining {
    pub(super) bytes: ByteRange,
    /// The offset at which the range begins.
    pub(super) start: u64,
    /// Set if it may be requested a second time; not if every response is the whole object.
    pub(super) may_hedge: bool,
}

/// The requests under way for one range.
pub(super) struct HedgedRequest {
    context: Arc<DownloadContext>,
    first: RangeRequest,
    /// Set while `first` is a second request that replaced a failed one, and has brought nothing yet. If it fails as
    /// well, the attempt has failed: otherwise each would be hedged in its turn, and a silent range would never end.
    is_unproven: bool,
    second: Option<SecondRequest>,
    checked_at: Option<Instant>,
    /// Second requests because nothing came.
    silent_hedges: u32,
    /// Set if the last check found them late, and had the kernel deliver the bytes that it holds.
    is_suspect: bool,
}

struct SecondRequest {
    request: RangeRequest,
    /// The bytes that were requested.
    asked: ByteRange,
    /// How many of them the budget was charged with.
    charged: u64,
    /// Set if other ranges received bytes while the first request waited for some.
    others_got_on: bool,
}

enum HedgedEvent {
    First(Result<RequestEvent>),
    Second(Result<RequestEvent>),
    /// A request may be late.
    CheckDue,
}

impl HedgedRequest {
    /// Creates a request for `asked`, without a second one.
    pub(super) fn new(context: &Arc<DownloadContext>, asked: ByteRange, attempt: Attempt) -> Self {
        Self {
            context: Arc::clone(context),
            first: RangeRequest::new(context, asked, attempt),
            is_unproven: false,
            second: None,
            checked_at: None,
            silent_hedges: 0,
            is_suspect: false,
        }
    }

    /// Returns whether a response has begun.
    pub(super) fn is_open(&self) -> bool {
        self.first.is_open()
    }

    /// Returns the next event of the request that is ahead; `rest` is still missing. Cancel safe.
    pub(super) async fn next(&mut self, queue: &FrameSender, rest: Remaining) -> Result<RequestEvent> {
        loop {
            let check = self.check_due(rest);
            let happened = match &mut self.second {
                None => tokio::select! {
                    biased;
                    event = self.first.next(queue) => HedgedEvent::First(event),
                    () = check => HedgedEvent::CheckDue,
                },
                Some(second) => tokio::select! {
                    biased;
                    event = second.request.next(queue) => HedgedEvent::Second(event),
                    event = self.first.next(queue) => HedgedEvent::First(event),
                    () = check => HedgedEvent::CheckDue,
                },
            };
            self.is_suspect &= matches!(happened, HedgedEvent::CheckDue);
            match happened {
                HedgedEvent::First(Err(error)) => {
                    let second = self.drop_second(rest).filter(|_| !self.is_unproven);
                    let Some(second) = second else { return Err(error) };
                    self.context.counters.add_retry();
                    log_hedge_won(rest.bytes, Some(&error));
                    self.first = second;
                    self.is_unproven = true;
                }
                HedgedEvent::First(event) => {
                    if let Some(second) = &mut self.second {
                        second.request.pause();
                    }
                    let is_data = matches!(event, Ok(RequestEvent::Data(..)));
                    if is_data && std::mem::take(&mut self.is_unproven) {
                        self.context.hedging.won();
                    }
                    return event;
                }
                HedgedEvent::Second(Ok(RequestEvent::Data(at, data))) => {
                    if at + data.len() as u64 <= rest.bytes.start() {
                        // The first request has brought these.
                        continue;
                    }
                    // Where nobody got on it was the network that was silent.
                    let is_cut = self.second.as_ref().is_some_and(|second| second.others_got_on);
                    if let Some(second) = self.drop_second(rest) {
                        self.context.counters.add_hedge_won();
                        self.context.hedging.won();
                        self.context.group.grow_for_stragglers();
                        log_hedge_won(rest.bytes, None);
                        if is_cut && is_silent(&self.first) {
                            self.first.note_cut();
                        }
                        self.first = second;
                        self.is_unproven = false;
                    }
                    return Ok(RequestEvent::Data(at, data));
                }
                HedgedEvent::Second(Ok(RequestEvent::RangeResponse(response, _))) if !response.whole => {}
                HedgedEvent::Second(_) => drop(self.drop_second(rest)),
                HedgedEvent::CheckDue => self.hedge_if_late(rest),
            }
        }
    }

    /// Checks that the response which brought the last byte has no more.
    pub(super) async fn check_end(&mut self) -> Result<()> {
        self.first.check_end().await
    }

    /// Ends the requests after the last byte of the range: the winner's connection may be used again.
    pub(super) async fn finish(mut self, rest: Remaining) {
        drop(self.drop_second(rest));
        self.first.finish().await;
    }

    /// Sends a second request if the first one is late, or a third one if both are.
    fn hedge_if_late(&mut self, rest: Remaining) {
        self.checked_at = Some(Instant::now());
        let was_suspect = std::mem::take(&mut self.is_suspect);
        if self.may_be_dead() {
            return self.hedge(rest, true);
        }
        if !self.is_late(rest) {
            return;
        }
        if !was_suspect {
            self.is_suspect = true;
            self.first.flush_now();
            if let Some(second) = &self.second {
                second.request.flush_now();
            }
            return;
        }
        let sent = self.context.client.requests().saturating_sub(self.context.counters.hedges());
        if self.context.hedging.is_scarce(sent) && !self.first.progress().is_sure() {
            return;
        }
        // Estimated requests: one per chunk, at least as many as were sent.
        let requests = self.context.size().div_ceil(self.context.limits().chunk).max(sent);
        if self.context.hedging.spend(rest.bytes.len(), self.context.size(), requests) {
            self.hedge(rest, false);
        }
    }

    fn hedge(&mut self, rest: Remaining, is_silent: bool) {
        drop(self.drop_second(rest));
        self.context.counters.add_hedge();
        info!(target: HEDGE, range = rest.bytes.to_string(), silent = is_silent, "requesting a late range again");
        // The idle connections may be as dead as the one that is silent. Or that one was new, and the host serves no more
        // than those: every other time an idle one is taken.
        let is_fresh = is_silent && self.silent_hedges.is_multiple_of(2);
        self.silent_hedges += u32::from(is_silent);
        let request = self.first.hedged(rest.bytes, is_fresh);
        let charged = if is_silent { 0 } else { rest.bytes.len() };
        let others_got_on = self.first.others_get_on();
        self.second = Some(SecondRequest { request, asked: rest.bytes, charged, others_got_on });
    }

    /// Returns whether nothing has come for so long that the connections may be dead without a sign.
    fn may_be_dead(&self) -> bool {
        self.first.is_open()
            && is_silent(&self.first)
            && self.second.as_ref().is_none_or(|second| is_silent(&second.request))
            && !self.context.permits.is_halved()
            && self.context.client.has_spare_connection()
    }

    /// Returns whether all requests are so late that a new one would be worth it.
    fn is_late(&self, rest: Remaining) -> bool {
        // A busy server gets no more requests than it must, and one that allows few connections cannot take more.
        let may_hedge = !self.context.permits.is_halved() && self.context.client.has_spare_connection();
        let Some(expected) = self.context.request_stats.expected().filter(|_| may_hedge) else {
            return false;
        };
        let is_alone = self.context.permits.in_use() <= 1;
        // If the others wait for memory, they do not wait for the network.
        let is_window_full = self.context.group.window.is_full();
        let is_full_link = self.context.permits.is_link_full();
        let late = match (is_full_link, is_window_full) {
            (true, _) => straggler::ON_A_FULL_LINK,
            (false, true) => straggler::WHERE_ALL_WAIT,
            (false, false) => straggler::PATIENCE,
        };
        let turn = time_until_due(&self.context, rest, expected.rate);
        // Beside the front range, which fills the link, a range may get next to nothing: a second request would not get more.
        // Under load, on links of 40 and 100 Mbit/s, 7 of 10 hedges were for those.
        if is_full_link && turn > Duration::ZERO {
            return false;
        }
        let is_late = |request: &RangeRequest| {
            request.progress().is_late(late, rest.bytes.len(), &expected, turn)
                && (is_alone || is_window_full || request.others_get_on())
        };
        is_late(&self.first) && self.second.as_ref().is_none_or(|second| is_late(&second.request))
    }

    /// Resolves when the requests may be late; never if that would have no consequence.
    fn check_due(&self, rest: Remaining) -> impl Future<Output = ()> + use<> {
        let may_hedge = rest.may_hedge && !self.context.hedging.is_off();
        let wait = may_hedge.then(|| {
            let expected = self.context.request_stats.expected();
            let wait = |request: &RangeRequest| {
                let progress = request.progress();
                let until_silent = straggler::BODY_SILENCE_MAX.saturating_sub(progress.silence());
                progress.look_again(expected.as_ref()).min(until_silent)
            };
            let second = self.second.as_ref().map_or(Duration::ZERO, |second| wait(&second.request));
            wait(&self.first).max(second)
        });
        let pause = if self.is_suspect { KERNEL_GRACE } else { CHECK_INTERVAL };
        let not_before = self.checked_at.map(|checked_at| checked_at + pause);
        async move {
            match wait {
                Some(wait) => {
                    let then = Instant::now() + wait;
                    sleep_until(not_before.map_or(then, |at| at.max(then))).await;
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Drops the second request, and returns to the budget the bytes that did not come twice.
    fn drop_second(&mut self, rest: Remaining) -> Option<RangeRequest> {
        let SecondRequest { request, asked, charged, .. } = self.second.take()?;
        // The bytes that both have brought so far came twice.
        let twice = request.received().min(rest.bytes.start().saturating_sub(asked.start()));
        self.context.hedging.refund(charged.saturating_sub(twice));
        Some(request)
    }
}

/// Returns whether nothing has come for so long that the connection may be dead without a sign.
fn is_silent(request: &RangeRequest) -> bool {
    request.progress().silence() >= straggler::BODY_SILENCE_MAX
}

/// Returns when the range is due in the output, if each connection brings `rate` bytes a second.
#[expect(clippy::cast_precision_loss, reason = "for an estimate")]
fn time_until_due(context: &DownloadContext, rest: Remaining, rate: f64) -> Duration {
    let ahead = rest.start.saturating_sub(context.wanted.start() + context.counters.yielded()) as f64;
    let rate = rate * context.permits.in_use().max(1) as f64;
    Duration::from_secs_f64((ahead / rate).min(1e6))
}

/// Reports that the second request for a range continues alone: it was faster, or the first one failed with `error`.
fn log_hedge_won(rest: ByteRange, error: Option<&Error>) {
    info!(
        target: HEDGE,
        range = rest.to_string(),
        reason = error.map(|error| first_line(error)),
        "the second request continues alone"
    );
}

#[cfg(test)]
mod tests;
