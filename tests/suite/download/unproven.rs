//! Responses that do not show which bytes they have, how many there are, or under which version: one request more finds
//! out, or the download ends with exit code 5. None may end with 0 and other bytes than the object's.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::support::fault_server::{ETAG, FaultServer, Reply, Request};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

pub(super) fn run(server: &FaultServer) -> S3fcp {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "2"])
}

/// Downloads the object of `server` by bucket and key, or as a URL.
fn download(server: &FaultServer, is_url: bool, args: &[&str]) -> Outcome {
    let (program, source) = if is_url {
        (S3fcp::new(), format!("{}/page", server.endpoint()))
    } else {
        (S3fcp::at(&server.endpoint()), URI.to_owned())
    };
    program.window(4, CHUNK).args(["--max-attempts", "2"]).args(args.to_vec()).download(&source)
}

/// A server whose responses to ranges are `ranged`, and all else is right.
pub(super) fn serve(size: u64, ranged: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> FaultServer {
    FaultServer::start(object(size), move |request| {
        if request.is_get() && request.range.is_some() { ranged(request) } else { Reply::ok() }
    })
}

pub(super) fn assert_range(outcome: &Outcome, start: u64, end: u64) {
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let place = |at: u64| usize::try_from(at).expect("a place in memory");
    assert!(outcome.stdout == object(SIZE)[place(start)..place(end)], "{} bytes", outcome.stdout.len());
}

/// Each way in which a range is answered so that only its length is known.
fn lengths_alone() -> Vec<(&'static str, fn(&Request) -> Reply)> {
    vec![
        ("a part called 200", |_| Reply::ok().called_200().without("content-range")),
        ("a 206 without Content-Range", |_| Reply::ok().without("content-range")),
        ("501 for any range", |_| Reply::status(501).code("NotImplemented")),
        ("405 for any range", |_| Reply::status(405).code("NotImplemented")),
        ("a bare 405 for any range", |_| Reply::status(405)),
        ("400 for any range", |_| Reply::status(400).code("NotImplemented")),
    ]
}

/// The object is replaced after the first GET by one that is as long as the part which that has brought, and neither has a
/// tag. All other responses ignore the range.
#[test]
fn a_part_called_200_is_not_whole_because_another_version_is_as_long() {
    let answers = AtomicU64::new(0);
    let other: Vec<u8> = object(CHUNK).iter().map(|byte| !byte).collect();
    let replaced = other.clone();
    let server = FaultServer::start(object(SIZE), move |request| {
        if !request.is_get() {
            return Reply::status(403);
        }
        let is_first = answers.fetch_add(1, Relaxed) == 0;
        let body = if is_first { object(SIZE)[100..100 + replaced.len()].to_vec() } else { replaced.clone() };
        let head = "HTTP/1.1 200 OK\r\nx-amz-request-id: 1\r\nconnection: close\r\n\
                    last-modified: Wed, 12 Oct 2022 17:50:00 GMT";
        let head = format!("{head}\r\ncontent-length: {}\r\n\r\n", body.len());
        Reply::raw([head.as_bytes(), &body].concat())
    });
    let outcome = run(&server).args(["--range", "100-"]).download(URI);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout == other[100..], "{} bytes", outcome.stdout.len());
}

#[test]
fn where_a_length_alone_is_known_one_plain_get_brings_the_object() {
    table::each(&lengths_alone(), |reply| {
        let reply = *reply;
        let server = serve(SIZE, reply);
        let outcome = run(&server).download(URI);
        outcome.assert_object(&object(SIZE));
        assert!(server.gets().iter().filter(|get| get.range.is_none()).count() <= 1);
    });
}

#[test]
fn a_range_of_the_user_is_cut_out_of_the_plain_get() {
    table::each(&lengths_alone(), |reply| {
        let reply = *reply;
        for (range, start, end) in [("100-199", 100, 200), ("70000-", 70_000, SIZE), ("-10", SIZE - 10, SIZE)]
        {
            let server = serve(SIZE, reply);
            assert_range(&run(&server).args(["--range", range]).download(URI), start, end);
        }
    });
}

