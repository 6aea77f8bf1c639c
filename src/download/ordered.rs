//! Ranges in the order of the object: `StreamExt::buffered`, with a cap that moves and bodies that flow.
//!
//! A `FuturesOrdered` of range futures, each of which resolves when its first response has been checked, to a body whose
//! frames flow from then on. The cap is the number of permits and, for ranges that wait to be delivered, a length.
//! Ranges that turn out to share a full link with the front range are cancelled from the back, and planned again.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio_util::sync::PollSemaphore;

use crate::download::concurrency::limit::{ConcurrencyLimit, Permit};
use crate::download::context::DownloadContext;
use crate::download::fetch::range_task::Discovered;
use crate::download::fetch::{self, RangeBody, RangeFuture, RangeHandle};
use crate::download::memory::frame::Frame;
use crate::download::plan::Plan;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::range::ByteRange;

/// Up to this many ranges at a time, the next one is requested just before the last byte of those under way, so that no
/// response latency is lost; with more of them some always flow.
const JUST_IN_TIME_MAX: usize = 2;

/// The ranges of one object, in order.
pub(crate) struct OrderedRanges {
    context: Arc<DownloadContext>,
    plan: Plan,
    permits: PollSemaphore,
    /// Each resolves when its first response has been checked.
    opening: FuturesOrdered<RangeFuture>,
    /// The range whose bytes go out next.
    front: Option<RangeBody>,
    /// All ranges that are requested and not delivered, in order, the front one included.
    under_way: VecDeque<RangeHandle>,
    /// Set once the rest of the object is one plain GET.
    is_plain: bool,
}

impl OrderedRanges {
    /// Creates a stream of no ranges: the plan is empty until [`OrderedRanges::follow`] sets it.
    pub(crate) fn new(context: &Arc<DownloadContext>) -> Self {
        Self {
            context: Arc::clone(context),
            plan: Plan::new(ByteRange::new(0, 0), context.chunk, None),
            permits: PollSemaphore::new(context.limit.semaphore()),
            opening: FuturesOrdered::new(),
            front: None,
            under_way: VecDeque::new(),
            is_plain: false,
        }
    }

    /// Requests `range` and returns what its first response shows. It is the front range from then on.
    pub(crate) async fn discover(&mut self, range: ByteRange) -> Result<Discovered> {
        let permit = self.context.limit.acquire().await.ok_or_else(ended_early)?;
        self.start(range, permit);
        let Some(Some(mut body)) = self.opening.next().await else { return Err(ended_early()) };
        let Some(discovered) = body.take_discovered() else {
            // It ended without a response: the body has the reason.
            let ended = poll_fn(|cx| body.poll_frame(cx)).await;
            return Err(ended.and_then(Result::err).unwrap_or_else(ended_early));
        };
        if let Some(handle) = self.under_way.back_mut() {
            handle.set_range(discovered.first);
        }
        self.front = Some(body);
        self.is_plain = self.context.is_plain.load(Ordering::Relaxed);
        Ok(discovered)
    }

    /// Gives the first range priority: the turn of this object has come.
    pub(crate) fn set_front(&self) {
        if let Some(handle) = self.under_way.front() {
            handle.set_front();
        }
    }

    /// Returns whether every range has been requested and what is under way ends soon, so that requests for the next
    /// object lose no latency and take little of the link from this one.
    pub(crate) fn is_ending(&self) -> bool {
        let limit = &self.context.limit;
        let has_few = limit.is_steered() && limit.settled_target() <= JUST_IN_TIME_MAX;
        self.plan.is_done() && (!has_few || self.outstanding() <= limit.just_in_time_bytes())
    }

    /// Replaces the ranges after the front one by a single GET without `Range`, once a response in the middle of the object did
    /// not show which bytes it had. The front range is replaced too if it has brought nothing.
    fn merge_the_rest(&mut self) {
        let is_plain = self.context.is_plain.load(Ordering::Relaxed);
        if self.is_plain || !is_plain || self.context.limit.semaphore().is_closed() {
            return;
        }
        self.is_plain = true;
        while let Some(last) = self.under_way.back() {
            if self.under_way.len() == 1 && last.received() > 0 {
                break;
            }
            self.context.counters.add_discarded(last.cancel());
            self.plan.rewind(last.range().start());
            self.under_way.pop_back();
        }
        if self.under_way.is_empty() {
            self.front = None;
        }
        self.plan.set_one();
    }

    /// Returns how many bytes are requested and still to be received.
    fn outstanding(&self) -> u64 {
        self.under_way.iter().map(RangeHandle::outstanding).sum()
    }

