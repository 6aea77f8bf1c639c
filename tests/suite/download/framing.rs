//! Bodies that are framed, encoded or counted in ways in which other clients have delivered something else than the
//! object.
//!
//! Each way is tried on the first, a middle and the last range, on stdout and into a file, for a range of the user's,
//! several objects and URLs. What cannot be read in one way only is exit code 5, and what was delivered is a beginning
//! of the object.

use bytes::Bytes;

use crate::support::fault_server::{ETAG, FaultServer, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

type Respond = fn(&Request) -> Reply;

fn at(server: &FaultServer) -> S3fcp {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "2"])
}

/// Downloads the object by its URL.
fn by_url(server: &FaultServer, args: &[&str]) -> Outcome {
    let run = S3fcp::new().window(4, CHUNK).args(["--max-attempts", "2", "--hedge", "off"]);
    run.args(args).download(&format!("{}/bucket/key", server.endpoint()))
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).expect("a place in memory")
}

/// Which GET is answered in the wrong way: one of a chunk, or any.
fn phases() -> Vec<Option<u64>> {
    let last = u64::try_from(CHUNKS).expect("a number") - 1;
    vec![None, Some(0), Some(2), Some(last)]
}

/// Asserts exit code 0 with the object, or another code with a beginning of it.
#[track_caller]
fn assert_true(outcome: &Outcome, bytes: &[u8], want: &[u8]) {
    match outcome.code() {
        Some(0) => assert!(bytes == want, "exit 0 with {} bytes", bytes.len()),
        Some(5 | 6) => assert!(want.starts_with(bytes), "{} bytes: {}", bytes.len(), outcome.stderr),
        other => panic!("{other:?}: {}", outcome.stderr),
    }
}

/// Starts servers whose GETs `respond` bends, one for each phase and with an answer to HEAD or without.
fn servers(respond: Respond) -> impl Iterator<Item = FaultServer> {
    let heads = |phase| [(phase, Reply::ok()), (phase, Reply::status(403))];
    phases().into_iter().flat_map(heads).map(move |(phase, head)| {
        FaultServer::start(object(SIZE), move |request: &Request| {
            let is_due = phase.is_none() || request.chunk(CHUNK) == phase;
            match request.is_get() {
                true if is_due => respond(request),
                true => Reply::ok(),
                false => head.clone(),
            }
        })
    })
}

/// Runs downloads of all kinds from these servers.
fn try_all(respond: Respond) {
    for server in servers(respond) {
        let all = object(SIZE);
        let outcome = at(&server).download(URI);
        assert_true(&outcome, &outcome.stdout, &all);
        let outcome = by_url(&server, &[]);
        assert_true(&outcome, &outcome.stdout, &all);
        let outcome = at(&server).args(["s3://bucket/first"]).download(URI);
        assert_true(&outcome, &outcome.stdout, &[&all[..], &all].concat());
        let outcome = at(&server).args(["--range", "70000-"]).download(URI);
        assert_true(&outcome, &outcome.stdout, &all[70_000..]);
        let folder = folder();
        let out = folder.path().join("out");
        let outcome = at(&server).args(["-o".as_ref(), out.as_os_str()]).download(URI);
        if outcome.code() == Some(0) {
            assert_true(&outcome, &std::fs::read(&out).expect("FILE"), &all);
        } else {
            assert!(!out.exists(), "FILE is there after a failure");
        }
    }
}

/// The connection ends such a body, also where it is cut, and what is compressed is no object.
#[test]
fn a_transfer_encoding_other_than_chunked_is_no_end_of_a_body() {
    fn whole(coding: &'static str) -> Reply {
        Reply::whole_with_200().without("content-length").header("transfer-encoding", coding)
    }
    fn part_in_chunks(coding: &'static str) -> Reply {
        Reply::ok().chunked().without("transfer-encoding").header("transfer-encoding", coding)
    }
    let table: [(&str, Respond); 12] = [
        ("a part in chunks that are not decoded", |_| part_in_chunks("identity")),
        ("a part in chunks of another coding", |_| part_in_chunks("xchunked")),
        ("a part in chunks with a parameter", |_| part_in_chunks("chunked;q=1")),
        ("a part in chunks of a list", |_| part_in_chunks("identity, chunked")),
        ("a part that is identity", |_| Reply::ok().header("transfer-encoding", "identity")),
        ("a part without a coding's name", |_| part_in_chunks("")),
        ("identity, cut", |_| whole("identity").cut_after(CHUNK + 10)),
        ("identity, cut, with a length", |_| {
            Reply::whole_with_200().header("transfer-encoding", "identity").cut_after(CHUNK + 10)
        }),
        ("gzip, cut", |_| whole("gzip").cut_after(CHUNK + 10)),
        ("gzip in chunks", |_| {
            Reply::whole_with_200().chunked().header("transfer-encoding", "gzip, chunked")
        }),
        ("chunks that are not decoded", |_| {
            Reply::whole_with_200().chunked().header("transfer-encoding", "chunked, identity")
        }),
        ("a part", |_| Reply::ok().chunked().header("transfer-encoding", "gzip, chunked")),
    ];
    table::each(&table, |respond| {
        for head in [Reply::ok(), Reply::status(403)] {
            let (respond, head) = (*respond, head.clone());
            let server = FaultServer::start(object(SIZE), move |request: &Request| {
                if request.is_get() { respond(request) } else { head.clone() }
            });
            at(&server).download(URI).assert_failed(5, &object(SIZE));
            by_url(&server, &[]).assert_failed(5, &object(SIZE));
        }
        try_all(*respond);
    });
}