/// Ceph, for large objects of Swift: the bytes are right.
#[test]
fn a_range_that_is_shown_from_0_on_is_read_by_one_plain_get() {
    let server = serve(SIZE, |request| {
        let end = request.range.as_ref().map_or(0, |range| range.end.min(SIZE));
        Reply::ok().content_range(format!("bytes 0-{}/{SIZE}", end.saturating_sub(1)))
    });
    assert_range(&run(&server).args(["--range", "100-199"]).download(URI), 100, 200);
    assert_eq!(server.gets().len(), 2);
}

/// Ceph, for large objects of Swift: its own tag is refused in `If-Match`.
#[test]
fn after_a_range_that_was_proven_one_plain_get_brings_the_rest() {
    let from_0 = |request: &Request| {
        let end = request.range.as_ref().map_or(0, |range| range.end.min(SIZE));
        Reply::ok().content_range(format!("bytes 0-{}/{SIZE}", end.saturating_sub(1)))
    };
    let longer = |request: &Request| match request.range.clone() {
        Some(range) if range.start > 0 => Reply::part(range.start..(range.end + 7).min(SIZE)),
        _ => Reply::ok(),
    };
    let none = |request: &Request| match request.range.clone() {
        Some(range) if range.start > 0 => Reply::ok().without("content-range"),
        _ => Reply::ok(),
    };
    let table: [(&str, fn(&Request) -> Reply); 3] =
        [("from 0 on", from_0), ("longer", longer), ("no Content-Range", none)];
    table::each(&table, |reply| {
        let reply = *reply;
        let start = |cut: Option<u64>| {
            FaultServer::start(object(SIZE), move |request| {
                if request.header("if-match").is_some() {
                    return Reply::status(412).code("PreconditionFailed");
                }
                match (cut, request.range.is_none()) {
                    (Some(at), true) if request.is_get() => Reply::ok().cut_after(at),
                    _ => reply(request),
                }
            })
        };
        for (concurrency, chunk) in [(1, CHUNK), (4, CHUNK), (16, CHUNK / 2)] {
            let server = start(None);
            let run = S3fcp::at(&server.endpoint()).window(concurrency, chunk);
            run.args(["--max-attempts", "3"]).download(URI).assert_object(&object(SIZE));
            let plain = server.gets().iter().filter(|get| get.range.is_none()).count();
            // One, and what other ranges have just sent when the first of them finds that it needs one.
            let most = usize::try_from(concurrency).expect("a few");
            assert!((1..=most).contains(&plain), "{plain}: {:?}", server.gets());
        }
        // With everything left to the program, and --continue or a shard from the middle on.
        let server = start(None);
        S3fcp::at(&server.endpoint()).download(URI).assert_object(&object(SIZE));
        let shard = S3fcp::at(&server.endpoint()).window(2, CHUNK);
        let shard = shard.args(["--shard", "1/2", "--if-match", ETAG]).download(URI);
        assert_eq!(shard.code(), Some(0), "{}", shard.stderr);
        assert!(object(SIZE).ends_with(&shard.stdout) && !shard.stdout.is_empty());
        // Each new attempt brings more than the one before, and skips what was delivered.
        let begun = AtomicU64::new(0);
        let growing = FaultServer::start(object(SIZE), move |request| {
            if request.is_get() && request.range.is_none() {
                return Reply::ok().cut_after(SIZE.min(SIZE / 4 * (1 + begun.fetch_add(1, Relaxed))));
            }
            if request.header("if-match").is_some() { Reply::status(412) } else { reply(request) }
        });
        S3fcp::at(&growing.endpoint()).window(4, CHUNK).download(URI).assert_object(&object(SIZE));
        // One that is always cut at the same place ends, with the right beginning.
        let outcome = run(&start(Some(2 * CHUNK + 10))).download(URI);
        outcome.assert_failed(5, &object(SIZE));
    });
}

