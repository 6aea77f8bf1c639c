//! The HEAD beside the first range.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use super::*;
use crate::download::client::Client;
use crate::download::in_process::{config, context, read, source, start};
use crate::download::options::{ChecksumMode, Options};
use crate::error::{Error, ErrorKind};
use crate::transport::in_memory::{InMemoryServer, LATENCY, RecordedRequest, ScriptedReply, object};

const LEN: usize = 3000;

type Reply = fn() -> ScriptedReply;

fn options() -> Options {
    Options {
        checksum: ChecksumMode::Off,
        concurrency: NonZeroUsize::new(2),
        chunk_size: NonZeroU64::new(1000),
        max_attempts: NonZeroU32::new(2),
        ..Options::default()
    }
}

/// A server whose HEAD number `n`, from 0, gets what `head` says. Only the first of its GETs shows the tag, and it refuses
/// those that name another one.
fn server(head: impl Fn(usize) -> ScriptedReply + Send + Sync + 'static) -> InMemoryServer {
    InMemoryServer::start(object(LEN), move |request| match request.header("if-match") {
        _ if !request.is_get() => head(request.number),
        Some(tag) if tag != "\"in-memory\"" => ScriptedReply::error(412, "PreconditionFailed"),
        Some(_) => ScriptedReply::default().with_header("etag", ""),
        None => ScriptedReply::default(),
    })
}

