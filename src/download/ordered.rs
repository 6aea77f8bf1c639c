//! Ranges in the order of the object: `StreamExt::buffered`, with a limit that moves and bodies that flow.
//!
//! A `FuturesOrdered` of range futures, each of which resolves when its first response has been checked, to a body whose
//! frames flow from then on. The limit is the number of permits and, for ranges that wait to be delivered, a length. Both are
//! for all objects of a run: an object whose turn has not come starts its ranges after those of the objects before it
//! ([`Undelivered`]). Ranges that turn out to share a full link with the front range are cancelled from the back, and planned
//! again.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use futures_util::stream::{FuturesOrdered, StreamExt};

use crate::download::concurrency::limit::Permit;
use crate::download::context::DownloadContext;
use crate::download::fetch::range_task::Discovered;
use crate::download::fetch::{self, RangeBody, RangeFuture, RangeHandle};
use crate::download::memory::frame::Frame;
use crate::download::plan::Plan;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::range::ByteRange;

/// Ranges that are requested and not delivered, of the objects up to some place in the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Undelivered {
    pub(crate) ranges: usize,
    /// The bytes from the beginning of the front range to that place.
    pub(crate) bytes: u64,
    /// The bytes up to that place that are still to be received.
    pub(crate) outstanding: u64,
    /// The bytes of the front range; 0 while there is none.
    pub(crate) front: u64,
}

/// Adds what is undelivered of a later object.
impl Add for Undelivered {
    type Output = Self;

    fn add(self, later: Self) -> Self {
        Self {
            ranges: self.ranges + later.ranges,
            bytes: self.bytes.saturating_add(later.bytes),
            outstanding: self.outstanding.saturating_add(later.outstanding),
            front: if self.ranges == 0 { later.front } else { self.front },
        }
    }
}

impl Undelivered {
    /// Returns whether no further range is to be requested before the front one is delivered, where `extra` more are
    /// fetched than usual. The number of ranges is what counts, but those after a front range that is larger than they
    /// are end sooner than it does: at 3 MiB/s a connection, the first 4 MiB held up all others for a second.
    pub(crate) fn is_far_enough_ahead(&self, context: &DownloadContext, extra: usize) -> bool {
        let most = context.max_undelivered(context.permits.target() + extra);
        let is_long = !context.limits().adaptive || self.bytes >= self.front.saturating_mul(most as u64);
        self.ranges > 0 && self.ranges >= most && is_long
    }
}

/// The ranges of one object, in order.
pub(crate) struct OrderedRanges {
    context: Arc<DownloadContext>,
    plan: Plan,
    /// Each resolves when its first response has been checked.
    opening: FuturesOrdered<RangeFuture>,
    /// The range whose bytes go out next.
    front: Option<RangeBody>,
    /// All ranges that are requested and not delivered, in order, the front one included.
    under_way: VecDeque<RangeHandle>,
    /// Set once the rest of the object is one plain GET.
    is_plain: bool,
    /// The offset in the object of the next byte to deliver, once it is known.
    next: Option<u64>,
}

impl OrderedRanges {
    /// Creates a stream of no ranges: the plan is empty until [`OrderedRanges::follow`] sets it.
    pub(crate) fn new(context: &Arc<DownloadContext>) -> Self {
        Self {
            context: Arc::clone(context),
            plan: Plan::new(ByteRange::new(0, 0), context.limits().chunk, None),
            opening: FuturesOrdered::new(),
            front: None,
            under_way: VecDeque::new(),
            is_plain: false,
            next: None,
        }
    }

    /// Requests `range` with `permit` and returns what its first response shows.
    pub(crate) async fn discover(&mut self, range: ByteRange, permit: Permit) -> Result<Discovered> {
        self.start(range, permit);
        let Some(Some(mut body)) = self.opening.next().await else { return Err(ended_before_start()) };
        let Some(discovered) = body.take_discovered() else {
            // It ended without a response: the body has the reason.
            let ended = poll_fn(|cx| body.poll_frame(cx)).await;
            return Err(ended.and_then(Result::err).unwrap_or_else(ended_before_start));
        };
        if let Some(handle) = self.under_way.back_mut() {
            handle.set_range(discovered.first);
        }
        self.front = Some(body);
        self.next = Some(discovered.first.start());
        self.is_plain = self.context.is_plain.load(Ordering::Relaxed);
        Ok(discovered)
    }

    /// Gives the first range priority: the turn of this object has come.
    pub(crate) fn set_front(&self) {
        if let Some(handle) = self.under_way.front() {
            handle.set_front();
        }
    }

    /// Returns what is requested and not delivered; the bytes that are not requested yet are outstanding too, but nothing
    /// else.
    pub(crate) fn undelivered(&self) -> Undelivered {
        let front = self.under_way.front().map(RangeHandle::range);
        Undelivered {
            ranges: self.under_way.len(),
            bytes: front.map_or(0, |front| self.plan.start().saturating_sub(front.start())),
            outstanding: self.outstanding().saturating_add(self.plan.left()),
            front: front.map_or(0, ByteRange::len),
        }
    }