/// A space before a header makes it a part of the line before (RFC 9112, section 5.2), and then bytes of another form than its
/// sender meant are taken for the object's.
#[test]
fn a_header_that_frames_the_body_is_refused_in_a_folded_line() {
    fn in_chunks(request: &Request, folded: &str) -> Reply {
        let length = request.range.as_ref().map_or(SIZE, |range| range.end.min(SIZE) - range.start);
        let reply = Reply::ok().chunked().without("transfer-encoding");
        reply.header("x-folded", folded).header("content-length", length.to_string())
    }
    let table: [(&str, Respond); 4] = [
        ("the coding", |request| in_chunks(request, "a\r\n Transfer-Encoding: chunked")),
        ("the coding, by a tab", |request| in_chunks(request, "a\r\n\ttransfer-encoding : chunked")),
        ("the coding, after a carriage return", |request| {
            in_chunks(request, "a\rtransfer-encoding: chunked")
        }),
        ("the encoding", |request| in_chunks(request, "a\r\n b\r\n Content-Encoding: x-chunks")),
    ];
    table::each(&table, |&respond| {
        let server =
            FaultServer::start(
                object(SIZE),
                move |request: &Request| {
                    if request.is_get() { respond(request) } else { Reply::ok() }
                },
            );
        at(&server).download(URI).assert_failed(5, &object(SIZE));
        try_all(respond);
    });
}

#[test]
fn a_body_in_several_parts_is_never_taken_for_the_range() {
    fn body(request: &Request) -> Bytes {
        let range = request.range.clone().unwrap_or(0..SIZE);
        let bytes = object(SIZE).slice(place(range.start)..place(range.end.min(SIZE)));
        let head =
            format!("--X\r\nContent-Range: bytes {}-{}/{SIZE}\r\n\r\n", range.start, range.end.min(SIZE) - 1);
        [head.as_bytes(), &bytes, b"\r\n--X--\r\n"].concat().into()
    }
    fn multipart(request: &Request, more: &str) -> Reply {
        let body = body(request);
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\netag: {ETAG}\r\nconnection: close\r\n\
             content-type: multipart/byteranges; boundary=X\r\n{more}\r\n"
        );
        Reply::raw([head.as_bytes(), &body].concat())
    }
    fn shown(request: &Request) -> String {
        let range = request.range.clone().unwrap_or(0..SIZE);
        format!("content-range: bytes {}-{}/{SIZE}\r\n", range.start, range.end.min(SIZE) - 1)
    }
    /// As many bytes of such a body as the range has.
    fn of_the_ranges_length(request: &Request) -> Reply {
        let range = request.range.clone().unwrap_or(0..SIZE);
        let length = range.end.min(SIZE) - range.start;
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\netag: {ETAG}\r\nconnection: close\r\n\
             content-type: multipart/byteranges; boundary=X\r\n{}content-length: {length}\r\n\r\n",
            shown(request)
        );
        Reply::raw([head.as_bytes(), &body(request)[..place(length)]].concat())
    }
    let table: [(&str, Respond); 4] = [
        ("with a Content-Range and its length", of_the_ranges_length),
        ("as the RFC has it", |request| {
            multipart(request, &format!("content-length: {}\r\n", body(request).len()))
        }),
        ("with a Content-Range and no length", |request| multipart(request, &shown(request))),
        ("with a Content-Range and a length", |request| {
            multipart(request, &format!("{}content-length: {}\r\n", shown(request), body(request).len()))
        }),
    ];
    table::each(&table, |&respond| {
        for phase in phases() {
            let server = FaultServer::start(object(SIZE), move |request: &Request| {
                let is_due = request.range.is_some() && (phase.is_none() || request.chunk(CHUNK) == phase);
                if request.is_get() && is_due { respond(request) } else { Reply::ok() }
            });
            let outcome = at(&server).download(URI);
            assert_true(&outcome, &outcome.stdout, &object(SIZE));
            let outcome = by_url(&server, &["--range", "70000-"]);
            assert_true(&outcome, &outcome.stdout, &object(SIZE)[70_000..]);
        }
    });
}

