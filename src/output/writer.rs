//! The writer: one blocking thread that writes frames without copying them, many with one system call.
//!
//! A short queue leads to it. Each frame is dropped, and its memory returned, as soon as it is written. While the queue
//! is empty, a frame may be written to a pipe by the thread that has it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::output::pipe::NonblockingPipe;
use crate::output::threadless_writer::ThreadlessWriter;
use crate::output::unwritten::Unwritten;
use crate::output::write_progress::WriteProgress;

/// Frames in the queue: enough that the writer is busy while the thread that feeds it is.
const QUEUE_FRAMES: usize = 16;
/// Frames written by one system call.
const GATHERED_FRAMES_MAX: usize = 64;
/// Time that an interrupt waits for the write under way. A reader may take as long as it likes.
const LAST_WRITE_TO_STREAM: Duration = Duration::from_millis(500);
/// Time that an interrupt waits for the write under way to a file: a disk is only busy.
const LAST_WRITE_TO_FILE: Duration = Duration::from_secs(10);

/// The thread that writes, and the queue to it.
#[derive(Debug)]
pub(crate) struct Writer<B> {
    pieces: Option<mpsc::Sender<Unwritten<B>>>,
    written: oneshot::Receiver<io::Result<()>>,
    /// Set if no thread could be made.
    threadless: Option<ThreadlessWriter>,
    /// Time that an interrupt waits for the write under way.
    last_write: Duration,
    /// The output, if it is a pipe that may be written without the thread.
    pipe: Option<NonblockingPipe>,
    progress: Arc<WriteProgress>,
    /// Number of bytes that are written once the queue is empty.
    accepted: u64,
}

impl<B: AsRef<[u8]> + Send + 'static> Writer<B> {
    /// Starts a thread that writes to `out` and counts in `progress`.
    pub(crate) fn start(out: Arc<File>, progress: &Arc<WriteProgress>) -> Self {
        let is_file = out.metadata().is_ok_and(|found| found.is_file());
        let last_write = if is_file { LAST_WRITE_TO_FILE } else { LAST_WRITE_TO_STREAM };
        let pipe = NonblockingPipe::to(&out);
        let (pieces, queue) = mpsc::channel(QUEUE_FRAMES);
        let (result, written) = oneshot::channel();
        let noted = Arc::clone(progress);
        let own = Arc::clone(&out);
        let run = move || {
            let written = write(&mut &*out, queue, &noted);
            // Whoever closes the output is the last one to have it.
            drop(out);
            result.send(written)
        };
        let thread = std::thread::Builder::new().name("writer".into()).spawn(run);
        let threadless = thread.is_err().then(|| ThreadlessWriter::new(own));
        let (progress, accepted) = (Arc::clone(progress), progress.bytes());
        Self { pieces: Some(pieces), written, threadless, last_write, pipe, progress, accepted }
    }

    /// Writes `bytes` immediately if the queue is empty and the pipe has room; otherwise queues them as
    /// [`Writer::send`] does.
    pub(crate) async fn write(&mut self, bytes: B) -> bool {
        let mut piece = Unwritten { bytes, done: 0 };
        if let Some(pipe) = &self.pipe
            && self.progress.bytes() == self.accepted
        {
            piece.done = pipe.write(piece.rest(), &self.progress);
            self.accepted += piece.done as u64;
        }
        piece.rest().is_empty() || self.enqueue(piece).await
    }

    /// Queues `bytes`; `false` if the writer has failed, which [`Writer::end`] reports.
    pub(crate) async fn send(&mut self, bytes: B) -> bool {
        self.enqueue(Unwritten { bytes, done: 0 }).await
    }

    async fn enqueue(&mut self, piece: Unwritten<B>) -> bool {
        self.accepted += piece.rest().len() as u64;
        if let Some(threadless) = &mut self.threadless {
            return threadless.write(piece, self.pipe.as_ref(), &self.progress).await;
        }
        match &self.pieces {
            Some(pieces) => pieces.send(piece).await.is_ok(),
            None => false,
        }
    }

    /// Waits until everything queued is written.
    pub(crate) async fn end(&mut self) -> Result<()> {
        self.pieces = None;
        if let Some(mut threadless) = self.threadless.take() {
            return threadless.take_failure().map_or(Ok(()), Err).map_err(Error::output);
        }
        let written = (&mut self.written).await;
        written.unwrap_or_else(|_| Err(io::Error::other("the writing thread failed"))).map_err(Error::output)
    }

    /// Stops after the write under way, and returns whether that ended.
    pub(crate) async fn stop(mut self, progress: &WriteProgress) -> bool {
        progress.stop();
        self.pieces = None;
        // Without the thread each write has ended with the call.
        if self.threadless.is_some() {
            return true;
        }
        matches!(timeout(self.last_write, self.written).await, Ok(Ok(Ok(()))))
    }
}

fn write<B: AsRef<[u8]>>(
    out: &mut (impl Write + AsFd),
    mut queue: mpsc::Receiver<Unwritten<B>>,
    progress: &WriteProgress,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(GATHERED_FRAMES_MAX);
    while queue.blocking_recv_many(&mut batch, GATHERED_FRAMES_MAX) > 0 {
        write_all(out, &mut batch.drain(..).collect(), progress)?;
    }
    out.flush()
}

