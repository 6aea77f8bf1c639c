//! Responses that are unusual, wrong or not HTTP at all: correct ones are accepted, and nothing of the others reaches
//! the output.

use std::ops::Range;

use super::super::case::{At, Case, Fault, LATER, PLACES, Phase, Place, across};
use super::{Row, always, each, once};
use crate::support::fault_server::Reply;
use crate::support::object::{CHUNK, CHUNKS, SIZE};

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("no HTTP where a response should be, or a response that contradicts itself", garbage()),
        Row::new("an endless head or body", [endless()]),
        Row::new("another range than was requested, or none", wrong_ranges()),
        Row::new("the whole object where a later range was requested", whole()),
        Row::new("an error document, or nothing, as if it were the object", no_object()),
        Row::new("a status that does not fit: 101, 204, 304", [nothing()]),
        Row::new("a server that knows no ranges", [no_ranges()]),
        Row::new("such a server's connection is cut", [no_ranges_cut()]),
        Row::new("more or fewer bytes in chunks than were announced", [lengths()]),
        Row::new("more bytes after the end of a body", [excess()]),
        Row::new(
            "chunked bodies, interim responses, no or a weak `ETag`, any `Content-Encoding`, checksums of parts",
            [odd()],
        ),
        Row::new("HEAD is refused, broken, silent or describes another version", [head()]),
    ]
}

