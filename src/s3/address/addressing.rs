//! What the user chooses of hosts: where the bucket's name goes, and which of AWS's hosts are asked. Data only.

/// How the bucket is addressed (Amazon S3 User Guide, "Virtual hosting of buckets").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AddressingStyle {
    /// Path style for custom endpoints and bucket names that are no host label; virtual-hosted for AWS.
    #[default]
    Auto,
    /// `https://host/bucket/key`.
    Path,
    /// `https://bucket.host/key`, but for bucket names that DNS does not allow.
    Virtual,
}

/// Which of AWS's hosts for S3 are asked. With a custom endpoint none of these can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointVariant {
    /// Hosts with validated cryptography (FIPS 140).
    pub fips: bool,
    /// Hosts with IPv4 and IPv6 addresses.
    pub dualstack: bool,
    /// S3 Transfer Acceleration, for buckets where it is enabled.
    pub accelerate: bool,
}

/// What is configured of hosts, beside the endpoint and the region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Addressing {
    /// Where the bucket's name goes.
    pub style: AddressingStyle,
    /// Which of AWS's hosts.
    pub variant: EndpointVariant,
    /// Access points whose ARN names another region than the configured one are refused.
    pub arn_region_must_match: bool,
}

impl From<AddressingStyle> for Addressing {
    fn from(style: AddressingStyle) -> Self {
        Self { style, ..Self::default() }
    }
}
