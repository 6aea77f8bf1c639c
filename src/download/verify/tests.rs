//! Checksums: compared, wrong, or not to be had.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use crate::download::in_process::{read, start};
use crate::download::options::{ChecksumMode, Options};
use crate::error::ErrorKind;
use crate::transport::in_memory::{InMemoryServer, LATENCY, RecordedRequest, ScriptedReply, object};

const LEN: usize = 3000;

fn options(checksum: ChecksumMode) -> Options {
    Options {
        checksum,
        concurrency: NonZeroUsize::new(2),
        chunk_size: NonZeroU64::new(1000),
        ..Options::default()
    }
}

/// The value of `x-amz-checksum-sha256` for `bytes`.
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    BASE64.encode(sha2::Sha256::digest(bytes))
}

fn with_checksum(value: &str) -> ScriptedReply {
    ScriptedReply::default()
        .with_header("x-amz-checksum-sha256", value)
        .with_header("x-amz-checksum-type", "FULL_OBJECT")
}

fn right() -> ScriptedReply {
    with_checksum(&sha256(&object(LEN)))
}

/// A server whose HEAD number `n`, from 0, gets what `head` says.
fn server(head: impl Fn(usize) -> ScriptedReply + Send + Sync + 'static) -> InMemoryServer {
    InMemoryServer::start(object(LEN), move |request| {
        if request.is_get() { ScriptedReply::default() } else { head(request.number) }
    })
}

fn heads(server: &InMemoryServer) -> Vec<RecordedRequest> {
    server.requests().into_iter().filter(|request| !request.is_get()).collect()
}

/// What becomes of a download, and how many HEADs it takes.
#[derive(Debug, PartialEq, Eq)]
struct Checked {
    error: Option<ErrorKind>,
    verified: Option<&'static str>,
    /// The beginning of the reason why nothing was compared.
    unverified: Option<&'static str>,
    heads: usize,
}

