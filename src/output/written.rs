//! What the sink has done so far: counters that the writer adds to and others look at.
//!
//! It never waits and never decides anything.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What the sink has done so far; it may be looked at while it goes on.
#[derive(Debug)]
pub(crate) struct WriteProgress {
    began: Instant,
    bytes: AtomicU64,
    first_byte: OnceLock<Duration>,
    /// In nanoseconds.
    writing: AtomicU64,
    /// Set when no more may be written.
    stopped: AtomicBool,
}

impl WriteProgress {
    /// Nothing delivered yet; times count from `began`.
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

    /// How long ago the beginning was.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// How many bytes were written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// When the first byte was written, counted from the beginning.
    pub(crate) fn first_byte(&self) -> Option<Duration> {
        self.first_byte.get().copied()
    }

    /// How long was spent in writing, blocked by the reader or not.
    pub(crate) fn writing(&self) -> Duration {
        Duration::from_nanos(self.writing.load(Ordering::Relaxed))
    }

    /// Nothing more is written from now on.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn wrote(&self, bytes: usize, began: Instant) {
        self.first_byte.get_or_init(|| self.began.elapsed());
        // Who sees the sum may write what comes next.
        self.bytes.fetch_add(bytes as u64, Ordering::Release);
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.writing.fetch_add(took, Ordering::Relaxed);
    }
}
