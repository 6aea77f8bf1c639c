//! What is done with text from outside, as functions of arbitrary bytes: one definition of each fuzz target,
//! for cargo-fuzz (`fuzz/`, which sets `cfg(fuzzing)`) and for the tests below, which run everywhere.
//!
//! Each target parses its bytes and asserts what must hold of whatever comes out; it never fails for any
//! input. No part of the library that is shipped.

mod checks;
pub mod config;
pub mod echo;
pub mod exchange;
pub mod files;

use http::{HeaderValue, StatusCode};

use crate::cli::value_parsers;
use crate::download::options::Options;
use crate::error::printable::is_invisible;
use crate::fuzzing::checks::{assert_harmless, assert_no_controls, divided};
use crate::s3::address::addressing::AddressingStyle;
use crate::s3::address::endpoint::Endpoint;
use crate::s3::address::region::Region;
use crate::s3::address::s3_uri::S3Uri;
use crate::s3::error_response::error_from_response;
use crate::s3::etag::ETag;
use crate::s3::object::ObjectInfo;
use crate::s3::pinned::PinnedVersion;
use crate::s3::range::{ByteRange, content_range};
use crate::s3::range_spec::RangeSpec;
use crate::s3::request::{self, S3Request};
use crate::s3::response::RangeResponse;
use crate::s3::secrets::Secrets;

/// The functions that take the bytes.
pub type FuzzTarget = fn(&[u8]);

/// All targets, by the names of their corpora in `fixtures/fuzz/`.
pub const TARGETS: [(&str, FuzzTarget); 13] = [
    ("uri", uri),
    ("sizes", sizes),
    ("range", range),
    ("etag", etag),
    ("content_range", content_ranges),
    ("error_response", error_response),
    ("response_head", response_head),
    ("sidecar", files::sidecar),
    ("part_list", files::part_list),
    ("config_file", config::config_file),
    ("proxy", config::proxy),
    ("key_text", config::key_text),
    ("echo", echo::echo),
];

/// A whole download, which takes longer: from a peer that answers with these bytes.
pub const EXCHANGE: (&str, FuzzTarget) = ("exchange", exchange::exchange);

/// Sent with the request that a fuzzed response answers.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG";

/// An object's URI, and the request for it.
pub fn uri(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let uri = match text.parse::<S3Uri>() {
        Ok(uri) => uri,
        Err(error) => {
            assert_eq!(error.exit_code(), 2);
            return assert_no_controls(&error.to_string());
        }
    };
    assert!(text.ends_with(uri.key()), "the key is taken as it is");
    assert_no_controls(&uri.to_string());
    if !uri.key().contains(is_invisible) {
        assert_eq!(uri.to_string().parse::<S3Uri>().ok().as_ref(), Some(&uri));
    }
    let custom = http::Uri::from_static("http://127.0.0.1:9000/prefix");
    let region = crate::s3::address::region::Region::default();
    for (endpoint, style) in [
        (None, AddressingStyle::Path),
        (None, AddressingStyle::Virtual),
        (Some(&custom), AddressingStyle::Path),
        (Some(&custom), AddressingStyle::Auto),
    ] {
        // A bucket may be no host name: that is an error, and any key is a path.
        let Ok(endpoint) = Endpoint::resolve(&uri, &region, endpoint, style.into()) else { continue };
        let ask = S3Request::Get { range: ByteRange::new(0, 1), if_match: None, checksums: false };
        let built = request::build(&endpoint, ask, None).expect("a request for any key");
        let path = built.uri().path();
        let decoded = percent_encoding::percent_decode_str(path).collect::<Vec<u8>>();
        assert!(decoded.ends_with(uri.key().as_bytes()), "{path} is another key");
    }
}

/// `--chunk-size` and `--max-memory`.
pub fn sizes(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(size) = value_parsers::chunk_size(text) {
        assert!((1..=Options::CHUNK_SIZE_MAX).contains(&size.get()));
    }
    if let Ok(size) = value_parsers::max_memory(text) {
        assert!(size.get() >= Options::MAX_MEMORY_MIN);
    }
}

/// `--range`.
pub fn range(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(range) = text.parse::<RangeSpec>() else { return };
    assert_eq!(range.to_string().parse::<RangeSpec>().ok(), Some(range), "it is shown as it is typed");
    for size in [0, 1, 1000, u64::MAX] {
        let bytes = range.of(size);
        assert!(bytes.is_empty() || bytes.clipped(size) == bytes, "a range of the object");
    }
}

/// `--if-match`, and what a store calls a version.
pub fn etag(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(etag) = text.parse::<ETag>() else { return };
    assert!(etag.matches(etag.as_str()) && etag.matches(text), "it is itself");
    assert!(HeaderValue::from_str(etag.as_str()).is_ok(), "it goes into a header");
}

/// The header `Content-Range`.
pub fn content_ranges(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((range, size)) = content_range(text) else { return };
    assert!(!range.is_empty() && range.clipped(size) == range, "a range of the object");
    let shown = range.to_string().replacen('=', " ", 1);
    assert_eq!(content_range(&format!("{shown}/{size}")), Some((range, size)));
}

