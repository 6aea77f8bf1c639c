//! The memory window: how many body bytes downloads may hold between the sockets and the consumer.
//!
//! A range reserves memory for what it is about to read; each frame carries its part of the reservation and returns it when it
//! is dropped. When memory is short it is given by order in the output: to the front range first, for which a part of the
//! window is kept, so that a download can never block itself with bytes that are not next. Once ranges have been late the
//! window is wider, so that later ranges keep flowing.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::download::sync::{Mutex, MutexGuard};

/// The part of the window that only the front range may use: one in so many, and at most a few large frames.
const FRONT_SHARE: usize = 8;
const FRONT_MAX: usize = 4 << 20;

/// The place of a byte in the output: the object, counted from the first one of the run, and the offset in it. Requests for
/// connections are ordered by a `RequestOrder`, which counts the objects of the process: runs share connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OutputPosition {
    pub(crate) object: u64,
    pub(crate) offset: u64,
}

/// Memory for body bytes, counted in bytes.
#[derive(Debug, Clone)]
pub(crate) struct MemoryWindow(Arc<Mutex<WindowState>>);

#[derive(Debug)]
struct WindowState {
    /// The size of the window.
    bytes: usize,
    free: usize,
    /// Where the front range begins.
    front: OutputPosition,
    /// The ranges that wait for memory, by where they begin.
    waiting: BTreeMap<OutputPosition, WaitingRange>,
}

#[derive(Debug)]
struct WaitingRange {
    bytes: usize,
    waker: Waker,
}

/// A part of the window; dropping it gives it back.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    /// `None` for a reservation of nothing.
    window: Option<MemoryWindow>,
    bytes: usize,
}

impl MemoryWindow {
    /// Creates a window of `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).max(1);
        Self(Arc::new(Mutex::new(WindowState {
            bytes,
            free: bytes,
            front: OutputPosition::default(),
            waiting: BTreeMap::new(),
        })))
    }

    /// Reserves up to `bytes`, at least one, for the range that begins at `start`; waits for its turn.
    pub(crate) async fn reserve(&self, start: OutputPosition, bytes: usize) -> Reservation {
        let _turn = WaiterGuard { window: self, start };
        poll_fn(|cx| self.poll_reserve(start, bytes, cx)).await
    }

    /// Returns its size in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.state().bytes as u64
    }

    /// Makes the window at least `bytes` large.
    pub(crate) fn widen_to(&self, bytes: u64) {
        let now = self.bytes();
        if bytes > now {
            self.widen(bytes - now);
        }
    }

    /// Makes the window larger.
    pub(crate) fn widen(&self, more: u64) {
        let mut state = self.state();
        let more = usize::try_from(more).unwrap_or(usize::MAX).min(usize::MAX - state.bytes);
        state.bytes += more;
        state.free += more;
        wake_next(state);
    }

    /// Notes that the front range is now the one that begins at `start`.
    pub(crate) fn set_front(&self, start: OutputPosition) {
        let mut state = self.state();
        state.front = start;
        wake_next(state);
    }

    /// Returns whether a range waits for memory.
    pub(crate) fn is_full(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    fn poll_reserve(&self, start: OutputPosition, bytes: usize, cx: &mut Context<'_>) -> Poll<Reservation> {
        let mut state = self.state();
        let granted = state.grant(start, bytes);
        if granted == 0 {
            state.waiting.insert(start, WaitingRange { bytes, waker: cx.waker().clone() });
            return Poll::Pending;
        }
        state.waiting.remove(&start);
        state.free -= granted;
        wake_next(state);
        Poll::Ready(Reservation { window: Some(self.clone()), bytes: granted })
    }

    fn state(&self) -> MutexGuard<'_, WindowState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WindowState {
    /// Returns how much of `bytes` the range at `start` may have now. The front range takes whatever is free. Others get all they
    /// ask for or nothing, after earlier ranges and the front range's reserve.
    fn grant(&self, start: OutputPosition, bytes: usize) -> usize {
        if start <= self.front {
            return bytes.min(self.free);
        }
        let kept = (self.bytes / FRONT_SHARE).clamp(1, FRONT_MAX);
        let bytes = bytes.min(self.bytes - kept);
        let first = self.waiting.first_key_value().is_none_or(|(before, _)| start <= *before);
        if first && self.free >= bytes + kept { bytes } else { 0 }
    }
}

/// Wakes the first waiting range if there is memory for it now; that one wakes the next.
fn wake_next(mut state: MutexGuard<'_, WindowState>) {
    let Some((&start, waiting)) = state.waiting.first_key_value() else { return };
    if state.grant(start, waiting.bytes) > 0
        && let Some(woken) = state.waiting.remove(&start)
    {
        drop(state);
        woken.waker.wake();
    }
}

/// A place among the waiting ranges, given up when the wait ends.
struct WaiterGuard<'a> {
    window: &'a MemoryWindow,
    start: OutputPosition,
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.window.state();
        state.waiting.remove(&self.start);
        wake_next(state);
    }
}

