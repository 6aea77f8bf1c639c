//! `--range` and `--if-match`: exactly the bytes and the object that were named, with no more requests and bytes than
//! that takes.

use std::time::{Duration, Instant};

use s3server::Server;

use crate::support::fault_server::{ETAG, FaultServer, Reply, Request, cut_then, once};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};
use crate::support::table;

/// `--range`, and the bytes that it means, half-open, in an object of `SIZE` bytes.
const RANGES: [(&str, u64, u64); 17] = [
    ("0-0", 0, 1),
    ("0-", 0, SIZE),
    ("0-65535", 0, CHUNK),
    ("0-65536", 0, CHUNK + 1),
    ("1-65536", 1, CHUNK + 1),
    ("65535-65536", CHUNK - 1, CHUNK + 1),
    ("100-", 100, SIZE),
    ("200000-300000", 200_000, 300_001),
    ("200000-99999999", 200_000, SIZE),
    ("328913-", SIZE - 1, SIZE),
    ("328913-328913", SIZE - 1, SIZE),
    ("-1", SIZE - 1, SIZE),
    ("-70000", SIZE - 70_000, SIZE),
    ("-328914", 0, SIZE),
    ("-99999999", 0, SIZE),
    ("328914-", SIZE, SIZE),
    ("328914-400000", SIZE, SIZE),
];

fn part(start: u64, end: u64) -> bytes::Bytes {
    object(SIZE).slice(usize::try_from(start).expect("small")..usize::try_from(end).expect("small"))
}

/// The table for `table::each`, each range being its own name.
fn ranges() -> Vec<(&'static str, (&'static str, u64, u64))> {
    RANGES.iter().map(|range| (range.0, *range)).collect()
}

fn arg(range: &str) -> String {
    format!("--range={range}")
}

#[test]
fn a_range_takes_one_get_a_chunk_and_no_byte_more() {
    table::each(&ranges(), |&(range, start, end)| {
        let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
        let version = server.put("bucket", "key", object(SIZE));
        let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).args([arg(range)]).download(URI);
        outcome.assert_object(&part(start, end));
        assert_eq!(outcome.stderr, "");
        let stats = server.stats();
        assert_eq!(stats.gets, (end - start).div_ceil(CHUNK).max(1), "{stats:?}");
        assert_eq!(stats.body_bytes, end - start, "{stats:?}");
        assert!(stats.heads <= 1, "{stats:?}");
        if range.starts_with('-') {
            // It was measured first: what is read is what was measured.
            let requests = server.requests();
            assert_eq!(requests[0].method, "HEAD");
            for get in &requests[1..] {
                assert_eq!(
                    (get.method.as_str(), get.headers["if-match"].to_str().ok()),
                    ("GET", Some(&*version.e_tag))
                );
            }
        }
    });
}

#[test]
fn a_server_without_ranges_sends_one_stream_and_the_range_is_taken_out() {
    table::each(&ranges(), |&(range, start, end)| {
        for (concurrency, chunk) in [(4, CHUNK), (1, 1 << 10), (1, 1)] {
            // A window of a byte is slow.
            if chunk == 1 && end - start > 1 {
                continue;
            }
            let server =
                FaultServer::start(object(SIZE), |_| Reply::whole_with_200().without("accept-ranges"));
            let outcome =
                S3fcp::at(&server.endpoint()).window(concurrency, chunk).args([arg(range)]).download(URI);
            outcome.assert_object(&part(start, end));
            assert_eq!((server.gets().len(), outcome.stderr.as_str()), (1, ""));
        }
    });
}

#[test]
fn what_a_server_without_ranges_sends_again_is_left_out_again() {
    let table = [("before the range", 5_000), ("in it", 120_000), ("all but its last byte", 169_999)];
    table::each(&table, |&reached| {
        let server = FaultServer::start(object(SIZE), move |request: &Request| {
            let whole = Reply::whole_with_200();
            if request.is_get() && request.serial == 0 { whole.cut_after(reached) } else { whole }
        });
        let run = S3fcp::at(&server.endpoint()).window(2, 1 << 10).args(["--range", "100000-169999"]);
        run.download(URI).assert_object(&part(100_000, 170_000));
        assert_eq!(server.gets().len(), 2);
    });
}

