//! The queue of frames between the task of one range and the ordered stream.
//!
//! It has no limit of its own, because every frame in it holds a reservation in the memory window. Unlike a channel it
//! shows the task whether its range is the front one, whose bytes are delivered as they arrive; and a task that ends
//! without finishing the queue is an error, never a short range.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use crate::download::memory::frame::Frame;
use crate::download::memory::slab::{FrameCoalescer, Slabs};
use crate::download::memory::window::Reservation;
use crate::download::sync::{AtomicBool, AtomicU64, AtomicWaker, Mutex, MutexGuard};
use crate::error::{Error, Result};

/// Frames of the front range that may wait without holding up the reading of its socket.
const FRONT_FRAMES_MAX: usize = 2;

#[derive(Debug)]
struct FrameQueue {
    queue: Mutex<Queue>,
    consumer: AtomicWaker,
    fetch: AtomicWaker,
    is_front: AtomicBool,
    /// Bytes of the range that were put in.
    received: AtomicU64,
    is_cancelled: AtomicBool,
}

#[derive(Debug)]
struct Queue {
    frames: VecDeque<Frame>,
    /// The bytes after those of `frames`: they wait in a slab until it is full, or the consumer wants them.
    coalescer: FrameCoalescer,
    end: Option<Result<()>>,
}

/// The end into which the task puts frames.
#[derive(Debug)]
pub(crate) struct FrameSender(Arc<FrameQueue>);

/// The end from which the ordered stream takes them.
#[derive(Debug)]
pub(crate) struct FrameReceiver(Arc<FrameQueue>);

/// A view of the queue, to make its range the front one or to cancel it.
#[derive(Debug)]
pub(crate) struct FrameControl(Arc<FrameQueue>);

/// Returns the two ends of an empty queue, whose bytes wait in `slabs`.
pub(crate) fn frame_queue(slabs: Arc<Slabs>) -> (FrameSender, FrameReceiver) {
    let queue = Queue { frames: VecDeque::new(), coalescer: FrameCoalescer::new(slabs), end: None };
    let shared = Arc::new(FrameQueue {
        queue: Mutex::new(queue),
        consumer: AtomicWaker::new(),
        fetch: AtomicWaker::new(),
        is_front: AtomicBool::new(false),
        received: AtomicU64::new(0),
        is_cancelled: AtomicBool::new(false),
    });
    (FrameSender(Arc::clone(&shared)), FrameReceiver(shared))
}

impl FrameSender {
    /// Puts a frame in as it is.
    pub(crate) fn push(&self, frame: Frame) {
        let mut queue = self.0.queue();
        if self.0.is_cancelled() {
            return;
        }
        let waiting = queue.coalescer.take();
        queue.frames.extend(waiting);
        queue.frames.push_back(frame);
        drop(queue);
        self.0.consumer.wake();
    }

    /// Copies `data`, for which `room` is reserved. `left` is how many bytes the range still has, `data` included.
    pub(crate) fn pack(&self, mut data: &[u8], mut left: u64, mut room: Reservation) {
        let mut queue = self.0.queue();
        if self.0.is_cancelled() {
            return;
        }
        while !data.is_empty() {
            let count = queue.coalescer.pack(data, left, &mut room);
            data = &data[count..];
            left -= count as u64;
            if queue.coalescer.is_full() {
                let full = queue.coalescer.take();
                queue.frames.extend(full);
            }
        }
        drop(queue);
        self.0.consumer.wake();
    }

    /// Notes that so many bytes of the range were put in.
    pub(crate) fn set_received(&self, bytes: u64) {
        self.0.received.store(bytes, Ordering::Relaxed);
    }

    /// Returns whether this is the front range; if it is not, the task is woken when it becomes that.
    pub(crate) fn poll_is_front(&self, cx: &Context<'_>) -> bool {
        self.0.fetch.register(cx.waker());
        self.0.is_front.load(Ordering::Relaxed)
    }

