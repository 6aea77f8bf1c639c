//! Heads of responses as real servers send them: many lines, folded ones, lines that are no headers. What cannot be read
//! one way only is refused.

use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

fn download(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Outcome {
    let server = FaultServer::start(object(SIZE), reply);
    S3fcp::at(&server.endpoint()).window(2, CHUNK).args(["--max-attempts", "2"]).download(URI)
}

/// A reply with `count` lines of user metadata.
fn with_metadata(count: usize) -> Reply {
    (0..count).fold(Reply::ok(), |reply, n| {
        // The test's few names live as long as it does.
        let name: &'static str = Box::leak(format!("x-amz-meta-{n}").into_boxed_str());
        reply.header(name, "value")
    })
}

#[test]
fn an_object_may_have_hundreds_of_metadata_entries() {
    for count in [100, 120, 200] {
        let reply = with_metadata(count);
        download(move |_| reply.clone()).assert_object(&object(SIZE));
    }
    // A head fits into the read buffer, which is smaller where chunks are.
    let reply = with_metadata(950);
    let server = FaultServer::start(object(SIZE), move |_| reply.clone());
    S3fcp::at(&server.endpoint()).download(URI).assert_object(&object(SIZE));
}

fn length(request: &Request) -> String {
    request.range.as_ref().map_or(SIZE, |range| range.end.min(SIZE) - range.start).to_string()
}

#[test]
fn lines_that_can_be_read_one_way_are_read() {
    let table: [(&str, fn(&Request) -> Reply); 2] = [
        ("a folded line", |_| Reply::ok().header("x-folded", "one\r\n two")),
        ("a line folded by a tab", |_| Reply::ok().header("x-folded", "one\r\n\ttwo")),
    ];
    table::each(&table, |reply| download(*reply).assert_object(&object(SIZE)));
}

/// Each is dropped by one more request, on a connection that ignores what is no header and decides nothing.
#[test]
fn lines_that_are_no_headers_and_decide_nothing_are_skipped() {
    let table: [(&str, fn() -> Reply); 11] = [
        ("a space before the colon", || Reply::ok().header("x-strange ", "value")),
        ("a tab before the colon", || Reply::ok().header("x-strange\t", "value")),
        ("a space in a name", || Reply::ok().header("x strange", "value")),
        ("a control character in a name", || Reply::ok().header("x-\u{1}strange", "value")),
        ("a control character in a value", || Reply::ok().header("x-strange", "val\u{1}ue")),
        ("a bracket in a name", || Reply::ok().header("x(strange)", "value")),
        ("no colon", || Reply::ok().header("x-strange", "value\r\nnonsense")),
        ("a zero in a value", || Reply::ok().header("x-strange", "a\0b")),
        ("a carriage return in a value", || Reply::ok().header("x-strange", "a\rb")),
        ("a carriage return in a name", || Reply::ok().header("x-st\range", "value")),
        ("a zero in a name", || Reply::ok().header("x-st\0range", "value")),
    ];
    table::each(&table, |reply| {
        let reply = *reply;
        for phase in ["always", "once"] {
            let count = std::sync::atomic::AtomicUsize::new(0);
            let server = FaultServer::start(object(SIZE), move |request| {
                let is_odd =
                    phase == "always" || count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 2;
                if is_odd && request.is_get() { reply() } else { Reply::ok() }
            });
            let run = S3fcp::at(&server.endpoint()).window(2, CHUNK).args(["--max-attempts", "1"]);
            run.download(URI).assert_object(&object(SIZE));
        }
    });
}

/// The read buffer is small where chunks are, and a head may be larger.
#[test]
fn a_head_may_be_long_whatever_the_chunk_size() {
    let long = || Reply::ok().header("x-amz-meta-long", "x".repeat(200 << 10));
    for chunk in [CHUNK, 1 << 20, 8 << 20] {
        let server = FaultServer::start(object(SIZE), move |_| long());
        let run = S3fcp::at(&server.endpoint()).window(2, chunk).args(["--max-attempts", "1"]);
        run.download(URI).assert_object(&object(SIZE));
    }
    let too_long = || Reply::ok().header("x-amz-meta-long", "x".repeat(300 << 10));
    let server = FaultServer::start(object(SIZE), move |_| too_long());
    let run = S3fcp::at(&server.endpoint()).window(2, CHUNK).args(["--max-attempts", "1"]);
    let outcome = run.download(URI);
    outcome.assert_failed(5, &object(SIZE));
    assert!(!outcome.stderr.contains("https://"), "{}", outcome.stderr);
}

/// Each would be dropped silently by a lenient parser, and with it the framing or the version of the body.
#[test]
fn lines_that_decide_which_bytes_follow_are_refused() {
    let table: [(&str, fn(&Request) -> Reply); 7] = [
        ("no colon after the length's name", |request| {
            Reply::ok()
                .without("content-length")
                .header("x-last", format!("y\r\ncontent-length {}", length(request)))
        }),
        ("a control character in the tag", |_| Reply::ok().etag("\"x\u{1}\"")),
        ("a space in the encoding's name", |_| Reply::ok().header("content encoding", "gzip")),
        ("a space in the length's name", |request| {
            Reply::ok().without("content-length").header("content length", length(request))
        }),
        ("a control character in the range's name", |_| {
            Reply::ok().without("content-range").header("content-range\u{1}", "bytes 0-1/2")
        }),
        ("a space in the coding's name", |_| Reply::ok().header("transfer encoding", "chunked")),
        ("a space in the tag's name", |_| Reply::ok().without("etag").header("e tag", "\"x\"")),
    ];
    table::each(&table, |reply| download(*reply).assert_failed(5, &object(SIZE)));
}

/// RFC 9112, section 5.1: some clients read such a line, and others drop it. A length of 100 that is read would be a
/// whole object of 100 bytes.
#[test]
fn a_space_before_the_colon_of_what_frames_the_body_is_refused() {
    let whole = || Reply::whole_with_200().without("content-length");
    let table: [(&str, Reply); 9] = [
        ("the true length", whole().header("content-length ", SIZE.to_string())),
        ("a shorter length", whole().header("content-length ", "100")),
        ("a shorter length after a tab", whole().header("Content-Length\t", "100")),
        ("spaces and tabs", whole().header("Content-Length \t ", "100")),
        ("a second length", Reply::whole_with_200().header("content-length ", "100")),
        ("the coding", whole().header("transfer-encoding ", "chunked")),
        ("the range", Reply::ok().without("content-range").header("content-range ", "bytes 0-65535/65536")),
        ("the encoding", Reply::ok().header("content-encoding ", "gzip")),
        ("the tag", Reply::ok().without("etag").header("etag ", "\"x\"")),
    ];
    table::each(&table, |reply| {
        for head in [Reply::ok(), Reply::status(403)] {
            let (reply, head) = (reply.clone(), head.clone());
            let server =
                FaultServer::start(
                    object(SIZE),
                    move |request: &Request| {
                        if request.is_get() { reply.clone() } else { head.clone() }
                    },
                );
            let run = |run: S3fcp| run.window(2, CHUNK).args(["--max-attempts", "2"]);
            run(S3fcp::at(&server.endpoint())).download(URI).assert_failed(5, &object(SIZE));
            let url = format!("{}/bucket/key", server.endpoint());
            run(S3fcp::new()).download(&url).assert_failed(5, &object(SIZE));
        }
    });
}
