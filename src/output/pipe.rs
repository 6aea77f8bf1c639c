//! Writes to a pipe without waiting, by the thread that has just received the bytes.
//!
//! They are still in its cache, and no other thread has to be woken; but a thread that writes does not read meanwhile.
//! Bytes that the pipe has no room for are left to the writer. Only Linux (6.4 and later) has such a write; elsewhere nothing
//! is written here.

use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;
use std::time::Instant;

use crate::output::write_progress::WriteProgress;

/// A pipe that is written without waiting.
#[derive(Debug)]
pub(super) struct NonblockingPipe(Arc<File>);

impl NonblockingPipe {
    /// Returns `out` if it is a pipe.
    pub(super) fn to(out: &Arc<File>) -> Option<Self> {
        let is_pipe = out.metadata().is_ok_and(|found| found.file_type().is_fifo());
        is_pipe.then(|| Self(Arc::clone(out)))
    }

    /// Writes as many of `bytes` as there is room for, counts them in `progress`, and returns how many they were.
    /// Errors are left to the writer, whose next write gets them too.
    pub(super) fn write(&self, bytes: &[u8], progress: &WriteProgress) -> usize {
        let began = Instant::now();
        let written = write_now(&self.0, bytes);
        if written > 0 {
            progress.wrote(written, began);
        }
        written
    }
}

#[cfg(target_os = "linux")]
fn write_now(pipe: &File, bytes: &[u8]) -> usize {
    use rustix::io::{ReadWriteFlags, pwritev2};

    // The current position, which is what a pipe needs: pwritev2(2).
    const HERE: u64 = u64::MAX;
    pwritev2(pipe, &[std::io::IoSlice::new(bytes)], HERE, ReadWriteFlags::NOWAIT).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn write_now(_: &File, _: &[u8]) -> usize {
    0
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_pipe_takes_what_it_has_room_for_and_a_file_nothing() {
        let (mut reader, pipe) = std::io::pipe().unwrap();
        let pipe = Arc::new(File::from(std::os::fd::OwnedFd::from(pipe)));
        let size = rustix::pipe::fcntl_setpipe_size(&pipe, 1 << 16).unwrap();
        let (direct, progress) = (NonblockingPipe::to(&pipe).unwrap(), WriteProgress::since(Instant::now()));
        let bytes: Vec<u8> = (0..=250).cycle().take(size + 1000).collect();
        let written = direct.write(&bytes, &progress);
        // Before Linux 6.4 none.
        if written > 0 {
            assert_eq!((written, direct.write(&bytes[written..], &progress)), (size, 0));
            let mut got = vec![0; size];
            reader.read_exact(&mut got).unwrap();
            assert_eq!(got, bytes[..size]);
            assert_eq!(direct.write(&bytes[written..], &progress), 1000, "there is room again");
        }
        assert_eq!(progress.bytes(), if written > 0 { bytes.len() as u64 } else { 0 });
        drop(reader);
        assert_eq!(direct.write(&bytes, &progress), 0, "nobody reads it");
        assert!(NonblockingPipe::to(&Arc::new(tempfile::tempfile().unwrap())).is_none());
    }
}
