//! Counters of what has been written, which the writer updates and the progress display reads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The bytes written so far.
#[derive(Debug)]
pub(crate) struct WriteProgress {
    began: Instant,
    bytes: AtomicU64,
    first_byte: OnceLock<Duration>,
    /// Time spent in writing, in nanoseconds.
    writing: AtomicU64,
    /// Set when nothing more may be written.
    stopped: AtomicBool,
}

impl WriteProgress {
    /// Creates counters at zero; times count from `began`.
    #[must_use]
    pub(crate) fn since(began: Instant) -> Self {
        Self {
            began,
            bytes: AtomicU64::new(0),
            first_byte: OnceLock::new(),
            writing: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Returns when the times begin.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Returns the time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Returns the number of bytes written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Returns when the first byte was written, counted from the beginning.
    pub(crate) fn first_byte(&self) -> Option<Duration> {
        self.first_byte.get().copied()
    }

    /// Returns the time spent in writing, including the time blocked by the reader.
    pub(crate) fn writing(&self) -> Duration {
        Duration::from_nanos(self.writing.load(Ordering::Relaxed))
    }

    /// Stops the writer: nothing more is written.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Returns whether the writer is stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Counts a write of `bytes` bytes that began at `began`.
    pub(crate) fn wrote(&self, bytes: usize, began: Instant) {
        self.first_byte.get_or_init(|| self.began.elapsed());
        // Release: a thread that reads the new total may write the bytes that follow.
        self.bytes.fetch_add(bytes as u64, Ordering::Release);
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.writing.fetch_add(took, Ordering::Relaxed);
    }
}
