//! The output without a writer's thread, where the system gives none: the thread that has the bytes writes them itself,
//! and never blocks for the reader of a pipe.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use crate::output::pipe::NonblockingPipe;
use crate::output::unwritten::Unwritten;
use crate::output::write_progress::WriteProgress;

/// The bytes that a pipe which is reported as writable takes without blocking (`PIPE_BUF`, pipe(7); POSIX asks for 512
/// at least).
const PIPE_BYTES_CERTAIN: usize = 512;
/// How long a full pipe is left alone.
const PIPE_PAUSE: Duration = Duration::from_millis(1);

/// An output that is written by the thread that has the bytes.
#[derive(Debug)]
pub(super) struct ThreadlessWriter {
    out: Arc<File>,
    /// The error that ended it.
    failure: Option<io::Error>,
}

impl ThreadlessWriter {
    pub(super) fn new(out: Arc<File>) -> Self {
        Self { out, failure: None }
    }

    /// Returns the error that ended it, once.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Writes all of `piece`; `false` if that failed.
    pub(super) async fn write<B: AsRef<[u8]>>(
        &mut self,
        mut piece: Unwritten<B>,
        pipe: Option<&NonblockingPipe>,
        progress: &WriteProgress,
    ) -> bool {
        while !piece.rest().is_empty() && self.failure.is_none() {
            let written = pipe.map_or(0, |pipe| pipe.write(piece.rest(), progress));
            piece.done += written;
            if written > 0 {
                continue;
            }
            if pipe.is_some() && !is_writable(&*self.out) {
                tokio::time::sleep(PIPE_PAUSE).await;
                continue;
            }
            let certain = if pipe.is_some() { PIPE_BYTES_CERTAIN } else { usize::MAX };
            let rest = piece.rest();
            let began = Instant::now();
            match (&*self.out).write(&rest[..rest.len().min(certain)]) {
                Ok(0) => self.failure = Some(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    progress.wrote(written, began);
                    piece.done += written;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(PIPE_PAUSE).await,
                Err(e) => self.failure = Some(e),
            }
        }
        self.failure.is_none()
    }
}

/// Returns whether a write would not wait, or would fail.
fn is_writable(out: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(out, PollFlags::OUT)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)) != Ok(0)
}
