//! Bytes on their way to the output.

/// Bytes, of which the first `done` are written.
#[derive(Debug)]
pub(super) struct Unwritten<B> {
    pub(super) bytes: B,
    pub(super) done: usize,
}

impl<B: AsRef<[u8]>> Unwritten<B> {
    /// Returns the bytes that are left.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes.as_ref()[self.done..]
    }
}