/// Another version under the same key is never taken for the rest.
#[test]
fn the_rest_by_a_plain_get_carries_the_tag_of_what_came_before() {
    for tag in ["\"another\"", "W/\"weak\"", ""] {
        let server = FaultServer::start(object(SIZE), move |request| match request.range.clone() {
            None if request.is_get() => Reply::whole_with_200().etag(tag),
            Some(range) if range.start > 0 => {
                let last = range.end.min(SIZE) - 1;
                Reply::ok().content_range(format!("bytes 0-{last}/{SIZE}"))
            }
            _ => Reply::ok(),
        });
        run(&server).download(URI).assert_failed(6, &object(SIZE));
    }
}

/// s3rver, whose `bytes=0-0` is all of the object, and servers that round a range up to their blocks.
#[test]
fn a_range_that_is_longer_than_requested_is_used() {
    const BLOCK: u64 = 1000;
    let table: [(&str, fn(u64) -> u64); 3] =
        [("all of it", |_| SIZE), ("a block", |end| end.next_multiple_of(BLOCK)), ("a byte", |end| end + 1)];
    table::each(&table, |longer| {
        let longer = *longer;
        for (range, start, end) in [("0-0", 0, 1), ("0-99", 0, 100), ("-1", SIZE - 1, SIZE)] {
            let server = serve(SIZE, move |request| match request.range.clone() {
                Some(range) => Reply::part(range.start..longer(range.end.min(SIZE)).min(SIZE)),
                None => Reply::ok(),
            });
            assert_range(&run(&server).args(["--range", range]).download(URI), start, end);
            assert!(server.gets().len() <= 2, "{:?}", server.gets());
        }
        let server = serve(SIZE, move |request| match request.range.clone() {
            Some(range) => Reply::part(range.start..longer(range.end.min(SIZE)).min(SIZE)),
            None => Reply::ok(),
        });
        run(&server).download(URI).assert_object(&object(SIZE));
    });
}

/// HEAD says that there is more than the server ever sends.
#[test]
fn a_server_that_always_sends_a_part_is_exit_5() {
    let server = FaultServer::start(object(SIZE), |request| {
        let part = Reply::part(0..CHUNK).called_200().without("content-range");
        if request.is_get() { part } else { Reply::ok() }
    });
    let outcome = run(&server).download(URI);
    outcome.assert_failed(5, &object(SIZE));
}

/// A gateway that sends no more than so many bytes, whatever is requested, and there is no HEAD: the length of a plain GET is as
/// much a part's as that of a range.
#[test]
fn the_length_of_a_plain_get_is_not_believed_where_ranges_prove_nothing() {
    let table: [(&str, fn(Reply) -> Reply); 3] = [
        ("a 206 without Content-Range", |reply| reply.without("content-range")),
        ("a 206 without a total", |reply| reply.content_range("bytes 0-65535/*")),
        ("a part called 200", |reply| reply.called_200().without("content-range")),
    ];
    table::each(&table, |unproven| {
        let unproven = *unproven;
        for (has_tag, most) in [(true, CHUNK), (false, CHUNK), (true, CHUNK - 7), (true, CHUNK + 7)] {
            let shown = move |reply: Reply| if has_tag { reply } else { reply.without("etag") };
            let serve = |most: u64| {
                FaultServer::start(object(SIZE), move |request| match &request.range {
                    _ if !request.is_get() => Reply::status(403),
                    Some(range) if range.start >= SIZE => Reply::status(416).code("InvalidRange"),
                    Some(range) => shown(unproven(Reply::part(range.start..range.end.min(SIZE)))),
                    None => shown(Reply::part(0..most).called_200().without("content-range")),
                })
            };
            for is_url in [false, true] {
                for args in [&[][..], &["--range", "0-"], &["--range", "100-"]] {
                    assert_eq!(download(&serve(most), is_url, args).code(), Some(5), "{is_url} {args:?}");
                }
                download(&serve(most), is_url, &[]).assert_failed(5, &object(SIZE));
                // The same server without that limit.
                download(&serve(SIZE), is_url, &[]).assert_object(&object(SIZE));
            }
        }
    });
}