impl Reservation {
    /// Returns how many bytes are reserved.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Splits off a part of up to `bytes`; less if there is less.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { window: self.window.clone(), bytes }
    }

    /// Adds the reservation `other`.
    pub(crate) fn merge(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
        if self.window.is_none() {
            self.window = other.window.take();
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(window) = &self.window
            && self.bytes > 0
        {
            let mut state = window.state();
            state.free += self.bytes;
            wake_next(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn at(offset: u64) -> OutputPosition {
        OutputPosition { object: 0, offset }
    }

    /// Returns what the range at `start` gets immediately.
    fn now(window: &MemoryWindow, start: u64, bytes: usize) -> Option<Reservation> {
        Box::pin(window.reserve(at(start), bytes)).now_or_never()
    }

    #[tokio::test]
    async fn room_comes_back_by_parts_and_goes_by_the_order_of_the_object() {
        let window = MemoryWindow::new(16);
        let mut first = now(&window, 5, 12).unwrap();
        let mut later = Box::pin(window.reserve(at(30), 4));
        assert!((&mut later).now_or_never().is_none());
        let mut sooner = Box::pin(window.reserve(at(20), 8));
        assert!((&mut sooner).now_or_never().is_none());
        assert!(now(&window, 40, 1).is_none(), "a waiting range is not overtaken");
        let part = first.split(6);
        assert_eq!((first.bytes(), part.bytes()), (6, 6));
        drop(part);
        let sooner = sooner.now_or_never().unwrap();
        assert_eq!(sooner.bytes(), 8);
        assert!((&mut later).now_or_never().is_none());
        drop(first);
        assert_eq!(later.now_or_never().unwrap().bytes(), 4);
    }

    #[tokio::test]
    async fn the_front_range_always_finds_room() {
        let window = MemoryWindow::new(16);
        let other = now(&window, 20, 100).unwrap();
        assert_eq!(other.bytes(), 14, "two are for the front range");
        assert!(now(&window, 10, 2).is_none());
        let mut front = Box::pin(window.reserve(at(10), 5));
        assert!((&mut front).now_or_never().is_none());
        window.set_front(at(10));
        let front = front.now_or_never().unwrap();
        assert_eq!(front.bytes(), 2, "it takes what there is");
        let mut more = Box::pin(window.reserve(at(10), 5));
        assert!((&mut more).now_or_never().is_none());
        drop(front);
        assert_eq!(more.now_or_never().unwrap().bytes(), 2);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_holds_up_nobody() {
        let window = MemoryWindow::new(16);
        let held = now(&window, 5, 12).unwrap();
        let mut given_up = Box::pin(window.reserve(at(10), 8));
        assert!((&mut given_up).now_or_never().is_none());
        let mut other = Box::pin(window.reserve(at(20), 2));
        assert!((&mut other).now_or_never().is_none());
        drop(given_up);
        assert_eq!(other.now_or_never().unwrap().bytes(), 2);
        drop(held);
    }

    #[tokio::test]
    async fn a_window_of_one_byte_is_for_the_front_range() {
        let window = MemoryWindow::new(1);
        assert!(now(&window, 10, 1).is_none());
        window.set_front(at(10));
        assert_eq!(now(&window, 10, 5).unwrap().bytes(), 1);
        assert_eq!(now(&window, 10, 5).unwrap().bytes(), 1, "it came back");
    }

    #[tokio::test]
    async fn a_wider_window_is_for_all() {
        let window = MemoryWindow::new(16);
        let _held = now(&window, 20, 14).unwrap();
        let mut more = Box::pin(window.reserve(at(30), 10));
        assert!((&mut more).now_or_never().is_none());
        window.widen(16);
        let _more = more.now_or_never().unwrap();
        assert!(now(&window, 40, 5).is_none(), "four are for the front range");
        window.set_front(at(10));
        assert_eq!(now(&window, 10, 9).unwrap().bytes(), 8);
    }

    #[tokio::test]
    async fn an_earlier_object_comes_first_whatever_the_offset() {
        let window = MemoryWindow::new(16);
        let held = now(&window, 5, 14).unwrap();
        let mut later = Box::pin(window.reserve(OutputPosition { object: 1, offset: 0 }, 4));
        assert!((&mut later).now_or_never().is_none());
        let mut sooner = Box::pin(window.reserve(at(1000), 14));
        assert!((&mut sooner).now_or_never().is_none());
        drop(held);
        let sooner = sooner.now_or_never().unwrap();
        assert_eq!(sooner.bytes(), 14);
        assert!((&mut later).now_or_never().is_none());
        window.set_front(OutputPosition { object: 1, offset: 0 });
        assert_eq!(later.now_or_never().unwrap().bytes(), 2, "the front range takes what is left");
    }

    #[tokio::test]
    async fn rooms_merge_and_no_more_is_split_off_than_there_is() {
        let window = MemoryWindow::new(10);
        let mut room = Reservation::default();
        room.merge(now(&window, 0, 3).unwrap());
        room.merge(now(&window, 0, 4).unwrap());
        room.merge(Reservation::default());
        assert_eq!((room.split(100).bytes(), room.bytes(), room.split(1).bytes()), (7, 0, 0));
        assert_eq!(now(&window, 0, usize::MAX).unwrap().bytes(), 10);
    }
}