#[tokio::test(start_paused = true)]
async fn auto_compares_with_what_head_shows_and_fails_for_no_other_reason() {
    type Head = fn(usize) -> ScriptedReply;
    let verified = Checked { error: None, verified: Some("sha256"), unverified: None, heads: 1 };
    let of_nothing = |unverified, heads| Checked { error: None, verified: None, unverified, heads };
    let table: [(&str, Head, Checked); 9] = [
        ("the right checksum", |_| right(), verified),
        (
            "a wrong one",
            |_| with_checksum(&sha256(b"other")),
            Checked { error: Some(ErrorKind::Integrity), verified: None, unverified: None, heads: 1 },
        ),
        ("none", |_| ScriptedReply::default(), of_nothing(None, 1)),
        ("one that cannot be read", |_| with_checksum("%%%"), of_nothing(None, 1)),
        (
            "that of another version",
            |_| with_checksum(&sha256(b"other")).with_header("etag", "\"other\""),
            of_nothing(Some("HEAD, which shows it, describes another version"), 1),
        ),
        (
            "a refusal, which is asked for a second time",
            |_| ScriptedReply::error(403, ""),
            of_nothing(Some("HEAD, which shows it, failed"), 2),
        ),
        (
            "a refusal, and then the right checksum",
            |number| if number == 0 { ScriptedReply::error(403, "") } else { right() },
            Checked { error: None, verified: Some("sha256"), unverified: None, heads: 2 },
        ),
        ("a server that knows no HEAD", |_| ScriptedReply::error(501, ""), of_nothing(None, 4)),
        // After a second it is sent on another connection.
        (
            "silence",
            |_| ScriptedReply::never(),
            of_nothing(Some("HEAD, which shows it, has not answered in time"), 2),
        ),
    ];
    for (case, head, want) in table {
        let server = server(head);
        let mut download = start(&server, &options(ChecksumMode::Auto)).await.unwrap();
        let (bytes, error) = read(&mut download).await;
        assert_eq!(bytes, object(LEN), "{case}: every byte is delivered, whatever HEAD does");
        let found = Checked {
            error: error.map(|error| error.kind()),
            verified: download.verified(),
            unverified: download.unverified(),
            heads: heads(&server).len(),
        };
        assert_eq!(found, want, "{case}");
        assert_eq!(server.gets().len(), 3, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn auto_waits_at_the_end_alone_and_three_seconds_at_most() {
    for (head_ms, verified, end_ms) in [(0, true, 0), (900, true, 900), (4000, false, 3000)] {
        let server = server(move |_| ScriptedReply { latency: Duration::from_millis(head_ms), ..right() });
        let mut download = start(&server, &options(ChecksumMode::Auto)).await.unwrap();
        let mut bytes = 0;
        let mut last_byte = Duration::ZERO;
        while let Some(frame) = download.next_frame().await {
            bytes += frame.unwrap().len();
            last_byte = server.elapsed();
        }
        assert_eq!((bytes, download.verified().is_some()), (LEN, verified), "{head_ms} ms");
        assert!(last_byte <= 5 * LATENCY, "{head_ms} ms: the last byte came after {last_byte:?}");
        let end = server.elapsed();
        let due =
            if verified { LATENCY + Duration::from_millis(end_ms) } else { last_byte + ChecksumMode::LATE };
        assert!(
            end >= last_byte && end <= due.max(last_byte) + Duration::from_millis(5),
            "{head_ms} ms: {end:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn require_delivers_nothing_before_there_is_something_to_compare_with() {
    type Head = fn(usize) -> ScriptedReply;
    let table: [(&str, Head, Option<ErrorKind>, usize); 6] = [
        ("the right checksum", |_| right(), None, 1),
        ("no checksum", |_| ScriptedReply::default(), Some(ErrorKind::Usage), 1),
        ("another version", |_| right().with_header("etag", "\"other\""), Some(ErrorKind::Changed), 1),
        (
            "another size for one tag",
            |_| right().with_header("content-length", "2999"),
            Some(ErrorKind::Server),
            1,
        ),
        (
            "a server that is busy at first",
            |number| if number < 3 { ScriptedReply::error(503, "") } else { right() },
            None,
            4,
        ),
        ("a refusal", |_| ScriptedReply::error(403, ""), Some(ErrorKind::Access), 3),
    ];
    for (case, head, error, count) in table {
        let server = server(head);
        match start(&server, &options(ChecksumMode::Require)).await {
            Ok(mut download) => {
                assert_eq!(error, None, "{case}");
                assert_eq!(read(&mut download).await.0, object(LEN), "{case}");
                assert_eq!(download.verified(), Some("sha256"), "{case}");
            }
            Err(found) => assert_eq!(Some(found.kind()), error, "{case}: {found}"),
        }
        assert_eq!(heads(&server).len(), count, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_do_not_match_are_all_delivered_and_an_error_follows() {
    for mode in [ChecksumMode::Auto, ChecksumMode::Require] {
        let server = server(|_| with_checksum(&sha256(b"other")));
        let mut download = start(&server, &options(mode)).await.unwrap();
        let (bytes, error) = read(&mut download).await;
        let error = error.unwrap();
        assert_eq!((bytes, error.kind(), error.exit_code()), (object(LEN), ErrorKind::Integrity, 7));
        assert!(download.verified().is_none() && download.verdict().is_none(), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_of_an_object_has_no_checksum() {
    let of_part = |mode| Options { range: Some("0-999".parse().unwrap()), ..options(mode) };
    let server = server(|_| with_checksum(&sha256(b"other")));
    let mut download = start(&server, &of_part(ChecksumMode::Auto)).await.unwrap();
    let (bytes, error) = read(&mut download).await;
    assert_eq!((bytes, error.is_none()), (object(LEN).slice(..1000), true));
    assert_eq!((download.verified(), download.unverified()), (None, None));
    let error = start(&server, &of_part(ChecksumMode::Require)).await.unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Usage, 2));
}

#[tokio::test(start_paused = true)]
async fn off_compares_nothing() {
    let server = server(|_| with_checksum(&sha256(b"other")));
    let mut download = start(&server, &options(ChecksumMode::Off)).await.unwrap();
    let (bytes, error): (Bytes, _) = read(&mut download).await;
    assert_eq!((bytes, error.is_none()), (object(LEN), true));
    assert_eq!((download.verified(), download.unverified()), (None, None));
}