/// The last chunk comes early, and HEAD knows of more bytes; only another encoding explains that.
#[test]
fn a_last_chunk_before_the_end_that_head_shows_is_exit_5() {
    type Case = ([fn(Reply) -> Reply; 2], i32);
    const WEAK: &str = "W/\"0123456789abcdef\"";
    let plain = |reply: Reply| reply;
    let table: [(&str, Case); 7] = [
        ("GET has a placeholder", ([plain, |reply| reply.etag("\"-\"")], 5)),
        ("both tagged", ([plain, plain], 5)),
        ("HEAD alone has a tag", ([plain, |reply| reply.without("etag")], 5)),
        ("GET alone has a tag", ([|reply| reply.without("etag"), plain], 5)),
        ("none", ([|reply| reply.without("etag"), |reply| reply.without("etag")], 5)),
        ("both weak", ([|reply| reply.etag(WEAK), |reply| reply.etag(WEAK)], 5)),
        ("packed on its way", ([plain, |reply| reply.header("content-encoding", "x").etag(WEAK)], 0)),
    ];
    table::each(&table, |case| {
        let ([head, get], exit) = *case;
        for bytes in [CHUNK - 5, CHUNK + 5, 5] {
            let server = FaultServer::start(object(SIZE), move |request| {
                if request.is_get() {
                    get(Reply::part(0..bytes).called_200().without("content-range").chunked())
                } else {
                    head(Reply::ok())
                }
            });
            let outcome = run(&server).download(URI);
            assert_eq!(outcome.code(), Some(exit), "{bytes}: {}", outcome.stderr);
        }
    });
}

/// Where a range begins follows from HEAD's size, and the response has none that would confirm it.
#[test]
fn bytes_counted_from_an_end_that_only_head_shows_are_not_delivered() {
    for (head, args) in [(SIZE + 1000, ["--range", "-70000"]), (SIZE - 1000, ["--range", "-70000"])] {
        let server = FaultServer::start(object(SIZE), move |request| {
            if request.is_get() {
                Reply::whole_with_200().chunked()
            } else {
                Reply::ok().header("content-length", head.to_string())
            }
        });
        let outcome = run(&server).args(args).download(URI);
        assert_eq!((outcome.code(), outcome.stdout.len()), (Some(5), 0), "{head}: {}", outcome.stderr);
    }
}

/// A proxy weakens the tags of GETs. Nobody named a version.
#[test]
fn a_weakened_tag_is_that_of_the_object_that_head_has_shown() {
    let server = FaultServer::start(object(SIZE), |request| {
        if request.is_get() { Reply::ok().etag(format!("W/{ETAG}")) } else { Reply::ok() }
    });
    assert_range(&run(&server).args(["--range", "-100"]).download(URI), SIZE - 100, SIZE);
    // A version that somebody named is compared strictly.
    assert_eq!(run(&server).args(["--if-match", ETAG]).download(URI).code(), Some(6));
}

/// The first byte waits for no HEAD that is never answered, or whose connection is always closed.
#[test]
fn a_head_that_is_never_answered_holds_up_no_byte() {
    for reply in [|| Reply::raw(""), || Reply::ok().stall_after(0)] {
        let server = FaultServer::start(object(SIZE), move |request| {
            if request.is_get() { Reply::whole_with_200().chunked() } else { reply() }
        });
        let outcome = run(&server).args(["--max-time", "30"]).download(URI);
        outcome.assert_object(&object(SIZE));
    }
}

