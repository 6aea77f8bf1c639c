//! The state that the downloads of one output share: permits for ranges and memory, both given by order in the output, the
//! controller that moves them, the rate limit and the threads.
//!
//! A single download is a group of one.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::download::concurrency::limit::ConcurrencyLimit;
use crate::download::concurrency::rate_limit::RateLimit;
use crate::download::concurrency::throttle::Throttle;
use crate::download::context::DownloadContext;
use crate::download::counters::RunCounters;
use crate::download::limits::Limits;
use crate::download::machine_memory;
use crate::download::memory::slab::Slabs;
use crate::download::memory::window::MemoryWindow;
use crate::download::options::Options;
use crate::download::steering::steer;
use crate::download::threads::FetchThreads;

/// The state that the downloads of one output share.
pub(crate) struct DownloadGroup {
    pub(crate) limits: Limits,
    /// Set if the user named the size of a range.
    pub(crate) chunk_is_explicit: bool,
    /// Permits for the ranges of all of them.
    pub(crate) permits: Arc<ConcurrencyLimit>,
    pub(crate) throttle: Throttle,
    pub(crate) counters: Arc<RunCounters>,
    pub(crate) window: MemoryWindow,
    pub(crate) slabs: Arc<Slabs>,
    /// The most that the window grows to.
    window_max: u64,
    /// The bytes that the window grows by when a straggler is overtaken for the first time; 0 afterwards.
    straggler_headroom: AtomicU64,
    /// Ranges beyond the usual look-ahead that may wait to be delivered, once stragglers were seen.
    pub(crate) straggler_lookahead: AtomicUsize,
    /// The body bytes that all of them may receive in a second.
    pub(crate) rate_limit: Option<RateLimit>,
    /// The threads that fetch their ranges; `None` if the runtime that they were started in fetches them.
    pub(crate) threads: Option<Arc<FetchThreads>>,
    /// Set once the controller runs.
    is_steered: AtomicBool,
    /// Set while further downloads are known to follow those that have begun.
    has_more: AtomicBool,
    /// The download whose turn it is.
    front: Mutex<Weak<DownloadContext>>,
}

impl DownloadGroup {
    /// Creates a group of downloads that together stay inside `limits`, those of `options`.
    pub(crate) fn new(limits: &Limits, options: &Options) -> Arc<Self> {
        if options.max_memory.is_none() {
            machine_memory::report_limit();
        }
        let permits = ConcurrencyLimit::new(if limits.adaptive { 1 } else { limits.connections });
        Arc::new(Self {
            limits: *limits,
            chunk_is_explicit: options.chunk_size.is_some(),
            throttle: Throttle::new(Arc::clone(&permits)),
            permits,
            counters: Arc::default(),
            window: MemoryWindow::new(limits.window),
            window_max: limits.window_max.max(limits.window + limits.reserve),
            slabs: Arc::default(),
            straggler_headroom: AtomicU64::new(limits.reserve),
            straggler_lookahead: AtomicUsize::new(0),
            rate_limit: limits.bytes_per_second.map(RateLimit::new),
            threads: FetchThreads::start(options.threads),
            is_steered: AtomicBool::new(false),
            has_more: AtomicBool::new(false),
            front: Mutex::new(Weak::new()),
        })
    }

    /// Starts the controller, once: it looks for the number of connections that pays, as long as the group lives. The
    /// first response took `latency`.
    pub(crate) fn steer(self: &Arc<Self>, latency: Duration) {
        if self.limits.adaptive && !self.is_steered.swap(true, Ordering::Relaxed) {
            steer(self, latency);
        }
    }

    /// Returns how many ranges of all downloads may be requested and not yet delivered where so many `connections` are used,
    /// those that wait for an earlier one included: enough that no connection idles while the front range is a little slow. An
    /// explicit number of connections is kept exactly: no more is requested than memory was promised for.
    pub(crate) fn max_undelivered(&self, connections: usize) -> usize {
        if !self.limits.adaptive {
            return connections;
        }
        connections + connections / 4 + 1 + self.straggler_lookahead.load(Ordering::Relaxed)
    }

    /// Notes whose turn it is.
    pub(crate) fn set_front(&self, download: &Arc<DownloadContext>) {
        *self.front.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(download);
    }

    /// Returns how many connections the host of the download whose turn it is allows, as far as is known.
    pub(crate) fn connection_cap(&self) -> Option<usize> {
        let front = self.front.lock().unwrap_or_else(PoisonError::into_inner).upgrade()?;
        front.client.connection_cap()
    }

    /// Notes whether further downloads follow those that have begun.
    pub(crate) fn set_has_more(&self, has_more: bool) {
        self.has_more.store(has_more, Ordering::Relaxed);
    }

    /// Returns how many bytes are still to be received, as far as is known: a great many while further downloads follow.
    pub(crate) fn bytes_left(&self) -> u64 {
        if self.has_more.load(Ordering::Relaxed) { u64::MAX } else { self.counters.left() }
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

    /// Widens the window to `bytes`, or as far as it may grow, for more connections.
    pub(crate) fn widen_to(&self, bytes: u64) {
        self.window.widen_to(bytes.min(self.window_max));
    }

    /// Widens the window once, because a hedge has won and this server has stragglers: later ranges keep flowing past a slow
    /// one. It is never made smaller, because it would still be full when the next straggler appears.
    pub(crate) fn grow_for_stragglers(&self) {
        let headroom = self.straggler_headroom.swap(0, Ordering::Relaxed);
        let more = headroom.min(self.window_max.saturating_sub(self.window.bytes()));
        self.window.widen(more);
        let ranges = usize::try_from(more / self.limits.chunk).unwrap_or(usize::MAX);
        self.straggler_lookahead.fetch_add(ranges, Ordering::Relaxed);
    }
}
