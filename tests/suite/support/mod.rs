//! Shared by all tests: a runner for the program, servers to run it against, objects, files and tables of cases.
//!
//! A helper that more than one test needs is here: no test imports from another test.

pub(crate) mod aws;
pub(crate) mod certificate;
pub(crate) mod checksums;
pub(crate) mod directory_bucket;
pub(crate) mod fault_server;
pub(crate) mod files;
pub(crate) mod notes;
pub(crate) mod object;
pub(crate) mod presigned;
pub(crate) mod proxy;
pub(crate) mod run;
pub(crate) mod socks;
pub(crate) mod sources;
pub(crate) mod strace;
pub(crate) mod table;
pub(crate) mod tls_front;