/// A part that is called 200 and comes in chunks: neither a length nor a range shows that it is one.
#[test]
fn a_part_in_chunks_is_never_the_whole_of_a_larger_object() {
    let part = || Reply::ok().called_200().without("content-range").chunked();
    let weak = "W/\"a\"";
    // HEAD, the tag, whether a plain GET has a length, and whether the object can be had.
    let table = [
        ("by HEAD", (Some(ETAG), ETAG, false, true)),
        ("by HEAD, then with a length", (Some(ETAG), ETAG, true, true)),
        ("no HEAD", (None, ETAG, false, true)),
        ("no HEAD, then with a length", (None, ETAG, true, true)),
        ("a weak tag", (Some(weak), weak, false, false)),
        ("a weak tag, no HEAD", (None, weak, false, false)),
    ];
    table::each(&table, |(head, tag, has_length, can_be_had)| {
        let (head, tag, has_length) = (*head, *tag, *has_length);
        let serve = || {
            FaultServer::start(object(SIZE), move |request| match (request.is_get(), &request.range) {
                (false, _) => head.map_or_else(|| Reply::status(403), |tag| Reply::ok().etag(tag)),
                (true, None) if has_length => Reply::ok().etag(tag),
                (true, None) => Reply::whole_with_200().etag(tag).chunked(),
                (true, Some(range)) if range.start >= SIZE => Reply::status(416).code("InvalidRange"),
                (true, Some(_)) if request.header("if-match").is_some_and(|wanted| wanted != tag) => {
                    Reply::status(412).code("PreconditionFailed")
                }
                (true, Some(_)) => part().etag(tag),
            })
        };
        for is_url in [false, true] {
            let outcome = download(&serve(), is_url, &[]);
            match can_be_had {
                true => outcome.assert_object(&object(SIZE)),
                false => outcome.assert_failed(5, &object(SIZE)),
            }
            assert_range(&download(&serve(), is_url, &["--range", "70000-90000"]), 70_000, 90_001);
        }
    });
}

/// The first response is as long as the range was, because the object is: one request more shows it.
#[test]
fn an_object_in_chunks_that_ends_with_the_range_is_whole() {
    table::each(&[("strong", ETAG), ("weak", "W/\"a\"")], |tag| {
        let tag = *tag;
        for is_url in [false, true] {
            let server = FaultServer::start(object(CHUNK), move |request| {
                if request.is_get() {
                    Reply::whole_with_200().etag(tag).chunked()
                } else {
                    Reply::status(403)
                }
            });
            download(&server, is_url, &[]).assert_object(&object(CHUNK));
            assert_eq!(server.gets().len(), 2);
        }
    });
}

/// A 200 is in its place only if the range begins with the object: these servers ignore where the range ends.
#[test]
fn a_200_for_a_later_range_is_not_taken_for_the_whole_object() {
    let table: [(&str, fn(u64) -> u64); 3] =
        [("to the end", |_| SIZE), ("a byte more", |end| end + 1), ("a block", |end| end + CHUNK)];
    table::each(&table, |longer| {
        let longer = *longer;
        for (head, tag) in [(200, ETAG), (403, ETAG), (200, "W/\"a\""), (403, "W/\"a\"")] {
            let server = FaultServer::start(object(SIZE), move |request| match &request.range {
                _ if !request.is_get() => {
                    if head == 200 {
                        Reply::ok().etag(tag)
                    } else {
                        Reply::status(head)
                    }
                }
                Some(range) if range.start >= SIZE => Reply::status(416).code("InvalidRange"),
                Some(range) => Reply::part(range.start..longer(range.end.min(SIZE)).min(SIZE))
                    .called_200()
                    .without("content-range")
                    .etag(tag),
                None => Reply::ok().etag(tag),
            });
            for (range, start, end) in [("70000-70099", 70_000, 70_100), ("70000-", 70_000, SIZE)] {
                for is_url in [false, true] {
                    assert_range(&download(&server, is_url, &["--range", range]), start, end);
                }
            }
        }
    });
}

#[test]
fn a_range_of_an_unknown_size_is_used_where_head_or_a_plain_get_shows_it() {
    let shown = |request: &Request| match request.range.clone() {
        Some(range) => {
            Reply::ok().content_range(format!("bytes {}-{}/*", range.start, range.end.min(SIZE) - 1))
        }
        None => Reply::ok(),
    };
    let server = serve(SIZE, shown);
    run(&server).download(URI).assert_object(&object(SIZE));
    assert!(server.gets().iter().filter(|get| get.range.is_none()).count() == 1);
    assert_range(&run(&serve(SIZE, shown)).args(["--range", "100-199"]).download(URI), 100, 200);
    // Later responses may not show it.
    let later = move |request: &Request| match &request.range {
        Some(range) if range.start > 0 => shown(request),
        _ => Reply::ok(),
    };
    let server = serve(SIZE, later);
    run(&server).download(URI).assert_object(&object(SIZE));
    assert!(server.gets().iter().all(|get| get.range.is_some()));
}

