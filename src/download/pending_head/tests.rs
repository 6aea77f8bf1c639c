//! The HEAD beside the first range.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use super::*;
use crate::download::in_process::{context, read, start};
use crate::download::options::{ChecksumMode, Options};
use crate::transport::in_memory::{InMemoryServer, LATENCY, ScriptedReply, object};

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

#[tokio::test(start_paused = true)]
async fn where_later_gets_show_no_tag_head_says_at_the_end_whether_the_object_is_the_same() {
    let last = |reply: fn() -> ScriptedReply| {
        move |number| if number == 0 { ScriptedReply::default() } else { reply() }
    };
    let table: [(&str, Reply, Option<ErrorKind>, usize); 4] = [
        ("the same", ScriptedReply::default, None, 2),
        (
            "another at the end",
            || ScriptedReply::default().with_header("etag", "\"two\""),
            Some(ErrorKind::Changed),
            2,
        ),
        (
            "deleted at the end",
            || ScriptedReply::error(404, "").with_header("x-amz-request-id", "1"),
            Some(ErrorKind::Changed),
            2,
        ),
        ("no answer at the end", || ScriptedReply::error(503, ""), Some(ErrorKind::Server), 3),
    ];
    for (case, reply, kind, count) in table {
        let server = server(last(reply));
        let mut download = start(&server, &options()).await.unwrap();
        let (bytes, error) = read(&mut download).await;
        assert_eq!(bytes, object(LEN), "{case}");
        assert_eq!(error.as_ref().map(Error::kind), kind, "{case}: {error:?}");
        assert_eq!(heads(&server), count, "{case}");
        assert_eq!(download.verdict().is_some(), kind.is_none(), "{case}");
        assert!(server.elapsed() < Duration::from_secs(2), "{case}: {:?}", server.elapsed());
    }
}
