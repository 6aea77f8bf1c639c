//! The window: how many body bytes a download may hold at once, wherever they are.
//!
//! A range reserves room for all its bytes before it is asked for; each frame takes its part of that
//! room along and gives it back when it is dropped. Rooms are given in the order in which they are
//! asked for, so the head of the line always has its own and the download cannot lock itself up.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory for body bytes, counted in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    free: Arc<Semaphore>,
    bytes: usize,
}

/// A part of the window; dropping it gives it back.
#[derive(Debug, Default)]
pub(crate) struct Room {
    permit: Option<OwnedSemaphorePermit>,
}

impl Window {
    /// A window of so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(bytes)), bytes }
    }

    /// Room for `bytes`, or for as many as the whole window has; waits for its turn.
    pub(crate) async fn reserve(&self, bytes: u64) -> Room {
        let bytes = u32::try_from(bytes.min(self.bytes as u64)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Room { permit: Arc::clone(&self.free).acquire_many_owned(bytes).await.ok() }
    }
}

impl Room {
    /// How many bytes have room here.
    pub(crate) fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Parts with room for up to `bytes`; less where there is less.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes());
        Self { permit: self.permit.as_mut().and_then(|p| p.split(bytes)) }
    }

    /// Adds what `other` has.
    pub(crate) fn merge(&mut self, other: Self) {
        match (&mut self.permit, other.permit) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine, theirs) => *mine = mine.take().or(theirs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn room_comes_back_by_parts_and_in_order() {
        let window = Window::new(10);
        let mut first = window.reserve(8).await;
        let mut second = Box::pin(window.reserve(8));
        assert!((&mut second).now_or_never().is_none());
        // A small reservation does not overtake a large one that waits.
        let mut third = Box::pin(window.reserve(1));
        assert!((&mut third).now_or_never().is_none());
        let part = first.split(6);
        assert_eq!((first.bytes(), part.bytes()), (2, 6));
        drop(part);
        assert_eq!(second.now_or_never().unwrap().bytes(), 8);
        drop(first);
        assert_eq!(third.now_or_never().unwrap().bytes(), 1);
    }

    #[tokio::test]
    async fn no_more_is_split_off_than_there_is() {
        let mut room = Window::new(10).reserve(4).await;
        assert_eq!(room.split(100).bytes(), 4);
        assert_eq!((room.bytes(), room.split(1).bytes()), (0, 0));
    }

    #[tokio::test]
    async fn rooms_merge_and_none_is_larger_than_the_window() {
        let window = Window::new(10);
        let mut room = Room::default();
        room.merge(window.reserve(3).await);
        room.merge(window.reserve(4).await);
        room.merge(Room::default());
        assert_eq!(room.bytes(), 7);
        drop(room);
        assert_eq!(window.reserve(u64::MAX).await.bytes(), 10);
    }
}
