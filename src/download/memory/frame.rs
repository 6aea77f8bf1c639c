//! A frame: a piece of the object on its way to the consumer, with its share of the memory window.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use crate::download::memory::window::Reservation;

/// Some bytes of the object. While it lives its bytes count against the download's window: drop it, or use
/// [`Frame::into_bytes`], for the download to continue. A consumer that holds a whole window of frames waits for ever.
pub struct Frame {
    bytes: Bytes,
    _room: Reservation,
}

impl Frame {
    pub(crate) fn new(bytes: Bytes, room: Reservation) -> Self {
        Self { bytes, _room: room }
    }

    /// Returns the bytes, which no longer count against the window: from here on the caller bounds their memory.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