fn heads(server: &InMemoryServer) -> usize {
    server.requests().iter().filter(|request| !request.is_get()).count()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_fails_is_sent_once_more_and_the_answer_stays() {
    type Head = fn(usize) -> ScriptedReply;
    let table: [(&str, Head, Option<u64>, bool, usize); 5] = [
        ("an answer", |_| ScriptedReply::default(), Some(LEN as u64), false, 1),
        (
            "one failure",
            |number| if number == 0 { ScriptedReply::error(503, "") } else { ScriptedReply::default() },
            Some(LEN as u64),
            false,
            2,
        ),
        ("two failures", |_| ScriptedReply::error(503, ""), None, true, 2),
        ("a refusal", |_| ScriptedReply::error(403, ""), None, true, 2),
        // Each is sent without asking for checksums, too.
        ("a server that has no HEAD", |_| ScriptedReply::error(405, ""), None, false, 4),
    ];
    for (case, head, size, has_failed, count) in table {
        let server = server(head);
        let context = context(&server, &options()).await;
        let mut pending = PendingHead::spawn(&context);
        for _ in 0..3 {
            assert_eq!(pending.answer().await.map(|info| info.size), size, "{case}");
        }
        assert_eq!((pending.has_failed(), heads(&server)), (has_failed, count), "{case}");
        assert_eq!(server.gets().len(), 0, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_it_ends_the_request() {
    let server = server(|_| ScriptedReply::never());
    let context = context(&server, &options()).await;
    let pending = PendingHead::spawn(&context);
    tokio::time::sleep(2 * LATENCY).await;
    assert_eq!((heads(&server), server.open().0), (1, 1));
    drop(pending);
    tokio::time::sleep(LATENCY).await;
    assert_eq!(server.open().0, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_sent_has_no_answer_and_what_is_known_is_not_asked_for() {
    let server = server(|_| ScriptedReply::default());
    let context = context(&server, &options()).await;
    assert_eq!(PendingHead::none(&context).answer().await, None);
    let info = ObjectInfo { size: 7, ..ObjectInfo::default() };
    assert_eq!(PendingHead::done(&context, info.clone()).answer().await, Some(info));
    assert_eq!(server.requests().len(), 0);
}

/// How many bytes are delivered, and the error after them.
type End = (usize, Option<ErrorKind>);

/// HEADs that are sent where only the first of three responses shows the tag: one beside it, one for each of the others, and
/// one at the end.
const AT_THE_END: usize = 3;

#[tokio::test(start_paused = true)]
async fn where_later_gets_show_no_tag_head_says_whether_the_object_is_the_same() {
    let another: Reply = || ScriptedReply::default().with_header("etag", "\"two\"");
    let deleted: Reply = || ScriptedReply::error(404, "").with_header("x-amz-request-id", "1");
    let busy: Reply = || ScriptedReply::error(503, "");
    let (changed, server_error) = (Some(ErrorKind::Changed), Some(ErrorKind::Server));
    // From which HEAD on there is another reply, the end, and the HEADs in all.
    let table: [((&str, usize), Reply, End, usize); 6] = [
        (("the same", AT_THE_END), ScriptedReply::default, (LEN, None), 4),
        (("another at the end", AT_THE_END), another, (LEN, changed), 4),
        (("deleted at the end", AT_THE_END), deleted, (LEN, changed), 4),
        (("no answer at the end", AT_THE_END), busy, (LEN, server_error), 5),
        (("another in the middle", 1), another, (1000, changed), 3),
        (("deleted in the middle", 1), deleted, (1000, changed), 3),
    ];
    for ((case, from), reply, (delivered, kind), count) in table {
        let server = server(move |number| if number < from { ScriptedReply::default() } else { reply() });
        let mut download = start(&server, &options()).await.unwrap();
        let (bytes, error) = read(&mut download).await;
        assert_eq!(bytes, object(LEN)[..delivered], "{case}");
        assert_eq!(error.as_ref().map(Error::kind), kind, "{case}: {error:?}");
        // Two responses may be confirmed at the same time when one of them is not.
        assert!((count - usize::from(delivered < LEN)..=count).contains(&heads(&server)), "{case}");
        assert_eq!(download.verdict().is_some(), kind.is_none(), "{case}");
        assert!(server.elapsed() < Duration::from_secs(2), "{case}: {:?}", server.elapsed());
    }
}

/// The checksum of the object in base64, and one of other bytes.
fn sha256(bytes: &[u8]) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(bytes))
}

fn with_checksum(value: &str, kind: &str) -> ScriptedReply {
    ScriptedReply::default()
        .with_header("x-amz-checksum-sha256", value)
        .with_header("x-amz-checksum-type", kind)
}

fn declared() -> ScriptedReply {
    with_checksum(&sha256(&object(LEN)), "FULL_OBJECT")
}

fn of_other_bytes() -> ScriptedReply {
    with_checksum(&sha256(b"other"), "FULL_OBJECT")
}

/// The requests for one of several downloads in a row by one client, and its end.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    heads: usize,
    gets: usize,
    /// GETs that ask for checksums.
    asking: usize,
    verified: Option<&'static str>,
    error: Option<ErrorKind>,
}

/// Downloads the object three times with one client. A GET shows checksums if it asks for them.
async fn three(
    options: Options,
    reply: impl Fn(&RecordedRequest) -> ScriptedReply + Send + Sync + 'static,
) -> Vec<Asked> {
    let server = InMemoryServer::start(object(LEN), move |request| {
        let mut reply = reply(request);
        if request.is_get() && request.header("x-amz-checksum-mode").is_none() {
            reply.headers.retain(|(name, _)| !name.starts_with("x-amz-checksum-"));
        }
        reply
    });
    let client = Client::new(config(&server));
    let (mut found, mut before) = (Vec::new(), 0);
    for _ in 0..3 {
        let mut download = client.download(source(), &options).await.unwrap();
        let (bytes, error) = read(&mut download).await;
        assert_eq!(bytes, object(LEN));
        let requests = server.requests().split_off(before);
        before += requests.len();
        let gets: Vec<_> = requests.iter().filter(|request| request.is_get()).collect();
        found.push(Asked {
            heads: requests.len() - gets.len(),
            gets: gets.len(),
            asking: gets.iter().filter(|get| get.header("x-amz-checksum-mode").is_some()).count(),
            verified: download.verified(),
            error: error.map(|error| error.kind()),
        });
    }
    found
}

fn in_one_range(checksum: ChecksumMode) -> Options {
    Options { checksum, chunk_size: NonZeroU64::new(LEN as u64 + 1), ..options() }
}

#[tokio::test(start_paused = true)]
async fn where_gets_show_checksums_no_head_is_sent_after_the_first_objects() {
    for mode in [ChecksumMode::Auto, ChecksumMode::Require] {
        let found = three(in_one_range(mode), |_| declared()).await;
        let of = |heads, asking| Asked { heads, gets: 1, asking, verified: Some("sha256"), error: None };
        assert_eq!(found, [of(1, 0), of(1, 1), of(0, 1)], "{mode:?}");
    }
    let found = three(in_one_range(ChecksumMode::Off), |_| declared()).await;
    assert!(found.iter().all(|asked| (asked.heads, asked.asking) == (1, 0)), "{found:?}");
    // They are compared: only HEAD of the first object shows the right one.
    let found = three(in_one_range(ChecksumMode::Auto), |request| match (request.is_get(), request.number) {
        (true, 2) => of_other_bytes(),
        _ => declared(),
    });
    let errors: Vec<_> = found.await.into_iter().map(|asked| asked.error).collect();
    assert_eq!(errors, [None, None, Some(ErrorKind::Integrity)]);
}

/// A GET of a part may show the checksum of the part or of the object, and one of all bytes a composite one.
#[tokio::test(start_paused = true)]
async fn where_gets_show_no_checksum_of_the_object_a_head_is_sent_with_each() {
    type Get = fn() -> ScriptedReply;
    let table: [(&str, usize, Get); 7] = [
        ("none", 1, ScriptedReply::default),
        ("of all bytes, with a part", 3, declared),
        ("of a part", 3, of_other_bytes),
        ("a composite one", 1, || with_checksum(&sha256(b"other"), "COMPOSITE")),
        ("of an object uploaded in parts", 1, || of_other_bytes().with_header("etag", "\"in-memory-3\"")),
        ("of no declared type", 1, || of_other_bytes().with_header("x-amz-checksum-type", "")),
        ("unreadable", 1, || with_checksum("%%%", "FULL_OBJECT")),
    ];
    for (case, gets, get) in table {
        let options = if gets == 1 {
            in_one_range(ChecksumMode::Auto)
        } else {
            Options { checksum: ChecksumMode::Auto, ..options() }
        };
        let etag = get().headers.iter().find(|(name, _)| *name == "etag").map(|(_, etag)| etag.clone());
        let found = three(options, move |request| match &etag {
            _ if request.is_get() => get(),
            Some(etag) => declared().with_header("etag", etag),
            None => declared(),
        });
        let of = |asking| Asked { heads: 1, gets, asking, verified: Some("sha256"), error: None };
        assert_eq!(found.await, [of(0), of(1), of(1)], "{case}");
    }
    // There are none to ask for.
    let found = three(in_one_range(ChecksumMode::Auto), |_| ScriptedReply::default()).await;
    assert!(found.iter().all(|asked| (asked.heads, asked.asking, asked.error) == (1, 0, None)), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_was_put_off_is_sent_when_the_response_shows_no_checksum() {
    let last_get = |get: fn() -> ScriptedReply| {
        move |request: &RecordedRequest| {
            if request.is_get() && request.number > 1 { get() } else { declared() }
        }
    };
    for mode in [ChecksumMode::Auto, ChecksumMode::Require] {
        let found = three(in_one_range(mode), last_get(ScriptedReply::default)).await;
        let last = Asked { heads: 1, gets: 1, asking: 1, verified: Some("sha256"), error: None };
        assert_eq!(found[2], last, "{mode:?}");
    }
    // A server that refuses the header, with one GET or with all: it is sent without.
    for status in [400, 501] {
        let refusing = move |request: &RecordedRequest| match request.header("x-amz-checksum-mode") {
            Some(_) if request.is_get() => ScriptedReply::error(status, "NotImplemented"),
            _ => declared(),
        };
        let of = |gets, asking| Asked { heads: 1, gets, asking, verified: Some("sha256"), error: None };
        let found = three(in_one_range(ChecksumMode::Auto), refusing).await;
        assert_eq!(found, [of(1, 0), of(2, 1), of(1, 0)], "{status}");
    }
}
