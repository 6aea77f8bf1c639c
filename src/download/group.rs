//! What the downloads of one output share: the memory window, given by order in the output, and the rate limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::download::concurrency::rate_limit::RateLimit;
use crate::download::limits::Limits;
use crate::download::memory::frame::Slabs;
use crate::download::memory::window::MemoryWindow;

/// The limits that several downloads keep together.
pub(crate) struct DownloadGroup {
    pub(crate) window: MemoryWindow,
    pub(crate) slabs: Arc<Slabs>,
    /// The bytes that the window grows by when a straggler is overtaken for the first time; 0 afterwards.
    straggler_headroom: AtomicU64,
    /// The body bytes that all of them may receive in a second.
    pub(crate) rate_limit: Option<RateLimit>,
}

impl DownloadGroup {
    /// Creates a group of downloads that together stay inside `limits`.
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            window: MemoryWindow::new(limits.window),
            slabs: Arc::default(),
            straggler_headroom: AtomicU64::new(limits.reserve),
            rate_limit: limits.bytes_per_second.map(RateLimit::new),
        })
    }

    /// Widens the window once, because a hedge has won: later ranges keep flowing past a slow one. It is never made
    /// smaller, because it would still be full when the next straggler appears. Returns the bytes added.
    pub(crate) fn widen_for_stragglers(&self) -> u64 {
        let more = self.straggler_headroom.swap(0, Ordering::Relaxed);
        self.window.widen(more);
        more
    }
}