/// Writes the pieces and drops each one when its last byte is written.
fn write_all<B: AsRef<[u8]>>(
    out: &mut (impl Write + AsFd),
    pieces: &mut VecDeque<Unwritten<B>>,
    progress: &WriteProgress,
) -> io::Result<()> {
    while !pieces.is_empty() && !progress.is_stopped() {
        let mut slices = [IoSlice::new(&[]); GATHERED_FRAMES_MAX];
        for (slice, piece) in slices.iter_mut().zip(pieces.iter()) {
            *slice = IoSlice::new(piece.rest());
        }
        let count = pieces.len().min(GATHERED_FRAMES_MAX);
        let began = Instant::now();
        progress.begin_write(began);
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
        progress.wrote(written, began);
        while let Some(first) = pieces.front_mut() {
            let left = first.rest().len();
            if written < left {
                first.done += written;
                break;
            }
            written -= left;
            pieces.pop_front();
        }
    }
    Ok(())
}

/// Waits until `out` can be written: another process that shares this stdout may have made it non-blocking.
fn wait_writable(out: &impl AsFd) -> io::Result<()> {
    let mut fds = [PollFd::new(out, PollFlags::OUT)];
    match rustix::event::poll(&mut fds, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that count how many are still held.
    struct Counted(Vec<u8>, Arc<std::sync::atomic::AtomicUsize>);

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_sub(self.0.len(), std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Accepts at most three bytes a call, over all slices, and is sometimes interrupted or full.
    #[derive(Default)]
    struct Narrow(Vec<u8>, usize);

    /// Returns a descriptor that is always writable, to be polled when this is full.
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

    #[test]
    fn short_and_interrupted_writes_lose_nothing_and_written_pieces_are_dropped() {
        let held = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut want = Vec::new();
        let mut frames = VecDeque::new();
        for n in 0..100_u8 {
            let bytes = vec![n; usize::from(n % 7)];
            want.extend_from_slice(&bytes);
            held.fetch_add(bytes.len(), std::sync::atomic::Ordering::Relaxed);
            frames.push_back(Unwritten { bytes: Counted(bytes, Arc::clone(&held)), done: 0 });
        }
        let (mut out, progress) = (Narrow::default(), WriteProgress::since(Instant::now()));
        write_all(&mut out, &mut frames, &progress).unwrap();
        assert_eq!(out.0, want);
        assert_eq!(progress.bytes(), want.len() as u64);
        assert!(progress.first_byte().is_some() && progress.writing() > Duration::ZERO);
        assert_eq!(held.load(std::sync::atomic::Ordering::Relaxed), 0, "every piece was dropped");
    }

    #[tokio::test]
    async fn without_a_thread_of_its_own_it_writes_all_the_same() {
        let (mut reader, pipe) = io::pipe().unwrap();
        let out = Arc::new(File::from(std::os::fd::OwnedFd::from(pipe)));
        let progress = Arc::new(WriteProgress::since(Instant::now()));
        let reading = std::thread::spawn(move || {
            let mut got = Vec::new();
            io::Read::read_to_end(&mut reader, &mut got).unwrap();
            got
        });
        let mut want = Vec::new();
        for pipe in [NonblockingPipe::to(&out), None] {
            let mut writer = Writer::start(Arc::clone(&out), &progress);
            writer.threadless = Some(ThreadlessWriter::new(Arc::clone(&out)));
            writer.pipe = pipe;
            for n in 0..40_usize {
                let bytes: Vec<u8> = (0..=250).cycle().skip(n).take(1 + n * 7919 % 30_011).collect();
                want.extend_from_slice(&bytes);
                assert!(writer.send(bytes).await);
            }
            writer.end().await.unwrap();
        }
        drop(out);
        assert_eq!(progress.bytes(), want.len() as u64);
        assert!(reading.join().unwrap() == want);
    }

    #[tokio::test]
    async fn without_a_thread_of_its_own_it_reports_that_the_reader_is_gone() {
        let (reader, pipe) = io::pipe().unwrap();
        let out = Arc::new(File::from(std::os::fd::OwnedFd::from(pipe)));
        drop(reader);
        let progress = Arc::new(WriteProgress::since(Instant::now()));
        let mut writer = Writer::start(Arc::clone(&out), &progress);
        writer.threadless = Some(ThreadlessWriter::new(out));
        assert!(!writer.send(vec![7; 1000]).await);
        assert!(writer.end().await.is_err());
    }

    #[tokio::test]
    async fn frames_written_directly_and_by_the_thread_keep_their_order() {
        let (mut reader, pipe) = io::pipe().unwrap();
        let progress = Arc::new(WriteProgress::since(Instant::now()));
        let out = File::from(std::os::fd::OwnedFd::from(pipe));
        let mut writer = Writer::start(Arc::new(out), &progress);
        let reading = std::thread::spawn(move || {
            let (mut got, mut part, mut count) = (Vec::new(), [0; 10_000], 1);
            // It is sometimes faster than the writer, sometimes slower.
            while count > 0 {
                count = io::Read::read(&mut reader, &mut part).unwrap();
                got.extend_from_slice(&part[..count]);
                if got.len() % 3 == 0 {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
            got
        });
        let mut want = Vec::new();
        for n in 0..300_usize {
            let bytes: Vec<u8> = (0..=250).cycle().skip(n).take(1 + n * 7919 % 30_011).collect();
            want.extend_from_slice(&bytes);
            assert!(if n % 5 == 0 { writer.send(bytes).await } else { writer.write(bytes).await });
            tokio::task::yield_now().await;
        }
        writer.end().await.unwrap();
        drop(writer);
        assert_eq!(progress.bytes(), want.len() as u64);
        assert!(reading.join().unwrap() == want);
    }
}
