//! Checksums: the algorithms that S3 knows, and what a download does with them.
//!
//! Bytes go in as they are delivered, in order; what they come to is compared with what the store keeps.
//! Source: Amazon S3 User Guide, "Checking object integrity in Amazon S3". Pure: what HEAD says is a
//! parameter, and nothing is asked for or waited for here.

pub(crate) mod algorithm;
pub(crate) mod composite;
pub(crate) mod expected;
pub(crate) mod verifier;
