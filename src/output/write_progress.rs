//! Counters of what has been written, which the writer updates and the progress display reads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const NO_WRITE: u64 = u64::MAX;

/// The bytes written so far.
#[derive(Debug)]
pub(crate) struct WriteProgress {
    began: Instant,
    bytes: AtomicU64,
    first_byte: OnceLock<Duration>,
    /// Time spent in writing, in nanoseconds.
    writing: AtomicU64,
    /// When the write under way began, in nanoseconds from the beginning; `NO_WRITE` without one.
    under_way: AtomicU64,
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
            under_way: AtomicU64::new(NO_WRITE),
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

    /// Returns the time spent in writing, including the time blocked by the reader, and that of the write under way.
    pub(crate) fn writing(&self) -> Duration {
        let done = self.writing.load(Ordering::Relaxed);
        let under_way = nanoseconds(self.elapsed()).saturating_sub(self.under_way.load(Ordering::Relaxed));
        Duration::from_nanos(done + under_way)
    }

    /// Notes that a write begins, which may be blocked by the reader for long.
    pub(super) fn begin_write(&self, at: Instant) {
        self.under_way.store(nanoseconds(at.duration_since(self.began)), Ordering::Relaxed);
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
        self.writing.fetch_add(nanoseconds(began.elapsed()), Ordering::Relaxed);
        self.under_way.store(NO_WRITE, Ordering::Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_write_under_way_counts_as_time_spent_in_writing() {
        let began = Instant::now();
        let progress = WriteProgress::since(began);
        assert_eq!(progress.writing(), Duration::ZERO);
        progress.begin_write(began);
        std::thread::sleep(Duration::from_millis(2));
        let stuck = progress.writing();
        assert!(stuck >= Duration::from_millis(2), "{stuck:?}");
        progress.wrote(1, began);
        let done = progress.writing();
        std::thread::sleep(Duration::from_millis(2));
        assert!(done >= stuck && progress.writing() == done, "{done:?}");
    }
}
