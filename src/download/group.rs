//! The limits that the downloads of one output share: the memory window, given by order in the output, and the rate
//! limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinHandle;

use crate::download::concurrency::rate_limit::RateLimit;
use crate::download::limits::Limits;
use crate::download::memory::frame::Slabs;
use crate::download::memory::window::MemoryWindow;
use crate::download::threads::{FetchThreads, ThreadCount};

/// The limits that several downloads keep together.
pub(crate) struct DownloadGroup {
    pub(crate) window: MemoryWindow,
    pub(crate) slabs: Arc<Slabs>,
    /// The most that the window grows to.
    window_max: u64,
    /// The bytes that the window grows by when a straggler is overtaken for the first time; 0 afterwards.
    straggler_headroom: AtomicU64,
    /// The body bytes that all of them may receive in a second.
    pub(crate) rate_limit: Option<RateLimit>,
    /// The threads that fetch their ranges; `None` if the runtime that they were started in fetches them.
    pub(crate) threads: Option<Arc<FetchThreads>>,
}

impl DownloadGroup {
    /// Creates a group of downloads that together stay inside `limits`.
    pub(crate) fn new(limits: &Limits, threads: ThreadCount) -> Arc<Self> {
        Arc::new(Self {
            window: MemoryWindow::new(limits.window),
            window_max: limits.window_max.max(limits.window + limits.reserve),
            slabs: Arc::default(),
            straggler_headroom: AtomicU64::new(limits.reserve),
            rate_limit: limits.bytes_per_second.map(RateLimit::new),
            threads: FetchThreads::start(threads),
        })
    }

    /// Runs the fetch of a range.
    pub(crate) fn spawn(&self, fetch: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        match &self.threads {
            Some(threads) => threads.spawn(fetch),
            None => tokio::spawn(fetch),
        }
    }

    /// Counts body bytes received.
    pub(crate) fn add_received(&self, bytes: usize) {
        if let Some(threads) = &self.threads {
            threads.add_received(bytes);
        }
    }

    /// Returns how many threads fetch ranges, and whether one of them has no time left; `(1, false)` where that is not
    /// known.
    pub(crate) fn threads(&self) -> (usize, bool) {
        self.threads.as_ref().map_or((1, false), |threads| (threads.count(), threads.is_busy()))
    }

    /// Returns how many threads fetched ranges at the most.
    pub(crate) fn threads_used(&self) -> usize {
        self.threads.as_ref().map_or(1, |threads| threads.most())
    }

    /// Returns the most body bytes that are ever held.
    pub(crate) fn window_max(&self) -> u64 {
        self.window_max
    }

    /// Widens the window to `bytes`, or as far as it may grow, for more connections or objects.
    pub(crate) fn widen_to(&self, bytes: u64) {
        self.window.widen_to(bytes.min(self.window_max));
    }

    /// Widens the window once, because a hedge has won: later ranges keep flowing past a slow one. It is never made
    /// smaller, because it would still be full when the next straggler appears. Returns the bytes added.
    pub(crate) fn widen_for_stragglers(&self) -> u64 {
        let headroom = self.straggler_headroom.swap(0, Ordering::Relaxed);
        let more = headroom.min(self.window_max.saturating_sub(self.window.bytes()));
        self.window.widen(more);
        more
    }
}
