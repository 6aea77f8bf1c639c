//! The task of a range without a network: what `src/download/fetch/range_task.rs` does with permits, memory and its queue, in
//! that order, for bytes that are there.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt as _;
use shuttle::future::{self, AbortHandle, JoinHandle};
use shuttle::sync::atomic::Ordering::SeqCst;
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::frame_queue::{FrameControl, FrameReceiver, FrameSender, frame_queue};
use crate::limit::Permit;
use crate::range::ByteRange;
use crate::slab::Slabs;
use crate::window::{OutputPosition, Reservation};
use context::DownloadContext;

/// The most bytes that arrive at a time.
const PIECE_BYTES: usize = 2;

/// The state that the ranges of a download share.
pub(crate) mod context {
    use std::sync::Arc;

    use bytes::Bytes;
    use shuttle::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use crate::counters::Counters;
    use crate::limit::ConcurrencyLimit;
    use crate::window::MemoryWindow;

    /// Those that the ordered stream reads.
    pub(crate) struct Limits {
        pub(crate) chunk: u64,
        pub(crate) adaptive: bool,
    }

    pub(crate) struct DownloadContext {
        pub(crate) object: Bytes,
        /// The range that contains this byte fails.
        pub(crate) fails_at: Option<u64>,
        pub(crate) may_retreat: bool,
        pub(crate) permits: Arc<ConcurrencyLimit>,
        pub(crate) window: MemoryWindow,
        pub(crate) counters: Counters,
        pub(crate) limits: Limits,
        pub(crate) has_failed: AtomicBool,
        /// No response here leaves open which bytes it has.
        pub(crate) is_plain: AtomicBool,
    }

    impl DownloadContext {
        pub(crate) fn limits(&self) -> &Limits {
            &self.limits
        }

        pub(crate) fn max_undelivered(&self, connections: usize) -> usize {
            connections + connections / 4 + 1
        }

        pub(crate) fn has_failed(&self) -> bool {
            self.has_failed.load(SeqCst)
        }
    }
}

/// The first response shows nothing new here.
#[derive(Debug)]
pub(crate) struct Discovered {
    pub(crate) first: ByteRange,
}

pub(crate) struct RangeFuture {
    checked: oneshot::Receiver<()>,
    body: Option<RangeBody>,
}

impl Future for RangeFuture {
    type Output = Option<RangeBody>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _ = ready!(Pin::new(&mut self.checked).poll(cx));
        Poll::Ready(self.body.take().filter(|body| !body.is_cancelled()))
    }
}

pub(crate) struct RangeBody {
    frames: FrameReceiver,
    task: JoinHandle<()>,
}

impl RangeBody {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.frames.is_cancelled()
    }

    pub(crate) fn take_discovered(&mut self) -> Option<Discovered> {
        None
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        self.frames.poll_frame(cx)
    }
}

impl Drop for RangeBody {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) struct RangeHandle {
    range: ByteRange,
    frames: FrameControl,
    context: Arc<DownloadContext>,
    task: AbortHandle,
}

impl RangeHandle {
    pub(crate) fn range(&self) -> ByteRange {
        self.range
    }

    pub(crate) fn set_range(&mut self, range: ByteRange) {
        self.range = range;
    }

    pub(crate) fn outstanding(&self) -> u64 {
        self.range.len().saturating_sub(self.received())
    }

    pub(crate) fn received(&self) -> u64 {
        self.frames.received()
    }

    pub(crate) fn set_front(&self) {
        if self.frames.set_front() {
            self.context.window.set_front(position(self.range));
        }
    }

    pub(crate) fn cancel(&self) -> u64 {
        self.task.abort();
        self.frames.cancel();
        self.frames.received()
    }
}

fn position(range: ByteRange) -> OutputPosition {
    OutputPosition { object: 0, offset: range.start() }
}

pub(crate) fn start(
    context: &Arc<DownloadContext>,
    range: ByteRange,
    permit: Permit,
) -> (RangeFuture, RangeHandle) {
    let (queue, frames) = frame_queue(Arc::<Slabs>::default());
    let control = frames.control();
    let (checked_in, checked) = oneshot::channel();
    let task =
        RangeTask { context: Arc::clone(context), range, done: 0, room: Reservation::default(), queue };
    let task = future::spawn(task.run(permit, checked_in));
    let handle =
        RangeHandle { range, frames: control, context: Arc::clone(context), task: task.abort_handle() };
    (RangeFuture { checked, body: Some(RangeBody { frames, task }) }, handle)
}

struct RangeTask {
    context: Arc<DownloadContext>,
    range: ByteRange,
    done: u64,
    room: Reservation,
    queue: FrameSender,
}

impl RangeTask {
    async fn run(mut self, permit: Permit, checked: oneshot::Sender<()>) {
        // Nobody waits any more only when the download was dropped.
        let _ = checked.send(());
        while self.done < self.range.len() {
            self.queue.wait_for_consumer().await;
            self.reserve_memory(PIECE_BYTES).await;
            // The bytes come later.
            future::yield_now().await;
            let at = self.range.start() + self.done;
            if self.context.fails_at == Some(at) {
                self.queue.finish(Err(Error::new(ErrorKind::Network, "it fails for good")));
                return self.context.has_failed.store(true, SeqCst);
            }
            let end = self.range.end().min(at + PIECE_BYTES as u64);
            let data = self.context.object.slice(at as usize..end as usize);
            self.queue_bytes(data).await;
        }
        self.queue.finish(Ok(()));
        drop(permit);
    }

    async fn reserve_memory(&mut self, bytes: usize) {
        let left = (self.range.len() - self.done) as usize;
        let more = bytes.min(left).saturating_sub(self.room.bytes());
        if more == 0 {
            return;
        }
        let mut room = pin!(self.context.window.reserve(position(self.range), more));
        if self.room.bytes() == 0 {
            self.room = room.await;
        } else if let Some(room) = room.as_mut().now_or_never() {
            self.room.merge(room);
        }
    }

    async fn queue_bytes(&mut self, mut data: Bytes) {
        while !data.is_empty() {
            self.reserve_memory(data.len()).await;
            let left = self.range.len() - self.done;
            let part = data.split_to(data.len().min(self.room.bytes()));
            self.done += part.len() as u64;
            // Counted here, and not as it is read: the front range may read a whole buffer for a part of the memory.
            self.context.counters.add_fetched(part.len());
            self.queue.set_received(self.done);
            let room = self.room.split(part.len());
            if self.done.is_multiple_of(4) {
                self.queue.push(Frame::new(part, room));
            } else {
                self.queue.pack(&part, left, room);
            }
        }
    }
}
