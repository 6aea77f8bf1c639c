//! What is said and what follows from it: data only, complete and checked where it is a [`Config`].

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use crate::config::credentials::Credentials;
use crate::s3::address::addressing::{Addressing, AddressingStyle};
use crate::s3::address::region::Region;
use crate::s3::sse_c::{CustomerKey, KeyText};
use crate::transport::proxy::Proxies;

/// What the command line said; each value goes before the environment's and the profile's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The URL of an S3-compatible server.
    pub endpoint: Option<String>,
    /// The region to sign for.
    pub region: Option<String>,
    /// The profile to read; its credentials go before keys in the environment.
    pub profile: Option<String>,
    /// Send unsigned requests and ask nobody for credentials.
    pub no_sign_request: bool,
    /// A file of PEM certificates to trust instead of the operating system's.
    pub ca_bundle: Option<PathBuf>,
    /// Where the bucket's name goes.
    pub addressing_style: Option<AddressingStyle>,
    /// Ask AWS's hosts with validated cryptography.
    pub fips: Option<bool>,
    /// Ask AWS's hosts with IPv4 and IPv6 addresses.
    pub dualstack: Option<bool>,
    /// Ask the hosts of S3 Transfer Acceleration.
    pub accelerate: Option<bool>,
    /// Who asks pays for the request, where the bucket's owner wants that.
    pub request_payer: bool,
    /// The customer's own key that the object is encrypted with: a file, or base64.
    pub sse_c_key: Option<KeyText>,
}

/// Everything that requests need to know besides the object: complete and checked. By default unsigned
/// requests to AWS.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The region to sign for.
    pub region: Region,
    /// Whether anybody named the region: if not it is us-east-1, until S3 says where the bucket is.
    pub region_configured: bool,
    /// A custom endpoint: http or https, a host, perhaps a port and a path prefix, nothing else.
    pub endpoint: Option<http::Uri>,
    /// How the host is chosen.
    pub addressing: Addressing,
    /// A file of PEM certificates to trust instead of the operating system's. Not read here.
    pub ca_bundle: Option<PathBuf>,
    /// The proxies that hosts are reached by.
    pub proxies: Proxies,
    /// Tries in a row that bring nothing new, where the download's options name no number.
    pub max_attempts: Option<NonZeroU32>,
    /// Whether responses are to be checked against checksums wherever there are some.
    pub checksum_validation: ChecksumValidation,
    /// What a download should not go beyond where its options say nothing.
    pub profile_limits: ProfileLimits,
    /// Whether requests say that who asks pays for them.
    pub request_payer: bool,
    /// The customer's own key that the object is encrypted with.
    pub sse_c: Option<CustomerKey>,
    /// Whom to sign as.
    pub credentials: Credentials,
}

/// What a download should not go beyond where nothing else is said: `max_concurrent_requests`, `multipart_chunksize`
/// and `max_bandwidth` of the profile's block `s3 =`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProfileLimits {
    /// Ranges fetched at once.
    pub concurrency: Option<NonZeroUsize>,
    /// Bytes of a range.
    pub chunk_size: Option<NonZeroU64>,
    /// Body bytes received in a second.
    pub bytes_per_second: Option<NonZeroU64>,
}

/// Whether what comes is checked against the store's checksums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChecksumValidation {
    /// Wherever the store has one.
    #[default]
    WhenSupported,
    /// Only where an operation asks for it, which reading an object does not: never.
    WhenRequired,
}