#[test]
fn a_range_is_resumed_at_the_byte_reached() {
    let script = cut_then(3, 1000, Reply::ok());
    let server = FaultServer::start(object(SIZE), script);
    let run =
        S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--range", "65536-262143", "--stats=json"]);
    let outcome = run.download(URI);
    assert_eq!((outcome.code(), outcome.stdout.as_slice()), (Some(0), &*part(CHUNK, 4 * CHUNK)));
    let ranges: Vec<_> = server.gets().into_iter().filter_map(|get| get.range).collect();
    assert_eq!(ranges.len(), 4);
    assert!(ranges.contains(&(3 * CHUNK + 1000..4 * CHUNK)), "{ranges:?}");
    assert_eq!(server.object_bytes(), 3 * CHUNK);
    let stats: serde_json::Value = serde_json::from_str(&outcome.stderr).expect("one line of JSON");
    assert_eq!(
        (&stats["bytes"], &stats["retries"], &stats["bytes_beyond"]),
        (&(3 * CHUNK).into(), &1.into(), &0.into())
    );
}

#[test]
fn beyond_the_end_is_exit_2_and_asked_once() {
    let whole = |_: &Request| Reply::whole_with_200();
    let table: [(&str, (&str, bool)); 4] = [
        ("from a byte on", ("328915-", true)),
        ("between two", ("400000-500000", true)),
        ("no ranges", ("328915-", false)),
        ("further than any object", ("18446744073709551615-", true)),
    ];
    table::each(&table, |&(range, knows_ranges)| {
        let server =
            FaultServer::start(object(SIZE), move |r| if knows_ranges { Reply::ok() } else { whole(r) });
        let outcome = S3fcp::at(&server.endpoint()).args([arg(range)]).download(URI);
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains(&format!("it has {SIZE} bytes")), "{}", outcome.stderr);
        assert_eq!(server.gets().len(), 1);
    });
}

/// HEAD is of no help, nor, in the last ones, is the 416.
#[test]
fn where_the_object_ends_is_found_out_without_a_head_too() {
    struct Case {
        /// The first byte of the range, which has no last one.
        start: u64,
        /// Set if a 416 says how long the object is.
        shows_size: bool,
        exit_code: i32,
        gets: usize,
    }
    let table = [
        ("at its end", Case { start: SIZE, shows_size: true, exit_code: 0, gets: 2 }),
        ("after it", Case { start: SIZE + 1, shows_size: true, exit_code: 2, gets: 1 }),
        ("at its end, not shown", Case { start: SIZE, shows_size: false, exit_code: 0, gets: 2 }),
        ("after it, not shown", Case { start: SIZE + 1, shows_size: false, exit_code: 2, gets: 2 }),
    ];
    table::each(&table, |&Case { start, shows_size, exit_code, gets }| {
        let server = FaultServer::start(object(SIZE), move |request: &Request| match &request.range {
            _ if !request.is_get() => Reply::status(403),
            Some(range) if range.is_empty() && !shows_size => Reply::ok().without("content-range"),
            _ => Reply::ok(),
        });
        let outcome = S3fcp::at(&server.endpoint()).args([format!("--range={start}-")]).download(URI);
        assert_eq!((outcome.code(), outcome.stdout.len()), (Some(exit_code), 0), "{}", outcome.stderr);
        assert_eq!(server.gets().len(), gets);
    });
}