    /// Replaces the ranges after the front one by a single GET without `Range`, once a response in the middle of the object did
    /// not show which bytes it had. The front range is replaced too if it has brought nothing.
    fn merge_the_rest(&mut self) {
        let is_plain = self.context.is_plain.load(Ordering::Relaxed);
        if self.is_plain || !is_plain || self.context.has_failed() {
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

    /// Returns how many ranges are requested and not received.
    pub(crate) fn fetching(&self) -> usize {
        self.under_way.iter().filter(|range| range.outstanding() > 0).count()
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
            self.context.permits.register_consumer(cx.waker());
            if let Some(keep) = self.context.permits.orders.take_retreat() {
                self.retreat(keep);
            }
            // Start ranges first, because the front range may take long.
            self.start_ranges(&Undelivered::default());
            if let Some(body) = &mut self.front {
                if let Some(frame) = ready!(body.poll_frame(cx)) {
                    if let (Some(next), Ok(frame)) = (&mut self.next, &frame) {
                        *next += frame.len() as u64;
                    }
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
                Some(Some(body)) if !body.is_cancelled() => {
                    self.check_order()?;
                    self.front = Some(body);
                }
                // It was cancelled, perhaps after it resolved, and its bytes are planned again.
                Some(_) => {}
                None if self.plan.is_done() || self.context.has_failed() => return Poll::Ready(None),
                // `FuturesOrdered` is empty, and no permit is free yet.
                None => return Poll::Pending,
            }
        }
    }

    /// Fails if the front range does not begin where the last one ended. No order of events is known in which it does, and if
    /// there is one, the output has to end before the gap.
    fn check_order(&mut self) -> Result<()> {
        let Some(start) = self.under_way.front().map(|front| front.range().start()) else { return Ok(()) };
        match *self.next.get_or_insert(start) {
            next if next == start => Ok(()),
            next => Err(Error::new(
                ErrorKind::Other,
                format!(
                    "this is a bug in s3fcp: byte {start} of the object would come where byte {next} belongs"
                ),
            )),
        }
    }

    /// Starts as many ranges as the limits allow, after what is undelivered of the objects `before` this one.
    pub(crate) fn start_ranges(&mut self, before: &Undelivered) {
        self.merge_the_rest();
        while !self.plan.is_done() && !self.context.has_failed() {
            let Some(permit) = self.permit(before) else { return };
            self.start_next(permit);
        }
    }

    /// Requests the next range now if none is under way: the turn of this object has come, and ranges of later ones may
    /// hold all permits while they wait for memory. Returns whether it did.
    pub(crate) fn start_front(&mut self) -> bool {
        let is_due = self.under_way.is_empty() && !self.plan.is_done() && !self.context.has_failed();
        if is_due {
            self.start_next(self.context.permits.take());
        }
        is_due
    }

    fn start_next(&mut self, permit: Permit) {
        let permits = &self.context.permits;
        // Cut only now, because the size depends on how many are fetched at the same time.
        let concurrent = permits.target() as u64;
        let (chunk, large) = permits.orders.chunk_sizes();
        // The first one of the run was the one that discovered an object.
        let number = permits.given().saturating_sub(2) as u64;
        if let Some(range) = self.plan.next(number, concurrent, chunk, large) {
            self.start(range, permit);
        }
    }

    /// Returns a permit for the next range, if it may be requested.
    fn permit(&self, before: &Undelivered) -> Option<Permit> {
        let extra = self.successors_due(before);
        let is_enough = (*before + self.undelivered()).is_far_enough_ahead(&self.context, extra);
        if is_enough { None } else { self.context.permits.try_acquire(extra) }
    }

    fn start(&mut self, range: ByteRange, permit: Permit) {
        let (future, handle) = fetch::start(&self.context, range, permit);
        self.opening.push_back(future);
        self.under_way.push_back(handle);
    }

    /// Returns how many more ranges than usual may be requested: one more than are under way where one or two connections
    /// suffice, and what is under way is about to end.
    fn successors_due(&self, before: &Undelivered) -> usize {
        let permits = &self.context.permits;
        let ahead = self.successor_bytes();
        let is_due = ahead > 0 && before.outstanding + self.outstanding() <= ahead;
        if is_due { (permits.in_use() + 1).saturating_sub(permits.target()) } else { 0 }
    }

    /// Returns below how many bytes under way the next range is requested though enough ranges are; 0 where none is.
    /// Where few connections fill the link, it is requested just before the last byte of those under way, so that no
    /// response latency is lost; with more of them some always flow.
    fn successor_bytes(&self) -> u64 {
        let permits = &self.context.permits;
        if permits.is_link_full() { permits.orders.just_in_time_bytes() } else { 0 }
    }

    /// Cancels ranges from the back until `keep` are fetched, because the controller found that they only share the link with
    /// the front range. Those that would be requested again immediately, because what is before them is about to end, are kept.
    pub(crate) fn retreat(&mut self, keep: usize) {
        // A range has failed for good: what is before it could not be requested again, and what is after it ends anyway.
        if self.context.has_failed() {
            return;
        }
        let ahead = self.successor_bytes();
        let (mut fetching, mut outstanding) = (self.fetching(), self.outstanding());
        while fetching > keep.max(1) && self.under_way.len() > 1 {
            let Some(last) = self.under_way.back().filter(|last| last.outstanding() > 0) else { return };
            outstanding = outstanding.saturating_sub(last.outstanding());
            if outstanding <= ahead {
                return;
            }
            self.context.counters.add_discarded(last.cancel());
            self.plan.rewind(last.range().start());
            self.under_way.pop_back();
            fetching -= 1;
        }
    }
}

fn ended_before_start() -> Error {
    Error::new(ErrorKind::Other, "the download ended before it began")
}

#[cfg(test)]
mod tests;