/// Every response has the type then, and only a part with it could be one of several parts.
#[test]
fn an_object_may_be_stored_as_a_body_in_several_parts() {
    let kind = "multipart/byteranges; boundary=X";
    let server = FaultServer::start(object(SIZE), move |_| Reply::ok().header("content-type", kind));
    at(&server).download(URI).assert_object(&object(SIZE));
    let outcome = by_url(&server, &["--range", "70000-200000"]);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout == object(SIZE)[70_000..=200_000], "{} bytes", outcome.stdout.len());
}

/// The largest numbers of 63 and 64 bits are not sizes: the second stands for "unknown" in this program.
#[test]
fn a_total_that_no_object_has_is_exit_5() {
    fn part(request: &Request, total: &str) -> Reply {
        let range = request.range.clone().unwrap_or(0..SIZE);
        Reply::ok().content_range(format!("bytes {}-{}/{total}", range.start, range.end.min(SIZE) - 1))
    }
    let table: [(&str, Respond); 5] = [
        ("2^63 - 1", |request| part(request, "9223372036854775807")),
        ("2^63", |request| part(request, "9223372036854775808")),
        ("2^64 - 2", |request| part(request, "18446744073709551614")),
        ("2^64 - 1", |request| part(request, "18446744073709551615")),
        ("2^64", |request| part(request, "18446744073709551616")),
    ];
    table::each(&table, |&respond| {
        for server in servers(respond) {
            let outcome = at(&server).download(URI);
            outcome.assert_failed(5, &object(SIZE));
            assert!(outcome.stderr.contains("an invalid Content-Range: \"bytes "), "{}", outcome.stderr);
        }
        try_all(respond);
    });
}

/// What was announced and what came contradict each other.
#[test]
fn chunks_that_continue_after_the_range_are_exit_5() {
    let longer: Respond = |request| {
        let range = request.range.clone().unwrap_or(0..SIZE);
        let end = (range.end.min(SIZE) + 100).min(SIZE);
        let shown = format!("bytes {}-{}/{SIZE}", range.start, range.end.min(SIZE) - 1);
        Reply::part(range.start..end).content_range(shown).chunked_by(50)
    };
    let server = FaultServer::start(object(SIZE), move |request: &Request| {
        if request.is_get() && request.range.is_some() { longer(request) } else { Reply::ok() }
    });
    at(&server).download(URI).assert_failed(5, &object(SIZE));
    try_all(longer);
}

/// A proxy that compresses some of the responses keeps the tag.
#[test]
fn ranges_of_two_encodings_are_never_mixed() {
    let coded: Bytes = object(SIZE).iter().map(|byte| !byte).collect();
    for (first, later) in [(None, Some("gzip")), (Some("gzip"), None), (Some("gzip"), Some("br"))] {
        for is_url in [false, true] {
            let bytes = coded.clone();
            let server = FaultServer::start(object(SIZE), move |request: &Request| {
                let encoding = if request.chunk(CHUNK) == Some(0) { first } else { later };
                let range = request.range.clone().unwrap_or(0..SIZE);
                match encoding.filter(|_| request.is_get()) {
                    None => Reply::ok(),
                    Some(encoding) => {
                        let (start, end) = (range.start, range.end.min(SIZE));
                        let head = format!(
                            "HTTP/1.1 206 Partial Content\r\netag: {ETAG}\r\nconnection: close\r\n\
                             content-encoding: {encoding}\r\ncontent-length: {}\r\n\
                             content-range: bytes {start}-{}/{SIZE}\r\n\r\n",
                            end - start,
                            end - 1
                        );
                        Reply::raw([head.as_bytes(), &bytes[place(start)..place(end)]].concat())
                    }
                }
            });
            let outcome = if is_url { by_url(&server, &[]) } else { at(&server).download(URI) };
            assert_eq!(outcome.code(), Some(6), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("Content-Encoding"), "{}", outcome.stderr);
            assert!(object(SIZE).starts_with(&outcome.stdout) || coded.starts_with(&outcome.stdout));
        }
    }
    // An object that is stored with an encoding has it in every response, in whatever case.
    let server = FaultServer::start(object(SIZE), |request: &Request| {
        Reply::ok().header("content-encoding", if request.serial == 0 { "gzip" } else { "GZip" })
    });
    at(&server).download(URI).assert_object(&object(SIZE));
}