    /// Continues with the ranges of `plan`.
    pub(crate) fn follow(&mut self, plan: Plan) {
        self.plan = plan;
    }

    /// Returns whether every range has been requested.
    pub(crate) fn is_all_requested(&self) -> bool {
        self.plan.is_done()
    }

    /// Ends all requests.
    pub(crate) fn clear(&mut self) {
        self.plan = Plan::new(ByteRange::new(0, 0), 1, None);
        self.opening = FuturesOrdered::new();
        self.front = None;
        self.under_way.clear();
    }

    /// Returns the next bytes in order; `None` after the last one.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        loop {
            self.context.limit.register_consumer(cx.waker());
            self.retreat();
            self.merge_the_rest();
            // Start ranges first, because the front range may take long.
            let is_closed = self.poll_start(cx);
            if let Some(body) = &mut self.front {
                if let Some(frame) = ready!(body.poll_frame(cx)) {
                    return Poll::Ready(Some(frame));
                }
                self.front = None;
                self.under_way.pop_front();
                continue;
            }
            if let Some(handle) = self.under_way.front() {
                handle.set_front();
            }
            match ready!(self.opening.poll_next_unpin(cx)) {
                Some(Some(body)) if !body.is_cancelled() => self.front = Some(body),
                // It was cancelled, perhaps after it resolved, and its bytes are planned again.
                Some(_) => {}
                None if self.plan.is_done() || is_closed => return Poll::Ready(None),
                // `FuturesOrdered` is empty, and no permit is free yet.
                None => return Poll::Pending,
            }
        }
    }

    /// Starts as many ranges as the limits allow; returns whether there will be no more permits.
    fn poll_start(&mut self, cx: &mut Context<'_>) -> bool {
        while !self.plan.is_done() {
            self.allow_successor();
            if self.is_far_enough_ahead() {
                return false;
            }
            let permit = match self.permits.poll_acquire(cx) {
                Poll::Ready(Some(permit)) => ConcurrencyLimit::permit(&self.context.limit, permit),
                Poll::Ready(None) => return true,
                Poll::Pending => return false,
            };
            // Cut only now, because the size depends on how many are fetched at the same time.
            let at_once = self.context.limit.target() as u64;
            let (chunk, large) = self.context.limit.chunk_sizes();
            if let Some(range) = self.plan.next(at_once, chunk, large) {
                self.start(range, permit);
            }
        }
        false
    }

    /// Returns whether no further range is to be requested before the front one is delivered. The number of ranges is what
    /// counts, but those after a front range that is larger than they are end sooner than it does: at 3 MiB/s a connection, the
    /// first 4 MiB held up all others for a second.
    fn is_far_enough_ahead(&self) -> bool {
        let most = self.context.max_undelivered();
        let Some(front) = self.under_way.front().filter(|_| self.under_way.len() >= most) else {
            return false;
        };
        let ahead = self.plan.start().saturating_sub(front.range().start());
        !self.context.adaptive || ahead >= front.range().len().saturating_mul(most as u64)
    }

    fn start(&mut self, range: ByteRange, permit: Permit) {
        let (future, handle) = fetch::start(&self.context, range, permit);
        self.opening.push_back(future);
        self.under_way.push_back(handle);
    }

    /// Where one or two connections suffice, allows one more when what is under way is about to end.
    fn allow_successor(&self) {
        let limit = &self.context.limit;
        if !limit.is_steered() || limit.settled_target() > JUST_IN_TIME_MAX {
            return limit.set_successor(false);
        }
        let ahead = limit.just_in_time_bytes();
        limit.set_successor(ahead > 0 && self.outstanding() <= ahead);
    }

    /// Cancels ranges from the back where the controller found that they only share the link with the front range.
    fn retreat(&mut self) {
        let Some(keep) = self.context.limit.take_retreat() else { return };
        // A range has failed for good: what is before it could not be requested again, and what is after it ends anyway.
        if self.context.limit.semaphore().is_closed() {
            return;
        }
        let mut fetching = self.under_way.iter().filter(|range| range.outstanding() > 0).count();
        while fetching > keep.max(1) && self.under_way.len() > 1 {
            let Some(last) = self.under_way.back().filter(|last| last.outstanding() > 0) else { return };
            self.context.counters.add_discarded(last.cancel());
            self.plan.rewind(last.range().start());
            self.under_way.pop_back();
            fetching -= 1;
        }
    }
}

fn ended_early() -> Error {
    Error::new(ErrorKind::Other, "the download ended before it began")
}

#[cfg(test)]
mod tests;