/// A length by HEAD that no object has, or that GETs contradict.
#[test]
fn odd_sizes_by_head_are_no_sizes() {
    let huge = (1_u64 << 60).to_string();
    let lengths: [(&str, (&str, i32)); 14] = [
        ("none", ("", 0)),
        ("negative", ("Content-Length: -1", 0)),
        ("text", ("Content-Length: many", 0)),
        ("a fraction", ("Content-Length: 328914.0", 0)),
        ("blank", ("Content-Length: ", 0)),
        ("zero", ("Content-Length: 0", 0)),
        ("hexadecimal", ("Content-Length: 0x504d2", 0)),
        ("too many digits", ("Content-Length: 99999999999999999999999", 0)),
        ("the largest of 64 bits", ("Content-Length: 18446744073709551615", 0)),
        ("the largest of 63 bits", ("Content-Length: 9223372036854775807", 0)),
        ("twice", ("Content-Length: 328914\r\nContent-Length: 328914", 0)),
        ("much more", (&format!("Content-Length: {huge}"), 5)),
        ("one more", ("Content-Length: 328915", 5)),
        ("less", ("Content-Length: 100000", 5)),
    ];
    table::each(&lengths, |&(length, exit)| {
        for (option, start) in [("--range=-1000", SIZE - 1000), ("--range=-9999999", 0)] {
            let head = format!("HTTP/1.1 200 OK\r\nETag: {ETAG}\r\nx-amz-request-id: 1\r\n{length}\r\n\r\n");
            let head = head.replace("\r\n\r\n\r\n", "\r\n\r\n");
            let server = FaultServer::start(object(SIZE), move |request| {
                if request.is_get() { Reply::ok() } else { Reply::raw(head.clone()) }
            });
            let outcome = S3fcp::at(&server.endpoint()).args([option]).download(URI);
            if exit == 0 {
                outcome.assert_object(&part(start, SIZE));
            } else {
                outcome.assert_failed(exit, &[]);
                assert!(outcome.stderr.contains("for one ETag"), "{}", outcome.stderr);
            }
            assert!(server.requests().len() <= 5, "{}", server.requests().len());
        }
    });
}

#[test]
fn an_empty_object_has_an_empty_beginning_and_end() {
    for knows_ranges in [true, false] {
        for (range, exit) in [("0-", 0), ("0-9", 0), ("-5", 0), ("1-", 2), ("1-5", 2)] {
            let script = move |_: &Request| if knows_ranges { Reply::ok() } else { Reply::whole_with_200() };
            let server = FaultServer::start(object(0), script);
            let outcome = S3fcp::at(&server.endpoint()).args([arg(range)]).download(URI);
            assert_eq!(
                (outcome.code(), outcome.stdout.len()),
                (Some(exit), 0),
                "{range}: {}",
                outcome.stderr
            );
        }
    }
}

#[test]
fn a_range_of_a_version() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let version = server.put("bucket", "key", object(SIZE));
    server.put("bucket", "key", object(5));
    for (range, start, end) in [("100-199", 100, 200), ("-70000", SIZE - 70_000, SIZE)] {
        let run = S3fcp::at(&server.endpoint()).args(["--version-id", &version.id]).args([arg(range)]);
        run.download(URI).assert_object(&part(start, end));
    }
}

#[test]
fn the_object_that_is_named_is_delivered() {
    let server = FaultServer::healthy();
    for etag in [ETAG, ETAG.trim_matches('"')] {
        let before = server.gets().len();
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--if-match", etag]);
        run.download(URI).assert_object(&object(SIZE));
        for get in &server.gets()[before..] {
            assert_eq!(get.header("if-match"), Some(ETAG));
        }
    }
}

#[test]
fn another_object_than_the_one_named_is_exit_6_and_no_byte() {
    // A reply with an ETag of its own does not look at `If-Match`.
    let table = [
        ("the server looks", Reply::ok()),
        ("it does not", Reply::ok().etag("\"other\"")),
        ("it has a weak ETag", Reply::ok().etag("W/\"named\"")),
        ("it has no ETag", Reply::whole_with_200().without("etag")),
        ("it knows no ranges", Reply::whole_with_200().etag("\"other\"")),
    ];
    table::each(&table, |reply| {
        for range in ["0-", "100-", "-5"] {
            let reply = reply.clone();
            let server = FaultServer::start(object(SIZE), move |_| reply.clone());
            let run = S3fcp::at(&server.endpoint()).args(["--if-match", "named"]).args([arg(range)]);
            let outcome = run.download(URI);
            outcome.assert_failed(6, &[]);
            assert!(outcome.stderr.contains("not the one named by --if-match"), "{}", outcome.stderr);
            // A refused If-Match is asked again without it.
            assert!(server.gets().len() <= 2);
        }
    });
}

#[test]
fn the_named_object_at_whose_end_nothing_is_left_is_confirmed() {
    let grown = |_: &Request| Reply::status(416).code("InvalidRange");
    let table: [(&str, (&str, i32)); 2] = [("the same", (ETAG, 0)), ("another", ("\"other\"", 6))];
    table::each(&table, |&(etag, exit)| {
        let server =
            FaultServer::start(object(SIZE), move |r| if r.is_get() { grown(r) } else { Reply::ok() });
        let run = S3fcp::at(&server.endpoint()).args(["--range", "328914-", "--if-match", etag]);
        let outcome = run.download(URI);
        assert_eq!((outcome.code(), outcome.stdout.len()), (Some(exit), 0), "{}", outcome.stderr);
    });
}

