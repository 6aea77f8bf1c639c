//! Checksums of objects: their values, a HEAD that declares one, and what a run reports about it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use serde_json::Value;
use sha2::Digest as _;

use super::fault_server::{Reply, Request};
use super::run::Outcome;

/// The header of each algorithm.
pub(crate) const HEADERS: [&str; 5] = [
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc32",
    "x-amz-checksum-sha256",
    "x-amz-checksum-sha1",
];

/// The value of one algorithm over `bytes`, as bytes.
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

/// The value of one algorithm over `bytes`, in base64 as it stands in the header.
pub(crate) fn value(header: &str, bytes: &[u8]) -> String {
    STANDARD.encode(digest(header, bytes))
}

/// The name of the algorithm in `--stats`.
pub(crate) fn name(header: &str) -> &str {
    header.trim_start_matches("x-amz-checksum-")
}

/// The answer to a HEAD with this checksum of the full object.
pub(crate) fn full(header: &'static str, value: impl Into<String>) -> Reply {
    Reply::ok().header(header, value).header("x-amz-checksum-type", "FULL_OBJECT")
}

/// Answers each HEAD with `head`, and each GET as it should be.
pub(crate) fn with_head(head: Reply) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request| if request.is_get() { Reply::ok() } else { head.clone() }
}

/// What `--stats` says was verified.
#[track_caller]
pub(crate) fn verified(outcome: &Outcome) -> Option<String> {
    let line = outcome.stderr.lines().find(|line| line.starts_with('{')).expect("a line of figures");
    let stats: Value = serde_json::from_str(line).expect("JSON");
    stats.get("checksum").expect("the key").as_str().map(str::to_owned)
}

/// Every byte came out, as the server has them, and exit 7 says that they are wrong.
#[track_caller]
pub(crate) fn assert_wrong(outcome: &Outcome, object: &[u8]) {
    assert_eq!(outcome.code(), Some(7), "{}", outcome.stderr);
    assert!(outcome.stdout == object, "all bytes are out, as they came");
    assert!(outcome.stderr.contains("pipefail") || outcome.stderr.contains("--checksum auto"));
    assert_eq!(verified(outcome), None);
}

/// Every byte came out with exit 0, and this was compared.
#[track_caller]
pub(crate) fn assert_right(outcome: &Outcome, object: &[u8], name: Option<&str>) {
    outcome.assert_object(object);
    assert_eq!(verified(outcome).as_deref(), name, "{}", outcome.stderr);
}
