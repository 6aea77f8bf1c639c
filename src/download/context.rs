//! The context of a download, shared by all its ranges: the client, the limits, the memory, and what responses have
//! shown.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::client::object_client::ObjectClient;
use crate::client::retry::Arrived;
use crate::download::concurrency::limit::ConcurrencyLimit;
use crate::download::counters::Counters;
use crate::download::fetch::hedge_budget::HedgeBudget;
use crate::download::fetch::stats::RequestStats;
use crate::download::group::DownloadGroup;
use crate::download::limits::Limits;
use crate::download::memory::window::OutputPosition;
use crate::download::options::ChecksumMode;
use crate::download::requested::RequestedBytes;
use crate::download::verdict::Evidence;
use crate::s3::pinned::PinnedVersion;

/// The state that all ranges of one download share.
pub(crate) struct DownloadContext {
    pub(crate) client: ObjectClient,
    /// The bytes to deliver, and of which version.
    pub(crate) wanted: RequestedBytes,
    pub(crate) checksum_mode: ChecksumMode,
    /// The number of the object in the output, from 0.
    pub(crate) object: u64,
    /// Shared with the objects before and after this one.
    pub(crate) group: Arc<DownloadGroup>,
    /// Permits for ranges: those of the group.
    pub(crate) permits: Arc<ConcurrencyLimit>,
    /// Set when a range has failed for good: ranges that have not begun never will.
    pub(crate) has_failed: AtomicBool,
    /// The user's own limit of attempts.
    pub(crate) max_attempts: Option<NonZeroU32>,
    /// How long a body may deliver no byte while it is being read.
    pub(crate) stall_timeout: Duration,
    /// Set by the first response; every later one is checked against it.
    pub(crate) pin: OnceLock<PinnedVersion>,
    /// The facts that the responses have shown.
    pub(crate) evidence: Evidence,
    /// The object's size, if only the end of its response showed it.
    pub(crate) size_at_end: OnceLock<u64>,
    /// Set when a response did not show which bytes it had: GETs are without `Range` from then on.
    pub(crate) is_plain: AtomicBool,
    /// Set when `If-Match` was refused although the object is the same: every response must carry the tag instead.
    pub(crate) without_if_match: AtomicBool,
    /// Set after a 412: from then on requests name the version that is pinned.
    pub(crate) address_by_version_id: AtomicBool,
    pub(crate) counters: Arc<Counters>,
    pub(crate) request_stats: RequestStats,
    pub(crate) hedging: HedgeBudget,
}

impl DownloadContext {
    /// Returns the limits that the download keeps with the others of its group.
    pub(crate) fn limits(&self) -> &Limits {
        &self.group.limits
    }

    /// Returns how many ranges may be requested and not yet delivered where so many `connections` are used.
    pub(crate) fn max_undelivered(&self, connections: usize) -> usize {
        self.group.max_undelivered(connections)
    }

    /// Returns whether the first GET asks for the object's checksum, which it may bring all of the object with.
    pub(crate) fn asks_get_for_checksum(&self) -> bool {
        self.is_compared_from_0() && self.client.shown_checksums().is_worth_asking_by_get()
    }

    /// Returns whether HEAD waits for the response to the first GET, which probably makes it needless.
    pub(crate) fn puts_head_off(&self) -> bool {
        self.is_compared_from_0() && self.client.shown_checksums().is_shown_by_get()
    }

    fn is_compared_from_0(&self) -> bool {
        self.checksum_mode != ChecksumMode::Off && self.wanted.start() == 0
    }

    /// Starts no further range: one has failed for good.
    pub(crate) fn set_failed(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Returns whether a range has failed for good.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Has the rest of the object requested without `Range`, in one response: the ordered stream replaces the ranges that are
    /// under way.
    pub(crate) fn ask_plainly(&self) {
        self.is_plain.store(true, Ordering::Relaxed);
        self.permits.wake_consumer();
    }

    /// Returns what of the object, or of others of the run, has been received.
    pub(crate) fn arrived(&self) -> Arrived {
        if self.counters.is_begun() {
            Arrived::PartOfObject
        } else if self.group.counters.fetched() > 0 {
            Arrived::EarlierObjects
        } else {
            Arrived::Nothing
        }
    }

    /// Returns the place of `offset` in the output.
    pub(crate) fn position(&self, offset: u64) -> OutputPosition {
        OutputPosition { object: self.object, offset }
    }

    /// Returns the size of the object in bytes, or 0 while it is not known.
    pub(crate) fn size(&self) -> u64 {
        self.pin.get().map_or(0, PinnedVersion::size)
    }
}
