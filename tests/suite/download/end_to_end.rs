//! Whole downloads from a server that checks signatures: the right bytes, with no more requests and bytes than the
//! object needs.

use s3server::{Builder, Logged, Server};

use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY};
use crate::support::table;

/// A server that knows the keys of every run.
fn server() -> Builder {
    Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests()
}

#[test]
fn every_size_takes_one_get_a_chunk() {
    let table = [
        ("nothing", 0),
        ("one byte", 1),
        ("a byte less than a chunk", CHUNK - 1),
        ("a chunk", CHUNK),
        ("a byte more than a chunk", CHUNK + 1),
        ("as many chunks as concurrent requests", 4 * CHUNK),
        ("several chunks and a bit", SIZE),
        ("many chunks", 40 * CHUNK + 1),
    ];
    table::each(&table, |&size| {
        let server = server().start();
        let bytes = object(size);
        server.put("bucket", "key", bytes.clone());
        let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).download("s3://bucket/key");
        outcome.assert_object(&bytes);
        let stats = server.stats();
        if size == 0 {
            // A range of nothing is refused; that the object is empty takes a second look.
            assert!(stats.gets <= 2, "{stats:?}");
        } else {
            assert_eq!(stats.gets, size.div_ceil(CHUNK), "{stats:?}");
        }
        assert!(stats.heads <= 1, "{stats:?}");
        assert_eq!(stats.body_bytes, size, "{stats:?}");
    });
}

#[test]
fn every_window_gives_the_same_bytes() {
    let table = [
        ("one at a time", (1, CHUNK)),
        ("two at a time", (2, CHUNK)),
        ("more than there are chunks", (64, CHUNK)),
        ("odd chunks", (3, 10_007)),
        ("tiny chunks", (8, 4096)),
        ("a chunk larger than the object", (4, 10 * SIZE)),
    ];
    table::each(&table, |&(concurrency, chunk)| {
        let server = server().start();
        let bytes = object(SIZE);
        server.put("bucket", "key", bytes.clone());
        let outcome = S3fcp::at(&server.endpoint()).window(concurrency, chunk).download("s3://bucket/key");
        outcome.assert_object(&bytes);
        assert_eq!(server.stats().gets, SIZE.div_ceil(chunk));
    });
}

#[test]
fn defaults_download_a_larger_object() {
    let server = server().start();
    let bytes = object((40 << 20) + 1);
    server.put("bucket", "key", bytes.clone());
    let outcome = S3fcp::at(&server.endpoint()).download("s3://bucket/key");
    outcome.assert_object(&bytes);
    // Where the machine is busy, ranges may be cancelled or hedged, and their bytes come twice.
    let sent = server.stats().body_bytes;
    assert!((bytes.len()..2 * bytes.len()).contains(&usize::try_from(sent).unwrap()), "{sent} bytes");
    assert_eq!(outcome.stderr, "", "no progress bar where there is no terminal");
}

#[test]
fn ranges_are_the_plan_and_all_but_the_first_are_pinned() {
    let server = server().start();
    let version = server.put("bucket", "key", object(SIZE));
    S3fcp::at(&server.endpoint()).window(4, CHUNK).download("s3://bucket/key").assert_object(&object(SIZE));
    let gets: Vec<Logged> = server.requests().into_iter().filter(|r| r.method == "GET").collect();
    let mut ranges: Vec<&str> = gets.iter().map(|get| header(get, "range")).collect();
    let expected = [
        "bytes=0-65535",
        "bytes=65536-131071",
        "bytes=131072-196607",
        "bytes=196608-262143",
        "bytes=262144-327679",
        "bytes=327680-328913",
    ];
    ranges.sort_by_key(|range| expected.iter().position(|e| e == range));
    assert_eq!(ranges, expected);
    for get in &gets {
        let wanted = if header(get, "range") == expected[0] { "" } else { version.e_tag.as_str() };
        assert_eq!(header(get, "if-match"), wanted, "{get:?}");
    }
    assert_eq!(gets.len(), CHUNKS);
}

#[test]
fn connections_are_used_again() {
    let server = server().start();
    let bytes = object(40 * CHUNK);
    server.put("bucket", "key", bytes.clone());
    S3fcp::at(&server.endpoint()).window(2, CHUNK).download("s3://bucket/key").assert_object(&bytes);
    let stats = server.stats();
    // One for each concurrent request, and one for the HEAD beside the first GET.
    assert!(stats.connections <= 3, "{stats:?}");
}

#[test]
fn the_endpoint_comes_from_a_flag_or_the_environment() {
    let server = server().start();
    let bytes = object(SIZE);
    server.put("bucket", "key", bytes.clone());
    let nobody = "http://127.0.0.1:1";
    let by_env = |name: &str| S3fcp::new().env(name, server.endpoint());
    for run in [
        by_env("AWS_ENDPOINT_URL_S3").env("AWS_ENDPOINT_URL", nobody),
        by_env("AWS_ENDPOINT_URL"),
        S3fcp::at(&server.endpoint()).env("AWS_ENDPOINT_URL_S3", nobody),
        S3fcp::new().args(["--endpoint-url", &server.endpoint()]),
    ] {
        run.download("s3://bucket/key").assert_object(&bytes);
    }
}

/// A header of a logged request, or the empty string.
fn header<'a>(request: &'a Logged, name: &str) -> &'a str {
    request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}