fn garbage() -> [Vec<Case>; 2] {
    let replies = [
        ("another protocol", Reply::raw("SSH-2.0-OpenSSH_9.2\r\n")),
        ("control characters", Reply::raw("\0\u{1}\u{2}\r\n\r\n")),
        ("another version", Reply::raw("HTTP/2.0 206\r\n\r\n")),
        (
            "two lengths",
            Reply::raw("HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n01234"),
        ),
        ("a negative length", Reply::raw("HTTP/1.1 206 Partial Content\r\ncontent-length: -1\r\n\r\n")),
        (
            "a length beyond any number",
            Reply::raw("HTTP/1.1 206 Partial Content\r\ncontent-length: 99999999999999999999999\r\n\r\n"),
        ),
        (
            "chunks that are none",
            Reply::raw(
                "HTTP/1.1 206 Partial Content\r\ncontent-range: none\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            ),
        ),
    ];
    [each(&replies, &PLACES, once), each(&replies, &[Place::First], always)]
}

fn endless() -> Vec<Case> {
    let replies = [
        ("headers", Reply::endless("HTTP/1.1 206 Partial Content\r\n", "x-more: of the same\r\n")),
        ("a body", Reply::endless("HTTP/1.1 200 OK\r\n\r\n", "0123456789abcdef")),
        ("one header", Reply::endless("HTTP/1.1 206 Partial Content\r\nx-long: ", "aaaaaaaaaaaaaaaa")),
    ];
    each(&replies, &PLACES, once)
}

/// They claim to be chunk 2 (bytes 131072 to 196607) of an object of 328914 bytes.
fn wrong_ranges() -> [Vec<Case>; 5] {
    let shown = [
        ("an earlier range", Reply::ok().content_range("bytes 0-65535/328914")),
        ("a later range", Reply::ok().content_range("bytes 196608-262143/328914")),
        ("other bytes", Reply::part(0..CHUNK)),
        ("shifted by one", Reply::ok().content_range("bytes 131073-196608/328914")),
        ("a shorter range", Reply::ok().content_range("bytes 131072-196606/328914")),
        ("no range", Reply::ok().content_range("bytes */328914")),
        ("another unit", Reply::ok().content_range("items 131072-196607/328914")),
        ("backwards", Reply::ok().content_range("bytes 196607-131072/328914")),
        ("beyond any number", Reply::ok().content_range("bytes 131072-99999999999999999999/328914")),
        ("garbage", Reply::ok().content_range("all of it")),
        ("no ASCII", Reply::ok().content_range("\u{2603}")),
        ("too short a length", Reply::ok().header("content-length", "65535")),
        ("an error document", Reply::status(206).code("InternalError")),
    ];
    // Where these come every time, or a range without a size, which is used or followed by a GET without a range:
    // download/unproven.rs.
    let survived = [
        ("a longer range", Reply::ok().content_range("bytes 131072-196608/328914")),
        ("none", Reply::ok().without("content-range")),
    ];
    let first = [
        ("another range", Reply::ok().content_range("bytes 1-65536/328914")),
        ("garbage", Reply::ok().content_range("all of it")),
    ];
    [
        each(&shown, &[Place::Middle], |at, name, reply| once(at, name, reply).wasting(CHUNK)),
        each(&shown, &[Place::Middle], |at, name, reply| always(at, name, reply).wasting(CHUNK)),
        each(&survived, &[Place::Middle], |at, name, reply| once(at, name, reply).wasting(CHUNK)),
        each(&first, &[Place::First], |at, name, reply| once(at, name, reply).wasting(CHUNK)),
        each(&first, &[Place::First], |at, name, reply| always(at, name, reply).wasting(CHUNK)),
    ]
}

fn whole() -> [Vec<Case>; 2] {
    let whole = [("whole", Reply::whole_with_200())];
    [
        each(&whole, &LATER, |at, name, reply| once(at, name, reply).wasting(SIZE)),
        each(&whole, &LATER, |at, name, reply| always(at, name, reply).wasting(SIZE)),
    ]
}

fn no_object() -> [Vec<Case>; 2] {
    let replies =
        [("an error document", Reply::status(200).code("InternalError")), ("nothing", Reply::status(200))];
    [each(&replies, &PLACES, once), each(&replies, &PLACES, always)]
}

fn nothing() -> Vec<Case> {
    let replies = [
        ("101", Reply::raw("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")),
        ("304", Reply::status(304).without("content-length")),
    ];
    // To the first request it may be the answer of an empty object, which is looked into: download/unproven.rs.
    let later = [("204", Reply::status(204).without("content-length"))];
    let fails = |at: At, name: &'static str, reply: Reply| once(at, name, reply).exit_immediately(5);
    let mut cases = each(&replies, &PLACES, fails);
    cases.extend(each(&later, &LATER, fails));
    cases
}

fn no_ranges() -> Vec<Case> {
    let all = Fault::All(Reply::whole_with_200().without("accept-ranges"));
    across(&[Phase::Head], &[Place::First], |at| at.always("whole", all.clone()).whole(1).seen(1, SIZE))
}

/// It can only begin again: what was delivered is skipped.
fn no_ranges_cut() -> Vec<Case> {
    let reply = || Reply::whole_with_200().without("accept-ranges");
    let cut = |reached| {
        across(&[Phase::Middle], &[Place::First], |at| {
            let fault = Fault::Begun(reply().cut_after(reached), reply());
            at.once("cut", fault).seen(2, reached + SIZE)
        })
    };
    [0, 1, 100_000, SIZE - 1].into_iter().flat_map(cut).collect()
}

/// Only the end of a chunked body shows them. What came in front of it is right and stays.
fn lengths() -> Vec<Case> {
    let of = |name, more: bool| {
        across(&[Phase::LastByte], &[Place::First, Place::Middle], |at| {
            let Range { start, end } = at.place.range();
            let sent = start..if more { end + 7 } else { end - 7 };
            let shown = format!("bytes {start}-{}/{SIZE}", end - 1);
            once(at, name, Reply::part(sent).content_range(shown).chunked()).wasting(CHUNK + 100)
        })
    };
    [of("more", true), of("fewer", false)].concat()
}

fn excess() -> Vec<Case> {
    // Alone on its connection: in front of the next response they would be part of that.
    let reply = Reply::ok().header("connection", "close").with_excess("and more");
    each(&[("more", reply)], &PLACES, |at, name, reply| once(at, name, reply).whole(1).wasting(8))
}

fn odd() -> Vec<Case> {
    let interim = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let replies = [
        ("chunked", Reply::ok().chunked()),
        ("chunked in single bytes", Reply::ok().chunked_by(1)),
        ("chunked in one piece", Reply::ok().chunked_by(1 << 20)),
        ("interim responses", Reply::ok().after_interim(interim)),
        ("no ETag", Reply::ok().without("etag")),
        ("a weak ETag", Reply::ok().etag("W/\"weak\"")),
        ("a coding that is the object's own", Reply::ok().header("content-encoding", "gzip")),
        ("a checksum that may be a part's", Reply::ok().header("x-amz-checksum-crc32", "AAAAAA==")),
        ("no length, but an end", Reply::ok().without("content-length")),
    ];
    each(&replies, &[Place::First], |at, name, reply| {
        let case = at.always(name, Fault::All(reply)).whole(1);
        if name.ends_with("ETag") {
            // All bytes are of one response then: the first one shows it, and the second one is for all.
            return case.seen(2, SIZE).wasting(CHUNK);
        }
        // The framing is sent with the body, and counted: five bytes for one at the most.
        if name.starts_with("chunked") { case.wasting(5 * SIZE + 64 * CHUNKS as u64) } else { case }
    })
}

fn head() -> Vec<Case> {
    let replies = [
        ("refused", Reply::status(403)),
        ("not found", Reply::status(404)),
        ("not known", Reply::status(405)),
        ("busy", Reply::status(503)),
        ("broken", Reply::raw("")),
        ("reset", Reply::raw("").reset_after(0)),
        ("garbage", Reply::raw("garbage\r\n\r\n")),
        ("silent", Reply::raw("").stall_after(0)),
        ("another version", Reply::ok().etag("\"other\"")),
        ("another size", Reply::ok().header("content-length", "7")),
    ];
    each(&replies, &[Place::First], |at, name, reply| at.always(name, Fault::Head(reply)).whole(1))
}
