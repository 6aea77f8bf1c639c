//! How a download starts: alone, or as a part of a run.

use std::sync::Arc;

use crate::config::settings::Config;
use crate::download::concurrency::limit::Permit;
use crate::download::group::DownloadGroup;
use crate::download::limits::Limits;
use crate::download::options::Options;
use crate::download::plan::FEW_RANGES;

/// How a download starts, perhaps as part of a larger run.
pub(crate) struct StartMode {
    /// Bytes before the range that an earlier run has written.
    pub(crate) already_written: u64,
    /// Set while earlier objects are still being delivered.
    pub(crate) is_ahead: bool,
    /// The number of the object in the output, from 0.
    pub(crate) object: u64,
    pub(crate) group: Arc<DownloadGroup>,
    /// For its first range.
    pub(crate) permit: Permit,
}

impl StartMode {
    /// Returns the mode of a download that shares its limits with no other one.
    pub(crate) fn alone(options: &Options, config: &Config) -> Self {
        let group = DownloadGroup::new(&Limits::of(options, &config.profile_limits), options);
        let permit = group.permits.take();
        Self { already_written: 0, is_ahead: false, object: 0, group, permit }
    }

    /// Returns how many bytes to request first, without knowing the size of the object.
    pub(super) fn first_bytes(&self) -> u64 {
        let limits = &self.group.limits;
        let (chunk, large) = self.group.permits.orders.chunk_sizes();
        let may_differ = self.is_ahead && chunk != u64::MAX;
        match limits.large {
            Some(most) if may_differ && self.group.permits.target() as u64 <= FEW_RANGES => most.min(large),
            Some(_) if may_differ => limits.chunk.min(chunk),
            _ => limits.chunk,
        }
    }
}
