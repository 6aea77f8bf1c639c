//! Where the store shows an object's checksum: by HEAD alone, or with a GET of all of the object too.
//!
//! S3 shows it with a GET of a range that is all of the object (`x-amz-checksum-mode`), although this is documented for
//! parts alone (Amazon S3 User Guide, "Using part-level checksums for multipart uploads"; s3s-project/s3s#286 and
//! boto/botocore#3346 saw it). `MinIO`, Ceph and others show none with any range (minio/minio#17105, ceph/ceph#61901),
//! and that it is missing does not show that there is none. So a list of small objects at S3 costs a GET each, and
//! elsewhere a HEAD too. GETs ask only after a HEAD showed a checksum: by then the store is known not to refuse the
//! header.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The responses that have shown a checksum of a whole object.
#[derive(Debug, Default)]
pub(crate) struct ShownChecksums {
    by_head: AtomicBool,
    by_get: AtomicBool,
    /// Set if the store refuses a GET that asks for checksums.
    is_refused_by_get: AtomicBool,
}

impl ShownChecksums {
    /// Notes that a response to HEAD showed one.
    pub(crate) fn seen_by_head(&self) {
        self.by_head.store(true, Relaxed);
    }

    /// Notes that a response to GET showed one.
    pub(crate) fn seen_by_get(&self) {
        self.by_get.store(true, Relaxed);
    }

    /// Notes that a GET was refused that asked for checksums.
    pub(crate) fn refused_by_get(&self) {
        self.is_refused_by_get.store(true, Relaxed);
    }

    /// Returns whether a GET may show one if it asks for it.
    pub(crate) fn is_worth_asking_by_get(&self) -> bool {
        self.by_head.load(Relaxed) && !self.is_refused_by_get.load(Relaxed)
    }

    /// Returns whether responses to GETs show them.
    pub(crate) fn is_shown_by_get(&self) -> bool {
        self.by_get.load(Relaxed) && self.is_worth_asking_by_get()
    }
}
