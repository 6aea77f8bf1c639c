//! The service's side of an error: its response, read into fields.

use std::time::Duration;

/// Codes that ask for fewer requests, besides those that begin with `Throttl`.
///
/// Source: botocore, `retries/standard.py`, `_THROTTLED_ERROR_CODES`.
const THROTTLING_CODES: [&str; 12] = [
    "SlowDown",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequests",
    "TooManyRequestsException",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "PriorRequestNotComplete",
    "TransactionInProgressException",
    "EC2ThrottledException",
];

/// The content of an error response: the HTTP status and, where there was an XML body,
/// its fields (Amazon S3 API Reference, "Error responses").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceError {
    /// The HTTP status.
    pub status: u16,
    /// `<Code>`, for example `NoSuchKey`.
    pub code: Option<String>,
    /// `<Message>`.
    pub message: Option<String>,
    /// `<RequestId>` or the header `x-amz-request-id`.
    pub request_id: Option<String>,
    /// `<Region>` or the header `x-amz-bucket-region`: where the bucket is.
    pub region: Option<String>,
    /// How long the header `Retry-After` asks to wait.
    pub retry_after: Option<Duration>,
    /// The server's clock by `<ServerTime>`, in seconds since the epoch.
    pub(crate) server_time: Option<u64>,
    /// The server's clock by the header `Date`, in seconds since the epoch.
    pub date: Option<u64>,
    /// The object's size in bytes, which comes with a 416: from the header `Content-Range` (RFC 9110, section
    /// 15.5.17) or `<ActualObjectSize>`.
    pub object_size: Option<u64>,
    /// Set if the version requested, or the latest one, is a delete marker: by the header `x-amz-delete-marker` or
    /// `<ResourceType>`.
    pub is_delete_marker: bool,
}

impl ServiceError {
    /// Returns the code, or the empty string if the service gave none.
    #[must_use]
    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or("")
    }

    /// Creates the response with this status and code; none if it is empty.
    #[cfg(test)]
    pub(crate) fn of(status: u16, code: &str) -> Self {
        let code = (!code.is_empty()).then(|| code.to_owned());
        Self { status, code, ..Self::default() }
    }

    /// Returns whether the server implements no such request, or does not allow one of its headers: 501, or a 405 that
    /// is not about a delete marker.
    pub(crate) fn is_unsupported(&self) -> bool {
        self.status == 501
            || (self.status == 405 && !self.is_delete_marker)
            || (self.code() == "NotImplemented" && matches!(self.status, 400..=499))
    }

    /// Returns whether it asks for fewer requests, or the service is too busy for this one (S3 API Reference, "Error
    /// responses").
    #[must_use]
    pub fn is_throttling(&self) -> bool {
        self.status == 503 || self.names_throttling()
    }

    /// Returns whether its status (RFC 6585, section 4) or its code, with any status, asks for fewer requests.
    pub(crate) fn names_throttling(&self) -> bool {
        self.status == 429 || THROTTLING_CODES.contains(&self.code()) || self.code().starts_with("Throttl")
    }
}
