//! What a download has done so far, counted while it goes on.
//!
//! Fetches and the ordered stream add to it; `--stats`, the search for the level and the watch for
//! stragglers read it. It decides nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The counters of one download.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    begun: AtomicBool,
    fetched: AtomicU64,
    discarded: AtomicU64,
    opened: AtomicU64,
    yielded: AtomicU64,
    retries: AtomicU64,
    hedges: AtomicU64,
    hedges_won: AtomicU64,
    throttled: AtomicU64,
}

impl Counters {
    /// So many body bytes came, those that were there already included.
    pub(crate) fn add_fetched(&self, bytes: usize) {
        self.fetched.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts bytes that were received and thrown away with a cancelled range.
    pub(crate) fn add_discarded(&self, bytes: u64) {
        self.discarded.fetch_add(bytes, Relaxed);
    }

    /// Counts a response to a range whose head was checked.
    pub(crate) fn add_opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    /// Returns how many responses to ranges have begun.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Relaxed)
    }

    /// Returns how many bytes were received and wait for the consumer.
    pub(crate) fn held(&self) -> u64 {
        let gone = self.yielded() + self.discarded.load(Relaxed);
        self.fetched().saturating_sub(gone)
    }

    /// Bytes of the object came that were not there.
    pub(crate) fn set_begun(&self) {
        self.begun.store(true, Relaxed);
    }

    /// The consumer took so many bytes.
    pub(crate) fn add_yielded(&self, bytes: usize) {
        self.yielded.fetch_add(bytes as u64, Relaxed);
    }

    /// A try failed and is made again.
    pub(crate) fn add_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// The rest of a range was asked for a second time.
    pub(crate) fn add_hedge(&self) {
        self.hedges.fetch_add(1, Relaxed);
    }

    /// The second request was the faster one.
    pub(crate) fn add_hedge_won(&self) {
        self.hedges_won.fetch_add(1, Relaxed);
    }

    /// The server asked for fewer requests.
    pub(crate) fn add_throttled(&self) {
        self.throttled.fetch_add(1, Relaxed);
    }

    /// Whether any byte of the object has come.
    pub(crate) fn is_begun(&self) -> bool {
        self.begun.load(Relaxed)
    }

    /// Body bytes received, those that came twice included.
    pub(crate) fn fetched(&self) -> u64 {
        self.fetched.load(Relaxed)
    }

    /// Bytes that the consumer took.
    pub(crate) fn yielded(&self) -> u64 {
        self.yielded.load(Relaxed)
    }

    /// Tries that failed and were made again.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Relaxed)
    }

    /// Requests for the rest of a range that was late.
    pub(crate) fn hedges(&self) -> u64 {
        self.hedges.load(Relaxed)
    }

    /// Those of them that were the faster ones.
    pub(crate) fn hedges_won(&self) -> u64 {
        self.hedges_won.load(Relaxed)
    }

    /// Answers that asked for fewer requests.
    pub(crate) fn throttled(&self) -> u64 {
        self.throttled.load(Relaxed)
    }
}
