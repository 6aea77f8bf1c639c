//! Ordered bytes to stdout.
//!
//! It gets frames and writes them by one blocking thread of its own, gathered, straight from where
//! they lie. Each frame is dropped, and its memory given back, as soon as it is written. It never
//! buffers beyond a few frames and never writes anything else.

mod file;

pub(crate) use file::stdout_file;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::download::Download;
use crate::error::{Error, Result};
use crate::frame::Frame;

/// Frames on their way to the writer: enough that it is busy while the thread that feeds it is.
const QUEUE: usize = 16;
/// Frames written by one system call.
const GATHER: usize = 64;
/// What a pipe is enlarged to, in bytes: Linux's limit for users (`/proc/sys/fs/pipe-max-size`).
#[cfg(target_os = "linux")]
const PIPE: usize = 1 << 20;
/// How long an interrupt waits for the write that is under way.
const LAST_WRITE: Duration = Duration::from_millis(500);

/// How a download ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every byte was written.
    Complete,
    /// By this signal.
    Interrupted {
        /// Its number.
        signal: i32,
        /// Whether [`Delivery::bytes`] is what was written, and whoever reads it is there still. Not where a write
        /// is stuck, because a pipe is full: the system tells how much of it went out only when it returns.
        is_known: bool,
    },
}

/// What the sink has done so far; it may be looked at while it goes on.
#[derive(Debug)]
pub struct Delivery {
    began: Instant,
    bytes: AtomicU64,
    first_byte: OnceLock<Duration>,
    /// In nanoseconds.
    writing: AtomicU64,
    /// Set when no more may be written.
    stopped: AtomicBool,
}

