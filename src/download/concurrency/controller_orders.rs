//! What the controller wants of the code that requests ranges: how large they are, when the next one is due, how promptly
//! bytes are to be counted, and which ranges are to be cancelled.
//!
//! The task that steers sets these; range tasks and the ordered stream read them.

use std::sync::atomic::Ordering;

use crate::download::sync::{AtomicBool, AtomicU64, AtomicUsize};

/// The controller's orders beside the number of permits.
#[derive(Debug)]
pub(crate) struct ControllerOrders {
    /// Set if a controller moves the number of permits.
    steered: AtomicBool,
    /// Set while the controller measures over so short a time that bytes must be counted as they arrive.
    observed: AtomicBool,
    /// The largest range, in bytes; and the largest where few are fetched at the same time.
    chunk: AtomicU64,
    large: AtomicU64,
    /// Bytes under way below which the next range is requested.
    just_in_time: AtomicU64,
    /// Bytes still to be received below which the next object is requested.
    next_object: AtomicU64,
    /// How many ranges to keep, plus one; 0 where none is to be cancelled.
    retreat: AtomicUsize,
}

impl ControllerOrders {
    /// Creates the orders of no controller: ranges of any size, none before its time.
    pub(super) fn new() -> Self {
        Self {
            steered: AtomicBool::new(false),
            observed: AtomicBool::new(false),
            chunk: AtomicU64::new(u64::MAX),
            large: AtomicU64::new(u64::MAX),
            just_in_time: AtomicU64::new(0),
            next_object: AtomicU64::new(0),
            retreat: AtomicUsize::new(0),
        }
    }

    /// Notes that a controller moves the number of permits from now on.
    pub(crate) fn set_steered(&self) {
        self.steered.store(true, Ordering::Relaxed);
    }

    /// Returns whether a controller moves the number of permits.
    pub(crate) fn is_steered(&self) -> bool {
        self.steered.load(Ordering::Relaxed)
    }

    /// Sets how large ranges may be, in bytes, and below how many bytes under way the next one is requested.
    pub(crate) fn set_sizes(&self, chunk: u64, large: u64, just_in_time: u64) {
        self.chunk.store(chunk, Ordering::Relaxed);
        self.large.store(large, Ordering::Relaxed);
        self.just_in_time.store(just_in_time, Ordering::Relaxed);
    }

    /// Sets below how many bytes that are still to be received the next object is requested.
    pub(crate) fn set_next_object(&self, bytes: u64) {
        self.next_object.store(bytes, Ordering::Relaxed);
    }

    /// Returns the largest range, in bytes, and the largest where few are fetched at the same time.
    pub(crate) fn chunk_sizes(&self) -> (u64, u64) {
        (self.chunk.load(Ordering::Relaxed), self.large.load(Ordering::Relaxed))
    }

    /// Returns below how many bytes under way the next range is requested.
    pub(crate) fn just_in_time_bytes(&self) -> u64 {
        self.just_in_time.load(Ordering::Relaxed)
    }

    /// Returns below how many bytes that are still to be received the next object is requested.
    pub(crate) fn next_object_bytes(&self) -> u64 {
        self.next_object.load(Ordering::Relaxed)
    }

    /// Sets whether bytes are to be counted as they arrive, and not when a full buffer has.
    pub(crate) fn set_observed(&self, is_observed: bool) {
        self.observed.store(is_observed, Ordering::Relaxed);
    }

    /// Returns whether bytes are to be counted as they arrive.
    pub(crate) fn is_observed(&self) -> bool {
        self.observed.load(Ordering::Relaxed)
    }

    /// Orders that ranges be cancelled until `keep` are left.
    pub(super) fn set_retreat(&self, keep: usize) {
        self.retreat.store(keep.saturating_add(1), Ordering::Relaxed);
    }

    /// Returns how many ranges to keep, once after each order to cancel the others.
    pub(crate) fn take_retreat(&self) -> Option<usize> {
        if self.retreat.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.retreat.swap(0, Ordering::Relaxed).checked_sub(1)
    }
}
