//! The state that all objects of a client share: a pool of connections for each origin, and what responses have
//! corrected or granted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use http::Uri;

use crate::client::session_slot::Sessions;
use crate::client::shown_checksums::ShownChecksums;
use crate::config::settings::Config;
use crate::error::{Error, Result};
use crate::s3::address::region::Region;
use crate::s3::secrets::Secrets;
use crate::s3::sign_v4a::MultiRegionKey;
use crate::transport::pool::Pool;

/// The configuration of a client, its pools, and its corrections of clock and regions.
#[derive(Default)]
pub(crate) struct Origins {
    pub(crate) config: Config,
    /// By scheme and host, and by how many bytes a connection reads per call.
    pools: Mutex<HashMap<(String, usize, bool), Arc<Pool>>>,
    /// The regions that S3 has named, by bucket.
    regions: Mutex<HashMap<String, Region>>,
    /// Added to this machine's clock, in seconds.
    clock_skew: AtomicI64,
    /// The sessions of directory buckets.
    pub(super) sessions: Sessions,
    /// Where the store shows checksums.
    pub(super) shown_checksums: ShownChecksums,
    /// The key for multi-region access points that was used last.
    multi_region_key: Mutex<Option<Arc<MultiRegionKey>>>,
    /// The secrets of the last request: what is computed for them lasts for the next one.
    secrets: Mutex<Secrets>,
}

impl Origins {
    /// Creates the state of a client. Opens no connection yet.
    pub(crate) fn new(config: Config) -> Arc<Self> {
        Arc::new(Self { config, ..Self::default() })
    }

    /// Returns the pool of connections to `base`, each of which reads up to `read_buffer` bytes per call.
    /// Where a server has `redirected` to it, a name that stands for a metadata service is refused.
    pub(crate) fn pool(&self, base: &str, read_buffer: usize, redirected: bool) -> Result<Arc<Pool>> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (base.to_owned(), read_buffer, redirected);
        if let Some(pool) = pools.get(&key) {
            return Ok(Arc::clone(pool));
        }
        let uri: Uri =
            base.parse().map_err(|e| Error::usage("the endpoint is not a valid host").with_source(e))?;
        let pool = Pool::new(uri, &self.config.tls, &self.config.proxies, read_buffer, redirected)?;
        pools.insert(key, Arc::clone(&pool));
        Ok(pool)
    }

    /// Returns whether there are connections to any origin, or an attempt was made to open one.
    pub(crate) fn has_any(&self) -> bool {
        !self.pools.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Returns what the requests that were begun wait for, in words: a response or a connection, and of which host.
    pub(crate) fn awaited(&self) -> Option<String> {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let all = || pools.values();
        let response = all().find(|pool| pool.is_requested()).map(|pool| format!("a response from {pool}"));
        response
            .or_else(|| all().find(|pool| pool.is_opening()).map(|pool| format!("a connection to {pool}")))
    }

    /// Returns the region to sign for: the one that S3 has named for `bucket`, else the configured one.
    pub(crate) fn region_of(&self, bucket: &str) -> Region {
        let regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        regions.get(bucket).unwrap_or(&self.config.region).clone()
    }

    /// Notes the region that S3 has named for `bucket`.
    pub(crate) fn set_region(&self, bucket: &str, region: &Region) {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        regions.insert(bucket.to_owned(), region.clone());
    }

    /// Returns the key that requests to multi-region access points are signed with, which is derived from `keys` once.
    pub(super) fn multi_region_key(&self, keys: &Credentials) -> Result<Arc<MultiRegionKey>> {
        let mut cached = self.multi_region_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = cached.as_ref().filter(|key| key.is_of(keys)) {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(MultiRegionKey::derive(keys.clone())?);
        *cached = Some(Arc::clone(&key));
        Ok(key)
    }

    /// Returns the secrets of a request, which `collect` makes from those of another one.
    pub(super) fn secrets(&self, collect: impl FnOnce(&Secrets) -> Secrets) -> Secrets {
        let mut last = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        *last = collect(&last);
        last.clone()
    }

    /// Sets what is added to this machine's clock, in seconds.
    pub(crate) fn set_clock_skew(&self, seconds: i64) {
        self.clock_skew.store(seconds, Ordering::Relaxed);
    }

    /// Returns the time by the server's clock.
    pub(crate) fn now(&self) -> SystemTime {
        let skew = self.clock_skew.load(Ordering::Relaxed);
        let by = Duration::from_secs(skew.unsigned_abs());
        let now = SystemTime::now();
        if skew < 0 { now.checked_sub(by) } else { now.checked_add(by) }.unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_for_multi_region_access_points_is_derived_once_for_a_pair_of_keys() {
        let origins = Origins::default();
        let keys = |id: &str, secret: &str, token: Option<&str>| {
            Credentials::new(id, secret, token.map(str::to_owned), None, "test")
        };
        let first = origins.multi_region_key(&keys("A", "S", None)).unwrap();
        for token in [None, Some("T"), Some("U")] {
            let again = origins.multi_region_key(&keys("A", "S", token)).unwrap();
            assert!(Arc::ptr_eq(&first, &again), "{token:?}");
        }
        let mut before = first;
        for (id, secret) in [("A", "other"), ("B", "other"), ("B", "S")] {
            let other = origins.multi_region_key(&keys(id, secret, None)).unwrap();
            assert!(!Arc::ptr_eq(&before, &other), "{id} {secret}");
            assert!(Arc::ptr_eq(&other, &origins.multi_region_key(&keys(id, secret, None)).unwrap()));
            before = other;
        }
    }
}
