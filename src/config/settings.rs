//! The settings of the command line and the complete configuration: data only.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use crate::config::credentials::Credentials;
use crate::s3::address::addressing::{Addressing, AddressingStyle};
use crate::s3::address::region::Region;
use crate::s3::sse_c::{CustomerKey, KeyText};
use crate::transport::proxy::Proxies;
use crate::transport::tls::{ClientCertificate, Tls};

/// Settings from the command line; each takes precedence over the environment and the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The URL of an S3-compatible server.
    pub endpoint: Option<String>,
    /// The region to sign for.
    pub region: Option<String>,
    /// The profile to read; its credentials take precedence over keys in the environment.
    pub profile: Option<String>,
    /// Send unsigned requests and look for no credentials.
    pub no_sign_request: bool,
    /// A file or folder of PEM certificates to trust instead of the operating system's.
    pub ca_bundle: Option<PathBuf>,
    /// The certificate to present to servers that ask for one.
    pub client_certificate: Option<ClientCertificate>,
    /// Bucket addressing: in the path or in the host name.
    pub addressing_style: Option<AddressingStyle>,
    /// Use AWS's FIPS endpoints.
    pub fips: Option<bool>,
    /// Use AWS's dual-stack endpoints (IPv4 and IPv6).
    pub dualstack: Option<bool>,
    /// Use the endpoints of S3 Transfer Acceleration.
    pub accelerate: Option<bool>,
    /// Confirm requester-pays charges.
    pub request_payer: bool,
    /// The customer-provided key that the object is encrypted with (SSE-C): a file, or base64.
    pub sse_c_key: Option<KeyText>,
}

/// Everything that requests depend on besides the object, complete and checked. By default requests go to AWS,
/// unsigned.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// The region to sign for; us-east-1 by default, until S3 reports the bucket's region.
    pub region: Region,
    /// A custom endpoint: http or https, a host, an optional port and an optional path prefix, nothing else.
    pub endpoint: Option<http::Uri>,
    /// How hosts are chosen.
    pub addressing: Addressing,
    /// The certificates to trust and to present, read when a TLS connection needs them.
    pub tls: Tls,
    /// The proxies to connect through.
    pub proxies: Proxies,
    /// Consecutive attempts without progress before giving up, unless the download's options set a number.
    pub max_attempts: Option<NonZeroU32>,
    /// The default for verifying object checksums.
    pub checksum_validation: ChecksumValidation,
    /// Upper limits for downloads whose options set none.
    pub profile_limits: ProfileLimits,
    /// Confirm requester-pays charges with each request.
    pub request_payer: bool,
    /// The customer-provided key that the object is encrypted with (SSE-C).
    pub sse_c: Option<CustomerKey>,
    /// The credentials that requests are signed with.
    pub credentials: Credentials,
}

/// Limits from the profile's `s3 =` block: `max_concurrent_requests`, `multipart_chunksize` and `max_bandwidth`.
/// Explicit options override them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfileLimits {
    /// Concurrent range requests.
    pub concurrency: Option<NonZeroUsize>,
    /// Size of a range in bytes.
    pub chunk_size: Option<NonZeroU64>,
    /// Body bytes received per second.
    pub bytes_per_second: Option<NonZeroU64>,
}

/// The default for verifying downloads against the store's checksums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChecksumValidation {
    /// Verify whenever the store has a checksum.
    #[default]
    WhenSupported,
    /// Verify only where an operation requires it. Reading an object never does.
    WhenRequired,
}
