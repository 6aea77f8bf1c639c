//! The scope of a signature, and the scheme by which it is made. Data only.

use crate::s3::address::region::Region;

/// The scope of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SigningScope {
    /// The configured region, or an access point's own.
    pub(crate) region: Region,
    /// The name of the service.
    pub(crate) service: &'static str,
    pub(crate) scheme: AuthScheme,
}

/// The way in which requests are authenticated; AWS's endpoint rules call them `sigv4`, `sigv4-s3express` and `sigv4a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthScheme {
    /// Signature Version 4, with the long-term keys.
    SigV4,
    /// Signature Version 4, with the keys of a session that `CreateSession` began.
    Session,
    /// Signature Version 4A, which is valid in many regions.
    SigV4a,
}