/// Whatever shows the size of GET's object: HEAD knows of more bytes, and shows no other version.
#[test]
fn more_bytes_by_head_are_exit_5_under_any_validator() {
    let ended: [(&str, Respond); 3] = [
        ("a total that ends with the range", |request| {
            let end = request.range.clone().unwrap_or(0..SIZE).end.min(SIZE);
            Reply::ok().content_range(format!("bytes 0-{}/{end}", end - 1))
        }),
        ("a 200 longer than the range", |_| Reply::part(0..CHUNK + 1).called_200().without("content-range")),
        ("a 200 shorter than the range", |_| Reply::part(0..CHUNK - 1).called_200().without("content-range")),
    ];
    let shown: [(&str, fn(Reply) -> Reply); 4] = [
        ("strong", |reply| reply),
        ("weak", |reply| reply.etag("W/\"same\"")),
        ("a date", |reply| reply.without("etag")),
        ("nothing but by HEAD", |reply| reply),
    ];
    for (name, shown) in shown {
        table::each(&ended, |&respond| {
            let server = FaultServer::start(object(SIZE), move |request: &Request| {
                let bare = name == "nothing but by HEAD" && request.is_get();
                let reply = if request.is_get() { respond(request) } else { Reply::ok() };
                if bare { reply.without("etag") } else { shown(reply) }
            });
            let outcome = at(&server).download(URI);
            outcome.assert_failed(5, &object(SIZE));
            assert!(outcome.stderr.contains("HEAD reports"), "{name}: {}", outcome.stderr);
        });
    }
}

/// Tags that programs write where they have none are the same for all versions.
#[test]
fn a_placeholder_is_no_strong_tag() {
    let tags =
        ["\"\"", "\" \"", "\"-\"", "-", "null", "\"null\"", "\"None\"", "undefined", "w/\"a\"", "W/\"a\""];
    let table = tags.map(|tag| (tag, tag));
    table::each(&table, |&tag| {
        let server = FaultServer::start(object(SIZE), move |_: &Request| Reply::ok().etag(tag));
        let outcome = at(&server).download(URI);
        outcome.assert_object(&object(SIZE));
        assert_eq!(server.gets().len(), 2, "one response has all bytes");
        assert!(server.gets().iter().all(|get| get.header("if-match").is_none()));
        assert!(outcome.stderr.contains("no strong ETag"), "{}", outcome.stderr);
        // What is left of it is not continued as if it were known to be the same.
        let folder = folder();
        let out = folder.path().join("out");
        let cut =
            FaultServer::start(object(SIZE), move |_: &Request| Reply::ok().etag(tag).cut_after(CHUNK + 10));
        let outcome = at(&cut).args(["-o".as_ref(), out.as_os_str()]).download(URI);
        assert_eq!(outcome.code(), Some(5), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("--if-match"), "{}", outcome.stderr);
    });
}

#[test]
fn another_version_than_the_one_named_is_exit_6() {
    for shown in [Some("v2"), Some("v1"), None] {
        for phase in phases() {
            let server = FaultServer::start(object(SIZE), move |request: &Request| {
                let is_due = phase.is_none() || request.chunk(CHUNK) == phase;
                let id = if is_due { shown } else { Some("v1") };
                id.map_or(Reply::ok(), |id| Reply::ok().header("x-amz-version-id", id))
            });
            let outcome = at(&server).args(["--version-id", "v1"]).download(URI);
            if shown == Some("v2") {
                outcome.assert_failed(6, &object(SIZE));
                assert!(outcome.stderr.contains("--version-id"), "{}", outcome.stderr);
            } else {
                outcome.assert_object(&object(SIZE));
            }
        }
    }
}

/// A plain web server: no ranges and no tag, and an object exactly as long as the first range.
#[test]
fn a_server_without_ranges_has_objects_of_any_length() {
    for size in [CHUNK - 1, CHUNK, CHUNK + 1, 1, 2] {
        for tag in [true, false] {
            let server = FaultServer::start(object(size), move |request: &Request| match request.is_get() {
                true if tag => Reply::whole_with_200(),
                true => Reply::whole_with_200().without("etag"),
                false => Reply::status(405),
            });
            by_url(&server, &[]).assert_object(&object(size));
        }
    }
}
