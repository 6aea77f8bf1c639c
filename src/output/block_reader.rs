//! Bytes of a file that were written earlier, read once more for their checksum.
//!
//! Another thread waits for the disk: meanwhile the download continues, and the run can be interrupted.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Result;
use crate::output::blocking::{has_thread, run_blocking};
use crate::output::path_error::failed;

/// Bytes read at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// The bytes of a file between two offsets, in order.
#[derive(Debug)]
pub(crate) struct BlockReader {
    /// The file and the memory for a block, but while a thread has them.
    idle: Option<(Arc<File>, Vec<u8>)>,
    /// Name for messages.
    path: PathBuf,
    at: u64,
    end: u64,
    has_thread: bool,
}

impl BlockReader {
    /// Creates a reader of the `count` bytes of `file` from `start` on; messages call it `path`.
    pub(super) fn new(file: Arc<File>, path: &Path, start: u64, count: u64) -> Self {
        Self {
            idle: Some((file, vec![0; BLOCK_BYTES])),
            path: path.to_owned(),
            at: start,
            end: start.saturating_add(count),
            has_thread: has_thread(),
        }
    }

    /// Returns the next bytes; `None` after the last one. A file that ends earlier is an error.
    pub(crate) async fn next(&mut self) -> Result<Option<&[u8]>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let count = self.read().await.map_err(|e| failed(&self.path, "read", e))?;
        self.at += count as u64;
        Ok(self.idle.as_ref().map(|(_, block)| &block[..count]))
    }

    async fn read(&mut self) -> io::Result<usize> {
        let lost = || io::Error::other("the reading thread failed");
        let (file, mut block) = self.idle.take().ok_or_else(lost)?;
        let (at, left) = (self.at, self.end - self.at);
        let reading = run_blocking(self.has_thread, move || {
            let most = usize::try_from(left).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
            let read = loop {
                match file.read_at(&mut block[..most], at) {
                    Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    read => break read,
                }
            };
            (file, block, read)
        });
        let (file, block, read) = reading.await?;
        self.idle = Some((file, block));
        read
    }
}
