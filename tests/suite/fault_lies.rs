//! Answers that look like success and are not what was asked for: never a wrong byte, whatever the
//! server says.

use crate::cases;
use crate::fault::{FaultServer, Reply, Request, always, once};
use crate::object::{CHUNK, CHUNKS, SIZE, object};
use crate::run::{Outcome, S3fcp, URI};

fn download(server: &FaultServer) -> Outcome {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "2"]).download(URI)
}

/// Replies that claim to be chunk 2 (bytes 131072 to 196607) of an object of 328914 bytes.
fn wrong_ranges() -> Vec<(&'static str, Reply)> {
    vec![
        ("an earlier range", Reply::ok().content_range("bytes 0-65535/328914")),
        ("a later range", Reply::ok().content_range("bytes 196608-262143/328914")),
        ("shifted by one", Reply::ok().content_range("bytes 131073-196608/328914")),
        ("a shorter range", Reply::ok().content_range("bytes 131072-196606/328914")),
        ("a longer range", Reply::ok().content_range("bytes 131072-196608/328914")),
        ("no size", Reply::ok().content_range("bytes 131072-196607/*")),
        ("no range", Reply::ok().content_range("bytes */328914")),
        ("another unit", Reply::ok().content_range("items 131072-196607/328914")),
        ("backwards", Reply::ok().content_range("bytes 196607-131072/328914")),
        ("beyond any number", Reply::ok().content_range("bytes 131072-99999999999999999999/328914")),
        ("garbage", Reply::ok().content_range("all of it")),
        ("none", Reply::ok().without("content-range")),
        ("too short a length", Reply::ok().header("content-length", "65535")),
        ("an error document as a part", Reply::status(206).code("InternalError")),
    ]
}

#[test]
fn a_wrong_range_once_costs_a_request_and_no_byte() {
    cases::each(&wrong_ranges(), |reply| {
        let server = FaultServer::start(object(SIZE), once(2, reply.clone()));
        download(&server).assert_object(&object(SIZE));
        assert_eq!(server.gets().len(), CHUNKS + 1);
    });
}

#[test]
fn a_wrong_range_always_is_exit_5_with_what_was_right() {
    cases::each(&wrong_ranges(), |reply| {
        let server = FaultServer::start(object(SIZE), always(2, reply.clone()));
        let outcome = download(&server);
        outcome.assert_failed(5, &object(SIZE));
        assert_eq!(outcome.stdout.len() as u64, 2 * CHUNK);
    });
}

#[test]
fn a_wrong_first_range_is_exit_5_and_nothing_on_stdout() {
    let table = [
        ("another range", Reply::ok().content_range("bytes 1-65536/328914")),
        ("no size", Reply::ok().content_range("bytes 0-65535/*")),
        ("none", Reply::ok().without("content-range")),
        ("garbage", Reply::ok().content_range("\u{2603}")),
    ];
    cases::each(&table, |reply| {
        let server = FaultServer::start(object(SIZE), always(0, reply.clone()));
        download(&server).assert_failed(5, &[]);
        assert_eq!(server.gets().len(), 2);
    });
}

#[test]
fn a_changed_object_is_exit_6_at_once() {
    let changed = [
        ("another ETag", Reply::ok().etag("\"other\"")),
        ("another size", Reply::ok().content_range("bytes 131072-196607/328915")),
        ("refused by If-Match", Reply::status(412).code("PreconditionFailed")),
    ];
    cases::each(&changed, |reply| {
        let server = FaultServer::start(object(SIZE), always(2, reply.clone()));
        let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI);
        outcome.assert_failed(6, &object(SIZE));
        assert_eq!(outcome.stdout.len() as u64, 2 * CHUNK);
        assert!(outcome.stderr.contains("changed"), "{}", outcome.stderr);
        let tried = server.gets().iter().filter(|get| get.chunk(CHUNK) == Some(2)).count();
        assert_eq!(tried, 1);
    });
}

#[test]
fn an_object_that_changes_between_two_attempts_is_exit_6() {
    let script = |request: &Request| match (request.chunk(CHUNK), request.attempt) {
        (Some(0), 0) => Reply::ok().cut_after(1000),
        (Some(_), _) => Reply::ok().etag("\"other\""),
        _ => Reply::ok(),
    };
    let server = FaultServer::start(object(SIZE), script);
    let outcome = S3fcp::at(&server.endpoint()).window(1, CHUNK).download(URI);
    outcome.assert_failed(6, &object(SIZE));
    assert_eq!(outcome.stdout.len(), 1000);
}

#[test]
fn a_server_without_ranges_is_one_stream() {
    let table = [("nothing", 0), ("a byte", 1), ("a chunk", CHUNK), ("several", SIZE)];
    cases::each(&table, |&size| {
        let server = FaultServer::start(object(size), |_| Reply::whole_with_200().without("accept-ranges"));
        download(&server).assert_object(&object(size));
        assert_eq!(server.gets().len(), 1);
        assert_eq!(server.object_bytes(), size);
    });
}

