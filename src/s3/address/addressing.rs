//! The user's choice of hosts: path or virtual-hosted addressing, and which of AWS's hosts to use. Data only.

/// How the bucket is addressed (Amazon S3 User Guide, "Virtual hosting of buckets").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressingStyle {
    /// Path style for custom endpoints and for bucket names that are not host labels; virtual-hosted for AWS.
    #[default]
    Auto,
    /// `https://host/bucket/key`.
    Path,
    /// `https://bucket.host/key`, except for bucket names that DNS does not allow.
    Virtual,
}

/// The variant of AWS's S3 hosts. None of them can be combined with a custom endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointVariant {
    /// Hosts with validated cryptography (FIPS 140).
    pub fips: bool,
    /// Hosts with IPv4 and IPv6 addresses.
    pub dualstack: bool,
    /// S3 Transfer Acceleration, for buckets where it is enabled.
    pub accelerate: bool,
}

/// Settings that choose the host, besides the endpoint and the region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Addressing {
    /// The place of the bucket: the path or the host.
    pub style: AddressingStyle,
    /// The variant of AWS's hosts.
    pub variant: EndpointVariant,
    /// Refuses access points whose ARN names another region than the configured one.
    pub arn_region_must_match: bool,
    /// Signs requests to directory buckets with the long-term keys, in place of a session's.
    pub disable_express_session_auth: bool,
    /// Refuses multi-region access points.
    pub disable_multiregion_access_points: bool,
}

impl From<AddressingStyle> for Addressing {
    fn from(style: AddressingStyle) -> Self {
        Self { style, ..Self::default() }
    }
}
