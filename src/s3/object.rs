//! An object's metadata, and how it is read from the headers of a response.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::response::Parts;

use crate::error::{Error, ErrorKind, Result};
use crate::s3::checksum::algorithm::ChecksumAlgorithm;
use crate::s3::header::{content_length, header_text};

/// An object's metadata (Amazon S3 API Reference, `HeadObject`). Header values are kept as they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// The size in bytes; [`SIZE_UNKNOWN`](Self::SIZE_UNKNOWN) until the end of a response that does not show it.
    pub size: u64,
    /// `ETag`, with its quotes.
    pub etag: Option<String>,
    /// `x-amz-version-id`; absent where the bucket keeps no versions.
    pub version_id: Option<String>,
    /// `Last-Modified`, an HTTP date.
    pub last_modified: Option<String>,
    /// `x-amz-storage-class`; S3 leaves it out for `STANDARD`.
    pub storage_class: Option<String>,
    /// `x-amz-checksum-type`: `FULL_OBJECT` or `COMPOSITE`.
    pub checksum_type: Option<String>,
    /// The checksums, each with its value in base64.
    pub checksums: Vec<(ChecksumAlgorithm, String)>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`, such as `gzip`, of the bytes as they are stored and delivered.
    pub content_encoding: Option<String>,
    /// `x-amz-server-side-encryption`: `AES256`, `aws:kms` or `aws:kms:dsse`; `SSE-C` where the key is the customer's.
    pub encryption: Option<String>,
    /// Set for a large object of Swift, which is made of others: its `ETag` is an MD5 of their tags and looks like one of
    /// its bytes.
    pub(crate) is_made_of_others: bool,
}

/// The headers of such objects: of a dynamic one and of a static one ("Large objects", `OpenStack` Swift), and as Ceph
/// shows the latter.
const LARGE_OBJECT: [&str; 3] =
    ["x-object-manifest", "x-static-large-object", "x-object-meta-static-large-object"];

impl ObjectInfo {
    /// The [`size`](Self::size) of an object that is sent in chunks without a length: only the last chunk shows it.
    pub const SIZE_UNKNOWN: u64 = u64::MAX;

    /// Returns the size in bytes, if it is known.
    #[must_use]
    pub fn known_size(&self) -> Option<u64> {
        Some(self.size).filter(|size| *size != Self::SIZE_UNKNOWN)
    }

    /// Reads the response to a successful HEAD.
    pub(crate) fn from_head(head: &Parts) -> Result<Self> {
        let size = content_length(&head.headers)
            .ok_or_else(|| malformed("the response to HEAD has no Content-Length"))?;
        Ok(Self::from_headers(&head.headers, size))
    }

    /// Reads the headers of a response about an object of `size` bytes.
    pub(crate) fn from_headers(headers: &HeaderMap, size: u64) -> Self {
        let text = |name: &str| header_text(headers, name).map(str::to_owned);
        let checksum = |algorithm: ChecksumAlgorithm| Some((algorithm, text(algorithm.header()?)?));
        let customer_key = headers.contains_key("x-amz-server-side-encryption-customer-algorithm");
        Self {
            size,
            etag: text(ETAG.as_str()),
            version_id: text("x-amz-version-id").filter(|id| id != "null"),
            last_modified: text(LAST_MODIFIED.as_str()),
            storage_class: text("x-amz-storage-class"),
            checksum_type: text("x-amz-checksum-type"),
            checksums: ChecksumAlgorithm::OF_HEADERS.into_iter().filter_map(checksum).collect(),
            content_type: text(CONTENT_TYPE.as_str()),
            content_encoding: text(CONTENT_ENCODING.as_str()),
            encryption: text("x-amz-server-side-encryption")
                .or_else(|| customer_key.then(|| "SSE-C".to_owned())),
            is_made_of_others: LARGE_OBJECT.iter().any(|name| headers.contains_key(*name)),
        }
    }
}

/// Creates the error for a response that S3 never sends. Retryable: another connection may lead to a healthier server.
pub(crate) fn malformed(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Server, what).retryable(true)
}