#[test]
fn other_spellings_of_a_content_range_are_read() {
    let table = [("equals", "bytes="), ("colon", "bytes: "), ("case", "Bytes "), ("tab", "bytes\t")];
    table::each(&table, |unit| {
        let unit = *unit;
        let server = serve(SIZE, move |request| {
            let range = request.range.clone().unwrap_or_default();
            let last = range.end.min(SIZE).saturating_sub(1);
            Reply::ok().content_range(format!("{unit}{}-{last}/{SIZE}", range.start))
        });
        run(&server).download(URI).assert_object(&object(SIZE));
    });
}

/// Parts may be combined under a strong validator only.
#[test]
fn without_a_strong_validator_all_bytes_are_of_one_response() {
    let table: [(&str, fn() -> Reply); 3] = [
        ("none", || Reply::ok().without("etag")),
        ("weak", || Reply::ok().etag("W/\"same\"")),
        ("blank", || Reply::ok().etag("\"\"")),
    ];
    table::each(&table, |reply| {
        let reply = *reply;
        let server = FaultServer::start(object(SIZE), move |_| reply());
        run(&server).download(URI).assert_object(&object(SIZE));
        assert_eq!(server.gets().len(), 2);
        // A small object still costs one GET.
        let small = FaultServer::start(object(100), move |_| reply());
        run(&small).download(URI).assert_object(&object(100));
        assert_eq!(small.gets().len(), 1);
        // What would follow a cut may be another object's.
        let cut = FaultServer::start(object(SIZE), move |_| reply().cut_after(CHUNK + 10));
        let outcome = run(&cut).download(URI);
        outcome.assert_failed(5, &object(SIZE));
        assert_eq!(outcome.stdout.len() as u64, CHUNK + 10);
    });
}

#[test]
fn a_refused_if_match_of_an_unchanged_object_is_left_out() {
    for status in [412, 501] {
        let server = FaultServer::start(object(SIZE), move |request| {
            if request.header("if-match").is_some() { Reply::status(status) } else { Reply::ok() }
        });
        run(&server).download(URI).assert_object(&object(SIZE));
    }
}

#[test]
fn chunks_count_and_not_the_length_beside_them() {
    for length in ["100", "999999999"] {
        let server = FaultServer::start(object(SIZE), move |request| {
            let reply = Reply::whole_with_200().chunked().header("content-length", length);
            if request.is_get() { reply } else { Reply::ok() }
        });
        run(&server).download(URI).assert_object(&object(SIZE));
    }
}

#[test]
fn a_head_that_says_0_is_not_believed_without_a_get() {
    for args in [&["--range", "-1000"][..], &["--shard", "2/3", "--if-match", ETAG]] {
        let server = FaultServer::start(object(SIZE), |request| {
            if request.is_get() { Reply::ok() } else { Reply::ok().header("content-length", "0") }
        });
        let outcome = run(&server).args(args).download(URI);
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert!(!outcome.stdout.is_empty());
    }
}

#[test]
fn a_server_that_does_not_speak_s3_is_exit_5() {
    let page = || {
        Reply::status(200)
            .body("<html>console</html>")
            .header("content-type", "text/html")
            .without("x-amz-request-id")
            .without("etag")
    };
    let missing = || Reply::status(404).body("<html>Not Found</html>").without("x-amz-request-id");
    let table: [(&str, fn() -> Reply); 2] = [("a page", page), ("404", missing)];
    table::each(&table, |reply| {
        let reply = *reply;
        for args in [&[][..], &["--info"], &["--range", "-10"]] {
            let server = FaultServer::start(object(SIZE), move |_| reply());
            let outcome = run(&server).args(args).download(URI);
            outcome.assert_failed(5, &[]);
            assert!(outcome.stderr.contains("does not look like an S3 server"), "{}", outcome.stderr);
        }
    });
}
