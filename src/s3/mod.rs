//! The S3 protocol, without I/O: addresses, requests, signatures, responses, checksums.
//!
//! Sans I/O: no module depends on tokio or hyper, or waits for anything.

pub(crate) mod address;
pub(crate) mod checksum;
pub(crate) mod date;
mod echo_encodings;
pub(crate) mod error_document;
mod error_fields;
pub(crate) mod error_response;
pub(crate) mod etag;
pub(crate) mod header;
pub(crate) mod object;
pub(crate) mod part_list;
pub(crate) mod pinned;
pub(crate) mod proof;
pub(crate) mod range;
pub(crate) mod range_spec;
pub(crate) mod redirect;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod secrets;
pub(crate) mod session;
pub(crate) mod shard;
pub(crate) mod sign;
pub(crate) mod sign_v4a;
pub(crate) mod sse_c;
mod text_pieces;
