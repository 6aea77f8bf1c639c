//! The job files of docs/jobs: each is checked by its scheduler's own rules, and its command is run, where the machine
//! has what that needs. Otherwise a line of the output says what was skipped.

mod aws_batch;
mod kubernetes;
mod slurm;

use std::path::PathBuf;

use s3server::{Object, Server, Version};

use super::{by_pip, root};
use crate::support::object::object;
use crate::support::run::{ACCESS_KEY, SECRET_KEY};

/// Starts a server that has `key` in `bucket`.
fn server(key: &str, size: u64) -> (Server, Version) {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let bytes = object(size);
    let crc = crate::support::checksums::value("x-amz-checksum-crc64nvme", &bytes);
    let stored = Object::new(bytes).checksum(s3server::Checksum::Crc64Nvme, crc);
    let version = server.put("bucket", key, stored);
    (server, version)
}

/// Returns the path of a job file.
fn job(name: &str) -> PathBuf {
    root().join("docs/jobs").join(name)
}
