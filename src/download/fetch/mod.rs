//! One range: the bytes that come, and the way to watch and to cancel them.
//!
//! A range is fetched by a task of its own, so that its socket is read while the consumer is busy. Its frames pass through a
//! queue.

pub(crate) mod checked_get;
pub(crate) mod frame_queue;
pub(crate) mod hedge_budget;
pub(crate) mod hedged;
pub(crate) mod range_request;
pub(crate) mod range_task;
pub(crate) mod side_request;
pub(crate) mod stats;
pub(crate) mod straggler;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::download::concurrency::limit::Permit;
use crate::download::context::DownloadContext;
use crate::download::fetch::frame_queue::{FrameControl, FrameReceiver, frame_queue};
use crate::download::fetch::range_task::{Discovered, RangeTask};
use crate::download::memory::frame::Frame;
use crate::error::Result;
use crate::s3::range::ByteRange;

/// Resolves when the first response for a range was checked, or when there will be none (the body has the reason);
/// `None` where the range was cancelled.
#[derive(Debug)]
pub(crate) struct RangeFuture {
    checked: oneshot::Receiver<Option<Discovered>>,
    body: Option<RangeBody>,
}

impl Future for RangeFuture {
    type Output = Option<RangeBody>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let discovered = ready!(Pin::new(&mut self.checked).poll(cx)).ok().flatten();
        let body = self.body.take().filter(|body| !body.is_cancelled());
        Poll::Ready(body.map(|body| RangeBody { discovered, ..body }))
    }
}

/// The frames of one range, in order. Dropping it ends the fetch.
#[derive(Debug)]
pub(crate) struct RangeBody {
    frames: FrameReceiver,
    discovered: Option<Discovered>,
    _task: AbortOnDropHandle<()>,
}

impl RangeBody {
    /// Returns whether the range was cancelled: then its frames are gone.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.frames.is_cancelled()
    }

    /// Returns what the response showed, of the first range alone.
    pub(crate) fn take_discovered(&mut self) -> Option<Discovered> {
        self.discovered.take()
    }

    /// Returns the next frame; `None` when the range is complete.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        self.frames.poll_frame(cx)
    }
}

/// A range that is requested and not delivered: how far it is, and the way to cancel it.
pub(crate) struct RangeHandle {
    range: ByteRange,
    frames: FrameControl,
    context: Arc<DownloadContext>,
    task: AbortHandle,
}

impl RangeHandle {
    /// Returns the bytes of the range.
    pub(crate) fn range(&self) -> ByteRange {
        self.range
    }

    /// Corrects the bytes of the range: the first response may show that the object is shorter.
    pub(crate) fn set_range(&mut self, range: ByteRange) {
        self.range = range;
    }

    /// Returns how many bytes are still to be received.
    pub(crate) fn outstanding(&self) -> u64 {
        self.range.len().saturating_sub(self.received())
    }

    /// Returns how many of its bytes are received.
    pub(crate) fn received(&self) -> u64 {
        self.frames.received()
    }

    /// Makes it the front range, whose bytes are delivered as they come.
    pub(crate) fn set_front(&self) {
        if self.frames.set_front() {
            self.context.group.window.set_front(self.context.position(self.range.start()));
        }
    }

    /// Ends the fetch and frees the memory; returns how many bytes are thrown away.
    pub(crate) fn cancel(&self) -> u64 {
        self.task.abort();
        self.frames.cancel();
        self.frames.received()
    }
}

/// Starts to fetch `range`.
pub(crate) fn start(
    context: &Arc<DownloadContext>,
    range: ByteRange,
    permit: Permit,
) -> (RangeFuture, RangeHandle) {
    let (sender, frames) = frame_queue(Arc::clone(&context.group.slabs));
    let control = frames.control();
    let (checked_in, checked) = oneshot::channel();
    let task = RangeTask::new(context, range, sender, checked_in);
    let task = context.group.spawn(task.run(permit));
    let handle =
        RangeHandle { range, frames: control, context: Arc::clone(context), task: task.abort_handle() };
    let body = RangeBody { frames, discovered: None, _task: AbortOnDropHandle::new(task) };
    (RangeFuture { checked, body: Some(body) }, handle)
}

#[cfg(test)]
mod tests;
