//! Addresses: objects as users name them, and the hosts that serve them.

pub(crate) mod access_point;
pub(crate) mod addressing;
pub(crate) mod directory_bucket;
pub(crate) mod endpoint;
pub(crate) mod endpoint_url;
pub(crate) mod host;
pub(crate) mod http_url;
mod missing_key;
mod outposts_alias;
pub(crate) mod partition;
#[cfg(test)]
mod published_cases;
pub(crate) mod region;
pub(crate) mod s3_uri;
pub(crate) mod signing_scope;
pub(crate) mod source;
pub(crate) mod typed_text;