/// A response that is an error: the first line is its head, as [`head`] has it, the rest its body.
pub fn error_response(data: &[u8]) {
    let (head, body) = divided(data);
    let mut secrets = Secrets::default();
    secrets.add(SECRET);
    let error = error_from_response(&head, body, &secrets);
    assert!(!format!("{error} {error:?}").contains(SECRET), "a secret is echoed");
    assert_harmless(&error);
    assert!((1..=6).contains(&error.exit_code()));
    // A port that expects TLS is no service.
    let Some(service) = error.service() else { return };
    assert_eq!(service.status, head.status.as_u16());
    let Some(region) = &service.region else { return };
    // At AWS it becomes a part of a host's name; a custom endpoint may name any that can be configured for it.
    let of_aws = Region::parse_for(region, false);
    assert!(of_aws.is_err() || region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    assert!(Region::parse_for(region, true).is_ok(), "a region that can be configured");
}

/// The head of a response that has an object, or says so.
pub fn response_head(data: &[u8]) {
    let (mut head, rest) = divided(data);
    // Any other status is an error.
    if head.status != StatusCode::PARTIAL_CONTENT {
        head.status = StatusCode::OK;
    }
    let number = |at: usize| rest.get(at).map_or(0, |byte| u64::from(*byte));
    let asked = ByteRange::new(number(0), number(0) + number(1) + 1);
    if let Ok(info) = ObjectInfo::from_head(&head) {
        assert!(info.checksums.len() <= 5);
    }
    for size in [None, Some(number(2))] {
        match RangeResponse::check(&head, asked, size) {
            Err(error) => assert_harmless(&error),
            Ok(opened) if opened.whole => assert_eq!(opened.body, ByteRange::new(0, opened.info.size)),
            Ok(opened) => {
                let (body, wanted) = (opened.body, asked.clipped(opened.info.size));
                assert_eq!(body.start(), wanted.start(), "the bytes asked for");
                assert!(
                    body.end() <= wanted.end() && body.is_empty() == wanted.is_empty(),
                    "or the first of them"
                );
                assert!(size.is_none_or(|size| size == opened.info.size), "of the same object");
                let pin = PinnedVersion::new(&opened.info);
                assert!(pin.check(&opened.info).is_ok(), "a version is itself");
                pinned_request(&pin);
            }
        }
    }
}

/// A version's name as a server gives it goes back to it in a header and in a query.
fn pinned_request(pin: &PinnedVersion) {
    let uri = "s3://b/k".parse::<S3Uri>().expect("a URI");
    let region = crate::s3::address::region::Region::default();
    let endpoint = Endpoint::resolve(&uri, &region, None, AddressingStyle::Path.into()).expect("an endpoint");
    let ask = S3Request::Get { range: ByteRange::new(0, 1), if_match: pin.if_match(), checksums: false };
    assert!(request::build(&endpoint, ask, pin.version_id()).is_ok(), "any version can be asked for");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;

    /// The inputs of a target's corpus, in the order of their names.
    fn corpus(name: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz").join(name);
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{}", folder.display());
        files.iter().map(|file| fs::read(file).unwrap()).collect()
    }

    #[test]
    fn every_corpus_is_taken_without_harm() {
        for (name, target) in TARGETS.into_iter().chain([EXCHANGE]) {
            let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/fuzz_targets/{name}.rs"));
            assert!(shared.is_file(), "{}", shared.display());
            for input in corpus(name) {
                target(&input);
            }
        }
    }

    /// One input changed in places, as a fuzzer does it: bytes replaced, taken out and put in.
    fn changed() -> impl Strategy<Value = (FuzzTarget, Vec<u8>)> {
        let change = (any::<Index>(), any::<u8>(), 0..4_u8, select(b"0123456789-/ :|\n<>&;\"%.".to_vec()));
        let inputs = TARGETS.iter().flat_map(|(name, target)| corpus(name).into_iter().map(|i| (*target, i)));
        let inputs: Vec<_> = inputs.collect();
        (select(inputs), prop::collection::vec(change, 0..8)).prop_map(|((target, mut input), changes)| {
            for (at, any, how, likely) in changes {
                let at = at.index(input.len() + 1);
                match (how, at < input.len()) {
                    (0, true) => drop(input.remove(at)),
                    (1, true) => input[at] = likely,
                    (2, true) => input[at] = any,
                    _ => input.insert(at, likely),
                }
            }
            (target, input)
        })
    }

    /// Messages of a peer, in the order of the protocol or not.
    const PHRASES: [&str; 24] = [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 206 Partial Content\r\n",
        "HTTP/1.1 403 Forbidden\r\n",
        "HTTP/1.1 412 Precondition Failed\r\n",
        "HTTP/1.1 416 Range Not Satisfiable\r\n",
        "HTTP/1.1 301 Moved\r\nlocation: http://127.0.0.1:1/\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "content-length: 5\r\n",
        "content-length: 9\r\n",
        "content-length: 0\r\n",
        "content-range: bytes 0-4/5\r\n",
        "content-range: bytes 0-4/9\r\n",
        "content-range: bytes 5-8/9\r\n",
        "content-range: bytes */0\r\n",
        "transfer-encoding: chunked\r\n",
        "etag: \"e\"\r\n",
        "etag: W/\"e\"\r\n",
        "last-modified: Mon\r\n",
        "\r\n",
        "hello",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "<Error><Code>SlowDown</Code></Error>",
        "\u{1}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn nor_does_a_peer_that_speaks_any_http(phrases in prop::collection::vec(select(&PHRASES[..]), 0..60)) {
            exchange::exchange(phrases.concat().as_bytes());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16_384))]

        #[test]
        fn nor_does_a_changed_input_do_harm((target, input) in changed()) {
            target(&input);
        }

        #[test]
        fn nor_do_any_bytes(input in prop::collection::vec(any::<u8>(), 0..200)) {
            for (_, target) in TARGETS {
                target(&input);
            }
        }
    }
}
