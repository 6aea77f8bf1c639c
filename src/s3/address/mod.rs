//! What is asked for, and which host has it.

pub(crate) mod access_point;
pub(crate) mod addressing;
pub(crate) mod endpoint;
pub(crate) mod endpoint_url;
pub(crate) mod host;
pub(crate) mod http_url;
pub(crate) mod partition;
#[cfg(test)]
mod published_cases;
pub(crate) mod region;
pub(crate) mod s3_uri;
pub(crate) mod source;