impl Delivery {
    /// Nothing delivered yet; times count from `began`.
    #[must_use]
    pub fn since(began: Instant) -> Self {
        Self {
            began,
            bytes: AtomicU64::new(0),
            first_byte: OnceLock::new(),
            writing: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// How many bytes were written.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// When the first byte was written, counted from the beginning.
    pub fn first_byte(&self) -> Option<Duration> {
        self.first_byte.get().copied()
    }

    /// How long was spent in writing, blocked by the reader or not.
    pub fn writing(&self) -> Duration {
        Duration::from_nanos(self.writing.load(Ordering::Relaxed))
    }

    pub(crate) fn wrote(&self, bytes: usize, began: Instant) {
        self.first_byte.get_or_init(|| self.began.elapsed());
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.writing.fetch_add(took, Ordering::Relaxed);
    }
}

/// Writes all of `download` to stdout and notes in `delivery` what is written; less, when `interrupt` resolves
/// to the number of a signal before the end.
pub async fn to_stdout(
    download: &mut Download,
    delivery: &Arc<Delivery>,
    interrupt: impl Future<Output = i32>,
) -> Result<Ended> {
    // Not std's stdout, whose line buffer would copy everything.
    let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(Error::output)?;
    enlarge(&stdout);
    let reader_gone = watch(stdout.try_clone().map_err(Error::output)?);
    let (frames, queue) = mpsc::channel(QUEUE);
    let (result, mut written) = oneshot::channel();
    let noted = Arc::clone(delivery);
    std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || result.send(write(&mut File::from(stdout), queue, &noted)))
        .map_err(Error::output)?;

    let range = download.range();
    let all = async {
        let ended = tokio::select! {
            biased;
            ended = feed(download, &frames) => Some(ended),
            () = closed(reader_gone) => None,
        };
        // Whatever ended it, what came before is still written; the writer knows whether all of it could be.
        drop(frames);
        let written = (&mut written).await.unwrap_or_else(|_| Err(io::Error::other("the writer died")));
        written.map_err(Error::output).and(ended.unwrap_or(Ok(())))?;
        if delivery.bytes() < range.end - range.start {
            return Err(Error::output(io::ErrorKind::BrokenPipe.into()));
        }
        // A reader that knew the size may be gone before it is known whether what it has is right.
        download.next_frame().await.transpose()?;
        Ok(Ended::Complete)
    };
    let signal = tokio::select! {
        biased;
        ended = all => return ended,
        signal = interrupt => signal,
    };
    delivery.stopped.store(true, Ordering::Relaxed);
    let is_known = matches!(timeout(LAST_WRITE, written).await, Ok(Ok(Ok(())))) && !has_lost_reader();
    Ok(Ended::Interrupted { signal, is_known })
}

/// Hands all frames to the writer, or as many as it takes: if it is gone, it says why itself.
async fn feed(download: &mut Download, frames: &mpsc::Sender<Frame>) -> Result<()> {
    while let Some(frame) = download.next_frame().await {
        if frames.send(frame?).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Resolves when the reader of a pipe has closed it, which a write would only notice when there is
/// something to write. Never resolves for what cannot be watched, such as files.
async fn closed(stdout: Option<AsyncFd<OwnedFd>>) {
    if let Some(stdout) = stdout
        && stdout.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Whether stdout is a pipe whose reader is gone: what is in it still was read by nobody.
fn has_lost_reader() -> bool {
    let stdout = io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

/// Registers for errors only: readiness to write would wake this thread for every read of the reader.
fn watch(stdout: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    #[expect(unsafe_code, reason = "tokio has no safe constructor for a file descriptor with an interest")]
    // SAFETY: the AsyncFd owns the descriptor, which so stays open and the same until it is dropped.
    unsafe { AsyncFd::register_with_interest(stdout, Interest::ERROR) }.ok()
}

fn write(
    out: &mut (impl Write + AsFd),
    mut queue: mpsc::Receiver<Frame>,
    delivery: &Delivery,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(GATHER);
    while queue.blocking_recv_many(&mut batch, GATHER) > 0 {
        write_all(out, &mut batch.drain(..).collect(), delivery)?;
    }
    out.flush()
}

/// Writes the frames and drops each one when its last byte is out.
fn write_all(
    out: &mut (impl Write + AsFd),
    frames: &mut VecDeque<Frame>,
    delivery: &Delivery,
) -> io::Result<()> {
    let mut offset = 0;
    while let Some(first) = frames.front().filter(|_| !delivery.stopped.load(Ordering::Relaxed)) {
        let mut slices = [IoSlice::new(&[]); GATHER];
        let rest = frames.iter().skip(1).map(|f| &**f);
        for (slice, bytes) in slices.iter_mut().zip(std::iter::once(&first[offset..]).chain(rest)) {
            *slice = IoSlice::new(bytes);
        }
        let count = frames.len().min(GATHER);
        let began = Instant::now();
        let mut written = match out.write_vectored(&slices[..count]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                wait_writable(out)?;
                continue;
            }
            Err(e) => return Err(e),
        };
        delivery.wrote(written, began);
        while let Some(first) = frames.front() {
            let left = first.len() - offset;
            if written < left {
                offset += written;
                break;
            }
            written -= left;
            offset = 0;
            frames.pop_front();
        }
    }
    Ok(())
}

/// Who shares this stdout may have made it non-blocking: then it is waited for here.
fn wait_writable(out: &impl AsFd) -> io::Result<()> {
    let mut fds = [PollFd::new(out, PollFlags::OUT)];
    match rustix::event::poll(&mut fds, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// A larger pipe means fewer switches between this process and its reader. Where stdout is no pipe,
/// or the system refuses, it stays as it is.
#[cfg(target_os = "linux")]
fn enlarge(stdout: &OwnedFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(stdout, PIPE);
}

#[cfg(not(target_os = "linux"))]
fn enlarge(_: &OwnedFd) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;
    use bytes::Bytes;

    /// Takes at most three bytes a call, over all slices, and is interrupted or full now and then.
    #[derive(Default)]
    struct Narrow(Vec<u8>, usize);

    /// What is polled when it is full: something that is always writable.
    impl AsFd for Narrow {
        fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
            rustix::stdio::stderr()
        }
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if self.1.is_multiple_of(5) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let before = self.0.len();
            self.0.extend(slices.iter().flat_map(|s| s.iter()).take(3));
            Ok(self.0.len() - before)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn short_and_interrupted_writes_lose_nothing_and_frames_free_their_room() {
        let window = Window::new(1000);
        let mut room = window.reserve(0, 1000).await;
        let mut want = Vec::new();
        let mut frames = VecDeque::new();
        for n in 0..100_u8 {
            let bytes = vec![n; usize::from(n % 7)];
            want.extend_from_slice(&bytes);
            frames.push_back(Frame::new(Bytes::from(bytes), room.split(usize::from(n % 7))));
        }
        let (mut out, delivery) = (Narrow::default(), Delivery::since(Instant::now()));
        write_all(&mut out, &mut frames, &delivery).unwrap();
        assert_eq!(out.0, want);
        assert_eq!(delivery.bytes(), want.len() as u64);
        assert!(delivery.first_byte().is_some() && delivery.writing() > Duration::ZERO);
        drop(room);
        assert_eq!(window.reserve(0, 1000).await.bytes(), 1000, "all room is free again");
    }
}