    /// Waits, in the front range, until the consumer has caught up: bytes that it cannot take yet are better left with the kernel
    /// than moved to memory that goes cold. In other ranges it returns immediately.
    pub(crate) async fn wait_for_consumer(&self) {
        poll_fn(|cx| {
            self.0.fetch.register(cx.waker());
            let behind =
                self.0.is_front.load(Ordering::Relaxed) && self.0.queue().frames.len() >= FRONT_FRAMES_MAX;
            if behind { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Ends the queue: the range is complete, or it failed.
    pub(crate) fn finish(&self, end: Result<()>) {
        self.0.queue().end.get_or_insert(end);
        self.0.consumer.wake();
    }
}

impl Drop for FrameSender {
    fn drop(&mut self) {
        self.finish(Err(Error::ended_early()));
    }
}

impl FrameControl {
    /// Returns how many bytes of the range were put in.
    pub(crate) fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Makes the range the front one; returns whether it was not before.
    pub(crate) fn set_front(&self) -> bool {
        let is_new = !self.0.is_front.swap(true, Ordering::Relaxed);
        if is_new {
            self.0.fetch.wake();
        }
        is_new
    }

    /// Throws the frames away, and those that a task on another thread is about to put in: the range will not be
    /// delivered.
    pub(crate) fn cancel(&self) {
        let mut queue = self.0.queue();
        // Under the lock: what is put in afterwards would hold memory until the range's turn had come.
        self.0.is_cancelled.store(true, Ordering::Relaxed);
        queue.frames.clear();
        drop(queue.coalescer.take());
        drop(queue);
        self.0.consumer.wake();
    }
}

impl FrameReceiver {
    /// Returns a view of the queue.
    pub(crate) fn control(&self) -> FrameControl {
        FrameControl(Arc::clone(&self.0))
    }

    /// Returns whether the range was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns the next frame; `None` when the range is complete.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        self.0.consumer.register(cx.waker());
        let mut queue = self.0.queue();
        if let Some(frame) = queue.frames.pop_front().or_else(|| queue.coalescer.take()) {
            self.0.fetch.wake();
            return Poll::Ready(Some(Ok(frame)));
        }
        match queue.end.as_mut().map(|end| std::mem::replace(end, Ok(()))) {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(e)) => Poll::Ready(Some(Err(e))),
            None => Poll::Pending,
        }
    }
}

impl FrameQueue {
    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::download::memory::window::{MemoryWindow, OutputPosition};
    use bytes::Bytes;
    use futures_util::FutureExt;

    async fn frame(bytes: &'static [u8]) -> Frame {
        Frame::new(
            Bytes::from_static(bytes),
            MemoryWindow::new(10).reserve(OutputPosition::default(), 1).await,
        )
    }

    #[tokio::test]
    async fn frames_come_in_order_and_then_the_end() {
        let (sender, mut receiver) = frame_queue(Arc::default());
        sender.push(frame(b"a").await);
        sender.push(frame(b"b").await);
        sender.finish(Ok(()));
        let mut next = async || poll_fn(|cx| receiver.poll_frame(cx)).await;
        assert_eq!(&*next().await.unwrap().unwrap(), b"a");
        assert_eq!(&*next().await.unwrap().unwrap(), b"b");
        assert!(next().await.is_none());
        assert!(next().await.is_none());
    }

    #[tokio::test]
    async fn packed_bytes_gather_until_they_are_wanted_and_keep_their_order() {
        let (sender, mut receiver) = frame_queue(Arc::default());
        let window = MemoryWindow::new(100);
        for bytes in [b"ab", b"cd"] {
            sender.pack(bytes, 10, window.reserve(OutputPosition::default(), 2).await);
        }
        sender.push(frame(b"e").await);
        sender.pack(b"f", 10, window.reserve(OutputPosition::default(), 1).await);
        sender.finish(Ok(()));
        let mut next = async || poll_fn(|cx| receiver.poll_frame(cx)).await;
        for want in [&b"abcd"[..], b"e", b"f"] {
            assert_eq!(&*next().await.unwrap().unwrap(), want);
        }
        assert!(next().await.is_none());
        assert_eq!(window.reserve(OutputPosition::default(), 100).await.bytes(), 100, "all room came back");
    }

    #[tokio::test]
    async fn a_fetch_that_dies_is_an_error_behind_its_frames() {
        let (sender, mut receiver) = frame_queue(Arc::default());
        sender.push(frame(b"a").await);
        drop(sender);
        let mut next = async || poll_fn(|cx| receiver.poll_frame(cx)).await;
        assert!(next().await.unwrap().is_ok());
        assert!(next().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn only_the_head_keeps_pace_with_the_consumer() {
        let (sender, mut receiver) = frame_queue(Arc::default());
        let is_front =
            |sender: &FrameSender| poll_fn(|cx| Poll::Ready(sender.poll_is_front(cx))).now_or_never();
        assert_eq!(is_front(&sender), Some(false));
        for _ in 0..FRONT_FRAMES_MAX {
            sender.push(frame(b"a").await);
        }
        assert!(sender.wait_for_consumer().now_or_never().is_some());
        assert!(receiver.control().set_front() && !receiver.control().set_front());
        for _ in 0..FRONT_FRAMES_MAX {
            assert!(poll_fn(|cx| receiver.poll_frame(cx)).await.is_some());
            sender.push(frame(b"a").await);
        }
        assert_eq!(is_front(&sender), Some(true));
        assert!(sender.wait_for_consumer().now_or_never().is_none());
        assert!(poll_fn(|cx| receiver.poll_frame(cx)).await.is_some());
        assert!(sender.wait_for_consumer().now_or_never().is_some());
    }
}
