//! The slabs that small pieces are gathered in, to be passed on as frames.
//!
//! hyper's frames are slices of its read buffer. One that fills the buffer is passed on as it is and counts as all of
//! it. A smaller one would pin much more than itself while it waits, so its bytes are copied, while they are in the
//! cache, into slabs of a known size that are reused: a download holds no more memory than it counts.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use bytes::BytesMut;

use crate::download::memory::frame::Frame;
use crate::download::memory::window::Reservation;
use crate::download::sync::Mutex;

/// The size of a slab, in bytes.
const SLAB_BYTES: usize = 256 << 10;

/// Slabs kept for reuse: fresh pages cost more than copying into old ones.
#[derive(Debug, Default)]
pub(crate) struct Slabs {
    /// Each handle is empty; its memory is free once all frames cut from it are gone.
    used: Mutex<VecDeque<BytesMut>>,
}

impl Slabs {
    fn take(&self) -> BytesMut {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // Oldest first: frames leave about in the order in which they came.
        for _ in 0..used.len() {
            if let Some(mut slab) = used.pop_front() {
                if slab.try_reclaim(SLAB_BYTES) {
                    return slab;
                }
                used.push_back(slab);
            }
        }
        BytesMut::with_capacity(SLAB_BYTES)
    }

    fn put(&self, slab: BytesMut) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).push_back(slab);
    }
}

/// Copies the bytes of one range into slabs. Together they are no larger than the range.
#[derive(Debug)]
pub(crate) struct FrameCoalescer {
    slabs: Arc<Slabs>,
    open: BytesMut,
    /// The reservation for what is in the open slab and not yet taken.
    room: Reservation,
    pooled: bool,
}

impl FrameCoalescer {
    pub(crate) fn new(slabs: Arc<Slabs>) -> Self {
        Self { slabs, open: BytesMut::new(), room: Reservation::default(), pooled: false }
    }

    /// Copies as much of the front of `data` as the open slab takes; returns how much that was. `left` is how many bytes the
    /// range still has, `data` included: the slab for its end is cut to size.
    pub(crate) fn pack(&mut self, data: &[u8], left: u64, room: &mut Reservation) -> usize {
        if self.open.capacity() == 0 {
            self.retire();
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            self.pooled = left >= SLAB_BYTES;
            self.open =
                if self.pooled { self.slabs.take() } else { BytesMut::with_capacity(left.max(data.len())) };
        }
        let count = data.len().min(self.open.capacity() - self.open.len());
        self.open.extend_from_slice(&data[..count]);
        self.room.merge(room.split(count));
        count
    }

    /// Returns whether the open slab is full.
    pub(crate) fn is_full(&self) -> bool {
        self.open.len() == self.open.capacity()
    }

    /// Returns what was gathered and not yet taken, as one frame.
    pub(crate) fn take(&mut self) -> Option<Frame> {
        let bytes = self.open.split().freeze();
        (!bytes.is_empty()).then(|| Frame::new(bytes, std::mem::take(&mut self.room)))
    }

    fn retire(&mut self) {
        let slab = std::mem::take(&mut self.open);
        if std::mem::take(&mut self.pooled) {
            self.slabs.put(slab);
        }
    }
}

impl Drop for FrameCoalescer {
    fn drop(&mut self) {
        self.retire();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    /// Packs `data` in pieces of `step` and gives the frames back, taken when full.
    fn pack(slabs: &Arc<Slabs>, data: &[u8], step: usize) -> Vec<Bytes> {
        let mut coalescer = FrameCoalescer::new(Arc::clone(slabs));
        let mut frames = Vec::new();
        let mut at = 0;
        while at < data.len() {
            let piece = &data[at..(at + step).min(data.len())];
            at += coalescer.pack(piece, (data.len() - at) as u64, &mut Reservation::default());
            if coalescer.is_full() {
                frames.extend(coalescer.take().map(Frame::into_bytes));
            }
        }
        frames.extend(coalescer.take().map(Frame::into_bytes));
        frames
    }

    #[test]
    fn packed_bytes_are_the_same_bytes() {
        let data: Vec<u8> = (0..=250).cycle().take(3 * SLAB_BYTES + 17).collect();
        for step in [1000, SLAB_BYTES - 1, SLAB_BYTES, 2 * SLAB_BYTES] {
            assert_eq!(pack(&Arc::default(), &data, step).concat(), data, "{step}");
        }
    }

    #[test]
    fn slabs_are_used_again_only_when_their_frames_are_gone() {
        let slabs = Arc::<Slabs>::default();
        let data = vec![7; 4 * SLAB_BYTES];
        let held = pack(&slabs, &data, 9999);
        assert_eq!(slabs.used.lock().unwrap().len(), 4);
        let more = pack(&slabs, &vec![8; 2 * SLAB_BYTES], 9999);
        assert_eq!(slabs.used.lock().unwrap().len(), 6, "no slab was free");
        assert_eq!(held.concat(), data);
        drop((held, more));
        drop(pack(&slabs, &vec![9; 6 * SLAB_BYTES], 9999));
        assert_eq!(slabs.used.lock().unwrap().len(), 6, "all were used again");
    }
}