#[test]
fn an_object_replaced_while_its_end_was_looked_for_has_changed() {
    let server = FaultServer::start(object(SIZE), |request| {
        if request.is_get() { Reply::ok() } else { Reply::ok().etag("\"before\"") }
    });
    let outcome = S3fcp::at(&server.endpoint()).args(["--range", "-5"]).download(URI);
    outcome.assert_failed(6, &[]);
    assert!(!outcome.stderr.contains("--if-match"), "{}", outcome.stderr);
}

#[test]
fn limits_of_time_are_the_users() {
    let table = [
        ("a body", ("--stall-timeout", Reply::ok().stall_after(1000), "the body stalled for 300ms")),
        ("a head", ("--first-byte-timeout", Reply::raw("").stall_after(0), "no response within 300ms")),
    ];
    table::each(&table, |(option, reply, says)| {
        for (attempts, exit) in [("1", 5), ("2", 0)] {
            let server = FaultServer::start(object(SIZE), once(2, reply.clone()));
            let run = S3fcp::at(&server.endpoint()).window(1, CHUNK).args([option, "0.3"]);
            let outcome = run.args(["--max-attempts", attempts]).download(URI);
            outcome.assert_contract(&object(SIZE));
            assert_eq!(outcome.code(), Some(exit), "{}", outcome.stderr);
            assert_eq!(outcome.stderr.contains(says), exit != 0, "{}", outcome.stderr);
        }
    });
}

/// Setting up a connection, by way of a proxy and TLS, is bounded by the time for the first byte.
#[test]
fn the_time_for_the_first_byte_bounds_the_connection_too() {
    const LIMIT: Duration = Duration::from_secs(15);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    let silent = listener.local_addr().expect("an address");
    let table = [
        ("TLS", (format!("https://{silent}"), String::new(), "may not be one for https")),
        ("a tunnel", ("https://store.invalid".to_owned(), format!("http://{silent}"), "HTTPS_PROXY")),
        ("SOCKS", ("https://store.invalid".to_owned(), format!("socks5h://{silent}"), "HTTPS_PROXY")),
    ];
    table::each(&table, |(endpoint, proxy, hint)| {
        let began = Instant::now();
        let run = S3fcp::at(endpoint).env("HTTPS_PROXY", proxy);
        let outcome = run.args(["--max-attempts", "1", "--first-byte-timeout", "0.5"]).download(URI);
        outcome.assert_failed(5, &[]);
        assert!(outcome.stderr.contains("timed out after 500ms"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(hint), "no {hint:?} in {}", outcome.stderr);
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    });
}

/// A network that lets every response live for a moment only.
#[test]
fn progress_is_judged_against_the_range_and_the_rate() {
    let table = [
        ("a small range", (&["-c", "1", "--chunk-size", "32768"][..], 6_000)),
        ("a rate", (&["-c", "1", "--limit-rate", "200KiB"][..], 40 << 10)),
        ("a higher rate", (&["--limit-rate", "2MiB"], 40 << 10)),
        ("a low rate", (&["-c", "1", "--limit-rate", "100KiB"], 14 << 10)),
        ("no limit", (&["-c", "1", "--chunk-size", "1MiB"], 40 << 10)),
        ("nothing named", (&[], 17 << 10)),
    ];
    table::each(&table, |&(args, bytes)| {
        let server = FaultServer::start(object(SIZE), move |request| {
            if request.is_get() { Reply::ok().cut_after(bytes) } else { Reply::ok() }
        });
        let run = S3fcp::at(&server.endpoint()).args(args).args(["--max-attempts", "2"]);
        run.download(URI).assert_object(&object(SIZE));
        assert_eq!(server.object_bytes(), SIZE);
    });
    // Less than that is no progress.
    let server = FaultServer::start(object(SIZE), |request| {
        if request.is_get() { Reply::ok().cut_after(100) } else { Reply::ok() }
    });
    let run = S3fcp::at(&server.endpoint()).window(1, 32_768).args(["--max-attempts", "2"]);
    run.download(URI).assert_failed(5, &object(SIZE));
}
