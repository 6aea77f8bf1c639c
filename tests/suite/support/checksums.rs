//! Checksums of objects: their values, a HEAD that declares one, and what a run reports about it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use serde_json::Value;
use sha2::Digest as _;

use super::fault_server::{Reply, Request};
use super::run::Outcome;

/// The header in which S3 declares the checksum of each algorithm.
pub(crate) const HEADERS: [&str; 5] = [
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc32",
    "x-amz-checksum-sha256",
    "x-amz-checksum-sha1",
];

/// Returns the checksum of `bytes` for the algorithm of `header`, as bytes.
pub(crate) fn digest(header: &str, bytes: &[u8]) -> Vec<u8> {
    let crc = |algorithm| crc_fast::checksum(algorithm, bytes).to_be_bytes();
    match header {
        "x-amz-checksum-crc64nvme" => crc(CrcAlgorithm::Crc64Nvme).to_vec(),
        "x-amz-checksum-crc32c" => crc(CrcAlgorithm::Crc32Iscsi)[4..].to_vec(),
        "x-amz-checksum-crc32" => crc(CrcAlgorithm::Crc32IsoHdlc)[4..].to_vec(),
        "x-amz-checksum-sha256" => sha2::Sha256::digest(bytes).to_vec(),
        "x-amz-checksum-sha1" => sha1::Sha1::digest(bytes).to_vec(),
        other => panic!("{other}"),
    }
}

/// Returns the checksum of `bytes` for the algorithm of `header`, in base64 as the header has it.
pub(crate) fn value(header: &str, bytes: &[u8]) -> String {
    STANDARD.encode(digest(header, bytes))
}

/// Returns the algorithm's name in `--stats`.
pub(crate) fn name(header: &str) -> &str {
    header.trim_start_matches("x-amz-checksum-")
}

/// Builds the reply to a HEAD that declares this checksum of the full object.
pub(crate) fn full(header: &'static str, value: impl Into<String>) -> Reply {
    Reply::ok().header(header, value).header("x-amz-checksum-type", "FULL_OBJECT")
}

/// Replies to each HEAD with `head`, and to each GET correctly.
pub(crate) fn with_head(head: Reply) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request| if request.is_get() { Reply::ok() } else { head.clone() }
}

/// Returns the algorithm that was verified according to `--stats=json`.
#[track_caller]
pub(crate) fn verified(outcome: &Outcome) -> Option<String> {
    let line = outcome.stderr.lines().find(|line| line.starts_with('{')).expect("a line of figures");
    let stats: Value = serde_json::from_str(line).expect("JSON");
    stats.get("checksum").expect("the key").as_str().map(str::to_owned)
}

/// Asserts that every byte was delivered, as the server has it, and that exit code 7 says that they are wrong.
#[track_caller]
pub(crate) fn assert_wrong(outcome: &Outcome, object: &[u8]) {
    assert_eq!(outcome.code(), Some(7), "{}", outcome.stderr);
    assert!(outcome.stdout == object, "all bytes are out, as they came");
    assert!(outcome.stderr.contains("pipefail") || outcome.stderr.contains("--checksum auto"));
    assert_eq!(verified(outcome), None);
}

/// Asserts that every byte was delivered with exit code 0, and that the checksum `name`, if any, was compared.
#[track_caller]
pub(crate) fn assert_right(outcome: &Outcome, object: &[u8], name: Option<&str>) {
    outcome.assert_object(object);
    assert_eq!(verified(outcome).as_deref(), name, "{}", outcome.stderr);
}
