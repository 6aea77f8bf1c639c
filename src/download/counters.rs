//! Counters of what a download has done so far, and of what all downloads of a run have.
//!
//! Range tasks and the ordered stream add to them; `--stats` and straggler detection read those of a download, the
//! concurrency controller those of the run. They decide nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::download::sync::{AtomicBool, AtomicU64};

/// The counters of one download, or of a run.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// The counters of the run that the download is part of, which count its bytes too.
    run: Option<Arc<RunCounters>>,
    begun: AtomicBool,
    expected: AtomicU64,
    fetched: AtomicU64,
    discarded: AtomicU64,
    yielded: AtomicU64,
    retries: AtomicU64,
    hedges: AtomicU64,
    hedges_won: AtomicU64,
    throttled: AtomicU64,
}

/// The counters of all downloads of a run.
#[derive(Debug, Default)]
pub(crate) struct RunCounters {
    fetched: AtomicU64,
    /// Bytes that were delivered, or thrown away.
    gone: AtomicU64,
    /// Bytes that the downloads which have begun are to fetch. Those that end early give back what is left, so that it may be
    /// below the bytes fetched for a moment.
    expected: AtomicU64,
    opened: AtomicU64,
    ended: AtomicU64,
    overtaken: AtomicU64,
}

impl RunCounters {
    /// Returns the body bytes received, those that came twice included.
    pub(crate) fn fetched(&self) -> u64 {
        self.fetched.load(Relaxed)
    }

    /// Returns how many bytes were received and wait for the consumer.
    pub(crate) fn held(&self) -> u64 {
        self.fetched().saturating_sub(self.gone.load(Relaxed))
    }

    /// Returns how many bytes of the downloads that have begun are still to be received.
    pub(crate) fn left(&self) -> u64 {
        self.expected.load(Relaxed).saturating_sub(self.fetched())
    }

    /// Returns how many responses to ranges have begun.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Relaxed)
    }

    /// Returns how many late ranges a second request has overtaken.
    pub(crate) fn overtaken(&self) -> u64 {
        self.overtaken.load(Relaxed)
    }

    /// Returns how many of those responses have ended.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Relaxed)
    }
}

impl Counters {
    /// Creates the counters of a download that is part of a run.
    pub(crate) fn within(run: &Arc<RunCounters>) -> Self {
        let mut counters = Self::default();
        counters.run = Some(Arc::clone(run));
        counters
    }

    /// Sets how many bytes the consumer is to get; `u64::MAX` while that is unknown.
    pub(crate) fn set_expected(&self, bytes: u64) {
        let before = self.expected.swap(bytes, Relaxed);
        let known = |bytes: u64| if bytes == u64::MAX { 0 } else { bytes };
        if let Some(run) = &self.run {
            // Wraps around where there are fewer than before.
            run.expected.fetch_add(known(bytes).wrapping_sub(known(before)), Relaxed);
        }
    }

    /// Returns how many bytes the consumer is to get; `u64::MAX` while that is unknown.
    pub(crate) fn expected(&self) -> u64 {
        self.expected.load(Relaxed)
    }

    /// Counts body bytes received, those that came twice included.
    pub(crate) fn add_fetched(&self, bytes: usize) {
        self.fetched.fetch_add(bytes as u64, Relaxed);
        if let Some(run) = &self.run {
            run.fetched.fetch_add(bytes as u64, Relaxed);
        }
    }

    /// Counts bytes that were received and thrown away with a cancelled range.
    pub(crate) fn add_discarded(&self, bytes: u64) {
        self.discarded.fetch_add(bytes, Relaxed);
        if let Some(run) = &self.run {
            run.gone.fetch_add(bytes, Relaxed);
        }
    }

    /// Counts a response to a range whose head was checked.
    pub(crate) fn add_opened(&self) {
        if let Some(run) = &self.run {
            run.opened.fetch_add(1, Relaxed);
        }
    }

    /// Counts the end of such a response.
    pub(crate) fn add_ended(&self) {
        if let Some(run) = &self.run {
            run.ended.fetch_add(1, Relaxed);
        }
    }

    /// Returns how many bytes were received and wait for the consumer.
    pub(crate) fn held(&self) -> u64 {
        let gone = self.yielded() + self.discarded.load(Relaxed);
        self.fetched().saturating_sub(gone)
    }

    /// Notes that a byte of the object has been received.
    pub(crate) fn set_begun(&self) {
        self.begun.store(true, Relaxed);
    }

    /// Counts bytes that the consumer took.
    pub(crate) fn add_yielded(&self, bytes: usize) {
        self.yielded.fetch_add(bytes as u64, Relaxed);
        if let Some(run) = &self.run {
            run.gone.fetch_add(bytes as u64, Relaxed);
        }
    }

    /// Counts an attempt that failed and is made again.
    pub(crate) fn add_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// Counts a hedge: a second request for the rest of a range.
    pub(crate) fn add_hedge(&self) {
        self.hedges.fetch_add(1, Relaxed);
    }

    /// Counts a hedge that was faster than the first request.
    pub(crate) fn add_hedge_won(&self) {
        self.hedges_won.fetch_add(1, Relaxed);
        if let Some(run) = &self.run {
            run.overtaken.fetch_add(1, Relaxed);
        }
    }

    /// Counts an answer that asked for fewer requests.
    pub(crate) fn add_throttled(&self) {
        self.throttled.fetch_add(1, Relaxed);
    }

    /// Returns whether any byte of the object has been received.
    pub(crate) fn is_begun(&self) -> bool {
        self.begun.load(Relaxed)
    }

    /// Returns the body bytes received, those that came twice included.
    pub(crate) fn fetched(&self) -> u64 {
        self.fetched.load(Relaxed)
    }

    /// Returns the bytes that the consumer took.
    pub(crate) fn yielded(&self) -> u64 {
        self.yielded.load(Relaxed)
    }

    /// Returns the attempts that failed and were made again.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// Returns the hedges: second requests for the rest of a range.
    pub(crate) fn hedges(&self) -> u64 {
        self.hedges.load(Relaxed)
    }

    /// Returns the hedges that were faster than the first request.
    pub(crate) fn hedges_won(&self) -> u64 {
        self.hedges_won.load(Relaxed)
    }

    /// Returns the answers that asked for fewer requests.
    pub(crate) fn throttled(&self) -> u64 {
        self.throttled.load(Relaxed)
    }
}

// A download that ends early, or whose bytes came twice, holds nothing any more, and nothing of it is still to be received.
impl Drop for Counters {
    fn drop(&mut self) {
        let (held, fetched) = (self.held(), self.fetched());
        self.add_discarded(held);
        self.set_expected(fetched);
    }
}
