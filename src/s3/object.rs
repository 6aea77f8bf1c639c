//! What a store says of an object: data, and how it is read from a response's headers.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::response::Parts;

use crate::error::{Error, ErrorKind, Result};
use crate::s3::checksum::algorithm::ChecksumAlgorithm;

/// What a store says of an object (Amazon S3 API Reference, `HeadObject`). Header values are kept as
/// they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// In bytes.
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
    /// (algorithm as in the header's name, for example `crc64nvme`; value in base64).
    pub checksums: Vec<(String, String)>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `x-amz-server-side-encryption`: `AES256`, `aws:kms` or `aws:kms:dsse`; `SSE-C` where the key is the customer's.
    pub encryption: Option<String>,
}

impl ObjectInfo {
    /// What a successful HEAD says.
    pub(crate) fn from_head(head: &Parts) -> Result<Self> {
        let size = content_length(&head.headers)
            .ok_or_else(|| nonsense("the response to HEAD has no Content-Length"))?;
        Ok(Self::from_headers(&head.headers, size))
    }

    pub(crate) fn from_headers(headers: &HeaderMap, size: u64) -> Self {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let checksum = |algorithm: ChecksumAlgorithm| {
            let name = algorithm.name();
            text(&format!("x-amz-checksum-{name}")).map(|value| (name.to_owned(), value))
        };
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
            encryption: text("x-amz-server-side-encryption")
                .or_else(|| customer_key.then(|| "SSE-C".to_owned())),
        }
    }
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A response that S3 does not give. Another connection may lead to a healthier server.
pub(crate) fn nonsense(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Server, what).retryable(true)
}
