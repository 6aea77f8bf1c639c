//! Checksums: the algorithms that S3 knows, and the comparison of a download with the store's checksum.
//!
//! Bytes are hashed in the order of delivery, and the result is compared with the value that the store keeps. Pure:
//! the response to HEAD is a parameter. Source: Amazon S3 User Guide, "Checking object integrity in Amazon S3".

pub(crate) mod algorithm;
pub(crate) mod composite;
pub(crate) mod expected;
pub(crate) mod verifier;