/// What it sends first is a chunk, and that alone must not be taken for the object.
#[test]
fn a_server_that_calls_its_parts_200_is_read_in_parts() {
    let table = [("a byte", 1), ("a chunk", CHUNK), ("a chunk and a byte", CHUNK + 1), ("several", SIZE)];
    cases::each(&table, |&size| {
        let server = FaultServer::start(object(size), |_| Reply::ok().called_200());
        download(&server).assert_object(&object(size));
        assert_eq!(server.gets().len() as u64, size.div_ceil(CHUNK));
        assert_eq!(server.object_bytes(), size);
    });
}

/// Such a server can only begin again: what was delivered already is not delivered twice.
#[test]
fn a_server_without_ranges_that_breaks_sends_everything_again() {
    let table = [
        ("at once", (0, "same", 0)),
        ("in the middle", (100_000, "same", 0)),
        ("another object", (100_000, "other", 6)),
    ];
    cases::each(&table, |&(reached, then, code)| {
        let server = FaultServer::start(object(SIZE), move |request: &Request| {
            let etag = if request.serial == 0 { "same" } else { then };
            let reply = Reply::whole_with_200().etag(format!("\"{etag}\""));
            if request.is_get() && request.serial == 0 { reply.cut_after(reached) } else { reply }
        });
        let outcome = download(&server);
        outcome.assert_contract(&object(SIZE));
        assert_eq!(outcome.code(), Some(code), "{}", outcome.stderr);
        assert_eq!(server.gets().len(), 2);
    });
}

#[test]
fn odd_but_right_answers_are_taken() {
    let all =
        |reply: Reply| move |request: &Request| if request.is_get() { reply.clone() } else { Reply::ok() };
    let table = [
        ("chunked", Reply::ok().chunked()),
        (
            "interim responses",
            Reply::ok().after_interim(
                "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n",
            ),
        ),
        ("no ETag", Reply::ok().without("etag")),
        ("a weak ETag", Reply::ok().etag("W/\"weak\"")),
        ("a coding that is the object's own", Reply::ok().header("content-encoding", "gzip")),
        (
            "a checksum that may be the object's or the range's",
            Reply::ok().header("x-amz-checksum-crc32", "AAAAAA=="),
        ),
        ("no length, closed at the end", Reply::ok().without("content-length")),
        ("the connection ends each time", Reply::ok().header("connection", "close").cut_after(CHUNK)),
        ("bytes behind the body", Reply::ok().with_excess("and more")),
    ];
    cases::each(&table, |reply| {
        let server = FaultServer::start(object(SIZE), all(reply.clone()));
        download(&server).assert_object(&object(SIZE));
    });
}

#[test]
fn nonsense_never_gives_a_wrong_byte_or_hangs() {
    let table = [
        ("endless headers", Reply::endless("HTTP/1.1 206 Partial Content\r\n", "x-more: of the same\r\n")),
        ("an endless header", Reply::endless("HTTP/1.1 206 Partial Content\r\nx-long: ", "aaaaaaaaaaaaaaaa")),
        ("endless interim responses", Reply::endless("", "HTTP/1.1 100 Continue\r\n\r\n")),
        ("an endless body without a length", Reply::endless("HTTP/1.1 200 OK\r\n\r\n", "0123456789abcdef")),
        ("an endless error", Reply::endless("HTTP/1.1 500 Oh\r\n\r\n", "<Error>0123456789abcdef")),
        (
            "two lengths",
            Reply::raw("HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n01234"),
        ),
        ("a negative length", Reply::ok().header("content-length", "-1")),
        ("a length beyond any number", Reply::ok().header("content-length", "99999999999999999999999")),
        ("the whole object for a part", Reply::whole_with_200()),
        ("a part with 200 and no size", Reply::ok().called_200().content_range("bytes 0-65535/*")),
        ("a part with 200 and another range", Reply::ok().called_200().content_range("bytes 1-65536/328914")),
        ("an error document with 200", Reply::status(200).code("InternalError")),
        ("nothing with 200", Reply::status(200)),
        ("nothing with 204", Reply::status(204).without("content-length")),
        ("nothing with 304", Reply::status(304).without("content-length")),
        (
            "an upgrade",
            Reply::raw("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        ),
        (
            "chunks that are none",
            Reply::raw("HTTP/1.1 206 Partial Content\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        ),
        ("another protocol", Reply::raw("HTTP/2.0 206\r\n\r\n")),
    ];
    let both = |(name, reply): &(&'static str, Reply)| [0, 2].map(|chunk| (*name, (chunk, reply.clone())));
    let table: Vec<_> = table.iter().flat_map(both).collect();
    cases::each(&table, |(chunk, reply)| {
        let server = FaultServer::start(object(SIZE), always(*chunk, reply.clone()));
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "1"]);
        let outcome = run.download(URI);
        outcome.assert_contract(&object(SIZE));
        assert!(outcome.code() == Some(0) || outcome.stdout.len() as u64 <= chunk * CHUNK);
    });
}
